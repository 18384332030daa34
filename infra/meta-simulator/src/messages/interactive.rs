//! Interactive messages.

use std::collections::HashSet;

use crate::graph::error::GraphError;

use super::part::Part;

const TYPES: [&str; 13] = [
    "button",
    "list",
    "cta_url",
    "flow",
    "location_request_message",
    "address_message",
    "contact_request",
    "product",
    "product_list",
    "catalog_message",
    "carousel",
    "call_permission_request",
    "voice_call",
];

const SHORT_BODY: usize = 1024;
const LIST_BODY: usize = 4096;
const SMALL_PRINT: usize = 60;

/// Checks one interactive message.
pub(super) fn check(interactive: &Part<'_>) -> Result<(), GraphError> {
    let kind = interactive.one_of("type", &TYPES)?;
    let action = interactive.required("action");
    let body = if kind == "list" { LIST_BODY } else { SHORT_BODY };
    texts(interactive, kind, body)?;
    match kind {
        "button" => buttons(&action?),
        "list" => list(&action?),
        "cta_url" => {
            let parameters = named(&action?, "cta_url")?.required("parameters")?;
            parameters.required_text("display_text", 20)?;
            parameters.required_text("url", 2000).map(|_| ())
        }
        "flow" => flow(&action?),
        "location_request_message" => named(&action?, "send_location").map(|_| ()),
        "contact_request" => named(&action?, "request_contact_info").map(|_| ()),
        "address_message" => named(&action?, "address_message")?
            .required("parameters")?
            .required_text("country", 2)
            .map(|_| ()),
        "product" => {
            let action = action?;
            action.required_text("catalog_id", 64)?;
            action.required_text("product_retailer_id", 100).map(|_| ())
        }
        "product_list" => products(&action?),
        "carousel" => cards(&action?),
        other => named(&action?, other).map(|_| ()),
    }
}

/// Header, body and footer.
fn texts(interactive: &Part<'_>, kind: &str, body: usize) -> Result<(), GraphError> {
    let body_is_optional = matches!(kind, "product" | "call_permission_request");
    if interactive.has("body") || !body_is_optional {
        interactive.required("body")?.required_text("text", body)?;
    }
    if interactive.has("footer") {
        if kind == "location_request_message" {
            interactive.forbid("footer")?;
        }
        interactive.required("footer")?.required_text("text", SMALL_PRINT)?;
    }
    match (interactive.has("header"), kind) {
        (true, "product" | "location_request_message") => interactive.forbid("header"),
        (true, "list" | "product_list") => header(interactive, &["text"]),
        (true, _) => header(interactive, &["text", "image", "video", "document"]),
        (false, "product_list") => Err(interactive.missing("header")),
        (false, _) => Ok(()),
    }
}

fn header(interactive: &Part<'_>, kinds: &[&str]) -> Result<(), GraphError> {
    let header = interactive.required("header")?;
    match header.one_of("type", kinds)? {
        "text" => header.required_text("text", SMALL_PRINT).map(|_| ()),
        kind => header.required(kind).map(|_| ()),
    }
}

fn named<'a>(action: &Part<'a>, name: &str) -> Result<Part<'a>, GraphError> {
    action.one_of("name", &[name])?;
    // Callers go on from the action itself.
    Ok(action.clone())
}

fn buttons(action: &Part<'_>) -> Result<(), GraphError> {
    let mut ids = HashSet::new();
    for button in action.array("buttons", 1, 3)? {
        button.one_of("type", &["reply"])?;
        let reply = button.required("reply")?;
        reply.required_text("title", 20)?;
        unique_id(&reply, 256, &mut ids)?;
    }
    Ok(())
}

fn unique_id<'a>(row: &Part<'a>, most: usize, seen: &mut HashSet<&'a str>) -> Result<(), GraphError> {
    let id = row.required_text("id", most)?;
    if id.trim() != id {
        return Err(GraphError::invalid_value(format!(
            "{}.id must not begin or end with blanks.",
            row.path()
        )));
    }
    if !seen.insert(id) {
        return Err(GraphError::invalid_value(format!("{}.id is used twice.", row.path())));
    }
    Ok(())
}

/// A list: ten rows in all its sections together.
fn list(action: &Part<'_>) -> Result<(), GraphError> {
    action.required_text("button", 20)?;
    let sections = action.array("sections", 1, 10)?;
    let (mut ids, mut rows) = (HashSet::new(), 0);
    for section in &sections {
        section_title(section, sections.len())?;
        for row in section.array("rows", 1, 10)? {
            rows += 1;
            unique_id(&row, 200, &mut ids)?;
            row.required_text("title", 24)?;
            row.optional_text("description", 72)?;
        }
    }
    match rows {
        0..=10 => Ok(()),
        _ => Err(GraphError::invalid_value(
            "interactive.action.sections: at most 10 rows in all sections together.",
        )),
    }
}

fn section_title(section: &Part<'_>, sections: usize) -> Result<(), GraphError> {
    match sections {
        1 => section.optional_text("title", 24).map(|_| ()),
        _ => section.required_text("title", 24).map(|_| ()),
    }
}

fn flow(action: &Part<'_>) -> Result<(), GraphError> {
    let parameters = named(action, "flow")?.required("parameters")?;
    parameters.one_of("flow_message_version", &["3"])?;
    parameters.required_text("flow_cta", 30)?;
    match parameters.has("flow_id") || parameters.has("flow_name") {
        true => Ok(()),
        false => Err(parameters.missing("flow_id")),
    }
}

/// Products: 30 in all sections together.
fn products(action: &Part<'_>) -> Result<(), GraphError> {
    action.required_text("catalog_id", 64)?;
    let sections = action.array("sections", 1, 10)?;
    let mut products = 0;
    for section in &sections {
        section_title(section, sections.len())?;
        products += section.array("product_items", 1, 30)?.len();
    }
    match products {
        0..=30 => Ok(()),
        _ => Err(GraphError::invalid_value(
            "interactive.action.sections: at most 30 products in all sections together.",
        )),
    }
}

fn cards(action: &Part<'_>) -> Result<(), GraphError> {
    for card in action.array("cards", 2, 10)? {
        card.required("action")?;
        if let Some(body) = card.optional("body") {
            body.required_text("text", 160)?;
        }
    }
    Ok(())
}

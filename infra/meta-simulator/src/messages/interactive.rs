//! Interactive messages.

use std::collections::HashSet;

use crate::graph::error::GraphError;

use super::content::is_web_address;
use super::part::Part;

const TYPES: [&str; 16] = [
    "button",
    "list",
    "cta_url",
    "flow",
    "location_request_message",
    "address_message",
    "contact_request",
    // As pywa 4.5 writes it; Meta's page on business-scoped user ids has the one above (2026-08).
    "request_contact_info",
    "product",
    "product_list",
    "catalog_message",
    "carousel",
    "call_permission_request",
    "voice_call",
    "order_details",
    "order_status",
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
        "cta_url" => web_button(&action?),
        "flow" => flow(&action?),
        "location_request_message" => named(&action?, "send_location").map(|_| ()),
        "contact_request" | "request_contact_info" => named(&action?, "request_contact_info").map(|_| ()),
        "address_message" => named(&action?, "address_message")?
            .required("parameters")?
            .required_text("country", 2)
            .map(|_| ()),
        "product" => product(&action?),
        "product_list" => products(&action?),
        "carousel" => cards(&action?),
        "voice_call" => voice_call(&action?),
        "order_details" => order_details(&action?),
        "order_status" => order_status(&action?),
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
        if matches!(kind, "location_request_message" | "carousel") {
            interactive.forbid("footer")?;
        }
        interactive.required("footer")?.required_text("text", SMALL_PRINT)?;
    }
    match (interactive.has("header"), kind) {
        (true, "product" | "location_request_message" | "carousel") => interactive.forbid("header"),
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
        kind => file(&header.required(kind)?),
    }
}

/// A file in a header: an id or a link. The id is not looked up.
fn file(file: &Part<'_>) -> Result<(), GraphError> {
    match (file.optional_text("id", 64)?, file.optional_text("link", 2000)?) {
        (None, None) => Err(file.missing("id")),
        (Some(_), Some(_)) => Err(GraphError::invalid_parameter(format!(
            "Param {} must have either id or link, not both.",
            file.path()
        ))),
        _ => Ok(()),
    }
}

fn web_button(action: &Part<'_>) -> Result<(), GraphError> {
    let parameters = named(action, "cta_url")?.required("parameters")?;
    parameters.required_text("display_text", 20)?;
    match is_web_address(parameters.required_text("url", 2000)?) {
        true => Ok(()),
        false => Err(GraphError::invalid_parameter(format!(
            "Param {}.url must be an http or https address.",
            parameters.path()
        ))),
    }
}

fn product(action: &Part<'_>) -> Result<(), GraphError> {
    action.required_text("catalog_id", 64)?;
    action.required_text("product_retailer_id", 100).map(|_| ())
}

fn voice_call(action: &Part<'_>) -> Result<(), GraphError> {
    let action = named(action, "voice_call")?;
    match action.has("parameters") {
        true => action.required("parameters")?.optional_text("display_text", 20).map(|_| ()),
        false => Ok(()),
    }
}

fn order_details(action: &Part<'_>) -> Result<(), GraphError> {
    let parameters = named(action, "review_and_pay")?.required("parameters")?;
    reference_id(&parameters)?;
    parameters.required_text("currency", 3)?;
    let total = parameters.required("total_amount")?;
    total.number("value", f64::MAX)?;
    total.number("offset", f64::MAX)?;
    parameters.required("order").map(|_| ())
}

fn order_status(action: &Part<'_>) -> Result<(), GraphError> {
    let parameters = named(action, "review_order")?.required("parameters")?;
    reference_id(&parameters)?;
    match parameters.has("order") {
        true => parameters.required("order")?.required_text("status", 64).map(|_| ()),
        false => Ok(()),
    }
}

fn reference_id(parameters: &Part<'_>) -> Result<(), GraphError> {
    let id = parameters.required_text("reference_id", 35)?;
    match id.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)) {
        true => Ok(()),
        false => Err(GraphError::invalid_value(format!("{}.reference_id is not valid.", parameters.path()))),
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
    for (name, words) in [("mode", ["draft", "published"]), ("flow_action", ["navigate", "data_exchange"])] {
        if parameters.has(name) {
            parameters.one_of(name, &words)?;
        }
    }
    match (parameters.has("flow_id"), parameters.has("flow_name")) {
        (false, false) => Err(parameters.missing("flow_id")),
        (true, true) => parameters.forbid("flow_name"),
        _ => Ok(()),
    }
}

/// Products: 30 in all sections together.
fn products(action: &Part<'_>) -> Result<(), GraphError> {
    action.required_text("catalog_id", 64)?;
    let sections = action.array("sections", 1, 10)?;
    let mut products = 0;
    for section in &sections {
        section_title(section, sections.len())?;
        for item in section.array("product_items", 1, 30)? {
            item.required_text("product_retailer_id", 100)?;
            products += 1;
        }
    }
    match products {
        0..=30 => Ok(()),
        _ => Err(GraphError::invalid_value(
            "interactive.action.sections: at most 30 products in all sections together.",
        )),
    }
}

/// Two to ten cards: of pictures or films with one kind of button, or of products.
fn cards(action: &Part<'_>) -> Result<(), GraphError> {
    let mut indexes = HashSet::new();
    for card in action.array("cards", 2, 10)? {
        card.number("card_index", 9.0)?;
        if !indexes.insert(card.text_of("card_index")) {
            return Err(GraphError::invalid_value(format!("{}.card_index is used twice.", card.path())));
        }
        let action = card.required("action")?;
        if action.has("product_retailer_id") {
            product(&action)?;
            continue;
        }
        let header = card.required("header")?;
        file(&header.required(header.one_of("type", &["image", "video"])?)?)?;
        if let Some(body) = card.optional("body") {
            body.required_text("text", 160)?;
        }
        if action.has("buttons") { quick_replies(&action)? } else { web_button(&action)? }
    }
    Ok(())
}

fn quick_replies(action: &Part<'_>) -> Result<(), GraphError> {
    let mut ids = HashSet::new();
    for button in action.array("buttons", 1, 3)? {
        button.one_of("type", &["quick_reply"])?;
        let reply = button.required("quick_reply")?;
        reply.required_text("title", 20)?;
        unique_id(&reply, 256, &mut ids)?;
    }
    Ok(())
}

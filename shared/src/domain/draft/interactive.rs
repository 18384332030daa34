//! Limits of interactive messages, one row for each kind.
//!
//! Sources: Meta's page of each kind (2025-12-22 to 2026-08-25), payments pages for India and Brazil. A kind
//! that is not listed is passed on: Meta is the judge of it.

use std::collections::HashSet;

use super::content::file;
use super::member::{Checked, Member};
use crate::domain::bot::LONGEST_TEXT;

const BODY: usize = 1024;
/// Headers of text, and footers.
const SMALL_PRINT: usize = 60;
/// Button titles and labels.
const LABEL: usize = 20;
/// Ids of catalogues and products; Meta gives no limit.
const FREE: usize = 4096;

/// What may stand above the body.
enum Header {
    None,
    Text,
    /// A text that must be there.
    TextNeeded,
    TextOrFile,
}

/// One kind of interactive message.
struct Kind {
    name: &'static str,
    header: Header,
    /// Least and most characters; a least of 0 is a body that may be missing.
    body: (usize, usize),
    has_footer: bool,
    action: fn(&Member<'_>) -> Checked,
}

const fn kind(name: &'static str, header: Header, action: fn(&Member<'_>) -> Checked) -> Kind {
    Kind { name, header, body: (1, BODY), has_footer: true, action }
}

const KINDS: [Kind; 15] = [
    kind("button", Header::TextOrFile, buttons),
    Kind { body: (1, LONGEST_TEXT), ..kind("list", Header::Text, list) },
    kind("cta_url", Header::TextOrFile, cta_url),
    kind("flow", Header::TextOrFile, flow),
    Kind {
        has_footer: false,
        ..kind("location_request_message", Header::None, |at| named(at, "send_location"))
    },
    kind("address_message", Header::TextOrFile, address),
    kind("contact_request", Header::TextOrFile, |at| named(at, "request_contact_info")),
    Kind { body: (0, BODY), ..kind("product", Header::None, product) },
    kind("product_list", Header::TextNeeded, product_list),
    kind("catalog_message", Header::TextOrFile, catalog),
    Kind { has_footer: false, ..kind("carousel", Header::None, carousel) },
    Kind {
        body: (0, BODY),
        ..kind("call_permission_request", Header::TextOrFile, |at| named(at, "call_permission_request"))
    },
    kind("voice_call", Header::TextOrFile, voice_call),
    kind("order_details", Header::TextOrFile, order_details),
    kind("order_status", Header::TextOrFile, order_status),
];

pub(super) fn check(at: &Member<'_>) -> Checked {
    let name = at.text("type", 1..=64)?;
    let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else { return Ok(()) };
    header(at, &kind.header)?;
    body(at, kind.body)?;
    if !kind.has_footer {
        at.forbid("footer", "this kind has none")?;
    } else if let Some(footer) = at.optional("footer")? {
        footer.text("text", 1..=SMALL_PRINT)?;
    }
    (kind.action)(&at.object("action")?)
}

fn header(at: &Member<'_>, allowed: &Header) -> Checked {
    const TEXT: &[&str] = &["text"];
    const ANY: &[&str] = &["text", "image", "video", "document"];
    let (types, is_needed) = match allowed {
        Header::None => return at.forbid("header", "this kind has none"),
        Header::Text => (TEXT, false),
        Header::TextNeeded => (TEXT, true),
        Header::TextOrFile => (ANY, false),
    };
    if !is_needed && !at.has("header") {
        return Ok(());
    }
    let header = at.object("header")?;
    match header.one_of("type", types)? {
        "text" => header.text("text", 1..=SMALL_PRINT).map(drop),
        kind => file(&header.object(kind)?),
    }
}

fn body(at: &Member<'_>, (least, most): (usize, usize)) -> Checked {
    if least == 0 && !at.has("body") {
        return Ok(());
    }
    at.object("body")?.text("text", 1..=most).map(drop)
}

fn named(action: &Member<'_>, name: &str) -> Checked {
    action.one_of("name", &[name]).map(drop)
}

fn buttons(action: &Member<'_>) -> Checked {
    let mut ids = HashSet::new();
    action.list("buttons", 1..=3)?.iter().try_for_each(|button| {
        button.one_of("type", &["reply"])?;
        let reply = button.object("reply")?;
        reply.unique_id("id", 256, &mut ids)?;
        reply.text("title", 1..=LABEL).map(drop)
    })
}

fn list(action: &Member<'_>) -> Checked {
    const MOST_ROWS: usize = 10;
    action.text("button", 1..=LABEL)?;
    let sections = action.list("sections", 1..=10)?;
    let (mut ids, mut rows) = (HashSet::new(), 0);
    for section in &sections {
        section_title(section, sections.len())?;
        for row in section.list("rows", 1..=MOST_ROWS)? {
            row.unique_id("id", 200, &mut ids)?;
            row.text("title", 1..=24)?;
            row.optional_text("description", 72)?;
            rows += 1;
        }
    }
    if rows > MOST_ROWS {
        return action.refuse_member("sections", format!("may hold {MOST_ROWS} rows in all"));
    }
    Ok(())
}

/// The title of a section, which it needs where there are several.
fn section_title(section: &Member<'_>, sections: usize) -> Checked {
    const LONGEST: usize = 24;
    if sections > 1 {
        return section.text("title", 1..=LONGEST).map(drop);
    }
    section.optional_text("title", LONGEST).map(drop)
}

fn cta_url(action: &Member<'_>) -> Checked {
    named(action, "cta_url")?;
    let parameters = action.object("parameters")?;
    parameters.text("display_text", 1..=LABEL)?;
    parameters.link("url")
}

fn flow(action: &Member<'_>) -> Checked {
    // Meta's page says "about 30"; 20 are shown on every phone.
    const LONGEST_CTA: usize = 30;
    named(action, "flow")?;
    let parameters = action.object("parameters")?;
    parameters.text("flow_message_version", 1..=8)?;
    match (parameters.has("flow_id"), parameters.has("flow_name")) {
        (true, true) => parameters.forbid("flow_name", "flow_id names the Flow already")?,
        (false, false) => parameters.refuse_member("flow_id", "is missing: give it or flow_name")?,
        _ => {}
    }
    parameters.text("flow_cta", 1..=LONGEST_CTA)?;
    parameters.optional_word("mode", &["draft", "published"])?;
    parameters.optional_text("flow_token", FREE)?;
    parameters.optional_word("flow_action", &["navigate", "data_exchange"])?;
    match parameters.optional("flow_action_payload")? {
        Some(payload) => payload.optional_text("screen", FREE).map(drop),
        None => Ok(()),
    }
}

fn address(action: &Member<'_>) -> Checked {
    named(action, "address_message")?;
    action.object("parameters")?.text("country", 2..=2).map(drop)
}

fn product(action: &Member<'_>) -> Checked {
    action.text("catalog_id", 1..=FREE)?;
    action.text("product_retailer_id", 1..=FREE).map(drop)
}

fn product_list(action: &Member<'_>) -> Checked {
    const MOST_PRODUCTS: usize = 30;
    action.text("catalog_id", 1..=FREE)?;
    let sections = action.list("sections", 1..=10)?;
    let mut products = 0;
    for section in &sections {
        section_title(section, sections.len())?;
        for item in section.list("product_items", 1..=MOST_PRODUCTS)? {
            item.text("product_retailer_id", 1..=FREE)?;
            products += 1;
        }
    }
    if products > MOST_PRODUCTS {
        return action.refuse_member("sections", format!("may hold {MOST_PRODUCTS} products in all"));
    }
    Ok(())
}

fn catalog(action: &Member<'_>) -> Checked {
    named(action, "catalog_message")?;
    match action.optional("parameters")? {
        Some(parameters) => parameters.optional_text("thumbnail_product_retailer_id", FREE).map(drop),
        None => Ok(()),
    }
}

/// Cards of pictures or films with an address or quick replies, or of products (Meta, interactive media
/// carousel messages, 2025-12-22).
fn carousel(action: &Member<'_>) -> Checked {
    let mut indexes = HashSet::new();
    action.list("cards", 2..=10)?.iter().try_for_each(|card| {
        if !indexes.insert(card.whole("card_index", 0..=9)?) {
            return card.refuse_member("card_index", "is used twice");
        }
        self::card(card)
    })
}

fn card(card: &Member<'_>) -> Checked {
    let kind = card.optional_text("type", 64)?;
    let action = card.object("action")?;
    if kind == Some("product") || action.has("product_retailer_id") {
        return product(&action);
    }
    let header = card.object("header")?;
    let picture = header.one_of("type", &["image", "video"])?;
    file(&header.object(picture)?)?;
    if let Some(body) = card.optional("body")? {
        let text = body.text("text", 1..=160)?;
        if text.matches('\n').count() > 2 {
            return body.refuse_member("text", "may have two line breaks");
        }
    }
    // By the action: pywa names a card with quick replies cta_url, too.
    if action.has("buttons") { quick_replies(&action) } else { cta_url(&action) }
}

fn quick_replies(action: &Member<'_>) -> Checked {
    let mut ids = HashSet::new();
    action.list("buttons", 1..=3)?.iter().try_for_each(|button| {
        button.one_of("type", &["quick_reply"])?;
        let reply = button.object("quick_reply")?;
        reply.unique_id("id", 256, &mut ids)?;
        reply.text("title", 1..=LABEL).map(drop)
    })
}

fn voice_call(action: &Member<'_>) -> Checked {
    named(action, "voice_call")?;
    let Some(parameters) = action.optional("parameters")? else { return Ok(()) };
    parameters.optional_text("display_text", LABEL)?;
    if parameters.has("ttl_minutes") {
        parameters.whole("ttl_minutes", 1..=u64::from(u32::MAX))?;
    }
    parameters.optional_text("payload", FREE).map(drop)
}

fn order_details(action: &Member<'_>) -> Checked {
    named(action, "review_and_pay")?;
    let parameters = action.object("parameters")?;
    reference_id(&parameters)?;
    parameters.text("currency", 3..=3)?;
    let total = parameters.object("total_amount")?;
    total.whole("value", 0..=u64::MAX)?;
    total.whole("offset", 1..=u64::MAX)?;
    parameters.object("order").map(drop)
}

fn order_status(action: &Member<'_>) -> Checked {
    named(action, "review_order")?;
    let parameters = action.object("parameters")?;
    reference_id(&parameters)?;
    match parameters.optional("order")? {
        Some(order) => order.text("status", 1..=64).map(drop),
        None => Ok(()),
    }
}

/// The partner's own name of an order.
pub(super) fn reference_id(at: &Member<'_>) -> Checked {
    let id = at.text("reference_id", 1..=35)?;
    if id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
        return Ok(());
    }
    at.refuse_member("reference_id", "may hold letters, digits, _, - and . only")
}

#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
}

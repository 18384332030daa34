//! Limits of template messages (Meta, template components and send pages, 2026-05-21).
//!
//! Whether the parameters fit the template is Meta's to say; here each one has the form of its own type. Types
//! of components and parameters that are not listed are passed on.

use std::collections::HashSet;

use super::content;
use super::interactive::reference_id;
use super::member::{Checked, Member};

/// Characters of a body, which no value of it can exceed.
const BODY: usize = 1024;
/// Of a header of text.
const HEADER: usize = 60;
/// Of a button's address, of which the value is a part.
const ADDRESS: usize = 2000;
const COUPON: usize = 15;
/// No price is larger; in thousandths of the currency.
const LARGEST_AMOUNT: f64 = 1e15;
/// Meta gives no limit for these.
const FREE: usize = 4096;
/// Header, body, ten buttons and some more; this bounds the list only.
const MOST_COMPONENTS: usize = 50;
const MOST_PARAMETERS: usize = 100;

pub(super) fn check(at: &Member<'_>) -> Checked {
    let name = at.text("name", 1..=512)?;
    if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        return at.refuse_member("name", "may hold a-z, 0-9 and _ only");
    }
    at.object("language")?.text("code", 2..=20)?;
    at.optional_list("components", MOST_COMPONENTS)?.iter().try_for_each(component)
}

/// Meta takes the words for types in either case.
fn word(at: &Member<'_>, name: &str) -> Checked<String> {
    Ok(at.text(name, 1..=64)?.to_ascii_lowercase())
}

fn component(at: &Member<'_>) -> Checked {
    match word(at, "type")?.as_str() {
        "header" => parameters(at, HEADER),
        "body" => parameters(at, BODY),
        "button" => button(at),
        "carousel" => carousel(at),
        _ => parameters(at, FREE),
    }
}

fn button(at: &Member<'_>) -> Checked {
    word(at, "sub_type")?;
    at.whole("index", 0..=9)?;
    parameters(at, ADDRESS)
}

fn carousel(at: &Member<'_>) -> Checked {
    let mut indexes = HashSet::new();
    at.list("cards", 1..=10)?.iter().try_for_each(|card| {
        if !indexes.insert(card.whole("card_index", 0..=9)?) {
            return card.refuse_member("card_index", "is used twice");
        }
        card.optional_list("components", MOST_COMPONENTS)?.iter().try_for_each(|component| {
            if word(component, "type")? == "carousel" {
                return component.refuse_member("type", "a card holds no carousel");
            }
            self::component(component)
        })
    })
}

/// The values for one component; `longest` is the room for a text.
fn parameters(at: &Member<'_>, longest: usize) -> Checked {
    let parameters = at.optional_list("parameters", MOST_PARAMETERS)?;
    parameters.iter().try_for_each(|value| parameter(value, longest))?;
    // Named values are all named: otherwise Meta does not know where they go.
    if parameters.iter().any(|parameter| parameter.has("parameter_name")) {
        let mut names = HashSet::new();
        parameters.iter().try_for_each(|named| named.unique_id("parameter_name", FREE, &mut names))?;
    }
    Ok(())
}

fn parameter(at: &Member<'_>, longest: usize) -> Checked {
    let kind = word(at, "type")?;
    match kind.as_str() {
        "text" => at.text("text", 1..=longest).map(drop),
        "currency" => {
            let amount = at.object("currency")?;
            amount.text("fallback_value", 1..=FREE)?;
            amount.text("code", 3..=3)?;
            amount.number("amount_1000", LARGEST_AMOUNT)
        }
        "date_time" => at.object("date_time")?.text("fallback_value", 1..=FREE).map(drop),
        "image" | "video" | "document" => content::file(&at.object(&kind)?),
        "location" => content::location(&at.object("location")?),
        "payload" => at.text("payload", 1..=FREE).map(drop),
        "coupon_code" => at.text("coupon_code", 1..=COUPON).map(drop),
        "action" => at.object("action").map(drop),
        "limited_time_offer" => {
            at.object("limited_time_offer")?.whole("expiration_time_ms", 0..=u64::MAX).map(drop)
        }
        "product" => at.object("product")?.text("product_retailer_id", 1..=FREE).map(drop),
        "order_status" => reference_id(&at.object("order_status")?),
        _ => Ok(()),
    }
}

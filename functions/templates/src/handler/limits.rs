//! Lengths and counts of a template's components (Meta, template components, 2026-08-25). Characters are counted as
//! UTF-16 units, the safe reading. Components that we do not know pass: Meta is the judge.

use serde_json::Value;
use shared::http::ApiError;

use super::changes::invalid;

const BODY: usize = 1024;
/// Headers of text, and footers.
const SMALL_PRINT: usize = 60;
const MOST_BUTTONS: usize = 10;
const LABEL: usize = 25;
const ADDRESS: usize = 2000;
const COUPON: usize = 15;

/// Checks what `at` holds; the refusal names the member.
pub(super) fn check(at: &str, components: &[Value]) -> Result<(), ApiError> {
    components.iter().enumerate().try_for_each(|(n, it)| component(&format!("{at}[{n}]"), it))
}

fn component(at: &str, it: &Value) -> Result<(), ApiError> {
    match it["type"].as_str().unwrap_or_default().to_ascii_uppercase().as_str() {
        "HEADER" | "FOOTER" => short(at, it, "text", SMALL_PRINT),
        "BODY" => short(at, it, "text", BODY),
        "BUTTONS" => buttons(&format!("{at}.buttons"), &it["buttons"]),
        "CAROUSEL" => items(&it["cards"]).iter().enumerate().try_for_each(|(n, card)| {
            check(&format!("{at}.cards[{n}].components"), items(&card["components"]))
        }),
        _ => Ok(()),
    }
}

fn buttons(at: &str, all: &Value) -> Result<(), ApiError> {
    let all = items(all);
    if all.len() > MOST_BUTTONS {
        return Err(invalid(at, format!("may hold {MOST_BUTTONS} buttons")));
    }
    all.iter().enumerate().try_for_each(|(n, button)| {
        let at = format!("{at}[{n}]");
        short(&at, button, "text", LABEL)?;
        short(&at, button, "url", ADDRESS)?;
        match button["type"].as_str() {
            Some("COPY_CODE") => short(&at, button, "example", COUPON),
            _ => Ok(()),
        }
    })
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn short(at: &str, of: &Value, member: &str, most: usize) -> Result<(), ApiError> {
    let is_long = of[member].as_str().is_some_and(|text| text.encode_utf16().count() > most);
    match is_long {
        true => Err(invalid(&format!("{at}.{member}"), format!("may have {most} characters"))),
        false => Ok(()),
    }
}

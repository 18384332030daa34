//! Whether something that came by a webhook is about a customer.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::domain::conversation::CustomerKey;

/// Whether a value names a customer: by phone, by id, or in the id of a message, which holds the phone.
pub(super) fn mentions(value: &Value, names: &[CustomerKey]) -> bool {
    match value {
        Value::String(text) => names.iter().any(|name| is_name(text, name.as_ref())),
        Value::Number(number) => names.iter().any(|name| number.to_string() == name.as_ref()),
        Value::Array(items) => items.iter().any(|item| mentions(item, names)),
        Value::Object(members) => members
            .iter()
            .any(|(key, value)| mentions(value, names) || names.iter().any(|n| n.as_ref() == key)),
        Value::Null | Value::Bool(_) => false,
    }
}

fn is_name(text: &str, name: &str) -> bool {
    if let Some(encoded) = text.strip_prefix("wamid.") {
        let decoded = STANDARD.decode(encoded).unwrap_or_default();
        return decoded.windows(name.len()).any(|window| window == name.as_bytes());
    }
    text == name || text.strip_prefix('+').is_some_and(|digits| digits == name)
}

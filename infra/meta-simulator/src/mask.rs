//! Secrets never reach the log of calls.

use serde_json::{Map, Value};

const MASK: &str = "***";

/// Members whose value is a secret wherever they stand.
const SECRET_MEMBERS: [&str; 10] = [
    "access_token",
    "appsecret_proof",
    "client_secret",
    "fb_exchange_token",
    "input_token",
    "password",
    "pin",
    "revoke_token",
    "verify_token",
    "hub.verify_token",
];

/// Parameters with their secrets masked. `code` is a secret at the top only: deeper it is the language of a
/// template.
pub(crate) fn members(members: &Map<String, Value>, app_secret: &str) -> Value {
    let masked = members.iter().map(|(name, value)| {
        let value = if name == "code" { Value::from(MASK) } else { member(name, value, app_secret) };
        (name.clone(), value)
    });
    Value::Object(masked.collect())
}

fn member(name: &str, value: &Value, app_secret: &str) -> Value {
    if SECRET_MEMBERS.contains(&name) { Value::from(MASK) } else { deep(value, app_secret) }
}

fn deep(value: &Value, app_secret: &str) -> Value {
    match value {
        Value::Object(inner) => Value::Object(
            inner.iter().map(|(name, value)| (name.clone(), member(name, value, app_secret))).collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(|item| deep(item, app_secret)).collect()),
        Value::String(text) => Value::from(self::text(text, app_secret)),
        other => other.clone(),
    }
}

/// Text without tokens (`EAA` and at least 20 letters or digits) and without the app secret.
pub(crate) fn text(text: &str, app_secret: &str) -> String {
    let text = if app_secret.is_empty() { text.to_owned() } else { text.replace(app_secret, MASK) };
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("EAA") {
        let (before, candidate) = rest.split_at(at);
        let end = candidate.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(candidate.len());
        clean.push_str(before);
        clean.push_str(if end >= 23 { MASK } else { &candidate[..end] });
        rest = &candidate[end..];
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_masked_by_name_and_by_look_and_languages_are_not() {
        let token = format!("EAA{}", "x".repeat(60));
        let body = json!({
            "code": "AQ1", "pin": "123456", "note": format!("<{token}> of s3cret, EAA is short"),
            "template": {"language": {"code": "en_US"}}, "list": [{"input_token": token}]
        });
        let masked = members(body.as_object().unwrap(), "s3cret");
        let expected = json!({
            "code": "***", "pin": "***", "note": "<***> of ***, EAA is short",
            "template": {"language": {"code": "en_US"}}, "list": [{"input_token": "***"}]
        });
        assert_eq!(masked, expected);
    }
}

//! The bytes of a webhook, as Meta writes and signs them.

use hmac::Mac;
use serde_json::Value;

use crate::graph::auth::mac;

/// Compact JSON in which everything outside ASCII is `\uXXXX` in lower-case hex and `/` is `\/`: a receiver
/// that hashes re-written JSON instead of the bytes fails here as it would at Meta.
pub(crate) fn encode(value: &Value) -> String {
    // Both kinds of characters can stand inside strings only, so the escapes need no parser.
    let plain = value.to_string();
    let mut escaped = String::with_capacity(plain.len() + plain.len() / 8);
    for character in plain.chars() {
        match character {
            '/' => escaped.push_str("\\/"),
            ascii if ascii.is_ascii() => escaped.push(ascii),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    escaped
}

/// The value of `X-Hub-Signature-256`.
pub(crate) fn signature(app_secret: &str, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(mac(app_secret, body).finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_outside_ascii_and_every_slash_is_escaped() {
        let value = json!({"a": "äöå/😀 \"q\""});
        assert_eq!(encode(&value), r#"{"a":"\u00e4\u00f6\u00e5\/\ud83d\ude00 \"q\""}"#);
        assert_eq!(serde_json::from_str::<Value>(&encode(&value)).unwrap(), value);
    }
}

//! JSON as Meta may send it and `serde_json` does not take it.

use serde_json::Value;

/// A text as JSON; null if it is none.
///
/// The half of a surrogate pair, as a text cut in the middle of an emoji has it (`"\ud83d"`), becomes
/// U+FFFD here; `serde_json` refuses the whole text for it (tried with 1.0). What is stored keeps it.
#[must_use]
pub fn value_of(text: &str) -> Value {
    serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&without_lone_surrogates(text)))
        .unwrap_or_default()
}

/// Replaces every escape of half a surrogate pair. In JSON a backslash begins an escape wherever it stands.
fn without_lone_surrogates(text: &str) -> String {
    let mut rest = text;
    let mut out = String::with_capacity(text.len());
    while let Some(start) = rest.find('\\') {
        let (before, escape) = rest.split_at(start);
        out.push_str(before);
        let (len, is_half) = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, false),
            (Some(0xd800..=0xdfff), _) => (6, true),
            (Some(_), _) => (6, false),
            (None, _) => (1 + escape[1..].chars().next().map_or(0, char::len_utf8), false),
        };
        out.push_str(if is_half { "\u{fffd}" } else { &escape[..len] });
        rest = &escape[len..];
    }
    out + rest
}

/// The UTF-16 unit of a `\uXXXX` at the beginning.
fn unit(escape: &str) -> Option<u16> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn half_an_emoji_does_not_hide_the_rest() {
        for (text, value) in [
            (r#"{"a":"x\ud83d","b":1}"#, json!({"a": "x\u{fffd}", "b": 1})),
            (r#"["\ude00\ud83d\ude00\ud83d\ud83d\ude00"]"#, json!(["\u{fffd}😀\u{fffd}😀"])),
            (r#"["\\ud83d \ud83d"]"#, json!(["\\ud83d \u{fffd}"])),
            (r#"["\ud83dé"]"#, json!(["\u{fffd}é"])),
            (r#"["\u00e9\n"]"#, json!(["é\n"])),
            ("nonsense \\", Value::Null),
            ("\\u", Value::Null),
            ("", Value::Null),
        ] {
            assert_eq!(value_of(text), value, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_pieces_of_escapes_in_a_string_are_readable(
            parts in prop::collection::vec(prop::sample::select(
                vec!["\\ud83d", "\\ude00", "\\uD800", "\\u0041", "\\\\", "\\\"", "u", "é", "😀", "dc00"]), 0..12),
        ) {
            let text = format!("\"{}\"", parts.concat());
            prop_assert!(value_of(&text).is_string(), "{}", text);
        }
    }
}

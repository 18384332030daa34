//! Looking for secrets in whatever form somebody may have written them.

use std::fmt::Write;

use aho_corasick::{AhoCorasick, BuildError};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A shorter text is in anything by chance; only six digits alone are looked for, as a number of their own.
const SHORTEST: usize = 8;

/// What is looked for.
#[derive(Debug)]
pub struct Needles {
    automaton: AhoCorasick,
    /// For each pattern its secret, by number, and its form.
    patterns: Vec<(usize, Form)>,
}

/// How a secret is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// As it is.
    Plain,
    /// In hex, of lower or upper case.
    Hex,
    /// In base64, of either alphabet, wherever in it it begins.
    Base64,
    /// With `%` and the two digits of a byte, in addresses and forms.
    UrlEscaped,
    /// With backslashes, as JSON or a debugger writes it.
    Escaped,
    /// Six digits that are no part of a longer word.
    Number,
}

/// A secret where none may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Which: its place among those that were given.
    pub secret: usize,
    /// How it is written.
    pub form: Form,
    /// Where it begins.
    pub at: usize,
}

impl Needles {
    /// Looks for these: longer texts in every form, and PINs of six digits.
    ///
    /// # Errors
    /// If they are too many for one automaton, which takes some hundred thousand.
    ///
    /// # Panics
    /// If one is too short to be told from chance.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Result<Self, BuildError> {
        let (mut texts, mut patterns) = (Vec::new(), Vec::new());
        for (index, secret) in secrets.into_iter().enumerate() {
            for (text, form) in forms(secret) {
                texts.push(text);
                patterns.push((index, form));
            }
        }
        Ok(Self { automaton: AhoCorasick::new(texts)?, patterns })
    }

    /// The secrets in these bytes. Overlapping ones count, too.
    pub fn find<'a>(&'a self, hay: &'a [u8]) -> impl Iterator<Item = Found> + 'a {
        self.automaton.find_overlapping_iter(hay).filter_map(move |found| {
            let (secret, form) = self.patterns[found.pattern().as_usize()];
            let is_one = form != Form::Number || stands_alone(hay, found.start(), found.end());
            is_one.then(|| Found { secret, form, at: found.start() })
        })
    }
}

/// Whether digits are a number of their own. A fraction of a second does not count, and neither does a part of an id.
fn stands_alone(hay: &[u8], start: usize, end: usize) -> bool {
    let before = start.checked_sub(1).map(|at| hay[at]);
    let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'/');
    !before.as_ref().is_some_and(is_inside)
        && !hay
            .get(end)
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'/'))
}

fn forms(secret: &str) -> Vec<(String, Form)> {
    if secret.len() == 6 && secret.bytes().all(|byte| byte.is_ascii_digit()) {
        // In quotes it would be a PIN in hex only by a chance of one in a million million.
        return vec![(secret.to_owned(), Form::Number), (format!("\"{}\"", hex::encode(secret)), Form::Hex)];
    }
    assert!(secret.len() >= SHORTEST, "a secret of {} bytes is found everywhere", secret.len());
    let mut forms = vec![
        (secret.to_owned(), Form::Plain),
        (hex::encode(secret), Form::Hex),
        (hex::encode_upper(secret), Form::Hex),
        (escaped_for_json(secret), Form::Escaped),
        (format!("{secret:?}").trim_matches('"').to_owned(), Form::Escaped),
    ];
    forms.extend(escaped_for_urls(secret).map(|text| (text, Form::UrlEscaped)));
    forms.extend(in_base64(secret.as_bytes()).map(|text| (text, Form::Base64)));
    // The same text once, as its plainest form.
    forms.sort();
    forms.dedup_by(|later, first| later.0 == first.0);
    forms
}

fn escaped_for_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// With digits of either case; with a space as `+`, as forms have it; and with all bytes escaped.
fn escaped_for_urls(text: &str) -> impl Iterator<Item = String> {
    let escaped = |upper: bool, is_plain: fn(u8) -> bool| {
        let mut out = String::new();
        for byte in text.bytes() {
            let written = match (is_plain(byte), upper) {
                (true, _) => {
                    out.push(char::from(byte));
                    Ok(())
                }
                (false, true) => write!(out, "%{byte:02X}"),
                (false, false) => write!(out, "%{byte:02x}"),
            };
            written.expect("a text takes text");
        }
        out
    };
    let unreserved: fn(u8) -> bool =
        |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    // `encodeURIComponent` and HTML forms leave some more, or fewer.
    let component: fn(u8) -> bool = |byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
    let form: fn(u8) -> bool = |byte| byte.is_ascii_alphanumeric() || b"*-._".contains(&byte);
    let mut all = Vec::new();
    for upper in [true, false] {
        for is_plain in [unreserved, component, form, |_| false] {
            let text = escaped(upper, is_plain);
            all.push(text.replace("%20", "+"));
            all.push(text);
        }
    }
    all.into_iter()
}

/// What of the secret's base64 is the same whatever stands around it, at each of three places.
fn in_base64(secret: &[u8]) -> impl Iterator<Item = String> {
    (0..3).flat_map(move |shift| {
        let shifted = [&vec![0; shift][..], secret].concat();
        // The first group mixes with what is before, and the last one with what comes behind.
        let (start, end) = (if shift == 0 { 0 } else { 4 }, shifted.len() / 3 * 4);
        [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)]
            .map(|text| text[start..end].to_owned())
    })
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    const SECRET: &str = "EAA?k/ey+\"quoted\" back\\slash\u{e9}>>>end";

    fn found(secret: &str, hay: impl AsRef<[u8]>) -> Option<Form> {
        Needles::new(["another-secret", secret]).unwrap().find(hay.as_ref()).map(|found| found.form).next()
    }

    #[test]
    fn each_form_is_found_wherever_it_stands() {
        for padding in ["", "a", "ab", "abc", "abcd"] {
            let around = |text: &str| format!("{{\"x\":\"{padding}{text}{padding}\"}}");
            assert_eq!(found(SECRET, around(SECRET)), Some(Form::Plain));
            assert_eq!(found(SECRET, around(&hex::encode(SECRET))), Some(Form::Hex));
            assert_eq!(found(SECRET, around(&hex::encode_upper(SECRET))), Some(Form::Hex));
            assert_eq!(found(SECRET, around(&format!("{SECRET:?}"))), Some(Form::Escaped));
            assert_eq!(found(SECRET, serde_json::json!({"x": SECRET}).to_string()), Some(Form::Escaped));
            let inside = format!("{padding}{SECRET}{padding}");
            for base64 in
                [STANDARD.encode(&inside), URL_SAFE.encode(&inside), STANDARD_NO_PAD.encode(&inside)]
            {
                assert_eq!(found(SECRET, around(&base64)), Some(Form::Base64), "{base64}");
            }
        }
        let escaped: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        let all: String = SECRET.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for escaped in
            [&escaped, &escaped.to_lowercase().replace("eaa", "EAA"), &escaped.replace('+', "%20"), &all]
        {
            assert_eq!(
                found(SECRET, format!("https://x.example/?a={escaped}&b")),
                Some(Form::UrlEscaped),
                "{escaped}"
            );
        }
    }

    #[test]
    fn the_second_of_two_secrets_in_each_other_is_found_too() {
        let needles = Needles::new(["0123456789abcdef", "89abcdef01234567"]).unwrap();
        let secrets: Vec<usize> =
            needles.find(b"0123456789abcdef01234567").map(|found| found.secret).collect();
        assert_eq!(secrets, [0, 1]);
    }

    #[test]
    fn a_pin_is_found_as_a_number_of_its_own_and_not_in_ids_and_fractions() {
        for hay in ["738291", "pin-738291", "\"pin\":\"738291\"", "pin=738291&x", "PIN 738291.", "(738291)"] {
            assert_eq!(found("738291", hay), Some(Form::Number), "{hay}");
        }
        for hay in ["1738291", "7382910", "12.738291", "wamid.A738291B", "ob_738291", "ab+738291/", "73829"] {
            assert_eq!(found("738291", hay), None, "{hay}");
        }
        assert_eq!(found("738291", "{\"pin\":\"373338323931\"}"), Some(Form::Hex));
    }

    #[test]
    fn what_is_no_secret_is_not_found() {
        assert_eq!(found(SECRET, "EAA?k/ey+ and then something else"), None);
        assert_eq!(
            found("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_NfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            None
        );
    }
}

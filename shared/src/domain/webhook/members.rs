//! The members of JSON objects, each read alone: a member that cannot be read (half an emoji, a number
//! beyond `f64`, too deep) does not hide the others, and stays as it came.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::Timestamp;

/// Longest word of Meta's, as `type` and `status` are.
const LONGEST_WORD: usize = 64;

/// Members of an envelope, each of which comes once.
pub(super) type Distinct<'a> = BTreeMap<String, &'a RawValue>;

/// Reads an object of the envelope. `None` if it is none, or if a name comes twice: whichever of the two
/// we took, the other would be lost.
pub(super) fn distinct(json: &str) -> Option<Distinct<'_>> {
    struct Once<'a>(Distinct<'a>);
    impl<'de> Deserialize<'de> for Once<'de> {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            d.deserialize_map(OnceVisitor).map(Self)
        }
    }
    struct OnceVisitor;
    impl<'de> Visitor<'de> for OnceVisitor {
        type Value = Distinct<'de>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object whose names are distinct")
        }
        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Distinct<'de>, M::Error> {
            let mut members = Distinct::new();
            while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
                if members.insert(name, raw).is_some() {
                    return Err(M::Error::custom("a name comes twice"));
                }
            }
            Ok(members)
        }
    }
    serde_json::from_str::<Once<'_>>(json).ok().map(|once| once.0)
}

/// The items of a list.
pub(super) fn items(json: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(json).ok()
}

/// A member that is there and not null.
pub(super) fn present<'a>(object: &Distinct<'a>, name: &str) -> Option<&'a str> {
    object.get(name).map(|raw| raw.get()).filter(|json| *json != "null")
}

/// The text of a raw JSON string, or a number's digits as they came: Meta mixes the two.
pub(super) fn text(json: &str) -> Option<String> {
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str(json).ok(),
        b'-' | b'0'..=b'9' => Some(json.to_owned()),
        _ => None,
    }
}

/// Unix seconds as string or number.
pub(super) fn time(json: &str) -> Option<Timestamp> {
    Timestamp::from_second(text(json)?.parse().ok()?).ok().filter(|t| *t > Timestamp::UNIX_EPOCH)
}

/// What we read of an element. Of a name that comes twice the last one counts.
#[derive(Default)]
pub(super) struct Members<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Members<'a> {
    /// The members of an object; none of anything else.
    pub(super) fn of(json: &'a str) -> Self {
        Self(serde_json::from_str(json).unwrap_or_default())
    }

    /// A string, or a number in its place.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        text(self.0.get(name)?.get())
    }

    /// Those of the members that are not empty texts, in this order.
    pub(super) fn texts(&self, names: &[&str]) -> Vec<String> {
        names.iter().filter_map(|name| self.text(name)).filter(|text| !text.is_empty()).collect()
    }

    /// One of Meta's words: short, and without the `#` that separates the parts of our names.
    pub(super) fn word(&self, name: &str) -> Option<String> {
        let is_word = |s: &String| {
            !s.is_empty() && s.len() <= LONGEST_WORD && !s.contains(|c: char| c.is_control() || c == '#')
        };
        self.0
            .get(name)
            .filter(|raw| raw.get().starts_with('"'))
            .and_then(|raw| text(raw.get()))
            .filter(is_word)
    }

    /// Unix seconds.
    pub(super) fn time(&self, name: &str) -> Option<Timestamp> {
        time(self.0.get(name)?.get())
    }

    /// The objects of a list; none if it is no list.
    pub(super) fn objects(&self, name: &str) -> Vec<Self> {
        let list = self.0.get(name).and_then(|raw| items(raw.get())).unwrap_or_default();
        list.into_iter().map(|raw| Self::of(raw.get())).collect()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An object; an empty one if there is none.
    pub(super) fn object(&self, name: &str) -> Self {
        self.0.get(name).map(|raw| Self::of(raw.get())).unwrap_or_default()
    }
}

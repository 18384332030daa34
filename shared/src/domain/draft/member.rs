//! The words in which limits are written: a member of a message that knows its own path.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use serde_json::{Number, Value};

/// A message that Meta would refuse, and the member that makes it so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{member}: {problem}")]
pub struct InvalidDraft {
    /// Path of the member, as `interactive.action.buttons[1].reply.title`.
    pub member: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What a check answers.
pub(in crate::domain) type Checked<T = ()> = Result<T, InvalidDraft>;

/// A refusal of the member at this path.
pub(in crate::domain) fn invalid<T>(member: impl Into<String>, problem: impl Into<String>) -> Checked<T> {
    Err(InvalidDraft { member: member.into(), problem: problem.into() })
}

/// A value and where it stands. A member that is null counts as missing, as at Meta.
pub(in crate::domain) struct Member<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Member<'a> {
    /// A member of the message itself.
    pub(in crate::domain) fn new(path: impl Into<String>, value: &'a Value) -> Self {
        Self { path: path.into(), value }
    }

    fn find(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Self { path: self.at(name), value })
    }

    /// The path of its member; of a member of the whole, its name.
    pub(in crate::domain) fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Itself, as it came.
    pub(in crate::domain) fn value(&self) -> &'a Value {
        self.value
    }

    /// Itself as a text.
    pub(in crate::domain) fn as_text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// A member that must be there.
    pub(in crate::domain) fn member(&self, name: &str) -> Checked<Self> {
        self.find(name).map_or_else(|| self.refuse_member(name, "is missing"), Ok)
    }

    /// That it is an object which has no other members than these.
    pub(in crate::domain) fn only(&self, names: &[&str]) -> Checked {
        let Some(members) = self.value.as_object() else { return self.refuse("must be an object") };
        match members.keys().find(|name| !names.contains(&name.as_str())) {
            Some(unknown) => self.refuse_member(unknown, "is unknown here"),
            None => Ok(()),
        }
    }

    /// `true` or `false`; this, if it is missing.
    pub(in crate::domain) fn flag_or(&self, name: &str, otherwise: bool) -> Checked<bool> {
        self.flag(name)?;
        Ok(self.find(name).and_then(|member| member.value.as_bool()).unwrap_or(otherwise))
    }

    /// Whether there is such a member.
    pub(in crate::domain) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// This one is wrong.
    pub(in crate::domain) fn refuse<T>(&self, problem: impl Into<String>) -> Checked<T> {
        invalid(&self.path, problem)
    }

    /// Its member is wrong, or missing.
    pub(in crate::domain) fn refuse_member<T>(&self, name: &str, problem: impl Into<String>) -> Checked<T> {
        invalid(self.at(name), problem)
    }

    /// An object that must be there.
    pub(super) fn object(&self, name: &str) -> Checked<Self> {
        match self.optional(name)? {
            Some(object) => Ok(object),
            None => self.refuse_member(name, "is missing: it must be an object"),
        }
    }

    /// An object that may be missing.
    pub(in crate::domain) fn optional(&self, name: &str) -> Checked<Option<Self>> {
        match self.find(name) {
            Some(member) if !member.value.is_object() => member.refuse("must be an object"),
            found => Ok(found),
        }
    }

    /// Itself as a list of so many.
    pub(super) fn items(&self, count: RangeInclusive<usize>) -> Checked<Vec<Self>> {
        match self.value.as_array() {
            Some(items) if count.contains(&items.len()) => Ok(items
                .iter()
                .enumerate()
                .map(|(index, value)| Self { path: format!("{}[{index}]", self.path), value })
                .collect()),
            _ => self.refuse(format!("must be a list of {} to {}", count.start(), count.end())),
        }
    }

    /// A list that must be there, of so many.
    pub(in crate::domain) fn list(&self, name: &str, count: RangeInclusive<usize>) -> Checked<Vec<Self>> {
        match self.find(name) {
            Some(list) => list.items(count),
            None => self.refuse_member(
                name,
                format!("is missing: it must be a list of {} to {}", count.start(), count.end()),
            ),
        }
    }

    /// A list that may be missing, which is the same as empty.
    pub(in crate::domain) fn optional_list(&self, name: &str, most: usize) -> Checked<Vec<Self>> {
        self.find(name).map_or_else(|| Ok(Vec::new()), |list| list.items(0..=most))
    }

    /// A text that must be there, of so many UTF-16 units.
    pub(in crate::domain) fn text(&self, name: &str, length: RangeInclusive<usize>) -> Checked<&'a str> {
        match self.find(name).map(|member| member.value) {
            Some(Value::String(text)) if length.contains(&units(text)) => Ok(text),
            _ => self.refuse_member(
                name,
                format!("must be text of {} to {} characters", length.start(), length.end()),
            ),
        }
    }

    /// A text that may be missing or empty.
    pub(in crate::domain) fn optional_text(&self, name: &str, most: usize) -> Checked<Option<&'a str>> {
        if self.has(name) { self.text(name, 0..=most).map(Some) } else { Ok(None) }
    }

    /// A text that is one of these.
    pub(super) fn one_of(&self, name: &str, words: &[&str]) -> Checked<&'a str> {
        match self.find(name).and_then(|member| member.value.as_str()) {
            Some(word) if words.contains(&word) => Ok(word),
            _ => self.refuse_member(name, format!("must be one of {}", words.join(", "))),
        }
    }

    /// The same, if it is there.
    pub(super) fn optional_word(&self, name: &str, words: &[&str]) -> Checked {
        if self.has(name) { self.one_of(name, words).map(drop) } else { Ok(()) }
    }

    /// An id that is used once only, without blanks at its ends.
    pub(super) fn unique_id(&self, name: &str, most: usize, seen: &mut HashSet<&'a str>) -> Checked {
        let id = self.text(name, 1..=most)?;
        if id.trim() != id {
            return self.refuse_member(name, "must not begin or end with blanks");
        }
        if !seen.insert(id) {
            return self.refuse_member(name, "is used twice");
        }
        Ok(())
    }

    /// `true` or `false`, if it is there.
    pub(super) fn flag(&self, name: &str) -> Checked {
        match self.find(name) {
            Some(member) if !member.value.is_boolean() => member.refuse("must be true or false"),
            _ => Ok(()),
        }
    }

    /// A number, or text that is one, from `-bound` to `bound`.
    pub(super) fn number(&self, name: &str, bound: f64) -> Checked {
        let number = self.find(name).and_then(|member| match member.value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        });
        match number {
            Some(number) if number.abs() <= bound => Ok(()),
            _ => self.refuse_member(name, format!("must be a number from -{bound} to {bound}")),
        }
    }

    /// A whole number, or text that is one.
    pub(in crate::domain) fn whole(&self, name: &str, range: RangeInclusive<u64>) -> Checked<u64> {
        let number = self.find(name).and_then(|member| match member.value {
            // A whole number may come with a point: other languages write 60.0.
            Value::Number(number) => number.as_u64().or_else(|| without_point(number)),
            Value::String(text) => text.parse().ok(),
            _ => None,
        });
        match number {
            Some(number) if range.contains(&number) => Ok(number),
            _ => self.refuse_member(
                name,
                format!("must be a whole number from {} to {}", range.start(), range.end()),
            ),
        }
    }

    /// An address of the web.
    pub(super) fn link(&self, name: &str) -> Checked {
        let link = self.text(name, 1..=LONGEST_LINK)?;
        if is_link(link) {
            return Ok(());
        }
        self.refuse_member(name, "must be an address that begins with https:// or http://")
    }

    /// A member that must not be there.
    pub(super) fn forbid(&self, name: &str, why: &str) -> Checked {
        if self.has(name) { self.refuse_member(name, format!("must not be there: {why}")) } else { Ok(()) }
    }
}

/// Meta's limit of a template's address; it gives none for others, and no browser takes much more.
const LONGEST_LINK: usize = 2000;

/// Only what surely is none is refused: Meta fetches it, or the customer's browser does.
fn is_link(text: &str) -> bool {
    let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    let rest = if lower.starts_with("https://") {
        text.get(8..)
    } else if lower.starts_with("http://") {
        text.get(7..)
    } else {
        None
    };
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    !host.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn without_point(number: &Number) -> Option<u64> {
    number.to_string().strip_suffix(".0")?.parse().ok()
}

/// Length as Meta's limits are read here: in UTF-16 units.
pub(super) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::is_link;

    #[test]
    fn addresses_are_told_from_other_text() {
        for good in ["https://shop.example", "http://shop.example:8080/a?b#c", "HTTPS://Shop.example/ä"] {
            assert!(is_link(good), "{good}");
        }
        for bad in ["", "shop.example", "ftp://shop.example", "https://", "https:///a", "https://a b", "ä"] {
            assert!(!is_link(bad), "{bad}");
        }
    }
}

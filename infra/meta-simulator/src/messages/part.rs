//! A part of a message body that knows its own path, so that every refusal names the member.

use serde_json::{Map, Value};

use crate::graph::error::GraphError;

/// One JSON value and where it stands.
#[derive(Clone)]
pub(super) struct Part<'a> {
    path: String,
    value: PartValue<'a>,
}

#[derive(Clone, Copy)]
enum PartValue<'a> {
    Root(&'a Map<String, Value>),
    Inner(&'a Value),
}

/// The unit of Meta's "characters" is not defined for astral ones; UTF-16 units are the strict reading.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

impl<'a> Part<'a> {
    /// The whole body.
    pub(super) fn root(members: &'a Map<String, Value>) -> Self {
        Self { path: String::new(), value: PartValue::Root(members) }
    }

    fn member(&self, name: &str) -> Option<&'a Value> {
        let value = match self.value {
            PartValue::Root(members) => members.get(name),
            PartValue::Inner(value) => value.get(name),
        };
        value.filter(|value| !value.is_null())
    }

    fn at(&self, name: &str) -> String {
        match self.path.is_empty() {
            true => name.to_owned(),
            false => format!("{}.{name}", self.path),
        }
    }

    /// This part's path, for errors.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether a member is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.member(name).is_some()
    }

    /// An object member, if there.
    pub(super) fn optional(&self, name: &str) -> Option<Part<'a>> {
        self.member(name).map(|value| Part { path: self.at(name), value: PartValue::Inner(value) })
    }

    /// An object member that must be there.
    pub(super) fn required(&self, name: &str) -> Result<Part<'a>, GraphError> {
        match self.member(name) {
            None => Err(self.missing(name)),
            Some(value) if value.is_object() => {
                Ok(Part { path: self.at(name), value: PartValue::Inner(value) })
            }
            Some(_) => {
                Err(GraphError::invalid_parameter(format!("Param {} must be a JSON object.", self.at(name))))
            }
        }
    }

    /// An array member with `least` to `most` items.
    pub(super) fn array(&self, name: &str, least: usize, most: usize) -> Result<Vec<Part<'a>>, GraphError> {
        let at = self.at(name);
        let items = match self.member(name) {
            None => return Err(self.missing(name)),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(GraphError::invalid_parameter(format!("Param {at} must be an array."))),
        };
        if !(least..=most).contains(&items.len()) {
            return Err(GraphError::invalid_parameter(format!(
                "Param {at} must have {least} to {most} items."
            )));
        }
        let part = |(index, value)| Part { path: format!("{at}[{index}]"), value: PartValue::Inner(value) };
        Ok(items.iter().enumerate().map(part).collect())
    }

    /// A text member that must be there, not empty and at most so many characters.
    pub(super) fn required_text(&self, name: &str, most: usize) -> Result<&'a str, GraphError> {
        match self.optional_text(name, most)? {
            None => Err(self.missing(name)),
            Some("") => {
                Err(GraphError::invalid_parameter(format!("Param {} must not be empty.", self.at(name))))
            }
            Some(text) => Ok(text),
        }
    }

    /// A text member, if there.
    pub(super) fn optional_text(&self, name: &str, most: usize) -> Result<Option<&'a str>, GraphError> {
        let at = self.at(name);
        match self.member(name) {
            None => Ok(None),
            Some(Value::String(text)) if length(text) <= most => Ok(Some(text)),
            Some(Value::String(_)) => Err(GraphError::invalid_parameter(format!(
                "Param {at} must be at most {most} characters long."
            ))),
            Some(_) => Err(GraphError::invalid_parameter(format!("Param {at} must be a string."))),
        }
    }

    /// A text member with one of these values.
    pub(super) fn one_of(&self, name: &str, values: &[&str]) -> Result<&'a str, GraphError> {
        let text = self.required_text(name, 64)?;
        if values.contains(&text) {
            return Ok(text);
        }
        let list = values.join(", ");
        Err(GraphError::invalid_parameter(format!("Param {} must be one of {{{list}}}.", self.at(name))))
    }

    /// A true or false member, if there.
    pub(super) fn flag(&self, name: &str) -> Result<(), GraphError> {
        match self.member(name) {
            None | Some(Value::Bool(_)) => Ok(()),
            Some(_) => {
                Err(GraphError::invalid_parameter(format!("Param {} must be a boolean.", self.at(name))))
            }
        }
    }

    /// A number, or a text that holds one, within a range.
    pub(super) fn number(&self, name: &str, limit: f64) -> Result<(), GraphError> {
        let value = self.member(name).ok_or_else(|| self.missing(name))?;
        let number = value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        match number {
            Some(number) if number.abs() <= limit => Ok(()),
            _ => Err(GraphError::invalid_value(format!("{} is not valid.", self.at(name)))),
        }
    }

    /// A member as it is written, to compare it.
    pub(super) fn text_of(&self, name: &str) -> String {
        self.member(name).map(Value::to_string).unwrap_or_default()
    }

    /// A member that must not be there.
    pub(super) fn forbid(&self, name: &str) -> Result<(), GraphError> {
        match self.has(name) {
            false => Ok(()),
            true => Err(GraphError::invalid_parameter(format!(
                "Unexpected key \"{name}\" on param \"{}\".",
                self.path
            ))),
        }
    }

    /// The refusal for a member that is not there.
    pub(super) fn missing(&self, name: &str) -> GraphError {
        GraphError::missing(format!("Parameter {} is missing.", self.at(name)))
    }
}

//! Update and condition expressions.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::table::Item;

/// A conditional change under construction. Its texts are constants of ours; data comes in as values
/// only. `#name` in a text stands for the attribute `name`, whatever words DynamoDB reserves.
#[derive(Debug, Default)]
pub(super) struct Expression {
    set: Vec<String>,
    remove: Vec<String>,
    condition: Option<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Expression {
    /// Begins with the condition under which the change is made.
    pub(super) fn when(condition: &str) -> Self {
        let mut this = Self::default();
        this.mention(condition);
        this.condition = Some(condition.to_owned());
        this
    }

    /// Gives `:name` in the texts its value.
    pub(super) fn value(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(format!(":{name}"), value);
        self
    }

    /// Lets `#alias` stand for an attribute whose name is not known beforehand.
    pub(super) fn name(mut self, alias: &str, attribute: String) -> Self {
        self.names.insert(format!("#{alias}"), attribute);
        self
    }

    /// Sets an attribute.
    pub(super) fn set(self, attribute: &str, value: AttributeValue) -> Self {
        self.assign(&format!("#{attribute} = :{attribute}")).value(attribute, value)
    }

    /// Sets an attribute where there is none.
    pub(super) fn set_if_missing(self, attribute: &str, value: AttributeValue) -> Self {
        self.assign(&format!("#{attribute} = if_not_exists(#{attribute}, :{attribute})"))
            .value(attribute, value)
    }

    /// An assignment in the words of DynamoDB.
    pub(super) fn assign(mut self, assignment: &str) -> Self {
        self.mention(assignment);
        self.set.push(assignment.to_owned());
        self
    }

    /// Removes an attribute.
    pub(super) fn remove(mut self, attribute: &str) -> Self {
        let text = format!("#{attribute}");
        self.mention(&text);
        self.remove.push(text);
        self
    }

    /// Sets an attribute, or removes it if the value is null.
    pub(super) fn set_or_remove(self, attribute: &str, value: AttributeValue) -> Self {
        if value.is_null() { self.remove(attribute) } else { self.set(attribute, value) }
    }

    /// Writes a record over what is there: sets what it has, removes what it has not, leaves alone
    /// what it does not know or what is in `except`.
    pub(super) fn overwrite(self, record: Item, except: &[&str]) -> Self {
        record
            .into_iter()
            .filter(|(name, _)| !except.contains(&name.as_str()))
            .fold(self, |this, (name, value)| this.set_or_remove(&name, value))
    }

    fn mention(&mut self, text: &str) {
        for after in text.split('#').skip(1) {
            let name: String = after.chars().take_while(char::is_ascii_alphanumeric).collect();
            self.names.entry(format!("#{name}")).or_insert(name);
        }
    }

    /// The parts in DynamoDB's form.
    pub(super) fn build(self) -> Built {
        let clause = |word: &str, parts: &[String]| match parts {
            [] => None,
            parts => Some(format!("{word} {}", parts.join(", "))),
        };
        let clauses: Vec<_> =
            [clause("SET", &self.set), clause("REMOVE", &self.remove)].into_iter().flatten().collect();
        Built {
            update: (!clauses.is_empty()).then(|| clauses.join(" ")),
            condition: self.condition,
            names: (!self.names.is_empty()).then_some(self.names),
            values: (!self.values.is_empty()).then_some(self.values),
        }
    }
}

/// An expression's parts; DynamoDB refuses empty ones.
pub(super) struct Built {
    pub(super) update: Option<String>,
    pub(super) condition: Option<String>,
    pub(super) names: Option<HashMap<String, String>>,
    pub(super) values: Option<HashMap<String, AttributeValue>>,
}

#[cfg(test)]
mod tests {
    use super::super::values::{n, s};
    use super::*;

    #[test]
    fn every_attribute_is_aliased_and_values_come_from_outside() {
        let built = Expression::when("attribute_not_exists(#status) OR #status.#rank > :rank")
            .value("rank", s("1"))
            .name("status", "status#sent".to_owned())
            .set("at", n(1))
            .set_if_missing("size", n(2))
            .remove("name")
            .build();
        assert_eq!(built.update.unwrap(), "SET #at = :at, #size = if_not_exists(#size, :size) REMOVE #name");
        let names = built.names.unwrap();
        assert_eq!(names["#status"], "status#sent");
        assert_eq!(names.len(), 5);
        assert_eq!(built.values.unwrap().len(), 3);
    }
}

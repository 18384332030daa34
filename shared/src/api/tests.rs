//! What is described is what is read: the texts of a pattern are taken, and every type of message is there.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::string::string_regex;
use proptest::test_runner::{Config, TestRunner};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, schema_for};
use serde_json::{Map, Value, json};

use super::message::SendRequest;
use crate::domain::draft::{Draft, kinds};
use crate::domain::ids::{
    AllocationId, BotId, Bsuid, BusinessId, GrantId, OffboardingId, OnboardingId, PhoneNumberId, TemplateId,
    WaId, WabaId,
};
use crate::domain::secret::{Pin, SignupCode};
use crate::http::{Name, Position};

/// Whatever fits the pattern of a type's schema is read as one.
fn takes_its_pattern<T: JsonSchema + TryFrom<String>>() {
    let (schema, name) = (schema_for!(T), T::schema_name());
    let pattern = schema.get("pattern").and_then(Value::as_str).unwrap_or_else(|| panic!("{name}"));
    let texts = string_regex(pattern.trim_start_matches('^').trim_end_matches('$')).unwrap();
    let taken = TestRunner::new(Config::with_cases(64)).run(&texts, |text| {
        prop_assert!(T::try_from(text.clone()).is_ok(), "{name} refuses {text:?}");
        Ok(())
    });
    taken.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn every_text_that_a_pattern_allows_is_taken() {
    takes_its_pattern::<BotId>();
    takes_its_pattern::<WabaId>();
    takes_its_pattern::<PhoneNumberId>();
    takes_its_pattern::<BusinessId>();
    takes_its_pattern::<AllocationId>();
    takes_its_pattern::<Bsuid>();
    takes_its_pattern::<WaId>();
    takes_its_pattern::<OnboardingId>();
    takes_its_pattern::<OffboardingId>();
    takes_its_pattern::<GrantId>();
    takes_its_pattern::<TemplateId>();
    takes_its_pattern::<SignupCode>();
    takes_its_pattern::<Pin>();
    takes_its_pattern::<Position>();
    takes_its_pattern::<Name>();
}

/// The described types of send-message, each with the member of its name.
fn described() -> Vec<Value> {
    let mut generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let schema = SendRequest::json_schema(&mut generator).to_value();
    schema["oneOf"].as_array().unwrap().clone()
}

#[test]
fn every_type_of_message_is_described_and_needs_the_member_of_its_name() {
    let described = described();
    let names: BTreeSet<&str> =
        described.iter().map(|it| it["properties"]["type"]["const"].as_str().unwrap()).collect();
    assert_eq!(names, kinds().collect());
    for it in &described {
        let name = &it["properties"]["type"]["const"];
        assert_eq!(it["required"], json!(["type", name]));
        let bare: Map<String, Value> = [("type".to_owned(), name.clone())].into_iter().collect();
        assert_eq!(Draft::parse(&bare).unwrap_err().member, name.as_str().unwrap());
    }
}

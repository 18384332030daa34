//! Facts about `template.yaml` that neither the linter nor the local cloud checks.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test crate")]

mod dead_letters;
mod deployment;
mod functions;
mod metrics;
mod records;
mod rights;
mod runbook;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_yaml_ng::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn template() -> Value {
    serde_yaml_ng::from_str(&std::fs::read_to_string(root().join("template.yaml")).unwrap()).unwrap()
}

/// Resources of one type: name and `Properties`.
fn resources<'a>(template: &'a Value, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let all = template["Resources"].as_mapping().unwrap().iter();
    all.filter(|(_, resource)| resource["Type"] == kind)
        .map(|(name, resource)| (name.as_str().unwrap(), &resource["Properties"]))
        .collect()
}

/// What a function's role may do; `ReportErrors` needs nothing.
fn statements(function: &Value) -> impl Iterator<Item = &Value> {
    function["Policies"][0]["Statement"].as_sequence().into_iter().flatten()
}

/// A value as text, with `!Ref x`, `!GetAtt x.y` and `!Sub …` in it.
fn text(value: &Value) -> String {
    serde_yaml_ng::to_string(value).unwrap()
}

/// A value or, behind a `!Ref`, the default of the parameter.
fn number(template: &Value, value: &Value) -> u64 {
    match value {
        Value::Tagged(tagged) => {
            template["Parameters"][tagged.value.as_str().unwrap()]["Default"].as_u64().unwrap()
        }
        plain => plain.as_u64().unwrap(),
    }
}

fn pascal(name: &str) -> String {
    name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

fn crates() -> BTreeSet<String> {
    let folders = std::fs::read_dir(root().join("functions")).unwrap();
    folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect()
}

/// The event sources that are queues; the others are streams of tables.
fn queues_that_feed(template: &Value) -> Vec<(&str, &Value)> {
    let sources = resources(template, "AWS::Lambda::EventSourceMapping").into_iter();
    sources.filter(|(_, source)| !text(&source["EventSourceArn"]).contains(".StreamArn")).collect()
}

/// The name in a `!GetAtt Name.Attribute` or `!Ref Name`.
fn named(value: &Value) -> String {
    let text = text(value);
    let name = text.trim().trim_start_matches("!GetAtt ").trim_start_matches("!Ref ");
    name.split('.').next().unwrap().to_owned()
}

/// The dead-letter queues that an alarm watches from the first letter on.
fn watched(template: &Value) -> BTreeSet<String> {
    let alarms = resources(template, "AWS::CloudWatch::Alarm").into_iter();
    let on_letters = alarms.filter(|(_, alarm)| {
        alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
            && alarm["Threshold"] == 0
            && alarm["ComparisonOperator"] == "GreaterThanThreshold"
    });
    on_letters.map(|(_, alarm)| named(&alarm["Dimensions"][0]["Value"])).collect()
}

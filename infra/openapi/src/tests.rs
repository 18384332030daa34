//! The document says what is there: the committed file, the routes of the template, the codes of `docs/errors.md`.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_yaml_ng::Value as Yaml;

use super::document;

const COMMITTED: &str = include_str!("../../../docs/openapi.json");
const TEMPLATE: &str = include_str!("../../../template.yaml");
const ERRORS: &str = include_str!("../../../docs/errors.md");

#[test]
fn the_committed_document_is_the_one_of_the_types() {
    let made = format!("{:#}\n", document());
    assert!(made == COMMITTED, "make it anew: cargo run -p openapi > docs/openapi.json");
}

/// Method and path of each route, as `get /api/…`.
fn described() -> BTreeSet<String> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let routes = paths.iter().flat_map(|(path, operations)| {
        operations.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
    });
    routes.collect()
}

fn deployed() -> BTreeSet<String> {
    let template: Yaml = serde_yaml_ng::from_str(TEMPLATE).unwrap();
    let resources = template["Resources"].as_mapping().unwrap();
    let events = resources.values().filter_map(|resource| resource["Properties"]["Events"].as_mapping());
    let routes =
        events.flat_map(|events| events.values()).filter(|event| event["Type"] == "HttpApi").map(|event| {
            let method = event["Properties"]["Method"].as_str().unwrap().to_lowercase();
            format!("{method} {}", event["Properties"]["Path"].as_str().unwrap())
        });
    routes.collect()
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let (described, deployed) = (described(), deployed());
    assert!(deployed.len() > 15, "the template was not understood");
    let missing: Vec<&String> = deployed.difference(&described).collect();
    let too_much: Vec<&String> = described.difference(&deployed).collect();
    assert!(missing.is_empty(), "routes without a description in shared/src/api: {missing:?}");
    assert!(too_much.is_empty(), "descriptions without a route in template.yaml: {too_much:?}");
}

/// Status and code of each row of the tables: `| 409 | `a`, `b` | … |`.
fn listed() -> BTreeSet<(u16, &'static str)> {
    let mut all = BTreeSet::new();
    for line in ERRORS.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, status, codes, ..] = cells.as_slice() else { continue };
        let Ok(status) = status.parse::<u16>() else { continue };
        let names = codes.split('`').skip(1).step_by(2);
        // Parameters of the template have capitals.
        let codes = names.filter(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        all.extend(codes.map(|code| (status, code)));
    }
    all
}

#[test]
fn every_code_of_the_errors_page_is_described_and_nothing_else() {
    let operations = shared::api::operations();
    let described: BTreeSet<(u16, &str)> = operations.into_iter().flat_map(|it| it.problems).collect();
    let listed = listed();
    let missing: Vec<_> = listed.difference(&described).collect();
    let too_much: Vec<_> = described.difference(&listed).collect();
    assert!(missing.is_empty(), "codes of docs/errors.md that no operation has: {missing:?}");
    assert!(too_much.is_empty(), "codes of operations that docs/errors.md lacks: {too_much:?}");
}

#[test]
fn operations_have_names_of_their_own_and_a_good_answer() {
    let operations = shared::api::operations();
    let names: BTreeSet<&str> = operations.iter().map(|it| it.id).collect();
    assert_eq!(names.len(), operations.len());
    for it in operations {
        assert!(it.answers.iter().any(|answer| (200..300).contains(&answer.status)), "{}", it.id);
        let named = it.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let in_path = it.parameters.iter().filter(|it| it.place == "path").map(|it| it.name);
        assert_eq!(named.collect::<BTreeSet<_>>(), in_path.collect(), "{}", it.id);
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let (document, mut found) = (document(), BTreeSet::new());
    references(&document, &mut found);
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

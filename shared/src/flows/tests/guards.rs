//! `docs/reliability.md` names the test that guards each promise, `docs/whatsapp-coverage.md` the one that proves
//! each row: none of those names may be of a test that is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Words shorter than this are names of other things: functions, reasons, columns.
const WORDS: usize = 6;

/// Test names in a text: between backticks, of many words.
fn named(text: &str) -> Vec<&str> {
    let between = text.split('`').skip(1).step_by(2);
    let last = between.filter_map(|name| name.rsplit("::").next());
    let is_name = |name: &&str| {
        name.split('_').count() >= WORDS && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    last.filter(is_name).collect()
}

fn sources(folder: &Path) -> String {
    let mut text = String::new();
    let mut open: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}

/// Names of tests in a page that are nowhere in the code.
fn gone(page: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join(page)).unwrap();
    let code = code(&root);
    let names = named(&text);
    assert!(names.len() > 30, "the list is found: {names:?}");
    let gone = names.into_iter().filter(|name| !code.contains(&format!("fn {name}(")));
    gone.map(str::to_owned).collect()
}

/// All that tests are in: the crates, the simulator's tests and the system tests.
fn code(root: &Path) -> String {
    let folders = ["shared/src", "functions", "infra/meta-simulator/tests", "infra/tests/tests"];
    folders.map(|folder| sources(&root.join(folder))).concat()
}

/// What proves a row: the last cell of each row of a table.
fn proofs(page: &str) -> Vec<&str> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.ends_with(" |"));
    let cells = rows.filter_map(|row| row.trim_end_matches(" |").rsplit("| ").next());
    cells.filter(|cell| *cell != "Proof").collect()
}

#[test]
fn every_test_that_the_list_of_guards_names_is_there() {
    assert_eq!(gone("docs/reliability.md"), Vec::<String>::new());
}

#[test]
fn every_test_and_every_body_that_the_coverage_names_is_there_and_no_body_is_missing() {
    assert_eq!(gone("docs/whatsapp-coverage.md"), Vec::<String>::new());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join("docs/whatsapp-coverage.md")).unwrap();
    let named: BTreeSet<&str> = text.split('`').skip(1).step_by(2).collect();
    let index = std::fs::read_to_string(root.join("infra/tests/payloads/index.json")).unwrap();
    let index: BTreeMap<String, serde_json::Value> = serde_json::from_str(&index).unwrap();
    let bodies: BTreeSet<&str> = index.keys().filter_map(|name| name.strip_suffix(".json")).collect();
    let missing: Vec<_> = bodies.difference(&named).collect();
    assert!(missing.is_empty() && bodies.len() > 120, "docs/whatsapp-coverage.md lacks {missing:?}");
    let code = code(&root);
    let proven = |cell: &&str| {
        let names: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        let is_there = |name: &&str| bodies.contains(*name) || code.contains(&format!("fn {name}("));
        cell.starts_with("None: ") || (!names.is_empty() && names.iter().all(is_there))
    };
    let proofs = proofs(&text);
    let unproven: Vec<_> = proofs.iter().filter(|cell| !proven(cell)).collect();
    assert!(unproven.is_empty() && proofs.len() > 150, "docs/whatsapp-coverage.md: no proof is {unproven:?}");
    let known =
        |name: &str| bodies.contains(name) || !name.contains('-') || !name.contains(char::is_lowercase);
    let unknown: Vec<_> =
        named.iter().filter(|name| !known(name) && !name.contains([' ', '[', '.', ':', '/'])).collect();
    assert!(unknown.is_empty(), "docs/whatsapp-coverage.md names {unknown:?}, which is no body");
}

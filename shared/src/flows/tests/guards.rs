//! `docs/reliability.md` names the test that guards each promise: none of those names may be of a test that is
//! gone.

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

#[test]
fn every_test_that_the_list_of_guards_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let list = std::fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let code = sources(&root.join("shared/src")) + &sources(&root.join("functions"));
    let names = named(&list);
    assert!(names.len() > 30, "the list is found: {names:?}");
    let gone: Vec<_> = names.into_iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(gone.is_empty(), "docs/reliability.md names {gone:?}");
}

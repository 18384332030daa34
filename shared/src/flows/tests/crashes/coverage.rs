//! Which outside calls there are, read from the code itself: a call that a flow makes and no use case covers
//! is found here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Methods of ports that are no outside calls.
const INSIDE: [&str; 4] = ["now", "bytes", "model", "usage"];

/// Every method of a port that a flow or send-message calls is among `names`.
pub(super) fn nothing_is_forgotten(names: &BTreeSet<&'static str>) {
    let covered: BTreeSet<&str> = names.iter().filter_map(|name| name.split(' ').next()).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let methods: BTreeSet<String> =
        sources(&root.join("ports")).iter().flat_map(|source| declared(source)).collect();
    let flows = sources(&root.join("flows")).join("\n");
    let called = methods.iter().filter(|method| flows.contains(&format!(".{method}(")));
    let forgotten: Vec<&String> =
        called.filter(|m| !covered.contains(m.as_str()) && !INSIDE.contains(&m.as_str())).collect();
    assert!(methods.len() > 50 && covered.len() > 50, "the code is found");
    assert!(forgotten.is_empty(), "no crash test covers {forgotten:?}: give them a use case in `cases`");
}

/// The names of the methods in the text of a port.
fn declared(source: &str) -> Vec<String> {
    let after = source.split("    fn ").skip(1);
    after.filter_map(|rest| rest.split(['(', '<']).next()).map(str::to_owned).collect()
}

/// The text of every file that is not a test's. Recovery and erasure, which people start, and events, which streams
/// bring, have their crash tests beside them; an export only reads.
fn sources(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    let mut open: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            let test =
                ["tests", "testing", "invariants", "simulation", "recovery", "erasure", "export", "events"]
                    .contains(&name.as_str());
            match (path.is_dir(), test) {
                (_, true) => {}
                (true, _) => open.push(path),
                _ => texts.push(std::fs::read_to_string(path).unwrap()),
            }
        }
    }
    texts
}

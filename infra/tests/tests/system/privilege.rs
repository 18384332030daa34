//! After everything else: the roles sufficed, and every right that they give was used.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use system_tests::privilege::{Call, Ledger};

use crate::support::{Case, World, cases};

/// Whether a right is used is only seen by a run of all tests.
pub(crate) fn cases(all_tests_run: bool) -> Vec<Case> {
    let mut cases = cases!["privilege":
        Last no_function_was_refused_a_call,
        Last the_page_on_least_privilege_says_what_the_template_grants,
        Last every_call_is_granted_and_every_grant_was_used,
    ];
    cases.truncate(if all_tests_run { 3 } else { 2 });
    cases
}

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A file of the stack's state folder.
fn state(world: &World, name: &str) -> PathBuf {
    world.info.logs.with_file_name(name)
}

fn ledger(world: &World) -> Result<Ledger> {
    let template: Value = serde_json::from_str(&read(&state(world, "template.json"))?)?;
    let exceptions = serde_json::from_str(&read(&repository("infra/tests/privilege.json"))?)?;
    Ok(Ledger::new(&template, exceptions))
}

async fn no_function_was_refused_a_call(world: &World) -> Result<()> {
    let mut refusals = Vec::new();
    for file in std::fs::read_dir(&world.info.logs)? {
        let path = file?.path();
        // As AWS's services say it, in codes and in words.
        let refused =
            |line: &&str| line.contains("AccessDenied") || line.contains("is not authorized to perform");
        refusals
            .extend(read(&path)?.lines().filter(refused).map(|line| format!("{}: {line}", path.display())));
    }
    ensure!(refusals.is_empty(), "{}", refusals.join("\n"));
    Ok(())
}

async fn the_page_on_least_privilege_says_what_the_template_grants(world: &World) -> Result<()> {
    let ledger = ledger(world)?;
    ensure!(ledger.problems.is_empty(), "{}", ledger.problems.join("\n"));
    let (fresh, committed) = (state(world, "least-privilege.md"), repository("docs/least-privilege.md"));
    std::fs::write(&fresh, ledger.report())?;
    let same = std::fs::read_to_string(&committed).is_ok_and(|text| text == ledger.report());
    ensure!(
        same,
        "the template grants something else: look at the difference and then cp {} docs/",
        fresh.display()
    );
    Ok(())
}

async fn every_call_is_granted_and_every_grant_was_used(world: &World) -> Result<()> {
    let calls = read(&state(world, "calls.jsonl"))?;
    let calls: Vec<Call> = calls.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let problems = ledger(world)?.compare(&calls);
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

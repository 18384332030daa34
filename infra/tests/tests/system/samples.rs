//! The sample events in `events/`.

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::support::{Case, World, cases};

pub(crate) fn cases() -> Vec<Case> {
    cases!["samples":
        Beside every_sample_event_is_taken_by_its_function,
    ]
}

async fn every_sample_event_is_taken_by_its_function(world: &World) -> Result<()> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let stack = world.info.logs.parent().context("the logs lie in no folder")?.join("stack.json");
    let mut script = Command::new("python3");
    let output = script.arg(format!("{root}/events/invoke")).arg("--stack").arg(stack).output().await?;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    let samples = std::fs::read_dir(format!("{root}/events"))?
        .filter(|entry| entry.as_ref().is_ok_and(|it| it.path().extension().is_some_and(|it| it == "json")));
    ensure!(said.lines().count() == samples.count(), "not all were called: {said}");
    for folder in std::fs::read_dir(format!("{root}/functions"))? {
        let name = folder?.file_name().to_string_lossy().into_owned();
        ensure!(said.contains(&format!(" {name} ")), "{name} has no sample event");
    }
    Ok(())
}

//! The functions' binaries: built by cargo where this program was built.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::progress::Progress;

/// What `cargo run` and `cargo test` set for the program they start. A nested cargo must not see it: build
/// scripts such as ring's watch some of these, and everything above them would be built again each time.
const CARGO_OWN: [&str; 6] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_", "OUT_DIR"];

/// Builds every function in the dev profile; the folder that holds the binaries.
pub(crate) async fn build(progress: Progress) -> Result<PathBuf> {
    progress.say("functions    building");
    let target = target_dir()?;
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--bins"]).current_dir(crate::root());
    for function in names()? {
        cargo.args(["-p", &function]);
    }
    if progress.is_quiet() {
        cargo.arg("--quiet");
    }
    for (name, _) in std::env::vars_os() {
        if CARGO_OWN.iter().any(|own| name.to_string_lossy().starts_with(own)) {
            cargo.env_remove(name);
        }
    }
    cargo.env("CARGO_TARGET_DIR", &target).stdin(Stdio::null()).kill_on_drop(true);
    let status = cargo.status().await.context("cargo could not be started: is Rust on the PATH?")?;
    if !status.success() {
        bail!("the functions could not be built: see cargo's messages above");
    }
    folder()
}

/// The folder that holds the binaries once they are built.
pub(crate) fn folder() -> Result<PathBuf> {
    Ok(target_dir()?.join("debug"))
}

/// The packages under `functions`, which are also the binaries' names.
fn names() -> Result<Vec<String>> {
    let folder = crate::root().join("functions");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry.context("cannot list the functions")?;
        if entry.path().join("Cargo.toml").exists() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Cargo's target folder: the one above this program that cargo has marked.
fn target_dir() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let marked = |folder: &&Path| folder.join("CACHEDIR.TAG").exists();
    match program.ancestors().find(marked) {
        Some(folder) => Ok(folder.to_path_buf()),
        None => bail!("{} is not in a folder of cargo's: start it by `cargo run`", program.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_lies_in_a_target_folder() {
        assert!(std::env::current_exe().unwrap().starts_with(target_dir().unwrap()));
    }

    #[test]
    fn every_function_is_found() {
        let names = names().unwrap();
        assert!(names.contains(&"webhook-receive".to_owned()), "{names:?}");
    }
}

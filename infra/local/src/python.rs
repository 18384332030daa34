//! The Python side: an interpreter, and a virtual environment with the emulator in it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use crate::progress::Progress;
use crate::state_dir::{private_dir, private_file};

/// Says whether an interpreter can make a virtual environment with pip in it (Debian packs that separately).
const PROBE: &str = "import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 9))";

/// The interpreter of the local cloud's virtual environment, made or renewed if need be.
pub(crate) async fn environment(progress: Progress) -> Result<PathBuf> {
    let requirements = crate::root().join("infra/local/requirements.txt");
    let note = || {
        progress.say("python       installing the local cloud into .local/venv (once, about half a minute)")
    };
    prepare("venv", &requirements, note).await.context(
        "the local cloud could not be installed: the first start needs a package index that pip can \
         reach (the network, or pip's index-url setting); try again, later starts need none",
    )
}

/// The interpreter of the virtual environment `.local/{name}` with what the file `requirements` (below the root) pins,
/// made or renewed if need be.
///
/// It is shared by all stacks of this working tree, tests included: an install takes half a minute.
///
/// # Errors
/// No Python, or no package index that pip can reach.
pub async fn virtual_environment(name: &str, requirements: &Path) -> Result<PathBuf> {
    prepare(name, &crate::root().join(requirements), || ()).await
}

async fn prepare(name: &str, requirements: &Path, note: impl FnOnce()) -> Result<PathBuf> {
    let local = crate::root().join(".local");
    private_dir(&local)?;
    let local = local.canonicalize().context("cannot open .local")?;
    let lock = private_file(&local.join(format!("{name}.lock")))?;
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock))
        .await
        .context("waiting for the virtual environment was cut short")?
        .context("cannot lock the virtual environment")?;

    let venv = local.join(name);
    let python = venv.join("bin/python");
    let stamp = venv.join("switchboard-stamp");
    let text =
        std::fs::read(requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let wanted = hex::encode(Sha256::digest(text));
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) && python.exists() {
        return Ok(python);
    }
    note();
    let system = interpreter().await?;
    run(Command::new(system).args(["-m", "venv", "--clear"]).arg(&venv), "python -m venv").await?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(requirements);
    run(&mut pip, "pip install").await?;
    std::fs::write(&stamp, wanted).context("cannot stamp the virtual environment")?;
    drop(lock);
    Ok(python)
}

async fn interpreter() -> Result<PathBuf> {
    let names = ["python3", "python3.13", "python3.12", "python3.11", "python3.10", "python3.9", "python"];
    for name in names {
        let mut probe = Command::new(name);
        probe.args(["-c", PROBE]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if probe.kill_on_drop(true).status().await.is_ok_and(|status| status.success()) {
            return Ok(name.into());
        }
    }
    bail!(
        "no Python 3.9 or newer with venv and pip was found, which the local cloud runs on: install it \
         (Debian and Ubuntu: apt install python3 python3-venv; macOS: brew install python) and start again"
    )
}

/// Runs a command to its end; an error has what it said.
pub(crate) async fn run(command: &mut Command, name: &str) -> Result<()> {
    output(command, name).await.map(drop)
}

/// Runs a command to its end and gives its standard output; an error has what it said.
pub(crate) async fn output(command: &mut Command, name: &str) -> Result<Vec<u8>> {
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("{name} could not be started"))?;
    if !output.status.success() {
        bail!("{name} failed ({}):\n{}", output.status, tail(&output.stderr));
    }
    Ok(output.stdout)
}

/// The last lines, cut to a readable width: a trace may quote a whole template.
fn tail(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<String> = text.lines().map(|line| line.chars().take(400).collect()).collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_quotes_the_end_of_what_was_said() {
        let said = (0..100).map(|n| format!("line {n}\n")).collect::<String>() + &"x".repeat(10_000);
        let tail = tail(said.as_bytes());
        assert!(tail.contains("line 99") && !tail.contains("line 50"));
        assert!(tail.len() < 1000);
    }

    #[tokio::test]
    async fn a_failed_command_is_named_with_its_words() {
        let error = run(Command::new("sh").args(["-c", "echo nonsense >&2; exit 3"]), "the shell").await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("the shell") && error.contains("nonsense"), "{error}");
    }
}

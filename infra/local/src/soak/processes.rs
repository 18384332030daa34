//! The functions' running processes: children of our own emulator, and of nobody else.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

/// The processes below `emulator` that run a function's binary, by process id. Nothing where the system has
/// no `/proc`.
pub(super) fn of_functions(emulator: u32, binaries: &Path) -> Vec<u32> {
    let parents = parents();
    let is_below = |mut id: u32| {
        // No chain is longer; a circle cannot be, but ids are used again while we read.
        for _ in 0..32 {
            match parents.get(&id) {
                Some(parent) if *parent == emulator => return true,
                Some(parent) => id = *parent,
                None => return false,
            }
        }
        false
    };
    let runs_function = |id: &u32| {
        std::fs::read_link(format!("/proc/{id}/exe")).is_ok_and(|program| program.starts_with(binaries))
    };
    parents.keys().copied().filter(|id| is_below(*id)).filter(runs_function).collect()
}

/// The parent of every process.
fn parents() -> BTreeMap<u32, u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(|id| Some((id, parent(id)?))).collect()
}

fn parent(id: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in brackets, may hold anything; state and parent follow its last bracket.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// `kill -9`; whether there was such a process.
pub(super) async fn kill(id: u32) -> bool {
    // The shell's own: not every system has the program.
    let mut command = Command::new("sh");
    command.args(["-c", "kill -9 \"$0\""]).arg(id.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_child_that_runs_such_a_binary_is_found_and_killed() {
        let Ok(sleep) = std::fs::canonicalize("/bin/sleep") else { return };
        let folder = sleep.parent().unwrap();
        let mut child = Command::new(&sleep).arg("60").kill_on_drop(true).spawn().unwrap();
        let id = child.id().unwrap();
        let us = std::process::id();
        assert!(of_functions(us, folder).contains(&id));
        assert!(!of_functions(us, Path::new("/nowhere")).contains(&id));
        assert!(!of_functions(id, folder).contains(&id), "it is no child of its own");
        assert!(kill(id).await);
        assert!(!child.wait().await.unwrap().success());
    }
}

//! The folder that holds everything a stack makes.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// What `--fresh` leaves: tools, a soak's own stack, and the lock that we hold.
const KEPT: [&str; 10] = [
    "venv",
    "venv.lock",
    "outside-venv",
    "outside-venv.lock",
    "tests-venv",
    "tests-venv.lock",
    "ci-venv",
    "dynamodb-local",
    "soak",
    "lock",
];

/// The folder, ours alone while this value lives.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Makes the folder, readable by its owner only, and locks it.
    pub(crate) fn open(path: &Path, fresh: bool) -> Result<Self> {
        private_dir(path)?;
        let path = fs::canonicalize(path).with_context(|| format!("cannot open {}", path.display()))?;
        let lock = private_file(&path.join("lock"))?;
        if lock.try_lock().is_err() {
            bail!("another Switchboard runs in {}: stop it first (Ctrl-C in its terminal)", path.display());
        }
        let dir = Self { path, _lock: lock };
        if fresh {
            dir.clear()?;
        }
        // Left behind if the launcher was killed: it would describe a stack that is gone.
        dir.remove("stack.json")?;
        for folder in ["keys", "logs", "tmp"] {
            private_dir(&dir.file(folder))?;
        }
        Ok(dir)
    }

    /// Whether another process has the folder.
    pub(crate) fn is_in_use(path: &Path) -> Result<bool> {
        let lock = path.join("lock");
        Ok(lock.exists() && private_file(&lock)?.try_lock().is_err())
    }

    /// A path in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file, readable by its owner only, in one move.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        let path = self.file(name);
        let unfinished = self.file(&format!("{name}.new"));
        let write = || -> std::io::Result<()> {
            let mut file = private_options().truncate(true).open(&unfinished)?;
            file.write_all(content)?;
            fs::rename(&unfinished, &path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// The content of a file; `None` if there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.file(name);
        match fs::read(&path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Removes a file, if there is one.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    fn clear(&self) -> Result<()> {
        for entry in fs::read_dir(&self.path).context("cannot list the state folder")? {
            let entry = entry.context("cannot list the state folder")?;
            if KEPT.iter().any(|kept| entry.file_name() == *kept) {
                continue;
            }
            let path = entry.path();
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(())
    }
}

/// Makes a folder that only its owner may enter.
pub(crate) fn private_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the folder {}", path.display()))
}

/// Opens a file for writing that only its owner may read.
pub(crate) fn private_file(path: &Path) -> Result<File> {
    private_options().open(path).with_context(|| format!("cannot write {}", path.display()))
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_in_use_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let _first = StateDir::open(temp.path(), false).unwrap();
        let error = StateDir::open(temp.path(), false).unwrap_err().to_string();
        assert!(error.contains("another Switchboard"), "{error}");
    }

    #[test]
    fn a_fresh_start_forgets_all_but_the_tools() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir_all(temp.path().join("venv/bin")).unwrap();
        fs::create_dir_all(temp.path().join("cloud")).unwrap();
        fs::write(temp.path().join("cloud/sqs.json"), "{}").unwrap();
        let dir = StateDir::open(temp.path(), true).unwrap();
        assert!(dir.file("venv/bin").is_dir());
        assert!(!dir.file("cloud/sqs.json").exists());
    }

    #[test]
    fn what_is_written_is_its_owners_only() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::open(temp.path(), false).unwrap();
        let path = dir.write("stack.json", b"{}").unwrap();
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(dir.read("stack.json").unwrap().unwrap(), b"{}");
        dir.remove("stack.json").unwrap();
        assert!(dir.read("stack.json").unwrap().is_none());
    }
}

//! Documents that would grow false if they were written by hand: the configuration reference, out of the template and the
//! functions' code, and the cost sheet, out of prices and measurements.

pub mod configuration;
pub mod cost;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The top of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests;

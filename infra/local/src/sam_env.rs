//! Environments for running one function by hand against the running stack.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::cloud::{CREDENTIALS, Deployed};
use crate::state_dir::StateDir;

const SAM: &str = "sam-env.json";
const LAMBDA: &str = "lambda.env";

/// Writes `sam-env.json` for `sam local invoke --env-vars` and `lambda.env` for
/// `cargo lambda watch --env-file`. They name secrets, but hold none.
pub(crate) fn write(dir: &StateDir, deployed: &Deployed) -> Result<()> {
    let json = serde_json::to_vec_pretty(&deployed.environments).context("environments cannot be written")?;
    dir.write(SAM, &json)?;
    dir.write(LAMBDA, lines(&deployed.environments).as_bytes())?;
    Ok(())
}

/// Removes both: they describe a running stack.
pub(crate) fn remove(dir: &StateDir) -> Result<()> {
    dir.remove(SAM)?;
    dir.remove(LAMBDA)
}

/// One environment for all functions: a name means the same in each. A value with blanks must stand in quotes, and
/// none of ours has single ones.
fn lines(environments: &BTreeMap<String, BTreeMap<String, String>>) -> String {
    let mut all: BTreeMap<&str, &str> = CREDENTIALS.into_iter().collect();
    for environment in environments.values() {
        all.extend(environment.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    }
    all.iter().map(|(name, value)| format!("{name}='{value}'\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_hold_every_name_once_with_the_credentials() {
        let one = |name: &str| {
            BTreeMap::from([(name.to_owned(), "v".to_owned()), ("X".to_owned(), "y z".to_owned())])
        };
        let lines = lines(&BTreeMap::from([("A".to_owned(), one("P")), ("B".to_owned(), one("Q"))]));
        assert_eq!(lines.matches("X='y z'\n").count(), 1);
        for line in ["P='v'\n", "Q='v'\n", "AWS_ACCESS_KEY_ID='test'\n"] {
            assert!(lines.contains(line), "{lines}");
        }
    }
}

//! What the tests stand on: the running stack, and short ways to speak to its parts.

pub(crate) mod api;
pub(crate) mod cloud;
pub(crate) mod description;
pub(crate) mod secret;
pub(crate) mod sim;
pub(crate) mod suite;
pub(crate) mod world;

pub(crate) use api::{Answer, Api};
pub(crate) use sim::{Signup, Sim};
pub(crate) use suite::{Case, cases};
pub(crate) use world::{Client, World};

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep};

/// Longest wait for anything. No measure of speed: it only ends a test that would wait for ever. Some wait
/// for a schedule, which comes each minute to what is due a minute after it was left.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(150);

/// Looks until `check` succeeds; its last error is what is missing.
pub(crate) async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match check().await {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() > deadline => {
                return Err(error).with_context(|| format!("{what}: waited for in vain"));
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

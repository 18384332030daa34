//! An event is a job and its options; the answer says what was done.

use serde_json::{Value, json};
use shared::error::Chain;
use shared::flows::recovery::{Job, Records, Recovery, RecoveryError};
use shared::ports::{Clock, DeadLetters, Random, SendBack, SendInbound};

pub(crate) async fn handle<S, D, I, C, R>(
    recovery: &Recovery<'_, S, D, I, C, R>, // dynamodb on messages, clients, events, quarantine, blobs; sqs
    event: Value,
) -> Result<Value, RecoveryError>
where
    S: Records,
    D: DeadLetters + SendBack,
    I: SendInbound,
    C: Clock,
    R: Random,
{
    // What is wrong with it is said in serde's words, which name members and never show bodies: an operator
    // wrote it.
    let job: Job = serde_json::from_value(event).map_err(|e| RecoveryError::Request(e.to_string()))?;
    let outcome =
        recovery.run(&job).await.inspect_err(|e| tracing::error!(error = %Chain(e), "the job failed"))?;
    tracing::info!(%outcome, "done");
    Ok(json!(outcome))
}

#[cfg(test)]
mod tests;

//! An event is a job and its options; the answer says what was done.

use serde_json::{Value, json};
use shared::flows::recovery::{Job, Outcome, Records, Recovery, RecoveryError};
use shared::ports::{Clock, DeadLetters, Random, SendBack, SendInbound};
use shared::telemetry::unit::{self, End};

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
    let job = serde_json::from_value(event).map_err(|e| RecoveryError::Request(e.to_string()));
    let work = async { recovery.run(job.as_ref().map_err(|e| RecoveryError::Request(e.to_string()))?).await };
    let end = |result: &Result<Outcome, RecoveryError>| {
        let mut end = match result {
            Ok(outcome) => End { fields: vec![("result", outcome.to_string().into())], ..End::well() },
            Err(error @ RecoveryError::Request(_)) => End::failed("wrong_request", error),
            Err(error @ RecoveryError::Store(_)) => End::failed("failed", error),
        };
        end.fields.extend(job.as_ref().ok().map(|job: &Job| ("job", job.name().into())));
        Some(end)
    };
    let outcome = unit::run("job", None, work, end).await?;
    Ok(json!(outcome))
}

#[cfg(test)]
mod tests;

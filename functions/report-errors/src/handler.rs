//! A batch of lines on errors, as a log group hands them over; each becomes an event of Sentry's.
//!
//! CloudWatch Logs calls the function asynchronously, so Lambda calls it again twice if it fails (Lambda's developer
//! guide, "Invoking Lambda with events from other AWS services" and "Asynchronous invocation", read 2026-11-22). This
//! function's own log group hands nothing over: its errors go nowhere but into its log.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::adapters::sentry::SentryError;
use shared::domain::raw::{Damaged, gunzip};
use shared::error::Chain;
use shared::telemetry::{metric, unit};
use tokio::time::Instant;

use crate::envelope::{Deployment, LogEvent, envelope};

/// Most events of one batch. Where everything fails, the first ones tell what there is to tell.
const MOST: usize = 50;
/// After so long no further event is sent: Lambda ends a run after 60 s (`template.yaml`) and begins it anew
/// with the first event, so the last ones would never be.
const TIME: Duration = Duration::from_secs(45);

/// What the log group hands over, unpacked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    message_type: String,
    log_group: String,
    log_events: Vec<LogEvent>,
}

#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("it has no data")]
    NoData,
    #[error("its data is no base64")]
    Base64(#[source] base64::DecodeError),
    #[error("its data does not unpack")]
    Gzip(#[source] Damaged),
    #[error("its data is no batch of lines")]
    Json(#[source] serde_json::Error),
}

/// Reports a batch. Fails where Sentry may take it later: what was taken before comes again then, with the same ids.
pub(crate) async fn handle(
    send: impl AsyncFn(Vec<u8>) -> Result<(), SentryError>,
    deployment: &Deployment,
    event: &Value,
) -> Result<Value, SentryError> {
    match read(event) {
        Ok(batch) if batch.message_type == "DATA_MESSAGE" => {
            let reported = unit::job("report-errors", report(send, deployment, &batch)).await?;
            Ok(json!({ "reported": reported }))
        }
        // `CONTROL_MESSAGE`: CloudWatch Logs looks whether the function is there.
        Ok(_) => Ok(json!({ "reported": 0 })),
        Err(error) => {
            tracing::warn!(metric = metric::ERROR_UNREPORTED, error = %Chain(&error), "a batch cannot be read");
            Ok(json!({ "reported": 0 }))
        }
    }
}

async fn report(
    send: impl AsyncFn(Vec<u8>) -> Result<(), SentryError>,
    deployment: &Deployment,
    batch: &Batch,
) -> Result<usize, SentryError> {
    let envelopes = batch.log_events.iter().filter_map(|event| envelope(&batch.log_group, event, deployment));
    let (mut reported, mut left) = (0, 0);
    let begun = Instant::now();
    for (number, envelope) in envelopes.enumerate() {
        if number >= MOST || begun.elapsed() > TIME {
            left += 1;
            continue;
        }
        match send(envelope).await {
            Ok(()) => reported += 1,
            // Never as an error: nobody mends by repeating it.
            Err(SentryError::Refused(status)) => {
                tracing::warn!(metric = metric::ERROR_UNREPORTED, status, "Sentry refuses an event");
            }
            Err(error) => return Err(error),
        }
    }
    if left > 0 {
        tracing::warn!(count = left, "more errors at once than are reported");
    }
    unit::number("count", reported);
    Ok(reported)
}

/// Base64 of gzip of JSON (CloudWatch Logs user guide, "Subscription filters with Lambda", read 2026-11-22).
fn read(event: &Value) -> Result<Batch, Unreadable> {
    let data = event["awslogs"]["data"].as_str().ok_or(Unreadable::NoData)?;
    let packed = STANDARD.decode(data).map_err(Unreadable::Base64)?;
    // Cut off where it is too long to be a batch; then it is no JSON.
    let json = gunzip(&packed).map_err(Unreadable::Gzip)?;
    serde_json::from_slice(&json).map_err(Unreadable::Json)
}

#[cfg(test)]
mod tests;

//! Each message of the queue asks for one file; the schedule asks for those that nobody asked for.

use serde_json::{Value, json};
use shared::domain::media::Fetch;
use shared::error::StoreError;
use shared::flows::media::{Fetching, Records};
use shared::ports::{Clock, EraseFiles, MediaGraph, PutFiles, Seal, SendFetches};
use shared::queue::{Trigger, each};
use shared::telemetry::unit;

/// How many due files one run of the schedule asks for; the next run takes the rest.
const SWEEP: usize = 500;

pub(crate) async fn handle<S, K, G, F, Q, C>(
    fetching: &Fetching<'_, S, K, G, F, Q, C>, // dynamodb on media, clients, grants; kms; s3:PutObject, DeleteObject; sqs
    trigger: Trigger,
) -> Result<Value, StoreError>
where
    S: Records,
    K: Seal,
    G: MediaGraph,
    F: PutFiles + EraseFiles,
    Q: SendFetches,
    C: Clock,
{
    match trigger {
        Trigger::Messages(event) => {
            let response = each(
                event,
                || true,
                async |message| {
                    let body = message.body.as_deref().unwrap_or_default();
                    match serde_json::from_str::<Fetch>(body) {
                        Ok(fetch) => fetching.fetch(&fetch).await,
                        Err(_) => {
                            unit::outcome("not_a_file");
                            Ok(())
                        }
                    }
                },
            )
            .await;
            Ok(json!(response))
        }
        Trigger::Schedule(job) if job == "fetch-due-media" => {
            Ok(json!({ "asked": unit::job(&job, fetching.sweep(SWEEP)).await? }))
        }
        Trigger::Schedule(_) | Trigger::Unknown => Ok(json!({})),
    }
}

#[cfg(test)]
mod tests;

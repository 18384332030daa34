//! Each message of the queue asks for one call; the schedule asks for those that are due again.

use serde_json::{Value, json};
use shared::error::StoreError;
use shared::flows::events::deliver::{Delivering, Records};
use shared::ports::{CallTargets, Clock, Seal, SendJobs};
use shared::queue::{Trigger, at_once};
use shared::telemetry::unit;

/// How many due deliveries one run of the schedule asks for; the next run takes the rest.
const SWEEP: usize = 10_000;

pub(crate) async fn handle<S, K, T, Q, C>(
    delivering: &Delivering<'_, S, K, T, Q, C>, // dynamodb on subscriptions and deliveries; kms:Decrypt; sqs; the internet
    trigger: Trigger,
) -> Result<Value, StoreError>
where
    S: Records,
    K: Seal,
    T: CallTargets,
    Q: SendJobs,
    C: Clock,
{
    match trigger {
        Trigger::Messages(event) => {
            // Together: one address that is slow delays nobody else in the batch.
            let response = at_once(&event, async |message| {
                let body = message.body.as_deref().unwrap_or_default();
                match serde_json::from_str(body) {
                    Ok(job) => delivering.deliver(&job).await,
                    // Perhaps one of another version, which reads it. Its text, which may be a customer's, is not said.
                    Err(_) => {
                        Err(StoreError::corrupt("the queue events", "not a job that this version knows"))
                    }
                }
            })
            .await;
            Ok(json!(response))
        }
        Trigger::Schedule(job) if job == "deliver-due-events" => {
            Ok(json!({ "asked": unit::job(&job, delivering.sweep(SWEEP)).await? }))
        }
        Trigger::Schedule(_) | Trigger::Unknown => Ok(json!({})),
    }
}

#[cfg(test)]
mod tests;

//! Each message of the queue is a nudge; the schedule looks for what no nudge reached.

use serde_json::{Value, json};
use shared::error::StoreError;
use shared::flows::reply::{Records, Reply};
use shared::ports::{Clock, Complete, MessageGraph, Random, ReadFiles, Seal, SendNudges, TokenGraph};
use shared::queue::{Trigger, each, nudge};
use shared::telemetry::unit;

/// How many lost nudges one run of the schedule makes good; the next run takes the rest.
const SWEEP: usize = 500;

pub(crate) async fn handle<S, K, G, F, Q, L, C, R>(
    reply: &Reply<'_, S, K, G, F, Q, L, C, R>, // dynamodb on messages, media, conversations, bots, clients, grants, rates; kms; s3; sqs; bedrock
    trigger: Trigger,
) -> Result<Value, StoreError>
where
    S: Records,
    K: Seal,
    G: MessageGraph + TokenGraph,
    F: ReadFiles,
    Q: SendNudges,
    L: Complete,
    C: Clock,
    R: Random,
{
    match trigger {
        Trigger::Messages(event) => {
            let response = each(
                event,
                || true,
                async |message| match nudge(message) {
                    Some(nudge) => reply.nudge(&nudge).await,
                    None => {
                        unit::outcome("not_a_nudge");
                        Ok(())
                    }
                },
            )
            .await;
            Ok(json!(response))
        }
        Trigger::Schedule(job) if job == "sweep-due-answers" => {
            let sweep = async {
                let nudged = reply.sweep(SWEEP).await?;
                let unresolved = reply.report_unresolved(SWEEP).await?;
                Ok(json!({ "nudged": nudged, "unresolved": unresolved }))
            };
            unit::job(&job, sweep).await
        }
        Trigger::Schedule(_) | Trigger::Unknown => Ok(json!({})),
    }
}

#[cfg(test)]
mod tests;

//! Two jobs: the tokens that are due, and our system user's.

use serde_json::{Value, json};
use shared::error::StoreError;
use shared::flows::token_care::{Meta, Records, TokenCare};
use shared::ports::{Clock, Seal, SystemTokens};
use shared::queue::Trigger;
use shared::telemetry::unit;

/// How many due tokens one run looks for; it takes as many as it has time for, the next run the others.
const DUE: usize = 200;

pub(crate) async fn handle<S, K, G, V, C>(
    care: &TokenCare<'_, S, K, G, V, C>, // dynamodb on grants, clients, events; kms; secretsmanager
    trigger: Trigger,
) -> Result<Value, StoreError>
where
    S: Records,
    K: Seal,
    G: Meta,
    V: SystemTokens,
    C: Clock,
{
    match trigger {
        Trigger::Schedule(job) if job == "look-after-tokens" => {
            Ok(json!({ "due": unit::job(&job, care.run_due(DUE)).await? }))
        }
        Trigger::Schedule(job) if job == "look-after-system-token" => {
            unit::job(&job, care.look_after_system_token()).await?;
            Ok(json!({}))
        }
        Trigger::Schedule(_) | Trigger::Messages(_) | Trigger::Unknown => Ok(json!({})),
    }
}

#[cfg(test)]
mod tests;

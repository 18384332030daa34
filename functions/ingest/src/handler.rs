//! Each message of the queue is a parcel; only the failed ones come again.

use std::time::Duration;

use serde_json::{Value, json};
use shared::flows::ingest::{Ingest, Records};
use shared::ports::{Clock, SendFetches, SendInbound, SendNudges};
use shared::queue::{Trigger, each, parcel};
use shared::telemetry::unit;

/// After so long no further parcel is begun. The function's timeout in `template.yaml` is 30 s, and one parcel
/// may wait for some calls of 8 s.
const BUDGET: Duration = Duration::from_secs(12);

pub(crate) async fn handle<S, I, Q, F, C>(
    ingest: &Ingest<'_, S, I, Q, F, C>, // dynamodb on messages, conversations, clients, events, quarantine, blobs, media; sqs
    trigger: Trigger,
) -> Value
where
    S: Records,
    I: SendInbound,
    Q: SendNudges,
    F: SendFetches,
    C: Clock,
{
    let Trigger::Messages(event) = trigger else { return json!({}) };
    let begun = ingest.clock.now();
    let has_time = || ingest.clock.now() < begun + BUDGET;
    let response = each(event, has_time, async |message| {
        let parcel = parcel(message, ingest.clock.now());
        let tally = ingest.parcel(&parcel).await?;
        let age_ms = ingest.clock.now().duration_since(parcel.received_at).as_millis();
        let numbers = [
            ("messages", tally.messages),
            ("statuses", tally.statuses),
            ("other", tally.other),
            ("quarantined", tally.quarantined),
            ("ageMs", usize::try_from(age_ms).unwrap_or_default()),
        ];
        numbers.into_iter().for_each(|(name, number)| unit::number(name, number));
        unit::outcome_else("stored");
        Ok(())
    })
    .await;
    json!(response)
}

#[cfg(test)]
mod tests;

//! Each record of a stream is a change; what changed may be an event.

use serde_json::{Value, json};
use shared::adapters::dynamo::{change, records};
use shared::error::{Chain, StoreError};
use shared::flows::events::publish::{Publishing, Stopped};
use shared::ports::{Clock, ListSubscriptions, ReadClients, SendJobs};
use shared::telemetry::metric;

pub(crate) async fn handle<S, Q, C>(
    publishing: &Publishing<'_, S, Q, C>, // dynamodb:Query on subscriptions, GetItem on clients; sqs:SendMessage on events
    event: &Value,
) -> Result<Value, StoreError>
where
    S: ListSubscriptions + ReadClients,
    Q: SendJobs,
    C: Clock,
{
    let mut numbers = Vec::new();
    let mut changes = Vec::new();
    for (number, record) in records(event).unwrap_or_default() {
        match change(record) {
            Ok(Some(change)) => {
                numbers.push(number);
                changes.push(change);
            }
            Ok(None) => {}
            // It will be no more readable another time; the record itself is where it was.
            Err(error) => tracing::error!(
                metric = metric::EVENT_UNREADABLE,
                error = %Chain(&error),
                "nobody is told of a change"
            ),
        }
    }
    match publishing.publish(&changes).await {
        Ok(jobs) => {
            if jobs > 0 {
                tracing::info!(changes = changes.len(), jobs, "events are on their way");
            }
            Ok(json!({ "batchItemFailures": [] }))
        }
        Err(Stopped { published: 0, error }) => Err(error),
        Err(Stopped { published, error }) => {
            tracing::error!(error = %Chain(&error), "changes come again");
            // The stream goes on from there.
            Ok(json!({ "batchItemFailures": [{ "itemIdentifier": numbers[published] }] }))
        }
    }
}

#[cfg(test)]
mod tests;

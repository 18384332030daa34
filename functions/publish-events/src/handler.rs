//! Each record of a stream is a change; what changed may be an event.

use serde_json::{Value, json};
use shared::adapters::dynamo::{change, records};
use shared::error::{Chain, StoreError};
use shared::flows::events::publish::{Publishing, Stopped};
use shared::ports::{Clock, ListSubscriptions, ReadClients, SendJobs};
use shared::telemetry::metric;
use shared::telemetry::unit::{self, End};

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
    let publish = async {
        unit::number("changes", changes.len());
        unit::number("deliveries", publishing.publish(&changes).await?);
        Ok(())
    };
    match unit::run("job", None, publish, |done| Some(line_of(done))).await {
        Ok(()) => Ok(json!({ "batchItemFailures": [] })),
        Err(Stopped { published: 0, error }) => Err(error),
        // The stream goes on from there.
        Err(Stopped { published, .. }) => {
            Ok(json!({ "batchItemFailures": [{ "itemIdentifier": numbers[published] }] }))
        }
    }
}

fn line_of(done: &Result<(), Stopped>) -> End {
    let mut end = match done {
        Ok(()) => End::well(),
        Err(stopped) => End::failed("come_again", &stopped.error),
    };
    end.fields.push(("job", "publish-changes".into()));
    end
}

#[cfg(test)]
mod tests;

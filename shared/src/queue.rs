//! Queue events in, batch results out.

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage, SqsMessageAttribute};
use futures_util::future::join_all;
use serde_json::Value;

use crate::domain::Timestamp;
use crate::domain::answer::Nudge;
use crate::domain::letter::{Attribute, Letter};
use crate::domain::parcel::Parcel;
use crate::error::StoreError;
use crate::telemetry::unit::{self, End};

pub use crate::domain::letter::attribute;

/// Why a function with a queue was called.
#[derive(Debug)]
pub enum Trigger {
    /// Messages of its queue.
    Messages(SqsEvent),
    /// A schedule, with the name of its job.
    Schedule(String),
    /// Something else; there is nothing to do.
    Unknown,
}

impl Trigger {
    /// Reads an event. Schedules send `{"source": "switchboard.schedule", "job": …}`.
    #[must_use]
    pub fn parse(event: Value) -> Self {
        if let Some(job) = scheduled_job(&event) {
            return Self::Schedule(job);
        }
        match serde_json::from_value(event) {
            Ok(messages) => Self::Messages(messages),
            Err(_) => Self::Unknown,
        }
    }
}

/// The job of a schedule's event.
#[must_use]
pub fn scheduled_job(event: &Value) -> Option<String> {
    let source = event.get("source")?.as_str()?;
    (source == "switchboard.schedule").then(|| event.get("job")?.as_str().map(str::to_owned))?
}

/// Runs `job` for each message, one after the other, and reports those that failed: they alone come again. So
/// do those that are not begun when `has_time` ends: better than a timeout, after which all come again. Each is a
/// [`unit`](mod@unit) of work, in the trace of whoever sent it.
pub async fn each(
    event: SqsEvent,
    has_time: impl Fn() -> bool,
    mut job: impl AsyncFnMut(&SqsMessage) -> Result<(), StoreError>,
) -> SqsBatchResponse {
    let mut failures = Vec::new();
    for message in &event.records {
        // On the heap: all of a function's work nests deeper than what the compiler lays out as one.
        let work = async { if has_time() { Box::pin(job(message)).await.map(|()| true) } else { Ok(false) } };
        failures.extend(one(message, work).await);
    }
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failures;
    response
}

fn line_of(message: &SqsMessage, done: &Result<bool, StoreError>) -> End {
    let mut end = match done {
        Ok(true) => End::well(),
        Ok(false) => End { outcome: Some("no_time_left".to_owned()), ..End::well() },
        Err(error) => End::failed("back_to_queue", error),
    };
    end.fields.extend(message.message_id.as_ref().map(|id| ("queueMessageId", id.as_str().into())));
    let tries = message.attributes.get("ApproximateReceiveCount").and_then(|tries| tries.parse::<u64>().ok());
    end.fields.extend(tries.map(|tries| ("tries", tries.into())));
    end
}

/// As [`each`], but all messages together: for jobs that wait for somebody else.
pub async fn at_once(
    event: &SqsEvent,
    job: impl AsyncFn(&SqsMessage) -> Result<(), StoreError>,
) -> SqsBatchResponse {
    let job = &job;
    let jobs = event
        .records
        .iter()
        .map(|message| one(message, async { Box::pin(job(message)).await.map(|()| true) }));
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = join_all(jobs).await.into_iter().flatten().collect();
    response
}

/// One message as a unit of work, in the trace of whoever sent it; what is reported unless it was done.
async fn one(
    message: &SqsMessage,
    work: impl Future<Output = Result<bool, StoreError>>,
) -> Option<BatchItemFailure> {
    let carried = message.attributes.get("AWSTraceHeader").map(String::as_str);
    let done = unit::run("message", carried, work, |done| Some(line_of(message, done))).await;
    (!matches!(done, Ok(true))).then(|| failure(message.message_id.clone().unwrap_or_default()))
}

fn failure(id: String) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = id;
    failure
}

/// A message of `inbound`. One that we did not write is taken for a webhook body: ingest keeps it.
#[must_use]
pub fn parcel(message: &SqsMessage, now: Timestamp) -> Parcel {
    let text = |attribute: &SqsMessageAttribute| {
        let (kind, value) = (attribute.data_type.clone(), attribute.string_value.clone());
        Some(Attribute { kind: kind.unwrap_or_default(), value: value? })
    };
    let attributes = &message.message_attributes;
    let attributes =
        attributes.iter().filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect();
    Letter { body: message.body.clone().unwrap_or_default(), attributes }.parcel(now)
}

/// A message of `answers`; `None` for what we did not write.
#[must_use]
pub fn nudge(message: &SqsMessage) -> Option<Nudge> {
    serde_json::from_str(message.body.as_deref()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::parcel::Content;

    fn event(records: &Value) -> SqsEvent {
        serde_json::from_value(json!({"Records": records})).unwrap()
    }

    #[tokio::test]
    async fn only_what_failed_is_reported() {
        let event = event(&json!([{"messageId": "1", "body": "a"}, {"messageId": "2", "body": "b"}]));
        let response = each(
            event,
            || true,
            async |message| match message.body.as_deref() {
                Some("b") => Err(StoreError::service("test", "down")),
                _ => Ok(()),
            },
        )
        .await;
        let ids: Vec<_> = response.batch_item_failures.iter().map(|f| f.item_identifier.as_str()).collect();
        assert_eq!(ids, ["2"]);
    }

    #[tokio::test]
    async fn what_is_not_begun_in_time_goes_back_untouched() {
        let event = event(&json!([{"messageId": "1"}, {"messageId": "2"}, {"messageId": "3"}]));
        let done = std::cell::Cell::new(0);
        let response = each(
            event,
            || done.get() < 1,
            async |_| {
                done.set(done.get() + 1);
                Ok(())
            },
        )
        .await;
        let ids: Vec<_> = response.batch_item_failures.iter().map(|f| f.item_identifier.as_str()).collect();
        assert_eq!((ids, done.get()), (vec!["2", "3"], 1));
    }

    #[test]
    fn a_foreign_message_is_taken_for_a_body() {
        let event = event(&json!([{"messageId": "1", "body": "x"}]));
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(
            parcel(&event.records[0], now),
            Parcel { content: Content::Body("x".to_owned()), received_at: now, silent: false }
        );
        assert_eq!(nudge(&event.records[0]), None);
    }

    #[test]
    fn a_schedule_is_told_from_messages() {
        assert!(
            matches!(Trigger::parse(json!({"source": "switchboard.schedule", "job": "j"})), Trigger::Schedule(j) if j == "j")
        );
        assert!(matches!(Trigger::parse(json!({"Records": []})), Trigger::Messages(_)));
        assert!(matches!(Trigger::parse(json!(5)), Trigger::Unknown));
    }
}

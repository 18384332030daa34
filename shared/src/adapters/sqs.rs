//! SQS: the queues that feed functions, and the dead-letter queues.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageAttributeValue, MessageSystemAttributeName, MessageSystemAttributeNameForSends,
    MessageSystemAttributeValue, SendMessageBatchRequestEntry as Entry,
};
use tokio::task::JoinSet;

use super::aws::failure;
use crate::domain::Timestamp;
use crate::domain::answer::Nudge;
use crate::domain::delivery::Job;
use crate::domain::letter::{self, Attribute, DeadLetter, DeadQueue, FedQueue, Letter};
use crate::domain::media::Fetch;
use crate::domain::parcel::{Parcel, SQS_LIMIT, batches};
use crate::error::StoreError;
use crate::ports::{DeadLetters, SendBack, SendFetches, SendInbound, SendJobs, SendNudges};
use crate::telemetry::{TraceHeader, unit};

const OPERATION: &str = "sqs SendMessageBatch";
const RECEIVE: &str = "sqs ReceiveMessage";
const DELETE: &str = "sqs DeleteMessageBatch";
const RELEASE: &str = "sqs ChangeMessageVisibilityBatch";
/// Most messages of one batch call (AWS, SQS quotas, 2026).
const BATCH: usize = 10;
/// Longest delay of a message, in seconds (AWS, SQS quotas, 2026).
const LONGEST_DELAY_SECONDS: u64 = 900;

/// The queue `inbound`.
#[derive(Debug, Clone)]
pub struct InboundQueue(Queue);

/// The queue `media`.
#[derive(Debug, Clone)]
pub struct MediaQueue(Queue);

/// The queue `answers`.
#[derive(Debug, Clone)]
pub struct AnswersQueue(Queue);

/// The queue `events`.
#[derive(Debug, Clone)]
pub struct EventsQueue(Queue);

impl InboundQueue {
    /// The queue at this URL.
    #[must_use]
    pub fn new(client: Client, url: String) -> Self {
        Self(Queue { client, url })
    }
}

impl InboundQueue {
    /// Opens the connection, so that the first webhook finds it open. What the queue answers does not
    /// matter: also a refusal has opened it.
    pub async fn warm_up(&self) {
        let call = self.0.client.get_queue_attributes().queue_url(&self.0.url);
        if let Err(error) = call.send().await {
            tracing::debug!(error = %failure("sqs GetQueueAttributes", &error), "connection opened");
        }
    }
}

impl AnswersQueue {
    /// The queue at this URL.
    #[must_use]
    pub fn new(client: Client, url: String) -> Self {
        Self(Queue { client, url })
    }
}

impl MediaQueue {
    /// The queue at this URL.
    #[must_use]
    pub fn new(client: Client, url: String) -> Self {
        Self(Queue { client, url })
    }
}

impl EventsQueue {
    /// The queue at this URL.
    #[must_use]
    pub fn new(client: Client, url: String) -> Self {
        Self(Queue { client, url })
    }
}

impl SendJobs for EventsQueue {
    /// Each job carries its bot as its group: on a standard queue that keeps no order, but lets SQS serve other bots
    /// first while one has a backlog (AWS, SQS developer guide, "Fair queues", 2025).
    async fn send_jobs(&self, jobs: &[Job], delay: Duration) -> Result<(), StoreError> {
        let letters: Vec<(String, Letter)> =
            jobs.iter().map(|job| (job.bot_id().into(), job.into())).collect();
        let mut batches = Vec::new();
        let mut rest = letters.as_slice();
        while !rest.is_empty() {
            let mut size = 0;
            let fits = |(_, letter): &&(String, Letter)| {
                size += letter.body.len();
                size <= SQS_LIMIT
            };
            // The largest job is far smaller than a call may be.
            let count = rest.iter().take(BATCH).take_while(fits).count().max(1);
            let (batch, later) = rest.split_at(count);
            let entries = batch.iter().enumerate().map(|(index, (bot, letter))| {
                let mut entry = entry(index, letter.clone(), delay)?;
                entry.message_group_id = Some(bot.clone());
                Ok(entry)
            });
            batches.push(entries.collect::<Result<_, StoreError>>()?);
            rest = later;
        }
        self.0.send_all(batches).await
    }
}

impl SendFetches for MediaQueue {
    async fn send_fetches(&self, fetches: &[Fetch]) -> Result<(), StoreError> {
        let batches = fetches.chunks(BATCH).map(|batch| {
            batch
                .iter()
                .enumerate()
                .map(|(index, fetch)| entry(index, fetch.into(), Duration::ZERO))
                .collect()
        });
        self.0.send_all(batches.collect::<Result<_, _>>()?).await
    }
}

impl SendInbound for InboundQueue {
    async fn send_inbound(&self, parcels: &[Parcel], delay: Duration) -> Result<(), StoreError> {
        let batches = batches(parcels).into_iter().map(|batch| {
            batch.iter().enumerate().map(|(index, parcel)| entry(index, parcel.into(), delay)).collect()
        });
        self.0.send_all(batches.collect::<Result<_, _>>()?).await
    }
}

impl SendNudges for AnswersQueue {
    async fn send_nudges(&self, nudges: &[Nudge], delay: Duration) -> Result<(), StoreError> {
        let batches = nudges.chunks(BATCH).map(|batch| {
            batch.iter().enumerate().map(|(index, nudge)| entry(index, nudge.into(), delay)).collect()
        });
        self.0.send_all(batches.collect::<Result<_, _>>()?).await
    }
}

#[derive(Debug, Clone)]
struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// All batches at once: Meta waits for the answer to a webhook, and 3 MB are three calls.
    async fn send_all(&self, batches: Vec<Vec<Entry>>) -> Result<(), StoreError> {
        let mut calls = JoinSet::new();
        for batch in batches {
            let queue = self.clone();
            calls.spawn(async move { queue.send(batch).await });
        }
        while let Some(call) = calls.join_next().await {
            call.map_err(|e| StoreError::service(OPERATION, e))??;
        }
        Ok(())
    }

    /// Sends one batch, and what SQS did not take of it once more: such a refusal concerns single
    /// messages and mostly passes.
    async fn send(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let failed = self.try_send(entries.clone()).await?;
        if failed.is_empty() {
            return Ok(());
        }
        let again = entries.into_iter().filter(|entry| failed.iter().any(|f| f.id == entry.id)).collect();
        match self.try_send(again).await?.first() {
            None => Ok(()),
            Some(failed) => {
                let message = failed.message.as_deref().unwrap_or("no message");
                let words = format!("SQS did not take a message: {}: {message}", failed.code);
                Err(StoreError::service(OPERATION, words))
            }
        }
    }

    async fn try_send(&self, entries: Vec<Entry>) -> Result<Vec<BatchResultErrorEntry>, StoreError> {
        let call = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
        let answer = call.send().await.map_err(|e| failure(OPERATION, &e))?;
        Ok(answer.failed)
    }
}

fn entry(index: usize, letter: Letter, delay: Duration) -> Result<Entry, StoreError> {
    let attributes = letter.attributes.into_iter();
    let attributes = attributes.map(|(name, value)| Ok((name, attribute(value)?)));
    Entry::builder()
        .id(index.to_string())
        .message_body(letter.body)
        .delay_seconds(delay_seconds(delay))
        .set_message_attributes(Some(attributes.collect::<Result<_, StoreError>>()?))
        .set_message_system_attributes(unit::trace().map(|trace| traced(&trace)).transpose()?)
        .build()
        .map_err(|e| StoreError::service(OPERATION, e))
}

/// Said for each message: the header of the call names the trace of the invocation, which for what comes by a queue is
/// not the message's. The attribute goes before the header (AWS, X-Ray developer guide, "Amazon SQS and AWS X-Ray").
fn traced(
    trace: &TraceHeader,
) -> Result<HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>, StoreError> {
    let value = MessageSystemAttributeValue::builder().data_type("String").string_value(trace.to_string());
    let value = value.build().map_err(|e| StoreError::service(OPERATION, e))?;
    Ok([(MessageSystemAttributeNameForSends::AwsTraceHeader, value)].into())
}

/// Addresses of the queues that a redrive works on.
#[derive(Debug, Clone)]
pub struct QueueUrls {
    /// The queue `inbound`.
    pub inbound: String,
    /// The queue `answers`.
    pub answers: String,
    /// The dead letters of `inbound`.
    pub inbound_dead: String,
    /// The dead letters of `answers`.
    pub answers_dead: String,
    /// Scheduled runs that could not be started.
    pub schedules_dead: String,
}

/// The dead-letter queues, and the way back.
#[derive(Debug, Clone)]
pub struct DeadLetterQueues {
    client: Client,
    urls: QueueUrls,
}

impl DeadLetterQueues {
    /// The queues at these addresses.
    #[must_use]
    pub fn new(client: Client, urls: QueueUrls) -> Self {
        Self { client, urls }
    }

    fn dead(&self, queue: DeadQueue) -> &str {
        match queue {
            DeadQueue::Inbound => &self.urls.inbound_dead,
            DeadQueue::Answers => &self.urls.answers_dead,
            DeadQueue::Schedules => &self.urls.schedules_dead,
        }
    }

    fn fed(&self, queue: FedQueue) -> Queue {
        let url = match queue {
            FedQueue::Inbound => &self.urls.inbound,
            FedQueue::Answers => &self.urls.answers,
        };
        Queue { client: self.client.clone(), url: url.clone() }
    }
}

impl DeadLetters for DeadLetterQueues {
    async fn receive_dead(&self, queue: DeadQueue, hidden: Duration) -> Result<Vec<DeadLetter>, StoreError> {
        let call = self
            .client
            .receive_message()
            .queue_url(self.dead(queue))
            .max_number_of_messages(BATCH as i32)
            .visibility_timeout(i32::try_from(hidden.as_secs()).unwrap_or(i32::MAX))
            // A short poll asks some of SQS's servers only, and may find nothing where there is something.
            .wait_time_seconds(1)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_attribute_names("All");
        let received = call.send().await.map_err(|e| failure(RECEIVE, &e))?;
        received.messages.unwrap_or_default().into_iter().map(dead_letter).collect()
    }

    async fn delete_dead(&self, queue: DeadQueue, letters: &[DeadLetter]) -> Result<(), StoreError> {
        for batch in letters.chunks(BATCH) {
            let entry = |(index, letter): (usize, &DeadLetter)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(&letter.receipt)
                    .build()
                    .map_err(|e| StoreError::service(DELETE, e))
            };
            let entries = batch.iter().enumerate().map(entry).collect::<Result<_, _>>()?;
            let call = self.client.delete_message_batch().queue_url(self.dead(queue));
            let answer = call.set_entries(Some(entries)).send().await.map_err(|e| failure(DELETE, &e))?;
            all_taken(DELETE, &answer.failed)?;
        }
        Ok(())
    }

    async fn release_dead(&self, queue: DeadQueue, letters: &[DeadLetter]) -> Result<(), StoreError> {
        for batch in letters.chunks(BATCH) {
            let entry = |(index, letter): (usize, &DeadLetter)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(&letter.receipt)
                    .visibility_timeout(0)
                    .build()
                    .map_err(|e| StoreError::service(RELEASE, e))
            };
            let entries = batch.iter().enumerate().map(entry).collect::<Result<_, _>>()?;
            let call = self.client.change_message_visibility_batch().queue_url(self.dead(queue));
            let answer = call.set_entries(Some(entries)).send().await.map_err(|e| failure(RELEASE, &e))?;
            all_taken(RELEASE, &answer.failed)?;
        }
        Ok(())
    }
}

impl SendBack for DeadLetterQueues {
    async fn send_back(&self, queue: FedQueue, letters: &[Letter]) -> Result<(), StoreError> {
        let batches = letter::batches(letters).into_iter().map(|batch| {
            batch
                .iter()
                .cloned()
                .enumerate()
                .map(|(index, letter)| entry(index, letter, Duration::ZERO))
                .collect()
        });
        self.fed(queue).send_all(batches.collect::<Result<_, _>>()?).await
    }
}

fn all_taken(operation: &'static str, failed: &[BatchResultErrorEntry]) -> Result<(), StoreError> {
    match failed.first() {
        None => Ok(()),
        Some(failed) => Err(StoreError::service(operation, format!("SQS refused: {}", failed.code))),
    }
}

fn dead_letter(message: Message) -> Result<DeadLetter, StoreError> {
    let missing = |what| StoreError::service(RECEIVE, format!("a message without {what}"));
    let sent_at = message.attributes.as_ref().and_then(|a| a.get(&MessageSystemAttributeName::SentTimestamp));
    let sent_at = sent_at.and_then(|ms| Timestamp::from_millisecond(ms.parse().ok()?).ok());
    let attributes = message.message_attributes.unwrap_or_default().into_iter();
    let attributes = attributes
        .filter_map(|(name, a)| Some((name, Attribute { kind: a.data_type, value: a.string_value? })))
        .collect();
    Ok(DeadLetter {
        id: message.message_id.ok_or_else(|| missing("id"))?,
        receipt: message.receipt_handle.ok_or_else(|| missing("receipt"))?,
        sent_at: sent_at.ok_or_else(|| missing("time"))?,
        letter: Letter { body: message.body.unwrap_or_default(), attributes },
    })
}

/// Whole seconds, rounded up: an answer must not come before its burst is over.
fn delay_seconds(delay: Duration) -> i32 {
    let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
    i32::try_from(seconds.min(LONGEST_DELAY_SECONDS)).expect("at most 900")
}

fn attribute(value: Attribute) -> Result<MessageAttributeValue, StoreError> {
    MessageAttributeValue::builder()
        .data_type(value.kind)
        .string_value(value.value)
        .build()
        .map_err(|e| StoreError::service(OPERATION, e))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::aws::tests::at;
    use super::super::scripted::{Act, Request, Scripted};
    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::parcel::{Content, PartHeader};

    const NOW: Duration = Duration::ZERO;

    fn entries(request: &Request) -> Vec<Value> {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        body["Entries"].as_array().unwrap().clone()
    }

    fn takes_all(request: &Request) -> Act {
        takes(request, |_| true)
    }

    fn takes(request: &Request, taken: impl Fn(&Value) -> bool) -> Act {
        let (taken, refused): (Vec<Value>, Vec<Value>) = entries(request).into_iter().partition(taken);
        let taken = taken.iter().map(|e| json!({"Id": e["Id"], "MessageId": "m", "MD5OfMessageBody": "x"}));
        let refused = refused.iter().map(
            |e| json!({"Id": e["Id"], "Code": "InternalError", "Message": "later", "SenderFault": false}),
        );
        Act::json(
            200,
            &json!({"Successful": taken.collect::<Vec<_>>(), "Failed": refused.collect::<Vec<_>>()}),
        )
    }

    fn inbound(server: &Scripted) -> InboundQueue {
        InboundQueue::new(at(&server.url).sqs(), format!("{}000000000000/inbound", server.url))
    }

    fn bodies(count: usize) -> Vec<Parcel> {
        (0..count)
            .map(|i| Parcel {
                content: Content::Body(format!("{{\"n\":{i}}}")),
                received_at: Timestamp::from_millisecond(1_795_000_000_123).unwrap(),
                silent: false,
            })
            .collect()
    }

    #[tokio::test]
    async fn a_parcel_carries_its_kind_and_time() {
        let server = Scripted::start(takes_all);
        let header = PartHeader { name: "abc".to_owned(), index: 1, count: 2 };
        let part = Parcel {
            content: Content::Part { header, base64: "QQ==".to_owned() },
            received_at: Timestamp::UNIX_EPOCH,
            silent: true,
        };
        inbound(&server).send_inbound(&[bodies(1).remove(0), part], NOW).await.unwrap();
        let requests = server.requests();
        assert_eq!(requests.len(), 1);
        let sent = entries(&requests[0]);
        assert_eq!(sent[0]["MessageBody"], "{\"n\":0}");
        assert_eq!(sent[0]["MessageAttributes"]["kind"]["StringValue"], "body");
        let time = &sent[0]["MessageAttributes"]["receivedAt"];
        assert_eq!((&time["DataType"], &time["StringValue"]), (&"Number".into(), &"1795000000123".into()));
        let part = &sent[1]["MessageAttributes"];
        let values = ["kind", "name", "index", "count", "replay"]
            .map(|name| part[name]["StringValue"].as_str().unwrap());
        assert_eq!(values, ["part", "abc", "1", "2", "silent"]);
    }

    #[tokio::test]
    async fn many_go_in_batches_of_ten_and_nothing_costs_no_call() {
        let server = Scripted::start(takes_all);
        inbound(&server).send_inbound(&[], NOW).await.unwrap();
        inbound(&server).send_inbound(&bodies(21), NOW).await.unwrap();
        let mut sizes: Vec<usize> = server.requests().iter().map(|r| entries(r).len()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 10, 10]);
    }

    #[tokio::test]
    async fn what_a_batch_left_out_is_sent_once_more() {
        let server = Scripted::start({
            let calls = std::sync::atomic::AtomicUsize::new(0);
            move |request| {
                let first = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
                takes(request, |entry| !first || entry["Id"] != "1")
            }
        });
        inbound(&server).send_inbound(&bodies(3), NOW).await.unwrap();
        let requests = server.requests();
        assert_eq!(requests.iter().map(|r| entries(r).len()).collect::<Vec<_>>(), [3, 1]);
        assert_eq!(entries(&requests[1])[0]["MessageBody"], "{\"n\":1}");
    }

    #[tokio::test]
    async fn what_is_left_out_twice_is_an_error() {
        let server = Scripted::start(|request| takes(request, |entry| entry["Id"] != "1"));
        let error = inbound(&server).send_inbound(&bodies(3), NOW).await.unwrap_err();
        assert!(crate::error::Chain(&error).to_string().contains("InternalError: later"), "{error:?}");
        assert_eq!(server.requests().len(), 2);
    }

    #[tokio::test]
    async fn a_refused_call_is_an_error() {
        let answer = json!({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no such queue"});
        let server = Scripted::start(move |_| Act::json(400, &answer));
        let error = inbound(&server).send_inbound(&bodies(1), NOW).await.unwrap_err();
        assert!(crate::error::Chain(&error).to_string().contains("no such queue"), "{error:?}");
    }

    #[tokio::test]
    async fn a_nudge_waits_at_most_a_quarter_of_an_hour() {
        let server = Scripted::start(takes_all);
        let queue = AnswersQueue::new(at(&server.url).sqs(), format!("{}000000000000/answers", server.url));
        let nudge = Nudge { message_id: "wamid.X".parse().unwrap() };
        for (delay, seconds) in [(0, 0), (1500, 2), (3_600_000, 900)] {
            queue.send_nudges(std::slice::from_ref(&nudge), Duration::from_millis(delay)).await.unwrap();
            let sent = entries(server.requests().last().unwrap());
            assert_eq!(sent[0]["DelaySeconds"], seconds);
            assert_eq!(sent[0]["MessageBody"], "{\"messageId\":\"wamid.X\"}");
        }
    }
}

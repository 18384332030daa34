//! Dead letters and replays: called by a schedule and, directly, by an operator. What it does is in
//! `handler.rs`.
// The futures of recovery nest deeper than the compiler's default allows.
#![recursion_limit = "256"]
mod handler;

use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use shared::adapters::aws::Aws;
use shared::adapters::dynamo::Tables;
use shared::adapters::sqs::{DeadLetterQueues, InboundQueue, QueueUrls};
use shared::adapters::system::{SystemClock, SystemRandom};
use shared::flows::recovery::{Recovery, Settings};
use shared::{config, telemetry};

/// How long one run works before it answers: the last page may take a while longer, the function's timeout is
/// a minute, and the AWS CLI waits no longer than that where nobody says otherwise.
const BUDGET: Duration = Duration::from_secs(40);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aws = Aws::from_env()?;
    let store = Tables::new(aws.dynamodb())
        .messages(config::required("MESSAGES_TABLE")?)
        .clients(config::required("CLIENTS_TABLE")?)
        .events(config::required("EVENTS_TABLE")?)
        .quarantine(config::required("QUARANTINE_TABLE")?)
        .blobs(config::required("BLOBS_TABLE")?);
    let urls = QueueUrls {
        inbound: config::required("INBOUND_QUEUE_URL")?,
        answers: config::required("ANSWERS_QUEUE_URL")?,
        inbound_dead: config::required("INBOUND_DEAD_QUEUE_URL")?,
        answers_dead: config::required("ANSWERS_DEAD_QUEUE_URL")?,
        schedules_dead: config::required("SCHEDULES_DEAD_QUEUE_URL")?,
    };
    let inbound = InboundQueue::new(aws.sqs(), urls.inbound.clone());
    let dead = DeadLetterQueues::new(aws.sqs(), urls);
    let settings = Settings {
        archive_after: config::days("ARCHIVE_AFTER_DAYS")?.unwrap_or(Settings::ARCHIVE_AFTER),
        budget: BUDGET,
    };
    let recovery = Recovery {
        store: &store,
        dead: &dead,
        inbound: &inbound,
        clock: &SystemClock,
        random: &SystemRandom,
        settings: &settings,
    };
    run(service_fn(async |event: LambdaEvent<Value>| {
        handler::handle(&recovery, event.payload).await.map_err(Error::from)
    }))
    .await
}

//! Queue `inbound`: records what webhooks brought. What it does is in `handler.rs`.
// The futures of ingest nest deeper than the compiler's default allows.
#![recursion_limit = "256"]
mod handler;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use shared::adapters::aws::Aws;
use shared::adapters::dynamo::Tables;
use shared::adapters::sqs::{AnswersQueue, InboundQueue, MediaQueue};
use shared::adapters::system::SystemClock;
use shared::flows::ingest::{Ingest, Memory, Settings};
use shared::queue::Trigger;
use shared::{config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aws = Aws::from_env()?;
    let store = Tables::new(aws.dynamodb())
        .messages(config::required("MESSAGES_TABLE")?)
        .conversations(config::required("CONVERSATIONS_TABLE")?)
        .clients(config::required("CLIENTS_TABLE")?)
        .onboardings(config::required("ONBOARDINGS_TABLE")?)
        .events(config::required("EVENTS_TABLE")?)
        .templates(config::required("TEMPLATES_TABLE")?)
        .media(config::required("MEDIA_TABLE")?)
        .quarantine(config::required("QUARANTINE_TABLE")?)
        .blobs(config::required("BLOBS_TABLE")?);
    store.warm_up().await;
    let inbound = InboundQueue::new(aws.sqs(), config::required("INBOUND_QUEUE_URL")?);
    let answers = AnswersQueue::new(aws.sqs(), config::required("ANSWERS_QUEUE_URL")?);
    let fetches = MediaQueue::new(aws.sqs(), config::required("MEDIA_QUEUE_URL")?);
    let settings = Settings {
        burst: config::seconds("BURST_WINDOW_SECONDS", 2)?,
        retention: config::days("MESSAGE_RETENTION_DAYS")?,
    };
    let memory = Memory::default();
    let ingest = Ingest {
        store: &store,
        inbound: &inbound,
        answers: &answers,
        fetches: &fetches,
        clock: &SystemClock,
        settings: &settings,
        memory: &memory,
    };
    run(service_fn(async |event: LambdaEvent<Value>| {
        Ok::<_, Error>(handler::handle(&ingest, Trigger::parse(event.payload)).await)
    }))
    .await
}

//! `/api/whatsapp/subscriptions/…`: who is told of a bot's events, and what could not be told. What it does is in
//! `handler.rs`.
mod handler;

use lambda_http::{Error, Request, run, service_fn};
use shared::adapters::aws::Aws;
use shared::adapters::dynamo::Tables;
use shared::adapters::kms::Kms;
use shared::adapters::sqs::EventsQueue;
use shared::adapters::system::{SystemClock, SystemRandom};
use shared::{config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aws = Aws::from_env()?;
    let store = Tables::new(aws.dynamodb())
        .subscriptions(config::required("SUBSCRIPTIONS_TABLE")?)
        .deliveries(config::required("DELIVERIES_TABLE")?);
    let desk = handler::Desk {
        store: &store,
        seal: &Kms::new(aws.kms(), config::required("TOKEN_KEY_ID")?),
        queue: &EventsQueue::new(aws.sqs(), config::required("EVENTS_QUEUE_URL")?),
        clock: &SystemClock,
        random: &SystemRandom,
        reach: config::parsed("EVENT_TARGETS")?,
    };
    run(service_fn(async |request: Request| shared::http::serve(&request, desk.handle(&request)).await)).await
}

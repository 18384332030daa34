//! The streams of tables: makes events out of changes. What it does is in `handler.rs`.
mod handler;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use shared::adapters::aws::Aws;
use shared::adapters::dynamo::Tables;
use shared::adapters::sqs::EventsQueue;
use shared::adapters::system::SystemClock;
use shared::flows::events::publish::{Known, Publishing};
use shared::{config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aws = Aws::from_env()?;
    let store = Tables::new(aws.dynamodb())
        .subscriptions(config::required("SUBSCRIPTIONS_TABLE")?)
        .clients(config::required("CLIENTS_TABLE")?);
    store.warm_up().await;
    let queue = EventsQueue::new(aws.sqs(), config::required("EVENTS_QUEUE_URL")?);
    let known = Known::new(config::seconds("SUBSCRIPTIONS_KNOWN_SECONDS", 60)?);
    let publishing = Publishing { store: &store, queue: &queue, clock: &SystemClock, known: &known };
    run(service_fn(async |event: LambdaEvent<Value>| {
        handler::handle(&publishing, &event.payload).await.map_err(Error::from)
    }))
    .await
}

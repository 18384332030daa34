//! Queue `events`, and the schedule that finds what is due again. What they do is in `handler.rs`.
mod handler;

use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use shared::adapters::aws::Aws;
use shared::adapters::dynamo::Tables;
use shared::adapters::kms::Kms;
use shared::adapters::sqs::EventsQueue;
use shared::adapters::system::SystemClock;
use shared::adapters::targets::Targets;
use shared::flows::events::deliver::{Delivering, OpenedSecrets};
use shared::queue::Trigger;
use shared::{config, telemetry};

/// Longer than the function may run.
const CLAIM: Duration = Duration::from_secs(90);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aws = Aws::from_env()?;
    let store = Tables::new(aws.dynamodb())
        .subscriptions(config::required("SUBSCRIPTIONS_TABLE")?)
        .deliveries(config::required("DELIVERIES_TABLE")?);
    let delivering = Delivering {
        store: &store,
        seal: &Kms::new(aws.kms(), config::required("TOKEN_KEY_ID")?),
        targets: &Targets::new(config::parsed("EVENT_TARGETS")?)?,
        queue: &EventsQueue::new(aws.sqs(), config::required("EVENTS_QUEUE_URL")?),
        clock: &SystemClock,
        secrets: &OpenedSecrets::default(),
        claim: CLAIM,
    };
    run(service_fn(async |event: LambdaEvent<Value>| {
        // Boxed: the compiler gives up on the layout of what nests so deep.
        Box::pin(handler::handle(&delivering, Trigger::parse(event.payload))).await.map_err(Error::from)
    }))
    .await
}

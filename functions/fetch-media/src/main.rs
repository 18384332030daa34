//! Queue `media`, and the schedule that finds files whose note was lost or whose pause is over. What they do is in
//! `handler.rs`.
mod handler;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use shared::adapters::aws::Aws;
use shared::adapters::dynamo::Tables;
use shared::adapters::files::Files;
use shared::adapters::graph::{Graph, GraphConfig};
use shared::adapters::kms::Kms;
use shared::adapters::secrets::{OneSecret, Secrets};
use shared::adapters::sqs::MediaQueue;
use shared::adapters::system::SystemClock;
use shared::domain::secret::AppSecret;
use shared::error::ConfigError;
use shared::flows::media::{Fetching, Settings};
use shared::flows::tokens::Tokens;
use shared::kept::Kept;
use shared::queue::Trigger;
use shared::{config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aws = Aws::from_env()?;
    let store = Tables::new(aws.dynamodb())
        .media(config::required("MEDIA_TABLE")?)
        .clients(config::required("CLIENTS_TABLE")?)
        .grants(config::required("GRANTS_TABLE")?);
    store.warm_up().await;
    let files = Files::new(&aws, &config::required("MEDIA_BUCKET")?)?;
    let queue = MediaQueue::new(aws.sqs(), config::required("MEDIA_QUEUE_URL")?);
    let seal = Kms::new(aws.kms(), config::required("TOKEN_KEY_ID")?);
    let secrets = Secrets::new(aws.secrets());
    let app_secret = OneSecret::new(&secrets, config::required("APP_SECRET_ARN")?);
    let app_secret = Kept::<AppSecret>::read(app_secret, SystemClock).await?;
    let graph = Graph::new(GraphConfig::from_env(Some(app_secret), None)?)?;
    let settings = Settings {
        claim: config::seconds("CLAIM_SECONDS", 90)?,
        kept: config::days("MEDIA_DAYS")?.ok_or(ConfigError::Missing("MEDIA_DAYS"))?,
    };
    let fetching = Fetching {
        store: &store,
        seal: &seal,
        graph: &graph,
        files: &files,
        queue: &queue,
        clock: &SystemClock,
        tokens: &Tokens::default(),
        settings: &settings,
    };
    run(service_fn(async |event: LambdaEvent<Value>| {
        handler::handle(&fetching, Trigger::parse(event.payload)).await.map_err(Error::from)
    }))
    .await
}

//! `POST /api/integrations/whatsapp/exchange-token`: signup code to sealed token. What it does is in
//! `handler.rs`.
mod handler;

use lambda_http::{Error, Request, run, service_fn};
use shared::adapters::aws::Aws;
use shared::adapters::dynamo::Tables;
use shared::adapters::graph::{Graph, GraphConfig};
use shared::adapters::kms::Kms;
use shared::adapters::secrets::{OneSecret, Secrets};
use shared::adapters::system::{SystemClock, SystemRandom};
use shared::domain::secret::AppSecret;
use shared::flows::exchange::Exchange;
use shared::kept::Kept;
use shared::{config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aws = Aws::from_env()?;
    let store = Tables::new(aws.dynamodb())
        .onboardings(config::required("ONBOARDINGS_TABLE")?)
        .idempotency(config::required("IDEMPOTENCY_TABLE")?);
    store.warm_up().await;
    let seal = Kms::new(aws.kms(), config::required("TOKEN_KEY_ID")?);
    let secrets = Secrets::new(aws.secrets());
    let app_secret = OneSecret::new(&secrets, config::required("APP_SECRET_ARN")?);
    let app_secret = Kept::<AppSecret>::read(app_secret, SystemClock).await?;
    let graph = Graph::new(GraphConfig::from_env(Some(app_secret), None)?)?;
    let exchange =
        Exchange { store: &store, seal: &seal, graph: &graph, clock: &SystemClock, random: &SystemRandom };
    run(service_fn(async |request: Request| {
        shared::http::serve(&request, handler::handle(&exchange, &request)).await
    }))
    .await
}

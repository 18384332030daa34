//! `POST /api/whatsapp/send-message`: sends one message. What it does is in `handler.rs`.
mod handler;

use lambda_http::{Error, Request, run, service_fn};
use shared::adapters::aws::Aws;
use shared::adapters::dynamo::Tables;
use shared::adapters::graph::{Graph, GraphConfig};
use shared::adapters::kms::Kms;
use shared::adapters::secrets::{OneSecret, Secrets};
use shared::adapters::system::{SystemClock, SystemRandom};
use shared::domain::secret::AppSecret;
use shared::flows::pace::Pace;
use shared::flows::send::Sender;
use shared::flows::tokens::Tokens;
use shared::kept::Kept;
use shared::{config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aws = Aws::from_env()?;
    let store = Tables::new(aws.dynamodb())
        .clients(config::required("CLIENTS_TABLE")?)
        .grants(config::required("GRANTS_TABLE")?)
        .messages(config::required("MESSAGES_TABLE")?)
        .conversations(config::required("CONVERSATIONS_TABLE")?)
        .idempotency(config::required("IDEMPOTENCY_TABLE")?)
        .rates(config::required("RATES_TABLE")?)
        .templates(config::required("TEMPLATES_TABLE")?);
    store.warm_up().await;
    let seal = Kms::new(aws.kms(), config::required("TOKEN_KEY_ID")?);
    let secrets = Secrets::new(aws.secrets());
    let app_secret = OneSecret::new(&secrets, config::required("APP_SECRET_ARN")?);
    let app_secret = Kept::<AppSecret>::read(app_secret, SystemClock).await?;
    let graph = Graph::new(GraphConfig::from_env(Some(app_secret), None)?)?;
    let send = handler::Send {
        sender: Sender {
            store: &store,
            seal: &seal,
            graph: &graph,
            clock: &SystemClock,
            tokens: &Tokens::default(),
            pace: &Pace::default(),
            claim: config::seconds("CLAIM_SECONDS", 90)?,
        },
        random: &SystemRandom,
        retention: config::days("MESSAGE_RETENTION_DAYS")?,
    };
    run(service_fn(async |request: Request| shared::http::serve(&request, send.handle(&request)).await)).await
}

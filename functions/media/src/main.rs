//! `/api/whatsapp/media/…`: links to files of customers, and uploads. What they do is in `handler.rs`.
mod handler;

use lambda_http::{Error, Request, run, service_fn};
use shared::adapters::aws::Aws;
use shared::adapters::dynamo::Tables;
use shared::adapters::files::Files;
use shared::adapters::graph::{Graph, GraphConfig};
use shared::adapters::kms::Kms;
use shared::adapters::secrets::{OneSecret, Secrets};
use shared::adapters::system::{SystemClock, SystemRandom};
use shared::domain::secret::AppSecret;
use shared::flows::tokens::Tokens;
use shared::kept::Kept;
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
    let seal = Kms::new(aws.kms(), config::required("TOKEN_KEY_ID")?);
    let secrets = Secrets::new(aws.secrets());
    let app_secret = OneSecret::new(&secrets, config::required("APP_SECRET_ARN")?);
    let app_secret = Kept::<AppSecret>::read(app_secret, SystemClock).await?;
    let graph = Graph::new(GraphConfig::from_env(Some(app_secret), None)?)?;
    let desk = handler::Desk {
        store: &store,
        files: &files,
        seal: &seal,
        graph: &graph,
        clock: &SystemClock,
        random: &SystemRandom,
        tokens: &Tokens::default(),
    };
    run(service_fn(async |request: Request| shared::http::serve(&request, desk.handle(&request)).await)).await
}

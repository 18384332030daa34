//! Schedules that look after clients' tokens and our own. What they do is in `handler.rs`.
mod handler;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use shared::adapters::aws::Aws;
use shared::adapters::dynamo::Tables;
use shared::adapters::graph::{Graph, GraphConfig, PartnerAccess};
use shared::adapters::kms::Kms;
use shared::adapters::secrets::{OneSecret, Secrets, SystemToken};
use shared::adapters::system::SystemClock;
use shared::domain::secret::AppSecret;
use shared::flows::token_care::{Settings, TokenCare};
use shared::kept::Kept;
use shared::queue::Trigger;
use shared::{config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aws = Aws::from_env()?;
    let store = Tables::new(aws.dynamodb())
        .grants(config::required("GRANTS_TABLE")?)
        .clients(config::required("CLIENTS_TABLE")?)
        .events(config::required("EVENTS_TABLE")?);
    let seal = Kms::new(aws.kms(), config::required("TOKEN_KEY_ID")?);
    let secrets = Secrets::new(aws.secrets());
    let app_secret = OneSecret::new(&secrets, config::required("APP_SECRET_ARN")?);
    let app_secret = Kept::<AppSecret>::read(app_secret, SystemClock).await?;
    let system_token_arn = config::required("SYSTEM_USER_TOKEN_ARN")?;
    let access = PartnerAccess::from_env(&secrets, system_token_arn.clone()).await?;
    let settings = Settings {
        app_id: config::required("APP_ID")?,
        partner: access.as_ref().map(|access| access.business_id.clone()),
    };
    let graph = Graph::new(GraphConfig::from_env(Some(app_secret), access)?)?;
    let care = TokenCare {
        store: &store,
        seal: &seal,
        graph: &graph,
        vault: &SystemToken::new(&secrets, system_token_arn),
        clock: &SystemClock,
        settings: &settings,
    };
    run(service_fn(async |event: LambdaEvent<Value>| {
        handler::handle(&care, Trigger::parse(event.payload)).await.map_err(Error::from)
    }))
    .await
}

//! `POST …/onboard-client`, `GET …/onboarding/{onboardingId}` and the schedule that resumes unfinished
//! onboardings. What they do is in `handler.rs`.
mod handler;

use lambda_http::{Error, Request, run, service_fn};
use shared::adapters::aws::Aws;
use shared::adapters::dynamo::Tables;
use shared::adapters::graph::{Graph, GraphConfig, PartnerAccess};
use shared::adapters::kms::Kms;
use shared::adapters::secrets::{OneSecret, Secrets};
use shared::adapters::system::{SystemClock, SystemRandom};
use shared::domain::secret::AppSecret;
use shared::flows::onboard::{Onboard, Partner, Settings};
use shared::kept::Kept;
use shared::{config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aws = Aws::from_env()?;
    let store = Tables::new(aws.dynamodb())
        .onboardings(config::required("ONBOARDINGS_TABLE")?)
        .grants(config::required("GRANTS_TABLE")?)
        .clients(config::required("CLIENTS_TABLE")?)
        .events(config::required("EVENTS_TABLE")?)
        .templates(config::required("TEMPLATES_TABLE")?)
        .idempotency(config::required("IDEMPOTENCY_TABLE")?);
    store.warm_up().await;
    let seal = Kms::new(aws.kms(), config::required("TOKEN_KEY_ID")?);
    let secrets = Secrets::new(aws.secrets());
    let app_secret = OneSecret::new(&secrets, config::required("APP_SECRET_ARN")?);
    let app_secret = Kept::<AppSecret>::read(app_secret, SystemClock).await?;
    let access = PartnerAccess::from_env(&secrets, config::required("SYSTEM_USER_TOKEN_ARN")?).await?;
    let partner = Partner::new(access.is_some(), config::optional("CREDIT_CURRENCY"));
    let graph = Graph::new(GraphConfig::from_env(Some(app_secret), access)?)?;
    let settings = Settings {
        partner,
        app_id: config::required("APP_ID")?,
        lease: config::seconds("CLAIM_SECONDS", 90)?,
        retry: config::seconds("ONBOARDING_RETRY_SECONDS", 60)?,
    };
    let onboard = Onboard {
        store: &store,
        seal: &seal,
        graph: &graph,
        clock: &SystemClock,
        random: &SystemRandom,
        settings: &settings,
    };
    run(service_fn(async |request: Request| {
        shared::http::serve(&request, handler::handle(&onboard, &request)).await
    }))
    .await
}

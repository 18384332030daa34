//! Queue `answers`, and the schedule that finds answers whose nudge was lost. What they do is in
//! `handler.rs`.
mod handler;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use shared::adapters::aws::Aws;
use shared::adapters::dynamo::Tables;
use shared::adapters::files::Files;
use shared::adapters::graph::{Graph, GraphConfig};
use shared::adapters::kms::Kms;
use shared::adapters::model::LanguageModels;
use shared::adapters::secrets::{OneSecret, Secrets};
use shared::adapters::sqs::AnswersQueue;
use shared::adapters::system::{SystemClock, SystemRandom};
use shared::domain::secret::{AppSecret, ModelKeys};
use shared::flows::pace::Pace;
use shared::flows::reply::{Reply, Settings};
use shared::flows::send::Sender;
use shared::flows::tokens::Tokens;
use shared::kept::Kept;
use shared::queue::Trigger;
use shared::{config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aws = Aws::from_env()?;
    let store = Tables::new(aws.dynamodb())
        .messages(config::required("MESSAGES_TABLE")?)
        .conversations(config::required("CONVERSATIONS_TABLE")?)
        .bots(config::required("BOTS_TABLE")?)
        .clients(config::required("CLIENTS_TABLE")?)
        .grants(config::required("GRANTS_TABLE")?)
        .rates(config::required("RATES_TABLE")?)
        .media(config::required("MEDIA_TABLE")?);
    store.warm_up().await;
    let files = Files::new(&aws, &config::required("MEDIA_BUCKET")?)?;
    let queue = AnswersQueue::new(aws.sqs(), config::required("ANSWERS_QUEUE_URL")?);
    let seal = Kms::new(aws.kms(), config::required("TOKEN_KEY_ID")?);
    let secrets = Secrets::new(aws.secrets());
    let app_secret = OneSecret::new(&secrets, config::required("APP_SECRET_ARN")?);
    let app_secret = Kept::<AppSecret>::read(app_secret, SystemClock).await?;
    let graph = Graph::new(GraphConfig::from_env(Some(app_secret), None)?)?;
    let keys = secrets.get::<ModelKeys>(&config::required("MODEL_KEY_ARN")?).await?;
    let models = config::parsed_optional("MODELS")?.unwrap_or_default();
    let model = LanguageModels::new(models, keys.as_ref(), &aws)?;
    let settings = Settings {
        claim: config::seconds("CLAIM_SECONDS", 90)?,
        retention: config::days("MESSAGE_RETENTION_DAYS")?,
    };
    let reply = Reply {
        sender: Sender {
            store: &store,
            seal: &seal,
            graph: &graph,
            clock: &SystemClock,
            tokens: &Tokens::default(),
            pace: &Pace::default(),
            claim: settings.claim,
        },
        files: &files,
        queue: &queue,
        model: &model,
        random: &SystemRandom,
        settings: &settings,
    };
    run(service_fn(async |event: LambdaEvent<Value>| {
        handler::handle(&reply, Trigger::parse(event.payload)).await.map_err(Error::from)
    }))
    .await
}

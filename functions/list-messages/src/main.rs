//! `GET /api/whatsapp/messages/{botId}`: a bot's history. What it does is in `handler.rs`.
mod handler;

use lambda_http::{Error, Request, run, service_fn};
use shared::adapters::aws::Aws;
use shared::adapters::dynamo::Tables;
use shared::{config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aws = Aws::from_env()?;
    let store = Tables::new(aws.dynamodb())
        .clients(config::required("CLIENTS_TABLE")?)
        .messages(config::required("MESSAGES_TABLE")?)
        .media(config::required("MEDIA_TABLE")?)
        .conversations(config::required("CONVERSATIONS_TABLE")?);
    store.warm_up().await;
    run(service_fn(async |request: Request| {
        shared::http::serve(&request, handler::handle(&store, &request)).await
    }))
    .await
}

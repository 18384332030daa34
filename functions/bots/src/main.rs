//! `GET` and `PUT /api/whatsapp/bots/{botId}`: a bot's settings; `PUT` and `DELETE
//! /api/whatsapp/conversations/{botId}/{customer}/pause`: when it is silent. What they do is in `handler.rs`.
mod handler;

use lambda_http::{Error, Request, run, service_fn};
use shared::adapters::aws::Aws;
use shared::adapters::dynamo::Tables;
use shared::adapters::system::SystemClock;
use shared::domain::model::Models;
use shared::{config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aws = Aws::from_env()?;
    let store = Tables::new(aws.dynamodb())
        .bots(config::required("BOTS_TABLE")?)
        .clients(config::required("CLIENTS_TABLE")?)
        .conversations(config::required("CONVERSATIONS_TABLE")?);
    let models: Models = config::parsed_optional("MODELS")?.unwrap_or_default();
    store.warm_up().await;
    run(service_fn(async |request: Request| {
        shared::http::serve(&request, handler::handle(&store, &models, &SystemClock, &request)).await
    }))
    .await
}

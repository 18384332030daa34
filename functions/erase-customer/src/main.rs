//! `DELETE /api/whatsapp/conversations/{botId}/{customer}`: erases a customer. What it does is in `handler.rs`.
mod handler;

use lambda_http::{Error, Request, run, service_fn};
use shared::adapters::aws::Aws;
use shared::adapters::dynamo::Tables;
use shared::adapters::files::Files;
use shared::adapters::system::SystemClock;
use shared::{config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aws = Aws::from_env()?;
    let store = Tables::new(aws.dynamodb())
        .clients(config::required("CLIENTS_TABLE")?)
        .messages(config::required("MESSAGES_TABLE")?)
        .conversations(config::required("CONVERSATIONS_TABLE")?)
        .events(config::required("EVENTS_TABLE")?)
        .blobs(config::required("BLOBS_TABLE")?)
        .rates(config::required("RATES_TABLE")?)
        .media(config::required("MEDIA_TABLE")?)
        .deliveries(config::required("DELIVERIES_TABLE")?);
    let files = Files::new(&aws, &config::required("MEDIA_BUCKET")?)?;
    run(service_fn(async |request: Request| {
        shared::http::serve(&request, handler::handle(&store, &files, &SystemClock, &request)).await
    }))
    .await
}

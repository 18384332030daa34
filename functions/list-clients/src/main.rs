//! `GET /api/whatsapp/clients`: the caller's clients. What it does is in `handler.rs`.
mod handler;

use lambda_http::{Error, Request, run, service_fn};
use shared::adapters::aws::Aws;
use shared::adapters::dynamo::Tables;
use shared::adapters::system::SystemClock;
use shared::{config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aws = Aws::from_env()?;
    let store = Tables::new(aws.dynamodb()).clients(config::required("CLIENTS_TABLE")?);
    store.warm_up().await;
    run(service_fn(async |request: Request| {
        shared::http::serve(&request, handler::handle(&store, &SystemClock, &request)).await
    }))
    .await
}

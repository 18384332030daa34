//! `GET /api/webhooks/whatsapp`: Meta's verification handshake. What it does is in `handler.rs`.
mod handler;

use lambda_http::{Error, Request, run, service_fn};
use shared::adapters::aws::Aws;
use shared::adapters::secrets::{OneSecret, Secrets};
use shared::adapters::system::SystemClock;
use shared::domain::secret::VerifyToken;
use shared::kept::Kept;
use shared::{config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aws = Aws::from_env()?;
    let secrets = Secrets::new(aws.secrets());
    let token = OneSecret::new(&secrets, config::required("VERIFY_TOKEN_ARN")?);
    let token = Kept::<VerifyToken>::read(token, SystemClock).await?;
    run(service_fn(async |request: Request| {
        shared::http::serve(&request, handler::handle(&token, &request)).await
    }))
    .await
}

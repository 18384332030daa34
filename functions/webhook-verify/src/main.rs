//! `GET /api/webhooks/whatsapp`: Meta's verification handshake. What it does is in `handler.rs`.
mod handler;

use lambda_http::{Error, Request, run, service_fn};
use shared::adapters::aws::Aws;
use shared::adapters::secrets::Secrets;
use shared::domain::secret::VerifyToken;
use shared::{config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aws = Aws::from_env()?;
    let secrets = Secrets::new(aws.secrets());
    let token = secrets.required::<VerifyToken>(&config::required("VERIFY_TOKEN_ARN")?).await?;
    run(service_fn(async |request: Request| {
        shared::http::serve(&request, async { handler::handle(&token, &request) }).await
    }))
    .await
}

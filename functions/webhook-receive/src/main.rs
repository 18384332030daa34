//! `POST /api/webhooks/whatsapp`: takes Meta's webhooks. What it does is in `handler.rs`.
mod door;
mod handler;

use lambda_http::{Error, Request, run, service_fn};
use shared::adapters::aws::Aws;
use shared::adapters::secrets::{OneSecret, Secrets};
use shared::adapters::sqs::InboundQueue;
use shared::adapters::system::SystemClock;
use shared::domain::secret::AppSecret;
use shared::kept::Kept;
use shared::{config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aws = Aws::from_env()?;
    let queue = InboundQueue::new(aws.sqs(), config::required("INBOUND_QUEUE_URL")?);
    let secrets = Secrets::new(aws.secrets());
    let secret = OneSecret::new(&secrets, config::required("APP_SECRET_ARN")?);
    let secret = Kept::<AppSecret>::read(secret, SystemClock).await?;
    let door = door::Door { domain: config::optional("WEBHOOK_DOMAIN") };
    // The first webhook finds the connection open: init runs at full speed, the first event may not.
    queue.warm_up().await;
    run(service_fn(async |request: Request| {
        let answer = async {
            door.check(&request)?;
            handler::handle(&queue, &SystemClock, &secret, &request).await
        };
        shared::http::serve_quietly(&request, answer).await
    }))
    .await
}

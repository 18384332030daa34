//! The functions' log groups: reports errors to Sentry. What it does is in `handler.rs`. It is only there where
//! `SentryDsn` is given, and no other function knows of it.
mod envelope;
mod handler;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use shared::adapters::sentry::{Dsn, Sentry};
use shared::{config, telemetry};

use envelope::Deployment;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let sentry = Sentry::new(config::parsed::<Dsn>("SENTRY_DSN")?)?;
    let deployment =
        Deployment { environment: config::required("STAGE")?, release: config::required("RELEASE")? };
    run(service_fn(async |event: LambdaEvent<Value>| {
        let send = async |envelope| sentry.send(envelope).await;
        handler::handle(send, &deployment, &event.payload).await.map_err(Error::from)
    }))
    .await
}

//! The client businesses that the soak writes to.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::wire::Wire;

/// How long an onboarding may take; nothing fails yet.
const TRIES: u32 = 60;
const PAUSE: Duration = Duration::from_millis(500);

/// One number of a bot.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) bot: String,
    pub(super) phone: String,
}

/// Signs a client up for a bot and waits until it is active.
pub(super) async fn sign_up(wire: &Wire, bot: &str) -> Result<Client> {
    let signup = wire.sim(Method::POST, "signups", Some(&json!({}))).await?;
    let code = json!({"code": signup["code"], "botId": bot});
    let exchange = "/api/integrations/whatsapp/exchange-token";
    // The code works once, so this is not repeated.
    let exchanged = wire.api(Method::POST, exchange, None, Some(&code)).await?;
    ensure!(exchanged.status == 200, "exchange-token answered {}: {}", exchanged.status, exchanged.body);
    let claims = json!({
        "onboardingId": exchanged.body["onboardingId"],
        "wabaId": signup["wabaId"],
        "phoneNumberId": signup["phoneNumberId"],
        "businessId": signup["businessId"],
    });
    let mut last = Value::Null;
    for _ in 0..TRIES {
        let answer =
            wire.api(Method::POST, "/api/integrations/whatsapp/onboard-client", None, Some(&claims)).await?;
        if answer.status == 200 {
            let phone = signup["phoneNumberId"].as_str().context("a signup without a number")?.to_owned();
            return Ok(Client { bot: bot.to_owned(), phone });
        }
        last = answer.body;
        tokio::time::sleep(PAUSE).await;
    }
    anyhow::bail!("a client of {bot} was not onboarded: {last}")
}

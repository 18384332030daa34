//! The demo: a client signs up, a customer writes, the answer arrives. All through public interfaces.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::info::StackInfo;
use crate::progress::Progress;
use crate::{BOTS, http_client};

/// An invented number of the range that telephone companies keep for that.
const CUSTOMER: &str = "15550100123";
const QUESTION: &str = "Hello! Do you have rye bread today?";

/// How long each step may take. A cold first answer takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(200);

/// Plays it against a running stack, printing each step unless `quiet`. An error names the step that failed.
pub async fn run(stack: &StackInfo, quiet: bool) -> Result<()> {
    let tokens = stack.tokens.as_ref().context(
        "the demo needs the Meta simulator: remove FACEBOOK_APP_ID from .env (with a real app, sign up on \
         the page instead)",
    )?;
    let bot = BOTS[0];
    let token = tokens.bots.get(bot).with_context(|| format!("stack.json has no token of {bot}"))?;
    let demo = Demo { http: http_client::client()?, stack, token, progress: Progress::new(quiet) };
    demo.play(bot).await
}

struct Demo<'a> {
    http: reqwest::Client,
    stack: &'a StackInfo,
    token: &'a str,
    progress: Progress,
}

impl Demo<'_> {
    async fn play(&self, bot: &str) -> Result<()> {
        self.title("1. A client finishes Embedded Signup; the browser gets a code");
        let signup = self.sign_up().await.context("step 1, the signup at the simulator, failed")?;
        self.title("2. The code is exchanged for the client's business token, which is sealed and stored");
        let onboarding = self.exchange(bot, &signup).await.context("step 2, exchange-token, failed")?;
        self.title("3. The onboarding runs: subscription, credit line, PIN, registration");
        let client = self.onboard(&signup, &onboarding).await.context("step 3, onboard-client, failed")?;
        self.title("4. A customer writes to the client");
        let number = text(&client, "phoneNumberId")?;
        let asked = self.ask(number).await.context("step 4, the customer's message, failed")?;
        self.title("5. The answer arrives on the customer's phone");
        let answer = self.answer(number, &asked).await.context("step 5, the automatic answer, failed")?;
        self.title("6. The history, newest first");
        self.history(bot, number, &answer).await.context("step 6, the history, failed")?;
        self.progress.say("\nthe demo is complete");
        Ok(())
    }

    fn title(&self, title: &str) {
        self.progress.say(format!("\n{title}"));
    }

    async fn sign_up(&self) -> Result<Value> {
        let body = json!({"businessName": "Lucky Bakery"});
        let signup = self.meta(Method::POST, "/_sim/signups", Some(body)).await?;
        self.progress.say(format!("   WABA {}, number {}", signup["wabaId"], signup["phoneNumberId"]));
        Ok(signup)
    }

    async fn exchange(&self, bot: &str, signup: &Value) -> Result<String> {
        let body = json!({"code": text(signup, "code")?, "botId": bot});
        let (_, answer) =
            self.api(Method::POST, "/api/integrations/whatsapp/exchange-token", Some(body)).await?;
        let onboarding = text(&answer, "onboardingId")?.to_owned();
        self.progress.say(format!("   onboarding {onboarding}"));
        Ok(onboarding)
    }

    async fn onboard(&self, signup: &Value, onboarding: &str) -> Result<Value> {
        let body = json!({
            "onboardingId": onboarding,
            "wabaId": signup["wabaId"],
            "phoneNumberId": signup["phoneNumberId"],
            "businessId": signup["businessId"],
            "clientName": "Lucky Bakery",
        });
        let (mut status, mut answer) =
            self.api(Method::POST, "/api/integrations/whatsapp/onboard-client", Some(body)).await?;
        let path = format!("/api/integrations/whatsapp/onboarding/{onboarding}");
        let deadline = Instant::now() + PATIENCE;
        while answer["status"] == "open" && Instant::now() < deadline {
            sleep(PAUSE).await;
            (status, answer) = self.api(Method::GET, &path, None).await?;
        }
        for step in answer["steps"].as_array().into_iter().flatten() {
            self.progress.say(format!("   {:<22} {}", plain(&step["name"]), plain(&step["state"])));
        }
        ensure!(answer["status"] == "active", "the onboarding is not active ({status}): {answer}");
        Ok(answer["client"].clone())
    }

    async fn ask(&self, number: &str) -> Result<String> {
        let body = json!({"to": number, "message": {"type": "text", "text": {"body": QUESTION}}});
        let path = format!("/_sim/customers/{CUSTOMER}/messages");
        let sent = self.meta(Method::POST, &path, Some(body)).await?;
        self.progress.say(format!("   \"{QUESTION}\""));
        Ok(text(&sent, "wamid")?.to_owned())
    }

    /// The first message of the client on the phone after the one that was asked.
    async fn answer(&self, number: &str, asked: &str) -> Result<String> {
        let path = format!("/_sim/customers/{CUSTOMER}/messages");
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let phone = self.meta(Method::GET, &path, None).await?;
            let shown = phone["items"].as_array().into_iter().flatten();
            let after = shown.skip_while(|item| item["wamid"] != asked).skip(1);
            if let Some(answer) = after.into_iter().find(|item| item["from"] != CUSTOMER) {
                self.progress.say(format!("   \"{}\"", plain(&answer["message"]["text"]["body"])));
                return Ok(text(answer, "wamid")?.to_owned());
            }
            sleep(PAUSE).await;
        }
        bail!(
            "no answer came from {number} within {} s: see reply.log and ingest.log in {}",
            PATIENCE.as_secs(),
            self.stack.logs.display()
        )
    }

    /// Waits until the answer's statuses have come in, so that the history shows them.
    async fn history(&self, bot: &str, number: &str, answer: &str) -> Result<()> {
        let path =
            format!("/api/whatsapp/messages/{bot}?phoneNumberId={number}&customer={CUSTOMER}&limit=10");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (_, page) = self.api(Method::GET, &path, None).await?;
            let items = page["items"].as_array().cloned().unwrap_or_default();
            let read = |item: &Value| item["wamid"] == answer && item["statuses"]["read"].is_string();
            if items.iter().any(read) {
                items.iter().for_each(|item| self.progress.say(format!("   {}", line(item))));
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the answer's statuses did not come in: {page}");
            sleep(PAUSE).await;
        }
    }

    async fn api(&self, method: Method, path: &str, body: Option<Value>) -> Result<(StatusCode, Value)> {
        let call = self.http.request(method, format!("{}{path}", self.stack.api_url)).bearer_auth(self.token);
        send(call, path, body).await
    }

    async fn meta(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let call = self.http.request(method, format!("{}{path}", self.stack.meta_url));
        Ok(send(call, path, body).await?.1)
    }
}

async fn send(call: reqwest::RequestBuilder, path: &str, body: Option<Value>) -> Result<(StatusCode, Value)> {
    let call = match body {
        Some(body) => call.json(&body),
        None => call,
    };
    let answer = call.send().await.with_context(|| format!("{path} cannot be reached"))?;
    let status = answer.status();
    let text = answer.text().await.with_context(|| format!("{path} broke off"))?;
    ensure!(status.is_success(), "{path} answered {status}: {text}");
    let json = serde_json::from_str(&text).with_context(|| format!("{path} answered no JSON: {text}"))?;
    Ok((status, json))
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name].as_str().with_context(|| format!("{name} is missing in {value}"))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn line(item: &Value) -> String {
    let arrow = if item["direction"] == "inbound" { "customer →" } else { "client   →" };
    let statuses = item["statuses"].as_object();
    let statuses: Vec<&str> = statuses.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let statuses = if statuses.is_empty() { String::new() } else { format!("  ({})", statuses.join(", ")) };
    format!("{}  {arrow} {}{statuses}", plain(&item["timestamp"]), plain(&item["text"]))
}

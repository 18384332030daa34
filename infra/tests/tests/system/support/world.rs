//! The running stack.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use anyhow::{Context, Result, ensure};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use shared::domain::raw::{PartList, Raw};
use shared::flows::stored_bytes;
use switchboard::{Options, Ports, Stack, StackInfo};
use tempfile::NamedTempFile;

use super::api::WEBHOOKS;
use super::cloud::{Cloud, Item};
use super::description::Description;
use super::{Api, Signup, Sim, eventually};

/// Settings that make waiting short.
const QUICK: [(&str, &str); 7] = [
    ("BurstWindowSeconds", "1"),
    ("ClaimSeconds", "10"),
    ("OnboardingRetrySeconds", "1"),
    ("InboundVisibilitySeconds", "30"),
    ("AnswersVisibilitySeconds", "30"),
    ("EventsVisibilitySeconds", "30"),
    ("SubscriptionsKnownSeconds", "1"),
];

/// The running stack, and what the tests know together.
pub(crate) struct World {
    pub(crate) info: StackInfo,
    pub(crate) http: reqwest::Client,
    pub(crate) cloud: Cloud,
    pub(crate) description: Description,
    stack: Mutex<Option<Stack>>,
    /// What must never be seen: every secret that a test had in its hands.
    canaries: Mutex<BTreeSet<String>>,
    /// Those of them that one answer told.
    told_once: Mutex<BTreeSet<String>>,
    /// What the walk at the end looked for, for its second half.
    looked_for: OnceLock<BTreeSet<String>>,
    /// Every answer of the API to every test, for secrets that are known only later.
    answers: Mutex<NamedTempFile>,
    next: AtomicU32,
}

impl World {
    pub(crate) async fn start() -> Result<Self> {
        // Emptied at each start, so that the logs of a failed run can be read until the next one.
        let state_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("system");
        let mut overrides: BTreeMap<_, _> =
            QUICK.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        // The simulator takes any key.
        let model_key = format!("sk-{:032x}", rand_once());
        overrides.insert("ModelKey".to_owned(), model_key.clone());
        let options = Options {
            state_dir,
            ports: Ports::Free,
            fresh: true,
            overrides,
            quiet: true,
            enforce_roles: true,
        };
        let stack = Stack::start(options).await?;
        let info = stack.info.clone();
        let world = Self {
            http: switchboard::client()?,
            cloud: Cloud::new(&info)?,
            description: Description::read()?,
            info,
            stack: Mutex::new(Some(stack)),
            canaries: Mutex::default(),
            told_once: Mutex::default(),
            looked_for: OnceLock::new(),
            answers: Mutex::new(NamedTempFile::new()?),
            next: AtomicU32::new(1),
        };
        world.must_stay_secret(model_key);
        let tokens = world.info.tokens.clone().context("the stack simulates Meta")?;
        for token in tokens.bots.into_values().chain([tokens.admin]) {
            world.must_stay_secret(token);
        }
        Ok(world)
    }

    pub(crate) async fn stop(&self) -> Result<()> {
        let stack = self.stack.lock().expect("nobody panics while holding it").take();
        match stack {
            Some(stack) => stack.stop().await,
            None => Ok(()),
        }
    }

    /// A number that no test had before.
    pub(crate) fn unique(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A bot that nobody used before; the admin's token opens it.
    pub(crate) fn new_bot(&self) -> String {
        format!("bot-{}", self.unique())
    }

    /// A customer that nobody wrote as before.
    pub(crate) fn new_customer(&self) -> String {
        format!("1555{:07}", 100_000 + self.unique())
    }

    pub(crate) fn sim(&self) -> Sim<'_> {
        Sim::new(self)
    }

    /// The API, called with the admin's token.
    pub(crate) fn admin(&self) -> Api<'_> {
        Api::new(self, Some(self.info.tokens.as_ref().expect("the stack simulates Meta").admin.clone()))
    }

    /// The API, called with the token of one local bot.
    pub(crate) fn bot(&self, bot: &str) -> Api<'_> {
        let tokens = &self.info.tokens.as_ref().expect("the stack simulates Meta").bots;
        Api::new(self, Some(tokens[bot].clone()))
    }

    /// The API, called without a token.
    pub(crate) fn anybody(&self) -> Api<'_> {
        Api::new(self, None)
    }

    /// A token with these claims, signed as all are: of callers that the stack itself does not have.
    pub(crate) fn token_of(&self, claims: &Value) -> Result<String> {
        let stack = self.stack.lock().expect("nobody panics while holding it");
        let token = stack.as_ref().context("the stack runs")?.token_of(claims)?;
        self.must_stay_secret(token.clone());
        Ok(token)
    }

    /// The token that the signup page gets: it opens the signup of this bot and nothing else.
    pub(crate) async fn page_token(&self, bot: &str) -> Result<String> {
        let url = format!("{}/local/onboard-token", self.info.web_url);
        let call = self.http.post(url).header("origin", &self.info.web_url).json(&json!({"botId": bot}));
        let answer: Value = call.send().await?.error_for_status()?.json().await?;
        let token = answer["token"].as_str().context("the front gave no page token")?.to_owned();
        self.must_stay_secret(token.clone());
        Ok(token)
    }

    /// Marks a secret: it is looked for in all that the whole run leaves anywhere.
    pub(crate) fn must_stay_secret(&self, secret: impl Into<String>) {
        self.canaries.lock().expect("nobody panics while holding it").insert(secret.into());
    }

    /// The same for one that the API tells to whom it is for, in one answer and never again.
    pub(crate) fn was_told_once(&self, secret: impl Into<String>) {
        let secret = secret.into();
        self.told_once.lock().expect("nobody panics while holding it").insert(secret.clone());
        self.must_stay_secret(secret);
    }

    pub(crate) fn canaries(&self) -> BTreeSet<String> {
        self.canaries.lock().expect("nobody panics while holding it").clone()
    }

    pub(crate) fn told(&self) -> BTreeSet<String> {
        self.told_once.lock().expect("nobody panics while holding it").clone()
    }

    /// Keeps what is looked for until the stack has stopped.
    pub(crate) fn keep_secrets_of_the_run(&self, secrets: BTreeSet<String>) {
        self.looked_for.get_or_init(|| secrets);
    }

    /// What was looked for; `None` if nobody did.
    pub(crate) fn secrets_of_the_run(&self) -> Option<BTreeSet<String>> {
        self.looked_for.get().cloned()
    }

    /// Whether a text holds a secret that is known by now.
    pub(crate) fn is_leaking(&self, text: &str) -> bool {
        let canaries = self.canaries.lock().expect("nobody panics while holding it");
        canaries.iter().any(|secret| secret.len() > 6 && text.contains(secret))
    }

    /// Keeps an answer for the walk at the end.
    pub(crate) fn record(&self, answer: &str) -> Result<()> {
        let mut answers = self.answers.lock().expect("nobody panics while holding it");
        writeln!(answers, "{answer}").context("an answer was not kept")
    }

    /// All answers so far.
    pub(crate) fn recorded(&self) -> Result<Vec<u8>> {
        Ok(std::fs::read(self.answers.lock().expect("nobody panics while holding it").path())?)
    }

    /// The signature that Meta would send with a body.
    pub(crate) fn signature(&self, body: &[u8]) -> String {
        signature(self.info.app_secret.as_deref().expect("the stack simulates Meta"), body)
    }

    /// Delivers a body as Meta would; the answer's status.
    pub(crate) async fn deliver(&self, body: impl Into<Vec<u8>>) -> Result<u16> {
        let body = body.into();
        let signature = self.signature(&body);
        let answer =
            self.anybody().post_bytes(WEBHOOKS, &[("x-hub-signature-256", &signature)], body).await?;
        Ok(answer.status)
    }

    /// The bytes behind an item's raw form.
    pub(crate) async fn raw_of(&self, item: &Item) -> Result<Vec<u8>> {
        let raw = raw(item).with_context(|| format!("an item without raw bytes: {:?}", item.keys()))?;
        Ok(stored_bytes(&self.cloud.tables(), &raw).await?)
    }

    /// What the quarantine holds under an id.
    pub(crate) async fn quarantined(&self, id: &str) -> Result<Vec<u8>> {
        let item = self.cloud.item("quarantine", ("quarantineId", id)).await?;
        self.raw_of(&item.with_context(|| format!("no {id} in quarantine"))?).await
    }

    /// Exchanges a signup's code and answers the onboarding's id.
    pub(crate) async fn exchange(&self, api: &Api<'_>, bot: &str, signup: &Signup) -> Result<String> {
        let answer = api.exchange(bot, &signup.code).await?.ok()?;
        Ok(answer["onboardingId"].as_str().context("the exchange names no onboarding")?.to_owned())
    }

    /// Calls onboard-client until the client is active.
    pub(crate) async fn onboard(&self, api: &Api<'_>, signup: &Signup, onboarding: &str) -> Result<Value> {
        eventually("the onboarding is active", async || {
            let answer = api.onboard(onboarding, signup).await?;
            ensure!(answer.status == 200, "{answer}");
            answer.ok()
        })
        .await
    }

    /// A client whose onboarding is complete, under a bot of its own.
    pub(crate) async fn client(&self) -> Result<Client<'_>> {
        self.client_of(self.admin(), &self.new_bot()).await
    }

    /// A client whose onboarding is complete.
    pub(crate) async fn client_of<'w>(&'w self, api: Api<'w>, bot: &str) -> Result<Client<'w>> {
        let signup = self.sim().sign_up(json!({})).await?;
        self.client_from(api, bot, signup).await
    }

    /// The client of a finished signup, its onboarding complete.
    pub(crate) async fn client_from<'w>(
        &'w self,
        api: Api<'w>,
        bot: &str,
        signup: Signup,
    ) -> Result<Client<'w>> {
        let onboarding = self.exchange(&api, bot, &signup).await?;
        let active = self.onboard(&api, &signup, &onboarding).await?;
        ensure!(active["client"]["phoneNumberId"] == signup.phone, "another number was onboarded: {active}");
        Ok(Client { world: self, api, bot: bot.to_owned(), signup, onboarding })
    }
}

/// An active client.
pub(crate) struct Client<'w> {
    world: &'w World,
    pub(crate) api: Api<'w>,
    pub(crate) bot: String,
    pub(crate) signup: Signup,
    pub(crate) onboarding: String,
}

impl Client<'_> {
    pub(crate) fn phone(&self) -> &str {
        &self.signup.phone
    }

    /// The history with one customer, newest first.
    pub(crate) async fn history(&self, customer: &str) -> Result<Vec<Value>> {
        let path =
            format!("/api/whatsapp/messages/{}?phoneNumberId={}&customer={customer}", self.bot, self.phone());
        let mut page = self.api.get(&path).await?.ok()?;
        Ok(serde_json::from_value(page["items"].take())?)
    }

    /// A customer's message to this client; its wamid.
    pub(crate) async fn hears(&self, customer: &str, text: &str) -> Result<String> {
        self.world.sim().write(customer, json!({"to": self.phone(), "message": text_message(text)})).await
    }

    /// What this client's customer sees of the client, oldest first.
    pub(crate) async fn shown_to(&self, customer: &str) -> Result<Vec<Value>> {
        let shown = self.world.sim().phone(customer).await?;
        Ok(shown.into_iter().filter(|message| message["from"] != customer).collect())
    }

    /// Waits until so many of the client's messages are on the customer's phone.
    pub(crate) async fn answers(&self, customer: &str, count: usize) -> Result<Vec<Value>> {
        eventually(&format!("{count} messages on the phone of {customer}"), async || {
            let shown = self.shown_to(customer).await?;
            ensure!(shown.len() == count, "it shows {shown:?}");
            Ok(shown)
        })
        .await
    }

    /// Waits until no message of the customer waits for an answer, so that nothing more will come.
    pub(crate) async fn settled(&self, customer: &str) -> Result<Vec<Value>> {
        eventually("every message has its answer or the reason for none", async || {
            let history = self.history(customer).await?;
            ensure!(!history.is_empty(), "the history is empty");
            let pending = history.iter().any(|message| message["answer"]["state"] == "pending");
            ensure!(!pending, "{history:?}");
            Ok(history)
        })
        .await
    }

    /// A body for send-message.
    pub(crate) fn text_to(&self, customer: &str, text: &str) -> Value {
        let mut body = text_message(text);
        body["botId"] = json!(self.bot);
        body["phoneNumberId"] = json!(self.phone());
        body["to"] = json!(customer);
        body
    }
}

/// The raw form in an item: text, gzip, or a list of parts that are elsewhere.
fn raw(item: &Item) -> Option<Raw> {
    if let Some(text) = item.get("raw").and_then(|value| value.as_s().ok()) {
        return Some(Raw::Plain(text.clone()));
    }
    if let Some(bytes) = item.get("rawGzip").and_then(|value| value.as_b().ok()) {
        return Some(Raw::Gzip(bytes.as_ref().to_vec()));
    }
    let list = item.get("rawParts")?.as_m().ok()?;
    let sha256 = list.get("sha256")?.as_s().ok()?.clone();
    Some(Raw::Parts(PartList { sha256, count: list.get("count")?.as_n().ok()?.parse().ok()? }))
}

fn text_message(text: &str) -> Value {
    json!({"type": "text", "text": {"body": text}})
}

/// `X-Hub-Signature-256` of a body under a secret.
pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// A number that differs from run to run.
fn rand_once() -> u128 {
    use std::hash::{BuildHasher, RandomState};
    let half = || u128::from(RandomState::new().hash_one("a run"));
    half() << 64 | half()
}

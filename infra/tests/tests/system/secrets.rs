//! After everything else: no secret lies where it must not, and nothing was given up.
//!
//! The walk has two halves. While the stack runs: tables and files unpacked, logs, answers, pages, and what left for
//! Meta. Once it has stopped: every file that any part of it kept, whatever it is (queues, schedules, metrics, alarms,
//! logs, traces), except those that hold secrets by contract.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::domain::ids::GrantId;
use shared::domain::raw::gunzip;
use shared::domain::seal::SealContext;
use shared::ports::{ReadClients, ReadGrants, Seal};
use switchboard::recovery::by_the_operator;
use system_tests::needles::{Form, Needles};

use crate::support::api::{EXCHANGE, SEND};
use crate::support::{Case, World, cases, secret};

/// What the stack keeps that holds secrets because it must, or is no data.
const EXCEPT: [(&str, &str); 9] = [
    ("stack.json", "how callers and tests find the stack: it holds their tokens"),
    ("secrets.json", "the secrets that the local stack invents"),
    ("simulator.json", "Meta's own records"),
    ("keys", "the key that signs callers' tokens"),
    ("cloud/secretsmanager.json", "the secret store itself"),
    ("cloud/cloudformation.json", "the deployment's parameters; AWS does not show those of NoEcho"),
    ("cloud/cognito-rsa-key.pem", "the emulator's own"),
    ("cloud/lambda-blobs", "the functions' code"),
    ("tmp", "the functions' code, unpacked"),
];
/// What must be found with the same eyes, or the walk is blind.
const CONTROL: &str = "cloud/secretsmanager.json";

pub(crate) fn cases() -> Vec<Case> {
    cases!["secrets":
        Last no_secret_is_in_a_log_a_table_a_file_a_call_an_answer_or_a_page,
        Last nothing_ended_in_the_dead_letters,
    ]
}

async fn no_secret_is_in_a_log_a_table_a_file_a_call_an_answer_or_a_page(world: &World) -> Result<()> {
    make_traces(world).await?;
    let secrets = Secrets::of(world).await?;
    let mut seen = 0;
    for file in files(&world.info.logs)? {
        let log = std::fs::read(&file)?;
        seen += log.len();
        secrets.must_not_be_in(&log, &file.display().to_string())?;
    }
    ensure!(seen > 0, "the logs are empty: nothing was looked at");
    for table in world.info.tables.keys() {
        for item in world.cloud.everything(table).await? {
            let key = item.values().filter_map(|value| value.as_s().ok()).next().cloned().unwrap_or_default();
            for (attribute, value) in &item {
                let place = format!("{table}, attribute {attribute} of an item with {key}");
                for bytes in bytes_of(value) {
                    secrets.must_not_be_in(&bytes, &place)?;
                }
            }
            if item.contains_key("rawParts") {
                match world.raw_of(&item).await {
                    Ok(raw) => {
                        secrets.must_not_be_in(&raw, &format!("{table}, the parts of an item with {key}"))?;
                    }
                    // What a contract invented points at nothing.
                    Err(error) => {
                        ensure!(format!("{error:#}").contains("parts are missing"), "{key}: {error:#}")
                    }
                }
            }
        }
    }
    for (name, bucket) in &world.info.buckets {
        for (key, bytes) in stored(world, bucket).await? {
            secrets.must_not_be_in(&unpacked(bytes), &format!("bucket {name}, {key}"))?;
        }
    }
    for log in ["calls", "deliveries"] {
        let entries = world.sim().get(log).await?;
        secrets.must_not_be_in(entries.to_string().as_bytes(), &format!("the simulator's {log}"))?;
    }
    for page in pages(world)? {
        let answer = world.http.get(format!("{}{page}", world.info.web_url)).send().await?;
        let shown = format!("{:?}\n{}", answer.headers().clone(), answer.text().await?);
        secrets.must_not_be_in(shown.as_bytes(), &format!("the page {page}"))?;
    }
    let answers = world.recorded()?;
    ensure!(!answers.is_empty(), "no answer was recorded");
    secrets.must_not_be_in(&answers, "the answers of the API")
}

/// The second half, when all parts of the stack have saved what they keep. Nothing, where the first one did not run.
pub(crate) fn no_secret_is_in_what_is_left(world: &World) -> Result<()> {
    let Some(mut known) = world.secrets_of_the_run() else { return Ok(()) };
    let state = world.info.logs.parent().context("the logs are in the state folder")?;
    // Meta knows every token and code that it ever gave, also those that were replaced.
    let meta: Value = serde_json::from_slice(&std::fs::read(state.join("simulator.json"))?)?;
    for kind in ["tokens", "codes", "system_tokens"] {
        known.extend(meta[kind].as_object().into_iter().flatten().map(|(secret, _)| secret.clone()));
    }
    let secrets = Secrets::new(known, BTreeSet::new())?;
    let control = std::fs::read(state.join(CONTROL))?;
    ensure!(
        secrets.must_not_be_in(&control, CONTROL).is_err(),
        "the secret store holds no secret: the walk is blind"
    );
    let mut seen = BTreeSet::new();
    for file in files(state)? {
        let name = file.strip_prefix(state)?.display().to_string();
        if EXCEPT.iter().any(|(except, _)| name == *except || name.starts_with(&format!("{except}/"))) {
            continue;
        }
        secrets.must_not_be_in(&unpacked(std::fs::read(&file)?), &name)?;
        seen.insert(name);
    }
    for name in ["sqs", "dynamodb", "cloudwatch", "cloudwatch_logs", "scheduler", "lambda"] {
        ensure!(
            seen.contains(&format!("cloud/{name}.json")),
            "what {name} keeps was not looked at: {seen:?}"
        );
    }
    Ok(())
}

async fn nothing_ended_in_the_dead_letters(world: &World) -> Result<()> {
    let queues = world.info.queues.keys().filter(|queue| queue.ends_with("Dead"));
    for queue in queues {
        let dead = world.cloud.drain(&world.info.queues[queue]).await?;
        ensure!(dead.is_empty(), "{queue} holds {} messages: {:?}", dead.len(), dead.first());
    }
    Ok(())
}

/// What each secret passes through at least once, also when this test runs alone.
async fn make_traces(world: &World) -> Result<()> {
    let client = world.client().await?;
    let customer = world.new_customer();
    client.hears(&customer, "Leave a trace").await?;
    client.answers(&customer, 1).await?;
    client.settled(&customer).await?;
    client.api.post(SEND, &client.text_to(&customer, "And another")).await?.ok()?;
    let answer = client.api.post(EXCHANGE, &json!({"botId": client.bot, "code": client.signup.code})).await?;
    answer.ok()?;
    let tables = world.cloud.tables();
    let record = tables.client(&client.phone().parse()?).await?.context("the client is recorded")?;
    let pin = record.sealed_pin.context("the PIN is stored")?;
    let phone = client.phone().parse()?;
    let pin = world.cloud.kms().open(&pin, SealContext::ClientPin(&phone)).await?;
    ensure!(pin.expose_secret().len() == 6, "what was sealed is no PIN");
    world.must_stay_secret(pin.expose_secret());
    Ok(())
}

/// What is looked for.
struct Secrets {
    known: Vec<String>,
    needles: Needles,
    /// Those that one answer may hold.
    told_once: BTreeSet<String>,
}

impl Secrets {
    async fn of(world: &World) -> Result<Self> {
        let mut known: BTreeSet<String> = world.canaries();
        known.extend(business_tokens(world).await?);
        let file = world.info.logs.with_file_name("secrets.json");
        let settings: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
        for name in ["appSecret", "verifyToken", "systemUserToken"] {
            let value =
                settings[name].as_str().with_context(|| format!("no {name} in {}", file.display()))?;
            known.insert(value.to_owned());
        }
        let (pins, long): (Vec<_>, Vec<_>) = known.iter().partition(|secret| secret.len() == 6);
        ensure!(long.len() >= 5 && !pins.is_empty(), "too few secrets to look for");
        world.keep_secrets_of_the_run(known.clone());
        Self::new(known, world.told())
    }

    fn new(known: BTreeSet<String>, told_once: BTreeSet<String>) -> Result<Self> {
        let known: Vec<String> = known.into_iter().collect();
        let needles = Needles::new(known.iter().map(String::as_str))?;
        Ok(Self { known, needles, told_once })
    }

    /// The failure names the place and the kind of secret, never the secret.
    fn must_not_be_in(&self, hay: &[u8], place: &str) -> Result<()> {
        let text = String::from_utf8_lossy(hay);
        ensure!(!secret::has_token(&text), "a token of Meta's is in {place}");
        let mut told = self.told_once.clone();
        for found in self.needles.find(hay) {
            let secret = &self.known[found.secret];
            let is_the_telling =
                place.starts_with("the answers") && found.form == Form::Plain && told.remove(secret);
            let before = String::from_utf8_lossy(&hay[found.at.saturating_sub(40)..found.at]);
            ensure!(
                is_the_telling,
                "a secret of {} bytes ({:?}) is in {place}, behind {before:?}",
                secret.len(),
                found.form
            );
        }
        Ok(())
    }
}

/// Every token that the tests' clients gave, opened; those before them, too.
async fn business_tokens(world: &World) -> Result<Vec<String>> {
    let (tables, kms) = (world.cloud.tables(), world.cloud.kms());
    let mut tokens = Vec::new();
    for item in world.cloud.everything("grants").await? {
        let id: GrantId = item["grantId"].as_s().ok().context("a grant's id is text")?.parse()?;
        let grant = tables.grant(&id).await?.context("the grant is there")?;
        let previous = grant.previous.map(|previous| previous.token);
        // Contracts write grants whose token was never sealed, and clients that left have none.
        for sealed in grant.token.iter().chain(&previous) {
            if let Ok(token) = kms.open(sealed, SealContext::GrantToken(&id)).await {
                tokens.push(token.expose_secret().to_owned());
            }
        }
    }
    ensure!(tokens.iter().any(|token| token.starts_with("EAA")), "no business token was opened");
    Ok(tokens.into_iter().filter(|token| token.len() >= 20).collect())
}

/// All files below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in
        std::fs::read_dir(folder).with_context(|| format!("{} cannot be listed", folder.display()))?
    {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            found.extend(files(&entry.path())?);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The addresses that the front serves without a caller.
fn pages(world: &World) -> Result<Vec<String>> {
    let fixed = ["/", "/config.json", "/.well-known/jwks.json", "/.well-known/openid-configuration"];
    let mut pages: Vec<String> = fixed.map(str::to_owned).into();
    let bots = &world.info.tokens.as_ref().context("the stack simulates Meta")?.bots;
    pages.extend(bots.keys().map(|bot| format!("/chatbot/{bot}/integration")));
    for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web"))? {
        let name = file.file_name().and_then(|name| name.to_str()).context("a file with a name")?;
        pages.push(format!("/assets/{name}"));
    }
    Ok(pages)
}

/// Every object of a bucket. The emulator answers who does not sign.
async fn stored(world: &World, bucket: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let base = format!("{}/{bucket}", world.info.aws_endpoint);
    let get = async |address: &str| {
        world.http.get(address).header("authorization", by_the_operator("s3")).send().await
    };
    let list = get(&format!("{base}?list-type=2&max-keys=1000")).await?;
    let list = list.error_for_status()?.text().await?;
    ensure!(!list.contains("<IsTruncated>true"), "more than a page of objects: read them all");
    let mut objects = Vec::new();
    for key in list.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()) {
        let object = get(&format!("{base}/{key}")).await?;
        // Tests erase some at this moment.
        if object.status().is_success() {
            objects.push((key.to_owned(), object.bytes().await?.to_vec()));
        }
    }
    Ok(objects)
}

/// All texts and bytes of an attribute, unpacked.
fn bytes_of(value: &AttributeValue) -> Vec<Vec<u8>> {
    match value {
        AttributeValue::B(blob) => vec![unpacked(blob.as_ref().to_vec())],
        AttributeValue::Bs(blobs) => blobs.iter().map(|blob| unpacked(blob.as_ref().to_vec())).collect(),
        AttributeValue::S(text) | AttributeValue::N(text) => vec![text.clone().into_bytes()],
        AttributeValue::Ss(texts) | AttributeValue::Ns(texts) => {
            texts.iter().map(|text| text.clone().into_bytes()).collect()
        }
        AttributeValue::L(values) => values.iter().flat_map(bytes_of).collect(),
        AttributeValue::M(members) => members
            .iter()
            .flat_map(|(name, value)| std::iter::once(name.clone().into_bytes()).chain(bytes_of(value)))
            .collect(),
        _ => Vec::new(),
    }
}

fn unpacked(bytes: Vec<u8>) -> Vec<u8> {
    if bytes.starts_with(&[0x1f, 0x8b]) { gunzip(&bytes).unwrap_or(bytes) } else { bytes }
}

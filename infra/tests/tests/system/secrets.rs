//! After everything else: no secret lies where it must not, and nothing was given up.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::{Value, json};
use shared::domain::ids::GrantId;
use shared::domain::raw::gunzip;
use shared::domain::seal::SealContext;
use shared::ports::{ReadClients, ReadGrants, Seal};

use crate::support::api::{EXCHANGE, SEND};
use crate::support::{Case, World, cases, secret};

pub(crate) fn cases() -> Vec<Case> {
    cases!["secrets":
        Last no_secret_is_in_a_log_a_table_a_queue_or_a_call,
        Last nothing_ended_in_the_dead_letters,
    ]
}

async fn no_secret_is_in_a_log_a_table_a_queue_or_a_call(world: &World) -> Result<()> {
    make_traces(world).await?;
    let needles = needles(world).await?;
    let mut seen = 0;
    for file in std::fs::read_dir(&world.info.logs)? {
        let path = file?.path();
        let log = std::fs::read(&path)?;
        seen += log.len();
        needles.must_not_be_in(&log, &path.display().to_string())?;
    }
    ensure!(seen > 0, "the logs are empty: nothing was looked at");
    for table in world.info.tables.keys() {
        for item in world.cloud.everything(table).await? {
            let key = item.values().filter_map(|value| value.as_s().ok()).next().cloned().unwrap_or_default();
            for (attribute, value) in &item {
                let place = format!("{table}, attribute {attribute} of an item with {key}");
                needles.must_not_be_in(&bytes_of(value), &place)?;
            }
        }
    }
    for log in ["calls", "deliveries"] {
        let entries = world.sim().get(log).await?;
        needles.must_not_be_in(entries.to_string().as_bytes(), &format!("the simulator's {log}"))?;
    }
    Ok(())
}

async fn nothing_ended_in_the_dead_letters(world: &World) -> Result<()> {
    for queue in ["inboundDead", "answersDead"] {
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
    ensure!(pin.len() == 6, "what was sealed is no PIN");
    world.must_stay_secret(pin);
    Ok(())
}

/// What is looked for.
struct Needles {
    /// In all forms in which they could have been written.
    long: Vec<String>,
    /// Six digits each.
    pins: Vec<String>,
}

async fn needles(world: &World) -> Result<Needles> {
    let mut secrets: BTreeSet<String> = world.canaries();
    secrets.extend(business_tokens(world).await?);
    let file = world.info.logs.with_file_name("secrets.json");
    let settings: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
    for name in ["appSecret", "verifyToken", "systemUserToken"] {
        let value = settings[name].as_str().with_context(|| format!("no {name} in {}", file.display()))?;
        secrets.insert(value.to_owned());
    }
    let (pins, long) = secrets.into_iter().partition::<Vec<_>, _>(|secret| secret.len() == 6);
    ensure!(long.len() >= 5 && !pins.is_empty(), "too few secrets to look for");
    Ok(Needles { long: long.iter().flat_map(|secret| forms(secret)).collect(), pins })
}

/// Every token that the tests' clients gave, opened.
async fn business_tokens(world: &World) -> Result<Vec<String>> {
    let (tables, kms) = (world.cloud.tables(), world.cloud.kms());
    let mut tokens = Vec::new();
    for item in world.cloud.everything("grants").await? {
        let id: GrantId = item["grantId"].as_s().ok().context("a grant's id is text")?.parse()?;
        let grant = tables.grant(&id).await?.context("the grant is there")?;
        // Contracts write grants whose token was never sealed, and clients that left have none.
        let Some(sealed) = &grant.token else { continue };
        if let Ok(token) = kms.open(sealed, SealContext::GrantToken(&id)).await {
            tokens.push(token);
        }
    }
    ensure!(tokens.iter().any(|token| token.starts_with("EAA")), "no business token was opened");
    Ok(tokens)
}

/// Plain, as hex, and as base64 at each of its three alignments.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let mut forms = vec![secret.to_owned(), hex::encode(bytes), hex::encode_upper(bytes)];
    for shift in 0..3 {
        let shifted = [&vec![0; shift][..], bytes].concat();
        let whole = shifted.len() / 3 * 3;
        // The first group mixes with what is before it.
        let start = if shift == 0 { 0 } else { 4 };
        forms.push(STANDARD_NO_PAD.encode(&shifted[..whole])[start..].to_owned());
    }
    forms
}

impl Needles {
    /// The failure names the place and the kind of secret, never the secret.
    fn must_not_be_in(&self, hay: &[u8], place: &str) -> Result<()> {
        let text = String::from_utf8_lossy(hay);
        ensure!(!secret::has_token(&text), "a token of Meta's is in {place}");
        for needle in &self.long {
            ensure!(!text.contains(needle), "a secret of {} characters is in {place}", needle.len());
        }
        let found = self.pins.iter().any(|pin| secret::has_number(&text, pin));
        ensure!(!found, "a PIN is in {place}");
        Ok(())
    }
}

/// What an attribute holds, unpacked.
fn bytes_of(value: &AttributeValue) -> Vec<u8> {
    match value {
        AttributeValue::B(blob) => gunzip(blob.as_ref()).unwrap_or_else(|_| blob.as_ref().to_vec()),
        AttributeValue::S(text) => text.clone().into_bytes(),
        other => format!("{other:?}").into_bytes(),
    }
}

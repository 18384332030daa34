//! Every webhook body of the corpus (`infra/tests/payloads`): counted, delivered, and found again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;
use shared::domain::Timestamp;
use shared::domain::raw::sha256;
use shared::domain::secret::AppSecret;
use shared::domain::signature::verify;
use shared::domain::webhook::{List, Piece, pieces};

use crate::support::{Case, World, cases, eventually};

/// The secret that signed the corpus. It opens nothing.
const CORPUS_SECRET: &str = "corpus-open-not-a-real-app-secret";

pub(crate) fn cases() -> Vec<Case> {
    cases!["corpus":
        Beside every_body_is_signed_and_counted_as_its_index_says,
        Beside every_element_of_every_body_can_be_found_afterwards,
    ]
}

struct Payload {
    name: String,
    body: Vec<u8>,
    index: Value,
}

impl Payload {
    fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body).with_context(|| format!("{} is not UTF-8", self.name))
    }

    /// Its elements; a body that is no webhook of ours has none.
    fn pieces(&self) -> Result<Vec<Piece<'_>>> {
        Ok(pieces(self.text()?).unwrap_or_default())
    }
}

fn corpus() -> Result<Vec<Payload>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("payloads");
    let index: BTreeMap<String, Value> = serde_json::from_slice(&std::fs::read(folder.join("index.json"))?)?;
    let files = std::fs::read_dir(&folder)?.count() - 1;
    ensure!(files == index.len(), "{files} files, but {} in the index", index.len());
    let load = |(name, index): (String, Value)| {
        let body = std::fs::read(folder.join(&name)).with_context(|| format!("{name} cannot be read"))?;
        Ok(Payload { name, body, index })
    };
    index.into_iter().map(load).collect()
}

async fn every_body_is_signed_and_counted_as_its_index_says(_: &World) -> Result<()> {
    let secret = AppSecret::try_from(CORPUS_SECRET.to_owned())?;
    for payload in corpus()? {
        let name = &payload.name;
        ensure!(payload.index["bytes"] == payload.body.len(), "{name} has {} bytes", payload.body.len());
        let signature = payload.index["x_hub_signature_256"].as_str();
        verify(&secret, signature, &payload.body).with_context(|| name.clone())?;
        let pieces = payload.pieces()?;
        let (live, others): (Vec<_>, Vec<_>) =
            pieces.iter().partition(|piece| piece.field.as_deref() == Some("messages"));
        let count = |wanted: &[List]| live.iter().filter(|piece| wanted.contains(&piece.list)).count();
        // A change of another field counts once, however much it holds.
        let changes: BTreeSet<_> = others.iter().map(|piece| piece.place()).collect();
        let beside = count(&[List::Errors, List::UserActions]) + changes.len();
        let counted = [count(&[List::Messages]), count(&[List::Statuses]), beside];
        let expect = &payload.index["expect"];
        let expected = [&expect["messages"], &expect["statuses"], &expect["other"]];
        ensure!(
            counted.iter().zip(expected).all(|(a, b)| b == a),
            "{name}: counted {counted:?}, expected {expect}"
        );
        let leftover = pieces.iter().any(|piece| piece.list == List::Leftover);
        ensure!(!leftover, "{name}: something is not understood");
    }
    Ok(())
}

async fn every_element_of_every_body_can_be_found_afterwards(world: &World) -> Result<()> {
    let corpus = corpus()?;
    for payload in &corpus {
        let status = world.deliver(payload.body.clone()).await?;
        ensure!(status == 200, "{}: answered {status}", payload.name);
    }
    // The same message can be in several bodies: the first to arrive is kept.
    let mut messages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for payload in &corpus {
        for piece in payload.pieces()?.iter().filter(|piece| is_message(piece)) {
            messages.entry(wamid_of(piece)?).or_default().push(piece.body());
        }
    }
    for (wamid, bodies) in &messages {
        eventually(wamid, async || message_is_kept(world, wamid, bodies).await).await?;
    }
    for payload in &corpus {
        let text = payload.text()?;
        if pieces(text).is_err() {
            let kept =
                eventually(&payload.name, async || world.quarantined(&sha256(text.as_bytes())).await).await?;
            ensure!(kept == payload.body, "{}: not kept as it came", payload.name);
            continue;
        }
        for piece in payload.pieces()? {
            let kept = async || element_is_kept(world, &piece).await;
            eventually("it is recorded", kept).await.with_context(|| payload.name.clone())?;
            let misunderstood = world.quarantined(&sha256(piece.body().as_bytes())).await.is_ok();
            ensure!(!misunderstood, "{}: in quarantine: {}", payload.name, piece.body());
        }
    }
    Ok(())
}

fn is_message(piece: &Piece<'_>) -> bool {
    matches!(piece.list, List::Messages | List::Echoes)
}

fn wamid_of(piece: &Piece<'_>) -> Result<String> {
    Ok(piece.message().with_context(|| piece.body())?.wamid.to_string())
}

async fn message_is_kept(world: &World, wamid: &str, bodies: &[String]) -> Result<()> {
    let item = world.cloud.item("messages", ("messageId", wamid)).await?;
    let raw = world.raw_of(&item.with_context(|| format!("no message {wamid}"))?).await?;
    ensure!(
        bodies.iter().any(|body| body.as_bytes() == raw),
        "{wamid} is kept as {}",
        String::from_utf8_lossy(&raw)
    );
    Ok(())
}

async fn element_is_kept(world: &World, piece: &Piece<'_>) -> Result<()> {
    match piece.list {
        // By wamid, above.
        List::Messages | List::Echoes => Ok(()),
        List::Statuses => status_is_kept(world, piece).await,
        List::Errors | List::UserActions | List::Change => event_is_kept(world, piece).await,
        List::Leftover => bail!("not understood: {}", piece.body()),
    }
}

/// On the message that it is about, or waiting for that message.
async fn status_is_kept(world: &World, piece: &Piece<'_>) -> Result<()> {
    let event = piece.status(Timestamp::UNIX_EPOCH).with_context(|| piece.body())?.event;
    let pointer = format!("wamid#{}", event.wamid);
    let item = world.cloud.item("messages", ("messageId", &pointer)).await?;
    let item = item.with_context(|| format!("no {pointer}"))?;
    let attribute = match &event.key.participant {
        None => format!("status#{}", event.key.state),
        Some(participant) => format!("status#{}#{participant}", event.key.state),
    };
    ensure!(item.contains_key(&attribute), "{pointer} has no {attribute}, but {:?}", item.keys());
    let kept = item.get(&format!("statusBody#{}", event.fact.hash)).and_then(|body| body.as_s().ok());
    ensure!(kept == Some(&piece.body()), "{pointer} keeps {kept:?} instead of {}", piece.body());
    Ok(())
}

/// Under its owner, by the hash of what was kept.
async fn event_is_kept(world: &World, piece: &Piece<'_>) -> Result<()> {
    let hash = sha256(piece.body().as_bytes());
    let change: Value = serde_json::from_str(piece.raw)?;
    let account = change.pointer("/value/waba_info/waba_id").and_then(Value::as_str);
    let owner = account.or(piece.entry_id.as_deref()).filter(|id| !id.is_empty()).unwrap_or("-");
    let call = world.cloud.dynamodb.query().table_name(&world.info.tables["events"]);
    let found = call
        .key_condition_expression("ownerId = :owner")
        .expression_attribute_values(":owner", AttributeValue::S(owner.to_owned()))
        .send()
        .await?;
    let kept = found.items().iter().find(|item| item.get("hash").and_then(|v| v.as_s().ok()) == Some(&hash));
    let kept = kept.with_context(|| format!("no event of {owner} with the hash of {}", piece.body()))?;
    let raw = world.raw_of(kept).await?;
    ensure!(raw == piece.body().as_bytes(), "kept as {}", String::from_utf8_lossy(&raw));
    Ok(())
}

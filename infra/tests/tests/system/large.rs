//! Webhooks of Meta's largest size, and elements that nobody knows yet: all kept, whole.

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::domain::raw::sha256;
use shared::domain::webhook::pieces;

use crate::support::{Case, World, cases, eventually};

pub(crate) fn cases() -> Vec<Case> {
    cases!["large":
        Beside a_large_body_that_cannot_be_parsed_is_kept_whole,
        Beside a_large_change_is_kept_whole,
        Beside a_thousand_messages_of_one_webhook_are_all_recorded,
        Beside unknown_fields_and_types_are_kept,
    ]
}

/// A little below the 3 MB that Meta's webhooks may have.
const LARGE: usize = 2_900_000;

/// Text of this length that does not compress to much less.
pub(crate) fn noise(seed: u32, len: usize) -> String {
    let mut text = String::with_capacity(len + 48);
    let mut block = Sha256::digest(seed.to_be_bytes());
    while text.len() < len {
        // 24 bytes are 32 characters, without rest.
        text.push_str(&STANDARD_NO_PAD.encode(&block[..24]));
        block = Sha256::digest(block);
    }
    text.truncate(len);
    text
}

pub(crate) fn webhook(entry_id: &str, field: &str, value: &Value) -> String {
    let entry =
        json!([{"id": entry_id, "time": 1_795_200_000, "changes": [{"field": field, "value": value}]}]);
    json!({"object": "whatsapp_business_account", "entry": entry}).to_string()
}

async fn a_large_body_that_cannot_be_parsed_is_kept_whole(world: &World) -> Result<()> {
    let body = noise(world.unique(), LARGE);
    ensure!(world.deliver(body.clone()).await? == 200, "not taken");
    let kept =
        eventually("it is in quarantine", async || world.quarantined(&sha256(body.as_bytes())).await).await?;
    ensure!(kept == body.as_bytes(), "{} bytes came, other {} are kept", body.len(), kept.len());
    Ok(())
}

async fn a_large_change_is_kept_whole(world: &World) -> Result<()> {
    let owner = format!("22890{:07}", world.unique());
    let contact = json!({"full_name": noise(world.unique(), LARGE), "phone_number": "15550100222"});
    let synced = json!({"state_sync": [{"type": "contact", "action": "add", "contact": contact}]});
    let body = webhook(&owner, "smb_app_state_sync", &synced);
    ensure!(world.deliver(body.clone()).await? == 200, "not taken");
    let change = pieces(&body)?.first().context("one change")?.body();
    let hash = sha256(change.as_bytes());
    let key = [("ownerId", owner.as_str()), ("hash", hash.as_str())];
    let kept = eventually("the change is recorded", async || {
        let events = world.cloud.everything("events").await?;
        let of_key = |name: &str, value: &str, item: &crate::support::cloud::Item| {
            item.get(name).and_then(|v| v.as_s().ok()).is_some_and(|text| text == value)
        };
        let event = events.iter().find(|item| key.iter().all(|(name, value)| of_key(name, value, item)));
        world.raw_of(event.context("no such event")?).await
    })
    .await?;
    ensure!(kept == change.as_bytes(), "{} bytes came, other {} are kept", change.len(), kept.len());
    Ok(())
}

async fn a_thousand_messages_of_one_webhook_are_all_recorded(world: &World) -> Result<()> {
    let unique = world.unique();
    let wamid = |n: usize| format!("wamid.THOUSAND{unique:06}x{n:04}");
    let message = |n: usize| {
        let text = noise(unique.wrapping_add(n as u32), 2_800);
        let from = format!("1555{:07}", 9_000_000 + n);
        json!({"id": wamid(n), "from": from, "timestamp": "1795200000", "type": "text", "text": {"body": text}})
    };
    let messages: Vec<Value> = (0..1000).map(message).collect();
    let metadata =
        json!({"display_phone_number": "15550100000", "phone_number_id": format!("11790{unique:07}")});
    let value = json!({"messaging_product": "whatsapp", "metadata": metadata, "messages": messages});
    let body = webhook("228900000000000", "messages", &value);
    ensure!(body.len() > LARGE, "the body has {} bytes only", body.len());
    ensure!(world.deliver(body.clone()).await? == 200, "not taken");
    for piece in pieces(&body)? {
        let wamid = piece.message()?.wamid.to_string();
        let item = eventually("the message is recorded", async || {
            let item = world.cloud.item("messages", ("messageId", &wamid)).await?;
            item.with_context(|| format!("no {wamid}"))
        })
        .await?;
        ensure!(world.raw_of(&item).await? == piece.body().as_bytes(), "{wamid} is not kept as it came");
    }
    Ok(())
}

async fn unknown_fields_and_types_are_kept(world: &World) -> Result<()> {
    let unique = world.unique();
    let hologram = json!({
        "id": format!("wamid.HOLOGRAM{unique:06}"), "from": "15550100333", "timestamp": "1795200000",
        "type": "hologram", "hologram": {"depth": unique, "text": "\u{1f4ee} \u{0}"},
    });
    let value = json!({"metadata": {"phone_number_id": "117900000000001"}, "messages": [hologram]});
    let unknown_type = webhook("228900000000001", "messages", &value);
    let unknown_field = webhook("228900000000001", "carrier_pigeons", &json!({"pigeons": [unique]}));
    for body in [&unknown_type, &unknown_field] {
        ensure!(world.deliver(body.clone()).await? == 200, "not taken: {body}");
    }
    let wamid = hologram["id"].as_str().context("the message has an id")?;
    let item = eventually("the unknown type is recorded", async || {
        world.cloud.item("messages", ("messageId", wamid)).await?.with_context(|| format!("no {wamid}"))
    })
    .await?;
    let kept = world.raw_of(&item).await?;
    ensure!(kept == pieces(&unknown_type)?[0].body().as_bytes(), "not kept as it came");
    let hash = sha256(pieces(&unknown_field)?[0].body().as_bytes());
    eventually("the unknown field is recorded", async || {
        let events = world.cloud.everything("events").await?;
        let kept = events.iter().any(|item| item.get("hash").and_then(|v| v.as_s().ok()) == Some(&hash));
        ensure!(kept, "no event {hash}");
        Ok(())
    })
    .await
}

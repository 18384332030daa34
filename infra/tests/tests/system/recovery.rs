//! Dead letters come back after a fix; what is stored runs through ingest again.

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use shared::domain::Timestamp;
use shared::domain::raw::{Raw, sha256};
use shared::ports::{Quarantine, Quarantined};
use switchboard::recovery::invoke;

use crate::large::{noise, webhook};
use crate::support::{Case, World, cases, eventually};

pub(crate) fn cases() -> Vec<Case> {
    cases!["recovery":
        Beside a_poisoned_element_dies_alone_and_after_the_fix_a_redrive_gets_it_answered_once,
        Beside a_poisoned_element_goes_back_alone_and_is_recorded_once_it_can_be,
        Beside a_dead_nudge_and_a_dead_schedule_leave_their_dead_letter_queues,
        Beside what_is_understood_after_a_fix_leaves_the_quarantine_unanswered_and_the_rest_stays,
        Beside a_replay_of_a_numbers_messages_changes_nothing,
        Beside a_request_that_is_not_clear_fails_by_name,
    ]
}

/// A name of this customer that leads nowhere: no message of the customer can be recorded.
async fn poison(world: &World, phone: &str, customer: &str) -> Result<String> {
    let id = format!("{phone}.alias.{customer}");
    let call = world.cloud.dynamodb.put_item().table_name(&world.info.tables["conversations"]);
    call.item("conversationId", AttributeValue::S(id.clone())).send().await?;
    Ok(id)
}

async fn cure(world: &World, id: String) -> Result<()> {
    let call = world.cloud.dynamodb.delete_item().table_name(&world.info.tables["conversations"]);
    call.key("conversationId", AttributeValue::S(id)).send().await?;
    Ok(())
}

async fn a_poisoned_element_dies_alone_and_after_the_fix_a_redrive_gets_it_answered_once(
    world: &World,
) -> Result<()> {
    let client = world.client().await?;
    let (poisoned, healthy) = (world.new_customer(), world.new_customer());
    let poisoning = poison(world, client.phone(), &poisoned).await?;
    client.hears(&poisoned, "Does anybody hear me?").await?;
    client.hears(&healthy, "And me?").await?;
    client.answers(&healthy, 1).await?;

    let looks = json!({"job": "redrive", "queue": "inbound", "dryRun": true});
    let found = eventually("the element is dead after five tries", async || {
        let found = invoke(&world.info, &looks).await?;
        ensure!(found["moved"] == 1, "{found}");
        Ok(found)
    })
    .await?;
    ensure!(found["letters"][0]["kind"] == "body" && found["letters"][0]["archived"] == false, "{found}");
    ensure!(!found.to_string().contains("anybody"), "its content is shown: {found}");
    ensure!(client.shown_to(&poisoned).await?.is_empty(), "it was answered without being recorded");

    // Nobody looks for a week.
    let archived = invoke(&world.info, &json!({"job": "archive-dead-letters", "olderThanDays": 0})).await?;
    ensure!(archived["archived"] == 1, "{archived}");
    let found = invoke(&world.info, &looks).await?;
    ensure!(found["moved"] == 1 && found["letters"][0]["archived"] == true, "{found}");

    cure(world, poisoning).await?;
    let redriven = invoke(&world.info, &json!({"job": "redrive", "queue": "inbound"})).await?;
    ensure!(redriven["moved"] == 1 && redriven["fromArchive"] == 1, "{redriven}");
    client.answers(&poisoned, 1).await?;
    let history = client.settled(&poisoned).await?;
    ensure!(history.len() == 2, "one message, one answer: {history:?}");
    let found = invoke(&world.info, &looks).await?;
    ensure!(found["moved"] == 0 && found["more"] == false, "{found}");

    // One that the archive cannot keep in one item.
    let letter = noise(world.unique(), 700_000);
    let send = world.cloud.aws.sqs().send_message().queue_url(&world.info.queues["inboundDead"]);
    send.message_body(&letter).send().await?;
    let archived = invoke(&world.info, &json!({"job": "archive-dead-letters", "olderThanDays": 0})).await?;
    ensure!(archived["archived"] == 1, "{archived}");
    let redriven = invoke(&world.info, &json!({"job": "redrive", "queue": "inbound"})).await?;
    ensure!(redriven["moved"] == 1 && redriven["fromArchive"] == 1, "{redriven}");
    let kept = async || world.quarantined(&sha256(letter.as_bytes())).await;
    let kept = eventually("ingest keeps what it does not understand", kept).await?;
    ensure!(kept == letter.as_bytes(), "another thing is kept");
    Ok(())
}

async fn a_poisoned_element_goes_back_alone_and_is_recorded_once_it_can_be(world: &World) -> Result<()> {
    let phone = format!("11791{:07}", world.unique());
    let (poisoned, healthy) = (world.new_customer(), world.new_customer());
    let poisoning = poison(world, &phone, &poisoned).await?;
    let message = |from: &str| {
        json!({"id": format!("wamid.TOGETHER{from}"), "from": from, "timestamp": "1795200000", "type": "text",
            "text": {"body": "Hello"}})
    };
    let metadata = json!({"display_phone_number": "15550100000", "phone_number_id": phone});
    let value = json!({"messaging_product": "whatsapp", "metadata": metadata,
        "messages": [message(&poisoned), message(&healthy)]});
    ensure!(world.deliver(webhook("228900000000001", "messages", &value)).await? == 200, "not taken");
    let recorded = async |from: &str| {
        let wamid = format!("wamid.TOGETHER{from}");
        world.cloud.item("messages", ("messageId", &wamid)).await?.context("not recorded")
    };
    eventually("the healthy one is recorded", async || recorded(&healthy).await).await?;
    ensure!(recorded(&poisoned).await.is_err(), "it is no poison");
    cure(world, poisoning).await?;
    eventually("the other one is recorded", async || recorded(&poisoned).await).await.map(drop)
}

async fn a_dead_nudge_and_a_dead_schedule_leave_their_dead_letter_queues(world: &World) -> Result<()> {
    let nudge = json!({"messageId": format!("wamid.UNKNOWN{}", world.unique())}).to_string();
    for (queue, dead, body, result) in [
        ("answers", "answersDead", nudge.as_str(), "moved"),
        ("schedules", "schedulesDead", "{\"job\":\"sweep-due-answers\"}", "discarded"),
    ] {
        let send = world.cloud.aws.sqs().send_message().queue_url(&world.info.queues[dead]);
        send.message_body(body).send().await?;
        let looks = json!({"job": "redrive", "queue": queue, "dryRun": true});
        let found = invoke(&world.info, &looks).await?;
        ensure!(found[result] == 1, "{queue}: {found}");
        let done = invoke(&world.info, &json!({"job": "redrive", "queue": queue})).await?;
        ensure!(done[result] == 1, "{queue}: {done}");
        let done = invoke(&world.info, &looks).await?;
        ensure!(done[result] == 0, "{queue}: {done}");
    }
    Ok(())
}

/// A message's webhook that an earlier version did not understand.
async fn quarantined(world: &World, phone: &str, wamid: &str, reason: &str) -> Result<String> {
    let message = json!({"id": wamid, "from": world.new_customer(), "type": "text", "text": {"body": "Hello"},
        "timestamp": Timestamp::now().as_second().to_string()});
    let value = json!({"messaging_product": "whatsapp", "metadata": {"phone_number_id": phone}, "messages": [message]});
    let body = json!({"object": "whatsapp_business_account",
        "entry": [{"id": "228", "changes": [{"field": "messages", "value": value}]}]})
    .to_string();
    let (id, raw) = (sha256(body.as_bytes()), Raw::Plain(body));
    let item = Quarantined { id: id.clone(), reason: reason.to_owned(), received_at: Timestamp::now(), raw };
    Quarantine::quarantine(&world.cloud.tables(), &item).await?;
    Ok(id)
}

async fn what_is_understood_after_a_fix_leaves_the_quarantine_unanswered_and_the_rest_stays(
    world: &World,
) -> Result<()> {
    let client = world.client().await?;
    let nonsense = format!("nonsense {}", world.unique());
    ensure!(world.deliver(nonsense.clone()).await? == 200, "not taken");
    let stuck = sha256(nonsense.as_bytes());
    eventually("it is in quarantine", async || world.quarantined(&stuck).await).await?;
    let reason = format!("fixed_{}", world.unique());
    let wamids: Vec<String> = (0..3).map(|n| format!("wamid.FIXED{}x{n}", world.unique())).collect();
    for wamid in &wamids {
        quarantined(world, client.phone(), wamid, &reason).await?;
    }

    let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
    let mut wanted = json!({"job": "replay", "quarantine": {"reason": reason, "day": today}});
    let found = eventually("a dry run finds the three", async || {
        let found = invoke(&world.info, &wanted).await?;
        ensure!(found["replayed"] == 3 && found["dryRun"] == true, "{found}");
        Ok(found)
    })
    .await?;
    ensure!(found["items"].as_array().map(Vec::len) == Some(3), "{found}");
    wanted["dryRun"] = false.into();
    let done = invoke(&world.info, &wanted).await?;
    ensure!(done["replayed"] == 3 && done["nextCursor"].is_null(), "{done}");
    for wamid in &wamids {
        let item = eventually("it is recorded", async || {
            world.cloud.item("messages", ("messageId", wamid)).await?.context("not yet")
        })
        .await?;
        let reason = item.get("answerReason").and_then(|reason| reason.as_s().ok());
        ensure!(reason.is_some_and(|reason| reason == "replayed"), "{wamid}: {reason:?}");
    }
    let calls = world.sim().calls(&format!("{}/messages", client.phone())).await?;
    ensure!(calls.is_empty(), "a silent replay sent something: {calls:?}");
    let found = invoke(&world.info, &wanted).await?;
    ensure!(found["replayed"] == 0, "they are gone: {found}");

    // What nobody understands to this day comes back to where it was.
    let again = json!({"job": "replay", "quarantine": {"id": stuck}, "dryRun": false});
    for _ in 0..3 {
        let done = eventually("it is in quarantine", async || invoke(&world.info, &again).await).await?;
        ensure!(done["replayed"] == 1, "{done}");
        let kept = eventually("it is in quarantine again", async || world.quarantined(&stuck).await).await?;
        ensure!(kept == nonsense.as_bytes(), "another thing is kept");
    }
    Ok(())
}

async fn a_replay_of_a_numbers_messages_changes_nothing(world: &World) -> Result<()> {
    let client = world.client().await?;
    let customer = world.new_customer();
    client.hears(&customer, "Once?").await?;
    client.answers(&customer, 1).await?;
    let before = eventually("all statuses are there", async || {
        let history = client.settled(&customer).await?;
        ensure!(history.len() == 2 && history[0]["statuses"]["read"].is_string(), "{history:?}");
        Ok(history)
    })
    .await?;
    let one = json!({"job": "replay", "messageId": before[1]["messageId"], "dryRun": false});
    let done = invoke(&world.info, &one).await?;
    ensure!(done["replayed"] == 1, "{done}");
    let events = json!({"job": "replay", "owner": client.signup.waba, "dryRun": false});
    let done = invoke(&world.info, &events).await?;
    ensure!(done["skipped"] == 0, "{done}");
    for selection in [json!({"phoneNumberId": client.phone()}), json!({"botId": client.bot})] {
        let mut wanted = json!({"job": "replay", "dryRun": false, "answers": true, "limit": 1});
        wanted
            .as_object_mut()
            .context("an object")?
            .extend(selection.as_object().cloned().unwrap_or_default());
        let (mut replayed, mut skipped) = (0, 0);
        loop {
            let done: Value = invoke(&world.info, &wanted).await?;
            replayed += done["replayed"].as_u64().unwrap_or_default();
            skipped += done["skipped"].as_u64().unwrap_or_default();
            wanted["cursor"] = done["nextCursor"].clone();
            if wanted["cursor"].is_null() {
                break;
            }
        }
        // The customer's message, and the answer's statuses.
        ensure!((replayed, skipped) == (2, 0), "{selection}: {replayed} replayed, {skipped} skipped");
    }
    // Whatever comes after them on the queue is answered after them.
    client.hears(&customer, "Still once?").await?;
    client.answers(&customer, 2).await?;
    let after = client.settled(&customer).await?;
    ensure!(after[after.len() - 2..] == before[..], "{before:?} became {after:?}");
    Ok(())
}

async fn a_request_that_is_not_clear_fails_by_name(world: &World) -> Result<()> {
    for (wanted, named) in [
        (json!({"job": "replay"}), "exactly one"),
        (json!({"job": "redrive", "queue": "inbound", "dryrun": true}), "dryrun"),
        (json!({"job": "something"}), "something"),
    ] {
        let refused = invoke(&world.info, &wanted).await;
        let refused = refused.err().with_context(|| format!("{wanted} was taken"))?.to_string();
        ensure!(refused.contains(named), "{wanted}: {refused}");
    }
    Ok(())
}

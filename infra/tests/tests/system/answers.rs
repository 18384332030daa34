//! A customer writes, and gets one answer.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::support::cloud::attribute;
use crate::support::sim::{lost_answer, outage};
use crate::support::{Case, Client, World, cases, eventually};

pub(crate) fn cases() -> Vec<Case> {
    cases!["answers":
        Beside a_customer_is_answered_and_the_history_tells_it,
        Beside a_repeated_webhook_gets_one_answer,
        Beside a_burst_gets_one_answer,
        Beside a_customer_without_a_visible_phone_is_answered,
        Beside a_rule_answers_before_the_model,
        Beside a_bot_that_is_off_stays_silent,
        Beside a_reaction_wants_no_answer,
        Beside a_lost_answer_of_meta_is_not_sent_again,
        Beside an_outage_of_meta_delays_the_answer,
        Beside a_refusal_of_meta_ends_the_answer,
    ]
}

fn text_of(message: &Value) -> &str {
    message["message"]["text"]["body"].as_str().unwrap_or_default()
}

fn find<'a>(history: &'a [Value], name: &str, id: &str) -> Result<&'a Value> {
    let found = history.iter().find(|message| message[name] == id);
    found.with_context(|| format!("no message with {name} {id} in {history:?}"))
}

async fn a_customer_is_answered_and_the_history_tells_it(world: &World) -> Result<()> {
    let client = world.client().await?;
    let customer = world.new_customer();
    let question = client.hears(&customer, "Do you have rye bread?").await?;
    let shown = client.answers(&customer, 1).await?;
    ensure!(text_of(&shown[0]).contains("rye bread"), "the model answers what it was asked: {shown:?}");

    let history = eventually("the answer is read", async || {
        let history = client.history(&customer).await?;
        let statuses = &find(&history, "wamid", shown[0]["wamid"].as_str().unwrap_or_default())?["statuses"];
        let all = ["sent", "delivered", "read"].iter().all(|state| statuses[state].is_string());
        ensure!(all, "statuses {statuses}");
        Ok(history)
    })
    .await?;
    ensure!(history.len() == 2, "{history:?}");
    let (answer, asked) = (&history[0], &history[1]);
    ensure!(asked["wamid"] == question && asked["direction"] == "inbound", "newest first: {history:?}");
    ensure!(asked["text"] == "Do you have rye bread?" && asked["type"] == "text", "{asked}");
    ensure!(asked["answer"]["state"] == "answered", "{asked}");
    ensure!(asked["answer"]["messageId"] == answer["messageId"], "{asked} {answer}");
    ensure!(answer["direction"] == "outbound" && answer["origin"] == "bot", "{answer}");
    ensure!(answer["replyTo"] == question && answer["sending"] == "accepted", "{answer}");
    let page = client.api.get(&format!("/api/whatsapp/clients?botId={}", client.bot)).await?.ok()?;
    ensure!(page["items"][0]["lastMessageAt"].is_string(), "the list does not know of the message: {page}");
    let talks = format!("/api/whatsapp/conversations/{}?phoneNumberId={}", client.bot, client.phone());
    let page = client.api.get(&talks).await?.ok()?;
    ensure!(page["items"].as_array().is_some_and(|items| items.len() == 1), "one conversation: {page}");
    let one = client.api.get(&format!("{talks}&customer={customer}")).await?.ok()?["items"][0].clone();
    ensure!(one["windowOpen"] == true && one["customer"] == customer.as_str(), "{one}");
    ensure!(one["aliases"].as_array().is_some_and(|names| names.len() == 2), "phone and BSUID: {one}");
    Ok(())
}

async fn a_repeated_webhook_gets_one_answer(world: &World) -> Result<()> {
    let client = world.client().await?;
    let customer = world.new_customer();
    let message = json!({"type": "text", "text": {"body": "Hello?"}});
    let body = json!({"to": client.phone(), "message": message, "repeat": 3});
    world.sim().write(&customer, body).await?;
    client.answers(&customer, 1).await?;
    let history = client.settled(&customer).await?;
    ensure!(history.len() == 2, "one message, one answer: {history:?}");
    // Whoever comes after it in the same conversation is answered after everything before it.
    client.hears(&customer, "And now?").await?;
    client.answers(&customer, 2).await?;
    Ok(())
}

async fn a_burst_gets_one_answer(world: &World) -> Result<()> {
    let client = world.client().await?;
    let customer = world.new_customer();
    for word in ["One", "two", "three"] {
        client.hears(&customer, word).await?;
    }
    eventually("all three are recorded and none waits", async || {
        let history = client.settled(&customer).await?;
        let inbound = history.iter().filter(|m| m["direction"] == "inbound").count();
        ensure!(inbound == 3, "{history:?}");
        Ok(())
    })
    .await?;
    let history = client.settled(&customer).await?;
    let state = |wanted: &str| history.iter().filter(|m| m["answer"]["state"] == wanted).count();
    let superseded = history.iter().filter(|m| m["answer"]["reason"] == "superseded").count();
    ensure!(state("answered") + superseded == 3, "{history:?}");
    let shown = client.shown_to(&customer).await?.len();
    ensure!(shown == state("answered") && shown >= 1, "answers {shown}: {history:?}");
    Ok(())
}

async fn a_customer_without_a_visible_phone_is_answered(world: &World) -> Result<()> {
    let client = world.client().await?;
    let customer = world.new_customer();
    let message = json!({"type": "text", "text": {"body": "Who am I?"}});
    let body = json!({"to": client.phone(), "message": message, "bsuidOnly": true});
    world.sim().write(&customer, body).await?;
    let shown = client.answers(&customer, 1).await?;
    let calls = world.sim().calls(&format!("{}/messages", client.phone())).await?;
    let sent = calls.last().context("no call to Meta")?;
    let recipient = sent["body"]["recipient"].as_str().unwrap_or_default().to_owned();
    ensure!(recipient.contains('.') && sent["body"]["to"].is_null(), "answered by {}", sent["body"]);
    let history = client.history(&recipient).await?;
    ensure!(history.iter().any(|m| m["wamid"] == shown[0]["wamid"]), "found by the BSUID: {history:?}");
    let named = history.iter().all(|m| m["customer"] == recipient && m["customerIds"]["waId"].is_null());
    ensure!(named, "a customer with a phone from nowhere: {history:?}");
    Ok(())
}

async fn set_bot(world: &World, client: &Client<'_>, settings: Value) -> Result<()> {
    for (name, value) in settings.as_object().into_iter().flatten() {
        world.cloud.set("bots", ("botId", &client.bot), (name, attribute(value))).await?;
    }
    Ok(())
}

async fn a_rule_answers_before_the_model(world: &World) -> Result<()> {
    let client = world.client().await?;
    let rules = json!([{"keyword": "opening hours", "text": "We are open from 9 to 5."}]);
    set_bot(world, &client, json!({"rules": rules})).await?;
    let customer = world.new_customer();
    client.hears(&customer, "Your OPENING hours, please?").await?;
    let shown = client.answers(&customer, 1).await?;
    ensure!(text_of(&shown[0]) == "We are open from 9 to 5.", "{shown:?}");
    client.hears(&customer, "Thanks!").await?;
    let shown = client.answers(&customer, 2).await?;
    ensure!(text_of(&shown[1]).contains("Thanks!"), "where no rule fits, the model answers: {shown:?}");
    Ok(())
}

async fn a_bot_that_is_off_stays_silent(world: &World) -> Result<()> {
    let client = world.client().await?;
    set_bot(world, &client, json!({"enabled": false})).await?;
    none_because(world, &client, json!({"type": "text", "text": {"body": "Anybody?"}}), "bot_off").await
}

async fn a_reaction_wants_no_answer(world: &World) -> Result<()> {
    let client = world.client().await?;
    let reaction = json!({"type": "reaction", "reaction": {"message_id": "wamid.X", "emoji": "👍"}});
    none_because(world, &client, reaction, "type").await
}

/// The message is recorded, and for this reason nothing is sent.
async fn none_because(world: &World, client: &Client<'_>, message: Value, reason: &str) -> Result<()> {
    let customer = world.new_customer();
    world.sim().write(&customer, json!({"to": client.phone(), "message": message})).await?;
    let history = client.settled(&customer).await?;
    ensure!(history.len() == 1 && history[0]["answer"]["reason"] == reason, "not {reason}: {history:?}");
    ensure!(client.shown_to(&customer).await?.is_empty(), "an answer was sent all the same");
    Ok(())
}

async fn a_lost_answer_of_meta_is_not_sent_again(world: &World) -> Result<()> {
    let client = world.client().await?;
    let customer = world.new_customer();
    world.sim().message_fault(client.phone(), &lost_answer()).await?;
    client.hears(&customer, "Once, please").await?;
    let shown = client.answers(&customer, 1).await?;
    eventually("the statuses prove the answer", async || {
        let history = client.history(&customer).await?;
        let answer = find(&history, "wamid", shown[0]["wamid"].as_str().unwrap_or_default())?;
        ensure!(answer["sending"] == "accepted", "{answer}");
        let asked = find(&history, "direction", "inbound")?;
        ensure!(asked["answer"]["state"] == "answered", "{asked}");
        ensure!(asked["answer"]["messageId"] == answer["messageId"], "{asked} {answer}");
        ensure!(answer["statuses"]["read"].is_string(), "{answer}");
        ensure!(history.len() == 2 && history[0] == *answer, "the history ends otherwise: {history:?}");
        Ok(())
    })
    .await?;
    ensure!(client.shown_to(&customer).await?.len() == 1, "it was sent twice");
    // Nothing is left that would send it later: the next message gets its own answer and no other.
    client.hears(&customer, "And once more").await?;
    client.answers(&customer, 2).await?;
    ensure!(client.settled(&customer).await?.len() == 4, "not two questions with an answer each");
    Ok(())
}

async fn an_outage_of_meta_delays_the_answer(world: &World) -> Result<()> {
    let client = world.client().await?;
    let customer = world.new_customer();
    world.sim().message_fault(client.phone(), &outage()).await?;
    client.hears(&customer, "Are you there?").await?;
    client.answers(&customer, 1).await?;
    let history = client.settled(&customer).await?;
    ensure!(history.len() == 2, "{history:?}");
    Ok(())
}

async fn a_refusal_of_meta_ends_the_answer(world: &World) -> Result<()> {
    let client = world.client().await?;
    let refusal = json!({"error": {"status": 400, "code": 131_026, "message": "Message undeliverable"}});
    world.sim().message_fault(client.phone(), &refusal).await?;
    let customer = world.new_customer();
    client.hears(&customer, "Can you reach me?").await?;
    let history = client.settled(&customer).await?;
    let asked = find(&history, "direction", "inbound")?;
    ensure!(asked["answer"]["reason"] == "refused_by_meta", "{asked}");
    let tried = find(&history, "direction", "outbound")?;
    ensure!(tried["sending"] == "refused" && tried["errors"].is_array(), "{tried}");
    ensure!(client.shown_to(&customer).await?.is_empty(), "the phone shows it");
    Ok(())
}

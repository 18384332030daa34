//! send-message: each message once, and the truth about it.

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::support::api::{MARK_READ, SEND};
use crate::support::sim::lost_answer;
use crate::support::{Case, Client, World, cases, eventually};

pub(crate) fn cases() -> Vec<Case> {
    cases!["sending":
        Beside a_text_is_accepted_and_on_the_phone,
        Beside the_only_number_of_a_bot_need_not_be_named,
        Beside the_same_key_sends_once,
        Beside many_calls_with_one_key_at_once_send_once,
        Beside the_same_key_with_another_body_is_refused,
        Beside a_window_that_we_know_closed_costs_no_call,
        Beside a_window_that_meta_calls_closed_is_told,
        Beside a_lost_answer_is_uncertain_and_the_status_resolves_it,
        Beside too_fast_says_when_to_come_again,
        Beside what_meta_never_takes_is_said_before_the_call,
        Beside every_type_and_kind_arrives_as_it_was_sent,
        Beside a_message_is_marked_as_read_and_the_typing_sign_shows,
    ]
}

/// A client and a customer who has just written to it, and was answered.
async fn in_conversation(world: &World) -> Result<(Client<'_>, String)> {
    let client = world.client().await?;
    let customer = world.new_customer();
    client.hears(&customer, "Hello").await?;
    client.answers(&customer, 1).await?;
    client.settled(&customer).await?;
    Ok((client, customer))
}

/// How often the customer's phone shows this text.
async fn shown(client: &Client<'_>, customer: &str, text: &str) -> Result<usize> {
    let shown = client.shown_to(customer).await?;
    Ok(shown.iter().filter(|message| message["message"]["text"]["body"] == text).count())
}

async fn a_text_is_accepted_and_on_the_phone(world: &World) -> Result<()> {
    let (client, customer) = in_conversation(world).await?;
    let sent =
        client.api.post(SEND, &client.text_to(&format!("+{customer}"), "Your cake is ready")).await?.ok()?;
    ensure!(sent["status"] == "accepted", "{sent}");
    ensure!(shown(&client, &customer, "Your cake is ready").await? == 1, "not on the phone");
    eventually("it is delivered and read", async || {
        let history = client.history(&customer).await?;
        let message = history.iter().find(|message| message["messageId"] == sent["messageId"]);
        let message = message.context("not in the history")?;
        ensure!(message["wamid"] == sent["wamid"] && message["origin"] == "api", "{message}");
        ensure!(message["statuses"]["read"].is_string(), "{message}");
        Ok(())
    })
    .await
}

async fn the_only_number_of_a_bot_need_not_be_named(world: &World) -> Result<()> {
    let (client, customer) = in_conversation(world).await?;
    let mut body = client.text_to(&customer, "By name only");
    body.as_object_mut().context("an object")?.remove("phoneNumberId");
    client.api.post(SEND, &body).await?.ok()?;
    world.client_of(world.admin(), &client.bot).await?;
    client.api.post(SEND, &body).await?.refused(400, "phone_number_required")?;
    Ok(())
}

async fn the_same_key_sends_once(world: &World) -> Result<()> {
    let (client, customer) = in_conversation(world).await?;
    let (key, body) = (format!("key-{}", world.unique()), client.text_to(&customer, "Only once"));
    let first = client.api.post_with_key(SEND, &key, &body).await?.ok()?;
    let second = client.api.post_with_key(SEND, &key, &body).await?.ok()?;
    ensure!(first == second, "first {first}, then {second}");
    ensure!(shown(&client, &customer, "Only once").await? == 1, "sent twice");
    Ok(())
}

async fn many_calls_with_one_key_at_once_send_once(world: &World) -> Result<()> {
    let (client, customer) = in_conversation(world).await?;
    let (key, body) = (format!("key-{}", world.unique()), client.text_to(&customer, "Once of three"));
    let call = async || client.api.post_with_key(SEND, &key, &body).await;
    let (a, b, c) = tokio::join!(call(), call(), call());
    for answer in [a?, b?, c?] {
        if answer.status != 200 {
            answer.refused(409, "request_running")?;
        }
    }
    ensure!(shown(&client, &customer, "Once of three").await? == 1, "not sent once");
    Ok(())
}

async fn the_same_key_with_another_body_is_refused(world: &World) -> Result<()> {
    let (client, customer) = in_conversation(world).await?;
    let key = format!("key-{}", world.unique());
    client.api.post_with_key(SEND, &key, &client.text_to(&customer, "First")).await?.ok()?;
    let other = client.api.post_with_key(SEND, &key, &client.text_to(&customer, "Second")).await?;
    other.refused(422, "idempotency_key_reused")?;
    ensure!(shown(&client, &customer, "Second").await? == 0, "sent all the same");
    Ok(())
}

async fn a_window_that_we_know_closed_costs_no_call(world: &World) -> Result<()> {
    let (client, customer) = in_conversation(world).await?;
    let history = client.history(&customer).await?;
    let names: shared::domain::conversation::CustomerNames =
        serde_json::from_value(history[0]["customerIds"].clone())?;
    let key = names.aliases().into_iter().next().context("a customer has a name")?;
    let phone = client.phone().parse()?;
    let conversation = shared::domain::ids::ConversationId::new(&phone, &key);
    let yesterday = AttributeValue::N("1000".to_owned());
    let id = ("conversationId", conversation.as_ref());
    ensure!(world.cloud.item("conversations", id).await?.is_some(), "no conversation {conversation}");
    world.cloud.set("conversations", id, ("windowEndsAt", yesterday)).await?;

    let calls = async || {
        Ok::<_, anyhow::Error>(world.sim().calls(&format!("{}/messages", client.phone())).await?.len())
    };
    let before = calls().await?;
    let answer = client.api.post(SEND, &client.text_to(&customer, "Too late")).await?;
    let problem = answer.refused(409, "window_closed")?;
    ensure!(problem["action"].as_str().is_some_and(|action| action.contains("template")), "{problem}");
    ensure!(calls().await? == before, "Meta was called");
    Ok(())
}

async fn a_window_that_meta_calls_closed_is_told(world: &World) -> Result<()> {
    let client = world.client().await?;
    let answer = client.api.post(SEND, &client.text_to(&world.new_customer(), "Hello, stranger")).await?;
    let problem = answer.refused(409, "window_closed")?;
    ensure!(problem["meta"]["code"] == 131_047, "{problem}");
    Ok(())
}

async fn a_lost_answer_is_uncertain_and_the_status_resolves_it(world: &World) -> Result<()> {
    let (client, customer) = in_conversation(world).await?;
    let (key, body) = (format!("key-{}", world.unique()), client.text_to(&customer, "Perhaps"));
    world.sim().message_fault(client.phone(), &lost_answer()).await?;
    let sent = client.api.post_with_key(SEND, &key, &body).await?.with_status(202)?;
    ensure!(sent["status"] == "uncertain" && sent["wamid"].is_null(), "{sent}");
    let again = client.api.post_with_key(SEND, &key, &body).await?.with_status(202)?;
    ensure!(again == sent, "first {sent}, then {again}");

    let resolved = eventually("a status names the message", async || {
        let history = client.history(&customer).await?;
        let message = history.into_iter().find(|message| message["messageId"] == sent["messageId"]);
        let message = message.context("not in the history")?;
        ensure!(message["wamid"].is_string() && message["sending"] == "accepted", "{message}");
        Ok(message)
    })
    .await?;
    let phone = client.shown_to(&customer).await?;
    let on_phone: Vec<&Value> = phone.iter().filter(|m| m["message"]["text"]["body"] == "Perhaps").collect();
    ensure!(on_phone.len() == 1 && on_phone[0]["wamid"] == resolved["wamid"], "{on_phone:?}, {resolved}");
    // The key, asked again after the proof, still sends nothing.
    client.api.post_with_key(SEND, &key, &body).await?.with_status(202)?;
    let history = client.history(&customer).await?;
    ensure!(history[0]["wamid"] == resolved["wamid"], "the history ends otherwise: {history:?}");
    ensure!(shown(&client, &customer, "Perhaps").await? == 1, "sent twice");
    Ok(())
}

async fn too_fast_says_when_to_come_again(world: &World) -> Result<()> {
    let (client, customer) = in_conversation(world).await?;
    let (key, body) = (format!("key-{}", world.unique()), client.text_to(&customer, "Not so fast"));
    let limit = json!({"error": {"status": 429, "code": 130_429, "message": "Rate limit hit"}});
    world.sim().message_fault(client.phone(), &limit).await?;
    let answer = client.api.post_with_key(SEND, &key, &body).await?;
    let pause = answer.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    ensure!(pause.is_some_and(|seconds| seconds >= 1), "Retry-After {pause:?}; {answer}");
    let problem = answer.refused(429, "rate_limited")?;
    ensure!(problem["meta"]["code"] == 130_429 && problem["retryable"] == true, "{problem}");
    // The key was not used up: the same call succeeds later, once.
    client.api.post_with_key(SEND, &key, &body).await?.ok()?;
    ensure!(shown(&client, &customer, "Not so fast").await? == 1, "not sent once");
    Ok(())
}

async fn what_meta_never_takes_is_said_before_the_call(world: &World) -> Result<()> {
    let client = world.client().await?;
    let customer = world.new_customer();
    let with = |name: &str, value: Value| {
        let mut body = client.text_to(&customer, "Hello");
        body[name] = value;
        body
    };
    for (member, body) in [
        ("text.body", with("text", json!({"body": ""}))),
        ("text.body", with("text", json!({"body": "x".repeat(4097)}))),
        ("type", with("type", json!("carrier_pigeon"))),
        ("image", with("type", json!("image"))),
        ("to", with("to", json!("12"))),
        ("to", with("to", Value::Null)),
    ] {
        let problem = client.api.post(SEND, &body).await?.refused(400, "invalid_message")?;
        ensure!(problem["member"] == member, "expected {member}: {problem}");
    }
    ensure!(world.sim().calls(&format!("{}/messages", client.phone())).await?.is_empty(), "Meta was called");
    Ok(())
}

async fn every_type_and_kind_arrives_as_it_was_sent(world: &World) -> Result<()> {
    const EXAMPLES: &str = include_str!("../../../../events/messages/every-kind.json");
    let client = world.client().await?;
    let customer = world.new_customer();
    let picture = json!({"to": client.phone(), "message": {"type": "image"}});
    let wamid = world.sim().write(&customer, picture).await?;
    let phone = world.sim().phone(&customer).await?;
    let media = phone[0]["message"]["image"]["id"].as_str().context("the picture has no id")?;
    let examples = EXAMPLES.replace("{wamid}", &wamid).replace("{mediaId}", media);
    let examples: Vec<Value> = serde_json::from_str(&examples)?;
    ensure!(examples.len() > 25, "only {} examples", examples.len());
    for mut message in examples {
        let mut body = client.text_to(&customer, "");
        for (name, value) in message.as_object().context("an object")? {
            body[name] = value.clone();
        }
        if message["type"] != "text" {
            body.as_object_mut().context("an object")?.remove("text");
        }
        let sent = client.api.post(SEND, &body).await?.ok()?;
        ensure!(sent["status"] == "accepted", "{message}: {sent}");
        let is_template = message["type"] == "template";
        let category = if is_template { Value::Null } else { json!("service") };
        ensure!(sent["expected"]["category"] == category, "{message}: {sent}");
        ensure!(sent["expected"]["billable"].is_null() != is_template, "{message}: {sent}");

        message.as_object_mut().context("an object")?.remove("biz_opaque_callback_data");
        let phone = world.sim().phone(&customer).await?;
        let shown = phone.iter().find(|shown| shown["wamid"] == sent["wamid"]).context("not on the phone")?;
        ensure!(shown["message"] == message, "sent {message}, shown {shown}");
    }
    Ok(())
}

async fn a_message_is_marked_as_read_and_the_typing_sign_shows(world: &World) -> Result<()> {
    let (client, customer) = in_conversation(world).await?;
    let history = client.history(&customer).await?;
    let asked = history.iter().find(|message| message["direction"] == "inbound").context("not recorded")?;
    let body = json!({"botId": client.bot, "messageId": asked["messageId"], "typing": true});
    let answer = client.api.post(MARK_READ, &body).await?.ok()?;
    ensure!(answer == json!({"success": true}), "{answer}");
    let phone = world.sim().get(&format!("customers/{customer}/messages")).await?;
    let first = &phone["items"][0];
    ensure!(first["wamid"] == asked["wamid"] && first["readAt"].is_string(), "{phone}");
    ensure!(phone["typing"][client.phone()].is_string(), "{phone}");

    let other = world.client().await?;
    let mut foreign = body.clone();
    foreign["botId"] = json!(other.bot);
    other.api.post(MARK_READ, &foreign).await?.refused(404, "message_not_found")?;
    let ours = history.iter().find(|message| message["direction"] == "outbound").context("not answered")?;
    foreign = body;
    foreign["messageId"] = ours["messageId"].clone();
    client.api.post(MARK_READ, &foreign).await?.refused(404, "message_not_found")?;
    Ok(())
}

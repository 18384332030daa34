//! What Meta limits waits, and what stops a client stops that client only.

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use shared::domain::grant::Grant;
use shared::domain::ids::GrantId;
use shared::domain::seal::SealContext;
use shared::ports::{ReadGrants, Seal, WriteGrants};

use crate::support::api::SEND;
use crate::support::{Case, Client, World, cases, eventually};

pub(crate) fn cases() -> Vec<Case> {
    cases!["stops":
        Beside a_customer_who_gets_too_much_waits_and_others_do_not,
        Beside an_answer_that_meta_slows_down_comes_later_and_once,
        Beside a_client_that_nobody_pays_for_is_paused_until_a_message_goes_out_again,
        Beside a_dead_token_is_told_and_a_new_one_ends_it,
        Beside an_answer_finds_a_dead_token_and_a_new_one_ends_it,
    ]
}

/// A client and a customer who has just written to it, and was answered.
async fn in_conversation(world: &World) -> Result<(Client<'_>, String)> {
    let client = world.client().await?;
    let customer = world.new_customer();
    client.hears(&customer, "Hello").await?;
    client.answers(&customer, 1).await?;
    Ok((client, customer))
}

fn refusal(code: i64) -> Value {
    json!({"error": {"status": 400, "code": code, "message": "Refused"}})
}

/// The client as list-clients shows it.
async fn listed(client: &Client<'_>) -> Result<Value> {
    let page = client.api.get(&format!("/api/whatsapp/clients?botId={}", client.bot)).await?.ok()?;
    page["items"].get(0).cloned().context("no client is listed")
}

async fn a_customer_who_gets_too_much_waits_and_others_do_not(world: &World) -> Result<()> {
    let (client, customer) = in_conversation(world).await?;
    let other = world.new_customer();
    client.hears(&other, "Hello").await?;
    client.answers(&other, 1).await?;
    world.sim().message_fault(client.phone(), &refusal(131_056)).await?;
    let (key, body) = (format!("key-{}", world.unique()), client.text_to(&customer, "Too much"));
    let problem = client.api.post_with_key(SEND, &key, &body).await?.refused(429, "rate_limited")?;
    ensure!(problem["meta"]["code"] == 131_056, "{problem}");
    client.api.post(SEND, &client.text_to(&other, "To somebody else")).await?.ok()?;
    eventually("the same call is taken", async || client.api.post_with_key(SEND, &key, &body).await?.ok())
        .await?;
    let shown = client.shown_to(&customer).await?;
    ensure!(shown.iter().filter(|m| m["message"]["text"]["body"] == "Too much").count() == 1, "{shown:?}");
    Ok(())
}

async fn an_answer_that_meta_slows_down_comes_later_and_once(world: &World) -> Result<()> {
    let client = world.client().await?;
    for code in [131_056, 130_429] {
        let customer = world.new_customer();
        world.sim().message_fault(client.phone(), &refusal(code)).await?;
        client.hears(&customer, "Hello").await?;
        client.answers(&customer, 1).await?;
        let history = client.settled(&customer).await?;
        ensure!(
            history.iter().any(|message| message["answer"]["state"] == "answered"),
            "{code}: {history:?}"
        );
        ensure!(client.shown_to(&customer).await?.len() == 1, "{code}: answered twice");
    }
    Ok(())
}

async fn a_client_that_nobody_pays_for_is_paused_until_a_message_goes_out_again(world: &World) -> Result<()> {
    let (client, customer) = in_conversation(world).await?;
    let body = client.text_to(&customer, "Not paid for");
    world.sim().message_fault(client.phone(), &refusal(131_042)).await?;
    client.api.post(SEND, &body).await?.refused(409, "client_paused")?;
    let calls = async || {
        Ok::<_, anyhow::Error>(world.sim().calls(&format!("{}/messages", client.phone())).await?.len())
    };
    let before = calls().await?;
    let problem = client.api.post(SEND, &body).await?.refused(409, "client_paused")?;
    ensure!(problem["reason"] == "payment" && problem["until"].is_string(), "{problem}");
    ensure!(calls().await? == before, "Meta was called");
    let paused = listed(&client).await?;
    ensure!(paused["pause"]["reason"] == "payment", "{paused}");

    // What customers write is recorded meanwhile, and waits.
    let wamid = client.hears(&customer, "Are you there?").await?;
    eventually("it is recorded", async || {
        let history = client.history(&customer).await?;
        let message = history.into_iter().find(|message| message["wamid"] == wamid.as_str());
        let message = message.context("not in the history")?;
        ensure!(message["answer"]["state"] == "pending", "{message}");
        Ok(())
    })
    .await?;

    let over = AttributeValue::N("1000".to_owned());
    world.cloud.set("clients", ("phoneNumberId", client.phone()), ("pauseUntil", over)).await?;
    client.api.post(SEND, &body).await?.ok()?;
    let free = listed(&client).await?;
    ensure!(free.get("pause").is_none(), "{free}");
    Ok(())
}

async fn a_dead_token_is_told_and_a_new_one_ends_it(world: &World) -> Result<()> {
    let (client, customer) = in_conversation(world).await?;
    let other = world.client().await?;
    let body = other.text_to(&world.new_customer(), "Hello");
    let id = GrantId::new(&other.bot.parse()?, &other.signup.business.parse()?);
    let tables = world.cloud.tables();
    let good = tables.grant(&id).await?.context("no grant")?;
    let sealed = world.cloud.kms().seal("EAAwithdrawn", SealContext::GrantToken(&id)).await?;
    let version = good.token_version;
    // Nobody looks after it: Meta would give another.
    let withdrawn = Grant { token: Some(sealed), token_version: version + 1, care_at: None, ..good.clone() };
    ensure!(tables.save_grant(&withdrawn, Some(version)).await?, "the grant changed meanwhile");
    for _ in 0..2 {
        other.api.post(SEND, &body).await?.refused(409, "client_needs_reconnect")?;
    }
    ensure!(tables.grant(&id).await?.is_some_and(|grant| grant.dead_since.is_some()), "not marked");
    let told = listed(&other).await?;
    ensure!(told["needsReconnect"] == true, "{told}");
    client.api.post(SEND, &client.text_to(&customer, "We go on")).await?.ok()?;

    // As a new signup stores it.
    let fresh = Grant { token_version: version + 2, ..good };
    ensure!(tables.save_grant(&fresh, Some(version + 1)).await?, "the grant changed meanwhile");
    let writer = world.new_customer();
    other.hears(&writer, "Hello again").await?;
    other.answers(&writer, 1).await?;
    let fine = listed(&other).await?;
    ensure!(fine.get("needsReconnect").is_none(), "{fine}");
    Ok(())
}

async fn an_answer_finds_a_dead_token_and_a_new_one_ends_it(world: &World) -> Result<()> {
    let (client, customer) = (world.client().await?, world.new_customer());
    let id = GrantId::new(&client.bot.parse()?, &client.signup.business.parse()?);
    let tables = world.cloud.tables();
    let good = tables.grant(&id).await?.context("no grant")?;
    let version = good.token_version;
    let sealed = world.cloud.kms().seal("EAAwithdrawn", SealContext::GrantToken(&id)).await?;
    // Nobody looks after it.
    let withdrawn = Grant { token: Some(sealed), token_version: version + 1, care_at: None, ..good.clone() };
    ensure!(tables.save_grant(&withdrawn, Some(version)).await?, "the grant changed meanwhile");
    client.hears(&customer, "Hello").await?;
    eventually("the token is marked as dead", async || {
        let grant = tables.grant(&id).await?.context("no grant")?;
        grant.dead_since.context("not marked")
    })
    .await?;
    let fresh = Grant { token_version: version + 2, ..good };
    ensure!(tables.save_grant(&fresh, Some(version + 1)).await?, "the grant changed meanwhile");
    let other = world.new_customer();
    client.hears(&other, "Hello").await?;
    client.answers(&other, 1).await.map(drop)
}

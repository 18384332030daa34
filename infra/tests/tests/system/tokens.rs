//! Tokens that end are renewed before they do, and clients whose token died come back by a new signup.

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use shared::domain::Timestamp;
use shared::domain::grant::Grant;
use shared::domain::ids::GrantId;
use shared::domain::seal::SealContext;
use shared::domain::token_care::Care;
use shared::ports::{ReadGrants, Seal, WriteGrants};
use switchboard::recovery::invoke_function;

use crate::support::api::SEND;
use crate::support::cloud::Item;
use crate::support::{Case, Client, World, cases, eventually};

const DAY_SECONDS: i64 = 24 * 60 * 60;

pub(crate) fn cases() -> Vec<Case> {
    cases!["tokens":
        Alone a_token_is_renewed_before_it_ends_and_nobody_notices,
        Alone the_system_users_token_is_renewed_and_used_from_then_on,
        Alone a_token_that_nobody_can_renew_is_told_of_and_its_death_too,
        Beside a_new_signup_of_a_client_whose_token_died_goes_on_with_the_same_client,
    ]
}

/// A client whose token ends after so many days.
async fn client_for(world: &World, days: i64) -> Result<Client<'_>> {
    let (api, bot) = (world.admin(), world.new_bot());
    let signup = world.sim().sign_up(json!({"tokenDays": days})).await?;
    world.client_from(api, &bot, signup).await
}

async fn grant(world: &World, client: &Client<'_>) -> Result<Grant> {
    world.cloud.tables().grant(&grant_id(client)?).await?.context("no grant")
}

fn grant_id(client: &Client<'_>) -> Result<GrantId> {
    Ok(GrantId::new(&client.bot.parse()?, &client.signup.business.parse()?))
}

/// Lets the token be looked after until its grant is as wanted. The deployed schedule may be at it, too.
async fn look_after(world: &World, client: &Client<'_>, wanted: impl Fn(&Grant) -> bool) -> Result<Grant> {
    eventually("the token is looked after", async || {
        let found = grant(world, client).await?;
        if wanted(&found) {
            return Ok(found);
        }
        let (id, at_once) = (grant_id(client)?, AttributeValue::N("1000".to_owned()));
        world.cloud.set("grants", ("grantId", id.as_ref()), ("careAt", at_once)).await?;
        run(world, "look-after-tokens").await?;
        anyhow::bail!("version {}, previous {:?}", found.token_version, found.previous)
    })
    .await
}

async fn run(world: &World, job: &str) -> Result<Value> {
    let event = json!({"source": "switchboard.schedule", "job": job});
    invoke_function(&world.info, "tokenCare", &event).await
}

async fn listed(client: &Client<'_>) -> Result<Value> {
    let page = client.api.get(&format!("/api/whatsapp/clients?botId={}", client.bot)).await?.ok()?;
    page["items"].get(0).cloned().context("no client is listed")
}

async fn a_token_is_renewed_before_it_ends_and_nobody_notices(world: &World) -> Result<()> {
    let client = client_for(world, 15).await?;
    let customer = world.new_customer();
    client.hears(&customer, "Hello").await?;
    client.answers(&customer, 1).await?;

    let first = grant(world, &client).await?;
    let renewed = look_after(world, &client, |it| it.token_version > first.token_version).await?;
    ensure!(renewed.token_expires_at > first.token_expires_at, "{renewed:?}");
    let worked = look_after(world, &client, |it| it.previous.is_none()).await?;
    ensure!(worked.token_version == renewed.token_version, "{worked:?}");

    world.sim().post("clock", &json!({"advanceSeconds": 16 * DAY_SECONDS})).await?;
    let goes_on = async {
        client.hears(&customer, "Two weeks later").await?;
        client.answers(&customer, 2).await?;
        client.api.post(SEND, &client.text_to(&customer, "And from us")).await?.ok()
    };
    let result = goes_on.await;
    world.sim().post("clock", &json!({"advanceSeconds": -16 * DAY_SECONDS})).await?;
    result?;
    let shown = listed(&client).await?;
    ensure!(shown.get("needsReconnect").is_none(), "{shown}");
    ensure!(grant(world, &client).await?.dead_since.is_none(), "marked as dead");
    Ok(())
}

async fn the_system_users_token_is_renewed_and_used_from_then_on(world: &World) -> Result<()> {
    let exchanges = async || Ok::<_, anyhow::Error>(world.sim().calls("oauth/access_token").await?.len());
    let before = exchanges().await?;
    run(world, "look-after-system-token").await?;
    ensure!(exchanges().await? == before, "it does not end");
    world.sim().post("system-user", &json!({"tokenDays": 10})).await?;
    let mut counts = Vec::new();
    for _ in 0..2 {
        run(world, "look-after-system-token").await?;
        counts.push(exchanges().await? - before);
    }
    world.sim().post("system-user", &json!({"tokenDays": null})).await?;
    ensure!(counts == [1, 1], "the new one is read and lives on: {counts:?}");
    Ok(())
}

async fn a_new_signup_of_a_client_whose_token_died_goes_on_with_the_same_client(world: &World) -> Result<()> {
    let client = world.client().await?;
    let customer = world.new_customer();
    client.hears(&customer, "Hello").await?;
    client.answers(&customer, 1).await?;
    let before = listed(&client).await?;

    let (id, tables) = (grant_id(&client)?, world.cloud.tables());
    let good = grant(world, &client).await?;
    let version = good.token_version;
    let sealed = world.cloud.kms().seal("EAAwithdrawn", SealContext::GrantToken(&id)).await?;
    // Nobody but the test looks after it.
    let dead = Grant { token: Some(sealed), token_version: version + 1, care_at: None, ..good };
    ensure!(tables.save_grant(&dead, Some(version)).await?, "the grant changed meanwhile");
    let body = client.text_to(&customer, "Are you there?");
    client.api.post(SEND, &body).await?.refused(409, "client_needs_reconnect")?;
    ensure!(listed(&client).await?["needsReconnect"] == true, "not shown");

    let again = world.sim().sign_up(json!({"phoneNumberId": client.phone()})).await?;
    let back = world.client_from(world.admin(), &client.bot, again).await?;
    ensure!((back.phone(), &back.signup.waba) == (client.phone(), &client.signup.waba), "another client");
    let after = listed(&back).await?;
    ensure!(after.get("needsReconnect").is_none(), "{after}");
    for same in ["id", "phoneNumberId", "createdAt", "onboardedAt"] {
        ensure!(after[same] == before[same], "{same}: {after}");
    }
    back.api.post(SEND, &body).await?.ok()?;
    ensure!(!back.history(&customer).await?.is_empty(), "the history is gone");
    let found = grant(world, &back).await?;
    ensure!((found.token_version, found.dead_since) == (version + 2, None), "{found:?}");
    Ok(())
}

async fn a_token_that_nobody_can_renew_is_told_of_and_its_death_too(world: &World) -> Result<()> {
    let client = client_for(world, 5).await?;
    let refused = json!({"error": {"status": 400, "code": 100, "message": "Invalid parameter"}});
    let path = format!("{}/system_user_access_tokens", client.signup.business);
    world.sim().faults(&path, 50, &refused).await?;
    world.sim().fault("oauth/access_token", &refused).await?;
    let told = look_after(world, &client, |it| it.care.told_days.is_some()).await?;
    ensure!(told.care.told_days == Some(7), "{:?}", told.care);
    let events = world.cloud.everything("events").await?;
    let waba = AttributeValue::S(client.signup.waba.clone());
    let expiring =
        |item: &Item| item.get("ownerId") == Some(&waba) && format!("{item:?}").contains("tokenVersion");
    ensure!(events.iter().filter(|item| expiring(item)).count() == 1, "not told once");

    let version = told.token_version;
    let sealed = world.cloud.kms().seal("EAAwithdrawn", SealContext::GrantToken(&grant_id(&client)?)).await?;
    // Refused once before, long ago.
    let care = Care { refused_at: Some(Timestamp::UNIX_EPOCH), ..told.care.clone() };
    let dead = Grant { token: Some(sealed), token_version: version + 1, care, ..told };
    ensure!(world.cloud.tables().save_grant(&dead, Some(version)).await?, "the grant changed meanwhile");
    look_after(world, &client, |it| it.dead_since.is_some()).await?;
    let shown = listed(&client).await?;
    ensure!(shown["needsReconnect"] == true, "{shown}");
    Ok(())
}

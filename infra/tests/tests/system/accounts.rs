//! The life of an account after its signup: what Meta's events do to its clients.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::support::api::{CLIENTS, SEND};
use crate::support::{Case, Client, World, cases, eventually};

pub(crate) fn cases() -> Vec<Case> {
    cases!["accounts":
        Beside a_ban_suspends_until_the_account_is_reinstated,
        Beside whoever_leaves_keeps_nothing_of_ours_and_may_come_back,
        Beside a_dead_token_does_not_keep_the_credit_alive,
    ]
}

/// The client as it is listed.
async fn listed(client: &Client<'_>) -> Result<Value> {
    let mut page = client.api.get(&format!("{CLIENTS}?botId={}", client.bot)).await?.ok()?;
    let items = page["items"].as_array_mut().context("a list")?;
    ensure!(items.len() == 1, "{items:?}");
    Ok(items.remove(0))
}

async fn becomes(client: &Client<'_>, status: &str, reason: Value) -> Result<Value> {
    eventually(&format!("the client is {status}"), async || {
        let item = listed(client).await?;
        ensure!(item["status"] == status && item["statusReason"] == reason, "{item}");
        Ok(item)
    })
    .await
}

async fn account_event(world: &World, client: &Client<'_>, event: &Value) -> Result<Value> {
    world.sim().post(&format!("wabas/{}/account-events", client.signup.waba), event).await
}

fn update(value: &Value) -> Value {
    json!({"field": "account_update", "value": value})
}

async fn a_ban_suspends_until_the_account_is_reinstated(world: &World) -> Result<()> {
    let client = world.client().await?;
    let ban = |state: &str| {
        update(
            &json!({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": state, "waba_ban_date": "March 3, 2027"}}),
        )
    };
    let disable = account_event(world, &client, &ban("DISABLE")).await?;
    let item = becomes(&client, "suspended", json!("banned")).await?;
    ensure!(item["statusSince"].is_string(), "{item}");
    let customer = world.new_customer();
    let refusal = client.api.post(SEND, &client.text_to(&customer, "Hello")).await?;
    ensure!(refusal.refused(409, "client_not_active")?["statusReason"] == "banned", "the reason is missing");
    client.hears(&customer, "Is anybody there?").await?;
    let history = client.settled(&customer).await?;
    ensure!(history[0]["answer"]["reason"] == "client_inactive", "{history:?}");

    let mut reinstate = ban("REINSTATE");
    reinstate["time"] = json!(disable["time"].as_i64().context("a time")? + 1);
    // Meta's time counts: it is a second later, and the ban comes once more after it.
    account_event(world, &client, &reinstate).await?;
    becomes(&client, "active", Value::Null).await?;
    let mut late = ban("DISABLE");
    late["time"] = disable["time"].clone();
    account_event(world, &client, &late).await?;
    let marker = json!({"field": "phone_number_quality_update", "value": {"event": "FLAGGED"}});
    account_event(world, &client, &marker).await?;
    let item = eventually("the number is flagged", async || {
        let item = listed(&client).await?;
        ensure!(item["qualityRating"] == "RED", "{item}");
        Ok(item)
    })
    .await?;
    ensure!(item["status"] == "active", "the older event came late: {item}");
    Ok(())
}

/// What of ours the client still has.
async fn left_behind(world: &World, client: &Client<'_>) -> Result<Vec<&'static str>> {
    let mut found = Vec::new();
    if world.sim().waba(&client.signup.waba).await?["funded"] == true {
        found.push("credit");
    }
    let item = world.cloud.item("clients", ("phoneNumberId", client.phone())).await?.context("the client")?;
    if item.contains_key("sealedPin") {
        found.push("PIN");
    }
    let grant = format!("{}.{}", client.bot, client.signup.business);
    let grant = world.cloud.item("grants", ("grantId", &grant)).await?.context("the grant")?;
    if grant.contains_key("token") {
        found.push("token");
    }
    ensure!(grant.contains_key("allocationId") && grant.contains_key("businessId"), "the ids are gone");
    Ok(found)
}

async fn loses_everything(world: &World, client: &Client<'_>) -> Result<()> {
    eventually("nothing of ours is left", async || {
        let found = left_behind(world, client).await?;
        ensure!(found.is_empty(), "still there: {found:?}");
        Ok(())
    })
    .await
}

async fn whoever_leaves_keeps_nothing_of_ours_and_may_come_back(world: &World) -> Result<()> {
    let client = world.client().await?;
    ensure!(left_behind(world, &client).await? == ["credit", "PIN", "token"], "the client is not whole");
    let customer = world.new_customer();
    client.hears(&customer, "Hello").await?;
    client.answers(&customer, 1).await?;

    let path = format!("wabas/{}/remove", client.signup.waba);
    let removed = world.sim().post(&path, &json!({"tokenSurvives": true})).await?;
    becomes(&client, "inactive", json!("partner_removed")).await?;
    loses_everything(world, &client).await?;
    let waba = world.sim().waba(&client.signup.waba).await?;
    ensure!(waba["subscribedApps"] == json!([]), "still subscribed: {waba}");

    // What comes late is kept and not answered.
    let late = format!("wamid.LATE{}", world.unique());
    let message = json!({"from": customer, "id": late, "timestamp": "1795262400", "type": "text", "text": {"body": "Still there?"}});
    let value = json!({"messaging_product": "whatsapp", "messages": [message],
        "metadata": {"display_phone_number": "15550100199", "phone_number_id": client.phone()}});
    let body = json!({"object": "whatsapp_business_account",
        "entry": [{"id": client.signup.waba, "changes": [{"field": "messages", "value": value}]}]});
    ensure!(world.deliver(body.to_string()).await? == 200, "not taken");
    eventually("the late message is kept", async || {
        let history = client.history(&customer).await?;
        ensure!(history.len() == 3, "{history:?}");
        let message = history.iter().find(|item| item["wamid"] == *late).context("not there")?;
        ensure!(message["answer"]["reason"] == "client_inactive", "{message}");
        Ok(())
    })
    .await?;
    let refusal = client.api.post(SEND, &client.text_to(&customer, "Hello")).await?;
    ensure!(refusal.refused(409, "client_not_active")?["statusReason"] == "partner_removed", "no reason");

    comes_back(world, &client, &removed["time"], &customer).await
}

async fn comes_back(world: &World, client: &Client<'_>, left_at: &Value, customer: &str) -> Result<()> {
    let again = world.sim().sign_up(json!({"phoneNumberId": client.phone()})).await?;
    let onboarding = world.exchange(&client.api, &client.bot, &again).await?;
    world.onboard(&client.api, &again, &onboarding).await?;
    becomes(client, "active", Value::Null).await?;
    // Meta repeats for days.
    let mut removal = update(&json!({"event": "PARTNER_REMOVED"}));
    removal["time"] = left_at.clone();
    removal["repeat"] = json!(3);
    account_event(world, client, &removal).await?;
    let marker = json!({"field": "business_capability_update", "value": {"max_daily_conversations_per_business": 2000}});
    account_event(world, client, &marker).await?;
    eventually("the limit is known", async || {
        let item = listed(client).await?;
        ensure!(item["messagingLimit"] == "TIER_2K", "{item}");
        Ok(())
    })
    .await?;
    let item = listed(client).await?;
    ensure!(item["status"] == "active" && item["onboardingId"] == onboarding, "{item}");
    client.hears(customer, "Are you back?").await?;
    client.answers(customer, 2).await?;
    let waba = world.sim().waba(&client.signup.waba).await?;
    ensure!(waba["funded"] == true && waba["allocations"].as_array().map(Vec::len) == Some(2), "{waba}");
    Ok(())
}

async fn a_dead_token_does_not_keep_the_credit_alive(world: &World) -> Result<()> {
    let client = world.client().await?;
    world.sim().post(&format!("wabas/{}/remove", client.signup.waba), &json!({})).await?;
    becomes(&client, "inactive", json!("partner_removed")).await?;
    loses_everything(world, &client).await
}

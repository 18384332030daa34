//! Clients that others change, and what reconciliation finds and mends.

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::support::api::CLIENTS;
use crate::support::{Case, Client, World, cases, eventually};

pub(crate) fn cases() -> Vec<Case> {
    cases!["drift":
        Beside what_others_changed_is_listed_with_its_calls_and_mended_by_them,
        Beside an_override_leads_messages_away_until_it_is_removed,
        Beside a_foreign_client_is_not_looked_at,
        Beside a_client_receives_once_a_webhook_for_it_has_arrived,
        Beside the_night_finds_what_drifted_and_mends_nothing,
    ]
}

fn path(client: &Client<'_>, dry_run: bool) -> String {
    format!("{CLIENTS}/{}/reconcile?dryRun={dry_run}", client.phone())
}

async fn reconcile(client: &Client<'_>, dry_run: bool) -> Result<Value> {
    client.api.post(&path(client, dry_run), &json!({})).await?.ok()
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(|item| item["name"].as_str()).collect()
}

async fn listed(client: &Client<'_>) -> Result<Value> {
    let mut page = client.api.get(&format!("{CLIENTS}?botId={}", client.bot)).await?.ok()?;
    let items = page["items"].as_array_mut().context("a list")?;
    ensure!(items.len() == 1, "{items:?}");
    Ok(items.remove(0))
}

/// Calls that changed something of this client at Meta, as `METHOD path`.
async fn changes(world: &World, client: &Client<'_>) -> Result<Vec<String>> {
    let calls = world.sim().get("calls").await?;
    let all = calls["items"].as_array().into_iter().flatten();
    let of_client = all.filter(|call| {
        let told = call.to_string();
        told.contains(&client.signup.waba) || told.contains(client.phone())
    });
    let writes = of_client.filter(|call| call["method"] != "GET");
    Ok(writes
        .map(|call| {
            format!(
                "{} {}",
                call["method"].as_str().unwrap_or_default(),
                call["path"].as_str().unwrap_or_default()
            )
        })
        .collect())
}

async fn what_others_changed_is_listed_with_its_calls_and_mended_by_them(world: &World) -> Result<()> {
    let client = world.client().await?;
    let whole = reconcile(&client, true).await?;
    ensure!(whole["drifts"] == json!([]), "as it was made: {whole}");
    let (waba, phone) = (&client.signup.waba, client.phone());
    let account = json!({"subscribed": false, "funding": null, "assigned": false});
    world.sim().post(&format!("wabas/{waba}"), &account).await?;
    let number = json!({"registered": false, "verifiedName": "Corner Cafe"});
    world.sim().post(&format!("numbers/{phone}"), &number).await?;

    let before = changes(world, &client).await?;
    let listed_drifts = reconcile(&client, true).await?;
    let expected = [
        "unsubscribed",
        "system_user_unassigned",
        "credit_missing",
        "not_connected",
        "name_changed",
        "quality_changed",
    ];
    ensure!(names(&listed_drifts["drifts"]) == expected, "{listed_drifts}");
    ensure!(changes(world, &client).await? == before, "a dry run changed something");
    ensure!(names(&listed(&client).await?["drifts"]) == expected, "the last look is not shown");

    let mended = reconcile(&client, false).await?;
    ensure!(mended["left"] == json!([]), "{mended}");
    let made: Vec<String> = changes(world, &client).await?.split_off(before.len());
    let calls = mended["drifts"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|it| it["calls"].as_array().into_iter().flatten());
    let announced: Vec<&str> = calls.filter_map(|call| call["path"].as_str()).collect();
    ensure!(made.len() == announced.len() && made.len() == 4, "announced {announced:?}, made {made:?}");
    for (made, announced) in made.iter().zip(&announced) {
        let end = announced.replace("{creditLineId}", "");
        ensure!(made.ends_with(&end.replace("//", "/")), "announced {announced}, made {made}");
    }
    let again = reconcile(&client, false).await?;
    ensure!(again["left"] == json!([]), "{again}");
    ensure!(changes(world, &client).await?.len() == before.len() + 4, "it was mended twice");
    let item = listed(&client).await?;
    ensure!(item["verifiedName"] == "Corner Cafe" && item["drifts"] == json!([]), "{item}");
    let state = world.sim().waba(waba).await?;
    let attached = state["allocations"].as_array().context("a list")?;
    ensure!(state["funded"] == true && attached.len() == 2, "it was attached once more: {state}");
    ensure!(attached[0] == attached[1], "the business has one allocation: {state}");
    // Messages come and go as before.
    let customer = world.new_customer();
    client.hears(&customer, "Is anybody there?").await?;
    client.answers(&customer, 1).await?;
    Ok(())
}

async fn an_override_leads_messages_away_until_it_is_removed(world: &World) -> Result<()> {
    let client = world.client().await?;
    let away = json!({"callback": "http://127.0.0.1:9/hook?key=something"});
    world.sim().post(&format!("wabas/{}", client.signup.waba), &away).await?;
    world.sim().post(&format!("numbers/{}", client.phone()), &away).await?;
    let found = reconcile(&client, true).await?;
    ensure!(names(&found["drifts"]) == ["callback_overridden", "number_callback_overridden"], "{found}");
    ensure!(found["drifts"][0]["found"] == "http://127.0.0.1:9/hook", "the query is shown: {found}");
    let mended = reconcile(&client, false).await?;
    ensure!(mended["left"] == json!([]), "{mended}");
    let customer = world.new_customer();
    client.hears(&customer, "Is anybody there?").await?;
    client.answers(&customer, 1).await?;
    Ok(())
}

async fn a_foreign_client_is_not_looked_at(world: &World) -> Result<()> {
    let theirs = world.client().await?;
    let stranger = world.bot("demo-bakery");
    for dry_run in [true, false] {
        let foreign = stranger.post(&path(&theirs, dry_run), &json!({})).await?;
        let foreign = foreign.refused(404, "client_not_found")?.to_string();
        let unknown = format!("{CLIENTS}/119/reconcile?dryRun={dry_run}");
        let unknown =
            stranger.post(&unknown, &json!({})).await?.refused(404, "client_not_found")?.to_string();
        ensure!(foreign == unknown, "foreign {foreign}, unknown {unknown}");
    }
    Ok(())
}

async fn a_client_receives_once_a_webhook_for_it_has_arrived(world: &World) -> Result<()> {
    let client = world.client().await?;
    let item = listed(&client).await?;
    ensure!(item["receives"] == false && item["lastWebhookAt"].is_null(), "{item}");
    // An event of the account proves nothing of messages.
    let event = json!({"field": "account_update", "value": {"event": "VERIFIED_ACCOUNT"}});
    world.sim().post(&format!("wabas/{}/account-events", client.signup.waba), &event).await?;
    let customer = world.new_customer();
    client.hears(&customer, "Is anybody there?").await?;
    let item = eventually("the client receives", async || {
        let item = listed(&client).await?;
        ensure!(item["receives"] == true, "{item}");
        Ok(item)
    })
    .await?;
    ensure!(item["lastWebhookAt"].is_string() && item["lastMessageAt"].is_string(), "{item}");
    let onboarding = client.api.onboarding(&client.onboarding).await?.ok()?;
    ensure!(onboarding["client"]["receives"] == true, "{onboarding}");
    Ok(())
}

async fn the_night_finds_what_drifted_and_mends_nothing(world: &World) -> Result<()> {
    let client = world.client().await?;
    let waba = &client.signup.waba;
    world.sim().post(&format!("wabas/{waba}"), &json!({"subscribed": false})).await?;
    let due = ("dueAt", AttributeValue::N("0".to_owned()));
    world.cloud.set("clients", ("phoneNumberId", "round#check"), due).await?;
    eventually("the schedule looked at the client", async || {
        let item = listed(&client).await?;
        ensure!(item["checkedAt"].is_string() && names(&item["drifts"]).contains(&"unsubscribed"), "{item}");
        Ok(())
    })
    .await?;
    ensure!(world.sim().waba(waba).await?["subscribedApps"] == json!([]), "the night mended it");
    Ok(())
}

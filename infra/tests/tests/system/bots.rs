//! A partner sets a bot up, and people silence it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::support::{Case, Client, World, cases, eventually};

pub(crate) fn cases() -> Vec<Case> {
    cases!["bots":
        Beside a_button_of_a_menu_gets_the_answer_of_its_rule_and_the_history_says_why,
        Beside settings_that_somebody_changed_meanwhile_are_not_overwritten,
        Beside settings_that_are_wrong_are_refused_by_name,
        Beside outside_business_hours_a_customer_hears_so_once,
        Beside who_asks_for_a_person_silences_the_bot_until_a_person_lets_it_answer,
        Beside a_longer_burst_of_the_bots_own_gets_one_answer,
        Beside a_bot_answers_with_the_model_that_it_chose_until_its_budget_is_used_up,
        Beside a_model_that_needs_a_person_gets_one,
        Beside a_model_that_takes_pictures_is_given_them,
    ]
}

fn path(client: &Client<'_>) -> String {
    format!("/api/whatsapp/bots/{}", client.bot)
}

async fn set(client: &Client<'_>, settings: &Value) -> Result<Value> {
    client.api.put(&path(client), settings).await?.ok()
}

fn text_of(message: &Value) -> &str {
    message["message"]["text"]["body"].as_str().unwrap_or_default()
}

/// The bot's messages in the history, oldest first.
fn of_the_bot(history: &[Value]) -> Vec<&Value> {
    history.iter().rev().filter(|message| message["origin"] == "bot").collect()
}

/// Waits until this message of the customer's has ended without an answer, for this reason.
async fn silent(client: &Client<'_>, customer: &str, wamid: &str, reason: &str) -> Result<()> {
    eventually(&format!("there is no answer because of {reason}"), async || {
        let history = client.history(customer).await?;
        let asked = history.iter().find(|message| message["wamid"] == wamid).context("not recorded yet")?;
        ensure!(asked["answer"]["reason"] == reason, "{asked}");
        Ok(())
    })
    .await
}

async fn a_button_of_a_menu_gets_the_answer_of_its_rule_and_the_history_says_why(
    world: &World,
) -> Result<()> {
    let client = world.client().await?;
    let button = |id: &str, title: &str| json!({"type": "reply", "reply": {"id": id, "title": title}});
    let menu = json!({"type": "interactive", "interactive": {"type": "button",
        "body": {"text": "What may it be?"},
        "action": {"buttons": [button("menu-hours", "Hours"), button("menu-place", "Way")]}}});
    let place = json!({"type": "location",
        "location": {"latitude": 52.520_008, "longitude": 13.404_954, "name": "Bakery", "address": "Street 1"}});
    let rules = json!([
        {"pattern": "(?i)^menu\\b", "answer": menu},
        {"choice": "menu-place", "answer": place},
        {"choice": "menu-hours", "text": "9 to 5"},
    ]);
    let saved = set(&client, &json!({ "rules": rules })).await?;
    ensure!(saved["version"] == 1 && saved["rules"][0]["answer"] == menu, "{saved}");
    ensure!(
        client.api.get(&path(&client)).await?.ok()? == saved,
        "it is shown otherwise than saved: {saved}"
    );

    let customer = world.new_customer();
    client.hears(&customer, "menu, please").await?;
    let shown = client.answers(&customer, 1).await?;
    ensure!(shown[0]["message"]["interactive"]["body"]["text"] == "What may it be?", "{shown:?}");
    for (count, id) in [(2, "menu-hours"), (3, "menu-place")] {
        let reply = json!({"type": "button_reply", "button_reply": {"id": id, "title": "Anything"}});
        let message = json!({"type": "interactive", "interactive": reply});
        world.sim().write(&customer, json!({"to": client.phone(), "message": message})).await?;
        client.answers(&customer, count).await?;
    }
    let shown = client.shown_to(&customer).await?;
    ensure!(text_of(&shown[1]) == "9 to 5", "{shown:?}");
    ensure!(shown[2]["message"]["location"]["latitude"] == json!(52.520_008), "{shown:?}");
    client.hears(&customer, "Thanks!").await?;
    client.answers(&customer, 4).await?;
    let history = client.settled(&customer).await?;
    let sent = of_the_bot(&history);
    let why: Vec<&Value> = sent.iter().map(|message| &message["why"]).collect();
    ensure!(why[..3] == [&json!({"rule": 0}), &json!({"rule": 2}), &json!({"rule": 1})], "{why:?}");
    let model = &why[3]["model"];
    ensure!(model["name"].is_string() && model["ms"].is_u64(), "{why:?}");
    ensure!(sent[0]["type"] == "interactive", "{sent:?}");
    Ok(())
}

async fn settings_that_somebody_changed_meanwhile_are_not_overwritten(world: &World) -> Result<()> {
    let client = world.client().await?;
    let mut read = client.api.get(&path(&client)).await?.ok()?;
    ensure!(read["version"] == 0 && read["enabled"] == true, "{read}");
    set(&client, &json!({"enabled": false})).await?;
    read["instructions"] = json!("Mine.");
    let problem = client.api.put(&path(&client), &read).await?.refused(409, "settings_changed")?;
    read["version"] = problem["version"].clone();
    let saved = set(&client, &read).await?;
    ensure!(saved["version"] == 2 && saved["instructions"] == "Mine.", "{saved}");
    let foreign = world.bot("demo-florist").get(&path(&client)).await?;
    foreign.refused(404, "bot_not_found").map(drop)
}

async fn settings_that_are_wrong_are_refused_by_name(world: &World) -> Result<()> {
    let api = world.admin();
    let path = format!("/api/whatsapp/bots/{}", world.new_bot());
    for (body, member) in [
        (
            json!({"rules": [{"keyword": "a", "text": "b"}, {"pattern": "(", "text": "b"}]}),
            "rules[1].pattern",
        ),
        (json!({"handOver": {"minutes": 1}}), "handOver.minutes"),
        (json!({"apiKey": "x"}), "apiKey"),
    ] {
        let problem = api.put(&path, &body).await?.refused(400, "invalid_settings")?;
        ensure!(problem["member"] == member, "{problem}");
    }
    ensure!(api.get(&path).await?.ok()?["version"] == 0, "something was saved");
    Ok(())
}

async fn outside_business_hours_a_customer_hears_so_once(world: &World) -> Result<()> {
    let client = world.client().await?;
    let hours = json!({"timeZone": "Europe/Berlin", "weekly": [], "away": "We are closed."});
    set(&client, &json!({ "businessHours": hours })).await?;
    let customer = world.new_customer();
    client.hears(&customer, "Are you there?").await?;
    let shown = client.answers(&customer, 1).await?;
    ensure!(text_of(&shown[0]) == "We are closed.", "{shown:?}");
    client.settled(&customer).await?;
    let unanswered = client.hears(&customer, "Hello?").await?;
    silent(&client, &customer, &unanswered, "away").await?;
    ensure!(client.shown_to(&customer).await?.len() == 1, "it was said twice");
    Ok(())
}

async fn who_asks_for_a_person_silences_the_bot_until_a_person_lets_it_answer(world: &World) -> Result<()> {
    let client = world.client().await?;
    let hand_over = json!({"keywords": ["human"], "minutes": 30, "answer": "Somebody comes."});
    set(&client, &json!({ "handOver": hand_over })).await?;
    let customer = world.new_customer();
    client.hears(&customer, "A human, please").await?;
    let shown = client.answers(&customer, 1).await?;
    ensure!(text_of(&shown[0]) == "Somebody comes.", "{shown:?}");
    client.settled(&customer).await?;
    let unanswered = client.hears(&customer, "Hello?").await?;
    silent(&client, &customer, &unanswered, "human").await?;

    let pause = format!("/api/whatsapp/conversations/{}/{customer}/pause", client.bot);
    let ended = client.api.delete(&pause).await?.ok()?;
    ensure!(ended["items"][0]["pausedUntil"].is_null(), "{ended}");
    client.hears(&customer, "Are you back?").await?;
    let shown = client.answers(&customer, 2).await?;
    ensure!(text_of(&shown[1]).contains("Are you back?"), "{shown:?}");
    client.settled(&customer).await?;

    let paused = client.api.put(&pause, &json!({"minutes": 5})).await?.ok()?;
    let talks = format!("/api/whatsapp/conversations/{}?customer={customer}", client.bot);
    let listed = client.api.get(&talks).await?.ok()?;
    ensure!(listed["items"][0]["pausedUntil"] == paused["items"][0]["pausedUntil"], "{listed} {paused}");
    let unanswered = client.hears(&customer, "And now?").await?;
    silent(&client, &customer, &unanswered, "human").await?;
    let nobody = format!("/api/whatsapp/conversations/{}/{}/pause", client.bot, world.new_customer());
    client.api.put(&nobody, &json!({"minutes": 5})).await?.refused(404, "customer_not_found").map(drop)
}

async fn a_longer_burst_of_the_bots_own_gets_one_answer(world: &World) -> Result<()> {
    let client = world.client().await?;
    set(&client, &json!({"burstSeconds": 5})).await?;
    let customer = world.new_customer();
    client.hears(&customer, "One").await?;
    client.hears(&customer, "Two").await?;
    let shown = client.answers(&customer, 1).await?;
    let history = client.settled(&customer).await?;
    let at = |message: &Value| {
        message["timestamp"].as_str().and_then(|at| at.parse::<shared::domain::Timestamp>().ok())
    };
    let (answered, asked) = (
        at(of_the_bot(&history)[0]),
        history.iter().filter(|m| m["direction"] == "inbound").filter_map(at).max(),
    );
    // Meta's times are whole seconds.
    let waited = answered.zip(asked).map(|(answered, asked)| answered.duration_since(asked).as_secs());
    ensure!(waited >= Some(4), "answered after {waited:?} s: {history:?}");
    ensure!(history.len() == 3 && shown.len() == 1, "{history:?}");
    Ok(())
}

async fn a_bot_answers_with_the_model_that_it_chose_until_its_budget_is_used_up(world: &World) -> Result<()> {
    let client = world.client().await?;
    let shown = client.api.get(&path(&client)).await?.ok()?;
    let names: Vec<&Value> = shown["models"].as_array().into_iter().flatten().map(|m| &m["name"]).collect();
    ensure!(names == ["default", "bedrock"] && shown["spent"]["usd"] == 0, "{shown}");
    let unknown = client.api.put(&path(&client), &json!({"model": "gone"})).await?;
    let problem = unknown.refused(400, "invalid_settings")?;
    ensure!(problem["models"] == json!(["default", "bedrock"]), "{problem}");
    set(&client, &json!({"model": "bedrock", "monthlyBudgetUsd": 0.000_001})).await?;

    let customer = world.new_customer();
    client.hears(&customer, "Are you there?").await?;
    let answers = client.answers(&customer, 1).await?;
    ensure!(text_of(&answers[0]) == "You said: Are you there?", "{answers:?}");
    let history = client.settled(&customer).await?;
    let why = &of_the_bot(&history)[0]["why"]["model"];
    ensure!(why["name"] == "bedrock" && why["costUsd"].as_f64() > Some(0.0), "{why}");
    let unanswered = client.hears(&customer, "And now?").await?;
    silent(&client, &customer, &unanswered, "budget").await?;
    let spent = client.api.get(&path(&client)).await?.ok()?["spent"].clone();
    ensure!(spent["usd"] == why["costUsd"] && spent["budgetUsd"] == json!(0.000_001), "{spent} {why}");
    Ok(())
}

async fn a_model_that_needs_a_person_gets_one(world: &World) -> Result<()> {
    let client = world.client().await?;
    set(&client, &json!({"handOver": {"byModel": true, "answer": "Somebody comes."}})).await?;
    let customer = world.new_customer();
    // The simulated model repeats it.
    client.hears(&customer, "Say [[person-needed]]").await?;
    let shown = client.answers(&customer, 1).await?;
    ensure!(text_of(&shown[0]) == "Somebody comes.", "{shown:?}");
    let history = client.settled(&customer).await?;
    let why = &of_the_bot(&history)[0]["why"]["handOver"];
    ensure!(why["model"]["name"] == "default" && why["pausedUntil"].is_string(), "{why}");
    let unanswered = client.hears(&customer, "Hello?").await?;
    silent(&client, &customer, &unanswered, "human").await
}

async fn a_model_that_takes_pictures_is_given_them(world: &World) -> Result<()> {
    let client = world.client().await?;
    set(&client, &json!({"model": "bedrock"})).await?;
    let customer = world.new_customer();
    let picture = json!({"to": client.phone(), "message": {"type": "image"}});
    world.sim().write(&customer, picture).await?;
    let shown = client.answers(&customer, 1).await?;
    ensure!(text_of(&shown[0]).ends_with("(files: 1)"), "{shown:?}");
    Ok(())
}

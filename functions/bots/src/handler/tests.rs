use std::time::Duration;

use shared::domain::client::Client;
use shared::domain::conversation::{Conversation, ConversationTouch, CustomerNames, TouchedBy};
use shared::domain::ids::ConversationId;
use shared::domain::money::Usd;
use shared::ports::{AddSpending, ResolveCustomers, TouchConversations};
use shared::testing::{Sample, World, answered, refused};

use super::*;

const PUT: &str = include_str!("../../../../events/bots.json");
const PAUSE: &str = include_str!("../../../../events/bots-pause.json");
const GET: &str = "GET /api/whatsapp/bots/{botId}";
const END: &str = "DELETE /api/whatsapp/conversations/{botId}/{customer}/pause";

fn bot() -> BotId {
    "demo-bakery".parse().unwrap()
}

/// The first has prices.
fn models() -> Models {
    r#"[{"name": "fast", "provider": "openai", "baseUrl": "https://models.example/v1", "model": "hush-1",
         "takes": ["image"], "usdPerMillionInputTokens": 0.15, "usdPerMillionOutputTokens": 0.6},
        {"name": "deep", "provider": "bedrock", "model": "hush-2"}]"#
        .parse()
        .unwrap()
}

async fn call(world: &World, sample: Sample) -> (u16, Value) {
    answered(handle(&world.store, &models(), &world.clock, &sample.request()).await)
}

async fn refuse(world: &World, sample: Sample) -> (u16, String) {
    refused(handle(&world.store, &models(), &world.clock, &sample.request()).await)
}

async fn get(world: &World) -> Value {
    let (status, shown) = call(world, Sample::of(PUT).route(GET, &[("botId", "demo-bakery")])).await;
    assert_eq!(status, 200, "{shown}");
    shown
}

async fn put(world: &World, body: &Value) -> (u16, Value) {
    call(world, Sample::of(PUT).body(body)).await
}

#[tokio::test]
async fn a_bot_that_nobody_set_up_shows_the_defaults_as_version_zero() {
    let shown = get(&World::new()).await;
    assert_eq!((&shown["botId"], &shown["version"]), (&json!("demo-bakery"), &json!(0)));
    assert_eq!((&shown["enabled"], &shown["modelEnabled"]), (&json!(true), &json!(true)));
    assert_eq!((&shown["rules"], &shown["businessHours"]), (&json!([]), &Value::Null));
    assert_eq!((&shown["handOver"]["minutes"], &shown["historyMessages"]), (&json!(60), &json!(20)));
}

#[tokio::test]
async fn the_sample_is_saved_and_shown_as_it_was_meant() {
    let world = World::new();
    let (status, saved) = call(&world, Sample::of(PUT)).await;
    assert_eq!((status, &saved["version"]), (200, &json!(1)), "{saved}");
    assert_eq!(get(&world).await, saved);
    let stored = world.store.with(|tables| tables.bots[&bot()].clone());
    assert!(stored.rules.len() > 2 && stored.business_hours.is_some(), "{saved}");
}

#[tokio::test]
async fn what_was_read_can_be_sent_back_and_only_once() {
    let world = World::new();
    let mut read = get(&world).await;
    read["instructions"] = json!("You sell bread.");
    let (status, saved) = put(&world, &read).await;
    assert_eq!((status, &saved["version"]), (200, &json!(1)), "{saved}");
    read["instructions"] = json!("You sell cake.");
    let (status, problem) = put(&world, &read).await;
    assert_eq!((status, &problem["code"]), (409, &json!("settings_changed")), "{problem}");
    assert_eq!(problem["version"], 1);
    assert_eq!(get(&world).await["instructions"], "You sell bread.");
    read["version"] = problem["version"].clone();
    assert_eq!(put(&world, &read).await.1["version"], 2);
}

#[tokio::test]
async fn without_a_version_whatever_is_there_is_replaced() {
    let world = World::new();
    for version in 1..=3 {
        let (status, saved) = put(&world, &json!({"enabled": false})).await;
        assert_eq!((status, &saved["version"]), (200, &json!(version)));
    }
    let (_, saved) = put(&world, &json!({"version": null})).await;
    assert_eq!(saved["enabled"], true, "what is missing has its default");
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_is_changed() {
    let world = World::new();
    for (body, member) in [
        (json!({"colour": "blue"}), "colour"),
        (json!({"version": "1"}), "version"),
        (json!({"version": -1}), "version"),
        (json!({"botId": "other-bot"}), "botId"),
        (json!({"rules": [{"pattern": "(", "text": "b"}]}), "rules[0].pattern"),
    ] {
        let (status, problem) = put(&world, &body).await;
        assert_eq!((status, &problem["code"]), (400, &json!("invalid_settings")), "{body}");
        assert_eq!(problem["member"], member, "{problem}");
    }
    assert_eq!(refuse(&world, Sample::of(PUT).text("[]")).await, (400, "not_an_object".to_owned()));
    assert_eq!(get(&world).await["version"], 0);
}

#[tokio::test]
async fn the_models_to_choose_from_are_shown_by_name_and_nothing_else_of_them() {
    let shown = get(&World::new()).await;
    let expected = json!([
        {"name": "fast", "takes": ["image"], "hasPrices": true}, {"name": "deep", "takes": [], "hasPrices": false}]);
    assert_eq!((&shown["models"], &shown["model"]), (&expected, &Value::Null));
    assert!(!shown.to_string().contains("hush") && !shown.to_string().contains("models.example"));
}

#[tokio::test]
async fn a_model_is_one_of_the_deployments_and_a_budget_needs_its_prices() {
    let world = World::new();
    let (status, problem) = put(&world, &json!({"model": "slow"})).await;
    assert_eq!((status, &problem["code"]), (400, &json!("invalid_settings")), "{problem}");
    assert_eq!((&problem["member"], &problem["models"]), (&json!("model"), &json!(["fast", "deep"])));
    for model in [json!("fast"), Value::Null] {
        let (status, saved) = put(&world, &json!({"model": model, "monthlyBudgetUsd": 12.5})).await;
        assert_eq!((status, &saved["monthlyBudgetUsd"]), (200, &json!(12.5)), "{saved}");
    }
    let (status, problem) = put(&world, &json!({"model": "deep", "monthlyBudgetUsd": 0})).await;
    assert_eq!((status, &problem["member"]), (400, &json!("monthlyBudgetUsd")), "{problem}");
    assert_eq!(put(&world, &json!({"model": "deep"})).await.0, 200);
}

#[tokio::test]
async fn what_was_spent_is_shown_for_this_month() {
    let world = World::new();
    put(&world, &json!({"monthlyBudgetUsd": 12.5})).await;
    let month = Month::of(world.clock.now());
    world.store.add_spending(&bot(), &month, Usd::from_micros(1_250_007)).await.unwrap();
    let spent = json!({"month": "2026-11", "usd": 1.250_007, "budgetUsd": 12.5});
    assert_eq!(get(&world).await["spent"], spent);
    world.clock.set("2026-12-01T00:00:00Z".parse().unwrap());
    assert_eq!(get(&world).await["spent"], json!({"month": "2026-12", "usd": 0, "budgetUsd": 12.5}));
}

#[tokio::test]
async fn a_foreign_bot_answers_as_an_unknown_one() {
    let world = World::new();
    for route in [GET, "PUT /api/whatsapp/bots/{botId}"] {
        let sample = Sample::of(PUT).route(route, &[("botId", "other-bot")]);
        assert_eq!(refuse(&world, sample).await, (404, "bot_not_found".to_owned()), "{route}");
    }
    assert_eq!(refuse(&world, Sample::of(PUT).nobody()).await.0, 401);
    assert_eq!(refuse(&world, Sample::of(PUT).page("[demo-bakery]")).await.0, 403);
    assert!(world.store.with(|tables| tables.bots.is_empty()));
}

/// A conversation of the client with the sample's customer.
async fn talk(world: &World, client: &Client) -> ConversationId {
    let customer = CustomerNames { wa_id: Some("12125550142".parse().unwrap()), ..CustomerNames::default() };
    let key = world.store.resolve_customer(&client.phone_number_id, &customer).await.unwrap();
    let id = ConversationId::new(&client.phone_number_id, &key);
    let at = world.clock.now();
    let bot_id = client.bot_id.clone();
    let touch = ConversationTouch { id: id.clone(), bot_id, customer, at, by: TouchedBy::Customer };
    world.store.touch_conversation(&touch).await.unwrap();
    id
}

fn conversation(world: &World, id: &ConversationId) -> Conversation {
    world.store.with(|tables| tables.conversations[id].clone())
}

#[tokio::test]
async fn a_person_silences_the_bot_for_minutes_or_until_a_time_and_ends_it() {
    let world = World::new();
    let (client, _) = world.active_client(&bot(), 1).await;
    let id = talk(&world, &client).await;
    let later = |minutes: u64| world.clock.now() + Duration::from_secs(minutes * 60);
    // Also earlier than before: a person decides.
    for (body, until) in [(json!({"minutes": 90}), later(90)), (json!({"until": later(5)}), later(5))] {
        let (status, paused) = call(&world, Sample::of(PAUSE).body(&body)).await;
        assert_eq!(status, 200, "{paused}");
        assert_eq!(
            paused["items"],
            json!([{"phoneNumberId": client.phone_number_id, "customer": "12125550142", "pausedUntil": until}])
        );
        assert_eq!(conversation(&world, &id).paused_until, Some(until));
    }
    let end = Sample::of(PAUSE).route(END, &[("botId", "demo-bakery"), ("customer", "+12125550142")]);
    for _ in 0..2 {
        let (status, ended) = call(&world, end.clone()).await;
        assert_eq!((status, &ended["items"][0]["pausedUntil"]), (200, &Value::Null), "{ended}");
        assert_eq!(conversation(&world, &id).paused_until, None);
    }
}

#[tokio::test]
async fn all_numbers_are_meant_or_the_one_that_is_named() {
    let world = World::new();
    let (one, _) = world.active_client(&bot(), 1).await;
    let (two, _) = world.active_client(&bot(), 2).await;
    let (first, second) = (talk(&world, &one).await, talk(&world, &two).await);
    let only = json!({"minutes": 10, "phoneNumberId": two.phone_number_id});
    let (status, paused) = call(&world, Sample::of(PAUSE).body(&only)).await;
    assert_eq!((status, paused["items"].as_array().unwrap().len()), (200, 1), "{paused}");
    assert_eq!(conversation(&world, &first).paused_until, None);
    assert!(conversation(&world, &second).paused_until.is_some());
    let (_, paused) = call(&world, Sample::of(PAUSE)).await;
    assert_eq!(paused["items"].as_array().unwrap().len(), 2, "{paused}");
    let end = Sample::of(PAUSE).route(END, &[("botId", "demo-bakery"), ("customer", "12125550142")]);
    let end = end.query(&[("phoneNumberId", one.phone_number_id.as_ref())]);
    assert_eq!(call(&world, end).await.0, 200);
    assert_eq!(conversation(&world, &first).paused_until, None);
    assert!(conversation(&world, &second).paused_until.is_some());
}

#[tokio::test]
async fn a_pause_without_a_good_end_is_refused() {
    let world = World::new();
    let (client, _) = world.active_client(&bot(), 1).await;
    let id = talk(&world, &client).await;
    for (body, member) in [
        (json!({}), "until"),
        (json!({"minutes": 5, "until": "2026-12-01T00:00:00Z"}), "until"),
        (json!({"until": "2020-01-01T00:00:00Z"}), "until"),
        (json!({"until": "2030-01-01T00:00:00Z"}), "until"),
        (json!({"until": "tomorrow"}), "until"),
        (json!({"minutes": 0}), "minutes"),
        (json!({"minutes": 1.5}), "minutes"),
        (json!({"minutes": "5"}), "minutes"),
        (json!({"minutes": 525_601}), "minutes"),
        (json!({"minutes": 5, "seconds": 5}), "seconds"),
    ] {
        let (status, problem) = call(&world, Sample::of(PAUSE).body(&body)).await;
        assert_eq!((status, &problem["code"]), (400, &json!("invalid_member")), "{body}");
        assert_eq!(problem["member"], member, "{problem}");
    }
    assert_eq!(conversation(&world, &id).paused_until, None);
}

#[tokio::test]
async fn who_is_unknown_or_another_bots_is_not_found() {
    let world = World::new();
    let (client, _) = world.active_client(&bot(), 1).await;
    let (foreign, _) = world.active_client(&"other-bot".parse().unwrap(), 2).await;
    talk(&world, &foreign).await;
    assert_eq!(refuse(&world, Sample::of(PAUSE)).await, (404, "customer_not_found".to_owned()));
    let id = talk(&world, &client).await;
    let other = "other-bot".parse().unwrap();
    world.store.with(|tables| tables.conversations.get_mut(&id).unwrap().bot_id = other);
    assert_eq!(refuse(&world, Sample::of(PAUSE)).await, (404, "customer_not_found".to_owned()));
    let body = json!({"minutes": 5, "phoneNumberId": foreign.phone_number_id});
    assert_eq!(refuse(&world, Sample::of(PAUSE).body(&body)).await, (404, "client_not_found".to_owned()));
    let paused = |c: &Conversation| c.paused_until.is_some();
    assert!(!world.store.with(|tables| tables.conversations.values().any(paused)));
}

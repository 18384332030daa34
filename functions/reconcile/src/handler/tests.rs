use shared::domain::client::ClientStatus;
use shared::flows::onboard::{Partner, Settings};
use shared::flows::tokens::Tokens;
use shared::testing::{Fault, GraphFault, Parts, Sample, World, answered, refusal, refused};

use super::*;

const EVENT: &str = include_str!("../../../../events/reconcile.json");
const SCHEDULE: &str = include_str!("../../../../events/reconcile-schedule.json");

/// The client of the sample event, whose account lost its subscription.
async fn world() -> World {
    let world = World::new();
    let (client, it) = world.active_client(&"demo-bakery".parse().unwrap(), 1).await;
    assert!(EVENT.contains(client.phone_number_id.as_ref()), "the event names another number");
    world.graph.with(|meta| meta.wabas.get_mut(&it.waba_id).unwrap().subscribed = false);
    world
}

async fn call(world: &World, sample: &Sample) -> Result<Response<Body>, ApiError> {
    let Parts { store, seal, graph, clock, random, .. } = &**world;
    let settings = Settings {
        partner: Partner::TechProvider,
        app_id: "1234567890".to_owned(),
        lease: std::time::Duration::from_secs(90),
        retry: std::time::Duration::from_secs(60),
    };
    let tokens = &Tokens::default();
    let reconcile =
        Reconcile { store, seal, graph, clock, random, tokens, settings: &settings, version: "v26.0" };
    handle(&reconcile, &sample.request()).await
}

fn names(list: &serde_json::Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_sample_event_lists_the_calls_and_makes_none() {
    let world = world().await;
    let (status, answer) = answered(call(&world, &Sample::of(EVENT)).await);
    assert_eq!((status, &answer["dryRun"]), (200, &json!(true)), "{answer}");
    assert!(names(&answer["drifts"]).contains(&"unsubscribed"), "{answer}");
    let drift = &answer["drifts"][0];
    let expected = json!([{"method": "POST", "path": "/228000000001/subscribed_apps", "parameters": {}, "token": "client"}]);
    assert_eq!((&drift["turn"], &drift["calls"]), (&json!("ours"), &expected));
    assert_eq!((&answer["left"], &answer["mended"]), (&answer["drifts"], &json!([])));
    assert_eq!(world.graph.calls("subscribe"), 0);
    let noted = world.store.with(|t| t.clients.values().next().unwrap().check.clone()).unwrap();
    assert_eq!(noted.at, world.clock.now());
}

#[tokio::test]
async fn without_dry_run_it_is_mended_and_nothing_is_left() {
    let world = world().await;
    for query in [[("dryRun", "false")], [("dryRun", "")]] {
        let (status, answer) = answered(call(&world, &Sample::of(EVENT).query(&query)).await);
        assert_eq!(
            (status, &answer["dryRun"], &answer["left"]),
            (200, &json!(false), &json!([])),
            "{answer}"
        );
        assert!(answer["mended"].as_array().unwrap().iter().all(|it| it["done"] == true), "{answer}");
    }
    assert_eq!(world.graph.acts("subscribe"), 1, "what is mended is not mended again");
}

#[tokio::test]
async fn a_foreign_client_looks_like_an_unknown_one_and_is_not_looked_at() {
    let world = world().await;
    let foreign = Sample::of(EVENT).claims(json!({"bots": "[other-bot]", "sub": "x"}));
    let unknown = Sample::of(EVENT).path("phoneNumberId", "119");
    let odd = Sample::of(EVENT).path("phoneNumberId", "round#check");
    for sample in [foreign, unknown, odd] {
        assert_eq!(refused(call(&world, &sample).await), (404, "client_not_found".to_owned()));
    }
    let wrong = Sample::of(EVENT).query(&[("dryRun", "perhaps")]);
    assert_eq!(refused(call(&world, &wrong).await), (400, "invalid_parameter".to_owned()));
    assert_eq!(world.graph.with(|meta| meta.calls.len()), 0);
}

#[tokio::test]
async fn refusals_say_whose_turn_it_is() {
    let world = world().await;
    world.store.with(|t| t.clients.values_mut().next().unwrap().stage = ClientStatus::Onboarding);
    assert_eq!(refused(call(&world, &Sample::of(EVENT)).await), (409, "client_not_active".to_owned()));
    world.store.with(|t| t.clients.values_mut().next().unwrap().stage = ClientStatus::Active);
    world.steps.fault_next("number", Fault::FailBefore);
    assert_eq!(refused(call(&world, &Sample::of(EVENT)).await), (503, "meta_unavailable".to_owned()));
    world.graph.fail_next("token_facts", GraphFault::Refused(refusal(400, 190, "no")));
    assert_eq!(refused(call(&world, &Sample::of(EVENT)).await), (503, "partner_token_refused".to_owned()));
    world.steps.fault_next("client", Fault::FailBefore);
    assert_eq!(refused(call(&world, &Sample::of(EVENT)).await).0, 503);
}

#[tokio::test]
async fn the_schedule_looks_at_all_clients_and_mends_nothing_at_meta() {
    let world = world().await;
    let (status, answer) = answered(call(&world, &Sample::of(SCHEDULE)).await);
    assert_eq!((status, answer), (200, json!({"looked": 1})));
    assert_eq!(world.graph.calls("subscribe"), 0);
    let (_, again) = answered(call(&world, &Sample::of(SCHEDULE)).await);
    assert_eq!(again, json!({"looked": 0}), "not before the next night");
}

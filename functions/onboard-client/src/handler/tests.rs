use std::time::Duration;

use serde_json::Value;
use shared::domain::ids::BotId;
use shared::domain::onboarding::Claims;
use shared::flows::exchange::Exchange;
use shared::flows::onboard::{Partner, Settings};
use shared::testing::{Fault, GraphFault, Sample, SignedUp, World, answered, refused};

use super::*;

const EVENT: &str = include_str!("../../../../events/onboard-client.json");
const STATUS: &str = include_str!("../../../../events/onboard-client-status.json");
const SCHEDULE: &str = include_str!("../../../../events/onboard-client-schedule.json");
const OFFBOARDINGS: &str = include_str!("../../../../events/onboard-client-offboardings.json");
const PIN: &str = "738291";

async fn send(world: &World, request: &Request) -> Result<Response<Body>, ApiError> {
    let parts: &shared::testing::Parts = world;
    let settings = Settings {
        partner: Partner::Solution { currency: "USD".to_owned() },
        app_id: "1234567890".to_owned(),
        lease: Duration::from_secs(90),
        retry: Duration::from_secs(60),
    };
    let onboard = Onboard {
        store: &parts.store,
        seal: &parts.seal,
        graph: &parts.graph,
        clock: &parts.clock,
        random: &parts.random,
        settings: &settings,
    };
    handle(&onboard, request).await
}

/// A signup whose code is exchanged.
async fn exchanged() -> (World, SignedUp, OnboardingId) {
    let world = World::new();
    let it = world.graph.sign_up(1);
    let id = exchange(&world, &it, "demo-bakery").await;
    (world, it, id)
}

async fn exchange(world: &World, it: &SignedUp, bot: &str) -> OnboardingId {
    let parts: &shared::testing::Parts = world;
    let exchange = Exchange {
        store: &parts.store,
        seal: &parts.seal,
        graph: &parts.graph,
        clock: &parts.clock,
        random: &parts.random,
    };
    let bot: BotId = bot.parse().unwrap();
    exchange.run(&it.code, &bot, Claims::default()).await.unwrap().id
}

fn post(id: &OnboardingId) -> Sample {
    Sample::of(EVENT).body(&json!({"onboardingId": id}))
}

fn get(id: &OnboardingId) -> Sample {
    Sample::of(STATUS).path("onboardingId", id.as_ref())
}

#[tokio::test]
async fn the_sample_events_are_handled() {
    let world = World::new();
    for sample in [EVENT, STATUS] {
        let answer = send(&world, &Sample::of(sample).request()).await;
        assert_eq!(refused(answer), (404, "onboarding_not_found".to_owned()));
    }
    for schedule in [SCHEDULE, OFFBOARDINGS] {
        let schedule = lambda_http::request::from_str(schedule).unwrap();
        assert_eq!(answered(send(&world, &schedule).await), (200, json!({"due": 0})));
    }
}

#[tokio::test]
async fn a_signup_becomes_an_active_client_and_the_ledger_says_so() {
    let (world, it, id) = exchanged().await;
    let body = json!({"onboardingId": id, "wabaId": it.waba_id, "phoneNumberId": it.phone_number_id,
                      "businessId": it.business_id, "clientName": "Bakery", "event": "FINISH", "pin": PIN});
    let (status, answer) =
        answered(send(&world, &Sample::of(EVENT).body(&body).page("[demo-bakery]").request()).await);
    assert_eq!((status, answer["status"].as_str()), (200, Some("active")));
    assert_eq!(answer["client"]["status"], "active");
    assert_eq!(answer["client"]["clientName"], "Bakery");
    let steps = answer["steps"].as_array().unwrap();
    assert!(steps.len() == 9 && steps.iter().all(|step| step["state"] == "done"), "{steps:?}");
    assert!(!answer.to_string().contains("EAA") && !answer.to_string().contains(PIN));
    assert_eq!(answered(send(&world, &get(&id).request()).await), (200, answer));
}

#[tokio::test]
async fn while_steps_are_open_the_answer_is_202_with_the_cause_and_the_schedule_goes_on() {
    let (world, _, id) = exchanged().await;
    world.graph.fail_next("is_subscribed", GraphFault::NotSent);
    let (status, answer) = answered(send(&world, &post(&id).request()).await);
    assert_eq!((status, answer["status"].as_str()), (202, Some("open")));
    assert_eq!(answer["steps"][2]["cause"]["code"], "meta_unavailable");
    assert!(answer["steps"][2]["action"].is_string() && answer["nextTryAt"].is_string());
    assert_eq!(answer["client"]["ready"], false);
    world.clock.advance(Duration::from_secs(100));
    let schedule = lambda_http::request::from_str(SCHEDULE).unwrap();
    assert_eq!(answered(send(&world, &schedule).await), (200, json!({"due": 1})));
    assert_eq!(answered(send(&world, &get(&id).request()).await).1["status"], "active");
}

#[tokio::test]
async fn a_caller_cannot_play_the_schedule() {
    let (world, _, _) = exchanged().await;
    world.clock.advance(Duration::from_secs(100));
    let before = world.steps.count();
    for sample in [Sample::of(EVENT).text(SCHEDULE), Sample::of(EVENT).text(SCHEDULE).nobody()] {
        assert!(matches!(refused(send(&world, &sample.request()).await).0, 400 | 401));
    }
    assert_eq!(world.steps.count(), before);
}

#[tokio::test]
async fn a_foreign_onboarding_answers_as_an_unknown_one_and_is_not_continued() {
    let (world, _, id) = exchanged().await;
    let before = world.store.with(|t| t.onboardings.clone());
    let unknown: OnboardingId = "ob_unknown".parse().unwrap();
    let other = json!({"bots": "[other-bot]", "sub": "x"});
    for sample in [post(&id).claims(other.clone()), get(&id).claims(other), post(&unknown), get(&unknown)] {
        let (status, answer) = answered(send(&world, &sample.request()).await);
        assert_eq!((status, answer["code"].as_str()), (404, Some("onboarding_not_found")));
    }
    let ill_formed = Sample::of(EVENT).body(&json!({"onboardingId": "../x"}));
    assert_eq!(refused(send(&world, &ill_formed.request()).await).0, 404);
    assert_eq!(world.store.with(|t| t.onboardings.clone()), before);
}

#[tokio::test]
async fn requests_without_caller_or_with_ill_formed_bodies_change_nothing() {
    let (world, _, id) = exchanged().await;
    let before = (world.steps.count(), world.store.with(|t| t.onboardings.clone()));
    let body =
        |member: &str, value: Value| Sample::of(EVENT).body(&json!({"onboardingId": id, member: value}));
    for (sample, expected) in [
        (post(&id).nobody(), (401, "unauthenticated")),
        (get(&id).nobody(), (401, "unauthenticated")),
        (post(&id).text("nonsense"), (400, "not_json")),
        (post(&id).text("{}"), (400, "missing_member")),
        (body("pin", "12345".into()), (400, "invalid_member")),
        (body("wabaId", "x".into()), (400, "invalid_member")),
        (body("clientName", "\u{7}".into()), (400, "invalid_member")),
        (post(&id).text(&" ".repeat(256 * 1024 + 1)), (413, "body_too_large")),
    ] {
        let (status, code) = refused(send(&world, &sample.request()).await);
        assert_eq!((status, code.as_str()), expected);
    }
    assert_eq!((world.steps.count(), world.store.with(|t| t.onboardings.clone())), before);
}

#[tokio::test]
async fn a_mismatch_is_403_a_number_in_use_409_and_a_lost_grant_says_to_sign_up_again() {
    let (world, it, id) = exchanged().await;
    let other = world.graph.sign_up(2);
    let claim = Sample::of(EVENT).body(&json!({"onboardingId": id, "wabaId": other.waba_id}));
    assert_eq!(refused(send(&world, &claim.request()).await), (403, "grant_mismatch".to_owned()));

    let (foreign, _) = world.active_client(&"other-bot".parse().unwrap(), 1).await;
    let claim = Sample::of(EVENT).body(&json!({"onboardingId": id, "wabaId": it.waba_id}));
    assert_eq!(refused(send(&world, &claim.request()).await), (409, "number_in_use".to_owned()));
    assert_eq!(world.store.with(|t| t.clients[&foreign.phone_number_id].clone()), foreign);

    let id = exchange(&world, &world.graph.sign_up(3), "demo-bakery").await;
    world.graph.with(|meta| meta.tokens.values_mut().for_each(|token| token.facts.scopes.clear()));
    let (status, answer) = answered(send(&world, &post(&id).request()).await);
    assert_eq!((status, answer["code"].as_str()), (409, Some("grant_invalid")));
    assert!(answer["action"].as_str().unwrap().starts_with("Sign up again"));
    let (status, ledger) = answered(send(&world, &get(&id).request()).await);
    assert_eq!((status, ledger["status"].as_str()), (200, Some("failed")), "the ledger can still be read");
}

#[tokio::test]
async fn an_onboarding_that_expired_is_gone() {
    let (world, _, id) = exchanged().await;
    world.clock.advance(shared::domain::onboarding::LIFETIME);
    assert_eq!(refused(send(&world, &post(&id).request()).await), (410, "onboarding_expired".to_owned()));
    assert_eq!(answered(send(&world, &get(&id).request()).await).1["status"], "expired");
}

#[tokio::test]
async fn a_wrong_pin_is_told_and_the_right_one_ends_it() {
    let (world, it, id) = exchanged().await;
    world.graph.with(|meta| meta.numbers.get_mut(&it.phone_number_id).unwrap().pin = Some(PIN.to_owned()));
    let (status, answer) = answered(send(&world, &post(&id).request()).await);
    assert_eq!((status, answer["steps"][6]["cause"]["code"].as_str()), (202, Some("pin_mismatch")));
    let body = json!({"onboardingId": id, "pin": PIN});
    assert_eq!(answered(send(&world, &Sample::of(EVENT).body(&body).request()).await).0, 200);
}

#[tokio::test]
async fn our_own_trouble_is_503_and_the_next_call_continues() {
    let (world, _, id) = exchanged().await;
    world.steps.fault_next("save_grant", Fault::FailBefore);
    assert_eq!(
        refused(send(&world, &post(&id).request()).await),
        (503, "temporarily_unavailable".to_owned())
    );
    assert_eq!(answered(send(&world, &post(&id).request()).await).0, 200);
}

#[tokio::test]
async fn an_idempotency_key_answers_as_the_first_time_while_the_onboarding_goes_on() {
    let (world, _, id) = exchanged().await;
    world.graph.fail_next("subscribe", GraphFault::NotSent);
    let keyed = || post(&id).header("idempotency-key", Some("first")).request();
    let first = answered(send(&world, &keyed()).await);
    assert_eq!((first.0, first.1["status"].as_str()), (202, Some("open")));
    assert_eq!(answered(send(&world, &post(&id).request()).await).0, 200);
    assert_eq!(answered(send(&world, &keyed()).await), first);
}

use serde_json::{Value, json};
use shared::domain::ids::OnboardingId;
use shared::domain::onboarding::SignupEvent;
use shared::testing::{Fault, GraphFault, Sample, SignedUp, World, answered, refusal as meta_error, refused};

use super::*;

const EVENT: &str = include_str!("../../../../events/exchange-token.json");

async fn send(world: &World, sample: &Sample) -> Result<Response<Body>, ApiError> {
    let parts: &shared::testing::Parts = world;
    let exchange = Exchange {
        store: &parts.store,
        seal: &parts.seal,
        graph: &parts.graph,
        clock: &parts.clock,
        random: &parts.random,
    };
    handle(&exchange, &sample.request()).await
}

/// A finished signup, and the request with its code.
fn signed_up() -> (World, SignedUp, Value) {
    let world = World::new();
    let it = world.graph.sign_up(1);
    let code = world.graph.with(|meta| meta.codes.keys().next().cloned());
    (world, it, json!({"botId": "demo-bakery", "code": code}))
}

fn nothing_happened(world: &World) {
    assert_eq!(world.steps.count(), 0, "{:?}", world.steps.log());
}

#[tokio::test]
async fn the_sample_event_is_exchanged() {
    let (world, _, _) = signed_up();
    world.graph.with(|meta| meta.codes.insert("example-signup-code".to_owned(), "EAAfake00001".to_owned()));
    assert_eq!(answered(send(&world, &Sample::of(EVENT)).await).0, 200);
}

#[tokio::test]
async fn the_answer_names_the_onboarding_and_the_grant_and_no_secret() {
    let (world, it, body) = signed_up();
    let sample = Sample::of(EVENT).body(&body);
    let (status, answer) = answered(send(&world, &sample).await);
    assert_eq!(status, 200);
    assert_eq!(answer["onboardingId"], OnboardingId::of_code(&it.code).as_ref());
    assert_eq!(answer["grant"]["wabaIds"], json!([it.waba_id]));
    assert!(answer["expiresAt"].is_string() && answer["grant"]["scopes"].is_array());
    let text = answer.to_string();
    assert!(!text.contains("EAA") && !text.contains(body["code"].as_str().unwrap()));
    assert_eq!(answered(send(&world, &sample).await), (200, answer), "the same code answers the same");
    assert_eq!(world.graph.calls("exchange_code"), 1);
}

#[tokio::test]
async fn the_pages_token_opens_it() {
    let (world, _, body) = signed_up();
    let sample = Sample::of(EVENT).body(&body).page("[demo-bakery]");
    assert_eq!(answered(send(&world, &sample).await).0, 200);
}

#[tokio::test]
async fn what_the_page_knows_is_kept_as_a_claim_and_what_is_ill_formed_is_left_out() {
    let (world, it, mut body) = signed_up();
    body["signup"] =
        json!({"wabaId": it.waba_id, "phoneNumberId": "not a number", "event": "FINISH_ONLY_WABA"});
    send(&world, &Sample::of(EVENT).body(&body)).await.unwrap();
    let claims = world.store.with(|t| t.onboardings.values().next().unwrap().claims.clone());
    assert_eq!((claims.waba_id, claims.phone_number_id), (Some(it.waba_id), None));
    assert_eq!(claims.event, Some(SignupEvent::FinishOnlyWaba));
}

#[tokio::test]
async fn a_request_without_caller_is_401_and_nothing_happens() {
    let (world, _, body) = signed_up();
    let sample = Sample::of(EVENT).body(&body);
    for sample in [
        sample.clone().nobody(),
        sample.clone().claims(json!({})),
        sample.claims(json!({"bots": "demo-bakery"})),
    ] {
        assert_eq!(refused(send(&world, &sample).await), (401, "unauthenticated".to_owned()));
    }
    nothing_happened(&world);
}

#[tokio::test]
async fn a_foreign_bot_is_an_unknown_one_and_the_code_is_not_spent() {
    let (world, _, body) = signed_up();
    let sample = Sample::of(EVENT).body(&body).claims(json!({"bots": "[other-bot]", "sub": "x"}));
    assert_eq!(refused(send(&world, &sample).await), (404, "bot_not_found".to_owned()));
    nothing_happened(&world);
}

#[tokio::test]
async fn ill_formed_bodies_are_named_never_repeated_and_do_nothing() {
    let (world, _, _) = signed_up();
    let long = format!("{{\"code\": \"{}\"}}", "x".repeat(256 * 1024));
    for (body, expected) in [
        ("nonsense", (400, "not_json")),
        ("[]", (400, "not_an_object")),
        (long.as_str(), (413, "body_too_large")),
        (r#"{"code": "topsecret"}"#, (400, "missing_member")),
        (r#"{"botId": "demo-bakery"}"#, (400, "missing_member")),
        (r#"{"botId": "a b", "code": "topsecret"}"#, (400, "invalid_member")),
        (r#"{"botId": "demo-bakery", "code": "topsecret\n"}"#, (400, "invalid_member")),
        (r#"{"botId": "demo-bakery", "code": {"topsecret": 1}}"#, (400, "invalid_member")),
    ] {
        let (status, answer) = answered(send(&world, &Sample::of(EVENT).text(body)).await);
        assert_eq!((status, answer["code"].as_str().unwrap()), expected);
        assert!(!answer.to_string().contains("topsecret"));
    }
    nothing_happened(&world);
}

#[tokio::test]
async fn what_meta_says_of_the_code_is_told_apart() {
    let with = |subcode| {
        GraphFault::Refused(shared::domain::meta_error::MetaError {
            subcode: Some(subcode),
            ..meta_error(400, 100, "This authorization code is not valid.")
        })
    };
    for (fault, expected, retryable) in [
        (with(36_007), (400, "code_expired"), false),
        (with(36_009), (409, "code_spent"), false),
        (
            GraphFault::Refused(meta_error(400, 101, "Error validating application.")),
            (400, "code_refused"),
            false,
        ),
        (GraphFault::NotSent, (503, "meta_unavailable"), true),
        (GraphFault::UnclearBefore, (503, "meta_unavailable"), true),
    ] {
        let (world, _, body) = signed_up();
        world.graph.fail_next("exchange_code", fault);
        let (status, answer) = answered(send(&world, &Sample::of(EVENT).body(&body)).await);
        assert_eq!((status, answer["code"].as_str().unwrap()), expected);
        assert_eq!(answer["retryable"], retryable);
        assert!(!answer.to_string().contains(body["code"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn our_own_trouble_is_503_and_the_code_still_works() {
    let (world, _, body) = signed_up();
    world.steps.fault_next("start_onboarding", Fault::FailBefore);
    let sample = Sample::of(EVENT).body(&body);
    assert_eq!(refused(send(&world, &sample).await), (503, "temporarily_unavailable".to_owned()));
    assert_eq!(answered(send(&world, &sample).await).0, 200);
}

#[tokio::test]
async fn an_idempotency_key_answers_as_the_first_time_and_takes_no_other_body() {
    let (world, _, body) = signed_up();
    let sample = |body: &Value| Sample::of(EVENT).body(body).header("idempotency-key", Some("signup-1"));
    let first = answered(send(&world, &sample(&body)).await);
    assert_eq!(first.0, 200);
    assert_eq!(answered(send(&world, &sample(&body)).await), first);
    let other = json!({"botId": "demo-bakery", "code": "another-code"});
    assert_eq!(refused(send(&world, &sample(&other)).await), (422, "idempotency_key_reused".to_owned()));
    assert_eq!(world.graph.calls("exchange_code"), 1);
}

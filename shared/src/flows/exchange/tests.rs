//! One test for each rule of the exchange.

use secrecy::ExposeSecret;

use super::*;
use crate::flows::testing::{PAST_ALL_CLAIMS, bot, exchange, onboard, solution_partner};
use crate::testing::{Fault, GraphFault, SignedUp, World, refusal};

async fn run(world: &World, it: &SignedUp) -> Result<Onboarding, ExchangeError> {
    exchange(world).run(&it.code, &bot(), Claims::default()).await
}

fn stored(world: &World, it: &SignedUp) -> Onboarding {
    world.store.with(|t| t.onboardings[&OnboardingId::of_code(&it.code)].clone())
}

fn cause(onboarding: &Onboarding) -> Option<&str> {
    onboarding.step(Step::TokenStored).cause.as_ref().map(|cause| cause.code.as_str())
}

#[tokio::test]
async fn the_same_code_again_answers_the_same_without_a_second_call_to_meta() {
    let world = World::new();
    let it = world.graph.sign_up(1);
    let first = run(&world, &it).await.unwrap();
    let calls = world.graph.with(|meta| meta.calls.len());
    let second = run(&world, &it).await.unwrap();
    assert_eq!((&first.id, &first.facts), (&second.id, &second.facts));
    assert!(first.facts.is_some_and(|facts| facts.waba_ids() == [it.waba_id.clone()]));
    assert_eq!(world.graph.with(|meta| meta.calls.len()), calls);
}

#[tokio::test]
async fn a_code_of_another_bot_is_a_spent_one_and_its_record_stays() {
    let world = World::new();
    let it = world.graph.sign_up(1);
    run(&world, &it).await.unwrap();
    let before = stored(&world, &it);
    let other: BotId = "other-bot".parse().unwrap();
    let refused = exchange(&world).run(&it.code, &other, Claims::default()).await.unwrap_err();
    assert!(matches!(refused, ExchangeError::CodeSpent(_)));
    assert_eq!(stored(&world, &it), before);
    assert_eq!(world.graph.calls("exchange_code"), 1);
}

#[tokio::test]
async fn an_expired_code_ends_the_onboarding_and_says_so_each_time() {
    let world = World::new();
    let it = world.graph.sign_up(1);
    world.graph.with(|meta| meta.codes.clear());
    for _ in 0..2 {
        assert!(matches!(run(&world, &it).await.unwrap_err(), ExchangeError::CodeExpired(_)));
    }
    assert_eq!(world.graph.calls("exchange_code"), 1, "Meta is asked once");
    let ended = stored(&world, &it);
    assert_eq!((ended.status, cause(&ended)), (OnboardingStatus::Failed, Some("code_expired")));
    assert!(ended.token.is_none());
}

#[tokio::test]
async fn a_bogus_code_is_refused_for_good_and_says_so_each_time() {
    let world = World::new();
    let it = world.graph.sign_up(1);
    world
        .graph
        .fail_next("exchange_code", GraphFault::Refused(refusal(400, 100, "Invalid verification code")));
    for _ in 0..2 {
        assert!(matches!(run(&world, &it).await.unwrap_err(), ExchangeError::CodeRefused(_)));
    }
    assert_eq!(world.graph.calls("exchange_code"), 1, "Meta is asked once");
    assert_eq!(cause(&stored(&world, &it)), Some("code_refused"));
}

#[tokio::test]
async fn a_code_that_was_used_elsewhere_is_spent_and_the_onboarding_stays_open_for_the_other_way() {
    let world = World::new();
    let it = world.graph.sign_up(1);
    world.graph.exchange_code(&it.code).await.unwrap();
    assert!(matches!(run(&world, &it).await.unwrap_err(), ExchangeError::CodeSpent(_)));
    let open = stored(&world, &it);
    assert_eq!((open.status, cause(&open)), (OnboardingStatus::Open, Some("code_spent")));
}

#[tokio::test]
async fn while_meta_is_down_the_code_is_kept_and_the_same_code_then_works() {
    let world = World::new();
    let it = world.graph.sign_up(1);
    let faults = [
        GraphFault::NotSent,
        GraphFault::UnclearBefore,
        GraphFault::Refused(refusal(500, 2, "Service temporarily unavailable")),
        GraphFault::Refused(refusal(400, 4, "Application request limit reached")),
    ];
    for fault in faults {
        world.graph.fail_next("exchange_code", fault.clone());
        assert!(matches!(run(&world, &it).await.unwrap_err(), ExchangeError::Unavailable(_)), "{fault:?}");
        assert_eq!(stored(&world, &it).status, OnboardingStatus::Open);
    }
    assert!(run(&world, &it).await.unwrap().is_past(Step::TokenStored));
}

#[tokio::test]
async fn the_token_is_sealed_for_this_onboarding_only() {
    let world = World::new();
    let it = world.graph.sign_up(1);
    let sealed = run(&world, &it).await.unwrap().token.unwrap();
    let id = OnboardingId::of_code(&it.code);
    let opened = world.seal.open(&sealed, SealContext::OnboardingToken(&id)).await.unwrap();
    assert_eq!(opened.expose_secret(), it.token.expose());
    let other = "ob_other".parse().unwrap();
    assert!(world.seal.open(&sealed, SealContext::OnboardingToken(&other)).await.is_err());
}

#[tokio::test]
async fn a_token_that_cannot_be_examined_yet_is_stored_all_the_same() {
    let world = World::new();
    let it = world.graph.sign_up(1);
    world.graph.fail_next("token_facts", GraphFault::NotSent);
    let onboarding = run(&world, &it).await.unwrap();
    assert!(onboarding.token.is_some() && onboarding.facts.is_none());
}

#[tokio::test]
async fn two_requests_with_one_code_at_once_spend_it_once() {
    let world = World::new();
    let it = world.graph.sign_up(1);
    let (one, two) = tokio::join!(run(&world, &it), run(&world, &it));
    assert_eq!(world.graph.calls("exchange_code"), 1);
    let results = [one, two];
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().any(|result| matches!(result, Err(ExchangeError::Running))));
    assert!(run(&world, &it).await.is_ok(), "who was told to wait then gets the answer");
}

/// The process dies between Meta's answer and the record of it.
async fn lose_the_token(world: &World, it: &SignedUp) {
    world.steps.fault_next("exchange_code", Fault::CrashAfter);
    let claims = Claims { waba_id: Some(it.waba_id.clone()), ..Claims::default() };
    assert!(exchange(world).run(&it.code, &bot(), claims).await.is_err());
    world.steps.restart();
    assert!(
        matches!(run(world, it).await.unwrap_err(), ExchangeError::Running),
        "the dead one holds the lease"
    );
    world.clock.advance(PAST_ALL_CLAIMS);
    assert!(matches!(run(world, it).await.unwrap_err(), ExchangeError::CodeSpent(_)));
}

#[tokio::test]
async fn a_lost_token_is_fetched_where_partner_added_names_the_business() {
    let world = World::new();
    let it = world.graph.sign_up(1);
    let process = crate::flows::testing::Process::default();
    let event = serde_json::json!({"object": "whatsapp_business_account", "entry": [{"id": "999",
        "time": world.clock.now().as_second(), "changes": [{"field": "account_update", "value": {
            "event": "PARTNER_ADDED",
            "waba_info": {"waba_id": it.waba_id, "owner_business_id": it.business_id}}}]}]});
    let parcel = crate::flows::testing::parcel(&world, event.to_string());
    process.ingest(&world).parcel(&parcel).await.unwrap();
    lose_the_token(&world, &it).await;
    onboard(&world, &solution_partner()).run(&OnboardingId::of_code(&it.code)).await.unwrap();
    let ended = stored(&world, &it);
    assert_eq!(ended.status, OnboardingStatus::Active);
    assert_eq!(ended.step(Step::TokenStored).proof["fetchedFor"], it.business_id.to_string());
}

#[tokio::test]
async fn a_lost_token_is_said_plainly_where_nothing_names_the_business_and_an_old_event_does_not() {
    let world = World::new();
    let it = world.graph.sign_up(1);
    let old = world.clock.now() - Duration::from_secs(60 * 60);
    world.store.with(|t| {
        let event = crate::ports::AccountEvent {
            owner: it.waba_id.to_string(),
            kind: "account_update:PARTNER_ADDED".to_owned(),
            at: old,
            hash: "hash".to_owned(),
            dated: true,
            business_id: Some(it.business_id.clone()),
            raw: crate::domain::raw::Raw::Plain(String::new()),
        };
        t.events.insert(("owner".to_owned(), "key".to_owned()), event);
    });
    lose_the_token(&world, &it).await;
    onboard(&world, &solution_partner()).run(&OnboardingId::of_code(&it.code)).await.unwrap();
    let open = stored(&world, &it);
    assert_eq!((open.status, cause(&open)), (OnboardingStatus::Open, Some("code_spent")));
    assert_eq!(world.graph.calls("fetch_business_token"), 0);
}

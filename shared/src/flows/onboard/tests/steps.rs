//! Which steps there are, in which order, under which lease, until when.

use super::*;

fn acts(world: &World) -> Vec<&'static str> {
    const ACTING: [&str; 5] = ["exchange_code", "subscribe", "assign", "share_credit", "register"];
    world.graph.with(|meta| {
        meta.calls.iter().filter(|c| c.acted && ACTING.contains(&c.name)).map(|c| c.name).collect()
    })
}

fn states(onboarding: &Onboarding) -> Vec<StepState> {
    onboarding.steps.iter().map(|record| record.state).collect()
}

#[tokio::test]
async fn a_solution_partner_does_every_step_in_order_and_the_client_is_ready() {
    let signup = Signup::new().await;
    let ended = signup.run().await;
    assert_eq!(ended.status, OnboardingStatus::Active);
    assert_eq!(states(&ended), [StepState::Done; 9]);
    assert_eq!(acts(&signup.world), ["exchange_code", "subscribe", "assign", "share_credit", "register"]);
    let log = signup.world.steps.log();
    let at = |name: &str| log.iter().rposition(|step| *step == name).unwrap();
    let pin_saved = log[..at("register")].iter().rposition(|step| *step == "save_client");
    assert!(pin_saved.is_some(), "the PIN is stored before register");
    let client = signup.client();
    assert_eq!(
        (client.status(), &client.waba_id, &client.business_id),
        (ClientStatus::Active, &signup.it.waba_id, &signup.it.business_id)
    );
    assert_eq!(client.verified_name.as_deref(), Some("Corner Bakery 1"));
    assert!(client.onboarded_at.is_some() && ended.token.is_none() && ended.next_try_at.is_none());
}

#[tokio::test]
async fn a_second_run_of_an_ended_onboarding_calls_nobody() {
    let signup = Signup::new().await;
    let first = signup.run().await;
    let calls = signup.world.graph.with(|meta| meta.calls.len());
    assert_eq!(signup.run().await, first);
    assert_eq!(signup.world.graph.with(|meta| meta.calls.len()), calls);
}

#[tokio::test]
async fn a_tech_provider_skips_the_credit_steps() {
    let mut signup = Signup::new().await;
    signup.settings = settings(Partner::TechProvider);
    let ended = signup.run().await;
    assert_eq!(ended.status, OnboardingStatus::Active);
    for step in [Step::SystemUserAssigned, Step::CreditShared] {
        assert_eq!(ended.step(step).state, StepState::Skipped);
    }
    assert_eq!(acts(&signup.world), ["exchange_code", "subscribe", "register"]);
}

#[tokio::test]
async fn an_app_only_install_skips_the_credit_steps() {
    let signup = Signup::new().await;
    let claims = Claims { event: Some(SignupEvent::FinishGrantOnlyApiAccess), ..Claims::default() };
    assert_eq!(signup.hear(claims, None).await.status, OnboardingStatus::Active);
    assert_eq!(acts(&signup.world), ["exchange_code", "subscribe", "register"]);
    assert_eq!(signup.client().credit_shared, Some(false));
    let shared = Signup::new().await;
    shared.run().await;
    assert_eq!(shared.client().credit_shared, Some(true), "so that each is compared with how it was made");
}

#[tokio::test]
async fn an_app_that_is_subscribed_already_is_not_subscribed_again() {
    let signup = Signup::new().await;
    signup.world.graph.with(|meta| meta.wabas.get_mut(&signup.it.waba_id).unwrap().subscribed = true);
    assert_eq!(signup.run().await.status, OnboardingStatus::Active);
    assert_eq!(signup.world.graph.calls("subscribe"), 0);
}

#[tokio::test]
async fn two_runs_at_once_do_each_step_once() {
    let signup = Signup::new().await;
    tokio::join!(signup.run(), signup.run());
    assert_eq!(signup.ledger().status, OnboardingStatus::Active);
    assert_eq!(acts(&signup.world), ["exchange_code", "subscribe", "assign", "share_credit", "register"]);
}

#[tokio::test]
async fn the_schedule_continues_when_the_browser_went_away_after_the_exchange() {
    let signup = Signup::new().await;
    assert_eq!(
        signup.schedule(Duration::from_secs(30)).await.status,
        OnboardingStatus::Open,
        "the browser has time"
    );
    assert_eq!(signup.schedule(Duration::from_secs(40)).await.status, OnboardingStatus::Active);
}

#[tokio::test]
async fn one_onboarding_that_fails_does_not_stop_the_schedule_from_continuing_the_others() {
    let first = Signup::new().await;
    let it = first.world.graph.sign_up(2);
    let second = Signup::of(first.world.clone(), it, &bot()).await;
    first.world.clock.advance(Duration::from_secs(70));
    first.world.steps.fault_next("lease_onboarding", Fault::FailBefore);
    onboard(&first.world, &first.settings).run_due(20).await.unwrap();
    let ends = [first.ledger().status, second.ledger().status];
    assert_eq!(ends.iter().filter(|status| **status == OnboardingStatus::Active).count(), 1);
}

#[tokio::test]
async fn when_meta_is_down_a_step_is_tried_again_with_growing_pauses() {
    let signup = Signup::new().await;
    let mut pauses = Vec::new();
    for _ in 0..3 {
        signup.world.graph.fail_next("is_subscribed", GraphFault::NotSent);
        let open = signup.run().await;
        assert_eq!(stopped_by(&open), (Some(Step::AppSubscribed), "meta_unavailable"));
        pauses.push(open.next_try_at.unwrap().duration_since(open.updated_at));
    }
    assert!(pauses.is_sorted_by(|a, b| a < b), "{pauses:?}");
    assert_eq!(signup.schedule(PAST_ALL_CLAIMS * 2).await.status, OnboardingStatus::Active);
}

#[tokio::test]
async fn an_onboarding_that_nobody_finished_expires_and_calls_nobody_any_more() {
    let signup = Signup::new().await;
    signup.number(|number| number.number.code_verification_status = Some("NOT_VERIFIED".to_owned()));
    signup.run().await;
    let calls = signup.world.graph.with(|meta| meta.calls.len());
    let ended = signup.schedule(crate::domain::onboarding::LIFETIME).await;
    assert_eq!((ended.status, ended.next_try_at), (OnboardingStatus::Expired, None));
    assert_eq!(signup.world.graph.with(|meta| meta.calls.len()), calls);
    assert_eq!(signup.client().status(), ClientStatus::Onboarding);
}

#[tokio::test]
async fn a_later_signup_of_the_same_number_goes_on_and_the_earlier_one_ends() {
    let first = Signup::new().await;
    first.number(|number| number.number.code_verification_status = Some("NOT_VERIFIED".to_owned()));
    assert_eq!(stopped_by(&first.run().await).1, "number_unverified");
    let second = Signup::of(first.world.clone(), first.world.graph.sign_up(1), &bot()).await;
    second.run().await;
    second.number(|number| number.number.code_verification_status = Some("VERIFIED".to_owned()));
    let ended = first.run().await;
    assert_eq!((ended.status, stopped_by(&ended).1), (OnboardingStatus::Failed, "taken_over"));
    assert_eq!(second.run().await.status, OnboardingStatus::Active);
    assert_eq!(second.registers(), 1);
}

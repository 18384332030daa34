//! What the browser says is a claim: only what the token covers is taken.

use super::*;
use crate::domain::token_care::{Care, Previous};

fn nothing_was_done(signup: &Signup, clients: usize) {
    for name in ["subscribe", "assign", "share_credit", "register"] {
        assert_eq!(signup.world.graph.calls(name), 0, "{name}");
    }
    assert_eq!(signup.world.store.with(|t| t.clients.len()), clients);
}

#[tokio::test]
async fn an_account_that_the_token_does_not_cover_is_a_mismatch_and_the_right_one_then_works() {
    let signup = Signup::new().await;
    let other = signup.world.graph.sign_up(2);
    let claims = Claims { waba_id: Some(other.waba_id), ..Claims::default() };
    let open = signup.hear(claims, None).await;
    assert_eq!(stopped_by(&open), (Some(Step::GrantVerified), "grant_mismatch"));
    assert!(refusal_of(&open).is_some_and(|(code, _)| code == "grant_mismatch"));
    nothing_was_done(&signup, 0);
    let claims = Claims { waba_id: Some(signup.it.waba_id.clone()), ..Claims::default() };
    assert_eq!(signup.hear(claims, None).await.status, OnboardingStatus::Active);
}

#[tokio::test]
async fn a_number_of_another_account_is_a_mismatch() {
    let signup = Signup::new().await;
    let other = signup.world.graph.sign_up(2);
    let claims = Claims { phone_number_id: Some(other.phone_number_id), ..Claims::default() };
    assert_eq!(stopped_by(&signup.hear(claims, None).await), (Some(Step::GrantVerified), "grant_mismatch"));
    nothing_was_done(&signup, 0);
}

#[tokio::test]
async fn another_business_is_a_mismatch() {
    let signup = Signup::new().await;
    let other = signup.world.graph.sign_up(2);
    let claims = Claims { business_id: Some(other.business_id), ..Claims::default() };
    assert_eq!(stopped_by(&signup.hear(claims, None).await), (Some(Step::GrantVerified), "grant_mismatch"));
    nothing_was_done(&signup, 0);
}

#[tokio::test]
async fn an_account_of_another_business_than_the_tokens_is_a_mismatch() {
    let signup = Signup::new().await;
    let other = signup.world.graph.sign_up(2);
    signup.world.graph.with(|meta| meta.wabas.get_mut(&signup.it.waba_id).unwrap().owner = other.business_id);
    assert_eq!(stopped_by(&signup.run().await), (Some(Step::GrantVerified), "grant_mismatch"));
    nothing_was_done(&signup, 0);
}

/// Changes what Meta says of the signup's token.
fn facts(signup: &Signup, change: impl FnOnce(&mut crate::domain::grant::TokenFacts)) {
    signup.world.graph.with(|meta| change(&mut meta.tokens.get_mut(signup.it.token.expose()).unwrap().facts));
}

#[tokio::test]
async fn a_token_of_another_app_or_without_a_permission_or_not_valid_ends_the_onboarding() {
    type Change = fn(&mut crate::domain::grant::TokenFacts);
    let changes: [Change; 3] = [
        |facts| facts.app_id = "666".to_owned(),
        |facts| facts.scopes.truncate(1),
        |facts| facts.is_valid = false,
    ];
    for change in changes {
        let signup = Signup::new().await;
        facts(&signup, change);
        let ended = signup.run().await;
        assert_eq!(
            (ended.status, stopped_by(&ended)),
            (OnboardingStatus::Failed, (Some(Step::GrantVerified), "grant_invalid"))
        );
        nothing_was_done(&signup, 0);
    }
}

#[tokio::test]
async fn without_a_claim_the_account_is_the_one_that_the_token_covers() {
    let signup = Signup::new().await;
    let ended = signup.run().await;
    assert_eq!(ended.waba_id.as_ref(), Some(&signup.it.waba_id));
    assert_eq!(ended.phone_number_id.as_ref(), Some(&signup.it.phone_number_id));
}

#[tokio::test]
async fn where_meta_leaves_the_list_of_accounts_out_the_page_must_name_one() {
    let signup = Signup::new().await;
    facts(&signup, |facts| facts.management_wabas = None);
    assert_eq!(stopped_by(&signup.run().await), (Some(Step::GrantVerified), "account_unknown"));
}

#[tokio::test]
async fn a_number_in_use_by_another_bot_is_refused_and_everything_there_stays_as_it_was() {
    let world = World::new();
    let other: BotId = "other-bot".parse().unwrap();
    let owner = Signup::of(world.clone(), world.graph.sign_up(1), &other).await;
    assert_eq!(owner.run().await.status, OnboardingStatus::Active);
    let before = owner.world.store.with(|t| (t.clients.clone(), t.grants.clone()));
    let signup = Signup::of(world.clone(), world.graph.sign_up(1), &bot()).await;
    let open = signup.run().await;
    assert!(refusal_of(&open).is_some_and(|(code, _)| code == "number_in_use"));
    assert_eq!(open.phone_number_id, None);
    assert_eq!(world.store.with(|t| (t.clients.clone(), t.grants.clone())), before);
    assert_eq!(signup.registers(), 1);
    world
        .store
        .with(|t| t.clients.get_mut(&signup.it.phone_number_id).unwrap().stage = ClientStatus::Inactive);
    assert_eq!(signup.run().await.status, OnboardingStatus::Active, "released there, it is taken here");
}

#[tokio::test]
async fn the_same_bot_again_is_an_update_that_keeps_pin_and_status_and_registers_nothing() {
    let first = Signup::new().await;
    first.run().await;
    let before = first.client();
    let second = Signup::of(first.world.clone(), first.world.graph.sign_up(1), &bot()).await;
    first.world.steps.fault_next("is_subscribed", Fault::FailBefore);
    second.hear(Claims { client_name: Some("New name".to_owned()), ..Claims::default() }, None).await;
    assert_eq!(second.client().status(), ClientStatus::Active, "it stays usable meanwhile");
    second.run().await;
    let after = second.client();
    assert_eq!(
        (after.sealed_pin.clone(), after.onboarded_at, after.created_at),
        (before.sealed_pin, before.onboarded_at, before.created_at)
    );
    assert_eq!((after.status(), after.client_name.as_deref()), (ClientStatus::Active, Some("New name")));
    assert_eq!(second.registers(), 1);
    let grant = first.world.store.with(|t| t.grants[&after.grant_id].clone());
    assert_eq!(grant.token_version, 2);
    assert!(grant.allocation_id.is_some());
}

#[tokio::test]
async fn a_client_whose_token_died_goes_on_as_the_same_with_the_new_token() {
    let first = Signup::new().await;
    first.run().await;
    let before = first.client();
    let now = first.world.clock.now();
    first.world.store.with(|t| {
        t.clients.get_mut(&before.phone_number_id).unwrap().reconnect_since = Some(now);
        let grant = t.grants.get_mut(&before.grant_id).unwrap();
        grant.dead_since = Some(now);
        grant.previous = Some(Previous { token: grant.token.clone().unwrap(), expires_at: None });
        grant.care = Care { failures: 9, ..Care::default() };
        grant.care_at = None;
    });
    let second = Signup::of(first.world.clone(), first.world.graph.sign_up(1), &bot()).await;
    assert_eq!(second.run().await.status, OnboardingStatus::Active);
    let after = second.client();
    assert_eq!(
        (after.reconnect_since, after.created_at, after.onboarded_at, after.sealed_pin.as_ref()),
        (None, before.created_at, before.onboarded_at, before.sealed_pin.as_ref())
    );
    let grant = first.world.store.with(|t| t.grants[&after.grant_id].clone());
    assert_eq!((grant.token_version, grant.dead_since, grant.previous), (2, None, None));
    assert_eq!((grant.care, grant.care_at.is_some()), (Care::default(), true), "it is looked after anew");
    assert_eq!(second.registers(), 1, "the number is not registered again");
}

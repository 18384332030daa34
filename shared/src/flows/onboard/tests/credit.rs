//! Credit is shared once: an allocation is money, and cannot be undone without harm.

use std::task::{Context, Waker};

use super::*;

fn allocations(signup: &Signup) -> usize {
    signup.world.graph.with(|meta| meta.allocations.len())
}

#[tokio::test]
async fn an_allocation_that_exists_is_not_shared_again() {
    let signup = Signup::new().await;
    signup.world.graph.with(|meta| {
        let credential = "funding-ours".to_owned();
        meta.wabas.get_mut(&signup.it.waba_id).unwrap().funding = Some(credential.clone());
        let business_id = signup.it.business_id.clone();
        meta.allocations.push(crate::testing::Allocation {
            id: "4711".parse().unwrap(),
            business_id,
            credential,
        });
    });
    let ended = signup.run().await;
    assert_eq!(ended.status, OnboardingStatus::Active);
    assert_eq!((allocations(&signup), signup.world.graph.calls("share_credit")), (1, 0));
    assert_eq!(ended.step(Step::CreditShared).proof["allocationId"], "4711");
}

#[tokio::test]
async fn an_account_that_something_else_pays_for_needs_a_person() {
    let signup = Signup::new().await;
    signup
        .world
        .graph
        .with(|meta| meta.wabas.get_mut(&signup.it.waba_id).unwrap().funding = Some("card".to_owned()));
    assert_eq!(stopped_by(&signup.run().await), (Some(Step::CreditShared), "other_funding"));
    assert_eq!((allocations(&signup), signup.registers()), (0, 0));
}

#[tokio::test]
async fn a_dead_token_of_our_system_user_sends_no_client_to_sign_up_again() {
    for (call, step) in [
        ("system_user", Step::SystemUserAssigned),
        ("is_assigned", Step::SystemUserAssigned),
        ("assign", Step::SystemUserAssigned),
        ("share_credit", Step::CreditShared),
    ] {
        let signup = Signup::new().await;
        signup.world.graph.fail_next(call, GraphFault::Refused(refusal(400, 190, "expired")));
        let stopped = signup.run().await;
        assert_eq!(stopped_by(&stopped), (Some(step), "partner_token_refused"), "{call}");
        assert!(stopped.next_try_at.is_some(), "{call}");
        signup.world.clock.advance(Duration::from_secs(60 * 60));
        assert_eq!(signup.run().await.status, OnboardingStatus::Active, "{call}");
    }
}

#[tokio::test]
async fn sharing_that_acted_without_an_answer_is_found_and_not_repeated() {
    let signup = Signup::new().await;
    signup.world.graph.fail_next("share_credit", GraphFault::UnclearAfter);
    assert_eq!(stopped_by(&signup.run().await), (Some(Step::CreditShared), "meta_unavailable"));
    assert_eq!(signup.schedule(PAST_ALL_CLAIMS).await.status, OnboardingStatus::Active);
    assert_eq!((allocations(&signup), signup.world.graph.calls("share_credit")), (1, 1));
    let grant_id = signup.client().grant_id;
    let grant = signup.world.store.with(|t| t.grants[&grant_id].clone());
    assert!(grant.allocation_id.is_some());
}

#[tokio::test]
async fn two_signups_of_one_business_at_once_share_credit_once() {
    let first = Signup::new().await;
    let second = Signup::of(first.world.clone(), first.world.graph.sign_up(1), &bot()).await;
    tokio::join!(first.run(), second.run());
    for _ in 0..3 {
        first.schedule(PAST_ALL_CLAIMS).await;
    }
    assert_eq!((allocations(&first), first.registers()), (1, 1));
    let ends = [first.ledger().status, second.ledger().status];
    assert!(ends.contains(&OnboardingStatus::Active), "{ends:?}");
    assert!(!ends.contains(&OnboardingStatus::Open), "{ends:?}");
}

#[tokio::test]
async fn a_signup_waits_while_another_of_the_business_is_about_to_share_credit() {
    let first = Signup::new().await;
    let second = Signup::of(first.world.clone(), first.world.graph.sign_up(1), &bot()).await;
    let log = || first.world.steps.log();
    {
        let mut sharing = std::pin::pin!(first.run());
        // It has seen that nothing pays yet.
        while !(log().contains(&"is_assigned") && log().last() == Some(&"account")) {
            let polled = sharing.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending(), "{:?}", log());
        }
        second.run().await;
        assert_eq!(allocations(&first), 0, "the second did not wait");
        sharing.await;
    }
    for _ in 0..3 {
        first.schedule(PAST_ALL_CLAIMS).await;
    }
    assert_eq!(allocations(&first), 1);
}

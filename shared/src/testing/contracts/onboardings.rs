use std::collections::BTreeMap;

use super::{Ids, Must, at, early, eventually};
use crate::domain::Timestamp;
use crate::domain::grant::TokenFacts;
use crate::domain::ids::{GrantId, OnboardingId};
use crate::domain::onboarding::{Cause, Claims, Onboarding, OnboardingStatus, SignupEvent, Step, Turn};
use crate::domain::seal::Sealed;
use crate::ports::{Onboardings, OpenOnboardings, Started};

/// [`Onboardings`].
pub async fn onboardings(store: &impl Onboardings, unique: &str) {
    let ids = Ids::new("onboardings", unique);
    the_same_code_finds_its_onboarding(store, &ids).await;
    one_owner_at_a_time_has_the_lease(store, &ids).await;
    who_lost_the_lease_cannot_save(store, &ids).await;
    claims_and_the_rest_do_not_overwrite_each_other(store, &ids).await;
}

async fn started(store: &impl Onboardings, ids: &Ids, n: u32) -> Onboarding {
    let new = Onboarding::new(ids.onboarding(n), ids.bot(1), at(0));
    assert_eq!(store.start_onboarding(&new).await.must(), Started::New);
    new
}

async fn the_same_code_finds_its_onboarding(store: &impl Onboardings, ids: &Ids) {
    let id = ids.onboarding(1);
    assert_eq!(store.onboarding(&id).await.must(), None);
    let known = started(store, ids, 1).await;
    assert_eq!(store.onboarding(&id).await.must(), Some(known.clone()));
    let other = Onboarding::new(id.clone(), ids.bot(2), at(60));
    assert_eq!(store.start_onboarding(&other).await.must(), Started::Known(Box::new(known.clone())));
    assert_eq!(store.onboarding(&id).await.must(), Some(known));

    let new = Onboarding::new(ids.onboarding(2), ids.bot(1), at(0));
    let (a, b) = tokio::join!(store.start_onboarding(&new), store.start_onboarding(&new));
    let news = [a.must(), b.must()].iter().filter(|s| **s == Started::New).count();
    assert_eq!(news, 1, "of two calls with one code, one starts");
}

async fn one_owner_at_a_time_has_the_lease(store: &impl Onboardings, ids: &Ids) {
    let id = ids.onboarding(3);
    let lease =
        async |owner: &str, now, until| store.lease_onboarding(&id, owner, at(now), at(until)).await.must();
    assert_eq!(lease("a", 0, 60).await, None, "it is unknown");
    assert_eq!(store.onboarding(&id).await.must(), None, "and stays so");
    let known = started(store, ids, 3).await;
    assert_eq!(lease("a", 0, 60).await, Some(known.clone()));
    assert_eq!(lease("b", 30, 90).await, None, "a has it");
    assert_eq!(lease("a", 30, 90).await, Some(known.clone()), "the same owner takes it again");
    assert_eq!(lease("b", 70, 130).await, None, "and has it for longer");
    assert_eq!(lease("b", 100, 160).await, Some(known.clone()), "it ran out");
    store.release_onboarding(&id, "a").await.must();
    assert_eq!(lease("c", 110, 170).await, None, "only its owner gives it back");
    store.release_onboarding(&id, "b").await.must();
    store.release_onboarding(&id, "b").await.must();
    let (c, d) = tokio::join!(lease("c", 110, 170), lease("d", 110, 170));
    assert_eq!([c, d].iter().flatten().count(), 1, "of two, one gets it");
}

async fn who_lost_the_lease_cannot_save(store: &impl Onboardings, ids: &Ids) {
    let known = started(store, ids, 4).await;
    let full = full(&known, ids);
    let save = async |owner: &str| store.save_onboarding(&full, owner).await.must();
    assert!(!save("a").await, "nobody has a lease");
    store.lease_onboarding(&known.id, "a", at(0), at(60)).await.must();
    assert!(!save("b").await, "a has it");
    store.lease_onboarding(&known.id, "b", at(100), at(160)).await.must();
    assert!(!save("a").await, "b took it");
    assert_eq!(store.onboarding(&known.id).await.must(), Some(known.clone()), "nothing changed");
    assert!(save("b").await);
    assert!(save("b").await, "a save does not give the lease back, and may be repeated");
    assert_eq!(store.onboarding(&known.id).await.must(), Some(full.clone()));
    let leased = store.lease_onboarding(&known.id, "b", at(110), at(170)).await.must();
    assert_eq!(leased, Some(full.clone()), "a lease answers how it stands");
    store.release_onboarding(&known.id, "b").await.must();
    assert!(!save("b").await, "it was given back");
    let unknown = Onboarding::new(ids.onboarding(5), ids.bot(1), at(0));
    assert!(!store.save_onboarding(&unknown, "b").await.must());
    assert_eq!(store.onboarding(&unknown.id).await.must(), None);
}

/// Everything that an onboarding can hold, but claims.
fn full(known: &Onboarding, ids: &Ids) -> Onboarding {
    let mut it = Onboarding {
        token: Some(Sealed::new(vec![0, 255])),
        facts: Some(TokenFacts {
            is_valid: true,
            app_id: "1234".to_owned(),
            scopes: vec!["whatsapp_business_management".to_owned()],
            management_wabas: Some(vec![ids.waba(1)]),
            messaging_wabas: None,
            expires_at: Some(at(5000)),
        }),
        grant_id: Some(GrantId::new(&ids.bot(1), &ids.business(1))),
        business_id: Some(ids.business(1)),
        waba_id: Some(ids.waba(1)),
        phone_number_id: Some(ids.phone(1)),
        ..known.clone()
    };
    it.done(Step::TokenStored, at(10), [("app_id", "1234".to_owned())]);
    let cause = Cause::new("meta_unavailable", Turn::Ours, "Meta is down.", "Nothing: we try again.");
    it.fail(Step::GrantVerified, at(20), cause, std::time::Duration::from_secs(600));
    it
}

async fn claims_and_the_rest_do_not_overwrite_each_other(store: &impl Onboardings, ids: &Ids) {
    let new = Onboarding {
        claims: Claims { client_name: Some("Bakery".to_owned()), ..Claims::default() },
        ..Onboarding::new(ids.onboarding(6), ids.bot(1), at(0))
    };
    assert_eq!(store.start_onboarding(&new).await.must(), Started::New);
    assert_eq!(store.onboarding(&new.id).await.must(), Some(new.clone()), "claims come with the start");
    store.lease_onboarding(&new.id, "a", at(0), at(60)).await.must();
    let claims = Claims {
        waba_id: Some(ids.waba(1)),
        phone_number_id: Some(ids.phone(1)),
        business_id: Some(ids.business(1)),
        client_name: None,
        event: Some(SignupEvent::FinishOnlyWaba),
        pin: Some(Sealed::new(vec![9])),
    };
    store.save_claims(&new.id, &claims).await.must();
    let known = Onboarding { claims: claims.clone(), ..new.clone() };
    assert_eq!(store.onboarding(&new.id).await.must(), Some(known), "whoever holds the lease");
    let full = full(&new, ids);
    assert!(store.save_onboarding(&full, "a").await.must());
    let known = Onboarding { claims: claims.clone(), ..full };
    assert_eq!(store.onboarding(&new.id).await.must(), Some(known), "a save leaves claims alone");
    let unknown = ids.onboarding(7);
    store.save_claims(&unknown, &claims).await.must();
    assert_eq!(store.onboarding(&unknown).await.must(), None, "an unknown one stays so");
}

/// [`OpenOnboardings`]: its list. Beside other data: only ids of this run are looked at.
pub async fn due_onboardings(store: &(impl Onboardings + OpenOnboardings), unique: &str) {
    let ids = Ids::new("due_onboardings", unique);
    plan(store, &ids, 1, OnboardingStatus::Open, Some(early(3000))).await;
    plan(store, &ids, 2, OnboardingStatus::Open, Some(early(1000))).await;
    plan(store, &ids, 3, OnboardingStatus::Failed, Some(early(1000))).await;
    plan(store, &ids, 4, OnboardingStatus::Open, None).await;
    plan(store, &ids, 5, OnboardingStatus::Open, Some(early(2000))).await;
    plan(store, &ids, 6, OnboardingStatus::Open, Some(early(9000))).await;
    let ours = (1..=6).map(|n| ids.onboarding(n)).collect::<Vec<_>>();
    let due = async || due_of(store, &ours).await;
    let listed = eventually("due onboardings", due, |due| due.len() == 3).await;
    assert_eq!(listed, [2, 5, 1].map(|n| ids.onboarding(n)), "the longest due first");
    assert_eq!(store.due_onboardings(early(5000), 1).await.must().len(), 1);
    for n in [1, 2, 5, 6] {
        plan(store, &ids, n, OnboardingStatus::Active, None).await;
    }
    eventually("ended onboardings are not due", due, Vec::is_empty).await;
}

async fn due_of(store: &impl OpenOnboardings, ours: &[OnboardingId]) -> Vec<OnboardingId> {
    let due = store.due_onboardings(early(5000), 100).await.must();
    due.into_iter().filter(|id| ours.contains(id)).collect()
}

async fn plan(
    store: &impl Onboardings,
    ids: &Ids,
    n: u32,
    status: OnboardingStatus,
    next_try_at: Option<Timestamp>,
) {
    let new = Onboarding::new(ids.onboarding(n), ids.bot(1), at(0));
    store.start_onboarding(&new).await.must();
    store.lease_onboarding(&new.id, "a", at(0), at(600)).await.must().expect("it is ours");
    assert!(store.save_onboarding(&Onboarding { status, next_try_at, ..new }, "a").await.must());
}

/// [`OpenOnboardings`]: the lease of a business.
pub async fn business_leases(store: &impl OpenOnboardings, unique: &str) {
    let ids = Ids::new("business_leases", unique);
    let business = ids.business(1);
    let lease = async |owner: &str, now, until| {
        store.lease_business(&business, owner, at(now), at(until)).await.must()
    };
    let (a, b) = tokio::join!(lease("a", 0, 60), lease("b", 0, 60));
    let mut owners = BTreeMap::from([(a, "a"), (b, "b")]);
    let (Some(winner), Some(loser)) = (owners.remove(&true), owners.remove(&false)) else {
        panic!("of two, one gets it")
    };
    assert!(lease(winner, 30, 90).await, "the same owner takes it again");
    assert!(!lease(loser, 70, 130).await);
    store.release_business(&business, loser).await.must();
    assert!(!lease(loser, 70, 130).await, "only its owner gives it back");
    assert!(lease(loser, 100, 160).await, "it ran out");
    store.release_business(&business, loser).await.must();
    assert!(lease(winner, 101, 161).await, "it was given back");
    assert!(store.lease_business(&ids.business(2), "c", at(101), at(161)).await.must(), "another business");
}

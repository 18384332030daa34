//! A client that left has nothing of ours any more, whatever went wrong on the way, and one that came back has
//! everything.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::domain::Timestamp;
use crate::domain::client::{Client, ClientStatus};
use crate::domain::ids::OnboardingId;
use crate::domain::offboarding::Offboarding;
use crate::domain::onboarding::{Claims, OnboardingStatus};
use crate::flows::testing::{
    FAULTS, PAST_ALL_CLAIMS, Process, bot, exchange, offboard, onboard, parcel, solution_partner,
};
use crate::ports::Clock;
use crate::testing::{SignedUp, World};

/// More tries than any single fault needs.
const TRIES: usize = 12;

/// A business that signed up to the end.
async fn onboarded(world: &World) -> SignedUp {
    let it = world.graph.sign_up(1);
    sign_up(world, &it).await;
    it
}

async fn sign_up(world: &World, it: &SignedUp) -> OnboardingId {
    let settings = solution_partner();
    let onboarding = exchange(world).run(&it.code, &bot(), Claims::default()).await.unwrap();
    onboard(world, &settings).run(&onboarding.id).await.unwrap();
    let ended = world.store.with(|t| t.onboardings[&onboarding.id].clone());
    assert_eq!(ended.status, OnboardingStatus::Active, "{:?}", ended.steps);
    onboarding.id
}

fn event(it: &SignedUp, at: Timestamp, value: &Value) -> String {
    let entry = json!({"id": it.waba_id, "time": at.as_second(),
        "changes": [{"field": "account_update", "value": value}]});
    json!({"object": "whatsapp_business_account", "entry": [entry]}).to_string()
}

fn removed(it: &SignedUp, at: Timestamp) -> String {
    let info = json!({"waba_id": it.waba_id, "owner_business_id": it.business_id});
    event(it, at, &json!({"event": "PARTNER_REMOVED", "waba_info": info}))
}

fn client(world: &World, it: &SignedUp) -> Client {
    world.store.with(|t| t.clients[&it.phone_number_id].clone())
}

fn ledger(world: &World) -> Option<Offboarding> {
    world.store.with(|t| t.offboardings.values().next().cloned())
}

/// A new process, when everything that the dead one held has run out.
fn next_process(world: &World) {
    world.steps.restart();
    world.clock.advance(PAST_ALL_CLAIMS);
}

/// From Meta's webhook to the end of the off-boarding: the queue delivers again what failed, and the schedule
/// comes until nothing is due.
async fn leave(world: &World, it: &SignedUp) {
    let settings = solution_partner();
    let body = removed(it, world.clock.now());
    let mut is_taken = false;
    for _ in 0..TRIES {
        if !is_taken {
            let process = Process::default();
            is_taken = process.ingest(world).parcel(&parcel(world, body.clone())).await.is_ok();
        }
        // What fails here is continued by the next turn.
        let _ = offboard(world, &settings).run_due(20).await;
        if is_taken && ledger(world).is_some_and(|it| it.next_try_at.is_none()) {
            return;
        }
        next_process(world);
    }
}

fn nothing_is_left(world: &World, it: &SignedUp, case: &str) {
    let gone = client(world, it);
    assert_eq!(gone.status(), ClientStatus::Inactive, "{case}");
    assert_eq!(ledger(world).and_then(|it| it.next_try_at), None, "{case}: {:?}", ledger(world));
    world.graph.with(|meta| {
        assert_eq!(meta.allocations, [], "{case}: an allocation is left");
        assert!(!meta.wabas[&it.waba_id].subscribed, "{case}: still subscribed");
    });
    world.store.with(|tables| {
        assert_eq!(tables.clients[&it.phone_number_id].sealed_pin, None, "{case}: a PIN is left");
        let secrets = tables.onboardings.values().any(|o| o.claims.pin.is_some() || o.token.is_some());
        assert!(!secrets, "{case}: the onboarding still has a secret");
        let grant = tables.grants.values().next().unwrap();
        assert_eq!(grant.token, None, "{case}: a token is left");
        assert_eq!(
            (&grant.business_id, grant.allocation_id.is_some()),
            (&it.business_id, true),
            "{case}: the ids stay"
        );
    });
}

#[tokio::test]
async fn an_off_boarding_that_stopped_at_any_call_ends_the_same() {
    let world = World::new();
    let it = onboarded(&world).await;
    let before = world.steps.count();
    leave(&world, &it).await;
    nothing_is_left(&world, &it, "nothing went wrong");
    let steps = world.steps.log().split_off(before);
    for (k, step) in steps.iter().enumerate() {
        for fault in FAULTS {
            let case = format!("{fault:?} at {k} ({step})");
            let world = World::new();
            let it = onboarded(&world).await;
            world.steps.fault_at(world.steps.count() + k, fault);
            leave(&world, &it).await;
            nothing_is_left(&world, &it, &case);
        }
    }
    println!("off-boarding: {} points, each in {} ways", steps.len(), FAULTS.len());
}

#[tokio::test]
async fn whoever_comes_back_is_active_again_and_the_repeated_removal_changes_nothing() {
    let world = World::new();
    let it = onboarded(&world).await;
    world.clock.advance(PAST_ALL_CLAIMS);
    let old = removed(&it, world.clock.now());
    leave(&world, &it).await;
    let again = world.graph.sign_up(1);
    let id = sign_up(&world, &again).await;
    for _ in 0..3 {
        world.clock.advance(PAST_ALL_CLAIMS);
        Process::default().ingest(&world).parcel(&parcel(&world, old.clone())).await.unwrap();
        offboard(&world, &solution_partner()).run_due(20).await.unwrap();
    }
    let back = client(&world, &again);
    assert_eq!((back.status(), &back.onboarding_id), (ClientStatus::Active, &id));
    assert!(world.store.with(|t| t.grants[&back.grant_id].token.is_some()));
    world.graph.with(|meta| {
        assert!(meta.wabas[&it.waba_id].subscribed && meta.wabas[&it.waba_id].funding.is_some());
        assert_eq!((meta.allocations.len(), meta.revoked.len()), (1, 1));
    });
}

/// Coming back while the off-boarding is at work, each continued until both rest.
#[tokio::test]
async fn a_signup_beside_the_off_boarding_ends_whole() {
    let settings = solution_partner();
    for turns in 0..12 {
        let world = World::new();
        let it = onboarded(&world).await;
        world.clock.advance(PAST_ALL_CLAIMS);
        let body = removed(&it, world.clock.now());
        Process::default().ingest(&world).parcel(&parcel(&world, body)).await.unwrap();
        world.clock.advance(std::time::Duration::from_secs(2));
        let again = world.graph.sign_up(1);
        let code = exchange(&world).run(&again.code, &bot(), Claims::default()).await.unwrap();
        let waited = async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            offboard(&world, &settings).run_due(20).await.unwrap();
        };
        let engine = onboard(&world, &settings);
        let (run, ()) = tokio::join!(engine.run(&code.id), waited);
        run.unwrap();
        for _ in 0..4 {
            next_process(&world);
            onboard(&world, &settings).run_due(20).await.unwrap();
            offboard(&world, &settings).run_due(20).await.unwrap();
        }
        let back = client(&world, &again);
        assert_eq!(back.status(), ClientStatus::Active, "{turns} turns");
        assert!(world.store.with(|t| t.grants[&back.grant_id].token.is_some()), "{turns} turns");
        world.graph.with(|meta| {
            assert!(meta.wabas[&it.waba_id].subscribed, "{turns} turns: not subscribed");
            assert!(meta.wabas[&it.waba_id].funding.is_some(), "{turns} turns: nobody pays");
        });
        assert_eq!(ledger(&world).unwrap().next_try_at, None, "{turns} turns");
    }
}

/// Events of an account's life, by number, so that a test can name any order of them.
fn life(it: &SignedUp, start: Timestamp, index: usize) -> String {
    let ban = |state: &str| json!({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": state}});
    let restriction = |until: i64| {
        json!({"event": "ACCOUNT_RESTRICTION", "restriction_info": [
            {"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": start.as_second() + until}]})
    };
    let (seconds, value) = match index {
        0 => (10, ban("DISABLE")),
        1 => (20, ban("REINSTATE")),
        2 => (20, json!({"event": "ACCOUNT_OFFBOARDED"})),
        3 => (20, json!({"event": "ACCOUNT_RECONNECTED"})),
        4 => (30, restriction(500)),
        5 => (30, restriction(900)),
        6 => (40, json!({"event": "ACCOUNT_VIOLATION", "violation_info": {"violation_type": "SPAM"}})),
        _ => (50, json!({"event": "PARTNER_REMOVED"})),
    };
    event(it, start + std::time::Duration::from_secs(seconds), &value)
}

/// How a client ends after these webhooks, and how many off-boardings there are.
async fn after(order: &[usize]) -> (Client, usize) {
    let world = World::new();
    let (known, it) = world.active_client(&bot(), 1).await;
    world.clock.advance(PAST_ALL_CLAIMS);
    let process = Process::default();
    for index in order {
        let body = life(&it, known.signed_up_at, *index);
        process.ingest(&world).parcel(&parcel(&world, body)).await.unwrap();
    }
    let offboardings = world.store.with(|t| t.offboardings.len());
    (client(&world, &it), offboardings)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_order_and_repetition_of_an_accounts_webhooks_ends_the_same(
        subset in prop::collection::btree_set(0_usize..8, 1..8),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let plain: Vec<usize> = subset.into_iter().collect();
        let repeated: Vec<usize> = again.iter().map(|pick| *pick.get(&plain)).chain(plain.iter().rev().copied()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (one, other) = runtime.block_on(async { (after(&plain).await, after(&repeated).await) });
        prop_assert_eq!(one, other);
    }
}

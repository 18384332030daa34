//! P4: an onboarding that stopped anywhere continues and ends the same.

use crate::domain::client::ClientStatus;
use crate::domain::ids::OnboardingId;
use crate::domain::onboarding::{Claims, Onboarding, OnboardingStatus, SignupEvent};
use crate::domain::raw::Raw;
use crate::domain::seal::SealContext;
use crate::flows::exchange::ExchangeError;
use crate::flows::testing::{FAULTS, PAST_ALL_CLAIMS, bot, exchange, onboard, solution_partner};
use crate::ports::{AccountEvent, Clock, Seal};
use crate::testing::{Fault, SignedUp, World};

/// Who continues after the process died.
#[derive(Debug, Clone, Copy)]
enum Continues {
    ByRequest,
    BySchedule,
}

/// More tries than any single fault needs.
const TRIES: usize = 12;

fn claims(it: &SignedUp) -> Claims {
    Claims {
        waba_id: Some(it.waba_id.clone()),
        phone_number_id: Some(it.phone_number_id.clone()),
        event: Some(SignupEvent::Finish),
        ..Claims::default()
    }
}

/// Meta told us of this signup before the browser came.
fn partner_added(world: &World, it: &SignedUp) {
    let event = AccountEvent {
        owner: it.waba_id.to_string(),
        kind: "account_update:PARTNER_ADDED".to_owned(),
        at: world.clock.now(),
        hash: "hash".to_owned(),
        dated: true,
        business_id: Some(it.business_id.clone()),
        raw: Raw::Plain("{}".to_owned()),
    };
    world.store.with(|t| t.events.insert((event.owner.clone(), "PARTNER_ADDED".to_owned()), event));
}

/// A new process, when everything that the dead one held has run out.
fn next_process(world: &World) {
    world.steps.restart();
    world.clock.advance(PAST_ALL_CLAIMS);
}

/// The page sends its code until it has an answer.
async fn send_code(world: &World, it: &SignedUp) {
    for _ in 0..TRIES {
        match exchange(world).run(&it.code, &bot(), claims(it)).await {
            Ok(_) | Err(ExchangeError::CodeSpent(_)) => return,
            Err(_) => next_process(world),
        }
    }
    panic!("the code never got an answer");
}

fn ledger(world: &World, id: &OnboardingId) -> Onboarding {
    world.store.with(|t| t.onboardings[id].clone())
}

/// Whatever happens, a client that is shown as active can be used.
fn active_means_ready(world: &World, it: &SignedUp) {
    let active = world.store.with(|t| t.clients.values().any(|c| c.status() == ClientStatus::Active));
    if active {
        world.graph.with(|meta| {
            assert!(meta.numbers[&it.phone_number_id].number.is_connected());
            assert!(meta.wabas[&it.waba_id].subscribed && meta.wabas[&it.waba_id].funding.is_some());
        });
        assert!(world.store.with(|t| t.clients[&it.phone_number_id].sealed_pin.is_some()));
    }
}

/// From the page's code to the end of the ledger, whatever goes wrong on the way.
async fn sign_up(world: &World, it: &SignedUp, continues: Continues) -> Onboarding {
    let settings = solution_partner();
    let id = OnboardingId::of_code(&it.code);
    send_code(world, it).await;
    for _ in 0..TRIES {
        active_means_ready(world, it);
        let stored = ledger(world, &id);
        if stored.status != OnboardingStatus::Open {
            return stored;
        }
        let engine = onboard(world, &settings);
        // What fails here is continued by the next turn.
        let _ = match continues {
            Continues::ByRequest => engine.run(&id).await,
            Continues::BySchedule => engine.run_due(20).await.map(drop),
        };
        next_process(world);
    }
    ledger(world, &id)
}

async fn steps_of_a_clean_run() -> Vec<&'static str> {
    let world = World::new();
    let it = world.graph.sign_up(1);
    partner_added(&world, &it);
    assert_eq!(sign_up(&world, &it, Continues::ByRequest).await.status, OnboardingStatus::Active);
    world.steps.log()
}

#[tokio::test]
async fn an_onboarding_that_stopped_at_any_call_ends_the_same() {
    let steps = steps_of_a_clean_run().await;
    for continues in [Continues::ByRequest, Continues::BySchedule] {
        for (k, step) in steps.iter().enumerate() {
            for fault in FAULTS {
                let case = format!("{fault:?} at {k} ({step}), {continues:?}");
                let world = World::new();
                let it = world.graph.sign_up(1);
                partner_added(&world, &it);
                world.steps.fault_at(k, fault);
                let ended = sign_up(&world, &it, continues).await;
                assert_eq!(ended.status, OnboardingStatus::Active, "{case}: {:?}", ended.steps);
                ended_well(&world, &it, &case).await;
            }
        }
    }
}

async fn ended_well(world: &World, it: &SignedUp, case: &str) {
    let (pin, calls, allocations) = world.graph.with(|meta| {
        let number = &meta.numbers[&it.phone_number_id];
        (number.pin.clone(), number.register_calls, meta.allocations.clone())
    });
    let client = world.store.with(|t| t.clients[&it.phone_number_id].clone());
    let grant = world.store.with(|t| t.grants[&client.grant_id].clone());
    let stored = world
        .seal
        .open(client.sealed_pin.as_ref().unwrap(), SealContext::ClientPin(&it.phone_number_id))
        .await;
    let token = world.seal.open(&grant.token.unwrap(), SealContext::GrantToken(&grant.id)).await;
    assert_eq!(stored.ok(), pin, "{case}: the stored PIN is the one that Meta took");
    assert_eq!(token.unwrap(), it.token.expose(), "{case}");
    assert_eq!(calls, 1, "{case}: register calls");
    assert_eq!(allocations.len(), 1, "{case}: allocations");
    assert_eq!(grant.allocation_id.as_ref(), Some(&allocations[0].id), "{case}");
    assert_eq!(world.graph.acts("exchange_code"), 1, "{case}: the code works once");
    assert_eq!(client.status(), ClientStatus::Active, "{case}");
}

#[tokio::test]
async fn a_token_is_lost_only_between_metas_answer_and_its_record_and_that_is_said() {
    let steps = steps_of_a_clean_run().await;
    let exchanged = steps.iter().position(|step| *step == "exchange_code").unwrap();
    let recorded = exchanged + steps[exchanged..].iter().position(|step| *step == "save_onboarding").unwrap();
    for (k, step) in steps.iter().enumerate() {
        for fault in FAULTS {
            let world = World::new();
            let it = world.graph.sign_up(1);
            world.steps.fault_at(k, fault);
            let ended = sign_up(&world, &it, Continues::ByRequest).await;
            let acted = matches!(fault, Fault::CrashAfter | Fault::FailAfter);
            let in_the_gap =
                (k > exchanged || (k == exchanged && acted)) && (k < recorded || (k == recorded && !acted));
            let cause = ended.steps[0].cause.as_ref().map(|cause| cause.code.as_str());
            let expected = if in_the_gap { Some("code_spent") } else { None };
            assert_eq!(cause, expected, "{fault:?} at {k} ({step})");
            assert_eq!(ended.status == OnboardingStatus::Active, !in_the_gap, "{fault:?} at {k} ({step})");
        }
    }
}

//! P4: the one gap that Meta leaves. That an onboarding which stopped anywhere ends the same is in `crashes`.

use crate::domain::ids::OnboardingId;
use crate::domain::onboarding::{Onboarding, OnboardingStatus};
use crate::flows::exchange::ExchangeError;
use crate::flows::testing::{FAULTS, PAST_ALL_CLAIMS, bot, claims, exchange, onboard, solution_partner};
use crate::testing::{Fault, SignedUp, World};

/// More tries than any single fault needs.
const TRIES: usize = 12;

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

/// From the page's code to the end of the ledger, whatever goes wrong on the way.
async fn sign_up(world: &World, it: &SignedUp) -> Onboarding {
    let settings = solution_partner();
    let id = OnboardingId::of_code(&it.code);
    send_code(world, it).await;
    for _ in 0..TRIES {
        let stored = ledger(world, &id);
        if stored.status != OnboardingStatus::Open {
            return stored;
        }
        // What fails here is continued by the next turn.
        let _ = onboard(world, &settings).run(&id).await;
        next_process(world);
    }
    ledger(world, &id)
}

async fn steps_of_a_clean_run() -> Vec<&'static str> {
    let world = World::new();
    let it = world.graph.sign_up(1);
    assert_eq!(sign_up(&world, &it).await.status, OnboardingStatus::Active);
    world.steps.log()
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
            let ended = sign_up(&world, &it).await;
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

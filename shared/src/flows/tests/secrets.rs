//! P5 on the fakes: planted secrets appear in no record, queue message, error or prompt.

use serde_json::json;

use crate::domain::ids::OnboardingId;
use crate::domain::onboarding::{Claims, OnboardingStatus};
use crate::domain::secret::Pin;
use crate::error::Chain;
use crate::flows::testing::{
    FAULTS, PAST_ALL_CLAIMS, Process, bot, exchange, onboard, parcel, solution_partner, text, until_due,
    webhook,
};
use crate::testing::World;

const PIN: &str = "738291";

/// Signs up with a typed PIN and answers one message; collects the text of every error on the way.
async fn live(world: &World, fault: Option<(usize, crate::testing::Fault)>) -> Vec<String> {
    let it = world.graph.sign_up(1);
    if let Some((k, fault)) = fault {
        world.steps.fault_at(k, fault);
    }
    let settings = solution_partner();
    let mut errors = Vec::new();
    let mut note =
        |error: &dyn std::error::Error, debug: String| errors.extend([Chain(error).to_string(), debug]);
    let id = OnboardingId::of_code(&it.code);
    for _ in 0..6 {
        if let Err(error) = exchange(world).run(&it.code, &bot(), Claims::default()).await {
            note(&error, format!("{error:?}"));
        }
        let known = world.store.with(|t| t.onboardings.get(&id).cloned());
        if let Some(open) = known.filter(|o| o.status == OnboardingStatus::Open) {
            let engine = onboard(world, &settings);
            let pin = Pin::try_from(PIN.to_owned()).unwrap();
            let heard = engine.hear(&open, Claims::default(), Some(pin)).await;
            if let Err(error) = heard.and(engine.run(&id).await) {
                note(&error, format!("{error:?}"));
            }
        }
        world.steps.restart();
        world.clock.advance(PAST_ALL_CLAIMS);
    }
    let process = Process::default();
    let body = webhook(&it.phone_number_id, json!({"messages": [text(world, "wamid.Q", "Hello")]}));
    if let Err(error) = process.ingest(world).parcel(&parcel(world, body)).await {
        note(&error, format!("{error:?}"));
    }
    for nudge in world.queues.answers() {
        until_due(world, &nudge.item.message_id);
        if let Err(error) = process.reply(world).nudge(&nudge.item).await {
            note(&error, format!("{error:?}"));
        }
    }
    errors
}

/// Everything that is kept or goes out, as text.
fn everything(world: &World) -> String {
    let records = world.store.with(|t| format!("{t:?}"));
    let raws = world.store.with(|t| {
        t.messages.values().map(|m| super::super::content_of(m).to_string()).collect::<Vec<_>>().join(" ")
    });
    let sent: Vec<_> = world.graph.sent().into_iter().map(|sent| sent.message.to_string()).collect();
    let ledgers = world.store.with(|t| {
        let onboardings = t.onboardings.values();
        onboardings
            .map(|o| json!([o.steps, o.claims, o.token, o.facts]).to_string())
            .collect::<Vec<_>>()
            .join(" ")
    });
    format!(
        "{records} {raws} {ledgers} {sent:?} {:?} {:?} {:?}",
        world.queues.inbound(),
        world.queues.answers(),
        world.model.prompts()
    )
}

#[tokio::test]
async fn no_record_message_or_error_shows_a_token_a_pin_or_a_code_whichever_call_fails() {
    let clean = World::new();
    live(&clean, None).await;
    assert_eq!(clean.graph.sent().len(), 1, "the client was onboarded and answers");
    let faults = (0..clean.steps.count()).flat_map(|k| FAULTS.map(|fault| Some((k, fault))));
    for fault in std::iter::once(None).chain(faults) {
        let world = World::new();
        let errors = live(&world, fault).await;
        let shown = format!("{} {}", everything(&world), errors.join(" "));
        let code = world.graph.with(|meta| meta.codes.keys().next().cloned()).unwrap();
        for secret in ["EAAfake", PIN, code.as_str()] {
            assert!(!shown.contains(secret), "{fault:?}: a secret is shown");
        }
    }
}

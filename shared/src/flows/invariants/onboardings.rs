//! P4: onboarding that stopped anywhere continues and ends the same.

use super::{Held, Outside, hold};
use crate::domain::client::{Client, ClientStatus};
use crate::domain::ids::{AllocationId, OnboardingId};
use crate::domain::onboarding::{Onboarding, OnboardingStatus};
use crate::domain::seal::SealContext;
use crate::testing::{SignedUp, World};

/// No client is half-made but shown as ready.
pub(super) fn active_means_ready(world: &World) -> Held {
    let clients = world.store.with(|tables| {
        let made = tables.clients.values().filter(|c| tables.onboardings.contains_key(&c.onboarding_id));
        made.filter(|c| c.status() == ClientStatus::Active).cloned().collect::<Vec<_>>()
    });
    for client in clients {
        let ready = world.graph.with(|meta| {
            let waba = &meta.wabas[&client.waba_id];
            meta.numbers[&client.phone_number_id].number.is_connected()
                && waba.subscribed
                && waba.funding.is_some()
        });
        let ready = ready && client.sealed_pin.is_some();
        hold("P4", ready, || format!("{} is shown as active and is not ready", client.phone_number_id))?;
    }
    Ok(())
}

/// Every signup became one whole client, or says why not.
pub(super) fn ended(world: &World, outside: &Outside) -> Held {
    for signup in &outside.signups {
        let id = OnboardingId::of_code(&signup.code);
        let ledger = world.store.with(|tables| tables.onboardings.get(&id).cloned());
        let Some(ledger) = ledger else { continue };
        match ledger.status {
            OnboardingStatus::Active => ended_well(world, signup)?,
            _ => lost_its_code(world, signup, &ledger)?,
        }
    }
    Ok(())
}

/// The one end that is not good: a code that Meta spent before its token was stored, and nothing that names
/// the business.
fn lost_its_code(world: &World, signup: &SignedUp, ledger: &Onboarding) -> Held {
    let cause = ledger.steps[0].cause.as_ref().map(|cause| cause.code.as_str());
    let spent = world.graph.with(|meta| meta.spent_codes.contains(signup.code.expose()));
    let named = world.store.with(|tables| {
        tables.events.values().any(|event| event.business_id.as_ref() == Some(&signup.business_id))
    });
    let knows_account = ledger.claims.waba_id.is_some();
    hold("P4", spent && cause == Some("code_spent") && !(named && knows_account), || {
        format!("an onboarding ended as {:?}: {:?}", ledger.status, ledger.steps)
    })
}

fn ended_well(world: &World, signup: &SignedUp) -> Held {
    let phone = &signup.phone_number_id;
    let (pin, registered, allocations) = world.graph.with(|meta| {
        let number = &meta.numbers[phone];
        let of_business = meta.allocations.iter().filter(|a| a.business_id == signup.business_id);
        let allocations: Vec<AllocationId> = of_business.map(|a| a.id.clone()).collect();
        (number.pin.clone(), number.register_calls, allocations)
    });
    let (client, grant) = world.store.with(|tables| {
        let client = tables.clients.get(phone).cloned();
        let grant = client.as_ref().and_then(|client| tables.grants.get(&client.grant_id).cloned());
        (client, grant)
    });
    let (Some(client), Some(grant)) = (client, grant) else {
        return hold("P4", false, || format!("{phone} is active without a record"));
    };
    hold("P4", client.status() == ClientStatus::Active, || format!("{phone} is {:?}", client.status()))?;
    hold("P4", stored_pin(world, &client) == pin, || format!("{phone}: its PIN is lost"))?;
    let sealed = grant.token.as_ref();
    let token = sealed.and_then(|token| world.seal.opened(token, SealContext::GrantToken(&grant.id)));
    hold("P4", token.as_deref() == Some(signup.token.expose()), || format!("{phone}: its token is lost"))?;
    hold("P4", registered == 1, || format!("{phone} was registered {registered} times"))?;
    hold("P4", allocations.len() == 1, || format!("{phone}: {} allocations", allocations.len()))?;
    hold("P4", grant.allocation_id.as_ref() == allocations.first(), || {
        format!("{phone}: allocation not noted")
    })
}

fn stored_pin(world: &World, client: &Client) -> Option<String> {
    let sealed = client.sealed_pin.as_ref()?;
    world.seal.opened(sealed, SealContext::ClientPin(&client.phone_number_id))
}

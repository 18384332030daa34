//! P5: planted secrets are found in no record, queue message, status, error or answer; neither as they are nor
//! in hex or base64.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use memchr::memmem;

use super::kept::bytes;
use super::{Held, Outside, hold};
use crate::testing::{Tables, World};

pub(super) fn nothing_shown(world: &World, outside: &Outside) -> Held {
    let shown = everything(world, outside);
    for secret in planted(world, outside) {
        for form in forms(&secret) {
            let found = memmem::find(shown.as_bytes(), form.as_bytes());
            hold("P5", found.is_none(), || "a secret is shown".to_owned())?;
        }
    }
    Ok(())
}

/// Tokens, codes and PINs that Meta knows, and what the test planted.
fn planted(world: &World, outside: &Outside) -> Vec<String> {
    world.graph.with(|meta| {
        let pins = meta.numbers.values().filter_map(|number| number.pin.clone());
        let spoken = meta.tokens.keys().cloned().chain(meta.codes.keys().cloned()).chain(pins);
        spoken.chain(outside.secrets.iter().cloned()).collect()
    })
}

/// A secret as text, in hex and, whatever stands before it, in base64: its inner characters are the same at
/// each of three offsets. Six digits alone could be part of any number or hash: a PIN is looked for by itself.
fn forms(secret: &str) -> Vec<String> {
    let encoded = hex::encode(secret);
    if secret.len() < 8 {
        return vec![format!("\"{secret}\""), encoded, STANDARD.encode(secret)];
    }
    let mut forms = vec![secret.to_owned(), encoded.to_uppercase(), encoded];
    for offset in 0..3 {
        let shifted = STANDARD.encode(format!("{}{secret}", &"xx"[..offset]));
        let inner = shifted.trim_end_matches('=');
        let inner = &inner[if offset == 0 { 0 } else { offset + 1 }..inner.len() - 2];
        forms.extend([inner.to_owned(), inner.replace('+', "-").replace('/', "_")]);
    }
    forms
}

/// All that is kept or went out, as text.
fn everything(world: &World, outside: &Outside) -> String {
    let mut shown = world.store.with(|tables| records(tables));
    for sent in world.graph.sent() {
        let _ = write!(shown, "{} ", sent.message);
    }
    for call in world.graph.with(|meta| meta.calls.clone()) {
        let _ = write!(shown, "{call:?} ");
    }
    let _ = write!(shown, "{:?} {:?} ", world.queues.inbound(), world.queues.answers());
    let _ = write!(shown, "{:?} ", world.model.prompts());
    for said in &outside.said {
        let _ = write!(shown, "{said} ");
    }
    for (_, _, told) in &outside.orders {
        let _ = write!(shown, "{told:?} ");
    }
    shown
}

/// Records hide ciphertexts and raw bytes when they are printed: those are added.
fn records(tables: &Tables) -> String {
    let mut shown = format!("{tables:?} ");
    let raws = tables.messages.values().map(|message| &message.raw);
    let raws = raws.chain(tables.events.values().map(|event| &event.raw));
    for raw in raws.chain(tables.quarantine.values().map(|item| &item.raw)) {
        let _ = write!(shown, "{} ", String::from_utf8_lossy(&bytes(tables, raw)));
    }
    let grants = tables.grants.values();
    let sealed = grants.flat_map(|it| it.token.iter().chain(it.previous.iter().map(|it| &it.token)));
    let sealed = sealed.chain(tables.clients.values().filter_map(|client| client.sealed_pin.as_ref()));
    let sealed = sealed.chain(tables.onboardings.values().flat_map(|o| o.token.iter().chain(&o.claims.pin)));
    for sealed in sealed {
        let _ = write!(shown, "{} ", String::from_utf8_lossy(sealed.ciphertext()));
    }
    for onboarding in tables.onboardings.values() {
        let _ = write!(shown, "{} ", serde_json::json!([onboarding.steps, onboarding.facts]));
    }
    for record in tables.idempotency.values() {
        let _ = write!(shown, "{:?} ", record.response);
    }
    shown
}

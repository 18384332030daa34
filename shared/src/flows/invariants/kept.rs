//! P1, P7, P8: what was answered 200 is found again, as it came, and statuses are merged right.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Heard, Held, hold};
use crate::domain::Timestamp;
use crate::domain::ids::{MessageId, PhoneNumberId, Wamid};
use crate::domain::raw::{Raw, gunzip, sha256};
use crate::domain::status::Statuses;
use crate::flows::content_of;
use crate::testing::{Tables, World};

/// P1 and P8: every message is in the records, everything else in events or in quarantine.
pub(super) fn everything(world: &World, heard: &Heard) -> Held {
    world.store.with(|tables| {
        for (wamid, (phone, forms)) in &heard.messages {
            let id: MessageId = wamid.parse().expect("a wamid of a test");
            let Some(message) = tables.messages.get(&id) else {
                return hold("P1", false, || format!("message {wamid} is not recorded"));
            };
            let whole = message.phone_number_id == *phone && forms.contains(&content(tables, message));
            hold("P1", whole, || format!("message {wamid} is not recorded as it came"))?;
        }
        let kept: Vec<String> = kept_texts(tables);
        for text in &heard.rest {
            hold("P8", kept.iter().any(|kept| kept.contains(text)), || format!("{text} is not kept"))?;
        }
        for body in &heard.foreign {
            let known = tables.quarantine.get(&sha256(body));
            hold("P8", known.is_some(), || format!("a body of {} bytes is not kept", body.len()))?;
        }
        Ok(())
    })
}

fn content(tables: &Tables, message: &crate::domain::message::Message) -> Value {
    match &message.raw {
        Raw::Parts(_) => serde_json::from_slice::<Value>(&bytes(tables, &message.raw))
            .ok()
            .and_then(|mut body| body.pointer_mut("/entry/0/changes/0/value/messages/0").map(Value::take))
            .unwrap_or_default(),
        _ => content_of(message),
    }
}

/// The bytes behind a record, wherever they lie.
pub(super) fn bytes(tables: &Tables, raw: &Raw) -> Vec<u8> {
    match raw {
        Raw::Plain(text) => text.clone().into_bytes(),
        Raw::Gzip(bytes) => gunzip(bytes).unwrap_or_default(),
        Raw::Parts(list) => {
            let part = |index| tables.blobs.get(&(format!("raw:{}", list.sha256), list.count, index));
            let parts = (0..list.count).filter_map(|index| part(index).map(|part| part.bytes.clone()));
            gunzip(&parts.collect::<Vec<_>>().concat()).unwrap_or_default()
        }
    }
}

/// Of events and quarantine.
fn kept_texts(tables: &Tables) -> Vec<String> {
    let events = tables.events.values().map(|event| &event.raw);
    let quarantine = tables.quarantine.values().map(|item| &item.raw);
    events.chain(quarantine).map(|raw| String::from_utf8_lossy(&bytes(tables, raw)).into_owned()).collect()
}

type States = BTreeMap<(String, Option<String>), Timestamp>;

/// P7: every status is known, where it belongs, with the earliest time of its state, and nothing besides.
pub(super) fn statuses(world: &World, heard: &Heard) -> Held {
    let mut expected: BTreeMap<(&PhoneNumberId, &str), States> = BTreeMap::new();
    for (phone, status) in &heard.statuses {
        let (Some(wamid), Some(state)) = (status["id"].as_str(), status["status"].as_str()) else { continue };
        let Some(at) = time(&status["timestamp"]) else { continue };
        let participant = status["recipient_participant_id"].as_str().map(str::to_owned);
        let known = expected.entry((phone, wamid)).or_default().entry((state.to_owned(), participant));
        let earliest = known.or_insert(at);
        *earliest = at.min(*earliest);
    }
    world.store.with(|tables| {
        for ((phone, wamid), states) in expected {
            let found = states_of(tables, phone, &wamid.parse().expect("a wamid of a test"));
            hold("P7", found == states, || format!("{wamid}: {found:?} instead of {states:?}"))?;
        }
        Ok(())
    })
}

fn time(value: &Value) -> Option<Timestamp> {
    let seconds = value.as_str()?.parse().ok()?;
    Timestamp::from_second(seconds).ok()
}

/// Of the message that has this wamid, else of what waits for one.
fn states_of(tables: &Tables, phone: &PhoneNumberId, wamid: &Wamid) -> States {
    let message = tables.messages.values().find(|message| {
        message.wamid.as_ref() == Some(wamid) && message.origin.is_ours() && message.phone_number_id == *phone
    });
    let of = |statuses: &Statuses| {
        statuses.iter().map(|(key, fact)| ((key.state.clone(), key.participant.clone()), fact.at)).collect()
    };
    match message {
        Some(message) => of(&message.statuses),
        None => tables.wamids.get(wamid).map(|record| of(&record.waiting)).unwrap_or_default(),
    }
}

//! The promises P1 to P8, checked from outside: what Meta, customers and callers did and were told against
//! what is recorded and was sent. One set for the crash tests and the simulation.

mod answers;
mod kept;
mod onboardings;
mod order;
mod secrets;

use std::collections::BTreeMap;

use serde_json::Value;

use super::testing::{Order, Told};
use crate::domain::ids::{MessageId, PhoneNumberId};
use crate::testing::{SignedUp, World};

pub(super) use order::{Glance, Watch};

/// What happened outside of us.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// Bodies of webhooks that were answered 200, once for each time.
    pub webhooks: Vec<Vec<u8>>,
    /// Orders with the ids of their messages, and every answer that a caller got.
    pub orders: Vec<(Order, MessageId, Vec<Told>)>,
    /// Signups whose code was sent to us, and whether anything but a crash in Meta's one gap may lose it.
    pub signups: Vec<SignedUp>,
    /// Everything else that was said or left the process: errors, queue messages.
    pub said: Vec<String>,
    /// What else may not be found anywhere: typed PINs, the app secret.
    pub secrets: Vec<String>,
    /// Whether something was down for so long that answers may have been given up.
    pub long_outage: bool,
}

/// A promise that was broken, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    /// `P1`, `P2`, …
    pub promise: &'static str,
    /// What was found.
    pub what: String,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.promise, self.what)
    }
}

pub(super) type Held = Result<(), Broken>;

/// That a promise holds; if not, what was found instead.
fn hold(promise: &'static str, holds: bool, what: impl FnOnce() -> String) -> Held {
    if holds { Ok(()) } else { Err(Broken { promise, what: what() }) }
}

/// What holds at every moment, in the middle of everything.
pub(super) fn always(world: &World) -> Held {
    answers::at_most_once(world)?;
    onboardings::active_means_ready(world)
}

/// What holds when nothing is on its way any more.
pub(super) fn at_rest(world: &World, outside: &Outside) -> Held {
    always(world)?;
    let heard = Heard::of(outside);
    kept::everything(world, &heard)?;
    kept::statuses(world, &heard)?;
    answers::exactly_once(world, &heard, outside.long_outage)?;
    answers::orders(world, outside)?;
    answers::tenants(world, outside)?;
    onboardings::ended(world, outside)
}

/// P5, apart because it reads everything there is.
pub(super) fn nothing_shown(world: &World, outside: &Outside) -> Held {
    secrets::nothing_shown(world, outside)
}

/// Everything that webhooks told us, element by element; taken apart without our own parser.
#[derive(Debug, Default)]
struct Heard {
    /// Messages by wamid, with the number and each form in which they came.
    messages: BTreeMap<String, (PhoneNumberId, Vec<Value>)>,
    /// Statuses: the number and the element.
    statuses: Vec<(PhoneNumberId, Value)>,
    /// What is neither, as the text that must be found again.
    rest: Vec<String>,
    /// Bodies that are no webhooks.
    foreign: Vec<Vec<u8>>,
}

impl Heard {
    fn of(outside: &Outside) -> Self {
        let mut heard = Self::default();
        for body in &outside.webhooks {
            match serde_json::from_slice::<Value>(body) {
                Ok(envelope) if envelope["object"] == "whatsapp_business_account" => {
                    heard.envelope(&envelope)
                }
                _ => heard.foreign.push(body.clone()),
            }
        }
        heard
    }

    fn envelope(&mut self, envelope: &Value) {
        let changes = list(&envelope["entry"]).iter().flat_map(|entry| list(&entry["changes"]));
        for change in changes {
            let value = &change["value"];
            let phone = value["metadata"]["phone_number_id"].as_str().and_then(|id| id.parse().ok());
            let Some(phone): Option<PhoneNumberId> = phone else {
                self.rest.push(change.to_string());
                continue;
            };
            match change["field"].as_str() {
                Some("messages") => {}
                Some("smb_message_echoes" | "history") => {
                    self.older_or_others(&phone, value);
                    continue;
                }
                _ => {
                    self.rest.push(change.to_string());
                    continue;
                }
            }
            for message in list(&value["messages"]) {
                self.message(&phone, message);
            }
            for status in list(&value["statuses"]) {
                self.statuses.push((phone.clone(), status.clone()));
            }
            for name in ["errors", "user_actions"] {
                self.rest.extend(list(&value[name]).iter().map(Value::to_string));
            }
            let lists = ["messages", "statuses", "errors", "user_actions"];
            if lists.iter().all(|name| value[name].is_null()) {
                self.rest.push(change.to_string());
            }
        }
    }

    /// Messages that are not the customer's, or not live.
    fn older_or_others(&mut self, phone: &PhoneNumberId, value: &Value) {
        let threads = list(&value["history"]).iter().flat_map(|chunk| list(&chunk["threads"]));
        let messages = threads.flat_map(|thread| list(&thread["messages"]));
        for message in messages.chain(list(&value["message_echoes"])) {
            self.message(phone, message);
        }
    }

    fn message(&mut self, phone: &PhoneNumberId, message: &Value) {
        match (message["id"].as_str(), message["from"].as_str()) {
            (Some(wamid), Some(_)) => {
                let known = self.messages.entry(wamid.to_owned());
                known.or_insert_with(|| (phone.clone(), Vec::new())).1.push(message.clone());
            }
            _ => self.rest.push(message.to_string()),
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

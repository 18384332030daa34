//! Statuses of a sent message: a set of times per state and participant, merged in any order.

use std::collections::BTreeMap;

use serde_json::Value;

use super::client::PauseReason;
use super::conversation::RecipientMark;
use super::ids::{MessageId, Wamid};
use super::meta_error::{MetaError, Remedy};
use super::raw::sha256;
use super::{Timestamp, json};

/// Most bytes of one status that are kept with its message. Meta's have less than two thousand.
const LONGEST_BODY: usize = 8 * 1024;
/// Most bytes of statuses that are kept with one message: an item of DynamoDB holds 400 KB, and the
/// message itself and the facts must fit beside. A group has 8 members (Meta, groups, 2026-06-17), whose
/// statuses take less than half of it.
pub const MOST_BODIES: usize = 64 * 1024;

/// One status as a webhook brought it.
#[derive(Clone, PartialEq)]
pub struct StatusEvent {
    /// The message that it is about.
    pub wamid: Wamid,
    /// Our own id, if the message was ours and carried it in `biz_opaque_callback_data`.
    pub intent: Option<MessageId>,
    /// State and, in a group, whose.
    pub key: StatusKey,
    /// When, and what came with it.
    pub fact: StatusFact,
    /// The status alone as a webhook body: everything that Meta said, and what can be replayed.
    pub body: String,
}

/// The body names recipients and carries what callers gave: not for logs.
impl std::fmt::Debug for StatusEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StatusEvent({}, {}, {})", self.wamid, self.key.state, self.fact.at)
    }
}

impl StatusEvent {
    /// The body, unless it is too large to be kept with the message.
    #[must_use]
    pub fn small_body(&self) -> Option<&str> {
        Some(self.body.as_str()).filter(|body| body.len() <= LONGEST_BODY)
    }

    /// Why Meta takes no messages of the client at all, if this failure says so.
    #[must_use]
    pub fn stops_the_client(&self) -> Option<PauseReason> {
        self.failures().iter().find_map(|error| match error.remedy() {
            Remedy::Payment => Some(PauseReason::Payment),
            Remedy::Locked => Some(PauseReason::Locked),
            _ => None,
        })
    }

    /// What this failure says of the recipient. That one member of a group failed says nothing of the group.
    #[must_use]
    pub fn recipient_mark(&self) -> Option<RecipientMark> {
        if self.key.participant.is_some() {
            return None;
        }
        self.failures().iter().find_map(MetaError::recipient_mark)
    }

    /// What Meta says went wrong; nothing where nothing failed.
    #[must_use]
    pub fn failures(&self) -> Vec<MetaError> {
        let errors = (self.key.state == "failed").then(|| member(&self.body, "errors")).flatten();
        let errors = errors.as_ref().and_then(Value::as_array).into_iter().flatten();
        errors.filter_map(|error| error["code"].as_i64()).map(MetaError::of_code).collect()
    }
}

/// Which of a message's states.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct StatusKey {
    /// Meta's word: `sent`, `delivered`, `read`, `played`, `failed` or what Meta adds; with a prefix
    /// `payment.` where the status is a payment's, which has a vocabulary of its own.
    pub state: String,
    /// The member of a group whose state it is.
    pub participant: Option<String>,
}

/// What is known of one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusFact {
    /// Meta's time.
    pub at: Timestamp,
    /// Names the body that said so: the first half of its SHA-256, in hex.
    pub hash: String,
}

impl StatusFact {
    /// What `body` says of a time.
    #[must_use]
    pub fn new(at: Timestamp, body: &str) -> Self {
        let mut hash = sha256(body.as_bytes());
        hash.truncate(32);
        Self { at, hash }
    }

    /// Text that orders facts: the earliest one of a state is kept, and of two at the same time the one
    /// that sorts first, so that the result does not depend on the order of arrival.
    #[must_use]
    pub fn rank(&self) -> String {
        format!("{:020} {}", self.at.as_millisecond(), self.hash)
    }
}

/// All that is known of a sent message's way: the earliest fact of every state, and everything that
/// Meta said.
#[derive(Clone, PartialEq, Default)]
pub struct Statuses {
    facts: BTreeMap<StatusKey, StatusFact>,
    bodies: BTreeMap<String, String>,
}

/// By the hashes of the bodies.
impl std::fmt::Debug for Statuses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bodies: Vec<&String> = self.bodies.keys().collect();
        f.debug_struct("Statuses").field("facts", &self.facts).field("bodies", &bodies).finish()
    }
}

impl Statuses {
    /// Adds a status. Order and repetition do not matter. Its body is kept if there is room.
    pub fn add(&mut self, event: &StatusEvent) {
        self.merge(event.key.clone(), event.fact.clone());
        if let Some(body) = event.small_body() {
            self.keep(event.fact.hash.clone(), body.to_owned());
        }
    }

    /// Adds the fact alone.
    pub fn merge(&mut self, key: StatusKey, fact: StatusFact) {
        match self.facts.get(&key) {
            Some(known) if known.rank() <= fact.rank() => {}
            _ => {
                self.facts.insert(key, fact);
            }
        }
    }

    /// Adds a body alone, if there is room.
    pub fn keep(&mut self, hash: String, body: String) {
        let size: usize = self.bodies.values().map(String::len).sum();
        if size + body.len() <= MOST_BODIES {
            self.bodies.entry(hash).or_insert(body);
        }
    }

    /// Adds all that another set knows.
    pub fn absorb(&mut self, other: &Self) {
        other.facts.iter().for_each(|(key, fact)| self.merge(key.clone(), fact.clone()));
        other.bodies.iter().for_each(|(hash, body)| self.keep(hash.clone(), body.clone()));
    }

    /// What Meta said: each distinct status by its hash, as a webhook body.
    pub fn bodies(&self) -> impl Iterator<Item = (&str, &str)> {
        self.bodies.iter().map(|(hash, body)| (hash.as_str(), body.as_str()))
    }

    /// The body of this hash.
    #[must_use]
    pub fn body(&self, hash: &str) -> Option<&str> {
        self.bodies.get(hash).map(String::as_str)
    }

    /// Every state with what is known of it.
    pub fn iter(&self) -> impl Iterator<Item = (&StatusKey, &StatusFact)> {
        self.facts.iter()
    }

    /// Whether no status came yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// When a state was first reached by anybody.
    #[must_use]
    pub fn first(&self, state: &str) -> Option<Timestamp> {
        self.of(state).map(|fact| fact.at).min()
    }

    /// Every state's name, once, with when it was first reached.
    #[must_use]
    pub fn times(&self) -> BTreeMap<&str, Timestamp> {
        let mut times = BTreeMap::new();
        for (key, fact) in &self.facts {
            let time = times.entry(key.state.as_str()).or_insert(fact.at);
            *time = fact.at.min(*time);
        }
        times
    }

    /// Meta's `errors` of the failure, as they came, if it failed.
    #[must_use]
    pub fn errors(&self) -> Option<Value> {
        self.of("failed").find_map(|fact| self.member(fact, "errors"))
    }

    /// Meta's `pricing`, as it came, from the lowest state that carried one.
    #[must_use]
    pub fn pricing(&self) -> Option<Value> {
        ["sent", "delivered", "read", "played", "failed"]
            .iter()
            .find_map(|state| self.of(state).find_map(|fact| self.member(fact, "pricing")))
    }

    /// A member of the status that told a fact.
    fn member(&self, fact: &StatusFact, name: &str) -> Option<Value> {
        member(self.body(&fact.hash)?, name)
    }

    fn of(&self, state: &str) -> impl Iterator<Item = &StatusFact> {
        self.facts.iter().filter(move |(key, _)| key.state == state).map(|(_, fact)| fact)
    }
}

/// A member of the status in a body of one; null counts as missing.
fn member(body: &str, name: &str) -> Option<Value> {
    let mut body = json::value_of(body);
    let status = body.pointer_mut("/entry/0/changes/0/value/statuses/0")?;
    status.get_mut(name).map(Value::take).filter(|value| !value.is_null())
}

impl FromIterator<(StatusKey, StatusFact)> for Statuses {
    fn from_iter<I: IntoIterator<Item = (StatusKey, StatusFact)>>(facts: I) -> Self {
        let mut statuses = Self::default();
        for (key, fact) in facts {
            statuses.merge(key, fact);
        }
        statuses
    }
}

impl<'a> FromIterator<&'a StatusEvent> for Statuses {
    fn from_iter<I: IntoIterator<Item = &'a StatusEvent>>(events: I) -> Self {
        let mut statuses = Self::default();
        events.into_iter().for_each(|event| statuses.add(event));
        statuses
    }
}

#[cfg(test)]
mod tests;

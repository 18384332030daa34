//! Statuses of a sent message: a set of times per state and participant, merged in any order.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Timestamp;
use super::client::PauseReason;
use super::ids::{MessageId, Wamid};
use super::meta_error::{MetaError, Remedy};

/// One status as a webhook brought it.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusEvent {
    /// The message that it is about.
    pub wamid: Wamid,
    /// Our own id, if the message was ours and carried it in `biz_opaque_callback_data`.
    pub intent: Option<MessageId>,
    /// State and, in a group, whose.
    pub key: StatusKey,
    /// When, and what came with it.
    pub fact: StatusFact,
}

impl StatusEvent {
    /// Why Meta takes no messages of the client at all, if this failure says so.
    #[must_use]
    pub fn stops_the_client(&self) -> Option<PauseReason> {
        if self.key.state != "failed" {
            return None;
        }
        let codes = self.fact.errors.as_ref()?.as_array()?.iter().filter_map(|error| error["code"].as_i64());
        codes.map(MetaError::of_code).find_map(|error| match error.remedy() {
            Remedy::Payment => Some(PauseReason::Payment),
            Remedy::Locked => Some(PauseReason::Locked),
            _ => None,
        })
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
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StatusFact {
    /// Meta's time.
    pub at: Timestamp,
    /// Meta's `pricing`, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Value>,
    /// Meta's `errors`, as they came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<Value>,
}

impl StatusFact {
    /// Text that orders facts: the earliest one of a state is kept, and of two at the same time the one
    /// that sorts first, so that the result does not depend on the order of arrival.
    #[must_use]
    pub fn rank(&self) -> String {
        let rest = serde_json::to_string(&(&self.pricing, &self.errors)).unwrap_or_default();
        format!("{:020} {rest}", self.at.as_millisecond())
    }
}

/// All that is known of a sent message's way.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statuses(BTreeMap<StatusKey, StatusFact>);

impl Statuses {
    /// Adds what a status says. Order and repetition do not matter.
    pub fn merge(&mut self, key: StatusKey, fact: StatusFact) {
        match self.0.get(&key) {
            Some(known) if known.rank() <= fact.rank() => {}
            _ => {
                self.0.insert(key, fact);
            }
        }
    }

    /// Every state with what is known of it.
    pub fn iter(&self) -> impl Iterator<Item = (&StatusKey, &StatusFact)> {
        self.0.iter()
    }

    /// Whether no status came yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
        for (key, fact) in &self.0 {
            let time = times.entry(key.state.as_str()).or_insert(fact.at);
            *time = fact.at.min(*time);
        }
        times
    }

    /// The errors of the failure, if it failed.
    #[must_use]
    pub fn errors(&self) -> Option<&Value> {
        self.of("failed").find_map(|fact| fact.errors.as_ref())
    }

    /// The price, from the lowest state that carried one.
    #[must_use]
    pub fn pricing(&self) -> Option<&Value> {
        ["sent", "delivered", "read", "played", "failed"]
            .iter()
            .find_map(|state| self.of(state).find_map(|fact| fact.pricing.as_ref()))
    }

    fn of(&self, state: &str) -> impl Iterator<Item = &StatusFact> {
        self.0.iter().filter(move |(key, _)| key.state == state).map(|(_, fact)| fact)
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn facts() -> impl Strategy<Value = Vec<(StatusKey, StatusFact)>> {
        let key = (
            prop::sample::select(vec!["sent", "delivered", "read", "played", "failed", "new"]),
            prop::option::of(prop::sample::select(vec!["1555", "1556"])),
        )
            .prop_map(|(state, participant)| StatusKey {
                state: state.to_owned(),
                participant: participant.map(str::to_owned),
            });
        let fact = (0..4i64, prop::option::of(0..2i64)).prop_map(|(at, price)| StatusFact {
            at: Timestamp::from_second(at).unwrap(),
            pricing: price.map(Value::from),
            errors: None,
        });
        prop::collection::vec((key, fact), 0..12)
    }

    proptest! {
        #[test]
        fn any_order_and_repetition_ends_in_the_same_state(facts in facts(), seed in any::<u64>()) {
            let expected: Statuses = facts.iter().cloned().collect();
            let mut other = facts.clone();
            other.extend(facts.iter().take(3).cloned());
            let len = other.len().max(1);
            other.sort_by_key(|(key, fact)| {
                (seed.wrapping_mul(key.state.len() as u64 + 7) ^ fact.at.as_second().unsigned_abs()) % len as u64
            });
            other.rotate_left(usize::try_from(seed % len as u64).unwrap());
            prop_assert_eq!(other.into_iter().collect::<Statuses>(), expected);
        }
    }

    #[test]
    fn a_late_sent_does_not_undo_read() {
        let at = |s| Timestamp::from_second(s).unwrap();
        let fact = |s| StatusFact { at: at(s), pricing: None, errors: None };
        let key = |state: &str| StatusKey { state: state.to_owned(), participant: None };
        let statuses: Statuses = [(key("read"), fact(3)), (key("sent"), fact(1))].into_iter().collect();
        assert_eq!(statuses.first("read"), Some(at(3)));
        assert_eq!(statuses.first("sent"), Some(at(1)));
        assert_eq!(statuses.first("delivered"), None);
    }
}

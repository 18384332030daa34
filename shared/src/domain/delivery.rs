//! How far telling one event to one subscription is. One that works at once leaves no record.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Timestamp;
use super::event::{Event, EventKind};
use super::ids::{BotId, ConversationId, EventId, SubscriptionKey};

/// The pauses after each failure, as Standard Webhooks suggests them (specification, "Deliverability and
/// reliability", 2026): ten tries in a little more than three days.
const PAUSES: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 60 * 60),
    Duration::from_secs(5 * 60 * 60),
    Duration::from_secs(10 * 60 * 60),
    Duration::from_secs(14 * 60 * 60),
    Duration::from_secs(20 * 60 * 60),
    Duration::from_secs(24 * 60 * 60),
];
/// How long a record of a delivery is kept after its last change.
pub const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// One event for one subscription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Packet {
    /// To whom.
    pub subscription: SubscriptionKey,
    /// Which event.
    pub event_id: EventId,
    /// Of which kind.
    pub kind: EventKind,
    /// When it happened.
    pub at: Timestamp,
    /// Whose content it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// What is signed and sent.
    pub body: String,
}

impl Packet {
    /// This event for this subscription.
    #[must_use]
    pub fn new(event: &Event, subscription: &SubscriptionKey) -> Self {
        Self {
            subscription: subscription.clone(),
            event_id: event.id.clone(),
            kind: event.kind,
            at: event.at,
            conversation_id: event.conversation_id.clone(),
            body: event.body(),
        }
    }
}

/// Which delivery.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryKey {
    /// To whom.
    pub subscription: SubscriptionKey,
    /// Which event.
    pub event_id: EventId,
}

/// Something to be told now: on the queue `events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Job {
    /// For the first time.
    Tell(Packet),
    /// Once more: there is a record of it.
    Again(DeliveryKey),
}

impl Job {
    /// Whose event it is.
    #[must_use]
    pub fn bot_id(&self) -> BotId {
        match self {
            Self::Tell(packet) => packet.subscription.bot_id(),
            Self::Again(key) => key.subscription.bot_id(),
        }
    }
}

/// Why a try failed, in a stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Failure {
    /// It answered with another status than 2xx; redirects are not followed.
    Status {
        /// Which.
        status: u16,
    },
    /// No answer within ten seconds.
    Timeout,
    /// No connection: no such name, nobody there, or no valid certificate.
    Unreachable,
    /// The address may not be called, or leads to one that is not public.
    ForbiddenAddress,
    /// It was not called: the address keeps failing, and another event finds out whether it works again.
    Paused,
    /// The subscription was switched off.
    SwitchedOff,
}

impl Failure {
    /// For logs: a stable word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Status { .. } => "other_status",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::ForbiddenAddress => "forbidden_address",
            Self::Paused => "paused",
            Self::SwitchedOff => "switched_off",
        }
    }
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It is tried again.
    Pending {
        /// When.
        due_at: Timestamp,
    },
    /// It is not tried again unless somebody asks for it.
    Dead {
        /// Since when.
        since: Timestamp,
    },
}

/// A delivery that failed at least once.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// What.
    pub packet: Packet,
    /// How far.
    pub progress: Progress,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it last failed; `None` where somebody asked for it to be told again since.
    pub failure: Option<Failure>,
    /// When the record may be deleted.
    pub expires_at: Timestamp,
}

impl Delivery {
    /// Which.
    #[must_use]
    pub fn key(&self) -> DeliveryKey {
        DeliveryKey { subscription: self.packet.subscription.clone(), event_id: self.packet.event_id.clone() }
    }

    /// The record after the try number `attempts` failed at `now`. `not_before` is when the subscription is called
    /// again at the earliest.
    #[must_use]
    pub fn failed(
        packet: Packet,
        attempts: u32,
        failure: Failure,
        now: Timestamp,
        not_before: Option<Timestamp>,
    ) -> Self {
        let pause = match failure {
            Failure::SwitchedOff => None,
            _ => PAUSES.get(attempts.saturating_sub(1) as usize),
        };
        let progress = match pause {
            Some(pause) => {
                let due_at = now + jittered(*pause, &packet, attempts);
                Progress::Pending { due_at: not_before.map_or(due_at, |earliest| earliest.max(due_at)) }
            }
            None => Progress::Dead { since: now },
        };
        Self { packet, progress, attempts, failure: Some(failure), expires_at: now + KEPT }
    }

    /// Whether it is not tried again by itself.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        matches!(self.progress, Progress::Dead { .. })
    }
}

/// Up to a fifth longer, so that what failed together does not come back together.
fn jittered(pause: Duration, packet: &Packet, attempts: u32) -> Duration {
    let id = format!("{}{}{attempts}", packet.subscription, packet.event_id);
    pause + pause / 5 * u32::from(Sha256::digest(id)[0]) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(n: u32) -> Packet {
        Packet {
            subscription: "bot.sub_1".parse().unwrap(),
            event_id: format!("evt_{n}").parse().unwrap(),
            kind: EventKind::Ping,
            at: Timestamp::UNIX_EPOCH,
            conversation_id: None,
            body: "{}".to_owned(),
        }
    }

    #[test]
    fn ten_tries_in_three_days_and_then_it_is_dead() {
        let mut now = Timestamp::UNIX_EPOCH;
        for attempts in 1..10 {
            let failed = Delivery::failed(packet(1), attempts, Failure::Timeout, now, None);
            let Progress::Pending { due_at } = failed.progress else { panic!("dead after {attempts}") };
            assert!(due_at > now);
            now = due_at;
        }
        let days = now.as_second() as f64 / 86_400.0;
        assert!((3.0..4.0).contains(&days), "{days}");
        assert!(Delivery::failed(packet(1), 10, Failure::Timeout, now, None).is_dead());
    }

    #[test]
    fn pauses_are_spread_and_never_end_while_the_subscription_is_paused() {
        let now = Timestamp::UNIX_EPOCH;
        let due = |n, earliest| match Delivery::failed(packet(n), 2, Failure::Paused, now, earliest).progress
        {
            Progress::Pending { due_at } => due_at.as_second(),
            Progress::Dead { .. } => panic!("dead"),
        };
        let all: std::collections::BTreeSet<i64> = (0..50).map(|n| due(n, None)).collect();
        assert!(all.len() > 20 && all.iter().all(|at| (300..=360).contains(at)), "{all:?}");
        assert_eq!(due(1, Some(now + Duration::from_secs(3600))), 3600);
    }

    #[test]
    fn what_is_switched_off_is_not_tried_again() {
        let now = Timestamp::UNIX_EPOCH;
        assert!(Delivery::failed(packet(1), 1, Failure::SwitchedOff, now, None).is_dead());
    }
}

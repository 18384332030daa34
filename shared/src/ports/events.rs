//! What events need: subscriptions, deliveries, a queue, and the partner's addresses.

use std::time::Duration;

use super::Page;
use crate::domain::Timestamp;
use crate::domain::delivery::{Delivery, DeliveryKey, Failure, Job};
use crate::domain::ids::{BotId, ConversationId, EventId, SubscriptionKey};
use crate::domain::subscription::Subscription;
use crate::error::StoreError;

type Stored<T> = Result<T, StoreError>;

/// Reading of a bot's subscriptions. IAM: `dynamodb:Query` on subscriptions.
pub trait ListSubscriptions: Send + Sync {
    /// All of a bot's, by id. Consistent.
    fn subscriptions_of(&self, bot: &BotId) -> impl Future<Output = Stored<Vec<Subscription>>> + Send;
}

/// IAM: `dynamodb:GetItem` on subscriptions.
pub trait ReadSubscriptions: Send + Sync {
    /// By key. Consistent.
    fn subscription(
        &self,
        key: &SubscriptionKey,
    ) -> impl Future<Output = Stored<Option<Subscription>>> + Send;
}

/// What callers change. IAM: `dynamodb:PutItem`, `UpdateItem`, `DeleteItem` on subscriptions.
pub trait WriteSubscriptions: Send + Sync {
    /// Writes a new one, unless its key is taken: then answers the one that is there.
    fn add_subscription(
        &self,
        new: &Subscription,
    ) -> impl Future<Output = Stored<Option<Subscription>>> + Send;

    /// Writes all but the health over the one of version `expected`, and makes it healthy; `false` if it is of another
    /// version, or gone (nothing changed).
    fn save_subscription(
        &self,
        changed: &Subscription,
        expected: u64,
    ) -> impl Future<Output = Stored<bool>> + Send;

    /// Deletes it. Repeatable.
    fn delete_subscription(&self, key: &SubscriptionKey) -> impl Future<Output = Stored<()>> + Send;
}

/// How the calls of a subscription go. Nothing here makes a subscription that is gone anew. IAM:
/// `dynamodb:UpdateItem` on subscriptions.
pub trait NoteCalls: Send + Sync {
    /// Takes the turn to call an address that keeps failing: `true` for one of those who ask, until `until` or until
    /// its outcome is noted.
    fn take_call(
        &self,
        key: &SubscriptionKey,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Stored<bool>> + Send;

    /// Counts a failure at `now`, and pauses the calls until then.
    fn note_failure(
        &self,
        key: &SubscriptionKey,
        now: Timestamp,
        paused_until: Option<Timestamp>,
    ) -> impl Future<Output = Stored<()>> + Send;

    /// It works: no failures, no pause.
    fn note_success(&self, key: &SubscriptionKey) -> impl Future<Output = Stored<()>> + Send;

    /// Switches it off because its address wants no more events, if it is on.
    fn note_gone(&self, key: &SubscriptionKey, now: Timestamp) -> impl Future<Output = Stored<()>> + Send;
}

/// Deliveries that failed. IAM: `dynamodb:PutItem`, `GetItem`, `UpdateItem`, `DeleteItem` on deliveries, `Query` on its
/// index `due`.
pub trait Deliveries: Send + Sync {
    /// Writes a record, unless there is one; `false` then.
    fn add_delivery(&self, new: &Delivery) -> impl Future<Output = Stored<bool>> + Send;

    /// Claims a pending delivery that is due at `now`, by making it due at `until`; `None` if it is not there, is dead,
    /// or is not due (somebody else has claimed it).
    fn claim_delivery(
        &self,
        key: &DeliveryKey,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Stored<Option<Delivery>>> + Send;

    /// Writes how far it is, if it is still claimed until `claim`; `false` otherwise (nothing changed).
    fn save_delivery(&self, it: &Delivery, claim: Timestamp) -> impl Future<Output = Stored<bool>> + Send;

    /// Forgets it: it was told. Repeatable.
    fn forget_delivery(&self, key: &DeliveryKey) -> impl Future<Output = Stored<()>> + Send;

    /// Pending ones whose time had come at `now`, the longest due first. Of a moment ago.
    fn due_deliveries(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Stored<Vec<DeliveryKey>>> + Send;
}

/// A dead delivery in a list. Its body is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadDelivery {
    /// Which event.
    pub event_id: EventId,
    /// `message.received` and so on.
    pub kind: String,
    /// When it happened.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it last failed.
    pub failure: Option<Failure>,
    /// Since when it is dead.
    pub since: Timestamp,
    /// Until when it is kept.
    pub expires_at: Timestamp,
}

/// IAM: `dynamodb:Query` on the index `dead` of deliveries, `UpdateItem` on deliveries.
pub trait DeadDeliveries: Send + Sync {
    /// The dead ones of a subscription that died at `since` or later, the oldest first, behind the position `after` (a
    /// `next` of an earlier page). Of a moment ago.
    fn dead_deliveries(
        &self,
        subscription: &SubscriptionKey,
        since: Option<Timestamp>,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Stored<Page<DeadDelivery>>> + Send;

    /// Lets a dead one begin anew, due at `due_at`; `false` if it is not there or not dead (nothing changed).
    fn revive_delivery(
        &self,
        key: &DeliveryKey,
        due_at: Timestamp,
    ) -> impl Future<Output = Stored<bool>> + Send;
}

/// IAM: `dynamodb:Query` on the index `byConversation` of deliveries, `DeleteItem` on deliveries.
pub trait EraseDeliveries: Send + Sync {
    /// Deletes up to `limit` deliveries that hold content of a conversation; how many. Of a moment ago. Repeatable.
    fn erase_deliveries(
        &self,
        conversation: &ConversationId,
        limit: usize,
    ) -> impl Future<Output = Stored<usize>> + Send;
}

/// The queue `events`. IAM: `sqs:SendMessage`.
pub trait SendJobs: Send + Sync {
    /// Puts jobs on the queue, visible after `delay` (at most 15 minutes; longer ones are cut to it). On an error some
    /// may be on it: sending all again is right.
    fn send_jobs(&self, jobs: &[Job], delay: Duration) -> impl Future<Output = Stored<()>> + Send;
}

/// A signed event on its way.
#[derive(Debug)]
pub struct SignedCall<'a> {
    /// Where to.
    pub url: &'a str,
    /// `webhook-id`.
    pub event_id: &'a EventId,
    /// `webhook-timestamp`.
    pub at: Timestamp,
    /// `webhook-signature`.
    pub signature: &'a str,
    /// JSON.
    pub body: &'a str,
}

/// What an address of the partner's answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It has it.
    Yes,
    /// It wants no more events (410).
    Gone,
    /// Not, or nobody knows.
    Failed(Failure),
}

impl Told {
    /// For logs: a stable word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Yes => "told",
            Self::Gone => "gone",
            Self::Failed(failure) => failure.word(),
        }
    }
}

/// The partner's addresses. No AWS permission.
pub trait CallTargets: Send + Sync {
    /// Calls an address once and within ten seconds: only one that may be called, looked up and checked at this call,
    /// without following redirects. What it answers but for the status is not looked at.
    fn call(&self, call: SignedCall<'_>) -> impl Future<Output = Told> + Send;
}

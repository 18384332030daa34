//! What dead letters and the quarantine need to come back to life.

use std::fmt;
use std::time::Duration;

use jiff::civil::Date;

use crate::domain::letter::{DeadLetter, DeadQueue, FedQueue, Letter};
use crate::error::StoreError;

use super::{AccountEvent, Page, Quarantined};

type Stored<T> = Result<T, StoreError>;

/// Dead-letter queues. IAM: `sqs:ReceiveMessage`, `sqs:DeleteMessage`, `sqs:ChangeMessageVisibility` on them.
pub trait DeadLetters: Send + Sync {
    /// Some letters, ten at most, which nobody else receives for `hidden` (whole seconds, 12 hours at most);
    /// none = no letter is visible now. In no order.
    fn receive_dead(
        &self,
        queue: DeadQueue,
        hidden: Duration,
    ) -> impl Future<Output = Stored<Vec<DeadLetter>>> + Send;

    /// Deletes received letters for good. On an error some may be left.
    fn delete_dead(
        &self,
        queue: DeadQueue,
        letters: &[DeadLetter],
    ) -> impl Future<Output = Stored<()>> + Send;

    /// Shows received letters again, to whoever looks and to the alarm. Without it they show when their time
    /// is over.
    fn release_dead(
        &self,
        queue: DeadQueue,
        letters: &[DeadLetter],
    ) -> impl Future<Output = Stored<()>> + Send;
}

/// The queues that feed functions. IAM: `sqs:SendMessage` on them.
pub trait SendBack: Send + Sync {
    /// Puts all letters on the queue, as they were. On an error some may be on it: sending all again is right,
    /// the receivers know duplicates.
    fn send_back(&self, queue: FedQueue, letters: &[Letter]) -> impl Future<Output = Stored<()>> + Send;
}

/// Where the quarantine lists an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// The day it was received, in UTC.
    Day(Date),
    /// Archived dead letters of a queue, whatever their day: one list, so that a redrive finds them without
    /// knowing when they died.
    DeadLetters(FedQueue),
}

impl Shelf {
    /// Where an item is listed.
    #[must_use]
    pub fn of(item: &Quarantined) -> Self {
        match FedQueue::of_reason(&item.reason) {
            Some(queue) => Self::DeadLetters(queue),
            None => Self::Day(item.received_at.to_zoned(jiff::tz::TimeZone::UTC).date()),
        }
    }
}

/// The key of the index.
impl fmt::Display for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => write!(f, "{}", day.strftime("%Y-%m-%d")),
            Self::DeadLetters(queue) => f.write_str(queue.reason()),
        }
    }
}

/// Reading and emptying the quarantine. IAM: `dynamodb:Query` on its index `byDay`; `GetItem`,
/// `BatchGetItem`, `UpdateItem`, `DeleteItem` on it.
///
/// An item leaves in three steps: [`mark`](Self::mark_quarantined), put its content on a queue,
/// [`remove`](Self::remove_quarantined). Whoever quarantines the same content in between takes the mark off
/// ([`super::Quarantine`]), and it stays: it was not understood this time either.
pub trait EmptyQuarantine: Send + Sync {
    /// By key. Consistent.
    fn quarantined(&self, id: &str) -> impl Future<Output = Stored<Option<Quarantined>>> + Send;

    /// The items of a shelf, the longest there first, behind the position `after` (a `next` of an earlier
    /// page, whose item may be gone). Of a moment ago.
    fn quarantined_on(
        &self,
        shelf: Shelf,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Stored<Page<Quarantined>>> + Send;

    /// Says that `token` takes the item out now; `false` if there is no such item. Takes the place of an
    /// earlier mark.
    fn mark_quarantined(&self, id: &str, token: &str) -> impl Future<Output = Stored<bool>> + Send;

    /// Removes the item if it still has the mark of `token`; `false` if it stays or is gone already.
    fn remove_quarantined(&self, id: &str, token: &str) -> impl Future<Output = Stored<bool>> + Send;
}

/// Lists of events. IAM: `dynamodb:Query` on events.
pub trait ListEvents: Send + Sync {
    /// All of an owner by kind, behind the position `after`. Consistent.
    fn events_of(
        &self,
        owner: &str,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Stored<Page<AccountEvent>>> + Send;
}

//! What a record was and what it became, as a stream of a table tells it.

use super::Timestamp;
use super::client::Client;
use super::grant::Grant;
use super::message::Message;
use super::onboarding::Onboarding;

/// One write to one record.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Names the write: told again, it has the same name.
    pub id: String,
    /// Of two writes to one record the later has the greater; digits, all of one length.
    pub sequence: String,
    /// When it was written, to the second or so.
    pub at: Timestamp,
    /// What was written.
    pub record: Changed,
}

/// A record before and after. Nobody is told of records that went: they were erased, or their time was over.
#[derive(Debug, Clone, PartialEq)]
pub enum Changed {
    /// A message of either direction.
    Message(Pair<Message>),
    /// An onboarding.
    Onboarding(Pair<Onboarding>),
    /// A client.
    Client(Pair<Client>),
    /// A grant.
    Grant(Pair<Grant>),
}

/// A record before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair<T> {
    /// `None` if it is new.
    pub before: Option<Box<T>>,
    /// As it is now.
    pub after: Box<T>,
}

//! Conversations, and the names that customers are known by.

use crate::domain::Timestamp;
use crate::domain::conversation::{
    Conversation, ConversationTouch, CustomerKey, CustomerNames, RecipientMark,
};
use crate::domain::ids::{ConversationId, PhoneNumberId};
use crate::error::StoreError;

use super::Page;

type Stored<T> = Result<T, StoreError>;

/// Who the customer is. IAM: `dynamodb:BatchGetItem`, `GetItem`, `PutItem` on conversations.
pub trait ResolveCustomers: Send + Sync {
    /// The key of the customer who is known to this client by any of the names; a new customer gets the
    /// best of them. Names not seen before become aliases. Two copies that meet a new customer at once
    /// agree. `names` must hold at least one.
    fn resolve_customer(
        &self,
        phone: &PhoneNumberId,
        names: &CustomerNames,
    ) -> impl Future<Output = Stored<CustomerKey>> + Send;

    /// The key behind one name, if it is known.
    fn find_customer(
        &self,
        phone: &PhoneNumberId,
        name: &CustomerKey,
    ) -> impl Future<Output = Stored<Option<CustomerKey>>> + Send;

    /// Makes `new` another name of the customer known as `old` (number or id changed); nothing if `new`
    /// is known already.
    fn add_alias(
        &self,
        phone: &PhoneNumberId,
        old: &CustomerKey,
        new: &CustomerKey,
    ) -> impl Future<Output = Stored<()>> + Send;
}

/// IAM: `dynamodb:UpdateItem` on conversations.
pub trait TouchConversations: Send + Sync {
    /// Takes a message into account; creates the conversation if it is new. Times only move forward.
    fn touch_conversation(&self, touch: &ConversationTouch) -> impl Future<Output = Stored<()>> + Send;
}

/// IAM: `dynamodb:UpdateItem` on conversations.
pub trait PauseConversations: Send + Sync {
    /// Silences the bot in a known conversation until then, unless it is silent for longer already.
    fn pause_conversation(
        &self,
        id: &ConversationId,
        until: Timestamp,
    ) -> impl Future<Output = Stored<()>> + Send;
}

/// What people decide about a conversation. IAM: `dynamodb:UpdateItem` on conversations.
pub trait SetPauses: Send + Sync {
    /// Silences the bot until exactly then, or lets it answer again, whatever was before; `false` if there is
    /// no such conversation.
    fn set_pause(
        &self,
        id: &ConversationId,
        until: Option<Timestamp>,
    ) -> impl Future<Output = Stored<bool>> + Send;
}

/// IAM: `dynamodb:UpdateItem` on conversations.
pub trait NoteAway: Send + Sync {
    /// Remembers that the customer of a known conversation heard at this time that nobody is there, unless
    /// that was heard later already. May be repeated.
    fn note_away(&self, id: &ConversationId, at: Timestamp) -> impl Future<Output = Stored<()>> + Send;
}

/// IAM: `dynamodb:UpdateItem` on conversations.
pub trait MarkRecipients: Send + Sync {
    /// Remembers that Meta said this of the customer at `contact.at`, unless it said so later. A conversation
    /// that is not known yet begins with it.
    fn mark_recipient(
        &self,
        contact: &ConversationTouch,
        mark: RecipientMark,
    ) -> impl Future<Output = Stored<()>> + Send;
}

/// What became of claiming a conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum ConversationClaim {
    /// It is ours until the time that we asked for.
    Won(Box<Conversation>),
    /// Another copy has it until then.
    Busy(Timestamp),
    /// There is no such conversation.
    Unknown,
}

/// The right to answer in a conversation, one at a time. IAM: `dynamodb:UpdateItem`, `GetItem` on
/// conversations.
pub trait ClaimConversations: Send + Sync {
    /// Claims it until `until` if nobody has it at `now`, not even `owner`: two deliveries of one nudge
    /// may name the same one.
    fn claim_conversation(
        &self,
        id: &ConversationId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Stored<ConversationClaim>> + Send;

    /// Gives it back, if `owner` still has it.
    fn release_conversation(
        &self,
        id: &ConversationId,
        owner: &str,
    ) -> impl Future<Output = Stored<()>> + Send;
}

/// Lists of conversations. IAM: `dynamodb:Query` on indexes of conversations, `BatchGetItem` on conversations.
pub trait ListConversations: Send + Sync {
    /// Those of one [number](crate::domain::message::number_key), the one with the newest message first. Of a
    /// moment ago. `before` is the [time key](Conversation::time_key) that the last page ended with; what was
    /// written to meanwhile is on the first page.
    fn list_conversations(
        &self,
        number: &str,
        before: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Stored<Page<Conversation>>> + Send;

    /// All names that lead to the customer. Of a moment ago.
    fn names_of(&self, id: &ConversationId) -> impl Future<Output = Stored<Vec<CustomerKey>>> + Send;
}

/// IAM: `dynamodb:GetItem` on conversations.
pub trait ReadConversations: Send + Sync {
    /// Consistent.
    fn conversation(&self, id: &ConversationId) -> impl Future<Output = Stored<Option<Conversation>>> + Send;
}

//! Deleting what belongs to one customer. Each call is repeatable: what is not there any more is no error.

use super::AccountEvent;
use crate::domain::conversation::CustomerKey;
use crate::domain::ids::ConversationId;
use crate::domain::message::Message;
use crate::error::StoreError;

type Stored<T> = Result<T, StoreError>;

/// IAM: `dynamodb:DeleteItem` on messages.
pub trait EraseMessages: Send + Sync {
    /// Deletes a message with its statuses, and the item that its wamid leads to. The message goes last: what
    /// was cut off is found again by it.
    fn erase_message(&self, message: &Message) -> impl Future<Output = Stored<()>> + Send;
}

/// IAM: `dynamodb:DeleteItem` on conversations.
pub trait EraseConversations: Send + Sync {
    /// Deletes a conversation, and then the names that lead to it, in this order.
    fn erase_conversation(
        &self,
        id: &ConversationId,
        names: &[CustomerKey],
    ) -> impl Future<Output = Stored<()>> + Send;
}

/// IAM: `dynamodb:DeleteItem` on rates.
pub trait ErasePairs: Send + Sync {
    /// Deletes what is known of how fast may be written to a customer.
    fn erase_pair(&self, pair: &ConversationId) -> impl Future<Output = Stored<()>> + Send;
}

/// IAM: `dynamodb:DeleteItem` on events.
pub trait EraseEvents: Send + Sync {
    /// Deletes an event.
    fn erase_event(&self, event: &AccountEvent) -> impl Future<Output = Stored<()>> + Send;
}

/// IAM: `dynamodb:DeleteItem` on blobs.
pub trait EraseBlobs: Send + Sync {
    /// Deletes all parts of a thing.
    fn erase_parts(&self, name: &str, count: u32) -> impl Future<Output = Stored<()>> + Send;
}

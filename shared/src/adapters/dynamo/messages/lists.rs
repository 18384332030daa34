//! Reading of messages, one by one and in pages.

use super::super::Stored;
use super::super::table::Range;
use super::super::values::{s, text};
use super::{BATCH_GET, GET, KEY, Messages, QUERY, record};
use crate::domain::Timestamp;
use crate::domain::ids::{ConversationId, MessageId};
use crate::domain::message::{Message, time_key};
use crate::ports::{ListMessages, Listing, Page, ReadMessages};

impl ReadMessages for Messages {
    async fn message(&self, id: &MessageId) -> Stored<Option<Message>> {
        self.0.get(GET, (KEY, id.as_ref())).await?.map(record::message).transpose()
    }

    async fn recent_messages(&self, conversation: &ConversationId, limit: usize) -> Stored<Vec<Message>> {
        let listing = Listing::Conversation(conversation.clone());
        let positions = self.positions(&listing, &first(None), &last(None), limit).await?;
        self.messages_at(&positions).await
    }
}

impl ListMessages for Messages {
    async fn list_messages(
        &self,
        listing: &Listing,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        before: Option<&str>,
        limit: usize,
    ) -> Stored<Page<Message>> {
        let (first, last) = (first(from), last(to));
        let newest = before.map_or(last.as_str(), |before| before.min(&last));
        if newest < first.as_str() {
            return Ok(Page { items: Vec::new(), next: None });
        }
        // The range takes its bounds in, and `before` is none of ours: two more than wanted, of which
        // the other one says whether there is a next page.
        let mut positions = self.positions(listing, &first, newest, limit.saturating_add(2)).await?;
        positions.retain(|position| Some(position.time_key.as_str()) != before);
        let more = positions.len() > limit;
        positions.truncate(limit);
        let items = self.messages_at(&positions).await?;
        Ok(Page { items, next: positions.pop().filter(|_| more).map(|position| position.time_key) })
    }
}

/// Where a message stands in a list.
struct Position {
    id: String,
    time_key: String,
}

/// Before every message of this time.
fn first(from: Option<Timestamp>) -> String {
    time_key(from.unwrap_or(Timestamp::UNIX_EPOCH), "")
}

/// Behind every message of this time: no id begins with Unicode's last character.
fn last(to: Option<Timestamp>) -> String {
    time_key(to.unwrap_or(Timestamp::MAX), "\u{10FFFF}")
}

impl Messages {
    /// The newest positions between two sort keys, both included, newest first.
    async fn positions(
        &self,
        listing: &Listing,
        first: &str,
        last: &str,
        limit: usize,
    ) -> Stored<Vec<Position>> {
        let (index, condition, key) = match listing {
            Listing::Number(key) => {
                ("byNumber", "#numberKey = :key AND #timeKey BETWEEN :first AND :last", key.as_str())
            }
            Listing::Conversation(id) => (
                "byConversation",
                "#conversationId = :key AND #timeKey BETWEEN :first AND :last",
                id.as_ref(),
            ),
        };
        let range = Range {
            index: Some(index),
            condition,
            values: vec![("key", s(key)), ("first", s(first)), ("last", s(last))],
            attributes: &[],
            ascending: false,
            consistent: false,
            limit: Some(limit),
        };
        let found = self.0.query(QUERY, range).await?;
        let position = |entry| {
            Some(Position { id: text(entry, KEY)?.to_owned(), time_key: text(entry, "timeKey")?.to_owned() })
        };
        Ok(found.iter().filter_map(position).collect())
    }

    async fn messages_at(&self, positions: &[Position]) -> Stored<Vec<Message>> {
        let ids: Vec<String> = positions.iter().map(|position| position.id.clone()).collect();
        let items = self.0.get_all(BATCH_GET, KEY, &ids).await?;
        items.into_iter().map(record::message).collect()
    }
}

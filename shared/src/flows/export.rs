//! Everything that is kept of one customer of one number, page by page, to be read elsewhere. It only reads:
//! who was cut off asks for the same page again.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::domain::client::Client;
use crate::domain::conversation::{Conversation, CustomerKey};
use crate::domain::ids::ConversationId;
use crate::domain::json::value_of;
use crate::domain::media::{MediaFile, MediaKey};
use crate::domain::message::Message;
use crate::domain::raw::Raw;
use crate::error::{Chain, StoreError};
use crate::ports::{
    AccountEvent, Blobs, ListConversations, ListEvents, ListMessages, Listing, ReadConversations, ReadMedia,
};

use super::ingest::media_key_of;
use super::mentions::mentions;
use super::raws::stored_bytes;

/// How many records are read at once. A record is mostly small, and never larger than a webhook, 3 MB.
const PAGE: usize = 50;
/// Longest position of a list: keys of DynamoDB have at most 1024 bytes.
const LONGEST_POSITION: usize = 1024;

/// All records that an export reads.
pub trait Records:
    ReadConversations + ListConversations + ListMessages + ListEvents + ReadMedia + Blobs
{
}
impl<T: ReadConversations + ListConversations + ListMessages + ListEvents + ReadMedia + Blobs> Records for T {}

/// Something that is kept of a customer.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    /// The conversation, with all names that lead to it.
    Conversation(Box<Conversation>, Vec<CustomerKey>),
    /// A message, with what came or what was sent, in Meta's form, and how far its file is.
    Message(Box<Message>, Value, Option<Box<MediaFile>>),
    /// An event of the account that names the customer, in Meta's form.
    Event(Box<AccountEvent>, Value),
}

/// Where an export goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Place {
    /// At its beginning.
    #[default]
    Conversation,
    /// Among the messages, behind this position.
    Messages(Option<String>),
    /// Among the account's events, behind this position.
    Events(Option<String>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, position) = match self {
            Self::Conversation => ("conversation", None),
            Self::Messages(position) => ("messages", position.as_deref()),
            Self::Events(position) => ("events", position.as_deref()),
        };
        write!(f, "{kind}.{}", position.unwrap_or_default())
    }
}

/// The text was no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a place of an export")]
pub struct InvalidPlace;

impl FromStr for Place {
    type Err = InvalidPlace;
    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let (kind, position) = text.split_once('.').ok_or(InvalidPlace)?;
        if position.len() > LONGEST_POSITION {
            return Err(InvalidPlace);
        }
        let position = Some(position.to_owned()).filter(|position| !position.is_empty());
        match (kind, position) {
            ("conversation", None) => Ok(Self::Conversation),
            ("messages", position) => Ok(Self::Messages(position)),
            ("events", position) => Ok(Self::Events(position)),
            _ => Err(InvalidPlace),
        }
    }
}

/// An export with what it needs.
pub struct Export<'a, S> {
    /// Records.
    pub store: &'a S,
}

impl<S: Records> Export<'_, S> {
    /// What is kept of the customer from this place on, newest messages first, and where it goes on.
    ///
    /// A number may have been another bot's before: of messages only the bot's own are told, and of events,
    /// which do not say whose they were, only those since the current signup that name no other number.
    ///
    /// # Errors
    /// [`StoreError`]: the same call again reads the same.
    pub async fn page(
        &self,
        client: &Client,
        id: &ConversationId,
        place: &Place,
    ) -> Result<(Vec<Kept>, Option<Place>), StoreError> {
        match place {
            Place::Conversation => {
                let kept = self.conversation(client, id).await?;
                Ok((kept.into_iter().collect(), Some(Place::Messages(None))))
            }
            Place::Messages(before) => {
                let (kept, next) = self.messages(client, id, before.as_deref()).await?;
                Ok((kept, Some(next.map_or(Place::Events(None), |next| Place::Messages(Some(next))))))
            }
            Place::Events(after) => {
                let (kept, next) = self.events(client, id, after.as_deref()).await?;
                Ok((kept, next.map(|next| Place::Events(Some(next)))))
            }
        }
    }

    async fn conversation(&self, client: &Client, id: &ConversationId) -> Result<Option<Kept>, StoreError> {
        let conversation = self.store.conversation(id).await?.filter(|it| it.bot_id == client.bot_id);
        let Some(conversation) = conversation else { return Ok(None) };
        let mut names = self.store.names_of(id).await?;
        names.sort_by(|one, other| one.as_ref().cmp(other.as_ref()));
        Ok(Some(Kept::Conversation(Box::new(conversation), names)))
    }

    async fn messages(
        &self,
        client: &Client,
        id: &ConversationId,
        before: Option<&str>,
    ) -> Result<(Vec<Kept>, Option<String>), StoreError> {
        let listing = Listing::Conversation(id.clone());
        let page = self.store.list_messages(&listing, None, None, before, PAGE).await?;
        let own = page.items.into_iter().filter(|message| message.bot_id.as_ref() == Some(&client.bot_id));
        let own: Vec<Message> = own.collect();
        let keys: Vec<MediaKey> = own.iter().filter_map(media_key_of).collect();
        let files = if keys.is_empty() { Vec::new() } else { self.store.media_files(&keys).await? };
        let mut kept = Vec::new();
        for message in own {
            let raw = self.readable(&message.raw).await?;
            let key = media_key_of(&message);
            let file = files.iter().find(|file| Some(&file.key) == key.as_ref());
            kept.push(Kept::Message(Box::new(message), raw, file.cloned().map(Box::new)));
        }
        Ok((kept, page.next))
    }

    async fn events(
        &self,
        client: &Client,
        id: &ConversationId,
        after: Option<&str>,
    ) -> Result<(Vec<Kept>, Option<String>), StoreError> {
        let names = self.store.names_of(id).await?;
        let page = self.store.events_of(client.waba_id.as_ref(), after, PAGE).await?;
        let mut kept = Vec::new();
        for event in page.items.into_iter().filter(|event| event.at >= client.signed_up_at) {
            let raw = self.readable(&event.raw).await?;
            if is_of(client, &raw) && mentions(&raw, &names) {
                kept.push(Kept::Event(Box::new(event), raw));
            }
        }
        Ok((kept, page.next))
    }

    /// What is damaged stands as null: the rest is the customer's all the same.
    async fn readable(&self, raw: &Raw) -> Result<Value, StoreError> {
        match stored_bytes(self.store, raw).await {
            Ok(bytes) => Ok(value_of(&String::from_utf8_lossy(&bytes))),
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(error = %Chain(&error), "left out of an export");
                Ok(Value::Null)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a webhook names no other number than the client's.
fn is_of(client: &Client, webhook: &Value) -> bool {
    let phone = webhook.pointer("/entry/0/changes/0/value/metadata/phone_number_id").and_then(Value::as_str);
    phone.is_none_or(|phone| phone == client.phone_number_id.as_ref())
}

#[cfg(test)]
mod tests;

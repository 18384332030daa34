//! Erasing one customer of one number: every record and stored part that is theirs.
//!
//! Everything may be cut off and run again: the names, by which the customer is found, go last. What comes
//! while it runs, or afterwards, is of a new customer, as Meta's repetitions of old webhooks are.

use serde::Serialize;
use serde_json::json;

use crate::domain::client::Client;
use crate::domain::conversation::CustomerKey;
use crate::domain::ids::ConversationId;
use crate::domain::json::value_of;
use crate::domain::media::MediaState;
use crate::domain::message::Message;
use crate::domain::raw::{Raw, sha256};
use crate::error::StoreError;
use crate::ports::{
    AccountEvent, Blobs, Clock, EraseBlobs, EraseConversations, EraseDeliveries, EraseEvents, EraseFiles,
    EraseMedia, EraseMessages, ErasePairs, ListConversations, ListEvents, ListMessages, Listing, ReadMedia,
    RecordEvents,
};

use super::ingest::media_key_of;
use super::mentions::mentions;
use super::raws::{blob_name, stored_bytes};

/// How many records are read at once.
const PAGE: usize = 100;
/// Kind of the event that says that somebody was erased.
const KIND: &str = "switchboard.erasure";

/// All records that erasing uses.
pub trait Records:
    ListMessages
    + ListConversations
    + ListEvents
    + Blobs
    + EraseMessages
    + EraseConversations
    + ErasePairs
    + EraseEvents
    + EraseBlobs
    + ReadMedia
    + EraseMedia
    + EraseDeliveries
    + RecordEvents
{
}
impl<T> Records for T where
    T: ListMessages
        + ListConversations
        + ListEvents
        + Blobs
        + EraseMessages
        + EraseConversations
        + ErasePairs
        + EraseEvents
        + EraseBlobs
        + ReadMedia
        + EraseMedia
        + EraseDeliveries
        + RecordEvents
{
}

/// What was erased, by number of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Erased {
    /// Messages of both directions, each with its statuses.
    pub messages: usize,
    /// Events of the account that named the customer: calls, wishes, changes of id, contacts of the phone.
    pub events: usize,
    /// Contents that were stored apart because of their size.
    pub large: usize,
    /// Files of messages, fetched or not.
    pub files: usize,
    /// Names that led to the customer.
    pub names: usize,
}

impl std::ops::AddAssign for Erased {
    fn add_assign(&mut self, more: Self) {
        self.messages += more.messages;
        self.events += more.events;
        self.large += more.large;
        self.files += more.files;
        self.names += more.names;
    }
}

/// How far an erasure came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is left.
    Done(Erased),
    /// Time ran out: call again with this position.
    More(Erased, String),
}

/// Erasing with what it needs.
pub struct Erasure<'a, S, F, C> {
    /// Records.
    pub store: &'a S,
    /// Where files are kept.
    pub files: &'a F,
    /// Time.
    pub clock: &'a C,
}

impl<S: Records, F: EraseFiles, C: Clock> Erasure<'_, S, F, C> {
    /// Erases the customer of `client` that `name` leads to, as long as there is time. `after` is where the last
    /// call stopped.
    ///
    /// # Errors
    /// [`StoreError`]: the same call again goes on.
    pub async fn run(
        &self,
        client: &Client,
        name: &CustomerKey,
        id: &ConversationId,
        after: Option<&str>,
        has_time: impl Fn() -> bool,
    ) -> Result<Progress, StoreError> {
        let mut erased = Erased::default();
        let mut names = self.store.names_of(id).await?;
        // Whoever asks again asks by this name: it goes last.
        names.retain(|other| other != name);
        names.push(name.clone());
        if !self.messages(id, &mut erased, &has_time).await? {
            // The messages that are left are the first to go next time.
            return Ok(Progress::More(erased, after.unwrap_or_default().to_owned()));
        }
        if let Some(position) = self.events(client, &names, after, &mut erased, &has_time).await? {
            return Ok(Progress::More(erased, position));
        }
        // Events that wait to be told hold what was said; one that is on the queue at this moment may still come.
        while self.store.erase_deliveries(id, PAGE).await? == PAGE {
            if !has_time() {
                return Ok(Progress::More(erased, String::new()));
            }
        }
        self.store.erase_pair(id).await?;
        self.store.erase_conversation(id, &names).await?;
        erased.names = names.len();
        self.note(client, erased).await?;
        Ok(Progress::Done(erased))
    }

    /// Whether all are gone.
    async fn messages(
        &self,
        id: &ConversationId,
        erased: &mut Erased,
        has_time: impl Fn() -> bool,
    ) -> Result<bool, StoreError> {
        let listing = Listing::Conversation(id.clone());
        let mut before = None;
        loop {
            let page = self.store.list_messages(&listing, None, None, before.as_deref(), PAGE).await?;
            for message in &page.items {
                if !has_time() {
                    return Ok(false);
                }
                // First of all: the message says which file.
                erased.files += usize::from(self.file(message).await?);
                erased.large += usize::from(forget(self.store, &message.raw).await?);
                self.store.erase_message(message).await?;
                erased.messages += 1;
            }
            before = page.next;
            if before.is_none() {
                return Ok(true);
            }
        }
    }

    /// Erases the file of a message, unless it is another conversation's. Whether there was one.
    async fn file(&self, message: &Message) -> Result<bool, StoreError> {
        let Some(key) = media_key_of(message) else { return Ok(false) };
        let file = self.store.media_file(&key).await?;
        let Some(file) = file.filter(|file| file.conversation_id == message.conversation_id) else {
            return Ok(false);
        };
        let place = file.fetch().file_key();
        // The record leads to the file: it goes last.
        self.files.erase_file(&place).await?;
        self.store.erase_media(&key).await?;
        if matches!(file.state, MediaState::Pending { .. }) {
            // Somebody may have fetched it meanwhile; whoever does so from now on finds no record and erases it.
            self.files.erase_file(&place).await?;
        }
        Ok(true)
    }

    /// Goes through all events of the account: who is in them is not indexed, and erasing is rare. Where it
    /// stopped, if it did.
    async fn events(
        &self,
        client: &Client,
        names: &[CustomerKey],
        after: Option<&str>,
        erased: &mut Erased,
        has_time: impl Fn() -> bool,
    ) -> Result<Option<String>, StoreError> {
        let mut after = after.filter(|after| !after.is_empty()).map(str::to_owned);
        loop {
            if !has_time() {
                return Ok(Some(after.unwrap_or_default()));
            }
            let page = self.store.events_of(client.waba_id.as_ref(), after.as_deref(), PAGE).await?;
            for event in &page.items {
                if self.names(event, names).await? {
                    erased.large += usize::from(forget(self.store, &event.raw).await?);
                    self.store.erase_event(event).await?;
                    erased.events += 1;
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(None);
            }
        }
    }

    async fn names(&self, event: &AccountEvent, names: &[CustomerKey]) -> Result<bool, StoreError> {
        let bytes = match stored_bytes(self.store, &event.raw).await {
            Ok(bytes) => bytes,
            // Its parts went in an earlier call, which was cut off before the event itself went.
            Err(StoreError::Corrupt { .. }) if matches!(event.raw, Raw::Parts(_)) => return Ok(true),
            Err(error) => return Err(error),
        };
        Ok(mentions(&value_of(&String::from_utf8_lossy(&bytes)), names))
    }

    /// That it happened stays known, and not to whom.
    async fn note(&self, client: &Client, erased: Erased) -> Result<(), StoreError> {
        let at = self.clock.now();
        let raw = json!({"phoneNumberId": client.phone_number_id, "at": at, "erased": erased}).to_string();
        let event = AccountEvent {
            owner: client.waba_id.to_string(),
            kind: KIND.to_owned(),
            at,
            hash: sha256(raw.as_bytes()),
            dated: true,
            business_id: None,
            raw: Raw::Plain(raw),
        };
        self.store.record_event(&event).await.map(drop)
    }
}

/// Deletes the parts of a record's raw form, if it has any. Whether it had.
async fn forget(blobs: &impl EraseBlobs, raw: &Raw) -> Result<bool, StoreError> {
    let Raw::Parts(list) = raw else { return Ok(false) };
    blobs.erase_parts(&blob_name(&list.sha256), list.count).await?;
    Ok(true)
}

#[cfg(test)]
mod tests;

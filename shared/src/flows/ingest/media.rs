//! Files of messages: noted here, fetched by another function. Nothing on this path waits for Meta.

use serde_json::Value;

use super::{Ingest, Records};
use crate::domain::Timestamp;
use crate::domain::client::Client;
use crate::domain::content::{Media, media_of};
use crate::domain::media::{MediaFile, MediaKey, MediaState};
use crate::domain::message::Message;
use crate::error::StoreError;
use crate::flows::content_of;
use crate::flows::media::NOTE_LOST_AFTER;
use crate::ports::{Clock, SendFetches, SendInbound, SendNudges};

/// The types of messages that can have a file; an edit repeats the message that it changes.
const WITH_FILES: [&str; 6] = ["image", "video", "audio", "document", "sticker", "edit"];

impl<S: Records, I: SendInbound, Q: SendNudges, F: SendFetches, C: Clock> Ingest<'_, S, I, Q, F, C> {
    /// Notes the file of a message as to be fetched. The message comes again until this is done; a note that is lost
    /// afterwards is made good by the schedule.
    pub(super) async fn note_file(
        &self,
        client: &Client,
        message: &Message,
        received_at: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(file) = file_of(client, message, received_at, self.clock.now()) else { return Ok(()) };
        if self.store.note_media(&file).await? {
            self.fetches.send_fetches(&[file.fetch()]).await?;
        }
        Ok(())
    }
}

fn file_of(client: &Client, message: &Message, received_at: Timestamp, now: Timestamp) -> Option<MediaFile> {
    let content = content_with_file(message)?;
    let media = media_in(&content)?;
    Some(MediaFile {
        key: MediaKey { bot_id: client.bot_id.clone(), media_id: media.id?.parse().ok()? },
        phone_number_id: client.phone_number_id.clone(),
        conversation_id: message.conversation_id.clone(),
        message_id: message.id.clone(),
        mime_type: media.mime_type.map(str::to_owned),
        sha256: media.sha256.map(str::to_owned),
        filename: media.filename.map(str::to_owned),
        noted_at: received_at,
        state: MediaState::Pending { due_at: now + NOTE_LOST_AFTER, attempts: 0 },
        expires_at: message.expires_at,
    })
}

/// Under what the file of a message that came by a webhook is kept, if it has one.
#[must_use]
pub fn media_key_of(message: &Message) -> Option<MediaKey> {
    let content = content_with_file(message)?;
    let media_id = media_in(&content)?.id?.parse().ok()?;
    Some(MediaKey { bot_id: message.bot_id.clone()?, media_id })
}

fn content_with_file(message: &Message) -> Option<Value> {
    let may_have_one = !message.origin.is_ours() && WITH_FILES.contains(&message.kind.as_str());
    may_have_one.then(|| content_of(message))
}

fn media_in(content: &Value) -> Option<Media<'_>> {
    media_of(content.pointer("/edit/message").unwrap_or(content))
}

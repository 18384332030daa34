//! The files that a model is given: those of the message that it answers, and of the messages just before it
//! that nobody answered.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Records, Reply};
use crate::domain::ids::MessageId;
use crate::domain::media::{MediaFile, MediaKey, MediaState, essence};
use crate::domain::message::Message;
use crate::domain::model::{FileKind, Model};
use crate::error::StoreError;
use crate::flows::ingest::media_key_of;
use crate::ports::{
    Attachment, Clock, Complete, MessageGraph, Random, ReadFiles, Seal, SendNudges, TokenGraph,
};

/// Most files of one prompt, the newest.
const MOST_FILES: usize = 4;
/// The largest file, in bytes: that of a picture in WhatsApp. Providers take that much and some of them more.
const LARGEST_FILE: usize = 5 * 1024 * 1024;
/// The largest files of one prompt together, in bytes: they are in memory three times while they are sent, in
/// base64 twice.
const LARGEST_TOGETHER: usize = 12 * 1024 * 1024;
/// How long after a message its answer waits for files that are still being fetched.
const WAIT: Duration = Duration::from_secs(30);
/// How often it looks meanwhile.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// Files by the message that brought them.
pub(super) type Files = BTreeMap<MessageId, Attachment>;

impl<S, K, G, F, Q, L, C, R> Reply<'_, S, K, G, F, Q, L, C, R>
where
    S: Records,
    K: Seal,
    G: MessageGraph + TokenGraph,
    F: ReadFiles,
    Q: SendNudges,
    L: Complete,
    C: Clock,
    R: Random,
{
    /// The files for this model among the last of these messages, oldest first; `None` = one is still being
    /// fetched and worth waiting for. What does not come or is too large is left out: the model sees what it was.
    pub(super) async fn files_of(
        &self,
        model: &Model,
        seen: &[&Message],
    ) -> Result<Option<Files>, StoreError> {
        let mut files = Files::new();
        let wanted = wanted(model, seen);
        if wanted.is_empty() {
            return Ok(Some(files));
        }
        let keys: Vec<MediaKey> = wanted.iter().map(|(_, key)| key.clone()).collect();
        let known = self.store().media_files(&keys).await?;
        let is_fetched = known.iter().all(|file| !matches!(file.state, MediaState::Pending { .. }));
        let asked_at = seen.last().map(|message| message.recorded_at);
        if !is_fetched && asked_at.is_some_and(|at| self.now() < at + WAIT) {
            return Ok(None);
        }
        let mut room = LARGEST_TOGETHER;
        for (message, key) in wanted {
            let Some(file) = known.iter().find(|file| file.key == key) else { continue };
            if let Some(attachment) = self.attachment(file, room.min(LARGEST_FILE)).await? {
                room -= attachment.bytes.len();
                files.insert(message, attachment);
            }
        }
        Ok(Some(files))
    }

    async fn attachment(&self, file: &MediaFile, largest: usize) -> Result<Option<Attachment>, StoreError> {
        let Some(stored) = file.kept(self.now()).filter(|stored| stored.size <= largest as u64) else {
            return Ok(None);
        };
        let bytes = self.files.read_file(&file.fetch().file_key(), largest).await?;
        Ok(bytes.map(|bytes| Attachment { mime_type: essence(&stored.mime_type), bytes }))
    }
}

/// The newest files, each with its message, newest first.
fn wanted(model: &Model, seen: &[&Message]) -> Vec<(MessageId, MediaKey)> {
    let takes = |kind: &str| FileKind::of(kind).is_some_and(|kind| model.takes.contains(&kind));
    let unanswered = seen.iter().rev().take_while(|message| message.origin.is_inbound());
    unanswered
        .filter(|message| takes(&message.kind))
        .filter_map(|message| Some((message.id.clone(), media_key_of(message)?)))
        .take(MOST_FILES)
        .collect()
}

//! Fetching the files of messages. The records of files are the list of what is due; what is on the queue only
//! says that something may be. A file is put under its own key before its record says so: whoever comes after a
//! crash in between does the same again, and there is one file however often that happens.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::domain::Timestamp;
use crate::domain::ids::PhoneNumberId;
use crate::domain::media::{
    Fetch, INCOMING_LIFE, LARGEST, MediaFile, MediaState, Rejected, StoredFile, contradicts, is_hash,
    served_as,
};
use crate::domain::meta_error::Remedy;
use crate::error::{Chain, GraphError, StoreError};
use crate::flows::tokens::{Opened, Tokens};
use crate::ports::{
    Clock, Download, EraseFiles, FetchMedia, MediaClaim, MediaGraph, MediaInfo, MediaSave, NewFile, PutFiles,
    ReadClients, ReadGrants, Seal, SendFetches,
};
use crate::telemetry::{metric, unit};

/// When the schedule takes a new file up if its note was lost.
pub const NOTE_LOST_AFTER: Duration = Duration::from_secs(2 * 60);
/// Pause after a first failure; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// A token that is mended is used within some hours.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 60 * 60);
/// After so many tries, a quarter of an hour, somebody must look.
const LATE_AFTER: u32 = 4;
/// How often one try asks for an address and its bytes: an address may be too old (Meta: ask once more, then check
/// the token), and a transfer can go wrong.
const DOWNLOADS: usize = 2;

/// All records that it uses.
pub trait Records: FetchMedia + ReadClients + ReadGrants {}
impl<T: FetchMedia + ReadClients + ReadGrants> Records for T {}

/// Settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long one copy has a file for itself: longer than its function may run.
    pub claim: Duration,
    /// How long files are kept. The bucket deletes them after the same time.
    pub kept: Duration,
}

/// Fetching, with what it needs.
pub struct Fetching<'a, S, K, G, F, Q, C> {
    /// Records.
    pub store: &'a S,
    /// Sealing.
    pub seal: &'a K,
    /// Meta.
    pub graph: &'a G,
    /// Where files are kept.
    pub files: &'a F,
    /// The queue `media`.
    pub queue: &'a Q,
    /// Time.
    pub clock: &'a C,
    /// Opened tokens.
    pub tokens: &'a Tokens,
    /// Settings.
    pub settings: &'a Settings,
}

/// How a try ended.
enum Tried {
    /// It is kept.
    Stored(StoredFile),
    /// It is not to be kept.
    Rejected(Rejected),
    /// Another try may succeed; in the words of the log.
    Later(String),
}

impl<S, K, G, F, Q, C> Fetching<'_, S, K, G, F, Q, C>
where
    S: Records,
    K: Seal,
    G: MediaGraph,
    F: PutFiles + EraseFiles,
    Q: SendFetches,
    C: Clock,
{
    /// Fetches one file, if it is to be fetched and nobody else is at it. After `Ok` it is kept, or its end is recorded,
    /// or it is due again.
    ///
    /// # Errors
    /// [`StoreError`]: the same again goes on.
    pub async fn fetch(&self, wanted: &Fetch) -> Result<(), StoreError> {
        let now = self.clock.now();
        let claim = now + self.settings.claim;
        unit::bot(&wanted.key.bot_id);
        unit::id("mediaId", wanted.key.media_id.as_ref());
        match self.store.claim_media(&wanted.key, now, claim).await? {
            MediaClaim::Claimed(file) => self.claimed(*file, claim).await,
            // Whoever has it ends it, or the schedule comes back to it.
            MediaClaim::Busy | MediaClaim::Ended => {
                unit::outcome("another_was_faster");
                Ok(())
            }
            // Erased while somebody fetched it, who died before the file could go, too.
            MediaClaim::Unknown => {
                unit::outcome("erased");
                self.files.erase_file(&wanted.file_key()).await
            }
        }
    }

    /// Asks for all files that are due: their notes were lost, or a pause is over.
    ///
    /// # Errors
    /// [`StoreError`]: the next run finds the same.
    pub async fn sweep(&self, limit: usize) -> Result<usize, StoreError> {
        let due = self.store.due_media(self.clock.now(), limit).await?;
        self.queue.send_fetches(&due).await?;
        Ok(due.len())
    }

    async fn claimed(&self, file: MediaFile, claim: Timestamp) -> Result<(), StoreError> {
        unit::client(&file.phone_number_id);
        let tried = self.attempt(&file).await?;
        let is_kept = matches!(tried, Tried::Stored(_));
        let state = self.state_after(&file, tried);
        let state_word = state.as_str();
        let saved = self.store.save_media(&MediaFile { state, ..file.clone() }, claim).await?;
        unit::outcome(if saved == MediaSave::Saved { state_word } else { "another_was_faster" });
        if is_kept && saved == MediaSave::Unknown {
            self.files.erase_file(&file.fetch().file_key()).await?;
        }
        Ok(())
    }

    fn state_after(&self, file: &MediaFile, tried: Tried) -> MediaState {
        let attempts = match file.state {
            MediaState::Pending { attempts, .. } => attempts + 1,
            _ => 1,
        };
        let why = match tried {
            Tried::Stored(stored) => return MediaState::Stored(stored),
            Tried::Rejected(Rejected::Hash) => {
                tracing::error!(metric = metric::MEDIA_LOST, mediaId = %file.key.media_id, clientId = %file.phone_number_id, "a file's bytes are not the announced ones");
                return MediaState::Rejected(Rejected::Hash);
            }
            Tried::Rejected(reason) => {
                tracing::warn!(mediaId = %file.key.media_id, clientId = %file.phone_number_id, reason = reason.as_str(), "a file is not kept");
                return MediaState::Rejected(reason);
            }
            Tried::Later(why) => why,
        };
        let now = self.clock.now();
        let due_at = now + pause_after(attempts);
        if due_at > file.noted_at + INCOMING_LIFE {
            tracing::error!(metric = metric::MEDIA_LOST, mediaId = %file.key.media_id, clientId = %file.phone_number_id, why, "a file could not be fetched while Meta had it");
            return MediaState::Missing;
        }
        if attempts == LATE_AFTER {
            tracing::error!(metric = metric::MEDIA_DELAYED, mediaId = %file.key.media_id, clientId = %file.phone_number_id, why, "a file is late");
        }
        tracing::warn!(mediaId = %file.key.media_id, attempts, why, "a file is asked for again later");
        MediaState::Pending { due_at, attempts }
    }

    async fn attempt(&self, file: &MediaFile) -> Result<Tried, StoreError> {
        let phone = &file.phone_number_id;
        let client = self.store.client(phone).await?.filter(|client| client.bot_id == file.key.bot_id);
        let Some(client) = client else { return Ok(later("the number is not the bot's any more")) };
        let token = self.tokens.of(self.store, self.seal, self.clock, &client.grant_id).await?;
        let Some(token) = token else { return Ok(later("the client's token is dead")) };
        let mut without = later("each of its addresses is too old");
        for _ in 0..DOWNLOADS {
            match self.download(phone, file, &token).await {
                Ok((_, Download::Gone)) => {}
                Ok((_, Download::TooLarge)) => return Ok(Tried::Rejected(Rejected::TooLarge)),
                Ok((info, Download::Complete(bytes))) => match self.keep(file, &info, bytes).await? {
                    Tried::Rejected(Rejected::Hash) => without = Tried::Rejected(Rejected::Hash),
                    other => return Ok(other),
                },
                Err(error) => {
                    if error.refusal().is_some_and(|e| e.remedy() == Remedy::Token) {
                        self.tokens.forget(&client.grant_id);
                    }
                    return Ok(Tried::Later(Chain(&error).to_string()));
                }
            }
        }
        Ok(without)
    }

    async fn download(
        &self,
        phone: &PhoneNumberId,
        file: &MediaFile,
        token: &Opened,
    ) -> Result<(MediaInfo, Download), GraphError> {
        let info = self.graph.media_info(phone, &file.key.media_id, &token.token).await?;
        if info.size.is_some_and(|size| size > LARGEST as u64) {
            return Ok((info, Download::TooLarge));
        }
        let download = self.graph.download_media(&info.address, LARGEST, &token.token).await?;
        Ok((info, download))
    }

    async fn keep(&self, file: &MediaFile, info: &MediaInfo, bytes: Vec<u8>) -> Result<Tried, StoreError> {
        let digest = Sha256::digest(&bytes);
        let size = bytes.len() as u64;
        let mut hashes = [&file.sha256, &info.sha256].into_iter().flatten();
        if hashes.any(|told| !is_hash(told, &digest)) || info.size.is_some_and(|told| told != size) {
            return Ok(Tried::Rejected(Rejected::Hash));
        }
        let mime_type = info.mime_type.as_ref().or(file.mime_type.as_ref()).cloned().unwrap_or_default();
        // Both words are Meta's; the message is what the customer saw.
        let said = file.mime_type.as_deref().unwrap_or(&mime_type);
        if contradicts(said, &bytes) || contradicts(&mime_type, &bytes) {
            return Ok(Tried::Rejected(Rejected::Type));
        }
        let sha256 = hex::encode(digest);
        let key = file.fetch().file_key();
        let content_type = served_as(&mime_type, &bytes);
        let name = file.filename.as_deref();
        self.files
            .put_file(NewFile { key: &key, content_type: &content_type, name, sha256: &sha256, bytes })
            .await?;
        let at = self.clock.now();
        Ok(Tried::Stored(StoredFile { at, until: at + self.settings.kept, size, mime_type, sha256 }))
    }
}

fn later(why: &str) -> Tried {
    Tried::Later(why.to_owned())
}

fn pause_after(attempts: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests;

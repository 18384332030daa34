//! Files of messages: our records of them, Meta, and where their bytes are kept.

use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::ids::{MediaId, PhoneNumberId};
use crate::domain::media::{Fetch, MediaFile, MediaKey};
use crate::domain::secret::AccessToken;
use crate::error::{GraphError, StoreError};

use super::SampleFile;

type Stored<T> = Result<T, StoreError>;

/// IAM: `dynamodb:PutItem` on media.
pub trait NoteMedia: Send + Sync {
    /// Writes the record of a file that is to be fetched, unless the file is known. Whether it was new.
    fn note_media(&self, file: &MediaFile) -> impl Future<Output = Stored<bool>> + Send;
}

/// IAM: `dynamodb:GetItem`, `BatchGetItem` on media.
pub trait ReadMedia: Send + Sync {
    /// By key. Consistent.
    fn media_file(&self, key: &MediaKey) -> impl Future<Output = Stored<Option<MediaFile>>> + Send;

    /// Several by key; unknown ones are left out. Consistent.
    fn media_files(&self, keys: &[MediaKey]) -> impl Future<Output = Stored<Vec<MediaFile>>> + Send;
}

/// Whether a file may be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaClaim {
    /// It is ours until the time that was asked for.
    Claimed(Box<MediaFile>),
    /// Another copy has it.
    Busy,
    /// It is not pending any more.
    Ended,
    /// There is no such record: its customer was erased.
    Unknown,
}

/// Whether it was written how far a file is. If not, nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaSave {
    /// It was.
    Saved,
    /// The claim ran out, and another copy took the file.
    Lost,
    /// There is no such record any more: its customer was erased.
    Unknown,
}

/// Fetching, one file by one copy at a time. IAM: `dynamodb:UpdateItem` on media, `Query` on its index `due`.
pub trait FetchMedia: Send + Sync {
    /// Files that were due at `now`, the longest due of each shard first. Of a moment ago.
    fn due_media(&self, now: Timestamp, limit: usize) -> impl Future<Output = Stored<Vec<Fetch>>> + Send;

    /// Claims a pending file until `until`, and makes it due then, in case the process dies.
    fn claim_media(
        &self,
        key: &MediaKey,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Stored<MediaClaim>> + Send;

    /// Writes how far the file is and gives it back, if the claim is still the one until `claim`.
    fn save_media(
        &self,
        file: &MediaFile,
        claim: Timestamp,
    ) -> impl Future<Output = Stored<MediaSave>> + Send;
}

/// IAM: `dynamodb:DeleteItem` on media.
pub trait EraseMedia: Send + Sync {
    /// Deletes the record of a file. Repeatable.
    fn erase_media(&self, key: &MediaKey) -> impl Future<Output = Stored<()>> + Send;
}

/// The queue `media`. IAM: `sqs:SendMessage`.
pub trait SendFetches: Send + Sync {
    /// Asks for files to be fetched now.
    fn send_fetches(&self, fetches: &[Fetch]) -> impl Future<Output = Stored<()>> + Send;
}

/// Where Meta gives a file for five minutes. It is not to be seen: whoever has it and the token has the file.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaAddress(pub String);

impl std::fmt::Debug for MediaAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MediaAddress(…)")
    }
}

/// What Meta says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaInfo {
    /// Where it is.
    pub address: MediaAddress,
    /// Its type.
    pub mime_type: Option<String>,
    /// SHA-256 of its bytes, in hex or base64.
    pub sha256: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
}

/// What came of a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Download {
    /// All bytes.
    Complete(Vec<u8>),
    /// The address is too old (404).
    Gone,
    /// It has more bytes than wanted.
    TooLarge,
}

/// Files at Meta, with the client's business token. No AWS permission.
pub trait MediaGraph: Send + Sync {
    /// Where a file is for the next five minutes, and what it is.
    fn media_info(
        &self,
        phone: &PhoneNumberId,
        id: &MediaId,
        token: &AccessToken,
    ) -> impl Future<Output = Result<MediaInfo, GraphError>> + Send;

    /// The bytes of a file, if they are at most `largest`. The token goes only to the host that Meta documents;
    /// any other address is [`GraphError::NotSent`].
    fn download_media(
        &self,
        address: &MediaAddress,
        largest: usize,
        token: &AccessToken,
    ) -> impl Future<Output = Result<Download, GraphError>> + Send;

    /// Uploads a file to be sent from the number. Repeated, it has two ids, which does no harm.
    fn upload_media(
        &self,
        phone: &PhoneNumberId,
        file: SampleFile<'_>,
        token: &AccessToken,
    ) -> impl Future<Output = Result<MediaId, GraphError>> + Send;
}

/// A file that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile<'f> {
    /// Where.
    pub key: &'f str,
    /// The type under which it is served.
    pub content_type: &'f str,
    /// The name under which it is saved by whoever opens its link.
    pub name: Option<&'f str>,
    /// SHA-256 of its bytes, in hex: the store checks it.
    pub sha256: &'f str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// IAM: `s3:PutObject` on the bucket, `kms:GenerateDataKey` on its key.
pub trait PutFiles: Send + Sync {
    /// Keeps a file, in place of what was there. It is encrypted, and served as an attachment only.
    fn put_file(&self, file: NewFile<'_>) -> impl Future<Output = Stored<()>> + Send;
}

/// IAM: `s3:GetObject` and `s3:ListBucket` (without it a missing file is a refusal) on the bucket, `kms:Decrypt` on
/// its key.
pub trait ReadFiles: Send + Sync {
    /// The bytes of a file, if they are at most `largest`; `None` if it is not there, or larger.
    fn read_file(&self, key: &str, largest: usize) -> impl Future<Output = Stored<Option<Vec<u8>>>> + Send;
}

/// IAM: `s3:GetObject` on the bucket, `kms:Decrypt` on its key: a link may do what its maker may.
pub trait LinkFiles: Send + Sync {
    /// An address at which whoever has it can get the file until `now + lifetime` (at most a week). No call: the file
    /// need not be there.
    fn file_link(&self, key: &str, now: Timestamp, lifetime: Duration) -> Stored<String>;
}

/// IAM: as [`PutFiles`]: a link may do what its maker may.
pub trait LinkUploads: Send + Sync {
    /// An address to which whoever has it can PUT one file of exactly this type and size until `now + lifetime`. Both
    /// must be sent as headers. No call.
    fn upload_link(
        &self,
        key: &str,
        content_type: &str,
        size: usize,
        now: Timestamp,
        lifetime: Duration,
    ) -> Stored<String>;
}

/// IAM: `s3:DeleteObject` on the bucket.
pub trait EraseFiles: Send + Sync {
    /// Deletes a file. Repeatable.
    fn erase_file(&self, key: &str) -> impl Future<Output = Stored<()>> + Send;
}

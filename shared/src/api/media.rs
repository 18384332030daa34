//! Files of messages.

use serde::Serialize;

use crate::domain::Timestamp;
use crate::domain::ids::MediaId;
use crate::domain::media::{MediaFile, StoredFile};

/// A link to a file.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MediaLink<'a> {
    id: &'a MediaId,
    /// `stored`: other files have no link.
    state: &'static str,
    /// Whoever has it has the file.
    url: String,
    /// When the link ends.
    expires_at: Timestamp,
    /// Meta's word for its type.
    mime_type: &'a str,
    /// In bytes.
    size: u64,
    /// Of its bytes, in hex.
    sha256: &'a str,
    /// The sender's name for a document.
    file_name: Option<&'a str>,
    /// Until when the file is kept.
    kept_until: Timestamp,
}

impl<'a> MediaLink<'a> {
    /// A link to a file that is kept.
    #[must_use]
    pub fn of(file: &'a MediaFile, kept: &'a StoredFile, url: String, expires_at: Timestamp) -> Self {
        Self {
            id: &file.key.media_id,
            state: file.state.as_str(),
            url,
            expires_at,
            mime_type: &kept.mime_type,
            size: kept.size,
            sha256: &kept.sha256,
            file_name: file.filename.as_deref(),
            kept_until: kept.until,
        }
    }
}

/// A file that can be sent.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UploadedMedia {
    /// What messages name.
    pub id: MediaId,
    /// When Meta forgets it.
    pub expires_at: Timestamp,
    /// Its type.
    pub mime_type: String,
    /// In bytes.
    pub size: usize,
}

/// What this file describes.
#[cfg(feature = "openapi")]
pub(super) fn operations() -> Vec<super::describe::Operation> {
    use super::describe::Operation;
    use crate::domain::media::SENDABLE;
    let path = "/api/whatsapp/media/{botId}/{id}";
    let link = Operation::new("get", path, "getMedia", "Makes a link to the file of a message")
        .of_a_bot()
        .path::<MediaId>("id", "`media.id` of a message.", "media_not_found")
        .problem(409, "media_pending")
        .problem(410, "media_gone")
        .problem(410, "media_rejected")
        .answer::<MediaLink<'_>>(200, "A link that works for five minutes.");
    let upload = Operation::new("post", path, "uploadMedia", "Uploads a file to be sent")
        .described("The body is the file, of at most 4 MiB; `Content-Type` is its type. Larger ones are sent by link.")
        .of_a_bot()
        .path::<MediaId>("id", "The id of the number that will send it.", "client_not_found")
        .file_body(&SENDABLE)
        .problem(400, "media_type_unsupported")
        .problem(400, "media_empty")
        .problem(400, "media_too_large")
        .problem(400, "media_type_mismatch")
        .problem(409, "client_needs_reconnect")
        .problem(422, "refused_by_meta")
        .problem(429, "rate_limited")
        .problem(503, "meta_unavailable")
        .answer::<UploadedMedia>(201, "Its id at Meta.");
    vec![link, upload]
}

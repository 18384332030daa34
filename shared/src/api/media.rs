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

/// The first of the two steps in which a larger file is uploaded.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BegunUpload {
    /// For the second step.
    pub upload_id: String,
    /// Where to send the file.
    pub upload_url: String,
    /// How: `PUT`.
    pub method: &'static str,
    /// With these.
    pub headers: UploadHeaders,
    /// When the address ends.
    pub expires_at: Timestamp,
}

/// Headers that are part of the signature of an address.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct UploadHeaders {
    /// Its type.
    pub content_type: String,
    /// Its size in bytes.
    pub content_length: String,
}

/// Bodies, for the description.
#[cfg(feature = "openapi")]
mod described {
    #![expect(dead_code, reason = "only described")]

    /// A file that is going to be uploaded.
    #[derive(schemars::JsonSchema)]
    #[schemars(rename_all = "camelCase")]
    pub(super) struct NewUpload {
        /// One of the types that WhatsApp takes.
        #[schemars(length(min = 1))]
        mime_type: String,
        /// In bytes.
        #[schemars(range(min = 1, max = 104_857_600))]
        size: u64,
    }

    /// What was uploaded.
    #[derive(schemars::JsonSchema)]
    #[schemars(rename_all = "camelCase")]
    pub(super) struct FinishedUpload {
        /// As it was announced.
        #[schemars(length(min = 1))]
        mime_type: String,
    }

    /// What the first step answered.
    #[derive(schemars::JsonSchema)]
    #[schemars(transparent, extend("pattern" = "^[0-9a-f]{32}$"))]
    pub(super) struct UploadId(String);
}

/// What this file describes.
#[cfg(feature = "openapi")]
pub(super) fn operations() -> Vec<super::describe::Operation> {
    use self::described::{FinishedUpload, NewUpload, UploadId};
    use super::describe::Operation;
    use crate::domain::media::SENDABLE;
    use serde_json::json;

    let path = "/api/whatsapp/media/{botId}/{id}";
    let link = Operation::new("get", path, "getMedia", "Makes a link to the file of a message")
        .of_a_bot()
        .path::<MediaId>("id", "`media.id` of a message.", "media_not_found")
        .problem(409, "media_pending")
        .problem(410, "media_gone")
        .problem(410, "media_rejected")
        .answer::<MediaLink<'_>>(200, "A link that works for five minutes.");
    let of_a_number = |operation: Operation| {
        operation
            .of_a_bot()
            .path::<MediaId>("id", "The id of the number that will send it.", "client_not_found")
            .problem(400, "media_type_unsupported")
            .problem(400, "media_too_large")
    };
    let sent_to_meta = |operation: Operation| {
        of_a_number(operation)
            .problem(400, "media_empty")
            .problem(400, "media_type_mismatch")
            .problem(409, "client_needs_reconnect")
            .problem(422, "refused_by_meta")
            .problem(429, "rate_limited")
            .problem(503, "meta_unavailable")
            .answer::<UploadedMedia>(201, "Its id at Meta.")
    };
    let upload = Operation::new("post", path, "uploadMedia", "Uploads a file to be sent")
        .described(
            "The body is the file, of at most 4 MiB; `Content-Type` is its type. Larger ones go in two steps.",
        )
        .file_body(&SENDABLE);
    let path = "/api/whatsapp/media/{botId}/{id}/uploads";
    let begin = Operation::new("post", path, "beginUpload", "Makes an address that takes a larger file")
        .body::<NewUpload>(json!({"mimeType": "video/mp4", "size": 9_000_000}))
        .answer::<BegunUpload>(201, "Put the file there, then call the second step.");
    let path = "/api/whatsapp/media/{botId}/{id}/uploads/{uploadId}";
    let finish =
        Operation::new("post", path, "finishUpload", "Gives Meta the file that was put at the address")
            .path::<UploadId>("uploadId", "What the first step answered.", "upload_not_found")
            .body::<FinishedUpload>(json!({"mimeType": "video/mp4"}));
    vec![link, sent_to_meta(upload), of_a_number(begin), sent_to_meta(finish)]
}

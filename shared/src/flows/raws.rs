//! Raw bytes into records and out again.

use serde_json::Value;

use crate::domain::Timestamp;
use crate::domain::json::value_of;
use crate::domain::message::{Message, Origin};
use crate::domain::parcel::PartHeader;
use crate::domain::raw::{Packed, Raw, gunzip, join};
use crate::error::StoreError;
use crate::ports::Blobs;

/// Makes bytes ready for a record: their parts, if they need any, are stored first.
pub(super) async fn keep(
    blobs: &impl Blobs,
    bytes: &[u8],
    expires_at: Option<Timestamp>,
) -> Result<Raw, StoreError> {
    let packed = Packed::new(bytes);
    if let Raw::Parts(list) = &packed.raw {
        for (index, part) in (0..).zip(&packed.parts) {
            // A prefix keeps what records point to apart from what is still arriving.
            let header = PartHeader { name: blob_name(&list.sha256), index, count: list.count };
            blobs.put_part(&header, part, expires_at).await?;
        }
    }
    Ok(packed.raw)
}

/// The name of what a record keeps in parts.
pub(super) fn blob_name(sha256: &str) -> String {
    format!("raw:{sha256}")
}

/// The bytes behind a record's raw form.
///
/// # Errors
/// [`StoreError`] if parts are missing or damaged.
pub async fn stored_bytes(blobs: &impl Blobs, raw: &Raw) -> Result<Vec<u8>, StoreError> {
    match raw {
        Raw::Plain(text) => Ok(text.clone().into_bytes()),
        Raw::Gzip(bytes) => gunzip(bytes).map_err(|e| StoreError::corrupt("messages", e)),
        Raw::Parts(list) => {
            let parts = blobs.parts(&blob_name(&list.sha256), list.count).await?;
            let parts = parts.ok_or_else(|| StoreError::corrupt("blobs", "parts are missing"))?;
            join(&parts, &list.sha256).map_err(|e| StoreError::corrupt("blobs", e))
        }
    }
}

/// Where the one message is in the webhook body of a record.
const PLACES: [&str; 5] = [
    "/messages/0",
    "/message_echoes/0",
    "/history/0/threads/0/messages/0",
    "/standby/messages/0",
    "/standby/message_echoes/0",
];

/// The message object of a record, in Meta's form: out of the webhook that brought it, or as we sent it. Null
/// where the record holds it in parts: no message is that large.
#[must_use]
pub fn content_of(message: &Message) -> Value {
    let bytes = match &message.raw {
        Raw::Plain(text) => text.clone().into_bytes(),
        Raw::Gzip(bytes) => gunzip(bytes).unwrap_or_default(),
        Raw::Parts(_) => Vec::new(),
    };
    let mut value = value_of(&String::from_utf8_lossy(&bytes));
    if message.origin.is_ours() {
        return value;
    }
    let Some(value) = value.pointer_mut("/entry/0/changes/0/value") else { return Value::Null };
    let mut element = PLACES.iter().find_map(|place| value.pointer(place)).cloned().unwrap_or_default();
    // What another agent sent is one level deeper.
    match element.get_mut("message").filter(|sent| sent.get("type").is_some()) {
        Some(sent) if message.origin == Origin::StandbyOut => sent.take(),
        _ => element,
    }
}

//! Files of messages: what is known of each, and what its bytes must be (Meta, Cloud API, media, 2026-08).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::ids::{BotId, ConversationId, InvalidId, MediaId, MessageId, PhoneNumberId};

/// The largest file that a customer can send, in bytes (Meta: larger ones come as error 131052).
pub const LARGEST: usize = 100 * MB;
/// How long Meta knows the id of a file that a customer sent.
pub const INCOMING_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long Meta knows the id of an uploaded file.
pub const UPLOAD_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

const KB: usize = 1024;
const MB: usize = 1024 * KB;

/// What a file is found by. The bot is part of it: another bot's file cannot be named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaKey {
    /// The bot of the client at the time.
    pub bot_id: BotId,
    /// Meta's id.
    pub media_id: MediaId,
}

impl fmt::Display for MediaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.bot_id, self.media_id)
    }
}

impl FromStr for MediaKey {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (bot, media) = text.split_once('#').ok_or(InvalidId("MediaKey"))?;
        Ok(Self { bot_id: bot.parse()?, media_id: media.parse()? })
    }
}

/// A note on the queue `media` that a file is to be fetched. Losing it or doubling it does no harm: the record
/// of the file is the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fetch {
    /// Which file.
    #[serde(flatten)]
    pub key: MediaKey,
    /// The client that got or sent it.
    pub phone_number_id: PhoneNumberId,
}

impl Fetch {
    /// Where the file is kept: under its client.
    #[must_use]
    pub fn file_key(&self) -> String {
        format!("{}/{}/{}", self.phone_number_id, self.key.bot_id, self.key.media_id)
    }
}

/// The file of a message that came by a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaFile {
    /// Which file.
    pub key: MediaKey,
    /// The client.
    pub phone_number_id: PhoneNumberId,
    /// The conversation of the message: whose the file is.
    pub conversation_id: ConversationId,
    /// The message that brought it first.
    pub message_id: MessageId,
    /// MIME type as the message says it; may carry parameters.
    pub mime_type: Option<String>,
    /// SHA-256 as the message says it.
    pub sha256: Option<String>,
    /// The sender's name for a document: user input.
    pub filename: Option<String>,
    /// When we heard of it: Meta knows it for [`INCOMING_LIFE`] from then on at most.
    pub noted_at: Timestamp,
    /// How far it is.
    pub state: MediaState,
    /// When the record may be deleted.
    pub expires_at: Option<Timestamp>,
}

/// How far a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaState {
    /// To be fetched; found by the schedule from `due_at` on.
    Pending {
        /// When it is due.
        due_at: Timestamp,
        /// How often it was tried.
        attempts: u32,
    },
    /// Kept.
    Stored(StoredFile),
    /// Meta did not give it while it could.
    Missing,
    /// Meta gave it, and it is not kept.
    Rejected(Rejected),
}

impl MediaState {
    /// The word in records and answers.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Stored(_) => "stored",
            Self::Missing => "missing",
            Self::Rejected(_) => "rejected",
        }
    }
}

/// What is known of a file that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Since when.
    pub at: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Its size in bytes.
    pub size: u64,
    /// Its type: Meta's word.
    pub mime_type: String,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// Why a file is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Rejected {
    /// Its bytes have another hash or length than announced, twice.
    Hash,
    /// Above [`LARGEST`].
    TooLarge,
    /// Announced as image, sound or film, and visibly something else.
    Type,
}

impl Rejected {
    /// The word in records and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::TooLarge => "too_large",
            Self::Type => "type",
        }
    }
}

impl MediaFile {
    /// The note that asks for it.
    #[must_use]
    pub fn fetch(&self) -> Fetch {
        Fetch { key: self.key.clone(), phone_number_id: self.phone_number_id.clone() }
    }

    /// What is kept of it at `now`.
    #[must_use]
    pub fn kept(&self, now: Timestamp) -> Option<&StoredFile> {
        match &self.state {
            MediaState::Stored(file) if now < file.until => Some(file),
            _ => None,
        }
    }
}

/// A MIME type without parameters, in lower case.
#[must_use]
pub fn essence(mime_type: &str) -> String {
    mime_type.split(';').next().unwrap_or_default().trim().to_lowercase()
}

/// Whether a hash as Meta writes it, base64 in webhooks and hex in look-ups, is this one.
#[must_use]
pub fn is_hash(told: &str, sha256: &[u8]) -> bool {
    let told = told.trim();
    match told.len() {
        64 => told.eq_ignore_ascii_case(&hex::encode(sha256)),
        _ => STANDARD.decode(told).is_ok_and(|bytes| bytes == sha256),
    }
}

/// What bytes can be told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Image,
    /// Sound or film: they share containers.
    Stream,
    Document,
    /// What a browser or a shell would run.
    Active,
}

/// What the first bytes say, if they say anything.
fn recognised(bytes: &[u8]) -> Option<(&'static str, Family)> {
    let at = |offset: usize, magic: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    let stills: [&[u8]; 4] = [b"heic", b"heix", b"mif1", b"avif"];
    Some(match bytes {
        _ if at(0, b"\xff\xd8\xff") => ("image/jpeg", Family::Image),
        _ if at(0, b"\x89PNG\r\n") => ("image/png", Family::Image),
        _ if at(0, b"GIF8") => ("image/gif", Family::Image),
        _ if at(0, b"RIFF") && at(8, b"WEBP") => ("image/webp", Family::Image),
        _ if at(4, b"ftyp") && stills.iter().any(|brand| at(8, brand)) => ("image/heic", Family::Image),
        _ if at(4, b"ftyp3g") => ("video/3gpp", Family::Stream),
        _ if at(4, b"ftyp") => ("video/mp4", Family::Stream),
        _ if at(0, b"OggS") => ("audio/ogg", Family::Stream),
        _ if at(0, b"#!AMR") => ("audio/amr", Family::Stream),
        _ if at(0, b"ID3") => ("audio/mpeg", Family::Stream),
        _ if at(0, b"%PDF-") => ("application/pdf", Family::Document),
        _ if at(0, b"PK\x03\x04") => ("application/zip", Family::Document),
        _ if at(0, b"MZ") || at(0, b"\x7fELF") || at(0, b"#!") => (OCTETS, Family::Active),
        _ if is_markup(bytes) => (OCTETS, Family::Active),
        _ => return None,
    })
}

fn is_markup(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
}

/// Any bytes: what nobody opens by itself.
const OCTETS: &str = "application/octet-stream";

/// Whether a file that is announced as image, sound or film is visibly something else. Documents are whatever
/// their sender says; what we do not recognise is believed.
#[must_use]
pub fn contradicts(mime_type: &str, bytes: &[u8]) -> bool {
    let wanted = match essence(mime_type).split('/').next() {
        Some("image") => Family::Image,
        Some("audio" | "video") => Family::Stream,
        _ => return false,
    };
    recognised(bytes).is_some_and(|(_, family)| family != wanted)
}

/// The type under which a file is served: what it visibly is, else what it is said to be where that is one of the
/// types that businesses send, which are all passive; else any bytes.
#[must_use]
pub fn served_as(mime_type: &str, bytes: &[u8]) -> String {
    let said = essence(mime_type);
    match recognised(bytes) {
        Some((_, Family::Active)) => OCTETS.to_owned(),
        // A container says less than the type.
        Some((seen, Family::Image)) => seen.to_owned(),
        _ if largest_upload(&said, bytes).is_some() => said,
        _ => OCTETS.to_owned(),
    }
}

/// The types that can be sent (Meta, Cloud API, media, 2026-08).
pub const SENDABLE: [&str; 18] = [
    "audio/aac",
    "audio/amr",
    "audio/mpeg",
    "audio/mp4",
    "audio/ogg",
    "image/jpeg",
    "image/png",
    "image/webp",
    "video/mp4",
    "video/3gpp",
    "text/plain",
    "application/pdf",
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
];

/// The largest file of this type (without parameters) that a business may send, in bytes; `None` = no such type
/// may be sent. A sticker that moves may be larger than one that does not: its bytes tell.
#[must_use]
pub fn largest_upload(essence: &str, bytes: &[u8]) -> Option<usize> {
    if !SENDABLE.contains(&essence) {
        return None;
    }
    Some(match essence.split('/').next()? {
        "audio" | "video" => 16 * MB,
        "image" if essence == "image/webp" => {
            if moves(bytes) {
                500 * KB
            } else {
                100 * KB
            }
        }
        "image" => 5 * MB,
        _ => LARGEST,
    })
}

/// Whether a WebP image has frames: the flag of its extended header (Google, WebP container specification).
fn moves(bytes: &[u8]) -> bool {
    bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 0b10 != 0)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn a_key_and_a_note_say_which_file_and_where_it_is() {
        let key: MediaKey = "demo-bakery#8899".parse().unwrap();
        assert_eq!(key.to_string(), "demo-bakery#8899");
        let fetch = Fetch { key, phone_number_id: "117".parse().unwrap() };
        assert_eq!(fetch.file_key(), "117/demo-bakery/8899");
        let body = serde_json::to_string(&fetch).unwrap();
        assert_eq!(body, r#"{"botId":"demo-bakery","mediaId":"8899","phoneNumberId":"117"}"#);
        assert_eq!(serde_json::from_str::<Fetch>(&body).unwrap(), fetch);
        for wrong in ["8899", "a b#1", "demo#../x", "demo#"] {
            assert!(wrong.parse::<MediaKey>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_hash_is_known_in_both_of_metas_forms() {
        let digest = Sha256::digest(b"picture");
        let (hex, base64) = (hex::encode(digest), STANDARD.encode(digest));
        assert!(is_hash(&hex, &digest) && is_hash(&hex.to_uppercase(), &digest) && is_hash(&base64, &digest));
        let other = Sha256::digest(b"other");
        assert!(!is_hash(&hex, &other) && !is_hash(&base64, &other) && !is_hash("nonsense", &digest));
    }

    #[test]
    fn a_picture_or_sound_that_is_visibly_something_else_is_noticed() {
        for (said, bytes) in [
            ("image/jpeg", &b"<svg xmlns='x'/>"[..]),
            ("image/png", b"\xef\xbb\xbf \n<html>"),
            ("image/jpeg", b"%PDF-1.7"),
            ("audio/ogg; codecs=opus", b"GIF89a"),
            ("Video/MP4", b"MZ\x90"),
        ] {
            assert!(contradicts(said, bytes), "{said}");
        }
        for (said, bytes) in [
            ("image/jpeg", &b"\xff\xd8\xff\xe0"[..]),
            ("image/jpeg", b"GIF89a"),
            ("audio/mp4", b"\0\0\0\x18ftypM4A "),
            ("image/heic", b"\0\0\0\x18ftypheic"),
            ("audio/aac", b"\xff\xf1\x50"),
            ("application/pdf", b"<html>"),
            ("", b"anything"),
        ] {
            assert!(!contradicts(said, bytes), "{said}");
        }
    }

    #[test]
    fn nothing_that_a_browser_would_run_is_served_as_such() {
        for (said, bytes, served) in [
            ("text/html", &b"<html>"[..], OCTETS),
            ("text/plain", b"<script>", OCTETS),
            ("image/svg+xml", b"no markup at first", OCTETS),
            ("application/javascript", b"alert(1)", OCTETS),
            ("text/plain", b"Hello", "text/plain"),
            ("image/jpeg", b"GIF89a", "image/gif"),
            ("audio/ogg; codecs=opus", b"OggS", "audio/ogg"),
            ("application/pdf", b"%PDF-1.7", "application/pdf"),
        ] {
            assert_eq!(served_as(said, bytes), served, "{said}");
        }
    }

    #[test]
    fn what_may_be_sent_has_metas_limits() {
        let still = b"RIFF....WEBPVP8X....\0";
        let moving = b"RIFF....WEBPVP8X....\x02";
        for (kind, bytes, limit) in [
            ("audio/ogg", &b""[..], Some(16 * MB)),
            ("image/png", b"", Some(5 * MB)),
            ("image/webp", still, Some(100 * KB)),
            ("image/webp", moving, Some(500 * KB)),
            ("application/pdf", b"", Some(100 * MB)),
            ("image/gif", b"", None),
            ("text/html", b"", None),
        ] {
            assert_eq!(largest_upload(kind, bytes), limit, "{kind}");
        }
    }

    #[test]
    fn a_reason_is_called_the_same_in_answers_and_in_records() {
        for reason in [Rejected::Hash, Rejected::TooLarge, Rejected::Type] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }
}

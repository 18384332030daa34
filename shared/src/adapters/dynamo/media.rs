//! Files of messages, and which of them are to be fetched.

use aws_sdk_dynamodb::types::ReturnValue;
use serde::{Deserialize, Serialize};

use super::expression::Expression;
use super::table::{Item, Range, Table, Write};
use super::values::{Millis, Seconds, item, millis, number, record, s, shard, shards, text, with_nulls};
use super::{Client, Stored};
use crate::domain::Timestamp;
use crate::domain::ids::{ConversationId, MessageId, PhoneNumberId};
use crate::domain::media::{Fetch, MediaFile, MediaKey, MediaState, Rejected, StoredFile};
use crate::error::StoreError;
use crate::ports::{EraseMedia, FetchMedia, MediaClaim, MediaSave, NoteMedia, ReadMedia};

const TABLE: &str = "media";
const KEY: &str = "mediaKey";
const UPDATE: &str = "dynamodb UpdateItem on media";

/// The table `media`: one item per file of a bot's.
#[derive(Debug, Clone)]
pub struct Media(Table);

impl Media {
    /// The table of this name.
    #[must_use]
    pub fn new(client: &Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }
}

/// The word that a file's state is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Pending,
    Stored,
    Missing,
    Rejected,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    media_key: String,
    phone_number_id: PhoneNumberId,
    conversation_id: ConversationId,
    message_id: MessageId,
    mime_type: Option<String>,
    sha256: Option<String>,
    filename: Option<String>,
    noted_at: Millis,
    state: State,
    attempts: Option<u32>,
    due_at: Option<Millis>,
    /// Where the index `due` lists it; absent unless it is pending.
    due_key: Option<String>,
    rejected: Option<Rejected>,
    stored_at: Option<Millis>,
    stored_until: Option<Millis>,
    stored_size: Option<u64>,
    stored_type: Option<String>,
    stored_sha256: Option<String>,
    expires_at: Option<Seconds>,
}

impl From<&MediaFile> for Record {
    fn from(it: &MediaFile) -> Self {
        let key = it.key.to_string();
        let mut record = Self {
            phone_number_id: it.phone_number_id.clone(),
            conversation_id: it.conversation_id.clone(),
            message_id: it.message_id.clone(),
            mime_type: it.mime_type.clone(),
            sha256: it.sha256.clone(),
            filename: it.filename.clone(),
            noted_at: Millis(it.noted_at),
            state: State::Missing,
            attempts: None,
            due_at: None,
            due_key: None,
            rejected: None,
            stored_at: None,
            stored_until: None,
            stored_size: None,
            stored_type: None,
            stored_sha256: None,
            expires_at: it.expires_at.map(Seconds),
            media_key: key.clone(),
        };
        match &it.state {
            MediaState::Pending { due_at, attempts } => {
                record.state = State::Pending;
                (record.due_at, record.attempts) = (Some(Millis(*due_at)), Some(*attempts));
                record.due_key = Some(shard(&key));
            }
            MediaState::Stored(file) => {
                record.state = State::Stored;
                (record.stored_at, record.stored_until) = (Some(Millis(file.at)), Some(Millis(file.until)));
                (record.stored_size, record.stored_type) = (Some(file.size), Some(file.mime_type.clone()));
                record.stored_sha256 = Some(file.sha256.clone());
            }
            MediaState::Missing => {}
            MediaState::Rejected(reason) => {
                (record.state, record.rejected) = (State::Rejected, Some(*reason));
            }
        }
        record
    }
}

impl Record {
    fn state(&self) -> Option<MediaState> {
        Some(match self.state {
            State::Pending => {
                MediaState::Pending { due_at: self.due_at?.0, attempts: self.attempts.unwrap_or_default() }
            }
            State::Stored => MediaState::Stored(StoredFile {
                at: self.stored_at?.0,
                until: self.stored_until?.0,
                size: self.stored_size?,
                mime_type: self.stored_type.clone()?,
                sha256: self.stored_sha256.clone()?,
            }),
            State::Missing => MediaState::Missing,
            State::Rejected => MediaState::Rejected(self.rejected?),
        })
    }
}

fn file(item: Item) -> Stored<MediaFile> {
    let record: Record = record(TABLE, item)?;
    let state =
        record.state().ok_or_else(|| StoreError::corrupt(TABLE, "a file's state without its parts"))?;
    Ok(MediaFile {
        key: record.media_key.parse().map_err(|e| StoreError::corrupt(TABLE, e))?,
        phone_number_id: record.phone_number_id,
        conversation_id: record.conversation_id,
        message_id: record.message_id,
        mime_type: record.mime_type,
        sha256: record.sha256,
        filename: record.filename,
        noted_at: record.noted_at.0,
        state,
        expires_at: record.expires_at.map(|at| at.0),
    })
}

impl NoteMedia for Media {
    async fn note_media(&self, file: &MediaFile) -> Stored<bool> {
        let item = item(TABLE, &Record::from(file))?;
        let condition = Expression::when("attribute_not_exists(#mediaKey)");
        let write = self.0.put("dynamodb PutItem on media", item, condition).await?;
        Ok(matches!(write, Write::Done(_)))
    }
}

impl ReadMedia for Media {
    async fn media_file(&self, key: &MediaKey) -> Stored<Option<MediaFile>> {
        let item = self.0.get("dynamodb GetItem on media", (KEY, &key.to_string())).await?;
        item.map(file).transpose()
    }

    async fn media_files(&self, keys: &[MediaKey]) -> Stored<Vec<MediaFile>> {
        let keys: Vec<String> = keys.iter().map(MediaKey::to_string).collect();
        let items = self.0.get_all("dynamodb BatchGetItem on media", KEY, &keys).await?;
        items.into_iter().map(file).collect()
    }
}

impl FetchMedia for Media {
    async fn due_media(&self, now: Timestamp, limit: usize) -> Stored<Vec<Fetch>> {
        let mut due = Vec::new();
        for key in shards() {
            let range = Range {
                index: Some("due"),
                condition: "#dueKey = :dueKey AND #dueAt <= :now",
                values: vec![("dueKey", s(key)), ("now", millis(now))],
                attributes: &[],
                ascending: true,
                consistent: false,
                limit: Some(limit),
            };
            due.extend(self.0.query("dynamodb Query on media", range).await?);
        }
        due.sort_by_key(|entry| number(entry, "dueAt"));
        let fetch = |entry: &Item| {
            let (key, phone) = (text(entry, KEY)?.parse(), text(entry, "phoneNumberId")?.parse());
            Some(Fetch { key: key.ok()?, phone_number_id: phone.ok()? })
        };
        let due = due.iter().take(limit).map(fetch);
        due.map(|it| it.ok_or_else(|| StoreError::corrupt(TABLE, "an entry that names no file"))).collect()
    }

    async fn claim_media(&self, key: &MediaKey, now: Timestamp, until: Timestamp) -> Stored<MediaClaim> {
        let change = Expression::when(
            "#state = :pending AND (attribute_not_exists(#claimedUntil) OR #claimedUntil <= :now)",
        )
        .value("pending", s("pending"))
        .value("now", millis(now))
        .set("claimedUntil", millis(until))
        .set("dueAt", millis(until));
        let key = Item::from([(KEY.to_owned(), s(key.to_string()))]);
        Ok(match self.0.update_at(UPDATE, key, change, ReturnValue::AllNew).await? {
            Write::Done(item) => MediaClaim::Claimed(Box::new(file(item)?)),
            Write::Refused(item) if item.is_empty() => MediaClaim::Unknown,
            Write::Refused(item) if text(&item, "state") == Some("pending") => MediaClaim::Busy,
            Write::Refused(_) => MediaClaim::Ended,
        })
    }

    async fn save_media(&self, file: &MediaFile, claim: Timestamp) -> Stored<MediaSave> {
        let record = with_nulls(TABLE, &Record::from(file))?;
        let change = Expression::when("#claimedUntil = :claim")
            .value("claim", millis(claim))
            .overwrite(record, &[KEY])
            .remove("claimedUntil");
        let key = Item::from([(KEY.to_owned(), s(file.key.to_string()))]);
        Ok(match self.0.update_at(UPDATE, key, change, ReturnValue::None).await? {
            Write::Done(_) => MediaSave::Saved,
            Write::Refused(item) if item.is_empty() => MediaSave::Unknown,
            Write::Refused(_) => MediaSave::Lost,
        })
    }
}

impl EraseMedia for Media {
    async fn erase_media(&self, key: &MediaKey) -> Stored<()> {
        let always = Expression::default();
        self.0.delete("dynamodb DeleteItem on media", (KEY, &key.to_string()), always).await.map(drop)
    }
}

//! Messages of our queues as SQS holds them, and those that a queue gave up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::answer::Nudge;
use super::delivery::Job;
use super::media::Fetch;
use super::parcel::{Content, Parcel, PartHeader, SQS_LIMIT};

/// Most messages of one batch call (AWS, SQS quotas, 2026).
const BATCH: usize = 10;

/// Names of the message attributes of a parcel.
pub mod attribute {
    /// `body` or `part`.
    pub const KIND: &str = "kind";
    /// When the webhook was received, unix milliseconds.
    pub const RECEIVED_AT: &str = "receivedAt";
    /// SHA-256 of the whole that a part belongs to.
    pub const NAME: &str = "name";
    /// Which part, from 0.
    pub const INDEX: &str = "index";
    /// How many parts.
    pub const COUNT: &str = "count";
    /// Only on a replay that is not to be answered: [`SILENT`].
    pub const REPLAY: &str = "replay";
    /// The value of [`REPLAY`].
    pub const SILENT: &str = "silent";
}

/// A queue that feeds a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FedQueue {
    /// Webhooks, for ingest.
    Inbound,
    /// Nudges, for reply.
    Answers,
}

impl FedQueue {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Inbound, Self::Answers];

    /// Why its archived dead letters are in quarantine.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Inbound => "dead_letter:inbound",
            Self::Answers => "dead_letter:answers",
        }
    }

    /// The queue whose archived dead letters have this reason.
    #[must_use]
    pub fn of_reason(reason: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.reason() == reason)
    }
}

/// A dead-letter queue, by what its letters died of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeadQueue {
    /// Elements of webhooks that ingest could not record.
    Inbound,
    /// Nudges that reply could not follow.
    Answers,
    /// Scheduled runs that could not be started.
    Schedules,
}

impl DeadQueue {
    /// Where its letters came from; `None` for scheduled runs, which no queue fed.
    #[must_use]
    pub fn home(self) -> Option<FedQueue> {
        match self {
            Self::Inbound => Some(FedQueue::Inbound),
            Self::Answers => Some(FedQueue::Answers),
            Self::Schedules => None,
        }
    }
}

impl From<FedQueue> for DeadQueue {
    fn from(queue: FedQueue) -> Self {
        match queue {
            FedQueue::Inbound => Self::Inbound,
            FedQueue::Answers => Self::Answers,
        }
    }
}

/// A message's content: all that is needed to put it on its queue again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Letter {
    /// The message.
    pub body: String,
    /// Its attributes, by name.
    #[serde(default)]
    pub attributes: BTreeMap<String, Attribute>,
}

/// A message attribute. We write none that is binary.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attribute {
    /// SQS's data type: `String` or `Number`.
    #[serde(rename = "type")]
    pub kind: String,
    /// As text.
    pub value: String,
}

impl Letter {
    fn with(mut self, name: &str, kind: &str, value: impl ToString) -> Self {
        let attribute = Attribute { kind: kind.to_owned(), value: value.to_string() };
        self.attributes.insert(name.to_owned(), attribute);
        self
    }

    /// An attribute's value.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(|attribute| attribute.value.as_str())
    }

    /// Bytes that count towards SQS's limit.
    #[must_use]
    pub fn size(&self) -> usize {
        let attribute = |(name, a): (&String, &Attribute)| name.len() + a.kind.len() + a.value.len();
        self.body.len() + self.attributes.iter().map(attribute).sum::<usize>()
    }

    /// A message of `inbound`. One that we did not write is taken for a webhook body: ingest keeps it.
    #[must_use]
    pub fn parcel(self, now: Timestamp) -> Parcel {
        let number = |name: &str| self.text(name).and_then(|value| value.parse().ok());
        let received_at = self
            .text(attribute::RECEIVED_AT)
            .and_then(|value| value.parse().ok())
            .and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let part = || {
            Some(PartHeader {
                name: self.text(attribute::NAME)?.to_owned(),
                index: number(attribute::INDEX)?,
                count: number(attribute::COUNT)?,
            })
        };
        // Whatever its value: what we are not sure to have received from Meta just now is not answered.
        let silent = self.text(attribute::REPLAY).is_some();
        let header = (self.text(attribute::KIND) == Some("part")).then(part).flatten();
        let content = match header {
            Some(header) => Content::Part { header, base64: self.body },
            None => Content::Body(self.body),
        };
        Parcel { content, received_at: received_at.unwrap_or(now), silent }
    }
}

impl From<&Parcel> for Letter {
    fn from(parcel: &Parcel) -> Self {
        let (kind, body) = match &parcel.content {
            Content::Body(body) => ("body", body),
            Content::Part { base64, .. } => ("part", base64),
        };
        let mut letter = Self { body: body.clone(), attributes: BTreeMap::new() }
            .with(attribute::KIND, "String", kind)
            .with(attribute::RECEIVED_AT, "Number", parcel.received_at.as_millisecond());
        if let Content::Part { header, .. } = &parcel.content {
            letter = letter
                .with(attribute::NAME, "String", &header.name)
                .with(attribute::INDEX, "Number", header.index)
                .with(attribute::COUNT, "Number", header.count);
        }
        if parcel.silent {
            letter = letter.with(attribute::REPLAY, "String", attribute::SILENT);
        }
        letter
    }
}

impl From<&Nudge> for Letter {
    fn from(nudge: &Nudge) -> Self {
        let body = serde_json::to_string(nudge).expect("an id is JSON");
        Self { body, attributes: BTreeMap::new() }
    }
}

impl From<&Fetch> for Letter {
    fn from(fetch: &Fetch) -> Self {
        let body = serde_json::to_string(fetch).expect("ids are JSON");
        Self { body, attributes: BTreeMap::new() }
    }
}

impl From<&Job> for Letter {
    /// What a customer wrote may hold two characters that SQS does not take (AWS, SQS `SendMessage`, 2026). All that
    /// is text in JSON may be escaped.
    fn from(job: &Job) -> Self {
        let body = serde_json::to_string(job).expect("strings and numbers are JSON");
        let body = body.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
        Self { body, attributes: BTreeMap::new() }
    }
}

/// Groups letters so that each group fits one batch call: at most 10, at most 1 MiB together.
#[must_use]
pub fn batches(letters: &[Letter]) -> Vec<&[Letter]> {
    let mut batches = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (index, letter) in letters.iter().enumerate() {
        if index > start && (size + letter.size() > SQS_LIMIT || index - start == BATCH) {
            batches.push(&letters[start..index]);
            (start, size) = (index, 0);
        }
        size += letter.size();
    }
    if start < letters.len() {
        batches.push(&letters[start..]);
    }
    batches
}

/// A message that its queue gave up after so many tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// SQS's id of the message.
    pub id: String,
    /// Names this delivery of it, for deleting or releasing it.
    pub receipt: String,
    /// When it was first sent to the queue that gave it up. SQS counts two weeks from then.
    pub sent_at: Timestamp,
    /// What it says.
    pub letter: Letter,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(content: Content, silent: bool) -> Parcel {
        Parcel { content, received_at: Timestamp::from_millisecond(1_795_000_000_123).unwrap(), silent }
    }

    #[test]
    fn a_parcel_comes_back_from_its_letter_as_it_was() {
        let header = PartHeader { name: "abc".to_owned(), index: 1, count: 2 };
        for silent in [false, true] {
            for content in [
                Content::Body("{}".to_owned()),
                Content::Part { header: header.clone(), base64: "QQ==".to_owned() },
            ] {
                let parcel = parcel(content, silent);
                assert_eq!(Letter::from(&parcel).parcel(Timestamp::UNIX_EPOCH), parcel);
            }
        }
    }

    #[test]
    fn an_inconsistent_part_header_is_taken_for_a_body_so_that_ingest_keeps_it() {
        let header = PartHeader { name: "abc".to_owned(), index: 1, count: 2 };
        let mut letter = Letter::from(&parcel(Content::Part { header, base64: "QQ==".to_owned() }, false));
        letter.attributes.remove(attribute::COUNT);
        assert_eq!(letter.parcel(Timestamp::UNIX_EPOCH).content, Content::Body("QQ==".to_owned()));
    }

    #[test]
    fn a_replay_of_an_unknown_kind_is_not_answered() {
        let letter = Letter { body: "{}".to_owned(), attributes: BTreeMap::new() };
        assert!(!letter.clone().parcel(Timestamp::UNIX_EPOCH).silent);
        assert!(letter.with(attribute::REPLAY, "String", "other").parcel(Timestamp::UNIX_EPOCH).silent);
    }

    #[test]
    fn a_batch_holds_at_most_ten_and_one_mebibyte_attributes_included() {
        let letter = |len| Letter { body: "x".repeat(len), attributes: BTreeMap::new() };
        let sizes = |letters: &[Letter]| batches(letters).iter().map(|b| b.len()).collect::<Vec<_>>();
        assert_eq!(sizes(&vec![letter(10); 21]), [10, 10, 1]);
        assert_eq!(sizes(&vec![letter(SQS_LIMIT / 2); 2]), [2]);
        assert_eq!(sizes(&vec![letter(SQS_LIMIT / 2).with("a", "String", ""); 2]), [1, 1]);
        assert!(batches(&[]).is_empty());
    }
}

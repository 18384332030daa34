//! What happened, in order: calls that came in and webhooks that went out.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;

/// Entries kept; older ones are forgotten.
const CAPACITY: usize = 10_000;

/// One call to the Graph API or to the language model.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Call {
    /// When it arrived, by the machine's clock.
    pub(crate) at: String,
    pub(crate) method: String,
    /// The whole path, with the version and without the query.
    pub(crate) path: String,
    pub(crate) token_kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) phone_number_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waba_id: Option<String>,
    /// Query parameters, secrets masked.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) query: Value,
    /// JSON or form members, secrets masked; `null` for anything else.
    pub(crate) body: Value,
    /// `null` while the call runs, and for good if it was never answered and nothing was done.
    pub(crate) status: Option<u16>,
    /// Id of the fault that hit it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<String>,
}

/// One attempt to deliver a webhook.
#[derive(Clone, Serialize)]
pub(crate) struct Delivery {
    pub(crate) at: String,
    pub(crate) url: String,
    /// From 1.
    pub(crate) attempt: u32,
    /// `null` = no answer.
    pub(crate) status: Option<u16>,
    pub(crate) ms: u64,
    pub(crate) field: String,
    /// What it holds: the wamid of each message, and `wamid:state` of each status.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) elements: Vec<String>,
}

/// An entry that knows when it was made.
pub(crate) trait Dated {
    /// RFC 3339.
    fn at(&self) -> &str;
}

impl Dated for Call {
    fn at(&self) -> &str {
        &self.at
    }
}

impl Dated for Delivery {
    fn at(&self) -> &str {
        &self.at
    }
}

/// A bounded log. Every entry has an index that is never used again.
pub(crate) struct Log<T> {
    entries: Mutex<Entries<T>>,
}

struct Entries<T> {
    /// Index of the first entry that is still kept.
    first: u64,
    kept: VecDeque<T>,
}

/// Which entries to read.
#[derive(Clone, Copy)]
pub(crate) enum Since {
    /// Everything that is kept.
    Start,
    /// From this index on.
    Index(u64),
    /// From this moment on, in Unix milliseconds.
    Time(i64),
}

impl<T: Clone + Serialize + Dated> Log<T> {
    pub(crate) fn new() -> Self {
        Self { entries: Mutex::new(Entries { first: 0, kept: VecDeque::new() }) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries<T>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an entry; its index.
    pub(crate) fn push(&self, entry: T) -> u64 {
        let mut entries = self.lock();
        if entries.kept.len() >= CAPACITY {
            entries.kept.pop_front();
            entries.first += 1;
        }
        entries.kept.push_back(entry);
        entries.first + entries.kept.len() as u64 - 1
    }

    /// Changes an entry if it is still kept.
    pub(crate) fn update(&self, index: u64, change: impl FnOnce(&mut T)) {
        let mut entries = self.lock();
        let position = index.checked_sub(entries.first).and_then(|at| usize::try_from(at).ok());
        if let Some(entry) = position.and_then(|at| entries.kept.get_mut(at)) {
            change(entry);
        }
    }

    /// Entries as JSON with their `index`, oldest first. A limit takes the first ones after `since`, and the
    /// newest ones when nothing says where to start.
    pub(crate) fn read(&self, since: Since, limit: usize) -> Vec<Value> {
        let entries = self.lock();
        let after = |index: u64, entry: &T| match since {
            Since::Start => true,
            Since::Index(from) => index >= from,
            Since::Time(from) => {
                entry.at().parse::<jiff::Timestamp>().is_ok_and(|at| at.as_millisecond() >= from)
            }
        };
        let indexed = (entries.first..).zip(&entries.kept).filter(|(index, entry)| after(*index, entry));
        let chosen: Vec<(u64, &T)> = indexed.collect();
        let skip = match since {
            Since::Start => chosen.len().saturating_sub(limit),
            _ => 0,
        };
        chosen.into_iter().skip(skip).take(limit).map(|(index, entry)| with_index(index, entry)).collect()
    }

    /// Forgets everything; indexes go on.
    pub(crate) fn clear(&self) {
        let mut entries = self.lock();
        entries.first += entries.kept.len() as u64;
        entries.kept.clear();
    }
}

fn with_index<T: Serialize>(index: u64, entry: &T) -> Value {
    let mut value = serde_json::to_value(entry).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        members.insert("index".to_owned(), index.into());
    }
    value
}

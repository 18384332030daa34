//! Message templates, as an account has them at Meta. Facts: Meta, template management, components, template
//! pausing, and the webhook references of the five template fields (2026-08-25).
//!
//! What we know comes from Meta's lists, from events in any order, and from what we did ourselves. So each aspect
//! of a template keeps its newest fact with the fact's time, as [`super::account`] does for clients.

mod event;
mod preview;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Timestamp;
use super::ids::{TemplateId, TemplateName, WabaId};

pub use event::{TemplateEvent, event_of};
pub use preview::{Filling, Preview, preview};

/// How far a list is dated back. Meta's events have whole seconds of Meta's clock: one that came about after the
/// list was asked for must not look older than the list.
pub const LIST_SKEW: Duration = Duration::from_secs(5);
/// The status of a template that is gone.
pub const DELETED: &str = "DELETED";
/// The status of a template that can be sent.
pub const APPROVED: &str = "APPROVED";
/// The category that customers can opt out of.
pub const MARKETING: &str = "MARKETING";

/// A template in one language.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// The account that it belongs to.
    pub waba_id: WabaId,
    /// Meta's id.
    pub id: TemplateId,
    /// Shared by all its languages.
    pub name: TemplateName,
    /// Meta's code, as `en_US`.
    pub language: String,
    /// Where it stands.
    pub status: Option<Known<Status>>,
    /// What it is for, and so what it costs.
    pub category: Option<Known<Category>>,
    /// `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    pub quality: Option<Known<String>>,
    /// What it says.
    pub content: Option<Known<Content>>,
    /// Counts the writes of its record; 0 = not written yet.
    pub version: u64,
    /// When we first heard of it.
    pub created_at: Timestamp,
    /// When its record changed.
    pub updated_at: Timestamp,
}

/// The newest fact of one aspect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known<T> {
    /// Since when it is known to be so.
    pub at: Timestamp,
    /// How we know.
    pub source: Source,
    /// The fact.
    pub is: T,
}

/// How something is known. Of two facts at the same time the later source counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Meta's list is without it.
    Absence,
    /// Meta showed it.
    Shown,
    /// Meta's event.
    Event,
    /// It was deleted: by us, or by Meta's word. Nothing comes after it, an id is not used again.
    Gone,
}

/// Where a template stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Meta's word: `APPROVED`, `PENDING`, `REJECTED`, `PAUSED`, `DISABLED`, `DELETED`, ….
    pub word: String,
    /// Why, in Meta's word: `INVALID_FORMAT`, `FIRST_PAUSE`, ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why, in Meta's sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What Meta recommends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Status {
    /// Only the word.
    #[must_use]
    pub fn of(word: impl Into<String>) -> Self {
        Self { word: word.into(), reason: None, detail: None, advice: None }
    }
}

/// What a template is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// `AUTHENTICATION`, `MARKETING` or `UTILITY`.
    pub word: String,
    /// What Meta thinks it should be, and will make it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coming: Option<ComingCategory>,
}

/// A change of category that Meta announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComingCategory {
    /// The new category.
    pub word: String,
    /// From when on; `None` = Meta did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// What a template says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Header, body, footer, buttons, cards, in Meta's form: an array.
    pub components: Value,
    /// `POSITIONAL` or `NAMED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter_format: Option<String>,
    /// How long Meta tries to deliver, in seconds; -1 = 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<i64>,
}

/// Something about a template.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// Where it stands.
    Status(Status),
    /// What it is for.
    Category(Category),
    /// Its quality.
    Quality(String),
    /// What it says.
    Content(Content),
    /// Texts and buttons that changed, in Meta's form of components; the others stay.
    Texts(Vec<Value>),
}

impl Template {
    /// One of which only the name is known.
    #[must_use]
    pub fn named(
        waba_id: &WabaId,
        id: &TemplateId,
        name: &TemplateName,
        language: &str,
        now: Timestamp,
    ) -> Self {
        Self {
            waba_id: waba_id.clone(),
            id: id.clone(),
            name: name.clone(),
            language: language.to_owned(),
            status: None,
            category: None,
            quality: None,
            content: None,
            version: 0,
            created_at: now,
            updated_at: now,
        }
    }

    /// Takes a fact over if it is news; `false` if a newer one of its aspect is known, or it is known already.
    pub fn note(&mut self, fact: &Fact, source: Source, at: Timestamp) -> bool {
        match fact {
            Fact::Status(is) => {
                let same = |known: &Status| {
                    known.word == is.word && (is.reason.is_none() || known.reason == is.reason)
                };
                note(&mut self.status, is.clone(), source, at, same)
            }
            Fact::Category(is) => {
                let same = |known: &Category| {
                    known.word == is.word && (is.coming.is_none() || known.coming == is.coming)
                };
                note(&mut self.category, is.clone(), source, at, same)
            }
            Fact::Quality(is) => note(&mut self.quality, is.clone(), source, at, |known| known == is),
            Fact::Content(is) => note(&mut self.content, is.clone(), source, at, |known| known == is),
            Fact::Texts(changed) => {
                let known = self.content.as_ref().map(|known| &known.is);
                let is = with_texts(known, changed);
                note(&mut self.content, is.clone(), source, at, |known| *known == is)
            }
        }
    }

    /// When it was deleted, if it was.
    #[must_use]
    pub fn deleted_at(&self) -> Option<Timestamp> {
        self.status.as_ref().filter(|known| known.is.word == DELETED).map(|known| known.at)
    }

    /// Whether it has this status.
    #[must_use]
    pub fn has_status(&self, word: &str) -> bool {
        self.status.as_ref().is_some_and(|known| known.is.word == word)
    }

    /// Whether it is of this category.
    #[must_use]
    pub fn has_category(&self, word: &str) -> bool {
        self.category.as_ref().is_some_and(|known| known.is.word == word)
    }
}

/// What was shown again is no news: the event that told it first may have said more.
fn note<T: Serialize>(
    known: &mut Option<Known<T>>,
    is: T,
    source: Source,
    at: Timestamp,
    same: impl Fn(&T) -> bool,
) -> bool {
    let new = Known { at, source, is };
    let is_news = known.as_ref().is_none_or(|known| {
        let shown_again = source <= Source::Shown && same(&known.is);
        !shown_again && order(known) < order(&new)
    });
    if is_news {
        *known = Some(new);
    }
    is_news
}

/// Orders facts of one aspect; the last part only so that the order of arrival never matters.
fn order<T: Serialize>(known: &Known<T>) -> (bool, Timestamp, Source, String) {
    let text = serde_json::to_string(&known.is).unwrap_or_default();
    (known.source == Source::Gone, known.at, known.source, text)
}

/// The content with components of these types replaced; a body and a header keep what else is in them, such as
/// their examples.
fn with_texts(known: Option<&Content>, changed: &[Value]) -> Content {
    let mut content = known.cloned().unwrap_or_else(|| Content {
        components: Value::Array(Vec::new()),
        parameter_format: None,
        ttl_seconds: None,
    });
    if !content.components.is_array() {
        content.components = Value::Array(Vec::new());
    }
    let components = content.components.as_array_mut().expect("made one where there was none");
    for new in changed {
        let kind = kind_of(new);
        match components.iter_mut().find(|component| kind_of(component) == kind) {
            Some(component) => {
                for (name, value) in new.as_object().into_iter().flatten() {
                    component[name] = value.clone();
                }
            }
            None => components.push(new.clone()),
        }
    }
    content
}

/// A component's type in upper case.
fn kind_of(component: &Value) -> String {
    component["type"].as_str().unwrap_or_default().to_uppercase()
}

/// A template as Meta lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Its id.
    pub id: TemplateId,
    /// Its name.
    pub name: TemplateName,
    /// Its language.
    pub language: String,
    /// Where it stands.
    pub status: Option<Status>,
    /// What it is for.
    pub category: Option<Category>,
    /// Its quality.
    pub quality: Option<String>,
    /// What it says.
    pub content: Option<Content>,
}

impl Shown {
    /// What it tells.
    #[must_use]
    pub fn facts(&self) -> Vec<Fact> {
        let status = self.status.clone().map(Fact::Status);
        let category = self.category.clone().map(Fact::Category);
        let quality = self.quality.clone().map(Fact::Quality);
        let content = self.content.clone().map(Fact::Content);
        [status, category, quality, content].into_iter().flatten().collect()
    }
}

/// How far keeping an account's templates true has come.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncState {
    /// A round that is not finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<Round>,
    /// When the last finished round had begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced_at: Option<Timestamp>,
    /// Tries that failed since.
    #[serde(default)]
    pub failures: u32,
}

/// One reading of an account's whole list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Round {
    /// When its first page was asked for.
    pub began_at: Timestamp,
    /// Where the next page begins; `None` = at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// What the pages so far showed: an account has 6000 at most (Meta, template management), which one record
    /// holds.
    #[serde(default)]
    pub seen: Vec<TemplateId>,
}

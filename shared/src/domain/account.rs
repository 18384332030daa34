//! Account life: what Meta's events about accounts and numbers mean for a client. Facts: Meta, webhook
//! references `account_update`, `account_review_update`, `business_capability_update`,
//! `phone_number_quality_update`, `phone_number_name_update` and `security` (2026-09-11).
//!
//! Meta repeats events for seven days and promises no order. So each aspect of a client keeps its newest
//! event and that event's time, and what a client's state is results from the aspects.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::Timestamp;
use super::client::HIGH_THROUGHPUT;
use super::ids::{PhoneNumberId, WabaId};

/// How long a restriction without an end is taken to last: the longest block that Meta names (WhatsApp
/// policy enforcement, read 2026-11-22). No event ends it before, and after it Meta itself says no if it must.
const LONGEST_RESTRICTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Templates are refused.
const BUSINESS_INITIATED: &str = "RESTRICTED_BIZ_INITIATED_MESSAGING";
/// Answers to customers are refused.
const CUSTOMER_INITIATED: &str = "RESTRICTED_CUSTOMER_INITIATED_MESSAGING";

/// Which clients of the account an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// All of them.
    Account,
    /// The number with these digits.
    Number(String),
    /// The number with this id.
    Phone(PhoneNumberId),
}

/// What an event changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// For whom.
    pub whom: Whom,
    /// What.
    pub change: Change,
}

/// One change of a client's state.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "what", content = "how", rename_all = "snake_case")]
pub enum Change {
    /// The client left us for good: only a new signup brings it back.
    Removed(Removal),
    /// A coexistence number lost or found its link to the app's device.
    Link(Link),
    /// The account was banned or reinstated.
    Ban(Ban),
    /// A ban was announced, for a date in Meta's words. Nothing is stopped before it.
    BanAnnounced(String),
    /// Meta's review of the account: `APPROVED`, `REJECTED`, `PENDING`, `DEFERRED`.
    Review(String),
    /// Something is forbidden for a while.
    Restriction(Restriction),
    /// A violation of Meta's policies, by its type.
    Violation(String),
    /// The number's quality: `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    Quality(String),
    /// Customers a day whom the business may write to first: `TIER_250` to `TIER_UNLIMITED`.
    MessagingLimit(String),
    /// Messages a second that the number may send.
    Throughput(u32),
    /// A decision about the display name.
    Name(NameDecision),
    /// Somebody changed or reset the two-step PIN: the stored one may be wrong.
    Pin(String),
}

/// How a client left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Removal {
    /// `PARTNER_REMOVED`: the account is not shared with us any more.
    PartnerRemoved,
    /// `PARTNER_APP_UNINSTALLED`: the token is dead.
    AppUninstalled,
    /// `ACCOUNT_DELETED`.
    AccountDeleted,
}

impl Removal {
    /// The word in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PartnerRemoved => "partner_removed",
            Self::AppUninstalled => "app_uninstalled",
            Self::AccountDeleted => "account_deleted",
        }
    }
}

/// The link of a coexistence number. A new device breaks it (`ACCOUNT_OFFBOARDED`), mostly for minutes;
/// access and subscriptions stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// `ACCOUNT_OFFBOARDED`: nothing can be sent.
    Lost,
    /// `ACCOUNT_RECONNECTED`.
    Found,
}

/// `waba_ban_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ban {
    /// `DISABLE`.
    Disabled,
    /// `REINSTATE`.
    Reinstated,
}

/// Something that Meta forbids.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Restriction {
    /// Meta's word, such as `RESTRICTED_BIZ_INITIATED_MESSAGING`.
    pub kind: String,
    /// When it ends. `None` = Meta did not say.
    pub until: Option<Timestamp>,
}

/// A decision about a display name.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NameDecision {
    /// `APPROVED`, `DEFERRED`, `PENDING`, `REJECTED`.
    pub decision: String,
    /// The name that was asked for.
    pub name: Option<String>,
    /// Why not.
    pub reason: Option<String>,
}

/// The account that a change of `field` is about: the one that the value names, else the entry's. For the
/// events about partners the entry's id is the partner's own portfolio.
#[must_use]
pub fn account_of(value: &Value, entry_id: Option<&str>) -> Option<WabaId> {
    let named = value.pointer("/waba_info/waba_id").and_then(text);
    named.as_deref().or(entry_id).and_then(|id| id.parse().ok())
}

/// What a change of this field and value means for clients. Empty for events that change nothing, unknown
/// ones included: those are kept like all others.
#[must_use]
pub fn told(field: &str, value: &Value) -> Vec<Told> {
    let number = number_of(value);
    let of_number = |change: Change| Told { whom: number.clone().unwrap_or(Whom::Account), change };
    let of_account = |change: Change| Told { whom: Whom::Account, change };
    match field {
        "account_update" => account_update(value).into_iter().map(of_number).collect(),
        "account_review_update" => {
            word(value, "decision").map(Change::Review).map(of_account).into_iter().collect()
        }
        "business_capability_update" => limit(value).map(of_account).into_iter().collect(),
        "phone_number_quality_update" => quality(value).into_iter().map(of_number).collect(),
        // A number's own event that names no number says nothing about the others.
        "phone_number_name_update" if number.is_some() => name(value).map(of_number).into_iter().collect(),
        "security" if number.is_some() => {
            word(value, "event").map(Change::Pin).map(of_number).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn account_update(value: &Value) -> Vec<Change> {
    let one = |change| vec![change];
    match word(value, "event").as_deref() {
        Some("PARTNER_REMOVED") => one(Change::Removed(Removal::PartnerRemoved)),
        Some("PARTNER_APP_UNINSTALLED") => one(Change::Removed(Removal::AppUninstalled)),
        Some("ACCOUNT_DELETED") => one(Change::Removed(Removal::AccountDeleted)),
        Some("ACCOUNT_OFFBOARDED") => one(Change::Link(Link::Lost)),
        Some("ACCOUNT_RECONNECTED") => one(Change::Link(Link::Found)),
        Some("DISABLED_UPDATE") => ban(&value["ban_info"]).into_iter().collect(),
        Some("ACCOUNT_RESTRICTION") => restrictions(&value["restriction_info"]),
        Some("ACCOUNT_VIOLATION") => {
            let kind = word(&value["violation_info"], "violation_type");
            one(Change::Violation(kind.unwrap_or_else(|| "UNKNOWN".to_owned())))
        }
        _ => Vec::new(),
    }
}

/// One page of Meta's prints the state as a list.
fn ban(info: &Value) -> Option<Change> {
    let state = &info["waba_ban_state"];
    let state = state.as_str().or_else(|| state.as_array()?.iter().find_map(Value::as_str));
    match state? {
        "DISABLE" => Some(Change::Ban(Ban::Disabled)),
        "REINSTATE" => Some(Change::Ban(Ban::Reinstated)),
        "SCHEDULE_FOR_DISABLE" => {
            Some(Change::BanAnnounced(word(info, "waba_ban_date").unwrap_or_else(|| "soon".to_owned())))
        }
        _ => None,
    }
}

fn restrictions(list: &Value) -> Vec<Change> {
    let one = |info: &Value| {
        let until = text(&info["expiration"]).and_then(|text| text.parse().ok());
        let until = until.and_then(|seconds| Timestamp::from_second(seconds).ok());
        Some(Change::Restriction(Restriction { kind: word(info, "restriction_type")?, until }))
    };
    list.as_array().into_iter().flatten().filter_map(one).collect()
}

fn quality(value: &Value) -> Vec<Change> {
    let event = match word(value, "event").as_deref() {
        Some("THROUGHPUT_UPGRADE") => Some(Change::Throughput(HIGH_THROUGHPUT)),
        // Until 2026 the quality itself: flagged was low, and unflagged something better.
        Some("FLAGGED") => Some(Change::Quality("RED".to_owned())),
        Some("UNFLAGGED") => Some(Change::Quality("UNKNOWN".to_owned())),
        _ => None,
    };
    event.into_iter().chain(limit(value)).collect()
}

/// The limit under the names that it had over time; a word, or once a number (-1 = none).
fn limit(value: &Value) -> Option<Change> {
    const NAMES: [&str; 4] = [
        "max_daily_conversations_per_business",
        "max_daily_conversations_per_waba",
        "current_limit",
        "max_daily_conversation_per_phone",
    ];
    let found = NAMES.iter().find_map(|name| text(&value[*name]))?;
    Some(Change::MessagingLimit(match found.parse::<i64>() {
        Err(_) => found,
        Ok(..0) => "TIER_UNLIMITED".to_owned(),
        Ok(number) if number >= 1000 && number % 1000 == 0 => format!("TIER_{}K", number / 1000),
        Ok(number) => format!("TIER_{number}"),
    }))
}

fn name(value: &Value) -> Option<Change> {
    let decision = word(value, "decision")?;
    let (name, reason) = (word(value, "requested_verified_name"), word(value, "rejection_reason"));
    Some(Change::Name(NameDecision { decision, name, reason }))
}

fn number_of(value: &Value) -> Option<Whom> {
    if let Some(id) = word(value, "phone_number_id").and_then(|id| id.parse().ok()) {
        return Some(Whom::Phone(id));
    }
    let shown = text(&value["display_phone_number"]).or_else(|| text(&value["phone_number"]))?;
    Some(digits(&shown)).filter(|digits| !digits.is_empty()).map(Whom::Number)
}

/// Only the digits of a number as people write it.
#[must_use]
pub fn digits(formatted: &str) -> String {
    formatted.chars().filter(char::is_ascii_digit).collect()
}

/// Text, or a number as text; Meta changes between the two.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A text that says something, cut to what a record should hold of a stranger's words.
fn word(value: &Value, member: &str) -> Option<String> {
    let text: String = text(&value[member])?.chars().take(256).collect();
    (!text.is_empty()).then_some(text)
}

/// A change with the time of its event.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Noted {
    /// Meta's time of the event.
    pub at: Timestamp,
    /// What it changed.
    pub change: Change,
}

impl Noted {
    /// What it is about. Of one aspect, the newest event counts.
    #[must_use]
    pub fn aspect(&self) -> String {
        match &self.change {
            Change::Removed(_) => "removal".to_owned(),
            Change::Link(_) => "link".to_owned(),
            Change::Ban(_) => "ban".to_owned(),
            Change::BanAnnounced(_) => "ban_announced".to_owned(),
            Change::Review(_) => "review".to_owned(),
            Change::Restriction(restriction) => format!("restriction#{}", restriction.kind),
            Change::Violation(_) => "violation".to_owned(),
            Change::Quality(_) => "quality".to_owned(),
            Change::MessagingLimit(_) => "messaging_limit".to_owned(),
            Change::Throughput(_) => "throughput".to_owned(),
            Change::Name(_) => "name".to_owned(),
            Change::Pin(_) => "pin".to_owned(),
        }
    }

    /// Orders the events of one aspect, as text: the later one counts, and of two at the same second the one
    /// that is greater here, so that the order of arrival never matters.
    #[must_use]
    pub fn order(&self) -> String {
        let change = serde_json::to_string(&self.change).unwrap_or_default();
        format!("{:015}#{}#{change}", self.at.as_millisecond().max(0), self.weight())
    }

    /// Which of two events at the same time counts.
    fn weight(&self) -> i64 {
        match &self.change {
            // A number can only be found again after it was lost.
            Change::Link(Link::Found) | Change::Ban(Ban::Disabled) => 1,
            // Fourteen digits until the year 9999: texts of one length compare like numbers.
            Change::Restriction(restriction) => {
                let until = restriction.until.map_or(i64::MAX, Timestamp::as_millisecond);
                until.clamp(10_000_000_000_000, 99_999_999_999_999)
            }
            _ => 0,
        }
    }
}

/// What events told of a client: of each aspect the newest.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Account(BTreeMap<String, Noted>);

impl FromIterator<Noted> for Account {
    fn from_iter<I: IntoIterator<Item = Noted>>(events: I) -> Self {
        let mut account = Self::default();
        for event in events {
            account.note(event);
        }
        account
    }
}

impl Account {
    /// Takes an event over if it is news; `false` if a newer one of its aspect is known.
    pub fn note(&mut self, noted: Noted) -> bool {
        let aspect = noted.aspect();
        let is_news = self.0.get(&aspect).is_none_or(|known| known.order() < noted.order());
        if is_news {
            self.0.insert(aspect, noted);
        }
        is_news
    }

    /// Everything that is known.
    pub fn all(&self) -> impl Iterator<Item = &Noted> {
        self.0.values()
    }

    /// The newest event of an aspect.
    #[must_use]
    pub fn get(&self, aspect: &str) -> Option<&Noted> {
        self.0.get(aspect)
    }

    /// How and when the client left, if that was after its signup.
    #[must_use]
    pub fn removal(&self, signed_up_at: Timestamp) -> Option<(Removal, Timestamp)> {
        match self.since("removal", signed_up_at)? {
            Noted { at, change: Change::Removed(removal) } => Some((*removal, *at)),
            _ => None,
        }
    }

    /// Why nothing can be sent for now, in a stable word, and since when.
    #[must_use]
    pub fn suspension(&self, signed_up_at: Timestamp) -> Option<(&'static str, Timestamp)> {
        ["ban", "review", "link"].into_iter().find_map(|aspect| {
            let noted = self.since(aspect, signed_up_at)?;
            let reason = match &noted.change {
                Change::Ban(Ban::Disabled) => "banned",
                Change::Review(decision) if decision == "REJECTED" => "review_rejected",
                Change::Link(Link::Lost) => "disconnected",
                _ => return None,
            };
            Some((reason, noted.at))
        })
    }

    /// The restrictions in force at `now`, with their ends.
    #[must_use]
    pub fn restrictions(&self, signed_up_at: Timestamp, now: Timestamp) -> Vec<(&str, Timestamp)> {
        let recent = self.0.values().filter(|noted| is_since(noted, signed_up_at));
        let known = recent.filter_map(|noted| match &noted.change {
            Change::Restriction(it) => {
                Some((it.kind.as_str(), it.until.unwrap_or(noted.at + LONGEST_RESTRICTION)))
            }
            _ => None,
        });
        known.filter(|(_, until)| *until > now).collect()
    }

    /// Until when a message of this kind would be refused: a template, or an answer to a customer.
    #[must_use]
    pub fn refuses(&self, is_template: bool, signed_up_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let wanted = if is_template { BUSINESS_INITIATED } else { CUSTOMER_INITIATED };
        let restrictions = self.restrictions(signed_up_at, now);
        restrictions.into_iter().find(|(kind, _)| *kind == wanted).map(|(_, until)| until)
    }

    /// What a person should know and nothing acts on: the aspect, Meta's word, and when.
    #[must_use]
    pub fn warnings(&self, signed_up_at: Timestamp) -> Vec<(String, &str, Timestamp)> {
        let recent = self.0.values().filter(|noted| is_since(noted, signed_up_at));
        let is_over = |noted: &Noted| matches!(noted.change, Change::BanAnnounced(_)) && self.is_past(noted);
        recent
            .filter(|noted| !is_over(noted))
            .filter_map(|noted| match &noted.change {
                Change::BanAnnounced(word) | Change::Violation(word) | Change::Pin(word) => {
                    Some((noted.aspect(), word.as_str(), noted.at))
                }
                _ => None,
            })
            .collect()
    }

    /// Whether an announced ban has come, or was called off.
    fn is_past(&self, announced: &Noted) -> bool {
        self.get("ban").is_some_and(|ban| ban.at >= announced.at)
    }

    fn since(&self, aspect: &str, signed_up_at: Timestamp) -> Option<&Noted> {
        self.get(aspect).filter(|noted| is_since(noted, signed_up_at))
    }
}

/// Whether an event is about this signup. Those before it, such as late repetitions of the removal that the
/// client has come back from, say nothing of it. Meta's times are whole seconds.
fn is_since(noted: &Noted, signed_up_at: Timestamp) -> bool {
    noted.at.as_second() >= signed_up_at.as_second()
}

#[cfg(test)]
mod tests;

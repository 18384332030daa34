//! Drift: how Meta shows a client against how its onboarding made it. Each difference has a name, says whose turn
//! it is, and lists the exact calls to Meta that would mend it. Facts: Meta, subscribe to webhooks, callback
//! overrides, share and verify credit, registration of numbers, Graph API versions (read 2026-11-22).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::Timestamp;
use super::client::Client;
use super::grant::{Lack, TokenFacts};
use super::ids::AllocationId;
use super::onboarding::Turn;

/// The names of drifts, in the order in which they are mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DriftName {
    /// There is no business token that Meta takes.
    TokenInvalid,
    /// The token is good, and does not open the account or the number any more.
    AccessLost,
    /// Our app gets no webhooks of the account.
    Unsubscribed,
    /// The account's messages go to another address than our app's.
    CallbackOverridden,
    /// The number's messages go to another address than our app's.
    NumberCallbackOverridden,
    /// Our system user may not manage the account: credit cannot be shared.
    SystemUserUnassigned,
    /// Nothing pays for the account, and our credit line did.
    CreditMissing,
    /// Something else pays for the account than our credit line.
    OtherFunding,
    /// Another allocation of our credit line pays than the one that we noted.
    AllocationChanged,
    /// Meta does not show the number as connected.
    NotConnected,
    /// The display name is another one than we show.
    NameChanged,
    /// The quality rating is another one than we show.
    QualityChanged,
    /// Meta ends the Graph version that this deployment calls.
    GraphVersionEnding,
}

impl DriftName {
    /// What is so, for a person.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Self::TokenInvalid => "Meta takes no token of the client any more.",
            Self::AccessLost => "The client's token does not open the account or the number any more.",
            Self::Unsubscribed => "Meta sends no webhooks of the account.",
            Self::CallbackOverridden => "The account's messages are sent to another address.",
            Self::NumberCallbackOverridden => "The number's messages are sent to another address.",
            Self::SystemUserUnassigned => "The partner's system user may not manage the account.",
            Self::CreditMissing => "Nothing pays for the account any more.",
            Self::OtherFunding => "Something else pays for the account than the partner's credit line.",
            Self::AllocationChanged => "Another credit allocation pays for the account than the noted one.",
            Self::NotConnected => "Meta does not show the number as connected.",
            Self::NameChanged => "The display name is another one than the one that is shown here.",
            Self::QualityChanged => "The quality rating is another one than the one that is shown here.",
            Self::GraphVersionEnding => "Meta ends the version of the Graph API that is called.",
        }
    }
}

impl Drift {
    /// What to do about it.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match (self.turn, self.name) {
            (Turn::Ours, _) => "Call reconcile without dryRun: it makes the listed calls.",
            (Turn::NewSignup, _) => "Let the client sign up again.",
            (Turn::Person, DriftName::OtherFunding) => {
                "Ask the client who is to pay: Meta lets nobody change what pays for an account."
            }
            (Turn::Person, DriftName::GraphVersionEnding) => {
                "Deploy with a later GraphVersion, after reading its changelog."
            }
            (Turn::Person, _) => "Look at the number in WhatsApp Manager: its state says what Meta wants.",
        }
    }

    /// Whether somebody should hear of it. A quality that is good, or not yet known, is no news to wake anybody.
    #[must_use]
    pub fn is_alarming(&self) -> bool {
        self.name != DriftName::QualityChanged || matches!(self.found.as_deref(), Some("RED" | "YELLOW"))
    }

    /// Whether mending it changes our own record only.
    #[must_use]
    pub fn is_of_record(&self) -> bool {
        matches!(self.name, DriftName::NameChanged | DriftName::QualityChanged)
    }
}

/// Whose token a call is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CallToken {
    /// The client's business token.
    Client,
    /// The token of the partner's system user.
    SystemUser,
}

/// A call to Meta, without its secrets: a name in braces stands for what is ours alone.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct MetaCall {
    /// Such as `POST`.
    pub method: String,
    /// Behind the version.
    pub path: String,
    /// Of the query or the body.
    #[serde(default)]
    pub parameters: BTreeMap<String, Value>,
    /// Whose token it is made with.
    pub token: CallToken,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Drift {
    /// Which.
    pub name: DriftName,
    /// Who can mend it.
    pub turn: Turn,
    /// How it was made, where that can be said in a word.
    pub expected: Option<String>,
    /// How it is. Addresses have lost their query.
    pub found: Option<String>,
    /// The calls that would mend it, in order. Empty where our record is mended, or somebody else has to act.
    pub calls: Vec<MetaCall>,
}

/// The last look at a client.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Check {
    /// When.
    pub at: Timestamp,
    /// What was found. Empty = all is as it was made.
    pub drifts: Vec<Drift>,
}

/// How a client was made.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// As we show it.
    pub client: &'a Client,
    /// The allocation of our credit line that its onboarding noted; `None` = the client pays Meta itself.
    pub allocation: Option<&'a AllocationId>,
    /// Billing currency (ISO 4217) of an account that has none, should the credit be shared once more.
    pub currency: &'a str,
}

/// How Meta shows it.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// There is no token that Meta takes; why.
    NoToken(String),
    /// The token does not open this any more; Meta's code.
    ShutOut(String),
    /// All of it was seen.
    Seen(Box<Seen>),
}

/// What the token lets us see.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Whether our app gets the account's webhooks.
    pub subscribed: bool,
    /// Where the account's messages are sent instead of to our app's address.
    pub callback: Option<String>,
    /// The number.
    pub number: SeenNumber,
    /// Billing currency of the account (ISO 4217), once it has one.
    pub currency: Option<String>,
    /// What pays for the account.
    pub paid: Paid,
}

/// A number as Meta shows it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SeenNumber {
    /// `CONNECTED`, `PENDING`, `BANNED`, …
    pub status: Option<String>,
    /// Whether it can be used as it is.
    pub is_usable: bool,
    /// Whether its owner must first prove again that it is theirs.
    pub is_unverified: bool,
    /// Where its messages are sent instead of to our app's address.
    pub callback: Option<String>,
    /// Display name.
    pub verified_name: Option<String>,
    /// `GREEN`, `YELLOW`, `RED`, `UNKNOWN`, …
    pub quality_rating: Option<String>,
}

/// What pays for an account. The system user is only looked at where our credit line is to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paid {
    /// It is not ours to pay.
    NotOurs,
    /// Nothing.
    ByNothing {
        /// The system user, if it may not manage the account.
        unassigned: Option<String>,
    },
    /// An allocation of our credit line.
    ByUs {
        /// Which.
        allocation: AllocationId,
        /// The system user, if it may not manage the account.
        unassigned: Option<String>,
    },
    /// Something else.
    ByOther,
}

/// Every difference, in the order in which they are mended.
#[must_use]
pub fn drifts(expected: &Expected<'_>, found: &Found) -> Vec<Drift> {
    match found {
        Found::NoToken(why) => vec![of_others(DriftName::TokenInvalid, Turn::NewSignup, why)],
        Found::ShutOut(what) => vec![of_others(DriftName::AccessLost, Turn::NewSignup, what)],
        Found::Seen(seen) => {
            [callbacks(expected.client, seen), credit(expected, seen), number(expected.client, &seen.number)]
                .concat()
        }
    }
}

/// A drift that no call of ours mends.
fn of_others(name: DriftName, turn: Turn, found: &str) -> Drift {
    Drift { name, turn, expected: None, found: Some(found.to_owned()), calls: Vec::new() }
}

fn callbacks(client: &Client, seen: &Seen) -> Vec<Drift> {
    let subscribe = || client_call(format!("/{}/subscribed_apps", client.waba_id), &[]);
    let drift = |name, found: Option<String>, call| Drift {
        name,
        turn: Turn::Ours,
        expected: None,
        found,
        calls: vec![call],
    };
    let mut found = Vec::new();
    if !seen.subscribed {
        found.push(drift(DriftName::Unsubscribed, None, subscribe()));
    } else if let Some(callback) = &seen.callback {
        // The same call without a body removes the override.
        found.push(drift(DriftName::CallbackOverridden, Some(address(callback)), subscribe()));
    }
    if let Some(callback) = &seen.number.callback {
        let nowhere = json!({"override_callback_uri": ""});
        let call = client_call(format!("/{}", client.phone_number_id), &[("webhook_configuration", nowhere)]);
        found.push(drift(DriftName::NumberCallbackOverridden, Some(address(callback)), call));
    }
    found
}

/// Behind a question mark there may be somebody's secret.
fn address(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().chars().take(200).collect()
}

fn credit(expected: &Expected<'_>, seen: &Seen) -> Vec<Drift> {
    let Some(noted) = expected.allocation else { return Vec::new() };
    let waba = &expected.client.waba_id;
    let expects = || Some(noted.to_string());
    let (unassigned, drift) = match &seen.paid {
        Paid::NotOurs => (None, None),
        Paid::ByOther => {
            let other = of_others(DriftName::OtherFunding, Turn::Person, "another payment method");
            (None, Some(Drift { expected: expects(), ..other }))
        }
        Paid::ByNothing { unassigned } => {
            let parameters = BTreeMap::from([
                parameter("waba_currency", seen.currency.as_deref().unwrap_or(expected.currency)),
                parameter("waba_id", waba.as_ref()),
            ]);
            let path = "/{creditLineId}/whatsapp_credit_sharing_and_attach".to_owned();
            let calls = vec![system_user_call(path, parameters)];
            let drift = Drift {
                name: DriftName::CreditMissing,
                turn: Turn::Ours,
                expected: expects(),
                found: None,
                calls,
            };
            (unassigned.as_ref(), Some(drift))
        }
        Paid::ByUs { allocation, unassigned } => {
            let drift = (allocation != noted).then(|| Drift {
                name: DriftName::AllocationChanged,
                turn: Turn::Ours,
                expected: expects(),
                found: Some(allocation.to_string()),
                calls: Vec::new(),
            });
            (unassigned.as_ref(), drift)
        }
    };
    let assign = unassigned.map(|user| {
        let parameters = BTreeMap::from([parameter("user", user), parameter("tasks", "['MANAGE']")]);
        let calls = vec![system_user_call(format!("/{waba}/assigned_users"), parameters)];
        let (name, expected) = (DriftName::SystemUserUnassigned, Some(user.clone()));
        Drift { name, turn: Turn::Ours, expected, found: None, calls }
    });
    assign.into_iter().chain(drift).collect()
}

fn number(client: &Client, seen: &SeenNumber) -> Vec<Drift> {
    let mut found = Vec::new();
    if !seen.is_usable {
        // A ban, a restriction or a deletion is not undone by registering.
        let may_be_registered = matches!(seen.status.as_deref(), Some("PENDING" | "DISCONNECTED"))
            && !seen.is_unverified
            && client.sealed_pin.is_some();
        let parameters = [("messaging_product", json!("whatsapp")), ("pin", json!("{storedPin}"))];
        let register = || client_call(format!("/{}/register", client.phone_number_id), &parameters);
        found.push(Drift {
            name: DriftName::NotConnected,
            turn: if may_be_registered { Turn::Ours } else { Turn::Person },
            expected: Some("CONNECTED".to_owned()),
            found: seen.status.clone(),
            calls: may_be_registered.then(register).into_iter().collect(),
        });
    }
    let of_record = |name, shown: Option<&str>, now: &Option<String>| {
        let (expected, found) = (shown.map(str::to_owned), now.clone());
        // What Meta leaves out says nothing.
        (found.is_some() && found != expected).then(|| Drift {
            name,
            turn: Turn::Ours,
            expected,
            found,
            calls: Vec::new(),
        })
    };
    found.extend(of_record(DriftName::NameChanged, client.verified_name(), &seen.verified_name));
    found.extend(of_record(DriftName::QualityChanged, client.quality_rating(), &seen.quality_rating));
    found
}

fn client_call(path: String, parameters: &[(&str, Value)]) -> MetaCall {
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    MetaCall { method: "POST".to_owned(), path, parameters, token: CallToken::Client }
}

fn system_user_call(path: String, parameters: BTreeMap<String, Value>) -> MetaCall {
    MetaCall { method: "POST".to_owned(), path, parameters, token: CallToken::SystemUser }
}

fn parameter(name: &str, value: &str) -> (String, Value) {
    (name.to_owned(), json!(value))
}

/// Why a token is not good for the client, in words; `None` if it is.
///
/// The accounts of `whatsapp_business_messaging` are Meta's word for what it may be used on: a scope that is named
/// and covers other accounts is of no use here. Managing is tried by using it.
#[must_use]
pub fn token_problem(facts: &TokenFacts, app_id: &str, client: &Client) -> Option<String> {
    match facts.lack(app_id) {
        Some(Lack::Invalid) => return Some("not valid".to_owned()),
        Some(Lack::App) => return Some("of another app".to_owned()),
        Some(Lack::Scope(scope)) => return Some(format!("without {scope}")),
        None => {}
    }
    let covers = facts.messaging_wabas.as_ref().is_none_or(|list| list.contains(&client.waba_id));
    (!covers).then(|| "not for messaging on the account".to_owned())
}

/// How long before its end a version is worth a word: time for a release and its trial.
const NOTICE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// The last days of versions whose end Meta has named (Graph API, changelog, list of versions, read 2026-11-21).
/// A version that is not here is taken for one that lives on.
const ENDS: [(&str, &str); 6] = [
    ("v20.0", "2026-09-24T00:00:00Z"),
    ("v21.0", "2027-01-21T00:00:00Z"),
    ("v22.0", "2027-05-20T00:00:00Z"),
    ("v23.0", "2027-10-08T00:00:00Z"),
    ("v24.0", "2028-02-18T00:00:00Z"),
    ("v25.0", "2028-07-29T00:00:00Z"),
];

/// The drift of a Graph version that ends soon, or has ended.
#[must_use]
pub fn version_drift(version: &str, now: Timestamp) -> Option<Drift> {
    let (_, end) = ENDS.iter().find(|(known, _)| *known == version)?;
    let end: Timestamp = end.parse().ok()?;
    (now + NOTICE >= end).then(|| Drift {
        expected: Some(version.to_owned()),
        ..of_others(DriftName::GraphVersionEnding, Turn::Person, &format!("ends {end}"))
    })
}

/// The hour of the day (UTC) at which a round through all clients begins: night in Europe and America.
const NIGHT: i64 = 3;

/// A walk through all clients, in portions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// The next one begins, or this one goes on, not before this.
    pub due_at: Timestamp,
    /// The last number of the portion before; `None` = a new round begins.
    pub after: Option<String>,
    /// Each writer counts by one, so that one of two wins.
    pub version: u64,
}

impl Round {
    /// The first night after a time.
    #[must_use]
    pub fn next_night(after: Timestamp) -> Timestamp {
        const DAY: i64 = 24 * 60 * 60;
        let since_night = (after.as_second() - NIGHT * 60 * 60).rem_euclid(DAY);
        Timestamp::from_second(after.as_second() - since_night + DAY).unwrap_or(after)
    }

    /// As it is written next, by one who goes on from here.
    #[must_use]
    pub fn moved(&self, due_at: Timestamp, after: Option<String>) -> Self {
        Self { due_at, after, version: self.version + 1 }
    }
}

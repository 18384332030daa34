//! What the simulated Meta knows: plain data, kept in one JSON file between runs.

mod assets;
mod customers;
mod persist;
mod signup;

pub(crate) use assets::{Allocation, Business, Media, Number, Override, Template, Waba};
pub(crate) use customers::{ChatMessage, Customer};
pub(crate) use persist::{load, save};
pub(crate) use signup::{FinishEvent, NumberSpec, Signup, SignupSpec};

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::clock;

/// The scopes that a business token has after Embedded Signup for the Cloud API.
pub(crate) const BUSINESS_SCOPES: [&str; 3] =
    ["whatsapp_business_management", "whatsapp_business_messaging", "public_profile"];

/// Everything that survives a restart. Maps are keyed by id.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// How far the simulated clock is ahead of the machine's.
    pub(crate) clock_offset_ms: i64,
    pub(crate) businesses: BTreeMap<String, Business>,
    pub(crate) wabas: BTreeMap<String, Waba>,
    pub(crate) numbers: BTreeMap<String, Number>,
    pub(crate) allocations: BTreeMap<String, Allocation>,
    /// By the token itself.
    pub(crate) tokens: BTreeMap<String, Token>,
    /// When the configured token of the system user ends; `None` = never.
    pub(crate) system_token_ends_ms: Option<i64>,
    /// Newer tokens of the system user, with when they end.
    pub(crate) system_tokens: BTreeMap<String, i64>,
    /// By the code itself.
    pub(crate) codes: BTreeMap<String, Code>,
    /// By `wa_id`.
    pub(crate) customers: BTreeMap<String, Customer>,
    /// From a BSUID to its customer's `wa_id`.
    pub(crate) bsuids: BTreeMap<String, String>,
    /// Files are not written to the state file: what was uploaded is gone after a restart, as it is at Meta
    /// after 30 days.
    #[serde(skip)]
    pub(crate) media: BTreeMap<String, Media>,
    /// Uploads of samples that were begun, and how many bytes are to come.
    #[serde(skip)]
    pub(crate) uploads: BTreeMap<String, usize>,
    /// Samples that were uploaded.
    #[serde(default)]
    pub(crate) sample_handles: BTreeSet<String>,
}

/// A business token ("business integration system user").
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) business_id: String,
    /// The system user inside the client's portfolio that the token acts as.
    pub(crate) user_id: String,
    pub(crate) waba_ids: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) issued_ms: i64,
    /// `None` = never.
    pub(crate) expires_ms: Option<i64>,
    /// Revoked by `oauth/revoke` or by the client.
    #[serde(default)]
    pub(crate) revoked: bool,
}

/// A signup code on its way to be exchanged.
#[derive(Serialize, Deserialize)]
pub(crate) struct Code {
    pub(crate) token: String,
    pub(crate) expires_ms: i64,
    pub(crate) used: bool,
}

impl State {
    /// Simulated time in Unix milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        clock::wall_ms() + self.clock_offset_ms
    }

    /// When this token of the system user ends (`None` = never), if it is one; `configured` is the first of them.
    pub(crate) fn system_token_end(&self, configured: &str, token: &str) -> Option<Option<i64>> {
        if token == configured {
            return Some(self.system_token_ends_ms);
        }
        self.system_tokens.get(token).map(|end| Some(*end))
    }

    /// The account that has this template.
    pub(crate) fn waba_of_template(&self, template_id: &str) -> Option<&str> {
        let has = |waba: &&Waba| waba.templates.iter().any(|template| template.id == template_id);
        self.wabas.values().find(has).map(|waba| waba.id.as_str())
    }

    pub(crate) fn template_mut(&mut self, waba_id: &str, template_id: &str) -> Option<&mut Template> {
        let waba = self.wabas.get_mut(waba_id)?;
        waba.templates.iter_mut().find(|template| template.id == template_id)
    }

    /// The newest usable token that a client business gave.
    pub(crate) fn token_of_business(&self, business_id: &str) -> Option<&str> {
        let now = self.now_ms();
        self.tokens
            .iter()
            .filter(|(_, token)| token.business_id == business_id && token.is_valid(now))
            .max_by_key(|(_, token)| token.issued_ms)
            .map(|(value, _)| value.as_str())
    }
}

impl Token {
    pub(crate) fn is_expired(&self, now_ms: i64) -> bool {
        self.expires_ms.is_some_and(|at| at <= now_ms)
    }

    pub(crate) fn is_valid(&self, now_ms: i64) -> bool {
        !self.revoked && !self.is_expired(now_ms)
    }
}

//! What one client business gave us: one sealed business token, usable for all its numbers.

use super::Timestamp;
use super::ids::{AllocationId, BotId, BusinessId, GrantId, WabaId};
use super::seal::Sealed;
use super::token_care::{Care, Previous};

/// One client business's grant to one bot.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// `{botId}.{businessId}`.
    pub id: GrantId,
    /// The bot that signed the business up.
    pub bot_id: BotId,
    /// The client's business portfolio. Kept because Meta no longer tells it once the client left,
    /// and revoking the credit needs it.
    pub business_id: BusinessId,
    /// The business token. `None` once nobody uses it any more: then only the ids are kept.
    pub token: Option<Sealed>,
    /// Counts the tokens that this grant has had; one writer at a time moves it by one.
    pub token_version: u64,
    /// Since when Meta is known not to take this token; a new token begins without.
    pub dead_since: Option<Timestamp>,
    /// When the token expires; `None` = never.
    pub token_expires_at: Option<Timestamp>,
    /// The token before, as long as this one has not worked yet.
    pub previous: Option<Previous>,
    /// When somebody looks after the token next; `None` = nobody does, because there is none.
    pub care_at: Option<Timestamp>,
    /// What looking after it has found.
    pub care: Care,
    /// Scopes that `debug_token` reported.
    pub scopes: Vec<String>,
    /// WhatsApp accounts that the token covers, newest first.
    pub waba_ids: Vec<WabaId>,
    /// The credit allocation that pays for the business, once shared.
    pub allocation_id: Option<AllocationId>,
    /// Billing currency of the allocation (ISO 4217).
    pub currency: Option<String>,
    /// When the grant was first stored.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What `debug_token` says of a token (Meta, Graph API reference, `debug_token`).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenFacts {
    /// Whether Meta takes the token.
    pub is_valid: bool,
    /// The app that the token belongs to.
    pub app_id: String,
    /// What the token may do.
    pub scopes: Vec<String>,
    /// Accounts of `whatsapp_business_management`, newest first. `None` where Meta left the list out.
    pub management_wabas: Option<Vec<WabaId>>,
    /// Accounts of `whatsapp_business_messaging`.
    pub messaging_wabas: Option<Vec<WabaId>>,
    /// `None` = never.
    pub expires_at: Option<Timestamp>,
}

/// What the platform needs of a token.
const SCOPES: [&str; 2] = ["whatsapp_business_management", "whatsapp_business_messaging"];

/// What a token lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Meta does not take it.
    Invalid,
    /// It belongs to another app.
    App,
    /// This permission was not granted.
    Scope(&'static str),
}

impl TokenFacts {
    /// What it lacks to be used by our app.
    #[must_use]
    pub fn lack(&self, app_id: &str) -> Option<Lack> {
        if !self.is_valid {
            return Some(Lack::Invalid);
        }
        if self.app_id != app_id {
            return Some(Lack::App);
        }
        let missing = SCOPES.into_iter().find(|scope| !self.scopes.iter().any(|s| s == scope));
        missing.map(Lack::Scope)
    }

    /// The accounts that the token covers with both scopes, newest first. Empty also where Meta named none.
    #[must_use]
    pub fn waba_ids(&self) -> Vec<WabaId> {
        let management = self.management_wabas.as_deref().unwrap_or_default();
        management
            .iter()
            .filter(|waba| self.messaging_wabas.as_ref().is_none_or(|list| list.contains(waba)))
            .cloned()
            .collect()
    }
}

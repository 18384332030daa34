//! Businesses and what they own.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::random;

/// A client's business portfolio.
#[derive(Serialize, Deserialize)]
pub(crate) struct Business {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// A callback URL that replaces the app's own, for one WABA or one number.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Override {
    pub(crate) url: String,
}

/// A WhatsApp Business Account.
#[derive(Serialize, Deserialize)]
pub(crate) struct Waba {
    pub(crate) id: String,
    pub(crate) business_id: String,
    pub(crate) name: String,
    pub(crate) currency: Option<String>,
    pub(crate) created_ms: i64,
    /// Whether the partner's portfolio sees it (an app-only install shares nothing).
    pub(crate) shared: bool,
    pub(crate) subscribed: bool,
    pub(crate) webhook: Option<Override>,
    /// Tasks by user id.
    pub(crate) assigned_users: BTreeMap<String, Vec<String>>,
    /// Credential that pays; `None` = no payment method.
    pub(crate) primary_funding_id: Option<String>,
    /// Every allocation of the partner's line that was ever attached, in order.
    pub(crate) allocations: Vec<String>,
    /// Credit calls that were refused because the line was already attached.
    pub(crate) refused_credit_calls: u64,
    pub(crate) templates: Vec<Template>,
    /// When templates were created within the last hour.
    #[serde(default)]
    pub(crate) template_creates: Vec<i64>,
    /// Names of approved templates that were deleted, and when.
    #[serde(default)]
    pub(crate) deleted_templates: Vec<(String, i64)>,
}

/// A business phone number.
#[derive(Serialize, Deserialize)]
pub(crate) struct Number {
    pub(crate) id: String,
    pub(crate) waba_id: String,
    /// Formatted as people write it: `+1 212-555-0100`.
    pub(crate) display_phone_number: String,
    pub(crate) verified_name: String,
    /// Whether its owner proved it by a one-time password.
    pub(crate) verified: bool,
    pub(crate) registered: bool,
    /// The two-step PIN; `None` = two-step verification is off.
    pub(crate) pin: Option<String>,
    /// Coexistence: the number also lives in the WhatsApp Business app.
    pub(crate) on_biz_app: bool,
    /// Calls that count against the limit, in simulated milliseconds.
    pub(crate) register_calls: Vec<i64>,
    pub(crate) deregister_calls: Vec<i64>,
    pub(crate) register_total: u64,
    pub(crate) blocked_until_ms: Option<i64>,
    pub(crate) webhook: Option<Override>,
    /// Local storage region, if switched on.
    pub(crate) storage_region: Option<String>,
    /// Which coexistence syncs were asked for.
    pub(crate) synced: BTreeSet<String>,
    pub(crate) onboarded_ms: i64,
}

/// A share of the partner's credit line for one client business.
#[derive(Serialize, Deserialize)]
pub(crate) struct Allocation {
    pub(crate) id: String,
    pub(crate) receiving_business: String,
    pub(crate) receiving_credential: String,
    pub(crate) currency: Option<String>,
    pub(crate) deleted: bool,
}

/// A message template.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Template {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) language: String,
    pub(crate) category: String,
    pub(crate) status: String,
    pub(crate) parameter_format: String,
    pub(crate) components: Value,
    #[serde(default = "unknown")]
    pub(crate) quality: String,
    #[serde(default = "none")]
    pub(crate) rejected_reason: String,
    /// A category that was announced.
    #[serde(default)]
    pub(crate) correct_category: Option<String>,
    #[serde(default)]
    pub(crate) ttl_seconds: Option<i64>,
    /// When it was edited within the last 30 days.
    #[serde(default)]
    pub(crate) edits: Vec<i64>,
}

fn unknown() -> String {
    "UNKNOWN".to_owned()
}

fn none() -> String {
    "NONE".to_owned()
}

/// A file, uploaded by a business or sent by a customer.
pub(crate) struct Media {
    pub(crate) number_id: String,
    pub(crate) mime_type: String,
    pub(crate) sha256_hex: String,
    pub(crate) bytes: Bytes,
    pub(crate) expires_ms: i64,
    /// Path secrets of download addresses and when each ends.
    pub(crate) links: Vec<(String, i64)>,
}

impl Number {
    /// Digits only, as webhooks and phones write it.
    pub(crate) fn digits(&self) -> String {
        digits(&self.display_phone_number)
    }

    /// What the `status` field says.
    pub(crate) fn status(&self) -> &'static str {
        match (self.registered, self.verified) {
            (true, _) => "CONNECTED",
            (false, true) => "PENDING",
            (false, false) => "UNVERIFIED",
        }
    }
}

/// Only the digits of a formatted phone number.
pub(crate) fn digits(formatted: &str) -> String {
    formatted.chars().filter(char::is_ascii_digit).collect()
}

impl Template {
    /// A new one that waits for its review.
    pub(crate) fn pending(name: &str, language: &str, category: &str, components: Value) -> Self {
        Self {
            id: random::object_id(),
            name: name.to_owned(),
            language: language.to_owned(),
            category: category.to_owned(),
            status: "PENDING".to_owned(),
            parameter_format: "POSITIONAL".to_owned(),
            components,
            quality: unknown(),
            rejected_reason: none(),
            correct_category: None,
            ttl_seconds: None,
            edits: Vec::new(),
        }
    }

    fn approved(name: &str, language: &str, category: &str, components: Value) -> Self {
        Self { status: "APPROVED".to_owned(), ..Self::pending(name, language, category, components) }
    }
}

/// The templates that every new WABA has, so that a template can be sent before one was written.
pub(crate) fn default_templates() -> Vec<Template> {
    vec![
        Template::approved(
            "hello_world",
            "en_US",
            "UTILITY",
            json!([
                {"type": "HEADER", "format": "TEXT", "text": "Hello World"},
                {"type": "BODY", "text": "Welcome and congratulations!! This message demonstrates your ability to send a WhatsApp message notification."},
                {"type": "FOOTER", "text": "WhatsApp Business Platform sample message"}
            ]),
        ),
        Template::approved(
            "order_update",
            "en_US",
            "UTILITY",
            json!([{"type": "BODY", "text": "Hello {{1}}, your order {{2}} is on its way.",
                    "example": {"body_text": [["Ada", "77"]]}}]),
        ),
        Template::approved(
            "seasonal_offer",
            "en_US",
            "MARKETING",
            json!([{"type": "BODY", "text": "Hi {{1}}, this week everything is a little cheaper.",
                    "example": {"body_text": [["Ada"]]}}]),
        ),
    ]
}

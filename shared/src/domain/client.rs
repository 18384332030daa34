//! One business phone number of one client business.

use super::Timestamp;
use super::ids::{BotId, BusinessId, GrantId, OnboardingId, PhoneNumberId, WabaId};
use super::seal::Sealed;

/// Whether a client can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientStatus {
    /// Its onboarding has not ended.
    Onboarding,
    /// Ready.
    Active,
    /// Known to Meta, but sending is stopped (ban, restriction, payment).
    Suspended,
    /// Gone: off-boarded or released.
    Inactive,
}

/// A client: one number under a grant.
#[derive(Debug, Clone, PartialEq)]
pub struct Client {
    /// The key.
    pub phone_number_id: PhoneNumberId,
    /// Who may see and use it.
    pub bot_id: BotId,
    /// Where its token is.
    pub grant_id: GrantId,
    /// The account that the number is under.
    pub waba_id: WabaId,
    /// The client's business portfolio.
    pub business_id: BusinessId,
    /// What the partner calls it.
    pub client_name: Option<String>,
    /// As Meta shows it, formatted.
    pub display_phone_number: Option<String>,
    /// The display name that Meta approved.
    pub verified_name: Option<String>,
    /// `GREEN`, `YELLOW`, `RED`, `UNKNOWN` or what Meta adds.
    pub quality_rating: Option<String>,
    /// Whether it can be used.
    pub status: ClientStatus,
    /// Whether the number also runs in the WhatsApp Business app (coexistence).
    pub on_biz_app: bool,
    /// The onboarding that writes this record. Another one must claim the client first.
    pub onboarding_id: OnboardingId,
    /// Two-step verification PIN, stored before it is first used.
    pub sealed_pin: Option<Sealed>,
    /// When it first became active.
    pub onboarded_at: Option<Timestamp>,
    /// When a customer last wrote; kept to the minute.
    pub last_message_at: Option<Timestamp>,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

//! The list of clients.

use serde::Serialize;

use super::drift::DriftItem;
use crate::domain::Timestamp;
use crate::domain::client::{Client, ClientStatus, Pause};
use crate::domain::ids::{BotId, BusinessId, OnboardingId, PhoneNumberId, WabaId};

/// One business phone number of one client business.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Client"))]
#[serde(rename_all = "camelCase")]
pub struct ClientItem<'a> {
    /// The same as `phoneNumberId`.
    id: &'a PhoneNumberId,
    bot_id: &'a BotId,
    /// What the partner called the client when it signed up.
    client_name: Option<&'a str>,
    waba_id: &'a WabaId,
    phone_number_id: &'a PhoneNumberId,
    business_id: &'a BusinessId,
    /// The number, as Meta writes it.
    display_phone_number: Option<&'a str>,
    /// The name that customers see.
    verified_name: Option<&'a str>,
    /// Meta's last decision about the name.
    name_decision: Option<NameDecided<'a>>,
    /// `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    quality_rating: Option<&'a str>,
    /// How many customers a day it may write to first: `TIER_250` to `TIER_UNLIMITED`.
    messaging_limit: Option<&'a str>,
    status: ClientStatus,
    /// Why it is suspended or inactive, where an event of Meta's is the reason.
    status_reason: Option<&'static str>,
    status_since: Option<Timestamp>,
    /// What Meta forbids for now.
    restrictions: Vec<Restricted<'a>>,
    /// What a person should know.
    warnings: Vec<Warning<'a>>,
    /// Whether the number also is in the WhatsApp Business app.
    coexistence: bool,
    /// How many messages a second it may send.
    messages_per_second: u32,
    /// Whether a webhook for it has arrived since its signup. Until then, write to the number from any phone.
    receives: bool,
    /// When the last webhook for it arrived; kept to the minute, or to the hour where only statuses come.
    last_webhook_at: Option<Timestamp>,
    /// When it was last compared with Meta.
    checked_at: Option<Timestamp>,
    /// What drifted then from how its onboarding made it.
    drifts: Vec<DriftItem<'a>>,
    onboarding_id: &'a OnboardingId,
    onboarded_at: Option<Timestamp>,
    last_message_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// Meta takes no messages of it for now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pause: Option<Pause>,
    /// `true` if Meta does not take its token any more: let the client sign up again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    needs_reconnect: bool,
}

/// A decision about a display name.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "NameDecision"))]
struct NameDecided<'a> {
    /// `APPROVED`, `DEFERRED`, `PENDING` or `REJECTED`.
    decision: &'a str,
    /// The name that was asked for.
    name: Option<&'a str>,
    /// Why not.
    reason: Option<&'a str>,
    at: Timestamp,
}

/// Something that Meta forbids for a while.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Restriction"))]
struct Restricted<'a> {
    /// Meta's word, such as `RESTRICTED_BIZ_INITIATED_MESSAGING`.
    r#type: &'a str,
    until: Timestamp,
}

/// Something that a person should know and nothing acts on.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct Warning<'a> {
    /// `ban_announced`, `violation` or `pin`.
    r#type: String,
    /// Meta's word.
    detail: &'a str,
    at: Timestamp,
}

impl<'a> ClientItem<'a> {
    /// The client as it is shown at `now`.
    #[must_use]
    pub fn of(client: &'a Client, now: Timestamp) -> Self {
        let reason = client.status_reason();
        let restrictions = client.account.restrictions(client.signed_up_at, now).into_iter();
        let warnings = client.account.warnings(client.signed_up_at).into_iter();
        Self {
            id: &client.phone_number_id,
            bot_id: &client.bot_id,
            client_name: client.client_name.as_deref(),
            waba_id: &client.waba_id,
            phone_number_id: &client.phone_number_id,
            business_id: &client.business_id,
            display_phone_number: client.display_phone_number.as_deref(),
            verified_name: client.verified_name(),
            name_decision: client.name_decision().map(|(it, at)| NameDecided {
                decision: &it.decision,
                name: it.name.as_deref(),
                reason: it.reason.as_deref(),
                at,
            }),
            quality_rating: client.quality_rating(),
            messaging_limit: client.messaging_limit(),
            status: client.status(),
            status_reason: reason.map(|(reason, _)| reason),
            status_since: reason.map(|(_, since)| since),
            restrictions: restrictions.map(|(r#type, until)| Restricted { r#type, until }).collect(),
            warnings: warnings.map(|(r#type, detail, at)| Warning { r#type, detail, at }).collect(),
            coexistence: client.on_biz_app,
            messages_per_second: client.messages_per_second(),
            receives: client.receives(),
            last_webhook_at: client.last_webhook_at,
            checked_at: client.check().map(|check| check.at),
            drifts: client.check().into_iter().flat_map(|check| &check.drifts).map(DriftItem::of).collect(),
            onboarding_id: &client.onboarding_id,
            onboarded_at: client.onboarded_at,
            last_message_at: client.last_message_at,
            created_at: client.created_at,
            updated_at: client.updated_at,
            pause: client.pause,
            needs_reconnect: client.reconnect_since.is_some(),
        }
    }
}

/// A cursor: bot and number, either of which may be empty.
#[cfg(feature = "openapi")]
#[derive(schemars::JsonSchema)]
#[schemars(transparent, extend("pattern" = r"^[A-Za-z0-9_-]{0,64}\.[0-9]{0,64}$"))]
struct ClientsCursor(#[expect(dead_code, reason = "only described")] String);

/// What this file describes.
#[cfg(feature = "openapi")]
pub(super) fn operations() -> Vec<super::describe::Operation> {
    use super::describe::Operation;
    let list = Operation::new("get", "/api/whatsapp/clients", "listClients", "Lists clients")
        .described("All clients for an admin's token, else those of its bots, bot after bot.")
        .query::<BotId>("botId", "Only this bot's.")
        .problem(404, "bot_not_found")
        .pages::<ClientItem<'_>, ClientsCursor>("A page of clients.");
    vec![list]
}

//! Events: what the partner's own software is told, and how they are signed.

use std::str::FromStr;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha256;

use super::Timestamp;
use super::ids::{BotId, ConversationId, EventId, InvalidId};
use super::secret::EventSecret;

/// Longest body, in bytes. With everything around it, it fits into a record (400 kB) and a message of a queue.
pub const LARGEST_BODY: usize = 200 * 1024;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub enum EventKind {
    /// A customer wrote, live.
    #[serde(rename = "message.received")]
    MessageReceived,
    /// A message of the client's came further: it was accepted, delivered, read, or it failed.
    #[serde(rename = "message.status")]
    MessageStatus,
    /// A step of an onboarding ended, or the onboarding did.
    #[serde(rename = "onboarding.updated")]
    OnboardingUpdated,
    /// Something that the list of clients shows of a client changed.
    #[serde(rename = "client.updated")]
    ClientUpdated,
    /// A client's token ends soon and could not be renewed.
    #[serde(rename = "token.expiring")]
    TokenExpiring,
    /// Meta does not take a client's token any more.
    #[serde(rename = "token.dead")]
    TokenDead,
    /// Somebody tries a subscription.
    #[serde(rename = "ping")]
    Ping,
}

impl EventKind {
    /// All that can be subscribed to. A ping comes by itself.
    pub const ALL: [Self; 6] = [
        Self::MessageReceived,
        Self::MessageStatus,
        Self::OnboardingUpdated,
        Self::ClientUpdated,
        Self::TokenExpiring,
        Self::TokenDead,
    ];

    /// The word in the body.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MessageReceived => "message.received",
            Self::MessageStatus => "message.status",
            Self::OnboardingUpdated => "onboarding.updated",
            Self::ClientUpdated => "client.updated",
            Self::TokenExpiring => "token.expiring",
            Self::TokenDead => "token.dead",
            Self::Ping => "ping",
        }
    }
}

impl FromStr for EventKind {
    type Err = InvalidId;
    fn from_str(word: &str) -> Result<Self, InvalidId> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(InvalidId("EventKind"))
    }
}

/// Something that happened to a bot.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The same however often it is told.
    pub id: EventId,
    /// What happened.
    pub kind: EventKind,
    /// To whom.
    pub bot_id: BotId,
    /// When.
    pub at: Timestamp,
    /// Of two events of one thing the later has the greater; empty for a ping.
    pub sequence: String,
    /// Whose content it holds: goes with the customer.
    pub conversation_id: Option<ConversationId>,
    /// In the form in which the API shows the thing.
    pub data: Value,
}

impl Event {
    /// The body that is signed and sent. Data that are too large are left out but for the ids in them.
    #[must_use]
    pub fn body(&self) -> String {
        let body = self.with_data(&self.data);
        if body.len() <= LARGEST_BODY {
            return body;
        }
        let ids = ["messageId", "wamid", "phoneNumberId", "onboardingId", "direction", "type", "timestamp"];
        let mut short = json!({ "tooLarge": true });
        for name in ids {
            if let Some(value) = self.data.get(name) {
                short[name] = value.clone();
            }
        }
        self.with_data(&short)
    }

    fn with_data(&self, data: &Value) -> String {
        json!({
            "id": self.id,
            "type": self.kind,
            "timestamp": self.at,
            "sequence": self.sequence,
            "botId": self.bot_id,
            "data": data,
        })
        .to_string()
    }
}

/// The header `webhook-signature` (Standard Webhooks specification, "Signature scheme", 2026): for each secret
/// `v1,` and the base64 of the HMAC-SHA256 of id, time in seconds and body, with dots between them.
///
/// # Panics
/// Never: HMAC takes keys of any length.
#[must_use]
pub fn signature(secrets: &[EventSecret], id: &EventId, at: Timestamp, body: &str) -> String {
    let signed = secrets.iter().map(|secret| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret.key()).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{}.{body}", at.as_second()).as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    });
    signed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> EventSecret {
        EventSecret::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_signature_is_the_one_that_other_implementations_make() {
        // Made with Python's own `hmac`, from the description in the specification.
        let id = "evt_p5jXN8AQM9LWM0D4loKWxJek".parse().unwrap();
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let one = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let other = secret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let both = signature(&[one, other], &id, at, r#"{"test": 2432232314}"#);
        assert_eq!(
            both,
            "v1,OR/Yyh3mE6DHPIJVAkOUMgE48t4qfZjWy8hiqG4zKE0= v1,68ugIuV60NWZa/1i4CUEoWnpizzXDUzw+xf21kbfx8c="
        );
    }

    #[test]
    fn a_secret_has_24_to_64_bytes_and_shows_nothing() {
        for wrong in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_?"] {
            assert!(EventSecret::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
        let made = EventSecret::from_random([[1; 16], [2; 16]]);
        assert_eq!(made.key().len(), 32);
        assert!(!format!("{made:?}").contains("AQEB"));
    }

    #[test]
    fn words_and_kinds_are_the_same_everywhere() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(json!(kind), kind.as_str());
        }
        assert!("ping".parse::<EventKind>().is_err(), "nobody subscribes to it");
    }

    #[test]
    fn what_is_too_large_leaves_its_ids() {
        let event = Event {
            id: "evt_1".parse().unwrap(),
            kind: EventKind::MessageReceived,
            bot_id: "bot".parse().unwrap(),
            at: Timestamp::UNIX_EPOCH,
            sequence: "1".to_owned(),
            conversation_id: None,
            data: json!({"messageId": "wamid.1", "text": "x".repeat(LARGEST_BODY)}),
        };
        let body: Value = serde_json::from_str(&event.body()).unwrap();
        assert_eq!(body["data"], json!({"tooLarge": true, "messageId": "wamid.1"}));
        assert_eq!((&body["id"], &body["type"]), (&json!("evt_1"), &json!("message.received")));
    }
}

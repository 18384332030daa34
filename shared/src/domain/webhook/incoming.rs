//! Messages and statuses out of their pieces, leniently: numbers and strings are mixed, every member
//! but the id is optional (Meta, webhooks reference `messages`, 2026-05 to 2026-08).

use super::super::Timestamp;
use super::super::conversation::{CustomerKey, CustomerNames};
use super::super::draft::CallbackData;
use super::super::ids::{Bsuid, MessageId, PhoneNumberId, WaId, Wamid};
use super::super::status::{StatusEvent, StatusFact, StatusKey};
use super::members::Members;
use super::pieces::Piece;

/// A phone number or a BSUID is far shorter; longer names would fill the item.
const LONGEST_PARTICIPANT: usize = 200;

/// A piece lacks what it is filed under. It goes to the quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No client's number.
    #[error("the element names no phone number id")]
    Number,
    /// No message id.
    #[error("the element has no usable id")]
    Id,
    /// No sender.
    #[error("the message names no sender")]
    Sender,
    /// No state.
    #[error("the status names no state")]
    State,
}

impl Unreadable {
    /// The word in the quarantine.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Number => "no_phone_number_id",
            Self::Id => "no_id",
            Self::Sender => "no_sender",
            Self::State => "no_state",
        }
    }
}

/// A message as a customer sent it.
#[derive(Debug, Clone, PartialEq)]
pub struct IncomingMessage {
    /// The client's number.
    pub phone_number_id: PhoneNumberId,
    /// Its name.
    pub wamid: Wamid,
    /// Meta's time; `None` where it is missing or unreadable.
    pub at: Option<Timestamp>,
    /// Meta's `type`; `unknown` where there is none.
    pub kind: String,
    /// Who sent it.
    pub sender: CustomerNames,
    /// The group that it was sent in.
    pub group: Option<CustomerKey>,
    /// The message that it quotes.
    pub reply_to: Option<MessageId>,
    /// For system messages: the customer has a new number or id.
    pub renamed: Option<Renamed>,
}

/// A customer's old and new names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// Known by this until now.
    pub old: CustomerNames,
    /// Known by this from now on.
    pub new: CustomerNames,
}

/// A status with the number that it came through.
#[derive(Debug, Clone, PartialEq)]
pub struct IncomingStatus {
    /// The client's number.
    pub phone_number_id: PhoneNumberId,
    /// What it says.
    pub event: StatusEvent,
}

impl Piece<'_> {
    /// The client's number, from `value.metadata`.
    fn phone_number_id(&self) -> Result<PhoneNumberId, Unreadable> {
        let metadata = Members::of(self.metadata.unwrap_or_default());
        metadata.text("phone_number_id").and_then(|id| id.parse().ok()).ok_or(Unreadable::Number)
    }

    /// The piece as a customer's message.
    ///
    /// # Errors
    /// [`Unreadable`] if it lacks what it is filed under.
    pub fn message(&self) -> Result<IncomingMessage, Unreadable> {
        let message = Members::of(self.raw);
        let phone_number_id = self.phone_number_id()?;
        let wamid = message.text("id").and_then(|id| id.parse().ok()).ok_or(Unreadable::Id)?;
        let mut sender = names(&message.texts(&["from", "from_user_id"]));
        let renamed = renamed(&sender, &message.object("system"));
        if let (None, Some(renamed)) = (best(&sender), &renamed) {
            sender = renamed.new.clone();
        }
        best(&sender).ok_or(Unreadable::Sender)?;
        Ok(IncomingMessage {
            phone_number_id,
            wamid,
            at: message.time("timestamp"),
            kind: message.word("type").unwrap_or_else(|| "unknown".to_owned()),
            sender,
            group: message.text("group_id").and_then(|group| CustomerKey::group(&group).ok()),
            reply_to: message.object("context").text("id").and_then(|id| id.parse().ok()),
            renamed,
        })
    }

    /// The piece as a status of a sent message.
    ///
    /// # Errors
    /// [`Unreadable`] if it lacks what it is filed under.
    pub fn status(&self, received_at: Timestamp) -> Result<IncomingStatus, Unreadable> {
        let status = Members::of(self.raw);
        let phone_number_id = self.phone_number_id()?;
        let wamid = status.text("id").and_then(|id| id.parse().ok()).ok_or(Unreadable::Id)?;
        let state = status.word("status").ok_or(Unreadable::State)?;
        let prefix = match status.word("type").as_deref() {
            Some("payment") => "payment.",
            _ => "",
        };
        let participants = status.texts(&[
            "recipient_participant_id",
            "participant_recipient_id",
            "recipient_participant_user_id",
        ]);
        let participant = participants.into_iter().next();
        if participant.as_ref().is_some_and(|participant| participant.len() > LONGEST_PARTICIPANT) {
            return Err(Unreadable::State);
        }
        let at = status.time("timestamp").unwrap_or(received_at);
        let body = self.body();
        Ok(IncomingStatus {
            phone_number_id,
            event: StatusEvent {
                wamid,
                intent: status
                    .text("biz_opaque_callback_data")
                    .and_then(|data| CallbackData::parse(&data).intent),
                key: StatusKey { state: format!("{prefix}{state}"), participant },
                fact: StatusFact::new(at, &body),
                body,
            },
        })
    }
}

fn renamed(sender: &CustomerNames, system: &Members<'_>) -> Option<Renamed> {
    let new = names(&system.texts(&["wa_id", "user_id"]));
    let old = names(&system.texts(&["previous_user_id"]));
    let old =
        CustomerNames { wa_id: sender.wa_id.clone(), bsuid: old.bsuid.or_else(|| sender.bsuid.clone()) };
    (best(&new).is_some() && best(&old).is_some() && new != old).then_some(Renamed { old, new })
}

fn best(names: &CustomerNames) -> Option<CustomerKey> {
    names.aliases().into_iter().next()
}

/// A BSUID is tolerated where a phone number is expected, and the other way round.
fn names(texts: &[String]) -> CustomerNames {
    CustomerNames {
        wa_id: texts.iter().find_map(|t| t.parse::<WaId>().ok()),
        bsuid: texts.iter().find_map(|t| t.parse::<Bsuid>().ok()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{List, pieces};
    use super::*;

    fn message(message: &Value) -> Result<IncomingMessage, Unreadable> {
        let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages",
            "value": {"metadata": {"phone_number_id": "117"}, "messages": [message]}}]}]})
        .to_string();
        let found = pieces(&body).unwrap();
        assert_eq!(found[0].list, List::Messages);
        found[0].message()
    }

    #[test]
    fn a_customer_with_a_username_has_no_phone() {
        let it = message(
            &json!({"id": "wamid.1", "from_user_id": "US.abc", "timestamp": 1_795_000_000, "type": "text"}),
        )
        .unwrap();
        assert_eq!((it.sender.wa_id, it.sender.bsuid.unwrap().as_ref()), (None, "US.abc"));
        assert_eq!(it.at.unwrap().as_second(), 1_795_000_000);
    }

    #[test]
    fn a_bsuid_inside_from_is_no_phone_number() {
        let it = message(&json!({"id": "wamid.1", "from": "US.abc"})).unwrap();
        assert_eq!((it.sender.wa_id, it.kind.as_str()), (None, "unknown"));
    }

    #[test]
    fn what_has_no_id_or_no_sender_is_unreadable() {
        assert_eq!(message(&json!({"from": "15550100123"})).unwrap_err(), Unreadable::Id);
        assert_eq!(message(&json!({"id": "wamid.1"})).unwrap_err(), Unreadable::Sender);
        assert_eq!(message(&json!("text")).unwrap_err(), Unreadable::Id);
    }

    #[test]
    fn a_new_number_and_a_new_id_are_told_by_system_messages() {
        let it = message(&json!({"id": "wamid.1", "from": "15550100123", "type": "system", "system": {
            "type": "user_changed_number", "wa_id": "15550100999", "user_id": "US.new", "previous_user_id": "US.old"}}))
        .unwrap();
        let renamed = it.renamed.unwrap();
        assert_eq!(renamed.old.bsuid.unwrap().as_ref(), "US.old");
        assert_eq!(renamed.new.bsuid.unwrap().as_ref(), "US.new");
    }

    #[test]
    fn a_status_keeps_our_id_its_participant_and_its_vocabulary() {
        let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages",
            "value": {"metadata": {"phone_number_id": "117"}, "statuses": [
                {"id": "wamid.1", "status": "captured", "type": "payment", "timestamp": "5"},
                {"id": "wamid.1", "status": "read", "recipient_participant_id": "155", "timestamp": 6,
                 "biz_opaque_callback_data": format!("msg_{}|mine", "a".repeat(32))},
                {"id": "wamid.1"}]}}]}]})
        .to_string();
        let found = pieces(&body).unwrap();
        let now = Timestamp::from_second(9).unwrap();
        assert_eq!(found[0].status(now).unwrap().event.key.state, "payment.captured");
        let read = found[1].status(now).unwrap().event;
        assert_eq!(read.key.participant.as_deref(), Some("155"));
        assert!(read.intent.unwrap().is_intent());
        assert_eq!(found[2].status(now).unwrap_err(), Unreadable::State);
    }
}

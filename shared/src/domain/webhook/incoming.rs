//! Messages and statuses out of their pieces, leniently: numbers and strings are mixed, every member
//! but the id is optional (Meta, webhooks reference `messages`, 2026-05 to 2026-08).

use super::super::Timestamp;
use super::super::answer::wants_answer;
use super::super::conversation::{CustomerKey, CustomerNames};
use super::super::draft::CallbackData;
use super::super::ids::{MessageId, PhoneNumberId, Wamid};
use super::super::message::Origin;
use super::super::status::{StatusEvent, StatusFact, StatusKey};
use super::members::Members;
use super::people::{best, names};
use super::pieces::{List, Piece};

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

/// A message that a webhook brought: a customer's, live or not, or one that somebody else wrote to a customer
/// from the client's number.
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
    /// Whether its sender waits for an answer, by what it is.
    pub expects_answer: bool,
    /// How it came, and which way it went. Only [`Origin::Customer`] is live.
    pub origin: Origin,
    /// Who sent it, or whom it was sent to.
    pub customer: CustomerNames,
    /// The group that it was sent in.
    pub group: Option<CustomerKey>,
    /// The message that it quotes.
    pub reply_to: Option<MessageId>,
    /// Whether it says that the customer came from an ad or a post.
    pub referred: bool,
    /// The customer has a new number or id, or told the number: of live messages.
    pub renamed: Option<Renamed>,
}

impl IncomingMessage {
    /// How the customer can be addressed from now on.
    #[must_use]
    pub fn addressed_by(&self) -> &CustomerNames {
        match &self.renamed {
            // A number that the customer told beside an id is found, but not written to: the id is Meta's word.
            Some(renamed) if self.kind == "system" => &renamed.new,
            _ => &self.customer,
        }
    }
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
    pub(super) fn phone_number_id(&self) -> Result<PhoneNumberId, Unreadable> {
        let metadata = Members::of(self.metadata.unwrap_or_default());
        metadata.text("phone_number_id").and_then(|id| id.parse().ok()).ok_or(Unreadable::Number)
    }

    /// The piece as a message.
    ///
    /// # Errors
    /// [`Unreadable`] if it lacks what it is filed under.
    pub fn message(&self) -> Result<IncomingMessage, Unreadable> {
        let message = Members::of(self.raw);
        let phone_number_id = self.phone_number_id()?;
        let wamid = message.text("id").and_then(|id| id.parse().ok()).ok_or(Unreadable::Id)?;
        // What another agent sent is one level deeper, as it was sent (Meta, field `standby`, 2026-08).
        let sent = message.object("message");
        let said =
            if message.word("type").is_none() && sent.word("type").is_some() { &sent } else { &message };
        let origin = self.origin(&message);
        let group = said.text("group_id").and_then(|group| CustomerKey::group(&group).ok());
        let mut customer = self.customer(said, origin.is_inbound());
        let renamed = (origin == Origin::Customer).then(|| renamed(&customer, &message)).flatten();
        if let (None, Some(renamed)) = (best(&customer), &renamed) {
            customer = renamed.new.clone();
        }
        if best(&customer).is_none() && (group.is_none() || origin.is_inbound()) {
            return Err(Unreadable::Sender);
        }
        let context = said.object("context");
        let kind = said.word("type").unwrap_or_else(|| "unknown".to_owned());
        Ok(IncomingMessage {
            phone_number_id,
            wamid,
            at: message.time("timestamp"),
            expects_answer: wants_answer(&kind) && !is_silent(&kind, said),
            kind,
            origin,
            customer,
            group,
            reply_to: context.texts(&["id", "message_id"]).first().and_then(|id| id.parse().ok()),
            referred: !said.object("referral").is_empty(),
            renamed,
        })
    }

    /// By the field first: what is not under `messages` looks like live messages and is none.
    fn origin(&self, message: &Members<'_>) -> Origin {
        match (self.field.as_deref(), self.list) {
            (Some("smb_message_echoes"), _) => Origin::App,
            (Some("message_echoes"), _) => Origin::OtherApp,
            (Some("standby"), List::Echoes) => Origin::StandbyOut,
            (Some("standby"), _) if self.is_from_the_client(message) => Origin::StandbyOut,
            (Some("standby"), _) => Origin::StandbyIn,
            (Some("history"), _) if self.is_from_the_client(message) => Origin::HistoryOut,
            (Some("history"), _) => Origin::HistoryIn,
            _ => Origin::Customer,
        }
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

/// Meta's word for a choice that it could not pass on is an `interactive` without an object; a permission to
/// call is no question.
fn is_silent(kind: &str, message: &Members<'_>) -> bool {
    let choice = message.object("interactive").word("type");
    kind == "interactive" && matches!(choice.as_deref(), None | Some("call_permission_reply"))
}

fn renamed(sender: &CustomerNames, message: &Members<'_>) -> Option<Renamed> {
    let system = message.object("system");
    let new = names(&system.texts(&["wa_id", "new_wa_id", "user_id"]));
    let old = names(&system.texts(&["previous_user_id"]));
    let old = CustomerNames {
        wa_id: sender.wa_id.clone(),
        bsuid: old.bsuid.or_else(|| sender.bsuid.clone()),
        ..CustomerNames::default()
    };
    (best(&new).is_some() && best(&old).is_some() && new != old)
        .then_some(Renamed { old, new })
        .or_else(|| told_number(sender, message))
}

/// Who is asked for a phone number answers with a card of this origin, which holds the customer's own
/// (Meta, business-scoped user ids, 2026-05). The origin stands in the card, on older pages on the message.
fn told_number(sender: &CustomerNames, message: &Members<'_>) -> Option<Renamed> {
    let cards = message.objects("contacts");
    let [card] = cards.as_slice() else { return None };
    let is_asked = |of: &Members<'_>| of.word("origin").as_deref() == Some("contact_request");
    if sender.wa_id.is_some() || !(is_asked(message) || is_asked(card)) {
        return None;
    }
    let phones = card.objects("phones");
    let new = names(&phones.first()?.texts(&["wa_id"]));
    best(&new).is_some().then(|| Renamed { old: sender.clone(), new })
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
        assert_eq!((it.customer.wa_id, it.customer.bsuid.unwrap().as_ref()), (None, "US.abc"));
        assert_eq!(it.at.unwrap().as_second(), 1_795_000_000);
    }

    #[test]
    fn a_bsuid_inside_from_is_no_phone_number() {
        let it = message(&json!({"id": "wamid.1", "from": "US.abc"})).unwrap();
        assert_eq!((it.customer.wa_id, it.kind.as_str()), (None, "unknown"));
    }

    #[test]
    fn a_permission_to_call_and_a_broken_choice_expect_no_answer() {
        let expects = |interactive: Value| {
            message(&json!({"id": "wamid.1", "from": "15550100123", "type": "interactive", "interactive": interactive}))
                .unwrap()
                .expects_answer
        };
        assert!(expects(json!({"type": "button_reply"})) && expects(json!({"type": "new"})));
        assert!(!expects(json!({"type": "call_permission_reply"})) && !expects(json!(null)));
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

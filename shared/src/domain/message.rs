//! One message in our records, incoming or outgoing.

use super::Timestamp;
use super::answer::{Answer, Why};
use super::conversation::CustomerNames;
use super::ids::{BotId, ConversationId, MessageId, PhoneNumberId, Wamid};
use super::meta_error::MetaError;
use super::raw::Raw;
use super::status::Statuses;

pub use super::content::text_of;

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The customer, live.
    Customer,
    /// Our automatic answer.
    Bot,
    /// A caller of send-message.
    Api,
    /// The client, in the WhatsApp Business app (field `smb_message_echoes`).
    App,
    /// Another app on the client's number (field `message_echoes`).
    OtherApp,
    /// The customer, before the client came to us (field `history`).
    HistoryIn,
    /// The client, before it came to us.
    HistoryOut,
    /// The customer, while another agent had the conversation (field `standby`).
    StandbyIn,
    /// That other agent.
    StandbyOut,
}

impl Origin {
    /// Whether the customer wrote it.
    #[must_use]
    pub fn is_inbound(self) -> bool {
        matches!(self, Self::Customer | Self::HistoryIn | Self::StandbyIn)
    }

    /// Whether we sent it. Everything else came by a webhook.
    #[must_use]
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Bot | Self::Api)
    }

    /// Whether it is out of an older history.
    #[must_use]
    pub fn is_history(self) -> bool {
        matches!(self, Self::HistoryIn | Self::HistoryOut)
    }

    /// The word in answers, which name the direction apart.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Bot => "bot",
            Self::Api => "api",
            Self::App => "app",
            Self::OtherApp => "other_app",
            Self::HistoryIn | Self::HistoryOut => "history",
            Self::StandbyIn | Self::StandbyOut => "standby",
        }
    }
}

/// The type of a message in a history whose media come later, as a message of the same id.
pub const MEDIA_PLACEHOLDER: &str = "media_placeholder";

/// A message. What webhooks brought is keyed by its wamid, what we send by our intent id.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The key.
    pub id: MessageId,
    /// Meta's name; an outgoing message gets it when Meta accepts it.
    pub wamid: Option<Wamid>,
    /// Where it came from.
    pub origin: Origin,
    /// The bot of the client at the time; `None` if the number was nobody's.
    pub bot_id: Option<BotId>,
    /// The client.
    pub phone_number_id: PhoneNumberId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// How the customer was named.
    pub customer: CustomerNames,
    /// Meta's `type`.
    pub kind: String,
    /// Meta's time of an incoming message (whole seconds), ours of an outgoing one.
    pub at: Timestamp,
    /// When we recorded it.
    pub recorded_at: Timestamp,
    /// By a webhook: a body with this one message. Ours: the message object as sent, without our callback
    /// data.
    pub raw: Raw,
    /// The message that this one replies to or answers.
    pub reply_to: Option<MessageId>,
    /// Incoming: its automatic answer. `None` where the question does not arise.
    pub answer: Option<Answer>,
    /// The bot's: why it sent this.
    pub why: Option<Why>,
    /// Outgoing: how far the call got.
    pub sending: Option<Sending>,
    /// Outgoing: what Meta reported.
    pub statuses: Statuses,
    /// When the record may be deleted.
    pub expires_at: Option<Timestamp>,
}

/// How far an outgoing message's call to Meta got.
#[derive(Debug, Clone, PartialEq)]
pub enum Sending {
    /// Written before the call. After `until` whoever made the call is dead, and its outcome unknown.
    Intended {
        /// When the claim ends.
        until: Timestamp,
    },
    /// Meta took it.
    Accepted,
    /// Meta never took it, and another try may succeed.
    NotSent,
    /// Meta refused it for good.
    Refused(MetaError),
    /// Nobody knows whether Meta took it. A status with our id resolves it.
    Uncertain,
}

impl Message {
    /// Whether the same message, come by another way, takes this one's place: a live one that of one out of
    /// the history, so that it is answered, and a medium that of its placeholder.
    #[must_use]
    pub fn gives_way_to(&self, other: &Self) -> bool {
        let is_medium = self.kind == MEDIA_PLACEHOLDER && other.kind != MEDIA_PLACEHOLDER;
        self.origin.is_history() && (!other.origin.is_history() || is_medium)
    }

    /// Sorts messages by Meta's time and, within a millisecond, by id.
    #[must_use]
    pub fn time_key(&self) -> String {
        time_key(self.at, self.id.as_ref())
    }

    /// The key under which a bot's messages of one number are listed. A number that changes hands
    /// starts a new list.
    #[must_use]
    pub fn number_key(&self) -> String {
        number_key(self.bot_id.as_ref(), &self.phone_number_id)
    }
}

/// The bot's list of one number's messages.
#[must_use]
pub fn number_key(bot: Option<&BotId>, phone_number_id: &PhoneNumberId) -> String {
    format!("{}#{phone_number_id}", bot.map_or("", AsRef::as_ref))
}

/// Sort key of a message: fixed-width milliseconds, then the id.
#[must_use]
pub fn time_key(at: Timestamp, id: &str) -> String {
    format!("{:015}#{id}", at.as_millisecond().max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_keys_sort_as_time_does() {
        let key = |ms| time_key(Timestamp::from_millisecond(ms).unwrap(), "x");
        assert!(key(999) < key(1000) && key(1000) < key(1_795_000_000_000));
    }
}

//! One message in our records, incoming or outgoing.

use serde_json::Value;

use super::Timestamp;
use super::answer::Answer;
use super::conversation::CustomerNames;
use super::ids::{BotId, ConversationId, MessageId, PhoneNumberId, Wamid};
use super::meta_error::MetaError;
use super::raw::Raw;
use super::status::Statuses;

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
}

impl Origin {
    /// Whether the customer wrote it.
    #[must_use]
    pub fn is_inbound(self) -> bool {
        self == Self::Customer
    }
}

/// A message. Incoming ones are keyed by their wamid, outgoing ones by our intent id.
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
    /// Incoming: a webhook body with this one message. Outgoing: the message object as sent, without
    /// our callback data.
    pub raw: Raw,
    /// The message that this one replies to or answers.
    pub reply_to: Option<MessageId>,
    /// Incoming: its automatic answer. `None` where the question does not arise.
    pub answer: Option<Answer>,
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

/// The readable text of a message object (Meta's form, both directions), if it has one.
#[must_use]
pub fn text_of(message: &Value) -> Option<&str> {
    let kind = message.get("type")?.as_str()?;
    let content = message.get(kind)?;
    let path: &[&str] = match kind {
        "text" => &["body"],
        "button" => &["text"],
        "image" | "video" | "document" => &["caption"],
        "reaction" => &["emoji"],
        "order" => &["text"],
        "location" => &["name"],
        "system" => &["body"],
        "interactive" => return interactive_text(content),
        _ => return None,
    };
    path.iter().try_fold(content, |value, member| value.get(member))?.as_str()
}

fn interactive_text(interactive: &Value) -> Option<&str> {
    let kind = interactive.get("type")?.as_str()?;
    match kind {
        "button_reply" | "list_reply" => interactive.get(kind)?.get("title")?.as_str(),
        _ => interactive.get("body")?.get("text")?.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_text_of_what_a_customer_reads() {
        for (message, text) in [
            (json!({"type":"text","text":{"body":"Hi"}}), Some("Hi")),
            (json!({"type":"image","image":{"caption":"Cake"}}), Some("Cake")),
            (
                json!({"type":"interactive","interactive":{"type":"list_reply","list_reply":{"title":"Two"}}}),
                Some("Two"),
            ),
            (
                json!({"type":"interactive","interactive":{"type":"button","body":{"text":"Choose"}}}),
                Some("Choose"),
            ),
            (json!({"type":"interactive"}), None),
            (json!({"type":"audio","audio":{"id":"1"}}), None),
            (json!({}), None),
        ] {
            assert_eq!(text_of(&message), text, "{message}");
        }
    }

    #[test]
    fn time_keys_sort_as_time_does() {
        let key = |ms| time_key(Timestamp::from_millisecond(ms).unwrap(), "x");
        assert!(key(999) < key(1000) && key(1000) < key(1_795_000_000_000));
    }
}

//! Sending, and the read receipt.

use serde::Serialize;

use crate::domain::ids::{BotId, MessageId, PhoneNumberId, Wamid};
use crate::domain::pricing::Expected;
use crate::http::{ApiError, Members};

/// What send-message answers.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Sent<'a> {
    /// Our id; the list of messages has it.
    pub message_id: &'a MessageId,
    /// Meta's name of the message; null if nobody knows whether Meta took it.
    pub wamid: Option<Wamid>,
    /// How the call ended.
    pub status: SentStatus,
    /// What the message is expected to cost.
    pub expected: &'a Expected,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SentStatus {
    /// Meta took the message.
    Accepted,
    /// The answer was lost. The message is not sent again; a status settles it.
    Uncertain,
}

/// A template that may be sent outside the window.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Choice {
    /// Its name.
    pub name: String,
    /// Meta's code, as `en_US`.
    pub language: String,
    /// `AUTHENTICATION`, `MARKETING` or `UTILITY`.
    pub category: Option<String>,
}

/// What mark-read takes.
#[derive(Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename_all = "camelCase"))]
pub struct MarkReadRequest {
    /// The bot that the message came to.
    pub bot_id: BotId,
    /// A customer's message.
    pub message_id: MessageId,
    /// The number that it came to.
    pub phone_number_id: Option<PhoneNumberId>,
    /// Whether the customer sees, for at most 25 seconds, that somebody writes.
    #[cfg_attr(feature = "openapi", schemars(with = "Option<bool>"))]
    pub typing: bool,
}

impl MarkReadRequest {
    /// Reads it.
    ///
    /// # Errors
    /// 400 `missing_member` or `invalid_member`.
    pub fn of(members: &Members) -> Result<Self, ApiError> {
        Ok(Self {
            bot_id: members.required("botId")?,
            message_id: members.required("messageId")?,
            phone_number_id: members.optional("phoneNumberId")?,
            typing: members.flag("typing")?,
        })
    }
}

/// It was done.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Success {
    /// Always `true`.
    pub success: bool,
}

/// What this file describes.
#[cfg(feature = "openapi")]
pub(super) fn operations() -> Vec<super::describe::Operation> {
    use super::describe::Operation;
    use serde_json::json;

    let example =
        json!({"botId": "demo-bakery", "to": "15550100001", "type": "text", "text": {"body": "Hello"}});
    let send = Operation::new("post", "/api/whatsapp/send-message", "sendMessage", "Sends one message")
        .described(
            "The body is the Cloud API's own message object, with `botId` and, for a bot with several numbers, \
             `phoneNumberId`. It is checked against Meta's limits before Meta is called. Members and interactive \
             kinds that Switchboard does not know are passed on.",
        )
        .body::<super::message::SendRequest>(example)
        .problem(404, "bot_not_found")
        .with_key()
        .answer::<Sent<'_>>(200, "Meta took the message.")
        .answer::<Sent<'_>>(202, "The call was made, and its answer was lost: it is not sent again.")
        .problem(400, "invalid_message")
        .problem(400, "phone_number_required")
        .problem(404, "client_not_found")
        .problem(409, "client_not_active")
        .problem(409, "client_restricted")
        .problem(409, "window_closed")
        .problem(409, "recipient_opted_out")
        .problem(409, "client_needs_reconnect")
        .problem(409, "client_paused")
        .problem(422, "recipient_unreachable")
        .problem(422, "recipient_opted_out")
        .problem(422, "marketing_limit")
        .problem(422, "refused_by_meta")
        .problem(429, "rate_limited")
        .problem(503, "meta_unavailable");
    let example = json!({"botId": "demo-bakery", "messageId": "wamid.A", "typing": true});
    let path = "/api/whatsapp/mark-read";
    let mark_read = Operation::new("post", path, "markRead", "Marks a customer's message as read")
        .described("Meta marks the earlier messages of the conversation as read, too. It may be repeated.")
        .body::<MarkReadRequest>(example)
        .problem(404, "bot_not_found")
        .with_key()
        .answer::<Success>(200, "The customer sees it.")
        .problem(404, "message_not_found")
        .problem(409, "client_not_active")
        .problem(409, "client_needs_reconnect")
        .problem(409, "client_paused")
        .problem(422, "refused_by_meta")
        .problem(429, "rate_limited")
        .problem(503, "meta_unavailable");
    vec![send, mark_read]
}

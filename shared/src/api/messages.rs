//! The list of messages.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::Timestamp;
use crate::domain::answer::{Answer, NoAnswer, Why};
use crate::domain::content::{line_of, refers_to};
use crate::domain::conversation::CustomerNames;
use crate::domain::ids::{MediaId, MessageId, PhoneNumberId, Wamid};
use crate::domain::media::{MediaFile, MediaState, Rejected};
use crate::domain::message::{Message, Sending};
use crate::flows::content_of;

/// One message of either direction.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Message"))]
#[serde(rename_all = "camelCase")]
pub struct MessageItem<'a> {
    message_id: &'a MessageId,
    /// Meta's name; null while Meta has not accepted it.
    wamid: Option<&'a Wamid>,
    direction: Direction,
    /// `customer`, `bot` (an automatic answer), `api` (send-message), `app` (the owner's phone), `other_app`,
    /// `history` or `standby`.
    origin: &'static str,
    phone_number_id: &'a PhoneNumberId,
    /// What `customer` takes; null in a group.
    customer: Option<&'a str>,
    customer_ids: &'a CustomerNames,
    /// Meta's `type`, also one that Switchboard does not know.
    r#type: &'a str,
    /// Meta's object of that type, as it came or as it was sent.
    content: Option<Value>,
    /// Meta's time of what came, ours of what was sent.
    timestamp: Timestamp,
    /// When the message came to each state: `sent`, `delivered`, `read`, `played`, `failed`, or what Meta adds.
    statuses: BTreeMap<&'a str, Timestamp>,
    /// The content in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// What it quotes, in Meta's form.
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Value>,
    /// The ad or post that the customer came from, in Meta's form.
    #[serde(skip_serializing_if = "Option::is_none")]
    referral: Option<Value>,
    /// The wamid that a reaction, an edit or a revocation is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    refers_to: Option<String>,
    /// How far it had got when the client came to us.
    #[serde(skip_serializing_if = "Option::is_none")]
    history_status: Option<Value>,
    /// The message that this one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a MessageId>,
    /// The automatic answer to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerState<'a>>,
    /// Why the bot sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a Why>,
    /// How far the call got.
    #[serde(skip_serializing_if = "Option::is_none")]
    sending: Option<SendingState>,
    /// Its file, if it brought one.
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<FileView<'a>>,
    /// Meta's errors, in Meta's form: of the failed delivery, of the refused call, or of the incoming message.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Value>,
    /// Meta's prices, in Meta's form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pricing: Option<Value>,
}

/// Who wrote.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum Direction {
    /// The customer.
    Inbound,
    /// The client.
    Outbound,
}

/// How far the file of a message is; the route of files has a link to it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "MessageFile"))]
#[serde(rename_all = "camelCase")]
struct FileView<'a> {
    /// What the route of files takes.
    id: &'a MediaId,
    #[serde(flatten)]
    state: FileState<'a>,
}

/// How far a file is.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum FileState<'a> {
    /// To be fetched.
    Pending {},
    /// Kept.
    Stored {
        /// Meta's word.
        mime_type: &'a str,
        /// In bytes.
        size: u64,
        /// In hex.
        sha256: &'a str,
        kept_until: Timestamp,
    },
    /// Meta did not give it while it could.
    Missing {},
    /// Meta gave it, and it is not kept.
    Rejected { reason: Rejected },
}

/// What became of the automatic answer.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "AnswerState"))]
#[serde(tag = "state", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum AnswerState<'a> {
    /// It is due.
    Pending { due_at: Timestamp, attempts: u32 },
    /// This message answers it.
    Answered { message_id: &'a MessageId },
    /// There is none, and why.
    None {
        reason: NoAnswer,
        /// The message that was tried, or that answers the burst.
        message_id: Option<&'a MessageId>,
    },
}

/// How far the call of a message that we send got.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum SendingState {
    /// About to be made.
    Intended,
    /// Meta took the message.
    Accepted,
    /// Meta certainly did not take it, and it may be sent again.
    NotSent,
    /// Meta refused it for good.
    Refused,
    /// Nobody knows. It is not sent again.
    Uncertain,
}

impl<'a> MessageItem<'a> {
    /// The message as it is shown.
    #[must_use]
    pub fn of(message: &'a Message) -> Self {
        let content = content_of(message);
        let kind = message.kind.as_str();
        let member = |name: &str| content.get(name).filter(|value| !value.is_null()).cloned();
        let history_status = content.pointer("/history_context/status").filter(|value| !value.is_null());
        Self {
            message_id: &message.id,
            wamid: message.wamid.as_ref(),
            direction: if message.origin.is_inbound() { Direction::Inbound } else { Direction::Outbound },
            origin: message.origin.as_str(),
            phone_number_id: &message.phone_number_id,
            customer: message.customer.best(),
            customer_ids: &message.customer,
            r#type: kind,
            timestamp: message.at,
            statuses: message.statuses.times(),
            text: (!content.is_null()).then(|| line_of(&content)),
            context: member("context"),
            referral: member("referral"),
            refers_to: refers_to(&content).map(str::to_owned),
            history_status: history_status.cloned(),
            reply_to: message.reply_to.as_ref(),
            answer: message.answer.as_ref().map(answer_of),
            why: message.why.as_ref(),
            sending: message.sending.as_ref().map(sending_of),
            media: None,
            errors: errors_of(message, &content).filter(|value| !value.is_null()),
            pricing: message.statuses.pricing().filter(|value| !value.is_null()),
            content: content.get(kind).cloned(),
        }
    }
}

impl<'a> MessageItem<'a> {
    /// The same with how far its file is.
    #[must_use]
    pub fn with_file(self, file: Option<&'a MediaFile>) -> Self {
        Self { media: file.map(file_of), ..self }
    }
}

fn file_of(file: &MediaFile) -> FileView<'_> {
    let state = match &file.state {
        MediaState::Pending { .. } => FileState::Pending {},
        MediaState::Missing => FileState::Missing {},
        MediaState::Rejected(reason) => FileState::Rejected { reason: *reason },
        MediaState::Stored(kept) => FileState::Stored {
            mime_type: &kept.mime_type,
            size: kept.size,
            sha256: &kept.sha256,
            kept_until: kept.until,
        },
    };
    FileView { id: &file.key.media_id, state }
}

fn answer_of(answer: &Answer) -> AnswerState<'_> {
    match answer {
        Answer::Pending { due_at, attempts } => AnswerState::Pending { due_at: *due_at, attempts: *attempts },
        Answer::Answered(id) => AnswerState::Answered { message_id: id },
        Answer::None(reason, id) => AnswerState::None { reason: *reason, message_id: id.as_ref() },
    }
}

fn sending_of(sending: &Sending) -> SendingState {
    match sending {
        Sending::Intended { .. } => SendingState::Intended,
        Sending::Accepted => SendingState::Accepted,
        Sending::NotSent => SendingState::NotSent,
        Sending::Refused(_) => SendingState::Refused,
        Sending::Uncertain => SendingState::Uncertain,
    }
}

/// Meta's errors: of the failed delivery, of the refused call, or on the incoming message itself.
fn errors_of(message: &Message, content: &Value) -> Option<Value> {
    let refused = match &message.sending {
        Some(Sending::Refused(error)) => Some(json!([error])),
        _ => None,
    };
    message.statuses.errors().or(refused).or_else(|| content.get("errors").cloned())
}

/// What this file describes.
#[cfg(feature = "openapi")]
pub(super) fn operations() -> Vec<super::describe::Operation> {
    use super::describe::Operation;
    let list = Operation::new(
        "get",
        "/api/whatsapp/messages/{botId}",
        "listMessages",
        "Lists messages, newest first",
    )
    .of_a_bot()
    .query::<PhoneNumberId>("phoneNumberId", "Only this number's.")
    .query::<String>(
        "customer",
        "Only those with this customer: a phone number, a BSUID or any earlier name.",
    )
    .query::<Timestamp>("from", "Not older.")
    .query::<Timestamp>("to", "Older than this.")
    .problem(404, "client_not_found")
    .problem(400, "phone_number_required")
    .pages::<MessageItem<'_>, crate::http::Position>("A page of messages.");
    vec![list]
}

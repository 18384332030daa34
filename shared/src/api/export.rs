//! Exporting a customer.

use serde::Serialize;
use serde_json::Value;

use super::conversations::ConversationItem;
use super::messages::MessageItem;
use crate::domain::Timestamp;
use crate::domain::conversation::CustomerKey;
use crate::domain::ids::PhoneNumberId;
use crate::domain::json::value_of;
use crate::flows::export::Kept;

/// One line of an export.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "ExportLine"))]
#[serde(tag = "record", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Line<'a> {
    /// The conversation of one number with the customer.
    Conversation(Box<ConversationItem>),
    /// A message, newest first.
    Message {
        /// As in the list of messages.
        #[serde(flatten)]
        message: Box<MessageItem<'a>>,
        /// The webhook that brought it, or the message object as it was sent, in Meta's form. Null if it is
        /// damaged.
        raw: &'a Value,
        /// All that Meta said of its way, in Meta's form.
        raw_statuses: Vec<Value>,
    },
    /// Something else that names the customer: a call, a preference, a change of id.
    Event {
        /// The number that was asked about.
        phone_number_id: &'a PhoneNumberId,
        /// Field of the webhook, and its event.
        kind: &'a str,
        /// Meta's time where it told one.
        timestamp: Timestamp,
        /// The webhook, in Meta's form. Null if it is damaged.
        raw: &'a Value,
    },
    /// The last line of an answer that is not the last.
    More {
        /// What `cursor` takes to go on.
        next_cursor: String,
    },
    /// The last line of the last answer: nothing is missing.
    End {},
}

impl<'a> Line<'a> {
    /// What is kept under this number, as it is shown at `now`.
    #[must_use]
    pub fn of(kept: &'a Kept, phone_number_id: &'a PhoneNumberId, now: Timestamp) -> Self {
        match kept {
            Kept::Conversation(conversation, names) => {
                let names = names.iter().map(|name: &CustomerKey| name.as_ref().to_owned()).collect();
                Self::Conversation(Box::new(ConversationItem::of(conversation, now).with_aliases(names)))
            }
            Kept::Message(message, raw, file) => Self::Message {
                raw_statuses: message.statuses.bodies().map(|(_, body)| value_of(body)).collect(),
                message: Box::new(MessageItem::of(message).with_file(file.as_deref())),
                raw,
            },
            Kept::Event(event, raw) => {
                Self::Event { phone_number_id, kind: &event.kind, timestamp: event.at, raw }
            }
        }
    }
}

/// A cursor: a number, and a place behind a dot.
#[cfg(feature = "openapi")]
#[derive(schemars::JsonSchema)]
#[schemars(transparent, extend("pattern" = r"^[0-9]{1,64}\.(conversation\.|(messages|events)\..{0,250})$"))]
struct ExportCursor(#[expect(dead_code, reason = "only described")] String);

/// What this file describes.
#[cfg(feature = "openapi")]
pub(super) fn operations() -> Vec<super::describe::Operation> {
    use super::describe::Operation;
    let path = "/api/whatsapp/conversations/{botId}/{customer}/export";
    let export = Operation::new("get", path, "exportCustomer", "Tells everything that is kept of a customer")
        .described("Each line is a value of JSON. A file that ends with the record `end` is complete.")
        .of_a_bot()
        .path::<String>(
            "customer",
            "Any name of the customer: a phone number or a BSUID.",
            "customer_not_found",
        )
        .query::<PhoneNumberId>("phoneNumberId", "Only under this number.")
        .query::<ExportCursor>("cursor", "`nextCursor` of the record `more`.")
        .problem(404, "client_not_found")
        .problem(400, "phone_number_required")
        .lines::<Line<'_>>("Records, one a line.");
    vec![export]
}

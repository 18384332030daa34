//! The list of conversations.

use serde::Serialize;

use crate::domain::Timestamp;
use crate::domain::conversation::{Conversation, CustomerNames};
use crate::domain::ids::{BotId, PhoneNumberId};

/// One client and one customer, or a group.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Conversation"))]
#[serde(rename_all = "camelCase")]
pub struct ConversationItem {
    bot_id: BotId,
    phone_number_id: PhoneNumberId,
    /// What `customer` takes: the phone where it is known, else the BSUID; null for a group.
    customer: Option<String>,
    customer_ids: CustomerNames,
    /// Meta's id of the group, if it is one.
    group_id: Option<String>,
    last_message_at: Timestamp,
    /// When the customer service window ends or ended.
    window_ends_at: Option<Timestamp>,
    window_open: bool,
    /// Until when everything is free, because the customer came from an ad or a post and was answered in time.
    free_until: Option<Timestamp>,
    /// Until when there are no automatic answers, because a person writes.
    paused_until: Option<Timestamp>,
    /// Since when Meta cannot deliver to this customer.
    unreachable_since: Option<Timestamp>,
    /// Since when the customer wants no marketing of this business.
    marketing_stopped_at: Option<Timestamp>,
    /// All names that the customer is known by; only where `customer` was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    aliases: Option<Vec<String>>,
}

impl ConversationItem {
    /// The conversation as it is shown at `now`.
    #[must_use]
    pub fn of(conversation: &Conversation, now: Timestamp) -> Self {
        let marks = &conversation.marks;
        Self {
            bot_id: conversation.bot_id.clone(),
            phone_number_id: conversation.phone_number_id.clone(),
            customer: conversation.customer.best().map(str::to_owned),
            customer_ids: conversation.customer.clone(),
            group_id: conversation.id.group().map(str::to_owned),
            last_message_at: conversation.last_message_at,
            window_ends_at: conversation.window_ends_at,
            window_open: conversation.window_ends_at.is_some_and(|end| end > now),
            free_until: conversation.free_until.filter(|until| *until > now),
            paused_until: conversation.paused_until.filter(|until| *until > now),
            unreachable_since: marks.unreachable_at.filter(|_| conversation.is_unreachable()),
            marketing_stopped_at: marks.marketing_stopped_at.filter(|_| marks.refuses_marketing()),
            aliases: None,
        }
    }

    /// The same with all names of the customer.
    #[must_use]
    pub fn with_aliases(self, aliases: Vec<String>) -> Self {
        Self { aliases: Some(aliases), ..self }
    }
}

/// What this file describes.
#[cfg(feature = "openapi")]
pub(super) fn operations() -> Vec<super::describe::Operation> {
    use super::describe::Operation;
    let path = "/api/whatsapp/conversations/{botId}";
    let list =
        Operation::new("get", path, "listConversations", "Lists conversations, the newest message first")
            .of_a_bot()
            .query::<PhoneNumberId>("phoneNumberId", "Only this number's.")
            .query::<String>(
                "customer",
                "Only those with this customer: a phone number, a BSUID or any earlier name.",
            )
            .problem(404, "client_not_found")
            .problem(400, "phone_number_required")
            .pages::<ConversationItem, crate::http::Position>("A page of conversations.");
    vec![list]
}

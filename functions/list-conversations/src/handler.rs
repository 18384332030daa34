//! Pages of conversations, the one with the newest message first: of one number, or of all a bot's numbers;
//! or those with one customer.

use lambda_http::{Body, Request};
use serde_json::{Value, json};
use shared::domain::Timestamp;
use shared::domain::conversation::{Conversation, CustomerKey};
use shared::domain::ids::{BotId, ConversationId, PhoneNumberId};
use shared::domain::message::number_key;
use shared::http::{
    ApiError, Caller, Limit, Position, Response, StatusCode, json as answer, merge, numbers, path_parameter,
    query_parameter,
};
use shared::ports::{
    Clock, ListClients, ListConversations, ReadClients, ReadConversations, ResolveCustomers,
};

/// All records that it uses: dynamodb:Query on indexes of clients and conversations, BatchGetItem and GetItem
/// on both.
pub(crate) trait Records:
    ReadClients + ListClients + ListConversations + ReadConversations + ResolveCustomers
{
}
impl<T> Records for T where
    T: ReadClients + ListClients + ListConversations + ReadConversations + ResolveCustomers
{
}

pub(crate) async fn handle(
    store: &impl Records,
    clock: &impl Clock,
    request: &Request,
) -> Result<Response<Body>, ApiError> {
    let caller = Caller::of(request)?;
    let bot: BotId = path_parameter(request, "botId", "bot_not_found")?;
    caller.check(&bot)?;
    let limit = Limit::of(request)?;
    let before = query_parameter::<Position>(request, "cursor")?.map(|position| position.0);
    let phones = numbers(store, request, &bot).await?;
    let now = clock.now();
    let (items, next) = match query_parameter::<String>(request, "customer")? {
        Some(customer) => (with(store, &bot, &phones, &customer, now).await?, None),
        None => {
            let mut pages = Vec::new();
            for phone in &phones {
                let number = number_key(Some(&bot), phone);
                let mut page = store.list_conversations(&number, before.as_deref(), limit).await?;
                // An index may still show what has moved to another bot.
                page.items.retain(|conversation| conversation.bot_id == bot);
                pages.push(page);
            }
            let (items, next) = merge(pages, Conversation::time_key, limit);
            (items.iter().map(|conversation| item(conversation, now)).collect(), next)
        }
    };
    Ok(answer(StatusCode::OK, &json!({ "items": items, "nextCursor": next })))
}

/// The conversations of these numbers with one customer, with all names that the customer is known by.
async fn with(
    store: &impl Records,
    bot: &BotId,
    phones: &[PhoneNumberId],
    customer: &str,
    now: Timestamp,
) -> Result<Vec<Value>, ApiError> {
    let Ok(name) = CustomerKey::given(customer) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for phone in phones {
        let Some(key) = store.find_customer(phone, &name).await? else { continue };
        let conversation = store.conversation(&ConversationId::new(phone, &key)).await?;
        let Some(conversation) = conversation.filter(|it| it.bot_id == *bot) else { continue };
        let mut names =
            store.names_of(&conversation.id).await?.into_iter().map(String::from).collect::<Vec<_>>();
        names.sort();
        let mut item = item(&conversation, now);
        item["aliases"] = json!(names);
        found.push((conversation.time_key(), item));
    }
    found.sort_by(|(one, _), (other, _)| other.cmp(one));
    Ok(found.into_iter().map(|(_, item)| item).collect())
}

fn item(conversation: &Conversation, now: Timestamp) -> Value {
    let marks = &conversation.marks;
    json!({
        "botId": conversation.bot_id,
        "phoneNumberId": conversation.phone_number_id,
        "customer": conversation.customer.best(),
        "customerIds": conversation.customer,
        "groupId": conversation.id.group(),
        "lastMessageAt": conversation.last_message_at,
        "windowEndsAt": conversation.window_ends_at,
        "windowOpen": conversation.window_ends_at.is_some_and(|end| end > now),
        "freeUntil": conversation.free_until.filter(|until| *until > now),
        "pausedUntil": conversation.paused_until.filter(|until| *until > now),
        "unreachableSince": marks.unreachable_at.filter(|_| conversation.is_unreachable()),
        "marketingStoppedAt": marks.marketing_stopped_at.filter(|_| marks.refuses_marketing()),
    })
}

#[cfg(test)]
mod tests;

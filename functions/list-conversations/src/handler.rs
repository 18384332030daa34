//! Pages of conversations, the one with the newest message first: of one number, or of all a bot's numbers;
//! or those with one customer.

use lambda_http::{Body, Request};
use shared::api::{self, conversations::ConversationItem};
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
            (items.iter().map(|conversation| ConversationItem::of(conversation, now)).collect(), next)
        }
    };
    Ok(answer(StatusCode::OK, &api::Page { items, next_cursor: next }))
}

/// The conversations of these numbers with one customer, with all names that the customer is known by.
async fn with(
    store: &impl Records,
    bot: &BotId,
    phones: &[PhoneNumberId],
    customer: &str,
    now: Timestamp,
) -> Result<Vec<ConversationItem>, ApiError> {
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
        let item = ConversationItem::of(&conversation, now).with_aliases(names);
        found.push((conversation.time_key(), item));
    }
    found.sort_by(|(one, _), (other, _)| other.cmp(one));
    Ok(found.into_iter().map(|(_, item)| item).collect())
}

#[cfg(test)]
mod tests;

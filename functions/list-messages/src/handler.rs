//! Pages of messages, newest first: of one number, of one conversation, or of all a bot's numbers.

use std::collections::HashMap;

use lambda_http::{Body, Request};
use shared::api::{self, messages::MessageItem};
use shared::domain::Timestamp;
use shared::domain::conversation::CustomerKey;
use shared::domain::ids::{BotId, ConversationId};
use shared::domain::media::{MediaFile, MediaKey};
use shared::domain::message::{Message, number_key};
use shared::flows::ingest::media_key_of;
use shared::http::{
    ApiError, Caller, Limit, Position, Response, StatusCode, json as answer, merge, numbers, path_parameter,
    query_parameter,
};
use shared::ports::{ListClients, ListMessages, Listing, ReadClients, ReadMedia, ResolveCustomers};

/// All records that it uses: dynamodb:Query on indexes of clients and messages, BatchGetItem on both and on media,
/// GetItem on clients and conversations.
pub(crate) trait Records:
    ReadClients + ListClients + ListMessages + ResolveCustomers + ReadMedia
{
}
impl<T: ReadClients + ListClients + ListMessages + ResolveCustomers + ReadMedia> Records for T {}

struct Time(Timestamp);

impl TryFrom<String> for Time {
    type Error = ();
    fn try_from(value: String) -> Result<Self, ()> {
        value.parse().map(Self).map_err(|_| ())
    }
}

pub(crate) async fn handle(store: &impl Records, request: &Request) -> Result<Response<Body>, ApiError> {
    let caller = Caller::of(request)?;
    let bot: BotId = path_parameter(request, "botId", "bot_not_found")?;
    caller.check(&bot)?;
    let limit = Limit::of(request)?;
    let from = query_parameter::<Time>(request, "from")?.map(|t| t.0);
    let to = query_parameter::<Time>(request, "to")?.map(|t| t.0);
    let before = query_parameter::<Position>(request, "cursor")?.map(|p| p.0);
    let mut pages = Vec::new();
    for listing in listings(store, request, &bot).await? {
        let mut page = store.list_messages(&listing, from, to, before.as_deref(), limit).await?;
        // A number may have belonged to another bot: its conversations then hold that bot's messages too.
        page.items.retain(|message| message.bot_id.as_ref() == Some(&bot));
        pages.push(page);
    }
    let (items, next) = merge(pages, Message::time_key, limit);
    let files = files_of(store, &items).await?;
    let shown = |message| {
        let file = media_key_of(message).and_then(|key| files.get(&key));
        MessageItem::of(message).with_file(file)
    };
    Ok(answer(StatusCode::OK, &api::Page { items: items.iter().map(shown).collect(), next_cursor: next }))
}

/// The lists that the page is merged from: one, unless the bot has several numbers and names none.
async fn listings(store: &impl Records, request: &Request, bot: &BotId) -> Result<Vec<Listing>, ApiError> {
    let phones = numbers(store, request, bot).await?.into_iter();
    let customer = query_parameter::<String>(request, "customer")?;
    let Some(customer) = customer else {
        return Ok(phones.map(|phone| Listing::Number(number_key(Some(bot), &phone))).collect());
    };
    let Ok(name) = CustomerKey::given(&customer) else {
        return Ok(Vec::new());
    };
    let mut listings = Vec::new();
    for phone in phones {
        if let Some(key) = store.find_customer(&phone, &name).await? {
            listings.push(Listing::Conversation(ConversationId::new(&phone, &key)));
        }
    }
    Ok(listings)
}

/// The files of a page, in one read; none where no message has one.
async fn files_of(
    store: &impl ReadMedia,
    messages: &[Message],
) -> Result<HashMap<MediaKey, MediaFile>, ApiError> {
    let keys: Vec<MediaKey> = messages.iter().filter_map(media_key_of).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let files = store.media_files(&keys).await?;
    Ok(files.into_iter().map(|file| (file.key.clone(), file)).collect())
}

#[cfg(test)]
mod tests;

//! Pages of messages, newest first: of one number, of one conversation, or of all a bot's numbers.

use std::collections::HashMap;

use lambda_http::{Body, Request};
use serde_json::{Map, Value, json};
use shared::domain::Timestamp;
use shared::domain::answer::Answer;
use shared::domain::content::{line_of, refers_to};
use shared::domain::conversation::CustomerKey;
use shared::domain::ids::{BotId, ConversationId};
use shared::domain::media::{MediaFile, MediaKey, MediaState};
use shared::domain::message::{Message, Sending, number_key};
use shared::flows::content_of;
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
    let items: Vec<Value> = items.iter().map(|message| item(message, &files)).collect();
    Ok(answer(StatusCode::OK, &json!({ "items": items, "nextCursor": next })))
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

fn item(message: &Message, files: &HashMap<MediaKey, MediaFile>) -> Value {
    let content = content_of(message);
    let kind = message.kind.as_str();
    let statuses: Map<String, Value> =
        message.statuses.times().into_iter().map(|(state, at)| (state.to_owned(), json!(at))).collect();
    let mut item = json!({
        "messageId": message.id,
        "wamid": message.wamid,
        "direction": if message.origin.is_inbound() { "inbound" } else { "outbound" },
        "origin": message.origin.as_str(),
        "phoneNumberId": message.phone_number_id,
        "customer": message.customer.best(),
        "customerIds": message.customer,
        "type": kind,
        "content": content.get(kind),
        "timestamp": message.at,
        "statuses": statuses,
    });
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value.filter(|v| !v.is_null()) {
            item[name] = value;
        }
    };
    if !content.is_null() {
        set("text", Some(line_of(&content).into()));
    }
    set("context", content.get("context").cloned());
    set("referral", content.get("referral").cloned());
    set("refersTo", refers_to(&content).map(Value::from));
    // How far it had got when the client came to us.
    set("historyStatus", content.pointer("/history_context/status").cloned());
    set("replyTo", message.reply_to.as_ref().map(|id| json!(id)));
    set("answer", message.answer.as_ref().map(answer_of));
    set("sending", message.sending.as_ref().map(|sending| sending_of(sending).into()));
    set("errors", errors_of(message, &content));
    set("media", media_key_of(message).and_then(|key| files.get(&key)).map(file_of));
    set("pricing", message.statuses.pricing());
    item
}

/// How far a file is; the route of files has a link to it.
fn file_of(file: &MediaFile) -> Value {
    let mut shown = json!({"id": file.key.media_id, "state": file.state.as_str()});
    match &file.state {
        MediaState::Pending { .. } | MediaState::Missing => {}
        MediaState::Stored(kept) => {
            shown["mimeType"] = json!(kept.mime_type);
            shown["size"] = json!(kept.size);
            shown["sha256"] = json!(kept.sha256);
            shown["keptUntil"] = json!(kept.until);
        }
        MediaState::Rejected(reason) => shown["reason"] = json!(reason),
    }
    shown
}

fn answer_of(answer: &Answer) -> Value {
    match answer {
        Answer::Pending { due_at, attempts } => {
            json!({"state": "pending", "dueAt": due_at, "attempts": attempts})
        }
        Answer::Answered(id) => json!({"state": "answered", "messageId": id}),
        Answer::None(reason, id) => json!({"state": "none", "reason": reason, "messageId": id}),
    }
}

fn sending_of(sending: &Sending) -> &'static str {
    match sending {
        Sending::Intended { .. } => "intended",
        Sending::Accepted => "accepted",
        Sending::NotSent => "not_sent",
        Sending::Refused(_) => "refused",
        Sending::Uncertain => "uncertain",
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

#[cfg(test)]
mod tests;

//! Pages of messages, newest first: of one number, of one conversation, or of all a bot's numbers.

use lambda_http::{Body, Request};
use serde_json::{Map, Value, json};
use shared::domain::Timestamp;
use shared::domain::answer::Answer;
use shared::domain::client::Client;
use shared::domain::content::{line_of, refers_to};
use shared::domain::conversation::{CustomerKey, CustomerNames};
use shared::domain::ids::{BotId, ConversationId, PhoneNumberId};
use shared::domain::message::{Message, Sending, number_key};
use shared::flows::content_of;
use shared::http::{
    ApiError, Caller, Limit, Response, StatusCode, json as answer, path_parameter, query_parameter,
};
use shared::ports::{ListClients, ListMessages, Listing, Page, ReadClients, ResolveCustomers};

/// A bot with more numbers than this names one.
const MOST_NUMBERS: usize = 20;

/// All records that it uses: dynamodb:Query on indexes of clients and messages, BatchGetItem on both,
/// GetItem on clients and conversations.
pub(crate) trait Records: ReadClients + ListClients + ListMessages + ResolveCustomers {}
impl<T: ReadClients + ListClients + ListMessages + ResolveCustomers> Records for T {}

/// A position in the list; it names a time and a message and nothing of anybody else's.
struct Position(String);

impl TryFrom<String> for Position {
    type Error = ();
    fn try_from(value: String) -> Result<Self, ()> {
        let is_time = value.split_once('#').is_some_and(|(time, id)| {
            time.len() == 15 && time.bytes().all(|b| b.is_ascii_digit()) && !id.is_empty() && id.len() <= 1000
        });
        if is_time { Ok(Self(value)) } else { Err(()) }
    }
}

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
        pages.push(store.list_messages(&listing, from, to, before.as_deref(), limit).await?);
    }
    let (items, next) = merge(pages, &bot, limit);
    let items: Vec<Value> = items.iter().map(item).collect();
    Ok(answer(StatusCode::OK, &json!({ "items": items, "nextCursor": next })))
}

/// One page out of a page of each list. Behind the newest end of a page that has a next one, that list's
/// messages are not known yet: nothing older is shown, and the next page begins there.
fn merge(pages: Vec<Page<Message>>, bot: &BotId, limit: usize) -> (Vec<Message>, Option<String>) {
    let known_to = pages.iter().filter_map(|page| page.next.clone()).max();
    let mut items: Vec<Message> = pages.into_iter().flat_map(|page| page.items).collect();
    // A number may have belonged to another bot: its conversations then hold that bot's messages too.
    items.retain(|message| message.bot_id.as_ref() == Some(bot));
    items.retain(|message| known_to.as_ref().is_none_or(|end| message.time_key() >= *end));
    items.sort_by_key(|message| std::cmp::Reverse(message.time_key()));
    let next = if items.len() > limit { Some(items[limit - 1].time_key()) } else { known_to };
    items.truncate(limit);
    (items, next)
}

/// The lists that the page is merged from: one, unless the bot has several numbers and names none.
async fn listings(store: &impl Records, request: &Request, bot: &BotId) -> Result<Vec<Listing>, ApiError> {
    let phone: Option<PhoneNumberId> = query_parameter(request, "phoneNumberId")?;
    let customer = query_parameter::<String>(request, "customer")?;
    let phones = match phone {
        Some(phone) => {
            let client = store.client(&phone).await?.filter(|client| client.bot_id == *bot);
            vec![client.ok_or_else(|| ApiError::not_found("client_not_found"))?]
        }
        None => clients(store, bot).await?,
    };
    let phones = phones.into_iter().map(|client| client.phone_number_id);
    let Some(customer) = customer else {
        return Ok(phones.map(|phone| Listing::Number(number_key(Some(bot), &phone))).collect());
    };
    let Ok(name) = CustomerKey::try_from(customer.trim_start_matches(['+', ' ']).to_owned()) else {
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

async fn clients(store: &impl Records, bot: &BotId) -> Result<Vec<Client>, ApiError> {
    let page = store.clients_of(bot, None, MOST_NUMBERS).await?;
    if page.next.is_some() {
        return Err(ApiError::bad_request(
            "phone_number_required",
            format!("The bot has more than {MOST_NUMBERS} numbers."),
            "Send phoneNumberId.",
        ));
    }
    Ok(page.items)
}

fn item(message: &Message) -> Value {
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
        "customer": customer(&message.customer),
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
    set("pricing", message.statuses.pricing());
    item
}

/// What `?customer=` takes: the phone where it is known, else the BSUID; nobody for a group.
fn customer(names: &CustomerNames) -> Option<&str> {
    names.wa_id.as_ref().map(AsRef::as_ref).or(names.bsuid.as_ref().map(AsRef::as_ref))
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

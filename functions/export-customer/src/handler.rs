//! Exporting a customer, under all numbers of the bot or the one that is named: a line of JSON for each record,
//! as many as an answer holds.

use std::time::Duration;

use lambda_http::{Body, Request};
use shared::api::export::Line;
use shared::domain::client::Client;
use shared::domain::conversation::CustomerKey;
use shared::domain::ids::{BotId, ConversationId, PhoneNumberId};
use shared::flows::export::{self, Export, Place};
use shared::http::{ApiError, Caller, Response, json_lines, numbers, path_parameter, query_parameter};
use shared::ports::{Clock, ListClients, ReadClients, ResolveCustomers};
use shared::telemetry::unit;

/// When to stop and answer how far it came: HTTP APIs end a call after 30 seconds.
const ENOUGH_TIME: Duration = Duration::from_secs(15);
/// How many bytes are enough. One page of records more has to fit: an answer of AWS Lambda's has at most 6 MB.
const ENOUGH_BYTES: usize = 1024 * 1024;
/// Nobody of this name is known.
const UNKNOWN: &str = "customer_not_found";

/// All records that it uses. IAM: dynamodb:Query on the indexes of clients, messages and conversations and on
/// events and blobs; BatchGetItem on clients, messages, conversations and media; GetItem on clients and conversations.
pub(crate) trait Records: export::Records + ReadClients + ListClients + ResolveCustomers {}
impl<T: export::Records + ReadClients + ListClients + ResolveCustomers> Records for T {}

/// Where to go on: at which number, and there where.
struct Cursor {
    phone: PhoneNumberId,
    place: Place,
}

impl TryFrom<String> for Cursor {
    type Error = ();
    fn try_from(value: String) -> Result<Self, ()> {
        let (phone, place) = value.split_once('.').ok_or(())?;
        Ok(Self { phone: phone.parse().map_err(|_| ())?, place: place.parse().map_err(|_| ())? })
    }
}

pub(crate) async fn handle(
    store: &impl Records,
    clock: &impl Clock,
    request: &Request,
) -> Result<Response<Body>, ApiError> {
    let caller = Caller::of(request)?;
    let bot: BotId = path_parameter(request, "botId", "bot_not_found")?;
    caller.check(&bot)?;
    let name: String = path_parameter(request, "customer", UNKNOWN)?;
    let name = CustomerKey::given(&name).map_err(|_| ApiError::not_found(UNKNOWN))?;
    let mut from = query_parameter::<Cursor>(request, "cursor")?;
    let known = conversations(store, request, &bot, &name).await?;
    if known.is_empty() {
        return Err(ApiError::not_found(UNKNOWN));
    }
    let end = clock.now() + ENOUGH_TIME;
    let mut lines = Lines::default();
    for (client, id) in known {
        let phone = &client.phone_number_id;
        let mut place = match from.take() {
            // The numbers before it are told already.
            Some(cursor) if cursor.phone != *phone => {
                from = Some(cursor);
                continue;
            }
            cursor => cursor.map_or_else(Place::default, |cursor| cursor.place),
        };
        loop {
            if lines.0.len() >= ENOUGH_BYTES || clock.now() >= end {
                lines.add(&Line::More { next_cursor: format!("{phone}.{place}") });
                return Ok(json_lines(lines.0));
            }
            let (kept, next) = Export { store }.page(&client, &id, &place).await?;
            for kept in &kept {
                lines.add(&Line::of(kept, phone, clock.now()));
            }
            let Some(next) = next else { break };
            place = next;
        }
    }
    if from.is_some() {
        // The number is the bot's no more.
        return Err(ApiError::not_found(UNKNOWN));
    }
    lines.add(&Line::End {});
    unit::outcome("exported");
    Ok(json_lines(lines.0))
}

/// JSON, a value a line.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, line: &Line<'_>) {
        self.0.push_str(&serde_json::to_string(line).expect("our answers have text keys"));
        self.0.push('\n');
    }
}

/// Where the customer is known: the bot's numbers, each with the conversation.
async fn conversations(
    store: &impl Records,
    request: &Request,
    bot: &BotId,
    name: &CustomerKey,
) -> Result<Vec<(Client, ConversationId)>, ApiError> {
    let mut known = Vec::new();
    for phone in numbers(store, request, bot).await? {
        let Some(key) = store.find_customer(&phone, name).await? else { continue };
        let client = store.client(&phone).await?.filter(|client| client.bot_id == *bot);
        known.extend(client.map(|client| (client, ConversationId::new(&phone, &key))));
    }
    Ok(known)
}

#[cfg(test)]
mod tests;

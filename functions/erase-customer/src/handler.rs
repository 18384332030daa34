//! Erasing a customer, under all numbers of the bot or the one that is named.

use std::time::Duration;

use lambda_http::{Body, Request};
use shared::api::erasure as api;
use shared::domain::client::Client;
use shared::domain::conversation::CustomerKey;
use shared::domain::ids::{BotId, ConversationId, PhoneNumberId};
use shared::flows::erasure::{self, Erased, Erasure, Progress};
use shared::http::{
    ApiError, Caller, Response, StatusCode, json as answer, numbers, path_parameter, query_parameter,
};
use shared::ports::{Clock, EraseFiles, ListClients, ReadClients, ResolveCustomers};
use shared::telemetry::unit;

/// When to stop and answer how far it came: HTTP APIs end a call after 30 seconds.
const ENOUGH: Duration = Duration::from_secs(20);
/// Nobody of this name is known.
const UNKNOWN: &str = "customer_not_found";

/// All records that it uses. IAM: what [`erasure::Records`] names; dynamodb:Query on the index of clients,
/// GetItem and BatchGetItem on clients, GetItem on conversations.
pub(crate) trait Records: erasure::Records + ReadClients + ListClients + ResolveCustomers {}
impl<T: erasure::Records + ReadClients + ListClients + ResolveCustomers> Records for T {}

/// Where to go on: at which number, behind which of its account's events.
struct Cursor {
    phone: PhoneNumberId,
    after: String,
}

impl TryFrom<String> for Cursor {
    type Error = ();
    fn try_from(value: String) -> Result<Self, ()> {
        let (phone, after) = value.split_once('.').ok_or(())?;
        Ok(Self { phone: phone.parse().map_err(|_| ())?, after: after.to_owned() })
    }
}

pub(crate) async fn handle(
    store: &impl Records,
    files: &impl EraseFiles, // s3:DeleteObject
    clock: &impl Clock,
    request: &Request,
) -> Result<Response<Body>, ApiError> {
    let caller = Caller::of(request)?;
    let bot: BotId = path_parameter(request, "botId", "bot_not_found")?;
    caller.check(&bot)?;
    let name: String = path_parameter(request, "customer", UNKNOWN)?;
    let name = CustomerKey::given(&name).map_err(|_| ApiError::not_found(UNKNOWN))?;
    let cursor = query_parameter::<Cursor>(request, "cursor")?;
    let end = clock.now() + ENOUGH;
    let mut total = Erased::default();
    // Whoever comes back with a cursor was found.
    let mut found = cursor.is_some();
    for phone in numbers(store, request, &bot).await? {
        let Some(key) = store.find_customer(&phone, &name).await? else { continue };
        let Some(client) = store.client(&phone).await?.filter(|client| client.bot_id == bot) else {
            continue;
        };
        found = true;
        let after =
            cursor.as_ref().filter(|cursor| cursor.phone == phone).map(|cursor| cursor.after.as_str());
        let id = ConversationId::new(&phone, &key);
        let erasure = Erasure { store, files, clock };
        let progress = erasure.run(&client, &name, &id, after, || clock.now() < end).await?;
        match progress {
            Progress::Done(erased) => total += erased,
            Progress::More(erased, position) => {
                total += erased;
                return Ok(more(&client, total, &position));
            }
        }
    }
    if found {
        unit::number("messages", total.messages);
        unit::number("events", total.events);
        unit::outcome("erased");
        return Ok(answer(StatusCode::OK, &api::Erasure { done: true, erased: total, next_cursor: None }));
    }
    Err(ApiError::not_found(UNKNOWN))
}

fn more(client: &Client, erased: Erased, position: &str) -> Response<Body> {
    let next_cursor = Some(format!("{}.{position}", client.phone_number_id));
    answer(StatusCode::ACCEPTED, &api::Erasure { done: false, erased, next_cursor })
}

#[cfg(test)]
mod tests;

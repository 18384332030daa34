//! Silencing a bot in the conversations with one customer, and letting it answer again.

use std::time::Duration;

use lambda_http::{Body, Request};
use serde_json::Value;
use shared::api::bots::{ConversationPause, Pauses};
use shared::domain::Timestamp;
use shared::domain::conversation::{CustomerKey, pause_end};
use shared::domain::ids::{BotId, ConversationId, PhoneNumberId};
use shared::http::{
    ApiError, Members, Response, StatusCode, json as answer, numbers_of, path_parameter, query_parameter,
};
use shared::ports::Clock;
use shared::telemetry::unit;

use super::Records;

/// A year. Who wants no answers at all switches the bot off.
const LONGEST_MINUTES: u64 = 365 * 24 * 60;

pub(super) async fn set(
    store: &impl Records,
    clock: &impl Clock,
    bot: &BotId,
    request: &Request,
) -> Result<Response<Body>, ApiError> {
    let members = Members::of(request)?;
    let known = ["until", "minutes", "phoneNumberId"];
    if let Some(unknown) = members.all().keys().find(|name| !known.contains(&name.as_str())) {
        return Err(refusal(unknown, "is unknown here"));
    }
    let until = pause_end(until(&members, clock.now())?);
    let phone = match members.optional::<PhoneNumberId>("phoneNumberId")? {
        Some(phone) => Some(phone),
        None => query_parameter(request, "phoneNumberId")?,
    };
    change(store, bot, request, phone, Some(until)).await
}

pub(super) async fn end(
    store: &impl Records,
    bot: &BotId,
    request: &Request,
) -> Result<Response<Body>, ApiError> {
    let phone = query_parameter(request, "phoneNumberId")?;
    change(store, bot, request, phone, None).await
}

/// In the conversations of all the bot's numbers with the customer, or of the one that is named.
async fn change(
    store: &impl Records,
    bot: &BotId,
    request: &Request,
    phone: Option<PhoneNumberId>,
    until: Option<Timestamp>,
) -> Result<Response<Body>, ApiError> {
    let unknown = || ApiError::not_found("customer_not_found");
    let name: String = path_parameter(request, "customer", "customer_not_found")?;
    let name = CustomerKey::given(&name).map_err(|_| unknown())?;
    let mut items = Vec::new();
    for phone in numbers_of(store, phone, bot).await? {
        let Some(key) = store.find_customer(&phone, &name).await? else { continue };
        let known = store.conversation(&ConversationId::new(&phone, &key)).await?;
        let Some(known) = known.filter(|known| known.bot_id == *bot) else { continue };
        if store.set_pause(&known.id, until).await? {
            let customer = known.customer.best().map(str::to_owned);
            items.push(ConversationPause { phone_number_id: phone, customer, paused_until: until });
        }
    }
    if items.is_empty() {
        return Err(unknown());
    }
    unit::number("conversations", items.len());
    unit::outcome(if until.is_some() { "paused" } else { "resumed" });
    Ok(answer(StatusCode::OK, &Pauses { items }))
}

fn until(members: &Members, now: Timestamp) -> Result<Timestamp, ApiError> {
    let given = |name: &str| members.all().get(name).filter(|value| !value.is_null());
    let latest = now + Duration::from_secs(LONGEST_MINUTES * 60);
    match (given("until"), given("minutes").map(Value::as_u64)) {
        (Some(until), None) => {
            let until: Option<Timestamp> = until.as_str().and_then(|until| until.parse().ok());
            let until = until.filter(|until| *until > now && *until <= latest);
            until.ok_or_else(|| refusal("until", "must be a time within the next 365 days (RFC 3339)"))
        }
        (None, Some(minutes)) => match minutes {
            Some(minutes @ 1..=LONGEST_MINUTES) => Ok(now + Duration::from_secs(minutes * 60)),
            _ => Err(refusal("minutes", &format!("must be a whole number from 1 to {LONGEST_MINUTES}"))),
        },
        _ => Err(refusal("until", "must be there, or minutes must be: one of the two")),
    }
}

fn refusal(member: &str, problem: &str) -> ApiError {
    ApiError::bad_request("invalid_member", format!("{member}: {problem}"), format!("Correct {member}."))
        .with_member("member", member)
}

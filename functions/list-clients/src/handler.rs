//! Pages of clients: all of them for an admin, else those of the caller's bots, bot after bot.

use lambda_http::{Body, Request};
use serde_json::{Value, json};
use shared::domain::Timestamp;
use shared::domain::client::Client;
use shared::domain::ids::{BotId, PhoneNumberId};
use shared::http::{ApiError, Caller, Limit, Response, StatusCode, json as answer, query_parameter};
use shared::ports::{Clock, ListClients, Page};

/// Where the next page begins: in which bot, after which number.
struct Cursor {
    bot: Option<BotId>,
    after: Option<PhoneNumberId>,
}

impl TryFrom<String> for Cursor {
    type Error = ();
    fn try_from(value: String) -> Result<Self, ()> {
        let (bot, after) = value.split_once('.').ok_or(())?;
        let bot = if bot.is_empty() { None } else { Some(bot.parse().map_err(|_| ())?) };
        let after = if after.is_empty() { None } else { Some(after.parse().map_err(|_| ())?) };
        Ok(Self { bot, after })
    }
}

pub(crate) async fn handle(
    store: &impl ListClients, // dynamodb:Query on indexes of clients, BatchGetItem on clients
    clock: &impl Clock,
    request: &Request,
) -> Result<Response<Body>, ApiError> {
    let caller = Caller::of(request)?;
    let limit = Limit::of(request)?;
    let only: Option<BotId> = query_parameter(request, "botId")?;
    let cursor: Option<Cursor> = query_parameter(request, "cursor")?;
    let cursor = cursor.unwrap_or(Cursor { bot: None, after: None });
    if let Some(bot) = &only {
        caller.check(bot)?;
    }
    let (items, next) = match (only, caller.bots()) {
        (Some(bot), _) => of_bots(store, &[bot], cursor, limit).await?,
        (None, Some(bots)) => of_bots(store, bots, cursor, limit).await?,
        (None, None) => {
            let after = cursor.after.as_ref().map(AsRef::as_ref);
            let Page { items, next } = store.all_clients(after, limit).await?;
            (items, next.map(|after| format!(".{after}")))
        }
    };
    let now = clock.now();
    let items: Vec<Value> = items.iter().map(|client| item(client, now)).collect();
    Ok(answer(StatusCode::OK, &json!({ "items": items, "nextCursor": next })))
}

/// A page across bots. A cursor can only name a bot of the caller's: others are not among `bots`.
async fn of_bots(
    store: &impl ListClients,
    bots: &[BotId],
    cursor: Cursor,
    limit: usize,
) -> Result<(Vec<Client>, Option<String>), ApiError> {
    let mut items = Vec::new();
    let mut after = cursor.after.map(String::from);
    let rest = bots.iter().filter(|bot| cursor.bot.as_ref().is_none_or(|start| *bot >= start));
    for bot in rest {
        if items.len() == limit {
            return Ok((items, Some(format!("{bot}."))));
        }
        let in_cursor = cursor.bot.as_ref().is_none_or(|start| bot == start);
        let page =
            store.clients_of(bot, after.take().filter(|_| in_cursor).as_deref(), limit - items.len()).await?;
        items.extend(page.items);
        if let Some(next) = page.next {
            return Ok((items, Some(format!("{bot}.{next}"))));
        }
    }
    Ok((items, None))
}

fn item(client: &Client, now: Timestamp) -> Value {
    let reason = client.status_reason();
    let restrictions = client.account.restrictions(client.signed_up_at, now);
    let warnings = client.account.warnings(client.signed_up_at);
    let mut item = json!({
        "id": client.phone_number_id,
        "botId": client.bot_id,
        "clientName": client.client_name,
        "wabaId": client.waba_id,
        "phoneNumberId": client.phone_number_id,
        "businessId": client.business_id,
        "displayPhoneNumber": client.display_phone_number,
        "verifiedName": client.verified_name(),
        "nameDecision": client.name_decision().map(|(it, at)| {
            json!({"decision": it.decision, "name": it.name, "reason": it.reason, "at": at})
        }),
        "qualityRating": client.quality_rating(),
        "messagingLimit": client.messaging_limit(),
        "status": client.status(),
        "statusReason": reason.map(|(reason, _)| reason),
        "statusSince": reason.map(|(_, since)| since),
        "restrictions": restrictions
            .iter()
            .map(|(kind, until)| json!({"type": kind, "until": until}))
            .collect::<Vec<_>>(),
        "warnings": warnings
            .iter()
            .map(|(kind, detail, at)| json!({"type": kind, "detail": detail, "at": at}))
            .collect::<Vec<_>>(),
        "coexistence": client.on_biz_app,
        "messagesPerSecond": client.messages_per_second(),
        "onboardingId": client.onboarding_id,
        "onboardedAt": client.onboarded_at,
        "lastMessageAt": client.last_message_at,
        "createdAt": client.created_at,
        "updatedAt": client.updated_at,
    });
    if let Some(pause) = &client.pause {
        item["pause"] = json!(pause);
    }
    if client.reconnect_since.is_some() {
        item["needsReconnect"] = true.into();
    }
    item
}

#[cfg(test)]
mod tests;

//! Pages of clients: all of them for an admin, else those of the caller's bots, bot after bot.

use lambda_http::{Body, Request};
use shared::api::{self, clients::ClientItem};
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
    let items = items.iter().map(|client| ClientItem::of(client, now)).collect();
    Ok(answer(StatusCode::OK, &api::Page { items, next_cursor: next }))
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

#[cfg(test)]
mod tests;

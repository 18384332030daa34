//! Lists by time over the numbers of a bot, newest first, in pages.

use lambda_http::Request;

use super::{ApiError, query_parameter};
use crate::domain::client::Client;
use crate::domain::ids::{BotId, PhoneNumberId};
use crate::ports::{ListClients, Page, ReadClients};

/// A bot with more numbers than this names one.
pub const MOST_NUMBERS: usize = 20;

/// A position in a list; it names a time and an id and nothing of anybody else's.
#[derive(Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(extend("pattern" = "^[0-9]{15}#.{1,250}$")))]
pub struct Position(pub String);

impl TryFrom<String> for Position {
    type Error = ();
    fn try_from(value: String) -> Result<Self, ()> {
        let is_time = value.split_once('#').is_some_and(|(time, id)| {
            time.len() == 15 && time.bytes().all(|b| b.is_ascii_digit()) && !id.is_empty() && id.len() <= 1000
        });
        if is_time { Ok(Self(value)) } else { Err(()) }
    }
}

/// The numbers that a list is merged from: the one of `?phoneNumberId=`, else all of the bot's.
///
/// # Errors
/// 404 `client_not_found` where the number is not the bot's, 400 `phone_number_required` where the bot has
/// too many to be merged.
pub async fn numbers(
    store: &(impl ReadClients + ListClients),
    request: &Request,
    bot: &BotId,
) -> Result<Vec<PhoneNumberId>, ApiError> {
    numbers_of(store, query_parameter(request, "phoneNumberId")?, bot).await
}

/// The same, for a number that was named elsewhere.
///
/// # Errors
/// As [`numbers`].
pub async fn numbers_of(
    store: &(impl ReadClients + ListClients),
    named: Option<PhoneNumberId>,
    bot: &BotId,
) -> Result<Vec<PhoneNumberId>, ApiError> {
    let clients: Vec<Client> = match named {
        Some(phone) => {
            let client = store.client(&phone).await?.filter(|client| client.bot_id == *bot);
            vec![client.ok_or_else(|| ApiError::not_found("client_not_found"))?]
        }
        None => all(store, bot).await?,
    };
    Ok(clients.into_iter().map(|client| client.phone_number_id).collect())
}

async fn all(store: &impl ListClients, bot: &BotId) -> Result<Vec<Client>, ApiError> {
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

/// One page out of a page of each list, by `key`, the largest first. Behind the newest end of a page that has
/// a next one, that list's items are not known yet: nothing older is shown, and the next page begins there.
#[must_use]
pub fn merge<T>(pages: Vec<Page<T>>, key: impl Fn(&T) -> String, limit: usize) -> (Vec<T>, Option<String>) {
    let known_to = pages.iter().filter_map(|page| page.next.clone()).max();
    let mut items: Vec<T> = pages.into_iter().flat_map(|page| page.items).collect();
    items.retain(|item| known_to.as_ref().is_none_or(|end| key(item) >= *end));
    items.sort_by_key(|item| std::cmp::Reverse(key(item)));
    let next = if items.len() > limit { Some(key(&items[limit - 1])) } else { known_to };
    items.truncate(limit);
    (items, next)
}

//! What people decide about bots: their settings, and in which conversations they are silent.

mod pause;

use lambda_http::http::Method;
use lambda_http::{Body, Request, RequestExt};
use serde_json::{Value, json};
use shared::domain::bot::{Bot, BotSettings, InvalidSettings};
use shared::domain::ids::BotId;
use shared::http::{ApiError, Caller, Members, Response, StatusCode, json as answer, path_parameter};
use shared::ports::{
    Clock, ListClients, ReadBots, ReadClients, ReadConversations, ResolveCustomers, SavedBot, SetPauses,
    WriteBots,
};

/// All records that it uses: dynamodb:GetItem and UpdateItem on bots and conversations, GetItem and
/// BatchGetItem on clients, Query on its index.
pub(crate) trait Records:
    ReadBots + WriteBots + ReadClients + ListClients + ResolveCustomers + ReadConversations + SetPauses
{
}
impl<T> Records for T where
    T: ReadBots + WriteBots + ReadClients + ListClients + ResolveCustomers + ReadConversations + SetPauses
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
    // Of the routes only those of pauses name a customer.
    let is_pause = request.path_parameters_ref().is_some_and(|names| names.first("customer").is_some());
    match (request.method(), is_pause) {
        (&Method::DELETE, true) => pause::end(store, &bot, request).await,
        (_, true) => pause::set(store, clock, &bot, request).await,
        (&Method::PUT, false) => save(store, &bot, request).await,
        _ => Ok(answer(StatusCode::OK, &shown(&store.bot(&bot).await?))),
    }
}

async fn save(store: &impl Records, bot: &BotId, request: &Request) -> Result<Response<Body>, ApiError> {
    let mut members = Members::of(request)?.all().clone();
    let version = match members.remove("version") {
        None | Some(Value::Null) => None,
        Some(version) => {
            Some(version.as_u64().ok_or_else(|| refusal("version", "must be the number that was read"))?)
        }
    };
    if members.remove("botId").is_some_and(|id| id != bot.as_ref()) {
        return Err(refusal("botId", "must be the bot of the address, or missing"));
    }
    let settings = BotSettings::read(&members).map_err(invalid)?;
    match store.save_bot(bot, &settings, version).await? {
        SavedBot::Saved(version) => {
            tracing::info!(bot.id = %bot, version, "settings saved");
            Ok(answer(StatusCode::OK, &shown(&Bot { id: bot.clone(), version, settings })))
        }
        SavedBot::Changed(version) => Err(ApiError::conflict(
            "settings_changed",
            "Somebody changed the settings since they were read.",
            "Read them again, make your change in them, and send them with their version.",
        )
        .with_member("version", version)),
    }
}

fn invalid(error: InvalidSettings) -> ApiError {
    refusal(&error.member, &error.problem)
}

fn refusal(member: &str, problem: &str) -> ApiError {
    let what = if member.is_empty() { problem.to_owned() } else { format!("{member}: {problem}") };
    ApiError::bad_request("invalid_settings", what, "Correct the settings.").with_member("member", member)
}

/// The settings with whose and which they are.
fn shown(bot: &Bot) -> Value {
    let mut shown = json!({"botId": bot.id, "version": bot.version});
    if let (Value::Object(all), Value::Object(settings)) = (&mut shown, json!(bot.settings)) {
        all.extend(settings);
    }
    shown
}

#[cfg(test)]
mod tests;

//! What people decide about bots: their settings, and in which conversations they are silent.

mod pause;

use lambda_http::http::Method;
use lambda_http::{Body, Request, RequestExt};
use serde_json::{Value, json};
use shared::api::bots::{BotView, SHOWN_ONLY};
use shared::domain::bot::{Bot, BotSettings, InvalidSettings};
use shared::domain::ids::BotId;
use shared::domain::model::Models;
use shared::domain::money::Month;
use shared::http::{ApiError, Caller, Members, Response, StatusCode, json as answer, path_parameter};
use shared::ports::{
    Clock, ListClients, ReadBots, ReadClients, ReadConversations, ReadSpending, ResolveCustomers, SavedBot,
    SetPauses, WriteBots,
};
use shared::telemetry::unit;

/// All records that it uses: dynamodb:GetItem and UpdateItem on bots and conversations, GetItem and
/// BatchGetItem on clients, Query on its index.
pub(crate) trait Records:
    ReadBots
    + WriteBots
    + ReadSpending
    + ReadClients
    + ListClients
    + ResolveCustomers
    + ReadConversations
    + SetPauses
{
}
impl<T> Records for T where
    T: ReadBots
        + WriteBots
        + ReadSpending
        + ReadClients
        + ListClients
        + ResolveCustomers
        + ReadConversations
        + SetPauses
{
}

pub(crate) async fn handle(
    store: &impl Records,
    models: &Models,
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
        (&Method::PUT, false) => save(store, models, clock, &bot, request).await,
        _ => show(store, models, clock, &store.bot(&bot).await?).await,
    }
}

async fn save(
    store: &impl Records,
    models: &Models,
    clock: &impl Clock,
    bot: &BotId,
    request: &Request,
) -> Result<Response<Body>, ApiError> {
    let mut members = Members::of(request)?.all().clone();
    let version = match members.remove("version") {
        None | Some(Value::Null) => None,
        Some(version) => {
            Some(version.as_u64().ok_or_else(|| refusal("version", "must be the number that was read"))?)
        }
    };
    if members.remove("botId").is_some_and(|id| !id.is_null() && id != bot.as_ref()) {
        return Err(refusal("botId", "must be the bot of the address, or missing"));
    }
    for shown_only in SHOWN_ONLY {
        members.remove(shown_only);
    }
    let settings = BotSettings::read(&members).map_err(invalid)?;
    check_model(models, &settings)?;
    match store.save_bot(bot, &settings, version).await? {
        SavedBot::Saved(version) => {
            unit::outcome("saved");
            show(store, models, clock, &Bot { id: bot.clone(), version, settings }).await
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

/// The model is one of the deployment's, and a budget can be kept with it.
fn check_model(models: &Models, settings: &BotSettings) -> Result<(), ApiError> {
    let model = models.chosen(settings.model.as_ref());
    if let (Some(_), None) = (&settings.model, model) {
        let names: Vec<&str> = models.iter().map(|model| model.name.as_ref()).collect();
        let problem = match names.as_slice() {
            [] => "no model is configured".to_owned(),
            names => format!("must be one of {}", names.join(", ")),
        };
        return Err(refusal("model", &problem).with_member("models", json!(names)));
    }
    let has_prices = model.is_some_and(|model| model.prices.is_some());
    if settings.monthly_budget_usd.is_some() && !has_prices {
        return Err(refusal("monthlyBudgetUsd", "the prices of the bot's model are not configured"));
    }
    Ok(())
}

/// The settings with whose and which they are, the models to choose from, and what was spent this month.
async fn show(
    store: &impl Records,
    models: &Models,
    clock: &impl Clock,
    bot: &Bot,
) -> Result<Response<Body>, ApiError> {
    let month = Month::of(clock.now());
    let spent = store.spent(&bot.id, &month).await?;
    Ok(answer(StatusCode::OK, &BotView::of(bot, models, &month, spent)))
}

#[cfg(test)]
mod tests;

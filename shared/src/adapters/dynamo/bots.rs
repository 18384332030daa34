//! Settings of bots.

use aws_sdk_dynamodb::types::ReturnValue;

use super::expression::Expression;
use super::table::{Item, Table, Write};
use super::values::{n, number, record, s, text};
use super::{Client, Stored};
use crate::domain::bot::{Bot, BotSettings};
use crate::domain::ids::BotId;
use crate::domain::money::{Month, Usd};
use crate::error::StoreError;
use crate::ports::{AddSpending, ReadBots, ReadSpending, SavedBot, WriteBots};

/// The settings as JSON: messages in them have numbers and depths that an item cannot hold.
const SETTINGS: &str = "settings";

/// The sum of a month's spending, in millionths of a dollar.
const SPENT: &str = "microUsd";

/// The table `bots`: one item per bot with its settings, and one per bot and month with what its models
/// cost. All answers of a bot write to the one of the month; DynamoDB takes 1,000 such writes a second.
/// They are kept: twelve small items a year.
#[derive(Debug, Clone)]
pub struct Bots(Table);

impl Bots {
    /// The table of this name.
    #[must_use]
    pub fn new(client: &Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }
}

fn version(item: &Item) -> u64 {
    number(item, "version").and_then(|version| u64::try_from(version).ok()).unwrap_or(0)
}

/// Items that were written by hand have the settings as their attributes.
fn settings(item: Item) -> Stored<BotSettings> {
    match text(&item, SETTINGS) {
        Some(json) => serde_json::from_str(json).map_err(|e| StoreError::corrupt("bots", e)),
        None => record("bots", item),
    }
}

impl ReadBots for Bots {
    async fn bot(&self, id: &BotId) -> Stored<Bot> {
        let item = self.0.get("dynamodb GetItem on bots", ("botId", id.as_ref())).await?.unwrap_or_default();
        Ok(Bot { id: id.clone(), version: version(&item), settings: settings(item)? })
    }
}

impl WriteBots for Bots {
    async fn save_bot(&self, id: &BotId, settings: &BotSettings, expected: Option<u64>) -> Stored<SavedBot> {
        let json = serde_json::to_string(settings).map_err(|e| StoreError::corrupt("bots", e))?;
        let change = match expected {
            None => Expression::default(),
            Some(0) => Expression::when("attribute_not_exists(#version)"),
            Some(known) => Expression::when("#version = :known")
                .value("known", n(i64::try_from(known).unwrap_or(i64::MAX))),
        };
        let change = change
            .assign("#version = if_not_exists(#version, :none) + :one")
            .value("none", n(0))
            .value("one", n(1))
            .set(SETTINGS, s(json.as_str()));
        let key = ("botId", id.as_ref());
        let written =
            self.0.update_returning("dynamodb UpdateItem on bots", key, change, ReturnValue::AllNew);
        Ok(match written.await? {
            Write::Done(item) => SavedBot::Saved(version(&item)),
            Write::Refused(item) => {
                // Our own write, repeated below us because its answer was lost.
                let is_ours = expected.is_some_and(|known| version(&item) == known + 1)
                    && text(&item, SETTINGS) == Some(&json);
                if is_ours { SavedBot::Saved(version(&item)) } else { SavedBot::Changed(version(&item)) }
            }
        })
    }
}

/// A bot's name has no `#`, so this is no bot.
fn spending(bot: &BotId, month: &Month) -> String {
    format!("{bot}#spend#{}", month.as_ref())
}

fn sum(item: &Item) -> Usd {
    let micros = number(item, SPENT).and_then(|micros| u64::try_from(micros).ok());
    Usd::from_micros(micros.unwrap_or(0))
}

impl ReadSpending for Bots {
    async fn spent(&self, bot: &BotId, month: &Month) -> Stored<Usd> {
        let key = spending(bot, month);
        let item = self.0.get("dynamodb GetItem on bots", ("botId", &key)).await?.unwrap_or_default();
        Ok(sum(&item))
    }
}

impl AddSpending for Bots {
    async fn add_spending(&self, bot: &BotId, month: &Month, cost: Usd) -> Stored<Usd> {
        let change = Expression::default()
            .assign("#microUsd = if_not_exists(#microUsd, :none) + :cost")
            .value("none", n(0))
            .value("cost", n(i64::try_from(cost.micros()).unwrap_or(i64::MAX)));
        let key = spending(bot, month);
        match self.0.update("dynamodb UpdateItem on bots", ("botId", &key), change).await? {
            Write::Done(item) | Write::Refused(item) => Ok(sum(&item)),
        }
    }
}

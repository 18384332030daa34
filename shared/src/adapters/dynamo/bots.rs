//! Settings of bots.

use super::table::Table;
use super::values::record;
use super::{Client, Stored};
use crate::domain::bot::{Bot, BotSettings};
use crate::domain::ids::BotId;
use crate::ports::ReadBots;

/// The table `bots`: one item per bot, the settings as its attributes.
#[derive(Debug, Clone)]
pub struct Bots(Table);

impl Bots {
    /// The table of this name.
    #[must_use]
    pub fn new(client: &Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }
}

impl ReadBots for Bots {
    async fn bot(&self, id: &BotId) -> Stored<Bot> {
        let settings = match self.0.get("dynamodb GetItem on bots", ("botId", id.as_ref())).await? {
            Some(item) => record("bots", item)?,
            None => BotSettings::default(),
        };
        Ok(Bot { id: id.clone(), settings })
    }
}

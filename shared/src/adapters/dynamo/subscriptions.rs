//! Subscriptions to events.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::ReturnValue;
use serde::{Deserialize, Serialize};

use super::expression::Expression;
use super::table::{Item, Range, Table, Write};
use super::values::{Millis, item, millis, n, record, s, with_nulls};
use super::{Client, Stored};
use crate::domain::Timestamp;
use crate::domain::event::EventKind;
use crate::domain::ids::{BotId, SubscriptionId, SubscriptionKey};
use crate::domain::seal::Sealed;
use crate::domain::subscription::{Health, Off, Subscription};
use crate::error::StoreError;
use crate::ports::{ListSubscriptions, NoteCalls, ReadSubscriptions, WriteSubscriptions};

const TABLE: &str = "subscriptions";
const UPDATE: &str = "dynamodb UpdateItem on subscriptions";
/// How the calls go is written alone, by who calls.
const HEALTH: [&str; 3] = ["failures", "failingSince", "pausedUntil"];

/// The table `subscriptions`: one item per subscription, under its bot.
#[derive(Debug, Clone)]
pub struct Subscriptions(Table);

impl Subscriptions {
    /// The table of this name.
    #[must_use]
    pub fn new(client: &Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    bot_id: BotId,
    subscription_id: SubscriptionId,
    url: String,
    kinds: Vec<EventKind>,
    off: Option<Off>,
    secret: Sealed,
    previous: Option<Sealed>,
    previous_until: Option<Millis>,
    request: Option<String>,
    version: u64,
    failures: Option<u32>,
    failing_since: Option<Millis>,
    paused_until: Option<Millis>,
    created_at: Millis,
    updated_at: Millis,
}

impl From<&Subscription> for Record {
    fn from(it: &Subscription) -> Self {
        let (previous, previous_until) = it.previous.clone().unzip();
        Self {
            bot_id: it.key.bot_id(),
            subscription_id: it.key.id(),
            url: it.url.clone(),
            kinds: it.kinds.iter().copied().collect(),
            off: it.off,
            secret: it.secret.clone(),
            previous,
            previous_until: previous_until.map(Millis),
            request: it.request.clone(),
            version: it.version,
            failures: None,
            failing_since: None,
            paused_until: None,
            created_at: Millis(it.created_at),
            updated_at: Millis(it.updated_at),
        }
    }
}

fn subscription(item: Item) -> Stored<Subscription> {
    let it: Record = record(TABLE, item)?;
    Ok(Subscription {
        key: SubscriptionKey::new(&it.bot_id, &it.subscription_id),
        url: it.url,
        kinds: it.kinds.into_iter().collect::<BTreeSet<_>>(),
        off: it.off,
        secret: it.secret,
        previous: it.previous.zip(it.previous_until.map(|t| t.0)),
        request: it.request,
        version: it.version,
        health: Health {
            failures: it.failures.unwrap_or_default(),
            failing_since: it.failing_since.map(|t| t.0),
            paused_until: it.paused_until.map(|t| t.0),
        },
        created_at: it.created_at.0,
        updated_at: it.updated_at.0,
    })
}

fn key(key: &SubscriptionKey) -> Item {
    let (bot, id) = (key.bot_id(), key.id());
    Item::from([("botId".to_owned(), s(bot)), ("subscriptionId".to_owned(), s(id))])
}

impl ListSubscriptions for Subscriptions {
    async fn subscriptions_of(&self, bot: &BotId) -> Stored<Vec<Subscription>> {
        let range = Range {
            index: None,
            condition: "#botId = :botId",
            values: vec![("botId", s(bot.as_ref()))],
            attributes: &[],
            ascending: true,
            consistent: true,
            limit: None,
        };
        let items = self.0.query("dynamodb Query on subscriptions", range).await?;
        items.into_iter().map(subscription).collect()
    }
}

impl ReadSubscriptions for Subscriptions {
    async fn subscription(&self, id: &SubscriptionKey) -> Stored<Option<Subscription>> {
        let item = self.0.get_at("dynamodb GetItem on subscriptions", key(id)).await?;
        item.map(subscription).transpose()
    }
}

impl WriteSubscriptions for Subscriptions {
    async fn add_subscription(&self, new: &Subscription) -> Stored<Option<Subscription>> {
        let item = item(TABLE, &Record::from(new))?;
        let condition = Expression::when("attribute_not_exists(#botId)");
        match self.0.put("dynamodb PutItem on subscriptions", item, condition).await? {
            Write::Done(_) => Ok(None),
            Write::Refused(known) => subscription(known).map(Some),
        }
    }

    async fn save_subscription(&self, changed: &Subscription, expected: u64) -> Stored<bool> {
        let expected = n(i64::try_from(expected).map_err(|e| StoreError::corrupt(TABLE, e))?);
        let change = Expression::when("#version = :expected")
            .value("expected", expected)
            .overwrite(with_nulls(TABLE, &Record::from(changed))?, &["botId", "subscriptionId"]);
        let write = self.0.update_at(UPDATE, key(&changed.key), change, ReturnValue::None).await?;
        Ok(matches!(write, Write::Done(_)))
    }

    async fn delete_subscription(&self, id: &SubscriptionKey) -> Stored<()> {
        let always = Expression::default();
        self.0.delete_at("dynamodb DeleteItem on subscriptions", key(id), always).await.map(drop)
    }
}

impl NoteCalls for Subscriptions {
    async fn take_call(&self, id: &SubscriptionKey, now: Timestamp, until: Timestamp) -> Stored<bool> {
        let condition =
            "attribute_exists(#botId) AND (attribute_not_exists(#pausedUntil) OR #pausedUntil <= :now)";
        let change = Expression::when(condition).value("now", millis(now)).set("pausedUntil", millis(until));
        let write = self.0.update_at(UPDATE, key(id), change, ReturnValue::None).await?;
        Ok(matches!(write, Write::Done(_)))
    }

    async fn note_failure(
        &self,
        id: &SubscriptionKey,
        now: Timestamp,
        paused_until: Option<Timestamp>,
    ) -> Stored<()> {
        let change = Expression::when("attribute_exists(#botId)")
            .assign("#failures = if_not_exists(#failures, :none) + :one")
            .value("none", n(0))
            .value("one", n(1))
            .set_if_missing("failingSince", millis(now));
        let change = match paused_until {
            Some(until) => change.set("pausedUntil", millis(until)),
            None => change,
        };
        self.0.update_at(UPDATE, key(id), change, ReturnValue::None).await.map(drop)
    }

    async fn note_success(&self, id: &SubscriptionKey) -> Stored<()> {
        let change =
            HEALTH.into_iter().fold(Expression::when("attribute_exists(#botId)"), Expression::remove);
        self.0.update_at(UPDATE, key(id), change, ReturnValue::None).await.map(drop)
    }

    async fn note_gone(&self, id: &SubscriptionKey, now: Timestamp) -> Stored<()> {
        let change = Expression::when("attribute_exists(#botId) AND attribute_not_exists(#off)")
            .set("off", s("gone"))
            .set("updatedAt", millis(now))
            .assign("#version = #version + :one")
            .value("one", n(1));
        self.0.update_at(UPDATE, key(id), change, ReturnValue::None).await.map(drop)
    }
}

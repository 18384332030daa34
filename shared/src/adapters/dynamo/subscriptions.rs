//! Subscriptions to events.

use aws_sdk_dynamodb::types::ReturnValue;
use serde::{Deserialize, Serialize};

use super::expression::Expression;
use super::table::{Item, Range, Table, Write};
use super::values::{Millis, item, millis, n, record, s, with_nulls};
use super::{Client, Stored};
use crate::domain::Timestamp;
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
    /// Words: one that a later version wrote is passed over, so that the bot's other events are told.
    kinds: Vec<String>,
    off: Option<String>,
    secret: Sealed,
    /// The newest of what signed before; what signed before that is in `earlier`.
    previous: Option<Sealed>,
    previous_until: Option<Millis>,
    earlier: Option<Vec<Earlier>>,
    request: Option<String>,
    version: u64,
    failures: Option<u32>,
    failing_since: Option<Millis>,
    paused_until: Option<Millis>,
    created_at: Millis,
    updated_at: Millis,
}

#[derive(Serialize, Deserialize)]
struct Earlier {
    secret: Sealed,
    until: Millis,
}

impl From<&Subscription> for Record {
    fn from(it: &Subscription) -> Self {
        let mut signed = it.previous.iter().map(|(secret, until)| (secret.clone(), Millis(*until)));
        let (previous, previous_until) = signed.next().unzip();
        let earlier: Vec<_> = signed.map(|(secret, until)| Earlier { secret, until }).collect();
        Self {
            bot_id: it.key.bot_id(),
            subscription_id: it.key.id(),
            url: it.url.clone(),
            kinds: it.kinds.iter().map(|kind| kind.as_str().to_owned()).collect(),
            off: it.off.map(|off| off.as_str().to_owned()),
            secret: it.secret.clone(),
            previous,
            previous_until,
            earlier: (!earlier.is_empty()).then_some(earlier),
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

/// Off for whatever reason is off.
fn off(word: &str) -> Off {
    if word == Off::Gone.as_str() { Off::Gone } else { Off::Caller }
}

fn subscription(item: Item) -> Stored<Subscription> {
    let it: Record = record(TABLE, item)?;
    let earlier = it.earlier.into_iter().flatten().map(|earlier| (earlier.secret, earlier.until));
    let until = |(secret, until): (Sealed, Millis)| (secret, until.0);
    Ok(Subscription {
        key: SubscriptionKey::new(&it.bot_id, &it.subscription_id),
        url: it.url,
        kinds: it.kinds.iter().filter_map(|word| word.parse().ok()).collect(),
        off: it.off.map(|word| off(&word)),
        secret: it.secret,
        previous: it.previous.zip(it.previous_until).into_iter().chain(earlier).map(until).collect(),
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
            .set("off", s(Off::Gone.as_str()))
            .set("updatedAt", millis(now))
            .assign("#version = #version + :one")
            .value("one", n(1));
        self.0.update_at(UPDATE, key(id), change, ReturnValue::None).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::EventKind;

    fn stored() -> Subscription {
        Subscription {
            key: "bot.sub_1".parse().unwrap(),
            url: "https://hooks.partner.example/".to_owned(),
            kinds: [EventKind::TokenDead].into(),
            off: None,
            secret: Sealed::new(vec![1]),
            previous: Vec::new(),
            request: None,
            version: 1,
            health: Health::default(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_a_later_version_wrote_is_read_as_far_as_it_is_known() {
        let later = Record {
            kinds: vec!["token.dead".to_owned(), "something.later".to_owned()],
            off: Some("for_a_later_reason".to_owned()),
            ..Record::from(&stored())
        };
        let read = subscription(item(TABLE, &later).unwrap()).unwrap();
        assert_eq!(read, Subscription { off: Some(Off::Caller), ..stored() });
    }
}

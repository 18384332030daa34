//! Deliveries of events that failed.

use aws_sdk_dynamodb::types::ReturnValue;
use serde::{Deserialize, Serialize};

use super::expression::Expression;
use super::table::{Item, Range, Table, Write};
use super::values::{Millis, Seconds, item, millis, number, record, s, shard, shards, text, with_nulls};
use super::{Client, Stored};
use crate::domain::Timestamp;
use crate::domain::delivery::{Delivery, DeliveryKey, Failure, Packet, Progress};
use crate::domain::event::EventKind;
use crate::domain::ids::{ConversationId, EventId, SubscriptionKey};
use crate::domain::message::time_key;
use crate::error::StoreError;
use crate::ports::{DeadDeliveries, DeadDelivery, Deliveries as DeliveriesPort, EraseDeliveries, Page};

const TABLE: &str = "deliveries";
const UPDATE: &str = "dynamodb UpdateItem on deliveries";
const QUERY: &str = "dynamodb Query on deliveries";
const DELETE: &str = "dynamodb DeleteItem on deliveries";

/// The table `deliveries`: one item per event and subscription that could not be told at once.
#[derive(Debug, Clone)]
pub struct Deliveries(Table);

impl Deliveries {
    /// The table of this name.
    #[must_use]
    pub fn new(client: &Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    subscription: SubscriptionKey,
    event_id: EventId,
    kind: EventKind,
    at: Millis,
    conversation_id: Option<ConversationId>,
    body: String,
    attempts: u32,
    failure: Option<Failure>,
    due_at: Option<Millis>,
    /// Where the index `due` lists it; absent if it is dead.
    due_key: Option<String>,
    /// Where the index `dead` lists it, and since when; absent if it is pending.
    dead_of: Option<SubscriptionKey>,
    dead_key: Option<String>,
    dead_since: Option<Millis>,
    expires_at: Seconds,
}

impl From<&Delivery> for Record {
    fn from(it: &Delivery) -> Self {
        let packet = &it.packet;
        let (due_at, dead_since) = match it.progress {
            Progress::Pending { due_at } => (Some(due_at), None),
            Progress::Dead { since } => (None, Some(since)),
        };
        Self {
            subscription: packet.subscription.clone(),
            event_id: packet.event_id.clone(),
            kind: packet.kind,
            at: Millis(packet.at),
            conversation_id: packet.conversation_id.clone(),
            body: packet.body.clone(),
            attempts: it.attempts,
            failure: it.failure,
            due_at: due_at.map(Millis),
            due_key: due_at.map(|_| shard(packet.event_id.as_ref())),
            dead_of: dead_since.map(|_| packet.subscription.clone()),
            dead_key: dead_since.map(|since| time_key(since, packet.event_id.as_ref())),
            dead_since: dead_since.map(Millis),
            expires_at: Seconds(it.expires_at),
        }
    }
}

fn delivery(item: Item) -> Stored<Delivery> {
    let it: Record = record(TABLE, item)?;
    let progress = match (it.due_at, it.dead_since) {
        (Some(due_at), None) => Progress::Pending { due_at: due_at.0 },
        (None, Some(since)) => Progress::Dead { since: since.0 },
        _ => return Err(StoreError::corrupt(TABLE, "a delivery that is neither pending nor dead")),
    };
    Ok(Delivery {
        packet: Packet {
            subscription: it.subscription,
            event_id: it.event_id,
            kind: it.kind,
            at: it.at.0,
            conversation_id: it.conversation_id,
            body: it.body,
        },
        progress,
        attempts: it.attempts,
        failure: it.failure,
        expires_at: it.expires_at.0,
    })
}

fn key(key: &DeliveryKey) -> Item {
    Item::from([
        ("subscription".to_owned(), s(key.subscription.as_ref())),
        ("eventId".to_owned(), s(key.event_id.as_ref())),
    ])
}

/// The key that an entry of an index names.
fn key_of(entry: &Item) -> Stored<DeliveryKey> {
    let found = || {
        let (subscription, event) = (text(entry, "subscription")?.parse(), text(entry, "eventId")?.parse());
        Some(DeliveryKey { subscription: subscription.ok()?, event_id: event.ok()? })
    };
    found().ok_or_else(|| StoreError::corrupt(TABLE, "an entry that names no delivery"))
}

impl DeliveriesPort for Deliveries {
    async fn add_delivery(&self, new: &Delivery) -> Stored<bool> {
        let item = item(TABLE, &Record::from(new))?;
        let condition = Expression::when("attribute_not_exists(#eventId)");
        let write = self.0.put("dynamodb PutItem on deliveries", item, condition).await?;
        Ok(matches!(write, Write::Done(_)))
    }

    async fn claim_delivery(
        &self,
        wanted: &DeliveryKey,
        now: Timestamp,
        until: Timestamp,
    ) -> Stored<Option<Delivery>> {
        let change = Expression::when("#dueAt <= :now").value("now", millis(now)).set("dueAt", millis(until));
        match self.0.update_at(UPDATE, key(wanted), change, ReturnValue::AllNew).await? {
            Write::Done(item) => delivery(item).map(Some),
            Write::Refused(_) => Ok(None),
        }
    }

    async fn save_delivery(&self, it: &Delivery, claim: Timestamp) -> Stored<bool> {
        let change = Expression::when("#dueAt = :claim")
            .value("claim", millis(claim))
            .overwrite(with_nulls(TABLE, &Record::from(it))?, &["subscription", "eventId"]);
        let write = self.0.update_at(UPDATE, key(&it.key()), change, ReturnValue::None).await?;
        Ok(matches!(write, Write::Done(_)))
    }

    async fn forget_delivery(&self, told: &DeliveryKey) -> Stored<()> {
        self.0.delete_at(DELETE, key(told), Expression::default()).await.map(drop)
    }

    async fn due_deliveries(&self, now: Timestamp, limit: usize) -> Stored<Vec<DeliveryKey>> {
        let mut due = Vec::new();
        for shard in shards() {
            let range = Range {
                index: Some("due"),
                condition: "#dueKey = :dueKey AND #dueAt <= :now",
                values: vec![("dueKey", s(shard)), ("now", millis(now))],
                attributes: &[],
                ascending: true,
                consistent: false,
                limit: Some(limit),
            };
            due.extend(self.0.query(QUERY, range).await?);
        }
        due.sort_by_key(|entry| number(entry, "dueAt"));
        due.iter().take(limit).map(key_of).collect()
    }
}

/// What the index `dead` has of an item.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dead {
    event_id: EventId,
    kind: String,
    at: Millis,
    attempts: u32,
    failure: Option<Failure>,
    dead_since: Millis,
    expires_at: Seconds,
}

impl DeadDeliveries for Deliveries {
    async fn dead_deliveries(
        &self,
        subscription: &SubscriptionKey,
        since: Option<Timestamp>,
        after: Option<&str>,
        limit: usize,
    ) -> Stored<Page<DeadDelivery>> {
        let since = since.map(|since| time_key(since, ""));
        let from = since.as_deref().max(after).unwrap_or("0");
        let range = Range {
            index: Some("dead"),
            condition: "#deadOf = :deadOf AND #deadKey > :from",
            values: vec![("deadOf", s(subscription.as_ref())), ("from", s(from))],
            attributes: &[],
            ascending: true,
            consistent: false,
            // One more than wanted, which says whether there is a next page.
            limit: Some(limit.saturating_add(1)),
        };
        let mut found = self.0.query(QUERY, range).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).and_then(|it| text(it, "deadKey")).map(str::to_owned);
        let dead = |item| {
            record::<Dead>(TABLE, item).map(|it| DeadDelivery {
                event_id: it.event_id,
                kind: it.kind,
                at: it.at.0,
                attempts: it.attempts,
                failure: it.failure,
                since: it.dead_since.0,
                expires_at: it.expires_at.0,
            })
        };
        Ok(Page { items: found.into_iter().map(dead).collect::<Stored<_>>()?, next })
    }

    async fn revive_delivery(&self, wanted: &DeliveryKey, due_at: Timestamp) -> Stored<bool> {
        let change = Expression::when("attribute_exists(#deadOf)")
            .set("dueAt", millis(due_at))
            .set("dueKey", s(shard(wanted.event_id.as_ref())))
            .set("attempts", super::values::n(0));
        let change =
            ["deadOf", "deadKey", "deadSince", "failure"].into_iter().fold(change, Expression::remove);
        let write = self.0.update_at(UPDATE, key(wanted), change, ReturnValue::None).await?;
        Ok(matches!(write, Write::Done(_)))
    }
}

impl EraseDeliveries for Deliveries {
    async fn erase_deliveries(&self, conversation: &ConversationId, limit: usize) -> Stored<usize> {
        let range = Range {
            index: Some("byConversation"),
            condition: "#conversationId = :conversationId",
            values: vec![("conversationId", s(conversation.as_ref()))],
            attributes: &[],
            ascending: true,
            consistent: false,
            limit: Some(limit),
        };
        let found = self.0.query(QUERY, range).await?;
        for entry in &found {
            self.0.delete_at(DELETE, key(&key_of(entry)?), Expression::default()).await?;
        }
        Ok(found.len())
    }
}

use super::MemoryStore;
use crate::domain::Timestamp;
use crate::domain::delivery::{Delivery, DeliveryKey, Progress};
use crate::domain::ids::{ConversationId, SubscriptionKey};
use crate::domain::message::time_key;
use crate::error::StoreError;
use crate::ports::{DeadDeliveries, DeadDelivery, Deliveries, EraseDeliveries, Page};

impl Deliveries for MemoryStore {
    async fn add_delivery(&self, new: &Delivery) -> Result<bool, StoreError> {
        self.run("add_delivery", |tables| {
            let is_new = !tables.deliveries.contains_key(&new.key());
            if is_new {
                tables.deliveries.insert(new.key(), new.clone());
            }
            is_new
        })
        .await
    }

    async fn claim_delivery(
        &self,
        key: &DeliveryKey,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        self.run("claim_delivery", |tables| {
            let it = tables.deliveries.get_mut(key)?;
            let Progress::Pending { due_at } = &mut it.progress else { return None };
            if *due_at > now {
                return None;
            }
            *due_at = until;
            Some(it.clone())
        })
        .await
    }

    async fn save_delivery(&self, it: &Delivery, claim: Timestamp) -> Result<bool, StoreError> {
        self.run("save_delivery", |tables| {
            let Some(known) = tables.deliveries.get_mut(&it.key()) else { return false };
            let is_claimed = known.progress == Progress::Pending { due_at: claim };
            if is_claimed {
                *known = it.clone();
            }
            is_claimed
        })
        .await
    }

    async fn forget_delivery(&self, key: &DeliveryKey) -> Result<(), StoreError> {
        self.run("forget_delivery", |tables| drop(tables.deliveries.remove(key))).await
    }

    async fn due_deliveries(&self, now: Timestamp, limit: usize) -> Result<Vec<DeliveryKey>, StoreError> {
        self.query("due_deliveries", |index, _| {
            let due_at = |it: &Delivery| match it.progress {
                Progress::Pending { due_at } => Some(due_at),
                Progress::Dead { .. } => None,
            };
            let all = index.deliveries.values();
            let mut due: Vec<_> = all.filter(|it| due_at(it).is_some_and(|at| at <= now)).collect();
            due.sort_by_key(|it| due_at(it));
            due.into_iter().take(limit).map(Delivery::key).collect()
        })
        .await
    }
}

impl DeadDeliveries for MemoryStore {
    async fn dead_deliveries(
        &self,
        subscription: &SubscriptionKey,
        since: Option<Timestamp>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<DeadDelivery>, StoreError> {
        self.query("dead_deliveries", |index, _| {
            let from = since.map(|since| time_key(since, ""));
            let from = from.as_deref().max(after).unwrap_or("0");
            let dead = |it: &Delivery| {
                let Progress::Dead { since } = it.progress else { return None };
                let (packet, key) = (&it.packet, time_key(since, it.packet.event_id.as_ref()));
                let dead = DeadDelivery {
                    event_id: packet.event_id.clone(),
                    kind: packet.kind.as_str().to_owned(),
                    at: packet.at,
                    attempts: it.attempts,
                    failure: it.failure,
                    since,
                    expires_at: it.expires_at,
                };
                (packet.subscription == *subscription && key.as_str() > from).then_some((key, dead))
            };
            let mut found: Vec<_> = index.deliveries.values().filter_map(dead).collect();
            found.sort_by(|a, b| a.0.cmp(&b.0));
            let more = found.len() > limit;
            found.truncate(limit);
            let next = found.last().filter(|_| more).map(|(key, _)| key.clone());
            Page { items: found.into_iter().map(|(_, dead)| dead).collect(), next }
        })
        .await
    }

    async fn revive_delivery(&self, key: &DeliveryKey, due_at: Timestamp) -> Result<bool, StoreError> {
        self.run("revive_delivery", |tables| match tables.deliveries.get_mut(key) {
            Some(it) if it.is_dead() => {
                it.progress = Progress::Pending { due_at };
                it.attempts = 0;
                it.failure = None;
                true
            }
            _ => false,
        })
        .await
    }
}

impl EraseDeliveries for MemoryStore {
    async fn erase_deliveries(
        &self,
        conversation: &ConversationId,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let found = self.query("erase_deliveries (query)", |index, _| {
            let all = index.deliveries.values();
            let theirs = all.filter(|it| it.packet.conversation_id.as_ref() == Some(conversation));
            theirs.take(limit).map(Delivery::key).collect::<Vec<_>>()
        });
        let found = found.await?;
        for key in &found {
            self.run("erase_deliveries", |tables| drop(tables.deliveries.remove(key))).await?;
        }
        Ok(found.len())
    }
}

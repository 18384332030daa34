use super::MemoryStore;
use crate::domain::Timestamp;
use crate::domain::ids::{BotId, SubscriptionKey};
use crate::domain::subscription::{Health, Off, Subscription};
use crate::error::StoreError;
use crate::ports::{ListSubscriptions, NoteCalls, ReadSubscriptions, WriteSubscriptions};

impl ListSubscriptions for MemoryStore {
    async fn subscriptions_of(&self, bot: &BotId) -> Result<Vec<Subscription>, StoreError> {
        self.run("subscriptions_of", |tables| {
            tables.subscriptions.values().filter(|it| it.key.bot_id() == *bot).cloned().collect()
        })
        .await
    }
}

impl ReadSubscriptions for MemoryStore {
    async fn subscription(&self, key: &SubscriptionKey) -> Result<Option<Subscription>, StoreError> {
        self.run("subscription", |tables| tables.subscriptions.get(key).cloned()).await
    }
}

impl WriteSubscriptions for MemoryStore {
    async fn add_subscription(&self, new: &Subscription) -> Result<Option<Subscription>, StoreError> {
        self.run("add_subscription", |tables| {
            if let Some(known) = tables.subscriptions.get(&new.key) {
                return Some(known.clone());
            }
            let new = Subscription { health: Health::default(), ..new.clone() };
            tables.subscriptions.insert(new.key.clone(), new);
            None
        })
        .await
    }

    async fn save_subscription(&self, changed: &Subscription, expected: u64) -> Result<bool, StoreError> {
        self.run("save_subscription", |tables| match tables.subscriptions.get_mut(&changed.key) {
            Some(known) if known.version == expected => {
                *known = Subscription { health: Health::default(), ..changed.clone() };
                true
            }
            _ => false,
        })
        .await
    }

    async fn delete_subscription(&self, key: &SubscriptionKey) -> Result<(), StoreError> {
        self.run("delete_subscription", |tables| drop(tables.subscriptions.remove(key))).await
    }
}

impl MemoryStore {
    async fn note(
        &self,
        name: &'static str,
        key: &SubscriptionKey,
        note: impl FnOnce(&mut Subscription),
    ) -> Result<(), StoreError> {
        self.run(name, |tables| tables.subscriptions.get_mut(key).map_or((), note)).await
    }
}

impl NoteCalls for MemoryStore {
    async fn take_call(
        &self,
        key: &SubscriptionKey,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        self.run("take_call", |tables| match tables.subscriptions.get_mut(key) {
            Some(it) if it.health.paused_until.is_none_or(|paused| paused <= now) => {
                it.health.paused_until = Some(until);
                true
            }
            _ => false,
        })
        .await
    }

    async fn note_failure(
        &self,
        key: &SubscriptionKey,
        now: Timestamp,
        paused_until: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.note("note_failure", key, |it| {
            it.health.failures += 1;
            it.health.failing_since.get_or_insert(now);
            it.health.paused_until = paused_until.or(it.health.paused_until);
        })
        .await
    }

    async fn note_success(&self, key: &SubscriptionKey) -> Result<(), StoreError> {
        self.note("note_success", key, |it| it.health = Health::default()).await
    }

    async fn note_gone(&self, key: &SubscriptionKey, now: Timestamp) -> Result<(), StoreError> {
        self.note("note_gone", key, |it| {
            if it.off.is_none() {
                it.off = Some(Off::Gone);
                it.updated_at = now;
                it.version += 1;
            }
        })
        .await
    }
}

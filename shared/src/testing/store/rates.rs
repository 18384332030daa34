use super::MemoryStore;
use crate::domain::Timestamp;
use crate::domain::ids::{ConversationId, PhoneNumberId};
use crate::domain::rate::{Brake, PairTurn, RateKey, Slowed};
use crate::error::StoreError;
use crate::ports::Rates;

impl Rates for MemoryStore {
    async fn brakes(&self, on: &[RateKey]) -> Result<Vec<Brake>, StoreError> {
        self.run("brakes", |tables| {
            on.iter().map(|key| tables.brakes.get(key).copied().unwrap_or_default()).collect()
        })
        .await
    }

    async fn hold(&self, on: &RateKey, until: Timestamp) -> Result<(), StoreError> {
        self.run("hold", |tables| {
            let brake = tables.brakes.entry(on.clone()).or_default();
            brake.held_until = brake.held_until.max(Some(until));
        })
        .await
    }

    async fn slow_number(&self, id: &PhoneNumberId, now: Timestamp) -> Result<Brake, StoreError> {
        self.run("slow_number", |tables| {
            let brake = tables.brakes.entry(RateKey::Number(id.clone())).or_default();
            brake.slowed = Slowed::again(brake.slowed.as_ref(), now).or(brake.slowed);
            *brake
        })
        .await
    }

    async fn reserve(
        &self,
        id: &PhoneNumberId,
        now: Timestamp,
        wanted: u32,
        limit: u32,
    ) -> Result<u32, StoreError> {
        self.run("reserve", |tables| {
            let taken = tables.seconds.entry((id.clone(), now.as_second())).or_default();
            let block = limit.saturating_sub(*taken).min(wanted);
            *taken += block;
            block
        })
        .await
    }

    async fn take_turn(&self, pair: &ConversationId, now: Timestamp) -> Result<PairTurn, StoreError> {
        self.run("take_turn", |tables| {
            let known = tables.pairs.entry(pair.clone()).or_default();
            match known.not_before(now) {
                Some(until) => PairTurn::NotBefore(until),
                None => {
                    *known = known.taken(now);
                    PairTurn::Now { refusals: known.refusals }
                }
            }
        })
        .await
    }

    async fn back_off(&self, pair: &ConversationId, now: Timestamp) -> Result<Timestamp, StoreError> {
        self.run("back_off", |tables| {
            let known = tables.pairs.entry(pair.clone()).or_default();
            if known.held_until.is_none_or(|until| until <= now) {
                *known = known.refused(now);
            }
            known.held_until.unwrap_or(now)
        })
        .await
    }

    async fn forgive(&self, pair: &ConversationId) -> Result<(), StoreError> {
        self.run("forgive", |tables| {
            if let Some(known) = tables.pairs.get_mut(pair) {
                (known.refusals, known.held_until) = (0, None);
            }
        })
        .await
    }
}

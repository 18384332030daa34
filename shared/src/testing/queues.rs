//! The queues in memory.

use std::sync::Mutex;
use std::time::Duration;

use super::lock;
use super::steps::Steps;
use crate::domain::answer::Nudge;
use crate::domain::parcel::{self, Parcel};
use crate::error::StoreError;
use crate::ports::{SendInbound, SendNudges};

/// SQS's longest delay (AWS, SQS `SendMessage`, 2026).
const LONGEST_DELAY: Duration = Duration::from_secs(15 * 60);
/// Most entries of one batch call (AWS, SQS `SendMessageBatch`, 2026).
const BATCH: usize = 10;

/// Something on a queue, and how long it was to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delayed<T> {
    /// What was sent.
    pub item: T,
    /// After which it becomes visible.
    pub delay: Duration,
}

/// The queues `inbound` and `answers`. One step is one batch call.
#[derive(Debug, Default)]
pub struct MemoryQueues {
    steps: Steps,
    inbound: Mutex<Vec<Delayed<Parcel>>>,
    answers: Mutex<Vec<Delayed<Nudge>>>,
}

impl MemoryQueues {
    /// Ones whose calls pass `steps`.
    #[must_use]
    pub fn new(steps: Steps) -> Self {
        Self { steps, ..Self::default() }
    }

    /// What is on `inbound`.
    #[must_use]
    pub fn inbound(&self) -> Vec<Delayed<Parcel>> {
        lock(&self.inbound).clone()
    }

    /// What is on `answers`.
    #[must_use]
    pub fn answers(&self) -> Vec<Delayed<Nudge>> {
        lock(&self.answers).clone()
    }

    /// Takes everything from `inbound`.
    #[must_use]
    pub fn take_inbound(&self) -> Vec<Delayed<Parcel>> {
        std::mem::take(&mut *lock(&self.inbound))
    }

    /// Takes everything from `answers`.
    #[must_use]
    pub fn take_answers(&self) -> Vec<Delayed<Nudge>> {
        std::mem::take(&mut *lock(&self.answers))
    }

    async fn send<T: Clone>(
        &self,
        name: &'static str,
        queue: &Mutex<Vec<Delayed<T>>>,
        batch: &[T],
        delay: Duration,
    ) -> Result<(), StoreError> {
        let delay = delay.min(LONGEST_DELAY);
        let items = batch.iter().map(|item| Delayed { item: item.clone(), delay });
        self.steps.pass(name, || lock(queue).extend(items)).await.map_err(|e| StoreError::service(name, e))
    }
}

impl SendInbound for MemoryQueues {
    async fn send_inbound(&self, parcels: &[Parcel], delay: Duration) -> Result<(), StoreError> {
        for batch in parcel::batches(parcels) {
            self.send("send_inbound", &self.inbound, batch, delay).await?;
        }
        Ok(())
    }
}

impl SendNudges for MemoryQueues {
    async fn send_nudges(&self, nudges: &[Nudge], delay: Duration) -> Result<(), StoreError> {
        for batch in nudges.chunks(BATCH) {
            self.send("send_nudges", &self.answers, batch, delay).await?;
        }
        Ok(())
    }
}

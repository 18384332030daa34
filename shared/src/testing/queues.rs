//! The queues in memory.

use std::sync::Mutex;
use std::time::Duration;

use super::lock;
use super::steps::Steps;
use crate::domain::Timestamp;
use crate::domain::answer::Nudge;
use crate::domain::delivery::Job;
use crate::domain::letter::{self, DeadLetter, DeadQueue, FedQueue, Letter};
use crate::domain::media::Fetch;
use crate::domain::parcel::{self, Parcel};
use crate::error::StoreError;
use crate::ports::{DeadLetters, SendBack, SendFetches, SendInbound, SendJobs, SendNudges};

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

/// The queues `inbound`, `answers` and `media`. One step is one batch call.
#[derive(Debug, Default)]
pub struct MemoryQueues {
    steps: Steps,
    inbound: Mutex<Vec<Delayed<Parcel>>>,
    answers: Mutex<Vec<Delayed<Nudge>>>,
    media: Mutex<Vec<Delayed<Fetch>>>,
    events: Mutex<Vec<Delayed<Job>>>,
    dead: Mutex<Vec<Dead>>,
}

/// A letter on a dead-letter queue.
#[derive(Debug, Clone)]
struct Dead {
    queue: DeadQueue,
    letter: DeadLetter,
    hidden: bool,
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

    /// Takes everything from `media`.
    #[must_use]
    pub fn take_media(&self) -> Vec<Fetch> {
        std::mem::take(&mut *lock(&self.media)).into_iter().map(|delayed| delayed.item).collect()
    }

    /// Takes everything from `events`.
    #[must_use]
    pub fn take_events(&self) -> Vec<Delayed<Job>> {
        std::mem::take(&mut *lock(&self.events))
    }

    /// Puts a letter on a dead-letter queue, as SQS does after too many tries.
    pub fn bury(&self, queue: DeadQueue, letter: impl Into<Letter>, sent_at: Timestamp) {
        let mut dead = lock(&self.dead);
        // Letters are deleted: the count alone would name two the same.
        let id =
            dead.last().map_or(0, |last| last.letter.id.parse::<u64>().map_or(0, |id| id + 1)).to_string();
        let letter = DeadLetter { receipt: id.clone(), id, sent_at, letter: letter.into() };
        dead.push(Dead { queue, letter, hidden: false });
    }

    /// What is on a dead-letter queue, hidden or not.
    #[must_use]
    pub fn dead(&self, queue: DeadQueue) -> Vec<Letter> {
        let dead = lock(&self.dead);
        dead.iter().filter(|dead| dead.queue == queue).map(|dead| dead.letter.letter.clone()).collect()
    }

    /// How many letters of a dead-letter queue its alarm sees.
    #[must_use]
    pub fn visible_dead(&self, queue: DeadQueue) -> usize {
        lock(&self.dead).iter().filter(|dead| dead.queue == queue && !dead.hidden).count()
    }

    /// Time passes: what was received and not deleted shows again.
    pub fn show_dead(&self) {
        lock(&self.dead).iter_mut().for_each(|dead| dead.hidden = false);
    }

    /// A letter on a queue, as its function would read it.
    fn arrive(&self, queue: FedQueue, letter: Letter) {
        let delay = Duration::ZERO;
        match queue {
            FedQueue::Inbound => {
                lock(&self.inbound).push(Delayed { item: letter.parcel(Timestamp::UNIX_EPOCH), delay });
            }
            // What is no nudge, reply would drop.
            FedQueue::Answers => {
                let nudge = serde_json::from_str(&letter.body).ok();
                lock(&self.answers).extend(nudge.map(|item| Delayed { item, delay }));
            }
        }
    }

    async fn pass<T>(&self, name: &'static str, act: impl FnOnce() -> T) -> Result<T, StoreError> {
        self.steps.pass(name, act).await.map_err(|e| StoreError::service(name, e))
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

impl SendFetches for MemoryQueues {
    async fn send_fetches(&self, fetches: &[Fetch]) -> Result<(), StoreError> {
        for batch in fetches.chunks(BATCH) {
            self.send("send_fetches", &self.media, batch, Duration::ZERO).await?;
        }
        Ok(())
    }
}

impl SendJobs for MemoryQueues {
    async fn send_jobs(&self, jobs: &[Job], delay: Duration) -> Result<(), StoreError> {
        for batch in jobs.chunks(BATCH) {
            self.send("send_jobs", &self.events, batch, delay).await?;
        }
        Ok(())
    }
}

impl DeadLetters for MemoryQueues {
    async fn receive_dead(&self, queue: DeadQueue, _: Duration) -> Result<Vec<DeadLetter>, StoreError> {
        self.pass("receive_dead", || {
            let mut dead = lock(&self.dead);
            let visible = dead.iter_mut().filter(|dead| dead.queue == queue && !dead.hidden);
            let received = visible.take(BATCH).map(|dead| {
                dead.hidden = true;
                dead.letter.clone()
            });
            received.collect()
        })
        .await
    }

    async fn delete_dead(&self, queue: DeadQueue, letters: &[DeadLetter]) -> Result<(), StoreError> {
        for batch in letters.chunks(BATCH) {
            let gone =
                |dead: &Dead| dead.queue == queue && batch.iter().any(|l| l.receipt == dead.letter.receipt);
            self.pass("delete_dead", || lock(&self.dead).retain(|dead| !gone(dead))).await?;
        }
        Ok(())
    }

    async fn release_dead(&self, queue: DeadQueue, letters: &[DeadLetter]) -> Result<(), StoreError> {
        for batch in letters.chunks(BATCH) {
            let named =
                |dead: &Dead| dead.queue == queue && batch.iter().any(|l| l.receipt == dead.letter.receipt);
            self.pass("release_dead", || {
                lock(&self.dead).iter_mut().filter(|dead| named(dead)).for_each(|dead| dead.hidden = false);
            })
            .await?;
        }
        Ok(())
    }
}

impl SendBack for MemoryQueues {
    async fn send_back(&self, queue: FedQueue, letters: &[Letter]) -> Result<(), StoreError> {
        for batch in letter::batches(letters) {
            self.pass("send_back", || batch.iter().for_each(|letter| self.arrive(queue, letter.clone())))
                .await?;
        }
        Ok(())
    }
}

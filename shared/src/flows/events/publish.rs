//! From changes to jobs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::tell::{bot_of, event_of};
use crate::domain::Timestamp;
use crate::domain::change::{Change, Changed};
use crate::domain::delivery::{Job, Packet};
use crate::domain::ids::BotId;
use crate::domain::subscription::Subscription;
use crate::error::StoreError;
use crate::ports::{Clock, ListSubscriptions, ReadClients, SendJobs};

/// Of how many bots one copy remembers the subscriptions.
const MOST_BOTS: usize = 10_000;

/// The subscriptions of bots, remembered for a while: a bot without any costs nothing more.
#[derive(Debug)]
pub struct Known {
    life: Duration,
    bots: Mutex<HashMap<BotId, Remembered>>,
}

type Remembered = (Timestamp, Arc<Vec<Subscription>>);

impl Known {
    /// Nothing yet; what is read counts for so long.
    #[must_use]
    pub fn new(life: Duration) -> Self {
        Self { life, bots: Mutex::default() }
    }

    fn get(&self, bot: &BotId, now: Timestamp) -> Option<Arc<Vec<Subscription>>> {
        let bots = self.bots.lock().unwrap_or_else(PoisonError::into_inner);
        let (read_at, all) = bots.get(bot)?;
        (now < *read_at + self.life).then(|| all.clone())
    }

    fn put(&self, bot: &BotId, now: Timestamp, all: &Arc<Vec<Subscription>>) {
        let mut bots = self.bots.lock().unwrap_or_else(PoisonError::into_inner);
        if bots.len() >= MOST_BOTS {
            bots.clear();
        }
        bots.insert(bot.clone(), (now, all.clone()));
    }
}

/// Publishing, with what it needs.
pub struct Publishing<'a, S, Q, C> {
    /// Records.
    pub store: &'a S,
    /// The queue `events`.
    pub queue: &'a Q,
    /// Time.
    pub clock: &'a C,
    /// Subscriptions that were read lately.
    pub known: &'a Known,
}

/// Where publishing stopped.
#[derive(Debug)]
pub struct Stopped {
    /// How many of the changes were published.
    pub published: usize,
    /// Why not more.
    pub error: StoreError,
}

impl<S, Q, C> Publishing<'_, S, Q, C>
where
    S: ListSubscriptions + ReadClients,
    Q: SendJobs,
    C: Clock,
{
    /// Puts a job on the queue for each subscription that wants to be told of a change. Again, it puts the same jobs.
    /// How many.
    ///
    /// # Errors
    /// [`Stopped`]: the changes from there on must come again.
    pub async fn publish(&self, changes: &[Change]) -> Result<usize, Stopped> {
        let mut jobs = Vec::new();
        let mut stopped = None;
        for (index, change) in changes.iter().enumerate() {
            match self.jobs_of(change).await {
                Ok(more) => jobs.extend(more),
                Err(error) => {
                    stopped = Some(Stopped { published: index, error });
                    break;
                }
            }
        }
        let count = jobs.len();
        let sent = self.queue.send_jobs(&jobs, Duration::ZERO).await;
        sent.map_err(|error| Stopped { published: 0, error })?;
        stopped.map_or(Ok(count), Err)
    }

    async fn jobs_of(&self, change: &Change) -> Result<Vec<Job>, StoreError> {
        let Some(bot) = bot_of(change) else { return Ok(Vec::new()) };
        let subscriptions = self.subscriptions_of(bot).await?;
        if subscriptions.is_empty() {
            return Ok(Vec::new());
        }
        let client = match &change.record {
            Changed::Onboarding(it) => match &it.after.phone_number_id {
                Some(phone) => self.store.client(phone).await?,
                None => None,
            },
            _ => None,
        };
        let Some(event) = event_of(change, client.as_ref()) else { return Ok(Vec::new()) };
        let wanted = subscriptions.iter().filter(|it| it.wants(event.kind));
        Ok(wanted.map(|it| Job::Tell(Packet::new(&event, &it.key))).collect())
    }

    async fn subscriptions_of(&self, bot: &BotId) -> Result<Arc<Vec<Subscription>>, StoreError> {
        let now = self.clock.now();
        if let Some(known) = self.known.get(bot, now) {
            return Ok(known);
        }
        let all = Arc::new(self.store.subscriptions_of(bot).await?);
        self.known.put(bot, now, &all);
        Ok(all)
    }
}

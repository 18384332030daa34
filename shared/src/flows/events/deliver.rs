//! From jobs to calls. What works at once leaves no record. What fails is recorded with when it is due again; the
//! records are the list, and what is on the queue only says that something may be due.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::delivery::{Delivery, DeliveryKey, Failure, Job, Packet, Progress};
use crate::domain::event::signature;
use crate::domain::seal::{SealContext, Sealed};
use crate::domain::secret::EventSecret;
use crate::domain::subscription::{Off, Subscription};
use crate::error::StoreError;
use crate::ports::{
    CallTargets, Clock, Deliveries, NoteCalls, ReadSubscriptions, Seal, SendJobs, SignedCall, Told,
};
use crate::telemetry::{metric, unit};

/// How long a turn to call a failing address lasts: longer than the call.
const TURN: Duration = Duration::from_secs(30);
/// What waits no longer than this is put on the queue with a delay (SQS's longest); the schedule finds the rest.
const SOON: Duration = Duration::from_secs(15 * 60);
/// How long an opened secret is kept in memory, and how many are.
const SECRET_LIFE: Duration = Duration::from_secs(5 * 60);
const MOST_SECRETS: usize = 1000;
/// How many jobs of a sweep are sent at once.
const TOGETHER: usize = 500;

/// All records that it uses.
pub trait Records: ReadSubscriptions + NoteCalls + Deliveries {}
impl<T: ReadSubscriptions + NoteCalls + Deliveries> Records for T {}

/// Opened secrets, in memory only.
#[derive(Debug, Default)]
pub struct OpenedSecrets(Mutex<HashMap<Vec<u8>, (Timestamp, EventSecret)>>);

/// Delivering, with what it needs.
pub struct Delivering<'a, S, K, T, Q, C> {
    /// Records.
    pub store: &'a S,
    /// Sealing.
    pub seal: &'a K,
    /// The partner's addresses.
    pub targets: &'a T,
    /// The queue `events`.
    pub queue: &'a Q,
    /// Time.
    pub clock: &'a C,
    /// Opened secrets.
    pub secrets: &'a OpenedSecrets,
    /// How long one copy has a delivery for itself: longer than its function may run.
    pub claim: Duration,
}

impl<S, K, T, Q, C> Delivering<'_, S, K, T, Q, C>
where
    S: Records,
    K: Seal,
    T: CallTargets,
    Q: SendJobs,
    C: Clock,
{
    /// Does one job. After `Ok` the event was told, or is recorded as due again or as dead, or nobody wants it any more.
    /// A crash between a call and its record tells it once more, under the same id.
    ///
    /// # Errors
    /// [`StoreError`]: the same again goes on.
    pub async fn deliver(&self, job: &Job) -> Result<(), StoreError> {
        match job {
            Job::Tell(packet) => self.first(packet).await,
            Job::Again(key) => self.again(key).await,
        }
    }

    /// Asks for everything that is due.
    ///
    /// # Errors
    /// [`StoreError`]: the next run finds the same.
    pub async fn sweep(&self, limit: usize) -> Result<usize, StoreError> {
        let due = self.store.due_deliveries(self.clock.now(), limit).await?;
        let jobs: Vec<Job> = due.into_iter().map(Job::Again).collect();
        for together in jobs.chunks(TOGETHER) {
            self.queue.send_jobs(together, Duration::ZERO).await?;
        }
        Ok(jobs.len())
    }

    async fn first(&self, packet: &Packet) -> Result<(), StoreError> {
        let Some(subscription) = self.store.subscription(&packet.subscription).await? else { return Ok(()) };
        let told = match subscription.off {
            // Another event on the way found that out, or this one did, and was not recorded any more.
            Some(Off::Gone) => Told::Failed(Failure::SwitchedOff),
            _ if !subscription.wants(packet.kind) => return Ok(()),
            _ => self.tell(packet, &subscription).await?,
        };
        let failure = match told {
            Told::Yes => return Ok(()),
            Told::Gone => Failure::SwitchedOff,
            Told::Failed(failure) => failure,
        };
        let it = self.failed(packet.clone(), 1, failure, &subscription);
        // If it is there already, the same job came twice, and the record is further than this.
        if self.store.add_delivery(&it).await? { self.note(&it).await } else { Ok(()) }
    }

    async fn again(&self, key: &DeliveryKey) -> Result<(), StoreError> {
        let now = self.clock.now();
        let claim = now + self.claim;
        let Some(it) = self.store.claim_delivery(key, now, claim).await? else { return Ok(()) };
        let subscription = self.store.subscription(&key.subscription).await?;
        // One that was deleted wants nothing any more; one that is off may be switched on, and told then.
        let Some(subscription) = subscription.filter(|of| of.off.is_some() || of.wants(it.packet.kind))
        else {
            return self.store.forget_delivery(key).await;
        };
        let told = match subscription.off {
            None => self.tell(&it.packet, &subscription).await?,
            Some(_) => Told::Failed(Failure::SwitchedOff),
        };
        let failure = match told {
            Told::Yes => return self.store.forget_delivery(key).await,
            Told::Gone => Failure::SwitchedOff,
            Told::Failed(failure) => failure,
        };
        let it = self.failed(it.packet, it.attempts + 1, failure, &subscription);
        if self.store.save_delivery(&it, claim).await? { self.note(&it).await } else { Ok(()) }
    }

    fn failed(
        &self,
        packet: Packet,
        attempts: u32,
        failure: Failure,
        subscription: &Subscription,
    ) -> Delivery {
        let paused = subscription.health.paused_until.filter(|_| failure == Failure::Paused);
        Delivery::failed(packet, attempts, failure, self.clock.now(), paused)
    }

    async fn tell(&self, packet: &Packet, subscription: &Subscription) -> Result<Told, StoreError> {
        let (key, health, now) = (&subscription.key, &subscription.health, self.clock.now());
        unit::bot(&key.bot_id());
        unit::id("subscriptionId", key.id().as_ref());
        unit::id("eventId", packet.event_id.as_ref());
        unit::id("eventType", packet.kind.as_str());
        if health.is_failing() && !self.store.take_call(key, now, now + TURN).await? {
            unit::outcome(Failure::Paused.word());
            return Ok(Told::Failed(Failure::Paused));
        }
        let mut secrets = Vec::new();
        for sealed in subscription.secrets_at(now) {
            secrets.push(self.open(sealed, subscription).await?);
        }
        let signature = signature(&secrets, &packet.event_id, now, &packet.body);
        let call = SignedCall {
            url: &subscription.url,
            event_id: &packet.event_id,
            at: now,
            signature: &signature,
            body: &packet.body,
        };
        let told = self.targets.call(call).await;
        unit::outcome(told.word());
        match told {
            Told::Yes if health.failures > 0 => self.store.note_success(key).await?,
            Told::Yes => {}
            Told::Gone => self.store.note_gone(key, now).await?,
            Told::Failed(_) => {
                let now = self.clock.now();
                self.store.note_failure(key, now, health.pause_after_failure(now)).await?;
            }
        }
        Ok(told)
    }

    /// What follows from a failure that is recorded.
    async fn note(&self, it: &Delivery) -> Result<(), StoreError> {
        match it.progress {
            Progress::Dead { .. } => {
                tracing::error!(metric = metric::EVENT_UNDELIVERED, eventId = %it.packet.event_id, subscriptionId = %it.packet.subscription.id(), botId = %it.packet.subscription.bot_id(), reason = it.failure.map(|failure| failure.word()), "an event could not be told");
                Ok(())
            }
            Progress::Pending { due_at } => {
                let pause = Duration::try_from(due_at.duration_since(self.clock.now())).unwrap_or_default();
                if pause > SOON {
                    return Ok(());
                }
                // SQS counts in whole seconds: rather late than too early to be due.
                let pause = Duration::from_secs(pause.as_secs() + 1);
                self.queue.send_jobs(&[Job::Again(it.key())], pause).await
            }
        }
    }

    async fn open(&self, sealed: &Sealed, subscription: &Subscription) -> Result<EventSecret, StoreError> {
        let now = self.clock.now();
        let opened = || self.secrets.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, secret)) = opened().get(sealed.ciphertext())
            && now < *at + SECRET_LIFE
        {
            return Ok(secret.clone());
        }
        let text = self.seal.open(sealed, SealContext::SubscriptionSecret(&subscription.key)).await?;
        let secret = EventSecret::try_from(text).map_err(|e| StoreError::corrupt("subscriptions", e))?;
        let mut opened = opened();
        if opened.len() >= MOST_SECRETS {
            opened.clear();
        }
        opened.insert(sealed.ciphertext().to_vec(), (now, secret.clone()));
        Ok(secret)
    }
}

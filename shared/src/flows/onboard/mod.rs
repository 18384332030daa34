//! The onboarding ledger at work: under a lease, step after step, each looked up at Meta before it acts
//! and recorded before and after. Stopped anywhere, it continues and ends the same.

mod causes;
mod steps;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::ids::OnboardingId;
use crate::domain::onboarding::{Cause, Claims, Onboarding, OnboardingStatus, Step};
use crate::domain::seal::SealContext;
use crate::domain::secret::Pin;
use crate::error::StoreError;
use crate::ports::{
    AccountGraph, Clock, MarkGrants, Onboardings, OpenOnboardings, PartnerGraph, Random, ReadClients,
    ReadEvents, ReadGrants, RequestTemplateSyncs, Seal, TokenGraph, WriteClients, WriteGrants,
};

/// How long one run goes on: API Gateway ends a call at 30 s, and the lease must be given back before.
const TIME: Duration = Duration::from_secs(22);

/// After this one run of the schedule begins no further onboarding: its last may take [`TIME`].
const SCHEDULE_TIME: Duration = Duration::from_secs(5);

/// How the partner pays, and with that which steps there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Partner {
    /// With its own credit line.
    Solution {
        /// Billing currency for accounts that have none yet (ISO 4217).
        currency: String,
    },
    /// Clients pay Meta themselves: no credit line, no system user.
    TechProvider,
}

impl Partner {
    /// One that pays for its clients, in `currency` where their accounts have none (USD unless set), or not.
    #[must_use]
    pub fn new(pays: bool, currency: Option<String>) -> Self {
        let currency = currency.unwrap_or_else(|| "USD".to_owned());
        if pays { Self::Solution { currency } } else { Self::TechProvider }
    }
}

/// Settings of the engine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Kind of partner.
    pub partner: Partner,
    /// Our app: a token of another app is refused.
    pub app_id: String,
    /// How long a lease lasts; longer than one run may take.
    pub lease: Duration,
    /// Pause before the first automatic retry of a step; later ones grow.
    pub retry: Duration,
}

/// All records that the engine uses.
pub trait Records:
    Onboardings
    + OpenOnboardings
    + ReadGrants
    + WriteGrants
    + MarkGrants
    + ReadClients
    + WriteClients
    + ReadEvents
    + RequestTemplateSyncs
{
}
impl<T> Records for T where
    T: Onboardings
        + OpenOnboardings
        + ReadGrants
        + WriteGrants
        + MarkGrants
        + ReadClients
        + WriteClients
        + ReadEvents
        + RequestTemplateSyncs
{
}

/// All of Meta that it uses.
pub trait Meta: TokenGraph + AccountGraph + PartnerGraph {}
impl<T> Meta for T where T: TokenGraph + AccountGraph + PartnerGraph {}

/// The engine with what it needs.
pub struct Onboard<'a, S, K, G, C, R> {
    /// Records.
    pub store: &'a S,
    /// Sealing.
    pub seal: &'a K,
    /// Meta.
    pub graph: &'a G,
    /// Time.
    pub clock: &'a C,
    /// PINs and lease owners.
    pub random: &'a R,
    /// Settings.
    pub settings: &'a Settings,
}

/// How a step ended, if not well.
#[derive(Debug)]
enum Stop {
    /// For a reason that is recorded.
    Failed(Box<Cause>),
    /// Records or sealing failed: the step stays intended.
    Store(StoreError),
}

impl From<Cause> for Stop {
    fn from(cause: Cause) -> Self {
        Self::Failed(Box::new(cause))
    }
}

impl From<StoreError> for Stop {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}

impl<S: Records, K: Seal, G: Meta, C: Clock, R: Random> Onboard<'_, S, K, G, C, R> {
    /// Reads an onboarding, whosever it is: the caller is checked by whoever asks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, id: &OnboardingId) -> Result<Option<Onboarding>, StoreError> {
        self.store.onboarding(id).await
    }

    /// Notes what a caller says, with its PIN sealed, so that whoever continues sees it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn hear(
        &self,
        onboarding: &Onboarding,
        mut heard: Claims,
        pin: Option<Pin>,
    ) -> Result<(), StoreError> {
        if let Some(pin) = pin {
            heard.pin = Some(self.seal.seal(pin.expose(), SealContext::OnboardingPin(&onboarding.id)).await?);
        }
        let mut claims = onboarding.claims.clone();
        claims.update(heard);
        if claims != onboarding.claims {
            self.store.save_claims(&onboarding.id, &claims).await?;
        }
        Ok(())
    }

    /// Continues an onboarding as far as it goes. If somebody else is at it, this returns at once.
    /// Dropping the future anywhere is like a crash: the next call continues.
    ///
    /// # Errors
    /// [`StoreError`]; the schedule continues.
    pub async fn run(&self, id: &OnboardingId) -> Result<(), StoreError> {
        let owner = hex::encode(self.random.bytes());
        let now = self.clock.now();
        let Some(mut onboarding) =
            self.store.lease_onboarding(id, &owner, now, now + self.settings.lease).await?
        else {
            return Ok(());
        };
        // Cut off here is like a crash: the step stays intended, and whoever continues looks at Meta first.
        let result = tokio::time::timeout(TIME, self.go_on(&mut onboarding, &owner)).await;
        self.store.release_onboarding(id, &owner).await?;
        result.unwrap_or_else(|_| {
            tracing::warn!(onboardingId = %id, "out of time: the schedule continues");
            Ok(())
        })
    }

    /// Continues the onboardings that are due, one after the other, as long as there is time; one that
    /// fails stops no other.
    ///
    /// # Errors
    /// [`StoreError`] if the due ones cannot be found.
    pub async fn run_due(&self, limit: usize) -> Result<usize, StoreError> {
        let begun = self.clock.now();
        let due = self.store.due_onboardings(begun, limit).await?;
        for id in &due {
            if self.clock.now() > begun + SCHEDULE_TIME {
                break;
            }
            if let Err(error) = self.run(id).await {
                tracing::error!(onboardingId = %id, error = %crate::error::Chain(&error), "onboarding not continued");
            }
        }
        Ok(due.len())
    }

    async fn go_on(&self, onboarding: &mut Onboarding, owner: &str) -> Result<(), StoreError> {
        while onboarding.status == OnboardingStatus::Open {
            let now = self.clock.now();
            if now >= onboarding.expires_at {
                onboarding.status = OnboardingStatus::Expired;
                onboarding.next_try_at = None;
                onboarding.updated_at = now;
                return self.save(onboarding, owner).await.map(|_| ());
            }
            let Some(step) = onboarding.next_step() else { return Ok(()) };
            if !self.do_step(step, onboarding, owner).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether the next step may follow.
    async fn do_step(
        &self,
        step: Step,
        onboarding: &mut Onboarding,
        owner: &str,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        onboarding.intend(step, now);
        // If this process dies, the schedule continues once the lease has ended.
        onboarding.next_try_at = Some(now + self.settings.lease);
        if !self.save(onboarding, owner).await? {
            return Ok(false);
        }
        let outcome = self.act(step, onboarding, owner).await;
        let now = self.clock.now();
        let goes_on = match outcome {
            Ok(()) => {
                tracing::debug!(onboardingId = %onboarding.id, botId = %onboarding.bot_id, ?step, "step done");
                true
            }
            Err(Stop::Failed(cause)) => {
                self.fail(step, onboarding, now, *cause);
                false
            }
            Err(Stop::Store(error)) => return Err(error),
        };
        Ok(self.save(onboarding, owner).await? && goes_on)
    }

    fn fail(&self, step: Step, onboarding: &mut Onboarding, now: Timestamp, cause: Cause) {
        let meta = cause.meta.as_ref().map(|m| m.code);
        tracing::warn!(onboardingId = %onboarding.id, botId = %onboarding.bot_id, ?step, cause = %cause.code, metaCode = meta, "step failed");
        let wrong_pin = cause.code == causes::PIN_MISMATCH;
        onboarding.fail(step, now, cause, self.settings.retry);
        if wrong_pin {
            // Each call costs one of ten: only a person's new PIN, or their word, leads to another.
            onboarding.next_try_at = None;
            onboarding.reopen(Step::PinStored);
        }
    }

    async fn save(&self, onboarding: &Onboarding, owner: &str) -> Result<bool, StoreError> {
        let saved = self.store.save_onboarding(onboarding, owner).await?;
        if !saved {
            tracing::warn!(onboardingId = %onboarding.id, "lease lost: another run continues");
        }
        Ok(saved)
    }
}

/// What a caller may be told to do next about a failed step, as an HTTP answer would say it.
#[must_use]
pub fn refusal_of(onboarding: &Onboarding) -> Option<(&'static str, &Cause)> {
    let step = onboarding.next_step()?;
    let cause = onboarding.step(step).cause.as_ref()?;
    [causes::GRANT_MISMATCH, causes::NUMBER_IN_USE]
        .into_iter()
        .find(|code| cause.code == *code)
        .map(|code| (code, cause))
}

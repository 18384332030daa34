//! Off-boarding is a ledger like onboarding: what a client that left still has of ours is taken back step by
//! step, and the ids that this needs are kept here, because Meta no longer tells them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Timestamp;
use super::client::Client;
use super::ids::{BusinessId, GrantId, OffboardingId, OnboardingId, PhoneNumberId, WabaId};

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// The steps, in order: money first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OffStep {
    /// Our credit line pays for the business no more.
    CreditRevoked,
    /// Our app gets the account's webhooks no more.
    Unsubscribed,
    /// The sealed PIN and business token are deleted.
    SecretsRemoved,
}

impl OffStep {
    /// Every step, in order.
    pub const ALL: [Self; 3] = [Self::CreditRevoked, Self::Unsubscribed, Self::SecretsRemoved];
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// What was done, or why there was nothing to do. Ids, and no secret.
    pub how: String,
}

/// The off-boarding of one client, as one onboarding had made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Offboarding {
    /// The key. Made from the onboarding's id: a signup is undone once, however often Meta says so.
    pub id: OffboardingId,
    /// What is undone.
    pub onboarding_id: OnboardingId,
    /// The client.
    pub phone_number_id: PhoneNumberId,
    /// Its account.
    pub waba_id: WabaId,
    /// Its portfolio. Needed to revoke the credit.
    pub business_id: BusinessId,
    /// Where its token is.
    pub grant_id: GrantId,
    /// Steps that ended.
    pub ended: BTreeMap<OffStep, Ended>,
    /// Why the last try did not get further.
    pub problem: Option<String>,
    /// How often it was tried. Each writer counts by one, so that one of two wins.
    pub attempts: u32,
    /// When the schedule goes on with it; `None` = every step has ended.
    pub next_try_at: Option<Timestamp>,
    /// When it was noted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Offboarding {
    /// What there is to do about a client that left. Due at once.
    #[must_use]
    pub fn of(client: &Client, now: Timestamp) -> Self {
        Self {
            id: OffboardingId::of(&client.onboarding_id),
            onboarding_id: client.onboarding_id.clone(),
            phone_number_id: client.phone_number_id.clone(),
            waba_id: client.waba_id.clone(),
            business_id: client.business_id.clone(),
            grant_id: client.grant_id.clone(),
            ended: BTreeMap::new(),
            problem: None,
            attempts: 0,
            next_try_at: Some(now),
            created_at: now,
            updated_at: now,
        }
    }

    /// Notes that a step ended.
    pub fn end(&mut self, step: OffStep, how: impl Into<String>, now: Timestamp) {
        self.ended.insert(step, Ended { at: now, how: how.into() });
    }

    /// Whether a step is behind us.
    #[must_use]
    pub fn is_past(&self, step: OffStep) -> bool {
        self.ended.contains_key(&step)
    }

    /// Counts a try and says when the next one is. Pauses grow from `first` by half each time, up to an hour;
    /// it is never given up, for an allocation is money.
    pub fn tried(&mut self, problem: Option<String>, first: Duration, now: Timestamp) {
        let is_done = OffStep::ALL.iter().all(|step| self.is_past(*step));
        let factor = 1.5_f64.powi(i32::try_from(self.attempts.min(30)).unwrap_or(30));
        let pause = Duration::try_from_secs_f64(first.as_secs_f64() * factor).unwrap_or(LONGEST_PAUSE);
        self.attempts = self.attempts.saturating_add(1);
        self.next_try_at = (!is_done).then(|| now + pause.min(LONGEST_PAUSE));
        self.problem = problem;
        self.updated_at = now;
    }
}

//! Onboarding is a ledger, not a script: each step has a record of what was intended, done or failed,
//! and an onboarding that stopped anywhere continues from it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Timestamp;
use super::grant::TokenFacts;
use super::ids::{BotId, BusinessId, GrantId, OnboardingId, PhoneNumberId, WabaId};
use super::meta_error::MetaError;
use super::seal::Sealed;

/// How long an unfinished onboarding is continued. Longer than Meta's 72 hours of blocked
/// registrations, so that the wait can end well.
pub const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The steps, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The code became a business token, sealed and stored.
    TokenStored,
    /// The account and number that the browser named belong to this token.
    GrantVerified,
    /// Our app gets the account's webhooks.
    AppSubscribed,
    /// Our system user may manage the account; sharing credit needs it.
    SystemUserAssigned,
    /// Our credit line pays.
    CreditShared,
    /// The PIN is stored before it is used.
    PinStored,
    /// The number is registered with the Cloud API.
    PhoneRegistered,
    /// Name, number and quality were read back.
    DetailsRead,
    /// The client is ready.
    Active,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 9] = [
        Self::TokenStored,
        Self::GrantVerified,
        Self::AppSubscribed,
        Self::SystemUserAssigned,
        Self::CreditShared,
        Self::PinStored,
        Self::PhoneRegistered,
        Self::DetailsRead,
        Self::Active,
    ];
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Its turn has not come.
    Pending,
    /// Begun; the outcome is not recorded. Whoever continues looks at Meta first.
    Intended,
    /// Done, with Meta's proof.
    Done,
    /// Failed, with a cause.
    Failed,
    /// Not needed for this kind of client or partner.
    Skipped,
}

/// Who can make a failed step succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// We try again by ourselves.
    Ours,
    /// We look again by ourselves, but a person must do something first.
    Person,
    /// Only a new signup helps: this onboarding has ended.
    NewSignup,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// Stable, `snake_case`.
    pub code: String,
    /// What happened.
    pub detail: String,
    /// What to do, and whose turn it is.
    pub action: String,
    /// Whose turn it is.
    pub turn: Turn,
    /// What Meta said, if it was Meta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<MetaError>,
    /// Not before this time again, if Meta named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

impl Cause {
    /// A cause without an answer of Meta's.
    #[must_use]
    pub fn new(code: &str, turn: Turn, detail: impl Into<String>, action: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            detail: detail.into(),
            action: action.into(),
            turn,
            meta: None,
            not_before: None,
        }
    }

    /// The same with what Meta said.
    #[must_use]
    pub fn with_meta(self, meta: MetaError) -> Self {
        Self { meta: Some(meta), ..self }
    }
}

/// One step's record.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepRecord {
    /// Which step.
    pub step: Step,
    /// How far it is.
    pub state: StepState,
    /// When it came to that state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// What Meta answered that proves it: ids read back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proof: BTreeMap<String, String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// How the whole stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnboardingStatus {
    /// Steps are open; it goes on.
    Open,
    /// Ended well.
    Active,
    /// Ended: only a new signup helps.
    Failed,
    /// Nobody finished it in time.
    Expired,
}

/// How Embedded Signup ended (Meta, Embedded Signup implementation, 2026-06-28).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SignupEvent {
    /// Cloud API flow completed; also what unknown `FINISH…` values are taken for.
    Finish,
    /// Completed without a number.
    FinishOnlyWaba,
    /// Coexistence: the number stays in the WhatsApp Business app, and is registered already.
    FinishWhatsappBusinessAppOnboarding,
    /// An on-behalf-of account was migrated.
    FinishOboMigration,
    /// App-only install: the account is not shared with our portfolio.
    FinishGrantOnlyApiAccess,
}

impl SignupEvent {
    /// Meta's word, or `None` for what is not a completion. New completions count as `FINISH` and must
    /// be verified like it.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "FINISH_ONLY_WABA" => Some(Self::FinishOnlyWaba),
            "FINISH_WHATSAPP_BUSINESS_APP_ONBOARDING" => Some(Self::FinishWhatsappBusinessAppOnboarding),
            "FINISH_OBO_MIGRATION" => Some(Self::FinishOboMigration),
            "FINISH_GRANT_ONLY_API_ACCESS" => Some(Self::FinishGrantOnlyApiAccess),
            _ if word.starts_with("FINISH") => Some(Self::Finish),
            _ => None,
        }
    }
}

/// What the browser said. None of it is trusted: `grant_verified` checks it against the token.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Claims {
    /// The account.
    pub waba_id: Option<WabaId>,
    /// The number.
    pub phone_number_id: Option<PhoneNumberId>,
    /// The portfolio.
    pub business_id: Option<BusinessId>,
    /// What the partner calls the client.
    pub client_name: Option<String>,
    /// How the signup ended.
    pub event: Option<SignupEvent>,
    /// The PIN that a person typed, sealed for this onboarding.
    pub pin: Option<Sealed>,
}

impl Claims {
    /// Takes over what a later call says; what it leaves out stays.
    pub fn update(&mut self, newer: Self) {
        fn newer_of<T>(old: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *old = new;
            }
        }
        newer_of(&mut self.waba_id, newer.waba_id);
        newer_of(&mut self.phone_number_id, newer.phone_number_id);
        newer_of(&mut self.business_id, newer.business_id);
        newer_of(&mut self.client_name, newer.client_name);
        newer_of(&mut self.event, newer.event);
        newer_of(&mut self.pin, newer.pin);
    }
}

/// An onboarding with its ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Onboarding {
    /// The key.
    pub id: OnboardingId,
    /// Whose client it will be.
    pub bot_id: BotId,
    /// How the whole stands.
    pub status: OnboardingStatus,
    /// A record per step, in order.
    pub steps: Vec<StepRecord>,
    /// What the browser said. Written by callers, not by the holder of the lease.
    pub claims: Claims,
    /// The business token until the grant has it.
    pub token: Option<Sealed>,
    /// What Meta said of the token.
    pub facts: Option<TokenFacts>,
    /// Set by `grant_verified`.
    pub grant_id: Option<GrantId>,
    /// The portfolio that Meta named.
    pub business_id: Option<BusinessId>,
    /// The verified account.
    pub waba_id: Option<WabaId>,
    /// The verified number.
    pub phone_number_id: Option<PhoneNumberId>,
    /// How often it was tried since the last progress; spaces the tries.
    pub attempts: u32,
    /// When the schedule continues it; `None` = not by itself.
    pub next_try_at: Option<Timestamp>,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it ends unfinished, and the record may go some time after.
    pub expires_at: Timestamp,
}

impl Onboarding {
    /// A new one, with the exchange intended.
    #[must_use]
    pub fn new(id: OnboardingId, bot_id: BotId, now: Timestamp) -> Self {
        let steps = Step::ALL
            .map(|step| StepRecord {
                step,
                state: if step == Step::TokenStored { StepState::Intended } else { StepState::Pending },
                at: (step == Step::TokenStored).then_some(now),
                proof: BTreeMap::new(),
                cause: None,
            })
            .to_vec();
        Self {
            id,
            bot_id,
            status: OnboardingStatus::Open,
            steps,
            claims: Claims::default(),
            token: None,
            facts: None,
            grant_id: None,
            business_id: None,
            waba_id: None,
            phone_number_id: None,
            attempts: 0,
            next_try_at: None,
            created_at: now,
            updated_at: now,
            expires_at: now + LIFETIME,
        }
    }

    /// The record of a step.
    ///
    /// # Panics
    /// Never: every onboarding has all steps.
    #[must_use]
    pub fn step(&self, step: Step) -> &StepRecord {
        self.steps.iter().find(|r| r.step == step).expect("every onboarding has all steps")
    }

    /// Whether a step is behind us.
    #[must_use]
    pub fn is_past(&self, step: Step) -> bool {
        matches!(self.step(step).state, StepState::Done | StepState::Skipped)
    }

    /// The first step that is not behind us.
    #[must_use]
    pub fn next_step(&self) -> Option<Step> {
        Step::ALL.into_iter().find(|step| !self.is_past(*step))
    }

    /// Notes that a step begins.
    pub fn intend(&mut self, step: Step, now: Timestamp) {
        self.set(step, StepState::Intended, now, BTreeMap::new(), None);
    }

    /// Notes that a step is done, with Meta's proof.
    pub fn done<const N: usize>(&mut self, step: Step, now: Timestamp, proof: [(&str, String); N]) {
        let proof = proof.map(|(name, value)| (name.to_owned(), value)).into();
        self.set(step, StepState::Done, now, proof, None);
        self.attempts = 0;
    }

    /// Notes that a step is not needed.
    pub fn skip(&mut self, step: Step, now: Timestamp) {
        self.set(step, StepState::Skipped, now, BTreeMap::new(), None);
    }

    /// Notes that a step behind us must be done again.
    pub fn reopen(&mut self, step: Step) {
        let now = self.updated_at;
        self.set(step, StepState::Pending, now, BTreeMap::new(), None);
    }

    /// Notes that a step failed, and with that who is next.
    pub fn fail(&mut self, step: Step, now: Timestamp, cause: Cause, pause: Duration) {
        self.attempts = self.attempts.saturating_add(1);
        self.next_try_at = match cause.turn {
            Turn::NewSignup => None,
            Turn::Ours | Turn::Person => {
                let earliest = now + back_off(pause, self.attempts);
                Some(cause.not_before.map_or(earliest, |t| t.max(earliest)))
            }
        };
        if cause.turn == Turn::NewSignup {
            self.status = OnboardingStatus::Failed;
        }
        self.set(step, StepState::Failed, now, BTreeMap::new(), Some(cause));
    }

    fn set(
        &mut self,
        step: Step,
        state: StepState,
        now: Timestamp,
        proof: BTreeMap<String, String>,
        cause: Option<Cause>,
    ) {
        let record = self.steps.iter_mut().find(|r| r.step == step).expect("every onboarding has all steps");
        *record = StepRecord { step, state, at: Some(now), proof, cause };
        self.updated_at = now;
    }
}

/// Pauses grow from `first` by half each time, up to an hour: ten tries in the first hour, and never
/// so rare that a person who mended something has to wait long.
fn back_off(first: Duration, attempts: u32) -> Duration {
    const LONGEST: Duration = Duration::from_secs(60 * 60);
    let factor = 1.5_f64.powi(i32::try_from(attempts.saturating_sub(1).min(30)).unwrap_or(30));
    Duration::try_from_secs_f64(first.as_secs_f64() * factor).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn onboarding() -> Onboarding {
        Onboarding::new("ob_1".parse().unwrap(), "bot".parse().unwrap(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_next_step_is_the_first_that_is_not_behind_us() {
        let mut it = onboarding();
        assert_eq!(it.next_step(), Some(Step::TokenStored));
        it.done(Step::TokenStored, Timestamp::UNIX_EPOCH, []);
        it.skip(Step::GrantVerified, Timestamp::UNIX_EPOCH);
        assert_eq!(it.next_step(), Some(Step::AppSubscribed));
    }

    #[test]
    fn a_failure_says_when_we_try_again_and_pauses_grow() {
        let mut it = onboarding();
        let cause = || Cause::new("meta_unavailable", Turn::Ours, "", "");
        let pause = Duration::from_secs(60);
        it.fail(Step::AppSubscribed, Timestamp::UNIX_EPOCH, cause(), pause);
        let first = it.next_try_at.unwrap();
        it.fail(Step::AppSubscribed, Timestamp::UNIX_EPOCH, cause(), pause);
        assert!(it.next_try_at.unwrap() > first);
        assert_eq!(it.status, OnboardingStatus::Open);
        assert_eq!(back_off(pause, 1000), Duration::from_secs(3600));
    }

    #[test]
    fn what_only_a_new_signup_mends_ends_the_onboarding() {
        let mut it = onboarding();
        let cause = Cause::new("grant_mismatch", Turn::NewSignup, "", "");
        it.fail(Step::GrantVerified, Timestamp::UNIX_EPOCH, cause, Duration::ZERO);
        assert_eq!((it.status, it.next_try_at), (OnboardingStatus::Failed, None));
    }

    #[test]
    fn unknown_completions_count_as_finish_and_other_events_as_none() {
        assert_eq!(SignupEvent::parse("FINISH_NEW_THING"), Some(SignupEvent::Finish));
        assert_eq!(SignupEvent::parse("CANCEL"), None);
    }
}

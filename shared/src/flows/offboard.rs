//! Off-boarding at work: what a client that left still has of ours is taken back, step by step, each looked up
//! before it acts. Stopped anywhere, it continues and ends the same.
//!
//! All steps of one client business run under its lease, one run at a time, and so do the steps of an
//! onboarding that must not cross them: a client that signs up again at this moment is seen, or waits.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::client::{Client, ClientStatus};
use crate::domain::grant::Grant;
use crate::domain::ids::{AllocationId, OffboardingId, PhoneNumberId};
use crate::domain::meta_error::{MetaError, Remedy};
use crate::domain::offboarding::{OffStep, Offboarding};
use crate::domain::onboarding::{Claims, LIFETIME};
use crate::domain::seal::SealContext;
use crate::domain::secret::AccessToken;
use crate::error::{Chain, GraphError, StoreError};
use crate::flows::onboard::{Partner, Settings};
use crate::ports::{
    AccountGraph, Clock, LeaveClients, Offboardings, Onboardings, OpenOnboardings, PartnerGraph, Random,
    ReadGrants, Seal, WriteGrants,
};
use crate::telemetry::metric;

/// How long one off-boarding may take: a handful of calls.
const TIME: Duration = Duration::from_secs(12);
/// After this one run of the schedule begins no further one: its last may take [`TIME`].
const SCHEDULE_TIME: Duration = Duration::from_secs(10);
/// After so many tries, about an hour, somebody must look: an allocation that stays is money.
const ALARM_AFTER: u32 = 9;

/// All records that it uses.
pub trait Records:
    Offboardings + OpenOnboardings + Onboardings + LeaveClients + ReadGrants + WriteGrants
{
}
impl<T> Records for T where
    T: Offboardings + OpenOnboardings + Onboardings + LeaveClients + ReadGrants + WriteGrants
{
}

/// All of Meta that it uses.
pub trait Meta: AccountGraph + PartnerGraph {}
impl<T> Meta for T where T: AccountGraph + PartnerGraph {}

/// Off-boarding with what it needs.
pub struct Offboard<'a, S, K, G, C, R> {
    /// Records.
    pub store: &'a S,
    /// Sealing.
    pub seal: &'a K,
    /// Meta.
    pub graph: &'a G,
    /// Time.
    pub clock: &'a C,
    /// For the owner of a lease.
    pub random: &'a R,
    /// The settings of onboarding: the same partner, leases and pauses.
    pub settings: &'a Settings,
}

/// Why a step did not end.
#[derive(Debug, thiserror::Error)]
enum Open {
    /// Meta, for now.
    #[error(transparent)]
    Meta(#[from] GraphError),
    /// Records or sealing, for now.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It must wait for something.
    #[error("{0}")]
    Wait(&'static str),
    /// A client of the business is signing up: whether it needs what is to go is known when that has ended.
    #[error("{0} is signing up")]
    SigningUp(PhoneNumberId),
}

/// What a step did, in ids and words.
type Ended = Result<String, Open>;

impl<S: Records, K: Seal, G: Meta, C: Clock, R: Random> Offboard<'_, S, K, G, C, R> {
    /// Continues those that are due, one after the other, as long as there is time; one that fails stops no
    /// other.
    ///
    /// # Errors
    /// [`StoreError`] if the due ones cannot be found.
    pub async fn run_due(&self, limit: usize) -> Result<usize, StoreError> {
        let begun = self.clock.now();
        let due = self.store.due_offboardings(begun, limit).await?;
        for id in &due {
            if self.clock.now() > begun + SCHEDULE_TIME {
                break;
            }
            // Cut off is like a crash: whoever continues looks first.
            match tokio::time::timeout(TIME, self.run(id)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(offboardingId = %id, error = %Chain(&error), "off-boarding not continued");
                }
                Err(_) => {
                    tracing::warn!(offboardingId = %id, "out of time: the next run of the schedule continues");
                }
            }
        }
        Ok(due.len())
    }

    /// Continues one as far as it goes.
    async fn run(&self, id: &OffboardingId) -> Result<(), StoreError> {
        let Some(it) = self.store.offboarding(id).await?.filter(|it| it.next_try_at.is_some()) else {
            return Ok(());
        };
        let owner = hex::encode(self.random.bytes());
        let now = self.clock.now();
        let until = now + self.settings.lease;
        if !self.store.lease_business(&it.business_id, &owner, now, until).await? {
            return Ok(());
        }
        let business = it.business_id.clone();
        let result = self.leased(it).await;
        self.store.release_business(&business, &owner).await?;
        result
    }

    async fn leased(&self, mut it: Offboarding) -> Result<(), StoreError> {
        let (mut problem, mut is_stuck) = (None, false);
        for step in OffStep::ALL {
            // Unsubscribing needs the token.
            let must_wait = step == OffStep::SecretsRemoved && !it.is_past(OffStep::Unsubscribed);
            if it.is_past(step) || must_wait {
                continue;
            }
            match self.act(step, &it).await {
                Ok(how) => {
                    tracing::info!(offboardingId = %it.id, clientId = %it.phone_number_id, ?step, how, "step done");
                    it.end(step, how, self.clock.now());
                }
                // The others go on: a dead token must not keep the credit alive.
                Err(open) => {
                    is_stuck |= !matches!(open, Open::SigningUp(_));
                    problem.get_or_insert(format!("{step:?}: {}", Chain(&open)));
                }
            }
        }
        it.tried(problem, self.settings.retry, self.clock.now());
        self.report(&it, is_stuck);
        if !self.store.save_offboarding(&it).await? {
            tracing::warn!(offboardingId = %it.id, "another run was faster");
        }
        Ok(())
    }

    fn report(&self, it: &Offboarding, is_stuck: bool) {
        let problem = it.problem.as_deref();
        match problem {
            Some(_) if is_stuck && it.attempts >= ALARM_AFTER => {
                tracing::warn!(metric = metric::OFFBOARDING_STUCK, offboardingId = %it.id, attempts = it.attempts, problem, "off-boarding does not end");
            }
            Some(_) => tracing::info!(offboardingId = %it.id, problem, "off-boarding goes on later"),
            None => tracing::info!(offboardingId = %it.id, "off-boarding has ended"),
        }
    }

    async fn act(&self, step: OffStep, it: &Offboarding) -> Ended {
        match step {
            OffStep::CreditRevoked => self.revoke_credit(it).await,
            OffStep::Unsubscribed => self.unsubscribe(it).await,
            OffStep::SecretsRemoved => self.remove_secrets(it).await,
        }
    }

    /// Who of the business is still, or again, with us and needs what is to go. Asked before each step, because
    /// it may change.
    async fn user(
        &self,
        it: &Offboarding,
        needs: impl Fn(&Client) -> bool,
    ) -> Result<Option<PhoneNumberId>, Open> {
        let clients = self.store.clients_of_business(&it.business_id).await?;
        let now = self.clock.now();
        let mut signing_up = None;
        for client in clients.into_iter().filter(needs) {
            match client.status() {
                ClientStatus::Active | ClientStatus::Suspended => return Ok(Some(client.phone_number_id)),
                // One that nobody finished holds nothing up.
                ClientStatus::Onboarding if client.signed_up_at + LIFETIME > now => {
                    signing_up = Some(client.phone_number_id);
                }
                ClientStatus::Onboarding | ClientStatus::Inactive => {}
            }
        }
        signing_up.map_or(Ok(None), |phone| Err(Open::SigningUp(phone)))
    }

    /// Revoking takes the credit from all accounts of the business, so nobody else may need it.
    async fn revoke_credit(&self, it: &Offboarding) -> Ended {
        if self.settings.partner == Partner::TechProvider {
            return Ok("not ours: clients pay Meta themselves".to_owned());
        }
        if let Some(user) = self.user(it, |_| true).await? {
            return Ok(format!("kept: {user} uses it"));
        }
        let mut found = self.graph.allocations(&it.business_id).await?;
        if let Some(stored) = self.stored_allocation(it).await?
            && !found.contains(&stored)
        {
            found.push(stored);
        }
        for allocation in &found {
            self.graph.revoke_credit(allocation).await?;
            if !self.graph.allocation(allocation).await?.is_deleted {
                return Err(Open::Wait("Meta does not show the allocation as deleted yet"));
            }
        }
        let ids: Vec<String> = found.iter().map(ToString::to_string).collect();
        Ok(if ids.is_empty() {
            "no allocation in force".to_owned()
        } else {
            format!("revoked {}", ids.join(" "))
        })
    }

    /// The allocation that onboarding noted, if Meta's list left it out and it is in force for this business.
    async fn stored_allocation(&self, it: &Offboarding) -> Result<Option<AllocationId>, Open> {
        let Some(stored) = self.store.grant(&it.grant_id).await?.and_then(|grant| grant.allocation_id) else {
            return Ok(None);
        };
        match self.graph.allocation(&stored).await {
            Ok(state) => {
                let is_theirs = state.business_id.is_none_or(|business| business == it.business_id);
                Ok((is_theirs && !state.is_deleted).then_some(stored))
            }
            // The list could be read, so it is not our permission that is missing: it is gone.
            Err(GraphError::Refused(meta)) if is_unseen(&meta) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// With the client's token, which may be dead by now: then Meta has ended what it opened.
    async fn unsubscribe(&self, it: &Offboarding) -> Ended {
        if let Some(user) = self.user(it, |client| client.waba_id == it.waba_id).await? {
            return Ok(format!("kept: {user} uses it"));
        }
        let Some(token) = self.token(it).await? else { return Ok("no token left".to_owned()) };
        let result = match self.graph.is_subscribed(&it.waba_id, &token).await {
            Ok(false) => return Ok("not subscribed".to_owned()),
            Ok(true) => self.graph.unsubscribe(&it.waba_id, &token).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => Ok(format!("unsubscribed from {}", it.waba_id)),
            Err(GraphError::Refused(meta)) if is_shut_out(&meta) => {
                Ok(format!("Meta refuses the token with code {}", meta.code))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn token(&self, it: &Offboarding) -> Result<Option<AccessToken>, StoreError> {
        let Some(sealed) = self.store.grant(&it.grant_id).await?.and_then(|grant| grant.token) else {
            return Ok(None);
        };
        let opened = self.seal.open(&sealed, SealContext::GrantToken(&it.grant_id)).await?;
        AccessToken::try_from(opened).map(Some).map_err(|e| StoreError::corrupt("grants", e))
    }

    /// Not before whatever ran when the client left has ended, so that nothing stores a secret after this.
    async fn remove_secrets(&self, it: &Offboarding) -> Ended {
        let now = self.clock.now();
        if now < it.created_at + self.settings.lease {
            return Err(Open::Wait("an onboarding of the client may still be at work"));
        }
        // The grant first: a token that is stored after this has another version, and stays.
        let grant = self.store.grant(&it.grant_id).await?;
        let is_back = self.user(it, |client| client.phone_number_id == it.phone_number_id).await?.is_some();
        if !is_back {
            self.store.forget_pin(&it.phone_number_id, &it.onboarding_id, now).await?;
            self.forget_typed_pin(it).await?;
        }
        if let Some(user) = self.user(it, |client| client.grant_id == it.grant_id).await? {
            return Ok(format!("token kept: {user} uses it"));
        }
        match grant {
            Some(grant) if grant.token.is_some() => self.forget_token(grant, now).await,
            _ => Ok("removed".to_owned()),
        }
    }

    /// The PIN that a person typed for the onboarding, sealed with its ledger.
    async fn forget_typed_pin(&self, it: &Offboarding) -> Result<(), StoreError> {
        match self.store.onboarding(&it.onboarding_id).await? {
            Some(onboarding) if onboarding.claims.pin.is_some() => {
                let claims = Claims { pin: None, ..onboarding.claims };
                self.store.save_claims(&it.onboarding_id, &claims).await
            }
            _ => Ok(()),
        }
    }

    /// The grant stays, with the ids.
    async fn forget_token(&self, grant: Grant, now: Timestamp) -> Ended {
        // Which clients there are is of a moment ago: whoever stored a token just now may not be among them yet.
        if grant.updated_at + self.settings.lease > now {
            return Err(Open::Wait("the grant was written a moment ago"));
        }
        let version = grant.token_version;
        let bare = Grant {
            token: None,
            token_version: version + 1,
            token_expires_at: None,
            previous: None,
            care_at: None,
            updated_at: now,
            ..grant
        };
        if self.store.save_grant(&bare, Some(version)).await? {
            Ok("removed".to_owned())
        } else {
            Err(Open::Wait("a new signup stored another token"))
        }
    }
}

/// Meta's answer for what does not exist or may not be seen.
fn is_unseen(meta: &MetaError) -> bool {
    matches!(meta.code, 100 | 803)
}

/// Whether Meta refuses because the client has shut us out: the token is dead, or covers the account no more.
fn is_shut_out(meta: &MetaError) -> bool {
    meta.remedy() == Remedy::Token || is_unseen(meta) || matches!(meta.code, 10 | 33 | 200..=299)
}

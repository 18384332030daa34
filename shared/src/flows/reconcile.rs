//! Reconciliation: each client is looked at as Meta shows it, what drifted from how its onboarding made it is named
//! and kept, and mended when somebody asks. Each night all clients are looked at, in portions.
//!
//! A look changes nothing at Meta. Mending runs under the lease of the client business, like the steps of an
//! onboarding and of an off-boarding that it must not cross; it looks before and after, so a run that died anywhere is
//! simply called again.

#[cfg(test)]
mod tests;

use std::time::Duration;

use futures_util::{StreamExt, stream};

use crate::domain::Timestamp;
use crate::domain::account::{Change, NameDecision, Noted};
use crate::domain::client::{Client, ClientStatus};
use crate::domain::drift::{
    Check, Drift, DriftName, Expected, Found, Paid, Round, Seen, SeenNumber, drifts, token_problem,
    version_drift,
};
use crate::domain::grant::Grant;
use crate::domain::ids::{AllocationId, PhoneNumberId};
use crate::domain::meta_error::{MetaError, Remedy};
use crate::domain::onboarding::Turn;
use crate::domain::seal::SealContext;
use crate::domain::secret::{AccessToken, Pin};
use crate::error::{Chain, GraphError, StoreError};
use crate::flows::lookups::allocation_behind;
use crate::flows::onboard::{Meta, Partner, Settings};
use crate::flows::tokens::Tokens;
use crate::ports::{
    Account, CheckRounds, Clock, ListClients, MarkGrants, NoteAccounts, NoteChecks, Number, OpenOnboardings,
    Random, ReadClients, ReadGrants, Seal,
};
use crate::telemetry::metric;

/// How long one call goes on: API Gateway ends it at 30 s, and the lease must be given back before.
const TIME: Duration = Duration::from_secs(22);
/// After this a run of the schedule begins no further portion: its last may take [`LOOK`].
const SCHEDULE_TIME: Duration = Duration::from_secs(12);
/// How long the look at one client may take in a portion: about seven calls.
const LOOK: Duration = Duration::from_secs(14);
/// How many clients are looked at at the same time. A look is about seven calls on the client's account, of 200 an
/// hour that Meta gives a new one and 5,000 that it gives others (Meta, rate limits, read 2026-11-22).
const AT_ONCE: usize = 16;
/// A run that died holds the round up for so long: longer than it may take.
const CLAIM: Duration = Duration::from_secs(60);

/// All records that it uses.
pub trait Records:
    ReadClients
    + ListClients
    + NoteChecks
    + NoteAccounts
    + CheckRounds
    + ReadGrants
    + MarkGrants
    + OpenOnboardings
{
}
impl<T> Records for T where
    T: ReadClients
        + ListClients
        + NoteChecks
        + NoteAccounts
        + CheckRounds
        + ReadGrants
        + MarkGrants
        + OpenOnboardings
{
}

/// Reconciliation with what it needs.
pub struct Reconcile<'a, S, K, G, C, R> {
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
    /// Opened tokens.
    pub tokens: &'a Tokens,
    /// The settings of onboarding: what a client was made by.
    pub settings: &'a Settings,
    /// The Graph version that is called, such as `v26.0`.
    pub version: &'a str,
}

/// Why a client could not be reconciled.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// There is no such client.
    #[error("unknown client")]
    Unknown,
    /// It is being onboarded, or has left: nothing is expected of it.
    #[error("the client is not active")]
    NotActive(ClientStatus),
    /// An onboarding, an off-boarding or another mending of its business is at work.
    #[error("the business is busy")]
    Busy,
    /// Meta was too slow. What was mended is mended.
    #[error("out of time")]
    OutOfTime,
    /// Meta does not take our own token or secret: nothing is wrong with the client.
    #[error("Meta does not take the partner's own token")]
    OwnToken(#[source] GraphError),
    /// Meta, for now.
    #[error(transparent)]
    Meta(#[from] GraphError),
    /// Records or sealing.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of one drift that was ours to mend.
#[derive(Debug, Clone, PartialEq)]
pub struct Mended {
    /// Which.
    pub name: DriftName,
    /// Why it could not be mended; `None` = the calls were made.
    pub problem: Option<String>,
}

/// A mending.
#[derive(Debug, Clone, PartialEq)]
pub struct Repair {
    /// What was found before it.
    pub found: Vec<Drift>,
    /// What was done.
    pub mended: Vec<Mended>,
    /// The look afterwards.
    pub check: Check,
}

impl<S: Records, K: Seal, G: Meta, C: Clock, R: Random> Reconcile<'_, S, K, G, C, R> {
    /// Looks at a client and keeps what was found. Changes nothing at Meta.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn check(&self, id: &PhoneNumberId) -> Result<Check, Failed> {
        let client = self.client(id).await?;
        let look = tokio::time::timeout(TIME, self.look_and_note(&client)).await;
        look.map_err(|_| Failed::OutOfTime)?
    }

    /// Mends what is ours to mend, and looks again. May be repeated.
    ///
    /// # Errors
    /// [`Failed`]; a drift whose mending Meta refused is no error.
    pub async fn repair(&self, id: &PhoneNumberId) -> Result<Repair, Failed> {
        let business = self.client(id).await?.business_id;
        let owner = hex::encode(self.random.bytes());
        let now = self.clock.now();
        if !self.store.lease_business(&business, &owner, now, now + self.settings.lease).await? {
            return Err(Failed::Busy);
        }
        // Cut off is like a crash: the next call looks first.
        let result = tokio::time::timeout(TIME, self.leased(id)).await;
        self.store.release_business(&business, &owner).await?;
        result.map_err(|_| Failed::OutOfTime)?
    }

    /// A client that something is expected of.
    async fn client(&self, id: &PhoneNumberId) -> Result<Client, Failed> {
        let client = self.store.client(id).await?.ok_or(Failed::Unknown)?;
        match client.status() {
            ClientStatus::Active | ClientStatus::Suspended => Ok(client),
            status => Err(Failed::NotActive(status)),
        }
    }

    async fn leased(&self, id: &PhoneNumberId) -> Result<Repair, Failed> {
        // Read again: it may have left before the lease was ours.
        let client = self.client(id).await?;
        let found = self.look(&client).await?;
        let mut mended = Vec::new();
        for drift in found.iter().filter(|drift| drift.turn == Turn::Ours && !drift.is_of_record()) {
            mended.push(self.mended(&client, drift).await?);
        }
        // What a mending made of the name and the quality is known only now.
        let (taken, left) = self.look_and_take_over(&self.client(id).await?).await?;
        mended.extend(taken.iter().map(|drift| Mended { name: drift.name, problem: None }));
        let check = Check { at: self.clock.now(), drifts: left };
        self.store.note_check(id, &check).await?;
        Ok(Repair { found, mended, check })
    }

    async fn mended(&self, client: &Client, drift: &Drift) -> Result<Mended, Failed> {
        let problem = match self.mend(client, drift).await {
            Ok(()) => None,
            Err(Failed::Store(error)) => return Err(error.into()),
            Err(Failed::Meta(error)) => Some(said(&error)),
            Err(other) => Some(other.to_string()),
        };
        tracing::debug!(clientId = %client.phone_number_id, drift = ?drift.name, problem, "drift mended");
        Ok(Mended { name: drift.name, problem })
    }

    /// What was taken over into our record, and what else was found.
    async fn look_and_take_over(&self, client: &Client) -> Result<(Vec<Drift>, Vec<Drift>), Failed> {
        let begun = self.clock.now();
        let (taken, left): (Vec<_>, Vec<_>) =
            self.look(client).await?.into_iter().partition(Drift::is_of_record);
        for drift in &taken {
            self.take_over(client, drift, begun).await?;
        }
        Ok((taken, left))
    }

    async fn look_and_note(&self, client: &Client) -> Result<Check, Failed> {
        let drifts = self.look(client).await?;
        let check = Check { at: self.clock.now(), drifts };
        self.store.note_check(&client.phone_number_id, &check).await?;
        Ok(check)
    }

    // ---- looking -----------------------------------------------------------------------------

    async fn look(&self, client: &Client) -> Result<Vec<Drift>, Failed> {
        let grant = self.store.grant(&client.grant_id).await?;
        let allocation = match &self.settings.partner {
            // The grant is the business's: of two clients of it one may pay Meta itself.
            Partner::Solution { .. } if client.credit_shared != Some(false) => {
                grant.as_ref().and_then(|grant| grant.allocation_id.as_ref())
            }
            Partner::Solution { .. } | Partner::TechProvider => None,
        };
        let currency = self.currency(grant.as_ref());
        let found = self.found(client, allocation).await?;
        let mut drifts = drifts(&Expected { client, allocation, currency }, &found);
        drifts.extend(version_drift(self.version, self.clock.now()));
        Ok(drifts)
    }

    fn currency<'c>(&'c self, grant: Option<&'c Grant>) -> &'c str {
        let of_grant = grant.and_then(|grant| grant.currency.as_deref());
        of_grant.unwrap_or(match &self.settings.partner {
            Partner::Solution { currency } => currency,
            Partner::TechProvider => "USD",
        })
    }

    async fn found(&self, client: &Client, allocation: Option<&AllocationId>) -> Result<Found, Failed> {
        let Some(token) = self.token(client).await? else {
            return Ok(Found::NoToken("none, or known to be dead".to_owned()));
        };
        // Asked with our app's own token: a refusal says nothing of the client's.
        let facts = self.graph.token_facts(&token).await.map_err(of_partner)?;
        if let Some(problem) = token_problem(&facts, &self.settings.app_id, client) {
            // It may have been swapped since it was opened.
            self.tokens.forget(&client.grant_id);
            return Ok(Found::NoToken(problem));
        }
        let (seen, account) = match self.seen(client, &token).await {
            Err(GraphError::Refused(meta)) if meta.remedy() == Remedy::Token => {
                self.tokens.forget(&client.grant_id);
                return Ok(Found::NoToken(format!("refused with code {}", meta.code)));
            }
            Err(GraphError::Refused(meta)) if is_shut_out(&meta) => {
                return Ok(Found::ShutOut(format!("the client's token: code {}", meta.code)));
            }
            other => other?,
        };
        match allocation {
            None => Ok(Found::Seen(Box::new(seen))),
            Some(noted) => self.paid(client, seen, &account, noted).await,
        }
    }

    async fn token(&self, client: &Client) -> Result<Option<AccessToken>, StoreError> {
        let opened = self.tokens.of(self.store, self.seal, self.clock, &client.grant_id).await?;
        Ok(opened.map(|opened| opened.token))
    }

    /// What the client's token shows.
    async fn seen(&self, client: &Client, token: &AccessToken) -> Result<(Seen, Account), GraphError> {
        let number = self.graph.number(&client.phone_number_id, token).await?;
        let account = self.graph.account(&client.waba_id, token).await?;
        let subscription = self.graph.subscription(&client.waba_id, token).await?;
        let seen = Seen {
            subscribed: subscription.is_some(),
            callback: subscription.and_then(|subscription| subscription.callback),
            number: seen_number(number),
            currency: account.currency.clone(),
            paid: Paid::NotOurs,
        };
        Ok((seen, account))
    }

    /// What was seen, and what pays. Asked with our system user's token: only where that is refused the account itself,
    /// the client shut us out.
    async fn paid(
        &self,
        client: &Client,
        seen: Seen,
        account: &Account,
        noted: &AllocationId,
    ) -> Result<Found, Failed> {
        let found = |paid| Ok(Found::Seen(Box::new(Seen { paid, ..seen })));
        let allocation = match &account.primary_funding_id {
            None => None,
            Some(funding) => {
                let paying = self.paying(client, funding, noted).await.map_err(of_partner)?;
                let Some(ours) = paying else { return found(Paid::ByOther) };
                Some(ours)
            }
        };
        let user = self.graph.system_user().await.map_err(of_partner)?;
        let is_assigned = match self.graph.is_assigned(&client.waba_id, &user).await {
            // The account is not shared with our portfolio any more.
            Err(GraphError::Refused(meta)) if is_shut_out(&meta) => {
                return Ok(Found::ShutOut(format!("the system user: code {}", meta.code)));
            }
            other => other.map_err(of_partner)?,
        };
        let unassigned = (!is_assigned).then_some(user);
        found(match allocation {
            Some(allocation) => Paid::ByUs { allocation, unassigned },
            None => Paid::ByNothing { unassigned },
        })
    }

    /// Our allocation that pays through `funding`, if there is one. The ids are compared.
    async fn paying(
        &self,
        client: &Client,
        funding: &str,
        noted: &AllocationId,
    ) -> Result<Option<AllocationId>, GraphError> {
        let credential = match self.graph.receiving_credential(noted).await {
            // It is gone; another one may pay.
            Err(GraphError::Refused(meta)) if is_shut_out(&meta) => None,
            other => other?,
        };
        if credential.as_deref() == Some(funding) {
            return Ok(Some(noted.clone()));
        }
        allocation_behind(self.graph, &client.business_id, funding).await
    }

    // ---- mending -----------------------------------------------------------------------------

    /// Makes the calls that the drift lists.
    async fn mend(&self, client: &Client, drift: &Drift) -> Result<(), Failed> {
        match drift.name {
            DriftName::Unsubscribed | DriftName::CallbackOverridden => {
                Ok(self.graph.subscribe(&client.waba_id, &self.needed(client).await?).await?)
            }
            DriftName::NumberCallbackOverridden => {
                let token = self.needed(client).await?;
                Ok(self.graph.clear_callback(&client.phone_number_id, &token).await?)
            }
            DriftName::SystemUserUnassigned => {
                let user = self.graph.system_user().await.map_err(of_partner)?;
                self.graph.assign(&client.waba_id, &user).await.map_err(of_partner)
            }
            DriftName::CreditMissing => self.share_credit(client).await,
            DriftName::AllocationChanged => match drift.found.as_deref().map(str::parse) {
                Some(Ok(allocation)) => {
                    let grant = self.store.grant(&client.grant_id).await?;
                    self.note_allocation(client, &allocation, self.currency(grant.as_ref())).await
                }
                _ => Ok(()),
            },
            DriftName::NotConnected => self.register(client).await,
            // Taken over, or nobody's to mend by a call.
            DriftName::NameChanged
            | DriftName::QualityChanged
            | DriftName::TokenInvalid
            | DriftName::AccessLost
            | DriftName::OtherFunding
            | DriftName::GraphVersionEnding => Ok(()),
        }
    }

    async fn needed(&self, client: &Client) -> Result<AccessToken, Failed> {
        let token = self.token(client).await?;
        Ok(token.ok_or_else(|| StoreError::corrupt("grants", "the token is gone"))?)
    }

    /// Sharing twice makes two allocations, so what pays is read again at the last moment.
    async fn share_credit(&self, client: &Client) -> Result<(), Failed> {
        let account = self.graph.account(&client.waba_id, &self.needed(client).await?).await?;
        if account.primary_funding_id.is_some() {
            return Ok(());
        }
        let grant = self.store.grant(&client.grant_id).await?;
        let currency = account.currency.as_deref().unwrap_or_else(|| self.currency(grant.as_ref()));
        let allocation = self.graph.share_credit(&client.waba_id, currency).await.map_err(of_partner)?;
        self.note_allocation(client, &allocation, currency).await
    }

    async fn note_allocation(
        &self,
        client: &Client,
        allocation: &AllocationId,
        currency: &str,
    ) -> Result<(), Failed> {
        self.store.note_allocation(&client.grant_id, allocation, currency, self.clock.now()).await?;
        Ok(())
    }

    /// Only ever when somebody asks: Meta gives ten calls in 72 hours.
    async fn register(&self, client: &Client) -> Result<(), Failed> {
        let Some(sealed) = &client.sealed_pin else { return Ok(()) };
        let pin = self.seal.open(sealed, SealContext::ClientPin(&client.phone_number_id)).await?;
        let pin = Pin::try_from(pin).map_err(|e| StoreError::corrupt("clients", e))?;
        let token = self.needed(client).await?;
        Ok(self.graph.register(&client.phone_number_id, &pin, &token).await?)
    }

    /// Takes into our record what Meta shows, as if an event had told it at `at`, when the look began: what an event
    /// told meanwhile is newer.
    async fn take_over(&self, client: &Client, drift: &Drift, at: Timestamp) -> Result<(), Failed> {
        let Some(found) = drift.found.clone() else { return Ok(()) };
        let change = match drift.name {
            DriftName::QualityChanged => Change::Quality(found),
            _ => {
                let decision = "APPROVED".to_owned();
                Change::Name(NameDecision { decision, name: Some(found), reason: None })
            }
        };
        let noted = Noted { at, change };
        self.store.note_account(&client.phone_number_id, &noted, self.clock.now()).await?;
        Ok(())
    }

    // ---- every night -------------------------------------------------------------------------

    /// Goes on with the round through all clients, as long as there is time; how many were looked at. Records that
    /// show another name or quality than Meta are put right; nothing else is mended.
    ///
    /// # Errors
    /// [`StoreError`] if the round or its clients cannot be read.
    pub async fn run_round(&self) -> Result<usize, StoreError> {
        let begun = self.clock.now();
        let round = self.store.check_round().await?;
        if round.due_at > begun {
            return Ok(0);
        }
        let mut round = round.moved(begun + CLAIM, round.after.clone());
        if !self.store.save_check_round(&round).await? {
            return Ok(0);
        }
        if round.after.is_none() {
            self.report_version(begun);
        }
        let mut looked = 0;
        loop {
            let page = self.store.all_clients(round.after.as_deref(), AT_ONCE).await?;
            let all = stream::iter(page.items).map(|client| self.nightly(client));
            let looks: Vec<bool> = all.buffer_unordered(AT_ONCE).collect().await;
            looked += looks.into_iter().filter(|is_done| *is_done).count();
            let now = self.clock.now();
            let is_over = page.next.is_none();
            if is_over || now >= begun + SCHEDULE_TIME {
                let due_at = if is_over { Round::next_night(begun) } else { now };
                self.store.save_check_round(&round.moved(due_at, page.next)).await?;
                return Ok(looked);
            }
            round.after = page.next;
        }
    }

    fn report_version(&self, now: Timestamp) {
        if let Some(drift) = version_drift(self.version, now) {
            tracing::warn!(
                metric = metric::GRAPH_VERSION_ENDING,
                version = self.version,
                found = drift.found,
                "Meta ends the Graph version"
            );
        }
    }

    /// Whether the client was looked at. One that fails stops no other.
    async fn nightly(&self, client: Client) -> bool {
        if !matches!(client.status(), ClientStatus::Active | ClientStatus::Suspended) {
            return false;
        }
        let id = &client.phone_number_id;
        match tokio::time::timeout(LOOK, self.look_at_night(&client)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(clientId = %id, error = %Chain(&error), "the client was not looked at");
                false
            }
            Err(_) => {
                tracing::warn!(clientId = %id, "the client was not looked at: out of time");
                false
            }
        }
    }

    async fn look_at_night(&self, client: &Client) -> Result<(), Failed> {
        let (taken, left) = self.look_and_take_over(client).await?;
        for drift in taken.iter().chain(&left) {
            // The version is the deployment's, and is told of once.
            if drift.is_alarming() && drift.name != DriftName::GraphVersionEnding {
                tracing::warn!(metric = metric::CLIENT_DRIFT, clientId = %client.phone_number_id, drift = ?drift.name, found = drift.found, "a client drifted");
            }
        }
        let check = Check { at: self.clock.now(), drifts: left };
        Ok(self.store.note_check(&client.phone_number_id, &check).await?)
    }
}

fn seen_number(number: Number) -> SeenNumber {
    SeenNumber {
        is_usable: number.needs_no_register(),
        is_unverified: number.is_unverified(),
        status: number.status,
        callback: number.callback,
        verified_name: number.verified_name,
        quality_rating: number.quality_rating,
    }
}

/// What a call of ours alone ended with: where Meta does not take our token, nothing is said of the client's.
fn of_partner(error: GraphError) -> Failed {
    match error.refusal().map(MetaError::remedy) {
        Some(Remedy::Token) => Failed::OwnToken(error),
        _ => Failed::Meta(error),
    }
}

/// Whether Meta refuses because the token does not open what is asked for (any more). By use: whatever scopes are named.
fn is_shut_out(meta: &MetaError) -> bool {
    matches!(meta.code, 10 | 33 | 100 | 803 | 200..=299)
}

/// Why a mending failed, for the caller.
fn said(error: &GraphError) -> String {
    match error {
        GraphError::Refused(meta) => format!("Meta refused it with code {}: {}", meta.code, meta.details),
        GraphError::NotSent(_) => "Meta was not reached.".to_owned(),
        GraphError::Unclear(_) => "Meta did not answer: it may have been done.".to_owned(),
    }
}

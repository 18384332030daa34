//! Looking after tokens: each grant's, and the one of our own system user. A token that ends is renewed in time and
//! swapped on its grant in one write; one that is dead is replaced where Meta lets us, and else marked; and the
//! partner is told.
//!
//! One copy has a grant at a time, by a claim that ends. Nothing is written before that copy's last write but marks
//! that may be made twice, so whoever dies is followed by somebody who begins anew. A token that was made and not
//! stored is known to nobody, and ends by itself after 60 days.

mod system;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::domain::Timestamp;
use crate::domain::client::ClientStatus;
use crate::domain::grant::{Grant, TokenFacts};
use crate::domain::ids::{BusinessId, GrantId, WabaId};
use crate::domain::meta_error::Remedy;
use crate::domain::raw::{Raw, sha256};
use crate::domain::seal::{SealContext, Sealed};
use crate::domain::secret::AccessToken;
use crate::domain::token_care::{ALARM_AFTER, Care, Due, LOOK_EVERY, PROOF_AFTER, Previous, next_look};
use crate::error::{Chain, GraphError, StoreError};
use crate::ports::{
    AccountEvent, AccountGraph, CareGrants, Clock, LeaveClients, MarkClients, MarkGrants, PartnerGraph,
    RecordEvents, Seal, SystemTokens, TokenGraph,
};
use crate::telemetry::metric;

/// How long looking after one token may take: a dozen calls at most, of which few are slow at once.
const TIME: Duration = Duration::from_secs(25);
/// After this one run of the schedule begins no further token: its last may take [`TIME`].
const SCHEDULE_TIME: Duration = Duration::from_secs(25);
/// How long a copy has a grant for itself: longer than [`TIME`].
const CLAIM: Duration = Duration::from_secs(90);
/// Until a token is looked at again of which Meta told nothing, or that is new.
const SOON: Duration = Duration::from_secs(10 * 60);
/// Meta's code for a token that it does not take (Meta, Graph API, error handling, 2026).
const NOT_TAKEN: i64 = 190;
/// Kind of the event that tells the partner.
const EXPIRING: &str = "switchboard.token_expiring";

/// All records that it uses.
pub trait Records: CareGrants + MarkGrants + LeaveClients + MarkClients + RecordEvents {}
impl<T: CareGrants + MarkGrants + LeaveClients + MarkClients + RecordEvents> Records for T {}

/// All of Meta that it uses.
pub trait Meta: TokenGraph + AccountGraph + PartnerGraph {}
impl<T: TokenGraph + AccountGraph + PartnerGraph> Meta for T {}

/// Settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our app: a token of another app is not taken.
    pub app_id: String,
    /// The portfolio of our system user, who may get tokens of clients; `None` = there is no system user.
    pub partner: Option<BusinessId>,
}

/// Looking after tokens, with what it needs.
pub struct TokenCare<'a, S, K, G, V, C> {
    /// Records.
    pub store: &'a S,
    /// Sealing.
    pub seal: &'a K,
    /// Meta.
    pub graph: &'a G,
    /// Where the system user's token is.
    pub vault: &'a V,
    /// Time.
    pub clock: &'a C,
    /// Settings.
    pub settings: &'a Settings,
}

/// What another token is wanted for.
struct Wanted<'g> {
    grant: &'g Grant,
    /// What it must read.
    accounts: &'g [WabaId],
    /// The grant's token; without it that one is dead, and only our system user can get another.
    alive: Option<&'g AccessToken>,
}

/// A token that Meta gave, and what it says of it.
struct Renewed {
    token: AccessToken,
    facts: TokenFacts,
}

/// Why a token was not renewed.
#[derive(Default)]
struct NotRenewed {
    /// What came of each way.
    reasons: Vec<String>,
    /// Whether one of them may be open at another time: Meta was not reached, or was busy.
    is_for_now: bool,
}

impl NotRenewed {
    fn add(&mut self, way: &str, problem: &Problem) {
        self.is_for_now |= matches!(problem, Problem::Meta(error) if is_for_now(error));
        self.reasons.push(format!("{way}: {}", Chain(problem)));
    }
}

/// What is wrong with one way, or with the token that it gave.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Meta(#[from] GraphError),
    #[error("{0}")]
    Worse(&'static str),
}

/// What reading the client's account told of a new token, beside the one before.
enum Compared {
    /// It works, or there is nothing to go back to any more.
    Proven,
    /// Nothing yet: again after this long.
    Open(Duration),
    /// The one before does what this one does not.
    Worse,
}

/// What a functional call told of a token.
enum Trial {
    /// Meta took it.
    Works,
    /// Meta does not take it, by its own word: 190.
    Refused,
    /// Nothing was learned.
    Unknown,
}

impl<S: Records, K: Seal, G: Meta, V: SystemTokens, C: Clock> TokenCare<'_, S, K, G, V, C> {
    /// Looks after the tokens that are due, one after the other, as long as there is time; one that fails stops no
    /// other.
    ///
    /// # Errors
    /// [`StoreError`] if the due ones cannot be found.
    pub async fn run_due(&self, limit: usize) -> Result<usize, StoreError> {
        let begun = self.clock.now();
        let due = self.store.due_care(begun, limit).await?;
        for id in &due {
            if self.clock.now() > begun + SCHEDULE_TIME {
                break;
            }
            // Cut off is like a crash: whoever comes when the claim has ended begins anew.
            match tokio::time::timeout(TIME, self.run(id)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(grantId = %id, error = %Chain(&error), "a token was not looked after");
                }
                Err(_) => tracing::warn!(grantId = %id, "out of time: the token is looked after later"),
            }
        }
        Ok(due.len())
    }

    async fn run(&self, id: &GrantId) -> Result<(), StoreError> {
        let now = self.clock.now();
        let claim = now + CLAIM;
        let Some(grant) = self.store.claim_care(id, now, claim).await? else { return Ok(()) };
        let version = grant.token_version;
        let found = self.look_after(grant).await?;
        if !self.store.save_care(&found, version, claim).await? {
            tracing::info!(grantId = %id, "a new signup or another copy was faster");
        }
        Ok(())
    }

    /// The grant as it is to be written.
    async fn look_after(&self, grant: Grant) -> Result<Grant, StoreError> {
        let Some(sealed) = &grant.token else { return Ok(Grant { care_at: None, ..grant }) };
        let token = self.open(&grant.id, sealed).await?;
        let now = self.clock.now();
        match self.graph.token_facts(&token).await {
            Ok(facts) if facts.is_valid => self.alive(grant, token, facts).await,
            Ok(_) if grant.dead_since.is_some() => self.replace(grant).await,
            Ok(_) => self.doubt(grant, &token).await,
            Err(error) => {
                tracing::warn!(grantId = %grant.id, error = %Chain(&error), "Meta told nothing of a token");
                Ok(Grant { care_at: Some(now + SOON), ..grant })
            }
        }
    }

    /// Meta says that the token is valid.
    async fn alive(&self, grant: Grant, token: AccessToken, facts: TokenFacts) -> Result<Grant, StoreError> {
        let now = self.clock.now();
        let mut grant = grant;
        grant.token_expires_at = facts.expires_at;
        grant.scopes.clone_from(&facts.scopes);
        if !facts.waba_ids().is_empty() {
            grant.waba_ids = facts.waba_ids();
        }
        (grant.care.looked_at, grant.care.refused_at, grant.updated_at) = (Some(now), None, now);
        if grant.dead_since.is_some() {
            return self.revive(grant, &token).await;
        }
        let Some(previous) = grant.previous.take() else { return self.renew_or_tell(grant, &token).await };
        match self.compare(&grant, &token, &previous).await? {
            Compared::Proven => {
                (grant.care.failures, grant.care.told_days) = (0, None);
                self.renew_or_tell(grant, &token).await
            }
            Compared::Open(pause) => {
                let grant = self.tell_if_due(Grant { previous: Some(previous), ..grant }).await?;
                Ok(Grant { care_at: grant.care_at.min(Some(now + pause)), ..grant })
            }
            Compared::Worse => self.roll_back(grant, previous).await,
        }
    }

    async fn renew_or_tell(&self, mut grant: Grant, token: &AccessToken) -> Result<Grant, StoreError> {
        if Due::at(self.clock.now(), grant.token_expires_at, None).renew {
            let accounts = self.accounts(&grant).await?;
            match self.renew(&Wanted { grant: &grant, accounts: &accounts, alive: Some(token) }).await {
                Ok(renewed) => return self.swap(grant, renewed, true).await,
                Err(not) => self.note_failure(&mut grant, &not.reasons),
            }
        }
        self.tell_if_due(grant).await
    }

    /// Nothing else is done about a token that is alive until its next look.
    async fn tell_if_due(&self, mut grant: Grant) -> Result<Grant, StoreError> {
        let now = self.clock.now();
        if let Some(days) = Due::at(now, grant.token_expires_at, grant.care.told_days).warn {
            self.tell(&grant, days).await?;
            grant.care.told_days = Some(days);
        }
        grant.care_at = Some(next_look(now, grant.token_expires_at, grant.care.failures));
        Ok(grant)
    }

    fn note_failure(&self, grant: &mut Grant, reasons: &[String]) {
        grant.care.failures = grant.care.failures.saturating_add(1);
        let (failures, reasons) = (grant.care.failures, reasons.join("; "));
        let expires_at = grant.token_expires_at;
        if failures >= ALARM_AFTER {
            tracing::warn!(metric = metric::TOKEN_RENEWAL_FAILED, grantId = %grant.id, botId = %grant.bot_id, failures, expiresAt = ?expires_at, reasons, "a client's token cannot be renewed");
        } else {
            tracing::warn!(grantId = %grant.id, failures, expiresAt = ?expires_at, reasons, "a token was not renewed");
        }
    }

    async fn compare(
        &self,
        grant: &Grant,
        token: &AccessToken,
        previous: &Previous,
    ) -> Result<Compared, StoreError> {
        if previous.expires_at.is_some_and(|end| end <= self.clock.now()) {
            return Ok(Compared::Proven);
        }
        let accounts = self.accounts(grant).await?;
        let Some(waba) = accounts.first() else { return Ok(Compared::Open(LOOK_EVERY)) };
        match self.graph.account(waba, token).await {
            Ok(_) => {
                tracing::info!(grantId = %grant.id, version = grant.token_version, "the new token works");
                Ok(Compared::Proven)
            }
            Err(error) if is_for_now(&error) => Ok(Compared::Open(SOON)),
            Err(error) => {
                let old = self.open(&grant.id, &previous.token).await?;
                let is_better = self.graph.account(waba, &old).await.is_ok();
                tracing::warn!(grantId = %grant.id, error = %Chain(&error), isBetter = is_better, "the new token is refused");
                Ok(if is_better { Compared::Worse } else { Compared::Open(LOOK_EVERY) })
            }
        }
    }

    /// One more try of renewing has failed: only a new token that works begins to count anew.
    async fn roll_back(&self, grant: Grant, previous: Previous) -> Result<Grant, StoreError> {
        tracing::warn!(grantId = %grant.id, version = grant.token_version, "the token before is used again");
        let mut grant = Grant {
            token_expires_at: previous.expires_at,
            token: Some(previous.token),
            token_version: grant.token_version + 1,
            dead_since: None,
            previous: None,
            care: Care { refused_at: None, ..grant.care },
            updated_at: self.clock.now(),
            ..grant
        };
        self.note_failure(&mut grant, &["the new token did not work".to_owned()]);
        self.tell_if_due(grant).await
    }

    /// Meta says that the token is not valid. That is believed once two calls that need it are refused, some time
    /// apart.
    async fn doubt(&self, mut grant: Grant, token: &AccessToken) -> Result<Grant, StoreError> {
        let now = self.clock.now();
        match (self.trial(token).await, grant.care.refused_at) {
            (Trial::Refused, Some(first)) if now >= first + PROOF_AFTER => return self.replace(grant).await,
            (Trial::Refused, first) => grant.care.refused_at = first.or(Some(now)),
            (Trial::Works, _) => grant.care.refused_at = None,
            (Trial::Unknown, _) => {}
        }
        tracing::warn!(grantId = %grant.id, refusedAt = ?grant.care.refused_at, "Meta doubts a token");
        Ok(Grant { care_at: Some(now + PROOF_AFTER), ..grant })
    }

    async fn trial(&self, token: &AccessToken) -> Trial {
        match self.graph.token_user(token).await {
            Ok(_) => Trial::Works,
            Err(error) if error.refusal().is_some_and(|meta| meta.code == NOT_TAKEN) => Trial::Refused,
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "nothing learned about a token");
                Trial::Unknown
            }
        }
    }

    /// The token is dead: the one before comes back, or another takes its place, or a person must sign up again.
    async fn replace(&self, mut grant: Grant) -> Result<Grant, StoreError> {
        if let Some(previous) = grant.previous.take() {
            let old = self.open(&grant.id, &previous.token).await?;
            match self.trial(&old).await {
                Trial::Works => {
                    self.set_reconnect(&grant, None).await?;
                    return self.roll_back(grant, previous).await;
                }
                Trial::Refused => {}
                Trial::Unknown => grant.previous = Some(previous),
            }
        }
        let accounts = self.accounts(&grant).await?;
        match self.renew(&Wanted { grant: &grant, accounts: &accounts, alive: None }).await {
            Ok(renewed) => {
                self.set_reconnect(&grant, None).await?;
                self.swap(grant, renewed, false).await
            }
            // A client is not sent to sign up again because Meta was busy for a moment.
            Err(not) if not.is_for_now && grant.care.failures < ALARM_AFTER => {
                self.note_failure(&mut grant, &not.reasons);
                Ok(Grant { care_at: Some(self.clock.now() + PROOF_AFTER), ..grant })
            }
            Err(not) => self.bury(grant, &not.reasons).await,
        }
    }

    async fn bury(&self, grant: Grant, reasons: &[String]) -> Result<Grant, StoreError> {
        let now = self.clock.now();
        let is_news = grant.dead_since.is_none();
        let is_ours = self.store.mark_dead(&grant.id, grant.token_version, now).await?;
        if is_ours {
            self.set_reconnect(&grant, Some(now)).await?;
        }
        if is_news && is_ours {
            let reasons = reasons.join("; ");
            tracing::error!(metric = metric::TOKEN_DEAD, grantId = %grant.id, botId = %grant.bot_id, reasons, "Meta does not take the client's token any more");
        }
        Ok(Grant { care_at: Some(now + LOOK_EVERY), updated_at: now, ..grant })
    }

    /// What was taken for dead is valid: as a new version, so that whoever saw it die looks again.
    async fn revive(&self, grant: Grant, token: &AccessToken) -> Result<Grant, StoreError> {
        let now = self.clock.now();
        let Trial::Works = self.trial(token).await else {
            return Ok(Grant { care_at: Some(now + SOON), ..grant });
        };
        self.set_reconnect(&grant, None).await?;
        tracing::warn!(grantId = %grant.id, "a token that was taken for dead works");
        Ok(Grant {
            token_version: grant.token_version + 1,
            dead_since: None,
            care_at: Some(now + SOON),
            ..grant
        })
    }

    /// The grant with another token, and beside it the one that it had, if that `is_alive`. What was counted and told
    /// of that one stays until the new one has worked.
    async fn swap(&self, grant: Grant, renewed: Renewed, is_alive: bool) -> Result<Grant, StoreError> {
        let now = self.clock.now();
        let sealed = self.seal.seal(renewed.token.expose(), SealContext::GrantToken(&grant.id)).await?;
        let expires_at = grant.token_expires_at;
        let previous = grant.token.filter(|_| is_alive).map(|token| Previous { token, expires_at });
        let so_far = if is_alive { grant.care } else { Care::default() };
        let version = grant.token_version + 1;
        tracing::info!(grantId = %grant.id, version, expiresAt = ?renewed.facts.expires_at, "a token was renewed");
        Ok(Grant {
            previous,
            token: Some(sealed),
            token_version: version,
            dead_since: None,
            token_expires_at: renewed.facts.expires_at,
            waba_ids: Some(renewed.facts.waba_ids()).filter(|ids| !ids.is_empty()).unwrap_or(grant.waba_ids),
            scopes: renewed.facts.scopes,
            care: Care { looked_at: Some(now), refused_at: None, ..so_far },
            care_at: Some(now + SOON),
            updated_at: now,
            ..grant
        })
    }

    /// The accounts that the grant's token is for: where Meta leaves the list out, those of its clients.
    async fn accounts(&self, grant: &Grant) -> Result<Vec<WabaId>, StoreError> {
        if !grant.waba_ids.is_empty() {
            return Ok(grant.waba_ids.clone());
        }
        let clients = self.store.clients_of_business(&grant.business_id).await?;
        let ours = clients.into_iter().filter(|client| client.grant_id == grant.id);
        let here = ours.filter(|client| client.status() != ClientStatus::Inactive);
        Ok(here.map(|client| client.waba_id).collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// A better token by one of Meta's ways, each in its turn; or why there is none.
    async fn renew(&self, wanted: &Wanted<'_>) -> Result<Renewed, NotRenewed> {
        let (mut not, business) = (NotRenewed::default(), &wanted.grant.business_id);
        if self.settings.partner.is_some() {
            // A token that the client gave us since, with another signup; then one of our own making.
            let fetched = self.graph.fetch_business_token(business).await;
            match self.check(wanted, fetched).await {
                Ok(renewed) => return Ok(renewed),
                Err(problem) => not.add("fetched", &problem),
            }
            match self.derive(wanted).await {
                Ok(renewed) => return Ok(renewed),
                Err(problem) => not.add("derived", &problem),
            }
        }
        if let Some(token) = wanted.alive {
            // Documented for tokens of system users only, which business tokens are too, of the client's.
            let exchanged = self.graph.renew_token(token).await;
            match self.check(wanted, exchanged).await {
                Ok(renewed) => return Ok(renewed),
                Err(problem) => not.add("exchanged", &problem),
            }
        }
        Err(not)
    }

    async fn derive(&self, wanted: &Wanted<'_>) -> Result<Renewed, Problem> {
        if wanted.accounts.is_empty() {
            return Err(Problem::Worse("no account is known"));
        }
        let derived = self.graph.derive_business_token(&wanted.grant.business_id, wanted.accounts).await;
        self.check(wanted, derived).await
    }

    /// Whether a token can take the place of the grant's: it does all that the old one does, and for longer. All
    /// senders take it at once, so what it may do is tried before, not only asked for.
    async fn check(
        &self,
        wanted: &Wanted<'_>,
        token: Result<AccessToken, GraphError>,
    ) -> Result<Renewed, Problem> {
        let Wanted { grant, accounts, alive } = *wanted;
        let token = token?;
        if alive.is_some_and(|old| old.expose() == token.expose()) {
            return Err(Problem::Worse("it is the same"));
        }
        let facts = self.graph.token_facts(&token).await?;
        let ends_later = match (facts.expires_at, grant.token_expires_at.filter(|_| alive.is_some())) {
            (None, _) => true,
            (Some(end), old) => end > old.unwrap_or_else(|| self.clock.now()),
        };
        let covered = facts.waba_ids();
        // Where Meta leaves the list out, reading the accounts tells.
        let covers = facts.management_wabas.is_none() || accounts.iter().all(|waba| covered.contains(waba));
        let conditions = [
            (facts.is_valid, "it is not valid"),
            (facts.app_id == self.settings.app_id, "it is another app's"),
            (ends_later, "it ends no later"),
            (does_all(&facts, &grant.scopes), "it may do less"),
            (covers, "it covers fewer accounts"),
        ];
        if let Some((_, problem)) = conditions.into_iter().find(|(holds, _)| !holds) {
            return Err(Problem::Worse(problem));
        }
        if self.graph.client_business(&token).await?.is_some_and(|business| business != grant.business_id) {
            return Err(Problem::Worse("it is another business's"));
        }
        for waba in accounts {
            self.read(waba, &token, alive).await?;
        }
        Ok(Renewed { token, facts })
    }

    /// The account as the new token reads it. What the old one is refused, too, is no fault of the new one.
    async fn read(&self, waba: &WabaId, new: &AccessToken, old: Option<&AccessToken>) -> Result<(), Problem> {
        let Err(error) = self.graph.account(waba, new).await else { return Ok(()) };
        let Some(old) = old.filter(|_| !is_for_now(&error)) else { return Err(error.into()) };
        match self.graph.account(waba, old).await {
            Err(same) if !is_for_now(&same) => Ok(()),
            _ => Err(error.into()),
        }
    }

    /// Tells the partner that a client's token ends: an event of each account, once, and the alarm.
    async fn tell(&self, grant: &Grant, days: u32) -> Result<(), StoreError> {
        let expires_at = grant.token_expires_at;
        tracing::warn!(metric = metric::TOKEN_EXPIRING, grantId = %grant.id, botId = %grant.bot_id, days, expiresAt = ?expires_at, "a client's token ends soon");
        for waba in &self.accounts(grant).await? {
            let told = json!({"grantId": grant.id, "botId": grant.bot_id, "businessId": grant.business_id,
                "wabaId": waba, "tokenVersion": grant.token_version, "expiresAt": expires_at, "days": days});
            self.record(waba.as_ref(), &told).await?;
        }
        Ok(())
    }

    /// The same again is no second event: it has no time of its own.
    async fn record(&self, owner: &str, told: &serde_json::Value) -> Result<(), StoreError> {
        let raw = told.to_string();
        let event = AccountEvent {
            owner: owner.to_owned(),
            kind: EXPIRING.to_owned(),
            at: self.clock.now(),
            hash: sha256(raw.as_bytes()),
            dated: false,
            business_id: None,
            raw: Raw::Plain(raw),
        };
        self.store.record_event(&event).await.map(drop)
    }

    /// Notes on the grant's clients whether they must sign up again.
    async fn set_reconnect(&self, grant: &Grant, since: Option<Timestamp>) -> Result<(), StoreError> {
        for client in self.store.clients_of_business(&grant.business_id).await? {
            let is_told = client.reconnect_since.is_some() == since.is_some();
            if client.grant_id == grant.id && !is_told {
                self.store.set_reconnect(&client.phone_number_id, since).await?;
            }
        }
        Ok(())
    }

    async fn open(&self, id: &GrantId, sealed: &Sealed) -> Result<AccessToken, StoreError> {
        let opened = self.seal.open(sealed, SealContext::GrantToken(id)).await?;
        AccessToken::try_from(opened).map_err(|e| StoreError::corrupt("grants", e))
    }
}

/// Whether the same call may succeed at another time.
fn is_for_now(error: &GraphError) -> bool {
    error.refusal().is_none_or(|meta| matches!(meta.remedy(), Remedy::Retry { .. } | Remedy::SlowDown { .. }))
}

/// Whether the token may do all of this. What every token of Meta's may does not count: it is not always listed.
fn does_all(facts: &TokenFacts, scopes: &[String]) -> bool {
    scopes.iter().all(|scope| scope == "public_profile" || facts.scopes.contains(scope))
}

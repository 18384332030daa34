//! Reading whole lists: one account after the other, the longest due first, each page by page. What does not end in
//! one run goes on in the next.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::ids::{TemplateId, WabaId};
use crate::domain::meta_error::Remedy;
use crate::domain::template::{DELETED, Fact, LIST_SKEW, Round, Shown, Source, Status, SyncState, Template};
use crate::error::{Chain, GraphError, StoreError};
use crate::flows::tokens::{Opened, Tokens};
use crate::ports::{
    Clock, NoteAccounts, ReadGrants, ReadTemplates, Seal, TemplateGraph, TemplateSyncs, WriteTemplates,
};
use crate::telemetry::metric;

use super::{Told, changed, note};

/// Pause between two readings of an account's list.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// How long one run begins further pages and accounts: API Gateway ends a call at 30 s, and one page takes 10 s at
/// most.
const TIME: Duration = Duration::from_secs(12);
/// How long a copy has an account's list for itself: longer than a run may take.
const CLAIM: Duration = Duration::from_secs(60);
/// Pause after a first failure; it doubles up to [`EVERY`].
const RETRY: Duration = Duration::from_secs(2 * 60);
/// After so many failures in a row, some hours, somebody must look.
const ALARM_AFTER: u32 = 8;
/// Templates that are read from our records at once.
const AT_ONCE: usize = 100;

/// All records that it uses.
pub trait Records: ReadTemplates + WriteTemplates + TemplateSyncs + NoteAccounts + ReadGrants {}
impl<T> Records for T where T: ReadTemplates + WriteTemplates + TemplateSyncs + NoteAccounts + ReadGrants {}

/// Keeping lists true, with what it needs.
pub struct Syncing<'a, S, K, G, C> {
    /// Records.
    pub store: &'a S,
    /// Sealing.
    pub seal: &'a K,
    /// Meta.
    pub graph: &'a G,
    /// Time.
    pub clock: &'a C,
    /// Opened tokens.
    pub tokens: &'a Tokens,
}

/// How reading an account's list ended.
#[derive(Debug)]
pub enum Synced {
    /// All of it was read.
    Complete,
    /// There was no time for all of it: the schedule goes on.
    Begun,
    /// Another copy is at it.
    Busy,
    /// No client of the account has a token: nobody reads it until one has.
    NoClient,
    /// Meta said no, or nothing: the schedule tries again.
    Failed(GraphError),
}

impl<S: Records, K: Seal, G: TemplateGraph, C: Clock> Syncing<'_, S, K, G, C> {
    /// Reads the lists that are due, as long as there is time; one that fails stops no other.
    ///
    /// # Errors
    /// [`StoreError`] if the due ones cannot be found.
    pub async fn run_due(&self, limit: usize) -> Result<usize, StoreError> {
        let end = self.clock.now() + TIME;
        let due = self.store.due_syncs(self.clock.now(), limit).await?;
        for waba in &due {
            if self.clock.now() >= end {
                break;
            }
            if let Err(error) = self.until(waba, end).await {
                tracing::error!(wabaId = %waba, error = %Chain(&error), "the account's templates were not read");
            }
        }
        Ok(due.len())
    }

    /// Reads one account's list now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn account(&self, waba: &WabaId) -> Result<Synced, StoreError> {
        self.until(waba, self.clock.now() + TIME).await
    }

    async fn until(&self, waba: &WabaId, end: Timestamp) -> Result<Synced, StoreError> {
        let now = self.clock.now();
        let claim = now + CLAIM;
        let Some(mut state) = self.store.claim_sync(waba, now, claim).await? else { return Ok(Synced::Busy) };
        let synced = match self.token(waba).await? {
            Some(token) => self.read(waba, &mut state, &token, end).await?,
            None => Synced::NoClient,
        };
        let now = self.clock.now();
        let due_at = match &synced {
            Synced::Complete => Some(now + EVERY),
            Synced::Begun => Some(now),
            Synced::Failed(_) => Some(now + retry_after(state.failures)),
            Synced::Busy | Synced::NoClient => None,
        };
        // Whoever has taken it meanwhile writes what is so.
        self.store.save_sync(waba, claim, &state, due_at).await?;
        Ok(synced)
    }

    /// The token of a client on the account that has not left.
    async fn token(&self, waba: &WabaId) -> Result<Option<Opened>, StoreError> {
        for client in self.store.clients_on(waba).await? {
            if !client.is_removed() {
                let opened = self.tokens.of(self.store, self.seal, self.clock, &client.grant_id).await?;
                if opened.is_some() {
                    return Ok(opened);
                }
            }
        }
        Ok(None)
    }

    /// Reads page after page into the records.
    async fn read(
        &self,
        waba: &WabaId,
        state: &mut SyncState,
        token: &Opened,
        end: Timestamp,
    ) -> Result<Synced, StoreError> {
        let mut known = self.known(waba).await?;
        let now = self.clock.now();
        let new = || Round { began_at: now, cursor: None, seen: Vec::new() };
        // What an old round has seen may be gone.
        let mut round = state.round.take().filter(|it| now < it.began_at + EVERY).unwrap_or_else(new);
        loop {
            let asked_at = self.clock.now() - LIST_SKEW;
            let page = match self.graph.templates(waba, round.cursor.as_deref(), &token.token).await {
                Ok(page) => page,
                Err(error) => return Ok(failed(waba, state, round, error)),
            };
            for shown in &page.items {
                self.take_over(waba, known.remove(&shown.id), shown, asked_at).await?;
                round.seen.push(shown.id.clone());
            }
            round.cursor = page.next;
            if round.cursor.is_none() {
                break;
            }
            if self.clock.now() >= end {
                state.round = Some(round);
                return Ok(Synced::Begun);
            }
        }
        for gone in known.values().filter(|it| !round.seen.contains(&it.id)) {
            self.mark_absent(gone, round.began_at - LIST_SKEW).await?;
        }
        *state = SyncState { round: None, synced_at: Some(round.began_at), failures: 0 };
        Ok(Synced::Complete)
    }

    /// All that is recorded of the account.
    async fn known(&self, waba: &WabaId) -> Result<BTreeMap<TemplateId, Template>, StoreError> {
        let mut known = BTreeMap::new();
        let mut after: Option<TemplateId> = None;
        loop {
            let page = self.store.templates_on(waba, after.as_ref(), AT_ONCE).await?;
            known.extend(page.items.into_iter().map(|it| (it.id.clone(), it)));
            after = page.next.and_then(|next| next.parse().ok());
            if after.is_none() {
                return Ok(known);
            }
        }
    }

    /// Writes what Meta shows where it is news; what is as it was costs nothing.
    async fn take_over(
        &self,
        waba: &WabaId,
        known: Option<Template>,
        shown: &Shown,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let facts: Vec<_> = shown.facts().into_iter().map(|fact| (Source::Shown, fact)).collect();
        let now = self.clock.now();
        if known.is_some_and(|known| changed(&known, at, &facts, now).is_none()) {
            return Ok(());
        }
        let told =
            Told { waba, id: &shown.id, name: &shown.name, language: &shown.language, at, facts: &facts };
        note(self.store, &told, now).await.map(drop)
    }

    /// What Meta's list is without is deleted, unless it is younger than the list.
    async fn mark_absent(&self, it: &Template, at: Timestamp) -> Result<(), StoreError> {
        if it.deleted_at().is_some() {
            return Ok(());
        }
        let facts = [(Source::Absence, Fact::Status(Status::of(DELETED)))];
        let told =
            Told { waba: &it.waba_id, id: &it.id, name: &it.name, language: &it.language, at, facts: &facts };
        note(self.store, &told, self.clock.now()).await.map(drop)
    }
}

/// Meta did not give a page. A first one is asked for in a new round, and so is one whose cursor Meta refuses.
fn failed(waba: &WabaId, state: &mut SyncState, round: Round, error: GraphError) -> Synced {
    state.failures = state.failures.saturating_add(1);
    let is_refused = error.refusal().is_some_and(|e| e.remedy() == Remedy::Never);
    state.round = Some(round).filter(|it| it.cursor.is_some() && !is_refused);
    if state.failures == ALARM_AFTER {
        tracing::warn!(metric = metric::TEMPLATES_STALE, wabaId = %waba, "an account's templates cannot be read");
    }
    tracing::warn!(wabaId = %waba, failures = state.failures, error = %Chain(&error), "a page of templates was not read");
    Synced::Failed(error)
}

fn retry_after(failures: u32) -> Duration {
    RETRY.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(EVERY)
}

//! Opened business tokens, kept in memory for minutes: no KMS call per message.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::ids::GrantId;
use crate::domain::seal::SealContext;
use crate::domain::secret::AccessToken;
use crate::error::StoreError;
use crate::ports::{Clock, ReadGrants, Seal};

/// How long an opened token is used before its grant is read again. A token swapped meanwhile stays
/// valid for longer than this.
const KEPT: Duration = Duration::from_secs(5 * 60);
/// Bounds memory; far more than one sandbox serves at a time.
const MOST: usize = 1000;

/// An opened token.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The token.
    pub token: AccessToken,
    /// Which of its grant's tokens it is.
    pub version: u64,
}

/// The opened tokens of one process.
#[derive(Debug, Default)]
pub struct Tokens(Mutex<HashMap<GrantId, (Opened, Timestamp)>>);

impl Tokens {
    /// The grant's token; `None` if there is no such grant, its token is known to be dead, or its client left
    /// and its token is deleted.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read or opened.
    pub async fn of(
        &self,
        grants: &impl ReadGrants,
        seal: &impl Seal,
        clock: &impl Clock,
        id: &GrantId,
    ) -> Result<Option<Opened>, StoreError> {
        let now = clock.now();
        if let Some(token) = self.known(id, now) {
            return Ok(Some(token));
        }
        let grant = grants.grant(id).await?.filter(|grant| grant.dead_since.is_none());
        let Some(grant) = grant else { return Ok(None) };
        let Some(sealed) = &grant.token else { return Ok(None) };
        let opened = seal.open(sealed, SealContext::GrantToken(id)).await?;
        let token = AccessToken::try_from(opened).map_err(|e| StoreError::corrupt("grants", e))?;
        let opened = Opened { token, version: grant.token_version };
        self.keep(id.clone(), opened.clone(), now);
        Ok(Some(opened))
    }

    /// Forgets a token, so that the next use reads it again: Meta did not accept it.
    pub fn forget(&self, id: &GrantId) {
        self.lock().remove(id);
    }

    fn known(&self, id: &GrantId, now: Timestamp) -> Option<Opened> {
        let kept = self.lock();
        let (token, since) = kept.get(id)?;
        (now < *since + KEPT).then(|| token.clone())
    }

    fn keep(&self, id: GrantId, token: Opened, now: Timestamp) {
        let mut kept = self.lock();
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(id, (token, now));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<GrantId, (Opened, Timestamp)>> {
        self.0.lock().expect("nothing panics while it holds the lock")
    }
}

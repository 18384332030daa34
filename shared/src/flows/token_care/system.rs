//! The token of our own system user: it shares credit and gets clients' tokens, so everything new depends on it.

use serde_json::json;

use super::{Meta, Records, Renewed, TokenCare, Trial, does_all};
use crate::domain::Timestamp;
use crate::domain::grant::TokenFacts;
use crate::domain::secret::AccessToken;
use crate::domain::token_care::Due;
use crate::error::{Chain, StoreError};
use crate::ports::{Clock, Seal, SystemTokens};
use crate::telemetry::metric;

impl<S: Records, K: Seal, G: Meta, V: SystemTokens, C: Clock> TokenCare<'_, S, K, G, V, C> {
    /// Looks after the system user's token: renews it in time and puts it where all functions read it at their
    /// start. The old one stays valid until its own end, so those that run go on with it. Whatever is wrong rings
    /// at each look until it is mended. May be run twice at once: of two new tokens both are valid.
    ///
    /// # Errors
    /// [`StoreError`] if the secret cannot be read or written, or an event not be recorded.
    pub async fn look_after_system_token(&self) -> Result<(), StoreError> {
        let read = self.vault.system_token().await;
        let read = read.inspect_err(|error| report_no_renewal(None, &Chain(error).to_string()));
        let Some(token) = read? else { return Ok(()) };
        let facts = match self.graph.token_facts(&token).await {
            Ok(facts) => facts,
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "Meta told nothing of the system user's token");
                return Ok(());
            }
        };
        if !facts.is_valid {
            self.report_death(&token).await;
            return Ok(());
        }
        let due = Due::at(self.clock.now(), facts.expires_at, None);
        if !due.renew {
            return Ok(());
        }
        let (reason, end) = match self.renew_system_token(&token, &facts).await {
            Ok(renewed) => match self.vault.replace_system_token(&renewed.token).await {
                Ok(()) => {
                    let expires_at = renewed.facts.expires_at;
                    tracing::info!(expiresAt = ?expires_at, "the system user's token was renewed");
                    return Ok(());
                }
                // The old one ends all the same, and somebody must know.
                Err(error) => (format!("the new token cannot be stored: {}", Chain(&error)), Err(error)),
            },
            Err(reason) => (reason, Ok(())),
        };
        report_no_renewal(facts.expires_at, &reason);
        if let Some(days) = due.warn {
            self.tell_of_system_token(&facts, days).await?;
        }
        end
    }

    /// Once two calls that need it are refused: an outage of one part of Meta's is no death.
    async fn report_death(&self, token: &AccessToken) {
        for _ in 0..2 {
            let Trial::Refused = self.trial(token).await else { return };
        }
        tracing::error!(
            metric = metric::SYSTEM_TOKEN_DEAD,
            "Meta does not take the system user's token any more"
        );
    }

    async fn renew_system_token(&self, old: &AccessToken, known: &TokenFacts) -> Result<Renewed, String> {
        let token = self.graph.renew_token(old).await.map_err(|e| Chain(&e).to_string())?;
        let facts = self.graph.token_facts(&token).await.map_err(|e| Chain(&e).to_string())?;
        let ends_later = facts.expires_at.is_none() || facts.expires_at > known.expires_at;
        let is_ours = facts.is_valid && facts.app_id == self.settings.app_id;
        if !is_ours || !ends_later || !does_all(&facts, &known.scopes) {
            return Err("the new token is not valid, ends no later or may do less".to_owned());
        }
        match self.trial(&token).await {
            Trial::Works => Ok(Renewed { token, facts }),
            Trial::Refused | Trial::Unknown => Err("the new token does not work".to_owned()),
        }
    }

    async fn tell_of_system_token(&self, facts: &TokenFacts, days: u32) -> Result<(), StoreError> {
        let expires_at = facts.expires_at;
        tracing::warn!(
            metric = metric::TOKEN_EXPIRING,
            days,
            expiresAt = ?expires_at,
            "the system user's token ends soon"
        );
        let Some(partner) = &self.settings.partner else { return Ok(()) };
        let told = json!({"businessId": partner, "systemUser": true, "expiresAt": expires_at, "days": days});
        self.record(partner.as_ref(), &told).await
    }
}

fn report_no_renewal(expires_at: Option<Timestamp>, reason: &str) {
    tracing::warn!(metric = metric::TOKEN_RENEWAL_FAILED, expiresAt = ?expires_at, reason, "the system user's token cannot be renewed");
}

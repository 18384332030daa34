//! The signup code becomes a business token: at once, because the code lives 30 seconds, and stored
//! before anything else, because it works once.

use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::ids::{BotId, OnboardingId};
use crate::domain::onboarding::{Cause, Claims, Onboarding, OnboardingStatus, Step, Turn};
use crate::domain::seal::SealContext;
use crate::domain::secret::SignupCode;
use crate::error::{Chain, GraphError, StoreError};
use crate::ports::{Clock, Onboardings, Random, Seal, Started, TokenGraph};
use crate::telemetry::unit;

/// Longer than API Gateway waits (30 s): whoever holds the lease after that is dead.
const LEASE: Duration = Duration::from_secs(35);
/// When the schedule goes on with an onboarding whose browser went away after the exchange.
const BROWSER_GONE: Duration = Duration::from_secs(60);

const CODE_EXPIRED: &str = "code_expired";
const CODE_REFUSED: &str = "code_refused";

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The 30 seconds were over.
    #[error("the signup code has expired")]
    CodeExpired(#[source] GraphError),
    /// The code was used, and its token is not in our hands.
    #[error("the signup code was used before")]
    CodeSpent(OnboardingId),
    /// Another request exchanges it at this moment.
    #[error("the signup code is being exchanged")]
    Running,
    /// Meta refused it: not a code of this app, or our settings are wrong.
    #[error("Meta refused the signup code")]
    CodeRefused(#[source] GraphError),
    /// Meta did not take the request: the same code may be sent again.
    #[error("Meta could not exchange the signup code")]
    Unavailable(#[source] GraphError),
    /// Records or sealing failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The exchange with what it needs.
pub struct Exchange<'a, S, K, G, C, R> {
    /// Records.
    pub store: &'a S,
    /// Sealing.
    pub seal: &'a K,
    /// Meta.
    pub graph: &'a G,
    /// Time.
    pub clock: &'a C,
    /// For the lease's owner.
    pub random: &'a R,
}

impl<S, K, G, C, R> Exchange<'_, S, K, G, C, R>
where
    S: Onboardings,
    K: Seal,
    G: TokenGraph,
    C: Clock,
    R: Random,
{
    /// Exchanges `code` for `bot`. The same code again answers as the first time.
    ///
    /// A crash after Meta's answer and before the write loses the token; the next call finds the code
    /// spent, and `onboard-client` tries to fetch the token another way.
    ///
    /// # Errors
    /// [`ExchangeError`]; the onboarding's ledger says the same.
    pub async fn run(
        &self,
        code: &SignupCode,
        bot: &BotId,
        claims: Claims,
    ) -> Result<Onboarding, ExchangeError> {
        let now = self.clock.now();
        let new = Onboarding { claims, ..Onboarding::new(OnboardingId::of_code(code), bot.clone(), now) };
        let id = new.id.clone();
        unit::id("onboardingId", id.as_ref());
        if let Started::Known(known) = self.store.start_onboarding(&new).await?
            && let Some(answer) = Self::known(&known, bot)
        {
            return answer;
        }
        let owner = hex::encode(self.random.bytes());
        let leased = self.store.lease_onboarding(&id, &owner, now, now + LEASE).await?;
        let Some(mut onboarding) = leased else { return Err(ExchangeError::Running) };
        let result = match Self::known(&onboarding, bot) {
            Some(answer) => answer,
            None => self.exchange(code, &mut onboarding, &owner).await.map(|()| onboarding),
        };
        self.store.release_onboarding(&id, &owner).await?;
        result
    }

    /// What a known onboarding already answers. A code that belongs to another bot is a spent one.
    fn known(onboarding: &Onboarding, bot: &BotId) -> Option<Result<Onboarding, ExchangeError>> {
        if onboarding.bot_id != *bot {
            return Some(Err(ExchangeError::CodeSpent(onboarding.id.clone())));
        }
        if onboarding.status == OnboardingStatus::Failed {
            return Some(Err(refused_before(onboarding)));
        }
        onboarding.is_past(Step::TokenStored).then(|| Ok(onboarding.clone()))
    }

    async fn exchange(
        &self,
        code: &SignupCode,
        onboarding: &mut Onboarding,
        owner: &str,
    ) -> Result<(), ExchangeError> {
        let token = match self.graph.exchange_code(code).await {
            Ok(token) => token,
            Err(error) => return Err(self.failed(error, onboarding, owner).await?),
        };
        let context = SealContext::OnboardingToken(&onboarding.id);
        onboarding.token = Some(self.seal.seal(token.expose(), context).await?);
        let now = self.clock.now();
        onboarding.done(Step::TokenStored, now, []);
        onboarding.next_try_at = Some(now + BROWSER_GONE);
        self.save(onboarding, owner).await?;
        match self.graph.token_facts(&token).await {
            Ok(facts) => {
                onboarding.facts = Some(facts);
                self.save(onboarding, owner).await?;
            }
            // The token is safe, and `grant_verified` asks again.
            Err(error) => {
                tracing::warn!(onboardingId = %onboarding.id, error = %Chain(&error), "token not examined yet")
            }
        }
        Ok(())
    }

    async fn failed(
        &self,
        error: GraphError,
        onboarding: &mut Onboarding,
        owner: &str,
    ) -> Result<ExchangeError, StoreError> {
        let (cause, answer) = refusal(error, &onboarding.id);
        let now: Timestamp = self.clock.now();
        onboarding.fail(Step::TokenStored, now, cause, BROWSER_GONE);
        self.save(onboarding, owner).await?;
        Ok(answer)
    }

    async fn save(&self, onboarding: &Onboarding, owner: &str) -> Result<(), StoreError> {
        if self.store.save_onboarding(onboarding, owner).await? {
            return Ok(());
        }
        Err(StoreError::service("dynamodb UpdateItem on onboardings", "another request took the lease"))
    }
}

/// What was said of the code when the onboarding ended.
fn refused_before(onboarding: &Onboarding) -> ExchangeError {
    let cause = onboarding.step(Step::TokenStored).cause.as_ref();
    match cause.and_then(|cause| Some((cause.code.as_str(), cause.meta.clone()?))) {
        Some((CODE_EXPIRED, meta)) => ExchangeError::CodeExpired(meta.into()),
        Some((CODE_REFUSED, meta)) => ExchangeError::CodeRefused(meta.into()),
        _ => ExchangeError::CodeSpent(onboarding.id.clone()),
    }
}

/// Meta's subcodes of a refused code, as integrators report them (third-party source, 2026).
fn refusal(error: GraphError, id: &OnboardingId) -> (Cause, ExchangeError) {
    const EXPIRED: i64 = 36_007;
    const USED: i64 = 36_009;
    const AGAIN: &str = "Sign up again: press Continue with Facebook once more.";
    let meta = error.refusal().cloned();
    let with_meta = |cause: Cause| match &meta {
        Some(meta) => cause.with_meta(meta.clone()),
        None => cause,
    };
    let transient = meta.as_ref().is_some_and(|m| {
        matches!(
            m.remedy(),
            crate::domain::meta_error::Remedy::Retry { .. }
                | crate::domain::meta_error::Remedy::SlowDown { .. }
        )
    });
    match (meta.as_ref().and_then(|m| m.subcode), &error) {
        (Some(EXPIRED), _) => {
            let cause = Cause::new(
                CODE_EXPIRED,
                Turn::NewSignup,
                "The signup code was older than 30 seconds.",
                AGAIN,
            );
            (with_meta(cause), ExchangeError::CodeExpired(error))
        }
        (Some(USED), _) => (with_meta(spent()), ExchangeError::CodeSpent(id.clone())),
        (_, GraphError::Refused(_)) if !transient => {
            let cause = Cause::new(
                CODE_REFUSED,
                Turn::NewSignup,
                "Meta refused the signup code.",
                "Sign up again. If it happens each time, the app id, app secret or signup configuration is wrong.",
            );
            (with_meta(cause), ExchangeError::CodeRefused(error))
        }
        // Not sent or refused for now: the code is unspent. Unclear: the next try tells.
        _ => {
            let cause = Cause::new(
                "meta_unavailable",
                Turn::Ours,
                "Meta did not answer when the signup code was exchanged.",
                "The page sends the code again at once; after 30 seconds sign up again.",
            );
            (with_meta(cause), ExchangeError::Unavailable(error))
        }
    }
}

/// The cause of a code that was spent without a token in our hands.
pub(super) fn spent() -> Cause {
    Cause::new(
        "code_spent",
        Turn::Person,
        "The signup code was used, but its token never reached us.",
        "Sign up again, unless this onboarding goes on by itself within some minutes.",
    )
}

#[cfg(test)]
mod tests;

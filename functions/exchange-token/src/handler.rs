//! The code becomes a token at once; the answer names the onboarding, never the token.

use lambda_http::{Body, Request};
use shared::api::onboarding::{ExchangeRequest, Exchanged};
use shared::flows::exchange::{Exchange, ExchangeError};
use shared::http::{
    ApiError, Caller, GATEWAY_CLAIM, Members, RequestKey, Response, StatusCode, json as answer, once,
};
use shared::ports::{Clock, IdempotencyKeys, Onboardings, Random, Seal, TokenGraph};

const AGAIN: &str = "Sign up again: press Continue with Facebook once more.";

pub(crate) async fn handle<S, K, G, C, R>(
    exchange: &Exchange<'_, S, K, G, C, R>,
    request: &Request,
) -> Result<Response<Body>, ApiError>
where
    S: Onboardings + IdempotencyKeys, // dynamodb on onboardings and idempotency
    K: Seal,                          // kms:Encrypt
    G: TokenGraph,                    // the Graph API; no AWS permission
    C: Clock,
    R: Random,
{
    let caller = Caller::of_onboarding(request)?;
    let wanted = ExchangeRequest::of(&Members::of(request)?)?;
    caller.check(&wanted.bot_id)?;
    let key = RequestKey::of(request, &caller, "exchange-token")?;
    once(exchange.store, exchange.clock, GATEWAY_CLAIM, key.as_ref(), async {
        let ExchangeRequest { bot_id, code, signup } = wanted;
        let onboarding = exchange.run(&code, &bot_id, signup).await.map_err(refusal)?;
        Ok(answer(StatusCode::OK, &Exchanged::of(&onboarding)))
    })
    .await
}

fn refusal(error: ExchangeError) -> ApiError {
    let answer = match &error {
        ExchangeError::CodeExpired(_) => {
            ApiError::bad_request("code_expired", "The signup code is older than 30 seconds.", AGAIN)
        }
        ExchangeError::CodeSpent(id) => {
            ApiError::conflict("code_spent", "The signup code was used before, and works once.", AGAIN)
                .with_member("onboardingId", id.as_ref())
        }
        ExchangeError::Running => ApiError::conflict(
            "exchange_running",
            "This signup code is being exchanged.",
            "Send it again in a moment.",
        )
        .retryable(),
        ExchangeError::CodeRefused(_) => ApiError::bad_request(
            "code_refused",
            "Meta refused the signup code.",
            "Sign up again. If it happens each time, check app id, app secret and signup configuration.",
        ),
        ExchangeError::Unavailable(_) => {
            ApiError::unavailable("meta_unavailable", "Meta did not answer; the signup code may still work.")
        }
        ExchangeError::Store(_) => {
            let ExchangeError::Store(error) = error else { unreachable!("matched above") };
            return error.into();
        }
    };
    let meta = match &error {
        ExchangeError::CodeExpired(e) | ExchangeError::CodeRefused(e) | ExchangeError::Unavailable(e) => {
            e.refusal().cloned()
        }
        _ => None,
    };
    let answer = match &meta {
        Some(meta) => answer.with_meta(meta),
        None => answer,
    };
    if matches!(error, ExchangeError::Unavailable(_) | ExchangeError::CodeRefused(_)) {
        answer.because(error)
    } else {
        answer
    }
}

#[cfg(test)]
mod tests;

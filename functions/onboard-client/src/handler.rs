//! Onboarding by request and by schedule: both continue the same ledger.

use lambda_http::http::Method;
use lambda_http::{Body, Request};
use serde_json::json;
use shared::api::onboarding::{OnboardRequest, OnboardingState};
use shared::domain::client::Client;
use shared::domain::ids::OnboardingId;
use shared::domain::onboarding::{Onboarding, OnboardingStatus};
use shared::error::StoreError;
use shared::flows::offboard::{self, Offboard};
use shared::flows::onboard::{Meta, Onboard, Records, refusal_of};
use shared::http::{
    ApiError, Caller, GATEWAY_CLAIM, Members, RequestKey, Response, StatusCode, json as answer, once,
    path_parameter, scheduled,
};
use shared::ports::{Clock, IdempotencyKeys, Random, Seal};
use shared::telemetry::unit;

const NOT_FOUND: &str = "onboarding_not_found";
/// How many onboardings or off-boardings one run of a schedule continues; the next run takes the rest.
const DUE_AT_ONCE: usize = 20;

pub(crate) async fn handle<
    S: Records + offboard::Records + IdempotencyKeys,
    K: Seal,
    G: Meta,
    C: Clock,
    R: Random,
>(
    onboard: &Onboard<'_, S, K, G, C, R>, // dynamodb on onboardings, grants, clients, events; kms; the Graph API
    request: &Request,
) -> Result<Response<Body>, ApiError> {
    match scheduled(request).as_deref() {
        Some("resume-onboardings") => return resume(onboard).await,
        Some("resume-offboardings") => return leave(onboard).await,
        _ => {}
    }
    let caller = Caller::of_onboarding(request)?;
    match *request.method() {
        Method::GET => {
            let id = path_parameter(request, "onboardingId", NOT_FOUND)?;
            let onboarding = find(onboard, &caller, &id).await?;
            show(onboard, &onboarding, StatusCode::OK).await
        }
        _ => {
            let key = RequestKey::of(request, &caller, "onboard-client")?;
            let request = go_on(onboard, &caller, request);
            once(onboard.store, onboard.clock, GATEWAY_CLAIM, key.as_ref(), request).await
        }
    }
}

async fn resume<S: Records, K: Seal, G: Meta, C: Clock, R: Random>(
    onboard: &Onboard<'_, S, K, G, C, R>,
) -> Result<Response<Body>, ApiError> {
    let due = onboard.run_due(DUE_AT_ONCE).await?;
    Ok(answer(StatusCode::OK, &json!({ "due": due })))
}

/// What clients that left still have of ours is taken back by the same function: it has the keys to it.
async fn leave<S: Records + offboard::Records, K: Seal, G: Meta, C: Clock, R: Random>(
    onboard: &Onboard<'_, S, K, G, C, R>,
) -> Result<Response<Body>, ApiError> {
    let Onboard { store, seal, graph, clock, random, settings } = *onboard;
    let offboard = Offboard { store, seal, graph, clock, random, settings };
    let due = offboard.run_due(DUE_AT_ONCE).await?;
    Ok(answer(StatusCode::OK, &json!({ "due": due })))
}

async fn find<S: Records, K: Seal, G: Meta, C: Clock, R: Random>(
    onboard: &Onboard<'_, S, K, G, C, R>,
    caller: &Caller,
    id: &OnboardingId,
) -> Result<Onboarding, ApiError> {
    unit::id("onboardingId", id.as_ref());
    let found = onboard.find(id).await?.filter(|onboarding| caller.check(&onboarding.bot_id).is_ok());
    found.ok_or_else(|| ApiError::not_found(NOT_FOUND))
}

async fn go_on<S: Records, K: Seal, G: Meta, C: Clock, R: Random>(
    onboard: &Onboard<'_, S, K, G, C, R>,
    caller: &Caller,
    request: &Request,
) -> Result<Response<Body>, ApiError> {
    let wanted = OnboardRequest::of(&Members::of(request)?)?;
    let id = OnboardingId::try_from(wanted.onboarding_id).map_err(|_| ApiError::not_found(NOT_FOUND))?;
    let onboarding = find(onboard, caller, &id).await?;
    if onboarding.status == OnboardingStatus::Open {
        onboard.hear(&onboarding, wanted.claims, wanted.pin).await?;
        onboard.run(&id).await?;
    }
    let onboarding = find(onboard, caller, &id).await?;
    match onboarding.status {
        OnboardingStatus::Active => show(onboard, &onboarding, StatusCode::OK).await,
        OnboardingStatus::Open => match refusal(&onboarding) {
            Some(refusal) => Err(refusal),
            None => show(onboard, &onboarding, StatusCode::ACCEPTED).await,
        },
        OnboardingStatus::Failed => Err(ended(&onboarding)),
        OnboardingStatus::Expired => Err(ApiError::gone(
            "onboarding_expired",
            "This onboarding was not finished in time.",
            "Sign up again.",
        )
        .with_member("onboardingId", id.as_ref())),
    }
}

/// What a caller did wrong is said by status; what merely has to wait is not.
fn refusal(onboarding: &Onboarding) -> Option<ApiError> {
    let (code, cause) = refusal_of(onboarding)?;
    let error = match code {
        "grant_mismatch" => ApiError::forbidden(code, &cause.detail, &cause.action),
        _ => ApiError::conflict(code, &cause.detail, &cause.action),
    };
    Some(error.with_member("onboardingId", onboarding.id.as_ref()))
}

/// An onboarding that only a new signup mends.
fn ended(onboarding: &Onboarding) -> ApiError {
    let cause = onboarding.next_step().and_then(|step| onboarding.step(step).cause.as_ref());
    let error = match cause {
        Some(cause) => ApiError::conflict(&cause.code, &cause.detail, &cause.action),
        None => ApiError::conflict("onboarding_failed", "This onboarding has ended.", "Sign up again."),
    };
    let error = match cause.and_then(|cause| cause.meta.as_ref()) {
        Some(meta) => error.with_meta(meta),
        None => error,
    };
    error.with_member("onboardingId", onboarding.id.as_ref())
}

async fn show<S: Records, K: Seal, G: Meta, C: Clock, R: Random>(
    onboard: &Onboard<'_, S, K, G, C, R>,
    onboarding: &Onboarding,
    status: StatusCode,
) -> Result<Response<Body>, ApiError> {
    let client = client_of(onboard, onboarding).await?;
    Ok(answer(status, &OnboardingState::of(onboarding, client.as_ref())))
}

async fn client_of<S: Records, K: Seal, G: Meta, C: Clock, R: Random>(
    onboard: &Onboard<'_, S, K, G, C, R>,
    onboarding: &Onboarding,
) -> Result<Option<Client>, StoreError> {
    let Some(phone) = &onboarding.phone_number_id else { return Ok(None) };
    Ok(onboard.store.client(phone).await?.filter(|client| client.bot_id == onboarding.bot_id))
}

#[cfg(test)]
mod tests;

//! One client by request, all of them by schedule.

use lambda_http::{Body, Request};
use serde_json::json;
use shared::api::drift::{DryRun, Reconciliation};
use shared::domain::ids::PhoneNumberId;
use shared::flows::onboard::Meta;
use shared::flows::reconcile::{Failed, Reconcile, Records};
use shared::http::{
    ApiError, Caller, Response, StatusCode, json as answer, meta, path_parameter, query_parameter, scheduled,
};
use shared::ports::{Clock, Random, Seal};

const NOT_FOUND: &str = "client_not_found";

pub(crate) async fn handle<S: Records, K: Seal, G: Meta, C: Clock, R: Random>(
    reconcile: &Reconcile<'_, S, K, G, C, R>, // dynamodb on clients, grants, onboardings; kms; the Graph API
    request: &Request,
) -> Result<Response<Body>, ApiError> {
    if scheduled(request).as_deref() == Some("reconcile-clients") {
        let looked = reconcile.run_round().await?;
        return Ok(answer(StatusCode::OK, &json!({ "looked": looked })));
    }
    let caller = Caller::of(request)?;
    let id: PhoneNumberId = path_parameter(request, "phoneNumberId", NOT_FOUND)?;
    let dry_run: Option<DryRun> = query_parameter(request, "dryRun")?;
    let client = reconcile.store.client(&id).await?.filter(|client| caller.check(&client.bot_id).is_ok());
    if client.is_none() {
        return Err(ApiError::not_found(NOT_FOUND));
    }
    if dry_run == Some(DryRun(true)) {
        let check = reconcile.check(&id).await.map_err(refusal)?;
        Ok(answer(StatusCode::OK, &Reconciliation::looked(&id, &check)))
    } else {
        let repair = reconcile.repair(&id).await.map_err(refusal)?;
        Ok(answer(StatusCode::OK, &Reconciliation::mended(&id, &repair)))
    }
}

fn refusal(failed: Failed) -> ApiError {
    match failed {
        Failed::Unknown => ApiError::not_found(NOT_FOUND),
        Failed::NotActive(_) => ApiError::conflict(
            "client_not_active",
            "The client is being onboarded, or has left.",
            "Look at its status: only a client whose onboarding has ended is compared.",
        ),
        Failed::Busy => ApiError::conflict(
            "client_busy",
            "A signup, an off-boarding or another mending of the same business is at work.",
            "Try again in a minute.",
        )
        .retryable(),
        Failed::OutOfTime => ApiError::unavailable("meta_unavailable", "Meta did not answer in time."),
        Failed::OwnToken(error) => meta::own_token(error),
        Failed::Meta(error) => meta::refusal(error),
        Failed::Store(error) => error.into(),
    }
}

#[cfg(test)]
mod tests;

//! `Idempotency-Key`: the same request answers as the first time.

use std::time::Duration;

use lambda_http::{Body, Request};
use serde_json::Value;

use super::{ApiError, Caller, PROBLEM, Response, StatusCode, header, json};
use crate::domain::raw::sha256;
use crate::ports::{Begun, Clock, IdempotencyKeys, SavedResponse};

/// How long a key is honoured (our HTTP API).
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a request of API Gateway's may run: it waits for 30 s, so whoever began it is gone after.
pub const GATEWAY_CLAIM: Duration = Duration::from_secs(35);

/// A caller's key, with the body that it came with.
#[derive(Debug)]
pub struct RequestKey {
    record: String,
    body_hash: String,
    name: String,
}

impl RequestKey {
    /// The request's key, if it has one. Keys of other callers and routes are other keys.
    ///
    /// # Errors
    /// 400 `invalid_idempotency_key`.
    pub fn of(request: &Request, caller: &Caller, route: &str) -> Result<Option<Self>, ApiError> {
        let Some(key) = header(request, "idempotency-key") else { return Ok(None) };
        if key.is_empty() || key.len() > 255 || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ApiError::bad_request(
                "invalid_idempotency_key",
                "Idempotency-Key is not of its form.",
                "Send 1 to 255 visible ASCII characters, or leave it out.",
            ));
        }
        let body_hash = sha256(request.body());
        let record = format!("{route}#{}", sha256(format!("{}#{key}", caller.name()).as_bytes()));
        Ok(Some(Self { record, name: format!("{key}#{body_hash}"), body_hash }))
    }

    /// The key itself.
    #[must_use]
    pub fn key(&self) -> &str {
        self.name.rsplit_once('#').map_or(&self.name, |(key, _)| key)
    }

    /// Names key and body together: a key that came free must not lead to what another body began.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Runs a request once for its key: the same key with the same body answers as the first time. An
/// answer that may be tried again frees the key; one whose process died is run again after `claim`.
///
/// # Errors
/// 409 `request_running`, 422 `idempotency_key_reused`, and what `request` answers.
pub async fn once(
    store: &impl IdempotencyKeys, // dynamodb:GetItem, PutItem, UpdateItem on idempotency
    clock: &impl Clock,
    claim: Duration,
    key: Option<&RequestKey>,
    request: impl Future<Output = Result<Response<Body>, ApiError>>,
) -> Result<Response<Body>, ApiError> {
    let Some(RequestKey { record, body_hash, .. }) = key else { return request.await };
    let now = clock.now();
    match store.begin_request(record, body_hash, now, now + claim, now + KEPT).await? {
        Begun::New | Begun::Abandoned => {}
        Begun::Running => return Err(running()),
        Begun::OtherBody => return Err(other_body()),
        Begun::Done(saved) => return Ok(replay(saved)),
    }
    let result = request.await;
    match &result {
        Ok(response) => {
            let body = String::from_utf8_lossy(response.body()).into_owned();
            let saved = SavedResponse { status: response.status().as_u16(), body };
            store.finish_request(record, &saved).await?;
        }
        // Nothing was decided: the key may be used again.
        Err(_) => store.forget_request(record).await?,
    }
    result
}

fn running() -> ApiError {
    ApiError::conflict(
        "request_running",
        "The first request with this Idempotency-Key is still running.",
        "Send it again in some seconds: it answers as the first.",
    )
    .retryable()
}

fn other_body() -> ApiError {
    ApiError::unprocessable(
        "idempotency_key_reused",
        "This Idempotency-Key was used with another body.",
        "Use a new key for a new request.",
    )
}

fn replay(saved: SavedResponse) -> Response<Body> {
    let status = StatusCode::from_u16(saved.status).unwrap_or(StatusCode::OK);
    let body: Value = serde_json::from_str(&saved.body).unwrap_or_default();
    let mut response = json(status, &body);
    if status.is_client_error() {
        response.headers_mut().insert("content-type", PROBLEM.parse().expect("a valid header"));
    }
    response
}

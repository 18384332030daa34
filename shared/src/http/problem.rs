//! Problems (RFC 9457): why a request has no good answer, for the caller and for the log.

use std::fmt;
use std::time::Duration;

use lambda_http::Body;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Response, StatusCode, json};
use crate::domain::meta_error::MetaError;
use crate::error::{Source, StoreError};
use crate::telemetry::unit::{self, End};

/// Media type of problems (RFC 9457).
pub const PROBLEM: &str = "application/problem+json";

/// Why a request has no good answer, for the caller; with its cause, for the log.
#[derive(Debug)]
pub struct ApiError(Box<Refusal>);

#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    code: String,
    detail: String,
    action: String,
    retryable: bool,
    retry_after: Option<Duration>,
    meta: Option<MetaError>,
    members: Map<String, Value>,
    source: Option<Source>,
}

/// A refusal, as the caller reads it (RFC 9457).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Problem {
    /// `urn:switchboard:problem:` and the code.
    r#type: String,
    /// The status' name.
    title: &'static str,
    status: u16,
    /// What happened, for a person.
    detail: String,
    /// Stable: branch on this.
    code: String,
    /// Whether the same request may succeed later as it is.
    retryable: bool,
    /// What the caller can do about it.
    action: String,
    /// What Meta said, where Meta refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(with = "Option<MetaRefusal<'static>>"))]
    meta: Option<Value>,
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schemars(with = "ProblemMembers"))]
    members: Map<String, Value>,
}

/// What a problem may have besides.
#[cfg(feature = "openapi")]
#[derive(schemars::JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described")]
struct ProblemMembers {
    /// The member of the body that was refused, never its value.
    #[schemars(skip_serializing_if = "Option::is_none")]
    member: Option<String>,
    /// The parameter of the query that was refused, never its value.
    #[schemars(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// The onboarding that it is about.
    #[schemars(skip_serializing_if = "Option::is_none")]
    onboarding_id: Option<crate::domain::ids::OnboardingId>,
    /// The message that it is about; the list of messages has it.
    #[schemars(skip_serializing_if = "Option::is_none")]
    message_id: Option<crate::domain::ids::MessageId>,
    /// With `window_closed`: when the customer service window ended, where Switchboard knew.
    #[schemars(skip_serializing_if = "Option::is_none")]
    window_ended_at: Option<crate::domain::Timestamp>,
    /// With `window_closed`: approved templates that may be sent instead.
    #[schemars(skip_serializing_if = "Option::is_none")]
    choices: Option<Vec<crate::api::sending::Choice>>,
    /// With `client_not_active`: what an event of Meta's said.
    #[schemars(skip_serializing_if = "Option::is_none")]
    status_reason: Option<String>,
    /// With `client_paused` and `media_rejected`: why.
    #[schemars(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    /// With `invalid_settings` of an unknown model: those that there are.
    #[schemars(skip_serializing_if = "Option::is_none")]
    models: Option<Vec<crate::domain::ids::ModelName>>,
    /// With `settings_changed`: the version that is there.
    #[schemars(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// With `media_too_large`: how many bytes are allowed.
    #[schemars(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    /// With `client_paused`: since when.
    #[schemars(skip_serializing_if = "Option::is_none")]
    since: Option<crate::domain::Timestamp>,
    /// With `client_paused` and `client_restricted`: until when.
    #[schemars(skip_serializing_if = "Option::is_none")]
    until: Option<crate::domain::Timestamp>,
}

/// Why, in a word.
#[cfg(feature = "openapi")]
#[derive(schemars::JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only described")]
enum Reason {
    Paused(crate::domain::client::PauseReason),
    Rejected(crate::domain::media::Rejected),
}

/// What Meta refused with.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "MetaRefusal"))]
#[serde(rename_all = "camelCase")]
pub struct MetaRefusal<'a> {
    code: i64,
    subcode: Option<i64>,
    /// For Meta's support.
    fbtrace_id: Option<&'a str>,
}

impl<'a> MetaRefusal<'a> {
    /// What is shown of an error of Meta's.
    #[must_use]
    pub fn of(error: &'a MetaError) -> Self {
        Self { code: error.code, subcode: error.subcode, fbtrace_id: error.fbtrace_id.as_deref() }
    }
}

impl ApiError {
    fn new(status: StatusCode, code: &str, detail: impl Into<String>, action: impl Into<String>) -> Self {
        Self(Box::new(Refusal {
            status,
            code: code.to_owned(),
            detail: detail.into(),
            action: action.into(),
            retryable: false,
            retry_after: None,
            meta: None,
            members: Map::new(),
            source: None,
        }))
    }

    /// 400: the request is wrong; `action` says what to change.
    pub fn bad_request(code: &str, detail: impl Into<String>, action: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail, action)
    }

    /// 401: no caller.
    pub(super) fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "The request carries no usable token.",
            "Send an Authorization header with a bearer token whose claims name bots.",
        )
    }

    /// 401: a webhook that Meta did not sign.
    #[must_use]
    pub fn bad_signature() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "bad_signature",
            "The signature does not match the body.",
            "Check that the app secret of this deployment is the one of the app that sends.",
        )
    }

    /// 403: the caller is known, and may not.
    pub fn forbidden(code: &str, detail: impl Into<String>, action: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail, action)
    }

    /// 404: unknown, or another caller's: the two look the same.
    #[must_use]
    pub fn not_found(code: &str) -> Self {
        let what = code.strip_suffix("_not_found").unwrap_or(code).replace('_', " ");
        Self::new(
            StatusCode::NOT_FOUND,
            code,
            format!("There is no such {what} among what this token may see."),
            "Check the id and the token's bots.",
        )
    }

    /// 409: the state of things forbids it.
    pub fn conflict(code: &str, detail: impl Into<String>, action: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail, action)
    }

    /// 410: it was there, and has ended.
    pub fn gone(code: &str, detail: impl Into<String>, action: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, code, detail, action)
    }

    /// 413: too large.
    pub(super) fn too_large(largest: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("The body is larger than {} KiB.", largest / 1024),
            "Send less; files are sent by link or by media id.",
        )
    }

    /// 422: understood, and refused.
    pub fn unprocessable(code: &str, detail: impl Into<String>, action: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail, action)
    }

    /// 429: too fast.
    pub fn too_many(code: &str, detail: impl Into<String>, retry_after: Duration) -> Self {
        let seconds = retry_after.as_secs().max(1);
        let mut error = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            code,
            detail,
            format!("Send it again after {seconds} seconds at the earliest."),
        );
        error.0.retry_after = Some(Duration::from_secs(seconds));
        error.retryable()
    }

    /// 502: Meta gave no usable answer.
    pub fn bad_gateway(code: &str, detail: impl Into<String>, action: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, code, detail, action)
    }

    /// 503: ours or Meta's trouble; again later.
    pub fn unavailable(code: &str, detail: impl Into<String>) -> Self {
        let action = "Send the same request again in a moment.";
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail, action);
        error.0.retry_after = Some(Duration::from_secs(1));
        error.retryable()
    }

    /// The same with what Meta said.
    #[must_use]
    pub fn with_meta(mut self, meta: &MetaError) -> Self {
        self.0.meta = Some(meta.clone());
        self
    }

    /// The same with another advice.
    #[must_use]
    pub fn with_action(mut self, action: &str) -> Self {
        self.0.action = action.to_owned();
        self
    }

    /// The same with one more member in the answer.
    #[must_use]
    pub fn with_member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// The same, as something that may succeed when sent again.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.0.retryable = true;
        self
    }

    /// The same with its cause, for the log.
    #[must_use]
    pub fn because(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The answer's body.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let it = &self.0;
        Problem {
            r#type: format!("urn:switchboard:problem:{}", it.code),
            title: it.status.canonical_reason().unwrap_or("Error"),
            status: it.status.as_u16(),
            detail: it.detail.clone(),
            code: it.code.clone(),
            retryable: it.retryable,
            action: it.action.clone(),
            meta: it.meta.as_ref().map(|meta| serde_json::json!(MetaRefusal::of(meta))),
            members: it.members.clone(),
        }
    }

    /// How the request ended.
    pub(super) fn line(&self) -> End {
        if let Some(meta) = &self.0.meta {
            unit::refused(meta.code);
        }
        match &self.0.source {
            Some(source) => End::failed(&self.0.code, source.as_ref()),
            None => End { outcome: Some(self.0.code.clone()), ..End::well() },
        }
    }

    /// The answer.
    ///
    /// # Panics
    /// Never: the headers are valid.
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        // What Meta refused for good is an answer like any other, and the request's line says which.
        unit::outcome(self.0.code.clone());
        let mut response = json(self.0.status, &self.problem());
        let headers = response.headers_mut();
        headers.insert("content-type", PROBLEM.parse().expect("a valid header"));
        if let Some(pause) = self.0.retry_after {
            headers.insert("retry-after", pause.as_secs().into());
        }
        response
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.status.as_u16(), self.0.code)
    }
}
impl std::error::Error for ApiError {}

impl From<StoreError> for ApiError {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::Service { .. } => {
                Self::unavailable("temporarily_unavailable", "A service that we depend on did not answer.")
                    .because(e)
            }
            StoreError::Corrupt { .. } | StoreError::Unsealable(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal_error",
                "A record of ours cannot be read.",
                "Report it with the time of the request; sending it again will not help.",
            )
            .because(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_every_member_of_the_contract() {
        let meta = MetaError {
            status: 400,
            code: 131_047,
            subcode: None,
            details: "x".to_owned(),
            fbtrace_id: Some("F".to_owned()),
            is_transient: false,
        };
        let problem =
            serde_json::json!(ApiError::conflict("window_closed", "d", "a").with_meta(&meta).problem());
        for member in ["type", "title", "status", "detail", "code", "retryable", "action"] {
            assert!(problem.get(member).is_some(), "{member}");
        }
        assert_eq!(problem["meta"]["code"], 131_047);
    }
}

//! HTTP events in, responses out: callers, members of bodies, problems (RFC 9457).

use std::fmt;
use std::time::Duration;

use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt};
use serde::Serialize;
use serde_json::{Map, Value, json};

pub use lambda_http::Response;
pub use lambda_http::http::StatusCode;

use crate::domain::ids::BotId;
use crate::domain::meta_error::MetaError;
use crate::error::{Chain, Source, StoreError};

/// Bodies of our JSON routes are small; the largest message object that Meta takes is far below this.
const LARGEST_BODY: usize = 256 * 1024;
/// API Gateway passes JWT claims on as text; a caller with more bots than this uses an admin token.
const MOST_BOTS: usize = 1000;

/// Why a request has no good answer, for the caller; with its cause, for the log.
#[derive(Debug)]
pub struct ApiError(Box<Problem>);

#[derive(Debug)]
struct Problem {
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

impl ApiError {
    fn new(status: StatusCode, code: &str, detail: impl Into<String>, action: impl Into<String>) -> Self {
        Self(Box::new(Problem {
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
    fn unauthenticated() -> Self {
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
    fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("The body is larger than {} KiB.", LARGEST_BODY / 1024),
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
    pub fn problem(&self) -> Value {
        let mut problem = json!({
            "type": format!("urn:switchboard:problem:{}", self.0.code),
            "title": self.0.status.canonical_reason().unwrap_or("Error"),
            "status": self.0.status.as_u16(),
            "detail": self.0.detail,
            "code": self.0.code,
            "retryable": self.0.retryable,
            "action": self.0.action,
        });
        if let Some(meta) = &self.0.meta {
            problem["meta"] =
                json!({"code": meta.code, "subcode": meta.subcode, "fbtraceId": meta.fbtrace_id});
        }
        for (name, value) in &self.0.members {
            problem[name] = value.clone();
        }
        problem
    }

    fn log(&self) {
        let code = self.0.code.as_str();
        let status = self.0.status.as_u16();
        let meta = self.0.meta.as_ref().map(|meta| meta.code);
        match &self.0.source {
            Some(source) => {
                tracing::error!(code, status, meta, error = %Chain(source.as_ref()), "request failed");
            }
            None => tracing::info!(code, status, meta, "request refused"),
        }
    }

    /// The answer.
    ///
    /// # Panics
    /// Never: the headers are valid.
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::Text(self.problem().to_string()));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.insert("content-type", PROBLEM.parse().expect("a valid header"));
        headers.insert("cache-control", "no-store".parse().expect("a valid header"));
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

/// What a function gives back to the runtime: never an error, so that no error text leaves the function.
///
/// # Errors
/// Never; the type is the runtime's.
pub fn respond(result: Result<Response<Body>, ApiError>) -> Result<Response<Body>, std::convert::Infallible> {
    Ok(result.unwrap_or_else(|error| {
        error.log();
        error.into_response()
    }))
}

/// Media type of problems (RFC 9457).
pub const PROBLEM: &str = "application/problem+json";

/// A JSON answer.
///
/// # Panics
/// Never: our answers have text keys.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let text = serde_json::to_string(body).expect("our answers have text keys");
    let mut response = Response::new(Body::Text(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("content-type", "application/json".parse().expect("a valid header"));
    headers.insert("cache-control", "no-store".parse().expect("a valid header"));
    response
}

/// Who calls, from the claims that API Gateway's JWT authorizer has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    subject: String,
    bots: Bots,
    onboard_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Bots {
    All,
    These(Vec<BotId>),
}

impl Caller {
    /// The caller of a route that the signup page's short-lived token must not open.
    ///
    /// # Errors
    /// 401 without usable claims, 403 `scope_insufficient` for the page's token.
    pub fn of(request: &Request) -> Result<Self, ApiError> {
        let caller = Self::of_onboarding(request)?;
        if caller.onboard_only {
            return Err(ApiError::forbidden(
                "scope_insufficient",
                "The token's scope opens the signup only.",
                "Use a token without scope onboard.",
            ));
        }
        Ok(caller)
    }

    /// The caller of a signup route.
    ///
    /// # Errors
    /// 401 without usable claims.
    pub fn of_onboarding(request: &Request) -> Result<Self, ApiError> {
        let context = request.request_context_ref();
        let Some(RequestContext::ApiGatewayV2(context)) = context else {
            return Err(ApiError::unauthenticated());
        };
        let jwt = context.authorizer.as_ref().and_then(|authorizer| authorizer.jwt.as_ref());
        let claims = &jwt.ok_or_else(ApiError::unauthenticated)?.claims;
        let claim = |name: &str| claims.get(name).map(String::as_str);
        let bots = match claim("role") {
            Some("admin") => Bots::All,
            _ => Bots::These(claim("bots").and_then(bot_list).ok_or_else(ApiError::unauthenticated)?),
        };
        let scopes = claim("scope").unwrap_or_default();
        Ok(Self {
            subject: claim("sub").unwrap_or_default().to_owned(),
            bots,
            onboard_only: scopes.split_whitespace().any(|scope| scope == "onboard"),
        })
    }

    /// Whether the caller may touch a bot.
    ///
    /// # Errors
    /// 404 `bot_not_found`, as for a bot that does not exist.
    pub fn check(&self, bot: &BotId) -> Result<(), ApiError> {
        match &self.bots {
            Bots::All => Ok(()),
            Bots::These(bots) if bots.contains(bot) => Ok(()),
            Bots::These(_) => Err(ApiError::not_found("bot_not_found")),
        }
    }

    /// The bots that the claims name, sorted; `None` = all of them.
    #[must_use]
    pub fn bots(&self) -> Option<&[BotId]> {
        match &self.bots {
            Bots::All => None,
            Bots::These(bots) => Some(bots),
        }
    }

    /// Names the caller, for keys that must not be shared between callers.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.bots {
            Bots::All => format!("admin:{}", self.subject),
            Bots::These(bots) => {
                let bots: Vec<&str> = bots.iter().map(AsRef::as_ref).collect();
                format!("{}:{}", bots.join(","), self.subject)
            }
        }
    }
}

/// The claim `bots`: a JSON list, or what API Gateway makes of one (`[a b]`). Anything else is nothing.
fn bot_list(claim: &str) -> Option<Vec<BotId>> {
    let names: Vec<String> = match serde_json::from_str(claim) {
        Ok(names) => names,
        Err(_) => {
            let inner = claim.strip_prefix('[')?.strip_suffix(']')?;
            inner.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect()
        }
    };
    let mut bots = names.into_iter().map(BotId::try_from).collect::<Result<Vec<_>, _>>().ok()?;
    bots.sort();
    bots.dedup();
    (bots.len() <= MOST_BOTS).then_some(bots)
}

/// The members of a JSON body.
#[derive(Debug)]
pub struct Members(Map<String, Value>);

impl Members {
    /// Reads the body.
    ///
    /// # Errors
    /// 413 `body_too_large`, 400 `not_json`, 400 `not_an_object`.
    pub fn of(request: &Request) -> Result<Self, ApiError> {
        let body: &[u8] = request.body();
        if body.len() > LARGEST_BODY {
            return Err(ApiError::too_large());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err(ApiError::bad_request(
                "not_an_object",
                "The body is JSON, but not an object.",
                "Send a JSON object.",
            )),
            Err(_) => Err(ApiError::bad_request(
                "not_json",
                "The body is not JSON.",
                "Send a JSON object with content-type application/json.",
            )),
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &Map<String, Value> {
        &self.0
    }

    /// A member that must be there. Its value is never repeated in the answer: it may be a secret.
    ///
    /// # Errors
    /// 400 `missing_member` or `invalid_member`.
    pub fn required<T: TryFrom<String>>(&self, name: &str) -> Result<T, ApiError> {
        self.optional(name)?.ok_or_else(|| {
            ApiError::bad_request("missing_member", format!("{name} is missing."), format!("Send {name}."))
                .with_member("member", name)
        })
    }

    /// A member that may be missing or null.
    ///
    /// # Errors
    /// 400 `invalid_member`.
    pub fn optional<T: TryFrom<String>>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let value = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            // Meta's ids come as numbers here and there, and are passed on so.
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(invalid_member(name)),
        };
        T::try_from(value).map(Some).map_err(|_| invalid_member(name))
    }
}

fn invalid_member(name: &str) -> ApiError {
    ApiError::bad_request(
        "invalid_member",
        format!("{name} is not of its form."),
        format!("Send {name} as the API description says."),
    )
    .with_member("member", name)
}

/// A text of a caller's: not empty, bounded, no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl TryFrom<String> for Name {
    type Error = ();
    fn try_from(value: String) -> Result<Self, ()> {
        let fits =
            !value.trim().is_empty() && value.chars().count() <= 200 && !value.contains(char::is_control);
        if fits { Ok(Self(value)) } else { Err(()) }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

/// A path parameter. What is not of its form is unknown.
///
/// # Errors
/// 404 with `code`.
pub fn path_parameter<T: TryFrom<String>>(
    request: &Request,
    name: &str,
    code: &'static str,
) -> Result<T, ApiError> {
    let value =
        request.path_parameters_ref().and_then(|parameters| parameters.first(name)).unwrap_or_default();
    T::try_from(value.to_owned()).map_err(|_| ApiError::not_found(code))
}

/// A query parameter; empty counts as missing.
///
/// # Errors
/// 400 `invalid_parameter`.
pub fn query_parameter<T: TryFrom<String>>(request: &Request, name: &str) -> Result<Option<T>, ApiError> {
    let query = request.query_string_parameters_ref();
    match query.and_then(|query| query.first(name)).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => T::try_from(value.to_owned()).map(Some).map_err(|_| {
            ApiError::bad_request(
                "invalid_parameter",
                format!("The query parameter {name} is not of its form."),
                format!("Send {name} as the API description says, or leave it out."),
            )
            .with_member("parameter", name)
        }),
    }
}

/// How many items a page of a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(usize);

impl Limit {
    /// The query's `limit`: 1 to 100, by default 50.
    ///
    /// # Errors
    /// 400 `invalid_parameter`.
    pub fn of(request: &Request) -> Result<usize, ApiError> {
        Ok(query_parameter::<Self>(request, "limit")?.map_or(50, |limit| limit.0))
    }
}

impl TryFrom<String> for Limit {
    type Error = ();
    fn try_from(value: String) -> Result<Self, ()> {
        value.parse().ok().filter(|limit| (1..=100).contains(limit)).map(Self).ok_or(())
    }
}

/// A header as text.
#[must_use]
pub fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use lambda_http::request::from_str;

    use super::*;

    fn request(claims: &Value, body: &str) -> Request {
        let event = json!({
            "version": "2.0", "routeKey": "POST /x", "rawPath": "/x", "rawQueryString": "limit=7&empty=",
            "headers": {"content-type": "application/json"}, "isBase64Encoded": false, "body": body,
            "requestContext": {"http": {"method": "POST", "path": "/x", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
                               "stage": "$default", "timeEpoch": 0, "authorizer": {"jwt": {"claims": claims, "scopes": null}}}
        });
        from_str(&event.to_string()).unwrap()
    }

    #[test]
    fn claims_come_as_gateway_text_or_as_json() {
        for bots in ["[a b]", "[\"a\",\"b\"]", "[b a b]"] {
            let caller = Caller::of(&request(&json!({"bots": bots, "sub": "s"}), "")).unwrap();
            assert!(caller.check(&"a".parse().unwrap()).is_ok(), "{bots}");
            assert_eq!(caller.check(&"c".parse().unwrap()).unwrap_err().code(), "bot_not_found");
            assert_eq!(caller.bots().unwrap().len(), 2);
        }
    }

    #[test]
    fn anything_else_in_the_claims_fails_closed() {
        for claims in [
            json!({}),
            json!({"bots": "a b"}),
            json!({"bots": "a"}),
            json!({"bots": "[a,b]"}),
            json!({"bots": "[a b"}),
            json!({"bots": "{\"a\":1}"}),
            json!({"role": "user"}),
            json!({"bots": "[a/b]"}),
        ] {
            assert_eq!(Caller::of(&request(&claims, "")).unwrap_err().status(), 401, "{claims}");
        }
        let nobody = Caller::of(&request(&json!({"bots": "[]"}), "")).unwrap();
        assert!(nobody.check(&"a".parse().unwrap()).is_err());
    }

    #[test]
    fn the_pages_token_opens_the_signup_only() {
        let request = request(&json!({"bots": "[a]", "scope": "onboard"}), "");
        assert!(Caller::of_onboarding(&request).is_ok());
        assert_eq!(Caller::of(&request).unwrap_err().code(), "scope_insufficient");
    }

    #[test]
    fn an_admin_may_touch_every_bot() {
        let caller = Caller::of(&request(&json!({"role": "admin"}), "")).unwrap();
        assert!(caller.check(&"any".parse().unwrap()).is_ok());
        assert!(caller.bots().is_none());
    }

    #[test]
    fn bad_bodies_are_named_and_never_repeated() {
        let code = |body: &str| Members::of(&request(&json!({}), body)).unwrap_err().code().to_owned();
        assert_eq!(code("nonsense"), "not_json");
        assert_eq!(code("[1]"), "not_an_object");
        assert_eq!(code(&format!("\"{}\"", "x".repeat(LARGEST_BODY))), "body_too_large");
        let members = Members::of(&request(&json!({}), "{\"botId\":\"top/secret\",\"code\":{}}")).unwrap();
        let error = members.required::<BotId>("botId").unwrap_err();
        assert_eq!(error.code(), "invalid_member");
        assert!(!error.problem().to_string().contains("secret"));
        assert_eq!(members.required::<BotId>("code").unwrap_err().code(), "invalid_member");
        assert_eq!(members.required::<BotId>("other").unwrap_err().code(), "missing_member");
    }

    #[test]
    fn a_limit_outside_its_bounds_is_refused() {
        assert_eq!(Limit::of(&request(&json!({}), "")).unwrap(), 7);
        for bad in ["0", "101", "x", "-1", "1.5"] {
            assert!(Limit::try_from(bad.to_owned()).is_err());
        }
        assert_eq!(query_parameter::<BotId>(&request(&json!({}), ""), "empty").unwrap(), None);
    }

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
        let problem = ApiError::conflict("window_closed", "d", "a").with_meta(&meta).problem();
        for member in ["type", "title", "status", "detail", "code", "retryable", "action"] {
            assert!(problem.get(member).is_some(), "{member}");
        }
        assert_eq!(problem["meta"]["code"], 131_047);
    }
}

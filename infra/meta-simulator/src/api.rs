//! The entry of everything that a backend calls: log the call, apply faults, do it, answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use serde_json::{Map, Value, json};

use crate::faults::{FailLater, FaultError, Target, Then};
use crate::graph::error::GraphError;
use crate::graph::request::{self, GraphRequest};
use crate::graph::{self, Answer, Turn, auth, media};
use crate::logs::Call;
use crate::world::World;
use crate::{clock, mask, model, webhooks};

/// The largest body: a document of 100 MB and its multipart frame.
const BODY_LIMIT: usize = 101 * 1024 * 1024;
/// A call that hangs is cut here, so that a forgotten fault does not hold connections for ever.
const LONGEST_HANG: Duration = Duration::from_secs(60);

/// An answer before it becomes a response.
pub(crate) struct Reply {
    pub(crate) status: u16,
    content_type: String,
    body: Bytes,
}

/// How a call ends.
enum Ending {
    Answer(Reply),
    /// Done, but the answer is lost; its status for the log.
    Dropped(Option<u16>),
}

/// Every call to the Graph API, to media addresses and to the language model.
pub(crate) async fn entry(State(world): State<Arc<World>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_LIMIT).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let call = describe(&world, &parts, &body);
    let fault = world.faults().take(&Target {
        method: parts.method.as_str(),
        path: after_version(parts.uri.path()),
        phone_number_id: call.phone_number_id.as_deref(),
    });
    let index = world.calls.push(call);
    if let Some((id, _)) = &fault {
        world.calls.update(index, |call| call.fault = Some(id.clone()));
    }
    let ending = match fault {
        None => Ending::Answer(act(&world, &parts, body, None).await),
        Some((_, then)) => suffer(&world, &parts, body, then).await,
    };
    let status = match &ending {
        Ending::Answer(reply) => Some(reply.status),
        Ending::Dropped(status) => *status,
    };
    world.calls.update(index, |call| call.status = status);
    match ending {
        Ending::Answer(reply) => reply.into_response(),
        Ending::Dropped(_) => Response::new(Body::new(LostAnswer)),
    }
}

/// Does the call.
async fn act(world: &Arc<World>, parts: &Parts, body: Bytes, fail_later: Option<FailLater>) -> Reply {
    let path = parts.uri.path();
    if let Some(protocol) = model::protocol(path) {
        return model::complete(protocol, parts, &body);
    }
    if let Some(rest) = path.strip_prefix("/_media/") {
        return download(world, parts, rest);
    }
    match graph_call(world, parts, body, fail_later).await {
        Ok(value) => Reply::json(200, &value),
        Err(error) => Reply::json(error.status, &error.body()),
    }
}

/// Does the call, or does not, as a fault wants it.
async fn suffer(world: &Arc<World>, parts: &Parts, body: Bytes, then: Then) -> Ending {
    pause(world, Duration::from_millis(then.delay_ms).min(LONGEST_HANG)).await;
    if then.hang {
        pause(world, LONGEST_HANG).await;
        return Ending::Dropped(None);
    }
    if let Some(error) = then.error {
        return Ending::Answer(fault_reply(parts.uri.path(), &error));
    }
    let reply = act(world, parts, body, then.fail_later).await;
    if then.accept_then_drop { Ending::Dropped(Some(reply.status)) } else { Ending::Answer(reply) }
}

async fn pause(world: &World, duration: Duration) {
    if !duration.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            () = world.stopped() => {}
        }
    }
}

fn fault_reply(path: &str, fault: &FaultError) -> Reply {
    let Some(code) = fault.code else {
        let body = format!("<html><body><h1>{}</h1></body></html>", fault.status);
        return Reply { status: fault.status, content_type: "text/html".to_owned(), body: Bytes::from(body) };
    };
    let message = fault.message.clone().unwrap_or_else(|| format!("(#{code}) A fault that was asked for"));
    if let Some(protocol) = model::protocol(path) {
        return model::refusal(protocol, fault.status, &message, &code.to_string());
    }
    let mut error = GraphError::new(fault.status, code, message);
    if let Some(subcode) = fault.subcode {
        error = error.subcode(subcode);
    }
    if let Some(details) = &fault.details {
        error = error.details(details);
    }
    if let Some(transient) = fault.is_transient {
        error = error.transient(transient);
    }
    Reply::json(error.status, &error.body())
}

async fn graph_call(world: &Arc<World>, parts: &Parts, body: Bytes, fail_later: Option<FailLater>) -> Answer {
    let path = graph::strip_version(parts.uri.path())?;
    let request = GraphRequest::read(parts, body, path).await?;
    verify_callback(world, &request).await?;
    let app_webhook_url = world.webhook_url();
    let (answer, effects) = {
        let mut state = world.state();
        let mut limits = world.limits();
        let mut turn = Turn {
            config: &world.config,
            state: &mut state,
            limits: &mut limits,
            request: &request,
            base_url: &world.base_url,
            app_webhook_url,
            fail_later,
            effects: Vec::new(),
        };
        let answer = graph::answer(&mut turn);
        (answer, turn.effects)
    };
    if request.method != Method::GET || request.path.starts_with("oauth/") {
        world.changed();
    }
    webhooks::start(world, effects);
    answer
}

/// A call that sets a callback URL is good only if that URL passes Meta's handshake.
async fn verify_callback(world: &World, request: &GraphRequest) -> Result<(), GraphError> {
    let nested = request.params.get("webhook_configuration").and_then(Value::as_object);
    let source = nested.unwrap_or(&request.params);
    let url = source.get("override_callback_uri").and_then(Value::as_str).unwrap_or_default();
    if request.method != Method::POST || url.is_empty() {
        return Ok(());
    }
    // A stranger's call must not make the simulator knock at addresses.
    auth::authenticate(&world.config, &world.state(), request)?;
    let token = source.get("verify_token").and_then(Value::as_str).unwrap_or_default();
    webhooks::handshake(world, url, token).await
}

fn download(world: &World, parts: &Parts, rest: &str) -> Reply {
    let (id, secret) = rest.split_once('/').unwrap_or((rest, ""));
    let token = request::bearer(parts);
    let found = media::download(&world.config, &world.state(), id, secret, token.as_deref());
    match found {
        Ok((content_type, body)) => Reply { status: 200, content_type, body },
        Err(status) => Reply { status, content_type: "text/plain".to_owned(), body: Bytes::new() },
    }
}

/// The path after `/v26.0`, or after `/v1` of the language model.
fn after_version(path: &str) -> &str {
    let rest = path.trim_start_matches('/');
    match rest.split_once('/') {
        Some((version, rest)) if is_version(version) => rest,
        _ => rest,
    }
}

fn is_version(segment: &str) -> bool {
    segment
        .strip_prefix('v')
        .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

/// The log's entry of a call.
fn describe(world: &World, parts: &Parts, body: &Bytes) -> Call {
    let secret = &world.config.app_secret;
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let query = request::query(parts);
    let members = request::body_members(content_type.unwrap_or_default(), body).unwrap_or_default();
    let param = |name: &str| members.get(name).or_else(|| query.get(name)).and_then(Value::as_str);
    let token = request::bearer(parts).or_else(|| param("access_token").map(str::to_owned));
    let (phone_number_id, waba_id, token_kind) = {
        let state = world.state();
        let id = after_version(parts.uri.path()).split('/').next().unwrap_or_default();
        let known_number =
            |id: &str| state.numbers.get(id).map(|number| (id.to_owned(), number.waba_id.clone()));
        let number = known_number(id).or_else(|| known_number(param("phone_number_id")?));
        let waba = state.wabas.contains_key(id).then(|| id.to_owned());
        let named = || param("waba_id").map(str::to_owned);
        let waba_id = number.as_ref().map(|(_, waba)| waba.clone()).or(waba).or_else(named);
        let kind = auth::token_kind(&world.config, &state, token.as_deref());
        (number.map(|(id, _)| id), waba_id, kind)
    };
    Call {
        at: clock::rfc3339(clock::wall_ms()),
        method: parts.method.to_string(),
        path: mask::text(parts.uri.path(), secret),
        token_kind,
        phone_number_id,
        waba_id,
        query: masked(&query, secret),
        body: masked(&members, secret),
        status: None,
        fault: None,
    }
}

fn masked(members: &Map<String, Value>, secret: &str) -> Value {
    if members.is_empty() { Value::Null } else { mask::members(members, secret) }
}

impl Reply {
    pub(crate) fn json(status: u16, value: &Value) -> Self {
        let content_type = "application/json; charset=UTF-8".to_owned();
        Self { status, content_type, body: Bytes::from(value.to_string()) }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, self.content_type)], self.body).into_response()
    }
}

/// A refusal of the control API or the popup: `{"message": …}`.
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
}

/// A refusal that says what is wrong.
pub(crate) fn refuse(status: StatusCode, message: impl Into<String>) -> Refusal {
    Refusal { status, message: message.into() }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, axum::Json(json!({ "message": self.message }))).into_response()
    }
}

/// A body that fails before its first byte: the server then closes the connection, and as the head is still in
/// its buffer, the caller sees no answer at all.
struct LostAnswer;

impl HttpBody for LostAnswer {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Poll::Ready(Some(Err(std::io::Error::other("the answer is lost on purpose"))))
    }
}

//! `/_sim`: what a developer or a test does in place of clients, customers and Meta itself.

mod customers;
mod numbers;
mod signups;
mod templates;
mod wabas;

pub(crate) use signups::finish_signup;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::api::{Refusal, refuse};
use crate::clock;
use crate::faults::FaultSpec;
use crate::logs::{Delivery, Since};
use crate::webhooks;
use crate::world::World;

/// What a control call answers.
type Reply = Result<Json<Value>, Refusal>;

/// The largest webhook that Meta sends is 3 MB; a little more lets a test try one that is too large.
const WEBHOOK_LIMIT: usize = 12 * 1024 * 1024;

/// All routes.
pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/health", get(health))
        .route("/reset", post(reset))
        .route("/signups", post(signups::create))
        .route("/numbers/{id}", post(numbers::change))
        .route("/templates/{id}", post(templates::change))
        .route("/wabas/{id}", post(wabas::change))
        .route("/wabas/{id}/remove", post(wabas::remove))
        .route("/wabas/{id}/account-events", post(wabas::account_event))
        .route("/customers/{wa_id}/messages", post(customers::write).get(customers::chat))
        .route("/webhooks", post(webhook))
        .route("/faults", post(add_fault).delete(clear_faults))
        .route("/calls", get(calls))
        .route("/deliveries", get(deliveries))
        .route("/clock", post(advance))
        .route("/system-user", post(change_system_user))
        .route("/state", get(summary))
        .layer(axum::extract::DefaultBodyLimit::max(WEBHOOK_LIMIT))
}

/// Tells `null` from absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

async fn health(State(world): State<Arc<World>>) -> Json<Value> {
    let webhook_url = world.webhook_url();
    Json(json!({"status": "ok", "graph": format!("{}/v26.0", world.base_url), "webhookUrl": webhook_url}))
}

async fn reset(State(world): State<Arc<World>>) -> Json<Value> {
    world.reset();
    Json(json!({}))
}

/// A raw body, signed and delivered once; what the callback answered.
async fn webhook(State(world): State<Arc<World>>, headers: HeaderMap, body: Bytes) -> Reply {
    let Some(url) = world.webhook_url() else {
        return Err(refuse(StatusCode::CONFLICT, "No webhook URL is set. Start the backend first."));
    };
    let secret = &world.config.app_secret;
    let signature = match headers.get("x-sim-signature").and_then(|value| value.to_str().ok()) {
        None => Some(webhooks::signature(secret, &body)),
        Some("none") => None,
        Some("wrong") => Some(webhooks::signature(&format!("not-{secret}"), &body)),
        Some(_) => return Err(refuse(StatusCode::BAD_REQUEST, "X-Sim-Signature must be none or wrong.")),
    };
    let at = clock::rfc3339(clock::wall_ms());
    let attempt = webhooks::post_raw(&world, &url, body.clone(), signature.as_deref()).await;
    let parsed: Value = serde_json::from_slice(&body).unwrap_or_default();
    world.deliveries.push(Delivery {
        at,
        url,
        attempt: 1,
        status: attempt.status,
        ms: attempt.ms,
        field: first_field(&parsed),
        elements: webhooks::elements(&parsed),
    });
    Ok(Json(json!({"status": attempt.status, "ms": attempt.ms})))
}

/// The `field` of a body's first change; empty if it has none.
fn first_field(body: &Value) -> String {
    body["entry"][0]["changes"][0]["field"].as_str().unwrap_or_default().to_owned()
}

async fn add_fault(State(world): State<Arc<World>>, body: Bytes) -> Reply {
    let spec: FaultSpec = serde_json::from_slice(&body)
        .map_err(|error| refuse(StatusCode::BAD_REQUEST, format!("This is not a fault: {error}")))?;
    let id = world.faults().add(spec).map_err(|message| refuse(StatusCode::BAD_REQUEST, message))?;
    Ok(Json(json!({ "id": id })))
}

async fn clear_faults(State(world): State<Arc<World>>) -> Json<Value> {
    world.faults().clear();
    Json(json!({}))
}

#[derive(Deserialize)]
struct Range {
    since: Option<String>,
    limit: Option<usize>,
}

impl Range {
    fn parse(&self) -> Result<(Since, usize), Refusal> {
        let limit = self.limit.unwrap_or(usize::MAX);
        let Some(since) = self.since.as_deref().filter(|since| !since.is_empty()) else {
            return Ok((Since::Start, limit));
        };
        if let Ok(index) = since.parse() {
            return Ok((Since::Index(index), limit));
        }
        // A plus sign that was not escaped arrives as a blank.
        match since.replace(' ', "+").parse::<jiff::Timestamp>() {
            Ok(at) => Ok((Since::Time(at.as_millisecond()), limit)),
            Err(_) => Err(refuse(StatusCode::BAD_REQUEST, "since must be an RFC 3339 time or an index.")),
        }
    }
}

async fn calls(State(world): State<Arc<World>>, Query(range): Query<Range>) -> Reply {
    let (since, limit) = range.parse()?;
    Ok(Json(json!({"items": world.calls.read(since, limit)})))
}

async fn deliveries(State(world): State<Arc<World>>, Query(range): Query<Range>) -> Reply {
    let (since, limit) = range.parse()?;
    Ok(Json(json!({"items": world.deliveries.read(since, limit)})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Advance {
    advance_seconds: i64,
}

/// Moves the simulated clock: codes, tokens, windows and limits age at once.
async fn advance(State(world): State<Arc<World>>, body: Bytes) -> Reply {
    let advance: Advance = serde_json::from_slice(&body)
        .map_err(|error| refuse(StatusCode::BAD_REQUEST, format!("This does not move the clock: {error}")))?;
    let now = {
        let mut state = world.state();
        let offset = advance.advance_seconds.saturating_mul(clock::SECOND_MS);
        state.clock_offset_ms = state.clock_offset_ms.saturating_add(offset);
        state.now_ms()
    };
    world.changed();
    Ok(Json(json!({"now": clock::rfc3339(now)})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SystemUser {
    /// In how many days the configured token ends; `null` = never.
    token_days: Option<i64>,
}

/// `POST /_sim/system-user`.
async fn change_system_user(State(world): State<Arc<World>>, body: Bytes) -> Reply {
    let change: SystemUser = serde_json::from_slice(&body).map_err(|error| {
        refuse(StatusCode::BAD_REQUEST, format!("This does not change the system user: {error}"))
    })?;
    {
        let mut state = world.state();
        let now = state.now_ms();
        state.system_token_ends_ms =
            change.token_days.map(|days| now.saturating_add(days.saturating_mul(clock::DAY_MS)));
    }
    world.changed();
    Ok(Json(json!({})))
}

/// The assets, in the words of tests.
async fn summary(State(world): State<Arc<World>>) -> Json<Value> {
    let state = world.state();
    let businesses: Vec<Value> =
        state.businesses.values().map(|b| json!({"id": b.id, "name": b.name})).collect();
    let wabas: Vec<Value> = state
        .wabas
        .values()
        .map(|waba| {
            let numbers = state.number_ids_of(&waba.id);
            let numbers: Vec<Value> = numbers
                .iter()
                .filter_map(|id| state.numbers.get(id))
                .map(|number| {
                    json!({
                        "id": number.id, "displayPhoneNumber": number.display_phone_number,
                        "registered": number.registered, "registerCalls": number.register_total,
                        "pinSet": number.pin.is_some(), "verified": number.verified,
                        "onBizApp": number.on_biz_app,
                    })
                })
                .collect();
            json!({
                "id": waba.id, "businessId": waba.business_id, "allocations": waba.allocations,
                "refusedCreditCalls": waba.refused_credit_calls, "currency": waba.currency,
                "shared": waba.shared, "funded": waba.primary_funding_id.is_some(),
                "subscribedApps": if waba.subscribed { vec![world.config.app_id.clone()] } else { Vec::new() },
                "assignedUsers": waba.assigned_users.keys().collect::<Vec<_>>(),
                "numbers": numbers,
            })
        })
        .collect();
    Json(json!({"businesses": businesses, "wabas": wabas}))
}

//! The signup popup: its page, and the two calls behind it.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Refusal, refuse};
use crate::control;
use crate::state::{FinishEvent, NumberSpec, SignupSpec};
use crate::world::World;

const SDK: &str = include_str!("../assets/sdk.js");
const PAGE: &str = include_str!("../assets/popup.html");
const STYLE: &str = include_str!("../assets/popup.css");
const SCRIPT: &str = include_str!("../assets/popup.js");

/// The files, open to every page as Meta's are.
pub(crate) fn files() -> Router<Arc<World>> {
    let file = |content_type: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, content_type)], text) })
    };
    Router::new()
        .route("/sdk.js", file("text/javascript; charset=utf-8", SDK))
        .route("/dialog/oauth", file("text/html; charset=utf-8", PAGE))
        .route("/dialog/popup.css", file("text/css; charset=utf-8", STYLE))
        .route("/dialog/popup.js", file("text/javascript; charset=utf-8", SCRIPT))
}

/// The popup's own calls.
pub(crate) fn calls() -> Router<Arc<World>> {
    Router::new().route("/session", post(session)).route("/complete", post(complete))
}

/// Who opened the popup.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Opener {
    app_id: String,
    config_id: String,
    origin: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Completion {
    #[serde(flatten)]
    opener: Opener,
    event: FinishEvent,
    business_name: Option<String>,
    display_phone_number: Option<String>,
    verified_name: Option<String>,
    number_state: Option<NumberState>,
    two_step_pin: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum NumberState {
    Verified,
    Unverified,
    None,
}

async fn session(
    State(world): State<Arc<World>>,
    Json(opener): Json<Opener>,
) -> Result<Json<Value>, Refusal> {
    check(&world, &opener)?;
    Ok(Json(json!({})))
}

/// Meta shows one page for all of these; the reason is for the developer.
fn check(world: &World, opener: &Opener) -> Result<(), Refusal> {
    let reason = if opener.app_id != world.config.app_id {
        "unknown app id"
    } else if opener.config_id != world.config.config_id {
        "unknown configuration id"
    } else if !world.config.page_origins.contains(&opener.origin) {
        "the page's origin is not one of the app's allowed domains"
    } else {
        return Ok(());
    };
    let message = format!("Sorry, something went wrong: this content isn't available right now ({reason}).");
    Err(refuse(StatusCode::BAD_REQUEST, message))
}

async fn complete(
    State(world): State<Arc<World>>,
    Json(completion): Json<Completion>,
) -> Result<Json<Value>, Refusal> {
    check(&world, &completion.opener)?;
    let event = completion.event;
    let without_number =
        completion.number_state == Some(NumberState::None) || event == FinishEvent::FinishOnlyWaba;
    let number = NumberSpec {
        display_phone_number: completion.display_phone_number,
        verified_name: completion.verified_name,
        pin: completion.two_step_pin.filter(|pin| !pin.is_empty()),
        verified: Some(completion.number_state != Some(NumberState::Unverified)),
        ..NumberSpec::default()
    };
    let signup = control::finish_signup(
        &world,
        SignupSpec {
            event,
            token_days: None,
            business_name: completion.business_name.filter(|name| !name.trim().is_empty()),
            numbers: if without_number { Vec::new() } else { vec![number] },
            scopes: None,
            business_id: None,
            waba_id: None,
        },
    );
    let mut data = json!({"waba_id": signup.waba_id, "business_id": signup.business_id});
    // Coexistence is documented with the WABA only; the number is found by reading the WABA.
    if event != FinishEvent::FinishWhatsappBusinessAppOnboarding
        && let Some(id) = signup.phone_number_ids.first()
    {
        data["phone_number_id"] = json!(id);
    }
    Ok(Json(json!({"code": signup.code, "event": event.name(), "data": data})))
}

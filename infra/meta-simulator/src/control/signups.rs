//! A finished signup, without a browser.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::api::{Refusal, refuse};
use crate::state::{self, FinishEvent, NumberSpec, Signup, SignupSpec};
use crate::webhooks::{self, Effect};
use crate::world::World;

/// Numbers of one signup; more is a typing error.
const MOST_NUMBERS: usize = 200;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Body {
    event: Option<FinishEvent>,
    token_days: Option<i64>,
    business_name: Option<String>,
    numbers: Option<Numbers>,
    scopes: Option<Vec<String>>,
    business_id: Option<String>,
    waba_id: Option<String>,
    phone_number_id: Option<String>,
    already_registered: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Numbers {
    Count(usize),
    List(Vec<NumberSpec>),
}

/// `POST /_sim/signups`.
pub(super) async fn create(State(world): State<Arc<World>>, body: Bytes) -> super::Reply {
    let parsed = if body.is_empty() { Ok(Body::default()) } else { serde_json::from_slice(&body) };
    let body: Body =
        parsed.map_err(|error| refuse(StatusCode::BAD_REQUEST, format!("This is not a signup: {error}")))?;
    let event = body.event.unwrap_or(FinishEvent::Finish);
    let asked_for = body.phone_number_id.clone();
    let signup = finish_signup(&world, specification(&world, event, body)?);
    let ids = &signup.phone_number_ids;
    Ok(Json(json!({
        "code": signup.code, "wabaId": signup.waba_id, "businessId": signup.business_id,
        "phoneNumberId": asked_for.as_ref().or(ids.first()), "phoneNumberIds": ids, "event": event.name(),
    })))
}

fn specification(world: &World, event: FinishEvent, body: Body) -> Result<SignupSpec, Refusal> {
    let state = world.state();
    let unknown = |what: &str| refuse(StatusCode::NOT_FOUND, format!("{what} is unknown to the simulator."));
    let mut waba_id = body.waba_id;
    if let Some(id) = &body.phone_number_id {
        let number = state.numbers.get(id).ok_or_else(|| unknown("phoneNumberId"))?;
        waba_id = Some(number.waba_id.clone());
    }
    if waba_id.as_ref().is_some_and(|id| !state.wabas.contains_key(id)) {
        return Err(unknown("wabaId"));
    }
    if let Some(id) = &body.business_id {
        if !state.businesses.contains_key(id) {
            return Err(unknown("businessId"));
        }
        // A business that names no new numbers signs up again with what it has.
        if waba_id.is_none() && body.numbers.is_none() {
            waba_id = newest_waba(&state, id);
        }
    }
    // An existing WABA gets new numbers only if they are named.
    let brings_numbers = waba_id.is_none() || body.numbers.is_some();
    let numbers = match brings_numbers {
        true => numbers(event, body.numbers, body.already_registered)?,
        false => Vec::new(),
    };
    Ok(SignupSpec {
        event,
        token_days: body.token_days,
        business_name: body.business_name,
        numbers,
        scopes: body.scopes,
        business_id: body.business_id,
        waba_id,
    })
}

fn newest_waba(state: &state::State, business_id: &str) -> Option<String> {
    let wabas = state.wabas.values().filter(|waba| waba.business_id == business_id);
    wabas.max_by_key(|waba| waba.created_ms).map(|waba| waba.id.clone())
}

fn numbers(
    event: FinishEvent,
    given: Option<Numbers>,
    already_registered: bool,
) -> Result<Vec<NumberSpec>, Refusal> {
    let mut numbers = match given {
        _ if event == FinishEvent::FinishOnlyWaba => Vec::new(),
        None => vec![NumberSpec::default()],
        Some(Numbers::Count(count)) => vec![NumberSpec::default(); count.min(MOST_NUMBERS + 1)],
        Some(Numbers::List(list)) => list,
    };
    if numbers.len() > MOST_NUMBERS {
        return Err(refuse(StatusCode::BAD_REQUEST, format!("numbers: at most {MOST_NUMBERS}.")));
    }
    if already_registered {
        numbers.iter_mut().for_each(|number| number.already_registered = Some(true));
    }
    Ok(numbers)
}

/// Finishes a signup and sends the `account_update` that Meta sends then.
pub(crate) fn finish_signup(world: &Arc<World>, spec: SignupSpec) -> Signup {
    let (signup, post) = {
        let mut state = world.state();
        let signup = state.sign_up(spec);
        let config = &world.config;
        let post = webhooks::partner_added(&state, &config.partner_business_id, &config.app_id, &signup);
        (signup, post)
    };
    world.changed();
    webhooks::start(world, vec![Effect::Post(post)]);
    signup
}

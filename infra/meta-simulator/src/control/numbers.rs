//! What a client does to its own number in WhatsApp Manager.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::api::refuse;
use crate::state::Override;
use crate::world::World;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Change {
    verified: Option<bool>,
    verified_name: Option<String>,
    /// A new PIN; `null` switches two-step verification off; absent leaves it.
    #[serde(default, deserialize_with = "super::present")]
    pin: Option<Option<String>>,
    /// `false`: it must be registered once more.
    registered: Option<bool>,
    /// Where its messages go instead of to the account's or the app's address; `null` removes it.
    #[serde(default, deserialize_with = "super::present")]
    callback: Option<Option<String>>,
}

/// `POST /_sim/numbers/{phone number id}`.
pub(super) async fn change(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    body: Bytes,
) -> super::Reply {
    let change: Change = serde_json::from_slice(&body).map_err(|error| {
        refuse(StatusCode::BAD_REQUEST, format!("This is not a change of a number: {error}"))
    })?;
    {
        let mut state = world.state();
        let number = state.numbers.get_mut(&id).ok_or_else(|| {
            refuse(StatusCode::NOT_FOUND, "The simulator knows no phone number with this id.")
        })?;
        if let Some(verified) = change.verified {
            number.verified = verified;
        }
        if let Some(name) = change.verified_name {
            number.verified_name = name;
        }
        if let Some(pin) = change.pin {
            number.pin = pin;
        }
        if let Some(registered) = change.registered {
            number.registered = registered;
        }
        if let Some(callback) = change.callback {
            number.webhook = callback.map(|url| Override { url });
        }
    }
    world.changed();
    Ok(Json(json!({})))
}

//! What happens to an account outside of the Graph API: its owner removes the partner, or Meta speaks.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Refusal, refuse};
use crate::clock::SECOND_MS;
use crate::state::Override;
use crate::webhooks::{self, Effect, Post, Scope};
use crate::world::World;

/// Events that come under the partner's own portfolio and name the account inside (Meta, `account_update`,
/// 2026-09-11).
const OF_PARTNER: [&str; 6] = [
    "PARTNER_ADDED",
    "PARTNER_REMOVED",
    "PARTNER_APP_INSTALLED",
    "PARTNER_APP_UNINSTALLED",
    "AD_ACCOUNT_LINKED",
    "MM_LITE_TERMS_SIGNED",
];
/// More copies are a typing error.
const MOST_COPIES: u32 = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Change {
    subscribed: Option<bool>,
    /// Where messages go instead of to the app's address; `null` removes it; absent leaves it.
    #[serde(default, deserialize_with = "super::present")]
    callback: Option<Option<String>>,
    /// The id of what pays; `null` = nothing does; absent leaves it.
    #[serde(default, deserialize_with = "super::present")]
    funding: Option<Option<String>>,
    /// Whether users of the partner may manage it. Only `false`: assigning is the partner's call.
    assigned: Option<bool>,
}

/// `POST /_sim/wabas/{id}`: somebody else changes the account, and no event tells.
pub(super) async fn change(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    body: Bytes,
) -> super::Reply {
    let change: Change = parse(&body)?;
    {
        let mut state = world.state();
        let waba = state.wabas.get_mut(&id).ok_or_else(unknown)?;
        if let Some(subscribed) = change.subscribed {
            waba.subscribed = subscribed;
        }
        if let Some(callback) = change.callback {
            waba.webhook = callback.map(|url| Override { url });
        }
        if let Some(funding) = change.funding {
            waba.primary_funding_id = funding;
        }
        if change.assigned == Some(false) {
            waba.assigned_users.clear();
        }
    }
    world.changed();
    Ok(Json(json!({})))
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Removal {
    /// The token covers the account a while longer, as it may at Meta.
    token_survives: bool,
    /// Of a coexistence number: `disconnection_info`.
    reason: Option<String>,
    phone_number_id: Option<String>,
}

/// `POST /_sim/wabas/{id}/remove`: the client takes the account away from the partner.
pub(super) async fn remove(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    body: Bytes,
) -> super::Reply {
    let removal: Removal = parse(&body)?;
    let (post, at) = {
        let mut state = world.state();
        let waba = state.wabas.get_mut(&id).ok_or_else(unknown)?;
        waba.shared = false;
        waba.assigned_users.clear();
        let info = json!({"waba_id": id, "owner_business_id": waba.business_id});
        if !removal.token_survives {
            for token in state.tokens.values_mut() {
                token.waba_ids.retain(|covered| *covered != id);
            }
        }
        let mut value = json!({"event": "PARTNER_REMOVED", "waba_info": info});
        if let Some(number) = removal.phone_number_id.and_then(|id| state.numbers.get(&id)) {
            value["phone_number"] = json!(number.digits());
        }
        if let Some(reason) = removal.reason {
            value["disconnection_info"] = json!({"reason": reason, "initiated_by": "USER"});
        }
        let at = state.now_ms() / SECOND_MS;
        let mut post = Post::new(&world.config.partner_business_id, Scope::App, "account_update", value);
        post.time = Some(at);
        (post, at)
    };
    world.changed();
    webhooks::start(&world, vec![Effect::Post(post)]);
    Ok(Json(json!({"time": at})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Event {
    field: String,
    value: Value,
    /// Unix seconds; now if absent. An old time is a late repetition.
    time: Option<i64>,
    /// How often the same bytes are delivered.
    repeat: Option<u32>,
}

/// `POST /_sim/wabas/{id}/account-events`: any change of the account, as Meta delivers it.
pub(super) async fn account_event(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    body: Bytes,
) -> super::Reply {
    let mut event: Event = parse(&body)?;
    let (post, at) = {
        let state = world.state();
        let waba = state.wabas.get(&id).ok_or_else(unknown)?;
        let of_partner = event.value["event"].as_str().is_some_and(|name| OF_PARTNER.contains(&name));
        if of_partner && event.value.is_object() && event.value.get("waba_info").is_none() {
            event.value["waba_info"] = json!({"waba_id": id, "owner_business_id": waba.business_id});
        }
        let entry = if of_partner { &world.config.partner_business_id } else { &id };
        let at = event.time.unwrap_or(state.now_ms() / SECOND_MS);
        let mut post = Post::new(entry, Scope::App, event.field, event.value);
        post.time = Some(at);
        post.copies = event.repeat.unwrap_or(1).min(MOST_COPIES);
        (post, at)
    };
    webhooks::start(&world, vec![Effect::Post(post)]);
    Ok(Json(json!({"time": at})))
}

fn parse<T: for<'de> Deserialize<'de>>(body: &Bytes) -> Result<T, Refusal> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| refuse(StatusCode::BAD_REQUEST, format!("This is not an event: {error}")))
}

fn unknown() -> Refusal {
    refuse(StatusCode::NOT_FOUND, "The simulator knows no WhatsApp Business Account with this id.")
}

//! Portfolios: the partner's own and its clients'.

use serde_json::{Value, json};

use super::auth::Caller;
use super::error::GraphError;
use super::fields::{Node, page, select};
use super::{Answer, MANAGEMENT, Turn, waba};

/// `GET /{business}`.
pub(super) fn read(turn: &Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let own = match caller {
        Caller::SystemUser => true,
        Caller::Business { business_id, .. } => business_id == id,
        Caller::App => false,
    };
    if !own {
        return Err(GraphError::unsupported("get", id));
    }
    let name = turn.state.businesses.get(id).map_or("Local Partner", |business| business.name.as_str());
    let entries = [("id", json!(id)), ("name", json!(name)), ("verification_status", json!("verified"))];
    let node: Node = entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    select(&node, turn.request, &["id", "name"])
}

/// `GET /{partner}/system_users`.
pub(super) fn system_users(turn: &Turn<'_>, caller: &Caller) -> Answer {
    turn.require_system_user(caller)?;
    let entries = [
        ("id", json!(turn.config.system_user_id)),
        ("name", json!("Partner System User")),
        ("role", json!("ADMIN")),
    ];
    let node: Node = entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    page(&[node], turn.request, &["id", "name", "role"], &turn.address())
}

/// `GET /{partner}/client_whatsapp_business_accounts`: newest first unless `sort` says otherwise.
pub(super) fn client_wabas(turn: &Turn<'_>, caller: &Caller) -> Answer {
    turn.require_system_user(caller)?;
    let mut wabas: Vec<_> = turn.state.wabas.values().filter(|waba| waba.shared).collect();
    wabas.sort_by_key(|waba| (waba.created_ms, waba.id.clone()));
    if turn.request.text("sort").as_deref() != Some("creation_time_ascending") {
        wabas.reverse();
    }
    let nodes: Vec<Node> = wabas.into_iter().map(|account| waba::fields(turn, account)).collect();
    let defaults = ["id", "name", "currency", "timezone_id", "message_template_namespace"];
    page(&nodes, turn.request, &defaults, &turn.address())
}

/// `POST /{client business}/system_user_access_tokens`: the token that this client gave us, or a derived one.
pub(super) fn access_token(turn: &mut Turn<'_>, caller: &Caller, business_id: &str) -> Answer {
    turn.require_system_user(caller)?;
    if turn.request.text("appsecret_proof").is_none() {
        return Err(GraphError::parameter("API calls from the server require an appsecret_proof argument"));
    }
    let newest = turn.state.token_of_business(business_id).map(str::to_owned);
    let Some(newest) = newest else {
        return Err(GraphError::unsupported("post", business_id));
    };
    if turn.request.is_true("fetch_only") {
        return Ok(json!({"access_token": newest}));
    }
    Ok(json!({"access_token": derive(turn, business_id, &newest)?}))
}

/// A new token with the rights of an existing one, or a part of them.
fn derive(turn: &mut Turn<'_>, business_id: &str, from: &str) -> Result<Value, GraphError> {
    let known =
        turn.state.tokens.get(from).ok_or_else(|| GraphError::unsupported("post", business_id))?.clone();
    let subset = |given: Vec<String>, all: Vec<String>| if given.is_empty() { all } else { given };
    let assets = subset(turn.request.list("asset"), known.waba_ids.clone());
    let scopes = subset(turn.request.list("scope"), known.scopes.clone());
    if !assets.iter().all(|id| known.waba_ids.contains(id))
        || !scopes.iter().all(|s| known.scopes.contains(s))
    {
        return Err(GraphError::permission(format_args!(
            "The client did not grant this asset or scope; {MANAGEMENT} covers only granted assets"
        )));
    }
    let days = turn.request.is_true("set_token_expires_in_60_days").then_some(60);
    Ok(json!(turn.state.issue_token(business_id, assets, days, Some(scopes))))
}

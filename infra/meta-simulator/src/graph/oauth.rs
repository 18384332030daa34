//! Tokens: the code exchange, inspection, renewal and revocation.

use axum::http::Method;
use serde_json::{Value, json};

use super::auth::{self, Caller};
use super::error::GraphError;
use super::fields::{Node, select};
use super::{Answer, Turn};
use crate::clock::{DAY_MS, SECOND_MS};
use crate::random;

/// `GET|POST /oauth/access_token`: a code for a token, or a token for a newer one.
pub(super) fn access_token(turn: &mut Turn<'_>) -> Answer {
    let request = turn.request;
    if request.method != Method::GET && request.method != Method::POST {
        return Err(GraphError::unknown_path(&request.path));
    }
    let client_id =
        request.text("client_id").ok_or_else(|| GraphError::new(400, 101, "Missing client_id parameter."))?;
    if client_id != turn.config.app_id {
        return Err(GraphError::new(
            400,
            101,
            "Error validating application. Cannot get application info due to a system error.",
        ));
    }
    let secret = request.text("client_secret");
    if secret.as_deref() != Some(turn.config.app_secret.as_str()) {
        return Err(GraphError::new(400, 1, "Error validating client secret."));
    }
    match request.text("grant_type").as_deref() {
        Some("fb_exchange_token") => renew(turn),
        None | Some("authorization_code") => exchange(turn),
        Some(_) => Err(GraphError::parameter("Param grant_type is not supported here")),
    }
}

fn exchange(turn: &mut Turn<'_>) -> Answer {
    let value = turn.request.required("code")?;
    let now = turn.state.now_ms();
    let code = turn
        .state
        .codes
        .get_mut(&value)
        .ok_or_else(|| GraphError::new(400, 100, "Invalid verification code format.").subcode(36_006))?;
    if code.used {
        return Err(GraphError::new(400, 100, "This authorization code has been used.").subcode(36_009));
    }
    if code.expires_ms <= now {
        return Err(GraphError::new(400, 100, "This authorization code has expired.").subcode(36_007));
    }
    code.used = true;
    let token = code.token.clone();
    Ok(token_answer(turn, &token))
}

fn renew(turn: &mut Turn<'_>) -> Answer {
    let old = turn.request.required("fb_exchange_token")?;
    let now = turn.state.now_ms();
    if let Some(end) = turn.state.system_token_end(&turn.config.system_user_token, &old) {
        return renew_system_token(turn, end);
    }
    let known = match turn.state.tokens.get(&old) {
        Some(token) if token.is_valid(now) => token.clone(),
        Some(token) if !token.revoked => {
            return Err(GraphError::token(463, "Error validating access token: Session has expired."));
        }
        _ => return Err(GraphError::token(467, "Error validating access token: The session is invalid.")),
    };
    let days = known.expires_ms.map(|_| 60);
    let fresh = turn.state.issue_token(&known.business_id, known.waba_ids, days, Some(known.scopes));
    Ok(token_answer(turn, &fresh))
}

/// Only a token that ends is refreshed, and only as long as it is valid (Meta, system users, 2026).
fn renew_system_token(turn: &mut Turn<'_>, end: Option<i64>) -> Answer {
    let now = turn.state.now_ms();
    let Some(_) = end.filter(|at| *at > now) else {
        return Err(GraphError::token(463, "Error validating access token: Session has expired."));
    };
    let (fresh, days) = (random::token(), 60);
    turn.state.system_tokens.insert(fresh.clone(), now + days * DAY_MS);
    Ok(json!({"access_token": fresh, "token_type": "bearer", "expires_in": days * DAY_MS / SECOND_MS}))
}

fn token_answer(turn: &Turn<'_>, value: &str) -> Value {
    let mut answer = json!({"access_token": value, "token_type": "bearer"});
    if let Some(expires) = turn.state.tokens.get(value).and_then(|token| token.expires_ms) {
        answer["expires_in"] = json!((expires - turn.state.now_ms()) / SECOND_MS);
    }
    answer
}

/// `GET /oauth/revoke`. The answer's `"true"` is a string, as documented.
pub(super) fn revoke(turn: &mut Turn<'_>) -> Answer {
    let request = turn.request;
    let known_app = request.text("client_id").as_deref() == Some(turn.config.app_id.as_str())
        && request.text("client_secret").as_deref() == Some(turn.config.app_secret.as_str());
    if !known_app {
        return Err(GraphError::new(400, 1, "Error validating client secret."));
    }
    let value = request.required("revoke_token")?;
    let token = turn
        .state
        .tokens
        .get_mut(&value)
        .ok_or_else(|| GraphError::parameter("Param revoke_token is not a token of this app"))?;
    token.revoked = true;
    Ok(json!({"success": "true"}))
}

/// `GET /debug_token`: with an app token or the partner's system user token.
pub(super) fn debug_token(turn: &Turn<'_>, caller: &Caller) -> Answer {
    if let Caller::Business { .. } = caller {
        return Err(GraphError::parameter(
            "You must provide an app access token, or a user access token that is an owner or developer of the app",
        ));
    }
    let input = turn.request.required("input_token")?;
    Ok(json!({"data": inspect(turn, &input)}))
}

fn inspect(turn: &Turn<'_>, input: &str) -> Value {
    if let Some(end) = turn.state.system_token_end(&turn.config.system_user_token, input) {
        let now = turn.state.now_ms();
        return json!({
            "app_id": turn.config.app_id, "application": "Local app", "type": "SYSTEM_USER",
            "is_valid": end.is_none_or(|at| at > now),
            "issued_at": now / SECOND_MS - 86_400, "expires_at": end.map_or(0, |at| at / SECOND_MS), "data_access_expires_at": 0,
            "scopes": ["business_management", super::MANAGEMENT, super::MESSAGING],
            "granular_scopes": [{"scope": "business_management"}, {"scope": super::MANAGEMENT}, {"scope": super::MESSAGING}],
            "user_id": turn.config.system_user_id,
        });
    }
    if input == auth::app_token(turn.config) {
        return json!({"app_id": turn.config.app_id, "application": "Local app", "type": "APP", "is_valid": true, "scopes": []});
    }
    let Some(token) = turn.state.tokens.get(input) else {
        return json!({
            "error": {"code": 190, "message": "Invalid OAuth access token - Cannot parse access token"},
            "is_valid": false, "scopes": [],
        });
    };
    let mut data = json!({
        "app_id": turn.config.app_id, "application": "Local app", "type": "SYSTEM_USER",
        "is_valid": token.is_valid(turn.state.now_ms()),
        "issued_at": token.issued_ms / SECOND_MS,
        "expires_at": token.expires_ms.map_or(0, |at| at / SECOND_MS),
        "data_access_expires_at": 0,
        "scopes": token.scopes,
        "granular_scopes": token.scopes.iter().filter(|scope| scope.starts_with("whatsapp")).map(|scope| {
            json!({"scope": scope, "target_ids": newest_first(turn, &token.waba_ids)})
        }).collect::<Vec<_>>(),
        "user_id": token.user_id,
    });
    if token.revoked {
        data["error"] = json!({"code": 190, "message": "Error validating access token: The user has not authorized application.", "subcode": 458});
    } else if token.is_expired(turn.state.now_ms()) {
        data["error"] = json!({"code": 190, "message": "Error validating access token: Session has expired.", "subcode": 463});
    }
    data
}

fn newest_first(turn: &Turn<'_>, waba_ids: &[String]) -> Vec<String> {
    let mut ids = waba_ids.to_vec();
    ids.sort_by_key(|id| std::cmp::Reverse(turn.state.wabas.get(id).map(|waba| waba.created_ms)));
    ids
}

/// `GET /me`: the system user behind the token.
pub(super) fn me(turn: &Turn<'_>, caller: &Caller) -> Answer {
    let mut node = Node::new();
    match caller {
        Caller::Business { token, business_id, .. } => {
            let user_id = turn.state.tokens.get(token).map(|token| token.user_id.clone());
            node.insert("id".into(), json!(user_id));
            node.insert("name".into(), json!("Conversions API System User"));
            node.insert("client_business_id".into(), json!(business_id));
        }
        Caller::SystemUser => {
            node.insert("id".into(), json!(turn.config.system_user_id));
            node.insert("name".into(), json!("Partner System User"));
            node.insert("client_business_id".into(), Value::Null);
        }
        Caller::App => {
            return Err(GraphError::new(
                400,
                2500,
                "An active access token must be used to query information about the current user.",
            ));
        }
    }
    select(&node, turn.request, &["id", "name"])
}

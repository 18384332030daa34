//! Who calls, and what the caller may touch.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::error::GraphError;
use super::request::GraphRequest;
use crate::Config;
use crate::clock::{MINUTE_MS, SECOND_MS};
use crate::state::State;

/// The owner of a token.
#[derive(Clone)]
pub(crate) enum Caller {
    /// A client's business token.
    Business {
        /// The token itself, the key of `State::tokens`.
        token: String,
        business_id: String,
        waba_ids: Vec<String>,
        scopes: Vec<String>,
    },
    /// The partner's own system user.
    SystemUser,
    /// `{app id}|{app secret}`.
    App,
}

/// What kind of token a call carried, as the log of calls names it.
pub(crate) fn token_kind(config: &Config, state: &State, token: Option<&str>) -> &'static str {
    match token {
        None => "none",
        Some(token) if state.system_token_end(&config.system_user_token, token).is_some() => "system_user",
        Some(token) if token == app_token(config) => "app",
        Some(token) if state.tokens.contains_key(token) => "business",
        Some(_) => "unknown",
    }
}

/// Finds the caller; refuses tokens that are unknown, revoked or expired, and wrong proofs.
pub(crate) fn authenticate(
    config: &Config,
    state: &State,
    request: &GraphRequest,
) -> Result<Caller, GraphError> {
    let Some(token) = request.token.as_deref() else {
        return Err(if request.path == "me" {
            GraphError::new(
                400,
                2500,
                "An active access token must be used to query information about the current user.",
            )
        } else {
            GraphError::new(401, 104, "An access token is required to request this resource.")
        });
    };
    let caller = caller_of(config, state, token)?;
    if let Some(proof) = request.text("appsecret_proof") {
        check_proof(config, state, token, &proof, request.text("appsecret_time"))?;
    }
    Ok(caller)
}

fn caller_of(config: &Config, state: &State, token: &str) -> Result<Caller, GraphError> {
    if let Some(end) = state.system_token_end(&config.system_user_token, token) {
        return if end.is_some_and(|at| at <= state.now_ms()) {
            Err(GraphError::token(463, "Error validating access token: Session has expired."))
        } else {
            Ok(Caller::SystemUser)
        };
    }
    if token == app_token(config) {
        return Ok(Caller::App);
    }
    let Some(known) = state.tokens.get(token) else {
        return Err(if token.starts_with("EAA") {
            GraphError::token(467, "Error validating access token: The session is invalid.")
        } else {
            GraphError::new(401, 190, "Invalid OAuth access token - Cannot parse access token")
        });
    };
    if known.revoked {
        return Err(GraphError::token(
            458,
            "Error validating access token: The user has not authorized application.",
        ));
    }
    if known.is_expired(state.now_ms()) {
        return Err(GraphError::token(463, "Error validating access token: Session has expired."));
    }
    Ok(Caller::Business {
        token: token.to_owned(),
        business_id: known.business_id.clone(),
        waba_ids: known.waba_ids.clone(),
        scopes: known.scopes.clone(),
    })
}

/// `{app id}|{app secret}`.
pub(crate) fn app_token(config: &Config) -> String {
    format!("{}|{}", config.app_id, config.app_secret)
}

/// `hex(HMAC-SHA256(app secret, token))`, or with `appsecret_time` over `token|time`, which then must be
/// within five minutes (Graph API, secure requests).
fn check_proof(
    config: &Config,
    state: &State,
    token: &str,
    proof: &str,
    time: Option<String>,
) -> Result<(), GraphError> {
    let message = match &time {
        Some(time) => format!("{token}|{time}"),
        None => token.to_owned(),
    };
    let fresh = time.is_none_or(|time| {
        time.parse::<i64>().is_ok_and(|at| (state.now_ms() - at * SECOND_MS).abs() <= 5 * MINUTE_MS)
    });
    let given = hex::decode(proof).unwrap_or_default();
    let right = mac(&config.app_secret, message.as_bytes()).verify_slice(&given).is_ok();
    if right && fresh { Ok(()) } else { Err(GraphError::wrong_proof()) }
}

/// The HMAC that proofs and webhook signatures share.
pub(crate) fn mac(secret: &str, message: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(message);
    mac
}

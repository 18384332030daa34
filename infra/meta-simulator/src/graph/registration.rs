//! Registering a number for the Cloud API, and what goes with it.

use serde_json::{Value, json};

use super::auth::Caller;
use super::error::GraphError;
use super::{Answer, MANAGEMENT, Turn, phone, success};
use crate::clock::{DAY_MS, HOUR_MS};
use crate::random;

/// Register and deregister: 10 calls per number in a moving window of 72 hours, each for itself. The next one
/// blocks the number for 72 hours (registration page).
const CALLS: usize = 10;
const CALL_WINDOW_MS: i64 = 72 * HOUR_MS;

/// Countries that local storage can be set to (local storage page).
const STORAGE_REGIONS: [&str; 14] =
    ["AU", "ID", "IN", "JP", "SG", "KR", "DE", "CH", "GB", "BR", "BH", "ZA", "AE", "CA"];

/// `POST /{phone}/register`.
pub(super) fn register(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let request = turn.request;
    let now = turn.state.now_ms();
    let number = turn.number(caller, id, MANAGEMENT)?;
    request.require_whatsapp()?;
    if request.params.contains_key("data_localization_region") {
        return Err(GraphError::new(
            400,
            12,
            "(#12) data_localization_region is deprecated for versions v21.0 or higher",
        ));
    }
    let pin = phone::pin(request)?;
    if number.on_biz_app {
        return Err(smb_refusal());
    }
    number.register_total += 1;
    if number.blocked_until_ms.is_some_and(|until| until > now) || !count(&mut number.register_calls, now) {
        number.blocked_until_ms = Some(number.blocked_until_ms.unwrap_or(now + CALL_WINDOW_MS));
        return Err(too_many("registration"));
    }
    number.blocked_until_ms = None;
    if number.registered {
        return success(); // a repeat is fine, and leaves the PIN as it is
    }
    if !number.verified {
        return Err(GraphError::new(400, 133_006, "(#133006) Phone number re-verification needed")
            .details("Phone number needs to be verified before registering."));
    }
    if number.pin.as_ref().is_some_and(|set| *set != pin) {
        return Err(GraphError::new(400, 133_005, "(#133005) Two step verification PIN mismatch")
            .subcode(2_388_004)
            .details("The two-step verification PIN is incorrect."));
    }
    number.pin = Some(pin);
    number.registered = true;
    success()
}

/// `POST /{phone}/deregister`.
pub(super) fn deregister(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let now = turn.state.now_ms();
    let number = turn.number(caller, id, MANAGEMENT)?;
    if number.on_biz_app {
        return Err(smb_refusal());
    }
    if !count(&mut number.deregister_calls, now) {
        return Err(too_many("deregistration"));
    }
    if !number.registered {
        return Err(GraphError::not_registered());
    }
    number.registered = false;
    number.storage_region = None;
    success()
}

/// Counts a call; `false` if it is one too many.
fn count(calls: &mut Vec<i64>, now: i64) -> bool {
    calls.retain(|at| now - at < CALL_WINDOW_MS);
    if calls.len() >= CALLS {
        return false;
    }
    calls.push(now);
    true
}

fn too_many(what: &str) -> GraphError {
    GraphError::new(400, 133_016, "(#133016) Account register/deregister rate limit exceeded")
        .details(format!("Too many {what} attempts for this phone number: 10 in 72 hours. Wait 72 hours."))
}

fn smb_refusal() -> GraphError {
    GraphError::invalid_parameter(
        "This endpoint is not available for SMB solution: the number is used in the WhatsApp Business app.",
    )
}

/// `GET /{phone}/settings`.
pub(super) fn read_settings(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let number = turn.number(caller, id, MANAGEMENT)?;
    Ok(match &number.storage_region {
        Some(region) => json!({"storage_configuration": {
            "status": "IN_COUNTRY_STORAGE_ENABLED", "data_localization_region": region}}),
        None => json!({"storage_configuration": {"status": "DEFAULT"}}),
    })
}

/// `POST /{phone}/settings`: local storage, only while the number is not registered.
pub(super) fn settings(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let request = turn.request;
    let number = turn.number(caller, id, MANAGEMENT)?;
    let Some(storage) = request.params.get("storage_configuration") else {
        return Err(GraphError::parameter("The parameter storage_configuration is required."));
    };
    if number.on_biz_app {
        return Err(smb_refusal());
    }
    if number.registered {
        return Err(GraphError::invalid_parameter(
            "storage_configuration: deregister the phone number before changing local storage.",
        ));
    }
    number.storage_region = storage_region(storage)?;
    success()
}

fn storage_region(storage: &Value) -> Result<Option<String>, GraphError> {
    match storage["status"].as_str() {
        Some("IN_COUNTRY_STORAGE_DISABLED") => Ok(None),
        Some("IN_COUNTRY_STORAGE_ENABLED") => {
            let region = storage["data_localization_region"].as_str().unwrap_or_default();
            if !STORAGE_REGIONS.contains(&region) {
                return Err(GraphError::invalid_parameter(
                    "storage_configuration.data_localization_region is not a supported region.",
                ));
            }
            Ok(Some(region.to_owned()))
        }
        _ => Err(GraphError::invalid_parameter(
            "storage_configuration.status must be IN_COUNTRY_STORAGE_ENABLED or IN_COUNTRY_STORAGE_DISABLED.",
        )),
    }
}

/// `POST /{phone}/smb_app_data`: each sync once, within 24 hours of onboarding.
pub(super) fn smb_app_data(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let request = turn.request;
    let now = turn.state.now_ms();
    let number = turn.number(caller, id, MANAGEMENT)?;
    request.require_whatsapp()?;
    let sync = request.required("sync_type")?;
    if sync != "smb_app_state_sync" && sync != "history" {
        return Err(GraphError::parameter("Param sync_type must be one of {smb_app_state_sync, history}"));
    }
    if !number.on_biz_app {
        return Err(GraphError::invalid_parameter(
            "The phone number is not used in the WhatsApp Business app.",
        ));
    }
    if now - number.onboarded_ms > DAY_MS {
        return Err(GraphError::new(
            400,
            2_593_108,
            "(#2593108) Sync was not started within 24 hours of onboarding",
        ));
    }
    if !number.synced.insert(sync) {
        return Err(GraphError::new(400, 2_593_107, "(#2593107) Sync can be requested only once"));
    }
    Ok(json!({"messaging_product": "whatsapp", "request_id": random::alphanumeric(22)}))
}

//! The business phone number: its fields, its PIN and its own callback URL.

use serde_json::{Value, json};

use super::auth::Caller;
use super::error::GraphError;
use super::fields::{Node, select};
use super::{Answer, MANAGEMENT, Turn, success, waba};
use crate::clock::SECOND_MS;
use crate::state::{Number, Override};

/// What a number shows when no fields are named.
pub(super) const DEFAULT_FIELDS: [&str; 8] = [
    "verified_name",
    "code_verification_status",
    "display_phone_number",
    "quality_rating",
    "platform_type",
    "throughput",
    "last_onboarded_time",
    "webhook_configuration",
];

/// `GET /{phone}`.
pub(super) fn read(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    turn.number(caller, id, MANAGEMENT)?;
    let number = turn.state.numbers.get(id).ok_or_else(|| GraphError::unsupported("get", id))?;
    select(&fields(turn, number), turn.request, &DEFAULT_FIELDS)
}

/// Every field of the node.
pub(super) fn fields(turn: &Turn<'_>, number: &Number) -> Node {
    let pending_name = Value::Null;
    let throughput = if number.on_biz_app { "NOT_APPLICABLE" } else { "STANDARD" };
    let entries = [
        ("id", json!(number.id)),
        ("display_phone_number", json!(number.display_phone_number)),
        ("verified_name", json!(number.verified_name)),
        ("status", json!(number.status())),
        ("quality_rating", json!(if number.registered { "GREEN" } else { "UNKNOWN" })),
        ("code_verification_status", json!(if number.verified { "VERIFIED" } else { "NOT_VERIFIED" })),
        ("name_status", json!("APPROVED")),
        ("new_display_name", pending_name.clone()),
        ("new_name_status", json!("NONE")),
        ("platform_type", json!(if number.registered { "CLOUD_API" } else { "NOT_APPLICABLE" })),
        ("throughput", json!({"level": throughput})),
        ("account_mode", json!("LIVE")),
        ("is_on_biz_app", json!(number.on_biz_app)),
        ("is_pin_enabled", json!(number.pin.is_some())),
        ("is_official_business_account", json!(false)),
        ("is_preverified_number", json!(false)),
        ("last_onboarded_time", json!((number.onboarded_ms / SECOND_MS).to_string())),
        ("whatsapp_business_manager_messaging_limit", json!("TIER_250")),
        ("messaging_limit_tier", json!("TIER_250")),
        ("certificate", pending_name.clone()),
        ("new_certificate", pending_name.clone()),
        ("quality_score", json!({"score": if number.registered { "GREEN" } else { "UNKNOWN" }})),
        ("country_code", pending_name.clone()),
        ("country_dial_code", pending_name.clone()),
        ("conversational_automation", pending_name.clone()),
        ("search_visibility", pending_name.clone()),
        ("eligibility_for_api_business_global_search", pending_name),
        ("webhook_configuration", webhook_configuration(turn, number)),
        ("health_status", health(turn, number)),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn webhook_configuration(turn: &Turn<'_>, number: &Number) -> Value {
    let of_waba = turn.state.wabas.get(&number.waba_id).and_then(|waba| waba.webhook.as_ref());
    let levels = [
        ("phone_number", number.webhook.as_ref().map(|webhook| webhook.url.clone())),
        ("whatsapp_business_account", of_waba.map(|webhook| webhook.url.clone())),
        ("application", turn.app_webhook_url.clone()),
    ];
    let set: Node =
        levels.into_iter().filter_map(|(level, url)| Some((level.to_owned(), json!(url?)))).collect();
    if set.is_empty() { Value::Null } else { Value::Object(set) }
}

fn health(turn: &Turn<'_>, number: &Number) -> Value {
    let waba = turn.state.wabas.get(&number.waba_id);
    waba.map_or(Value::Null, |waba| waba::health(turn, waba, Some((&number.id, number.registered))))
}

/// `POST /{phone}`: a new PIN, or a callback URL of its own (whose handshake was made before).
pub(super) fn update(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let request = turn.request;
    let number = turn.number(caller, id, MANAGEMENT)?;
    if let Some(configuration) = request.params.get("webhook_configuration") {
        let url = configuration["override_callback_uri"].as_str().unwrap_or_default();
        number.webhook = (!url.is_empty()).then(|| Override { url: url.to_owned() });
    } else if request.params.contains_key("pin") {
        number.pin = Some(pin(request)?);
    } else {
        return Err(GraphError::parameter("The parameter pin or webhook_configuration is required."));
    }
    success()
}

/// The `pin` parameter: six digits, and in JSON a string.
pub(super) fn pin(request: &super::GraphRequest) -> Result<String, GraphError> {
    match request.params.get("pin") {
        None => Err(GraphError::parameter("The parameter pin is required.")),
        Some(Value::String(pin)) if pin.len() == 6 && pin.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(pin.clone())
        }
        Some(_) => Err(GraphError::parameter("Param pin must be a string of 6 digits")),
    }
}

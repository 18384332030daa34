//! The WABA: its fields, its numbers, the app's subscription and the partner's users on it.

use serde_json::{Value, json};

use super::auth::Caller;
use super::error::GraphError;
use super::fields::{Node, page, select};
use super::{Answer, MANAGEMENT, Turn, phone, success};
use crate::clock::SECOND_MS;
use crate::state::{Override, Waba};

/// Tasks that a user can be given on a WABA (manage system users).
const TASKS: [&str; 13] = [
    "MANAGE",
    "DEVELOP",
    "MANAGE_TEMPLATES",
    "MANAGE_PHONE",
    "MANAGE_PHONE_ASSETS",
    "VIEW_PHONE_ASSETS",
    "VIEW_TEMPLATES",
    "VIEW_COST",
    "VIEW_INSIGHTS",
    "MANAGE_EXTENSIONS",
    "MANAGE_USERS",
    "MANAGE_BILLING",
    "MESSAGING",
];

/// `GET /{waba}`.
pub(super) fn read(turn: &Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let waba = turn.waba(caller, id, MANAGEMENT)?;
    select(&fields(turn, waba), turn.request, &["id", "name", "timezone_id", "message_template_namespace"])
}

/// Every field of the node.
pub(super) fn fields(turn: &Turn<'_>, waba: &Waba) -> Node {
    let owner = turn.state.businesses.get(&waba.business_id).map(|b| json!({"name": b.name, "id": b.id}));
    let entries = [
        ("id", json!(waba.id)),
        ("name", json!(waba.name)),
        ("currency", json!(waba.currency)),
        ("timezone_id", json!("1")),
        ("country", json!("US")),
        ("creation_time", json!(waba.created_ms / SECOND_MS)),
        ("status", json!("ACTIVE")),
        ("message_template_namespace", json!(format!("ns_{}", waba.id))),
        ("account_review_status", json!("APPROVED")),
        ("business_verification_status", json!("verified")),
        ("ownership_type", json!("CLIENT_OWNED")),
        ("owner_business", json!(owner)),
        ("owner_business_info", json!(owner)),
        ("on_behalf_of_business_info", Value::Null),
        ("is_shared_with_partners", json!(waba.shared)),
        ("primary_funding_id", json!(waba.primary_funding_id)),
        ("purchase_order_number", Value::Null),
        ("primary_business_location", Value::Null),
        ("auth_international_rate_eligibility", Value::Null),
        ("whatsapp_business_manager_messaging_limit", json!("TIER_250")),
        ("marketing_messages_onboarding_status", Value::Null),
        ("marketing_messages_lite_api_status", Value::Null),
        ("disable_marketing_messages_on_cloud_api", json!(false)),
        ("is_enabled_for_insights", json!(false)),
        ("template_auto_archival_enabled", json!(false)),
        ("linked_commerce_account", Value::Null),
        // An edge that callers may name as a field.
        ("subscribed_apps", Value::Null),
        ("health_status", health(turn, waba, None)),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What can send, as far as the simulator knows: a number must be registered and somebody must pay.
pub(super) fn health(turn: &Turn<'_>, waba: &Waba, number: Option<(&str, bool)>) -> Value {
    let mut entities = Vec::new();
    if let Some((id, registered)) = number {
        entities.push(match registered {
            true => json!({"entity_type": "PHONE_NUMBER", "id": id, "can_send_message": "AVAILABLE"}),
            false => {
                json!({"entity_type": "PHONE_NUMBER", "id": id, "can_send_message": "BLOCKED", "errors": [{
                "error_code": 141_000, "error_description": "The phone number is not registered.",
                "possible_solution": "Register the phone number."}]})
            }
        });
    }
    entities.push(match waba.primary_funding_id {
        Some(_) => json!({"entity_type": "WABA", "id": waba.id, "can_send_message": "AVAILABLE"}),
        None => json!({"entity_type": "WABA", "id": waba.id, "can_send_message": "LIMITED",
            "additional_info": ["There is no payment method attached to this WhatsApp Business Account."]}),
    });
    entities
        .push(json!({"entity_type": "BUSINESS", "id": waba.business_id, "can_send_message": "AVAILABLE"}));
    entities.push(json!({"entity_type": "APP", "id": turn.config.app_id, "can_send_message": "AVAILABLE"}));
    let worst = ["BLOCKED", "LIMITED"]
        .into_iter()
        .find(|state| entities.iter().any(|entity| entity["can_send_message"] == *state))
        .unwrap_or("AVAILABLE");
    json!({"can_send_message": worst, "entities": entities})
}

/// `GET /{waba}/phone_numbers`.
pub(super) fn phone_numbers(turn: &Turn<'_>, caller: &Caller, id: &str) -> Answer {
    turn.waba(caller, id, MANAGEMENT)?;
    let ids = turn.state.number_ids_of(id);
    let nodes: Vec<Node> = ids
        .iter()
        .filter_map(|id| turn.state.numbers.get(id))
        .map(|number| phone::fields(turn, number))
        .collect();
    page(&nodes, turn.request, &phone::DEFAULT_FIELDS, &turn.address())
}

/// `GET /{waba}/subscribed_apps`.
pub(super) fn subscriptions(turn: &Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let waba = turn.waba(caller, id, MANAGEMENT)?;
    if !waba.subscribed {
        return Ok(json!({"data": []}));
    }
    let app = &turn.config.app_id;
    let mut item = json!({"whatsapp_business_api_data": {
        "id": app, "name": "Local app", "link": format!("https://www.facebook.com/games/?app_id={app}")}});
    if let Some(webhook) = &waba.webhook {
        item["override_callback_uri"] = json!(webhook.url);
    }
    Ok(json!({"data": [item]}))
}

/// `POST /{waba}/subscribed_apps`. The callback has passed its handshake by now (`api::verify_callback`). A plain call
/// removes an override, as at Meta.
pub(super) fn subscribe(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let webhook = turn.request.text("override_callback_uri").map(|url| Override { url });
    let waba = turn.waba_mut(caller, id, MANAGEMENT)?;
    waba.subscribed = true;
    waba.webhook = webhook;
    success()
}

/// `DELETE /{waba}/subscribed_apps`.
pub(super) fn unsubscribe(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let waba = turn.waba_mut(caller, id, MANAGEMENT)?;
    waba.subscribed = false;
    waba.webhook = None;
    success()
}

/// `GET /{waba}/assigned_users?business=`.
pub(super) fn assigned_users(turn: &Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let waba = turn.waba(caller, id, MANAGEMENT)?;
    let business = turn.request.required("business")?;
    let users = waba.assigned_users.iter().filter(|_| business == turn.config.partner_business_id);
    let data: Vec<Value> = users
        .map(|(user, tasks)| json!({"id": user, "name": "Partner System User", "tasks": tasks}))
        .collect();
    Ok(json!({"data": data}))
}

/// `POST /{waba}/assigned_users?user=&tasks=`: only an admin system user may.
pub(super) fn assign_user(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    turn.waba(caller, id, MANAGEMENT)?;
    turn.require_system_user(caller)?;
    let user = known_user(turn)?;
    let tasks = turn.request.list("tasks");
    if tasks.is_empty() {
        return Err(GraphError::parameter("The parameter tasks is required."));
    }
    if let Some(unknown) = tasks.iter().find(|task| !TASKS.contains(&task.as_str())) {
        return Err(GraphError::parameter(format_args!("Param tasks has an unknown task: {unknown}")));
    }
    turn.waba_mut(caller, id, MANAGEMENT)?.assigned_users.insert(user, tasks);
    success()
}

/// `DELETE /{waba}/assigned_users?user=`.
pub(super) fn unassign_user(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    turn.waba(caller, id, MANAGEMENT)?;
    turn.require_system_user(caller)?;
    let user = known_user(turn)?;
    turn.waba_mut(caller, id, MANAGEMENT)?.assigned_users.remove(&user);
    success()
}

fn known_user(turn: &Turn<'_>) -> Result<String, GraphError> {
    let user = turn.request.required("user")?;
    if user == turn.config.system_user_id {
        Ok(user)
    } else {
        Err(GraphError::parameter("Param user must be a system user of the partner's portfolio"))
    }
}

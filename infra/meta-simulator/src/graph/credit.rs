//! The partner's credit line: one allocation per client business, attached to its WABAs.

use serde_json::{Value, json};

use super::auth::Caller;
use super::error::GraphError;
use super::fields::{Node, page, select};
use super::{Answer, MANAGEMENT, Turn, success};
use crate::random;
use crate::state::{Allocation, Waba};

/// Billing currencies that the guide lists (share and revoke credit lines, May 2026).
const CURRENCIES: [&str; 6] = ["AUD", "EUR", "GBP", "IDR", "INR", "USD"];

/// `GET /{partner}/extendedcredits`.
pub(super) fn lines(turn: &Turn<'_>, caller: &Caller) -> Answer {
    turn.require_system_user(caller)?;
    let mut line = Node::new();
    line.insert("id".into(), json!(turn.config.credit_line_id));
    line.insert("legal_entity_name".into(), json!("Local Partner Ltd"));
    line.insert(
        "owner_business".into(),
        json!({"id": turn.config.partner_business_id, "name": "Local Partner"}),
    );
    line.insert("is_access_revoked".into(), json!(false));
    page(&[line], turn.request, &["id", "legal_entity_name"], &turn.address())
}

/// `POST /{credit}/whatsapp_credit_sharing_and_attach?waba_currency&waba_id`.
pub(super) fn share_and_attach(turn: &mut Turn<'_>, caller: &Caller) -> Answer {
    turn.require_system_user(caller)?;
    let (waba_id, currency) = waba_and_currency(turn)?;
    let waba = turn.waba(caller, &waba_id, MANAGEMENT)?;
    if !waba.assigned_users.contains_key(&turn.config.system_user_id) {
        return Err(GraphError::permission(
            "Permissions error: the system user is not assigned to the WhatsApp Business Account",
        ));
    }
    let business_id = waba.business_id.clone();
    refuse_second_line(turn, &waba_id)?;
    let allocation = allocation_for(turn, &business_id);
    attach_to(turn, &waba_id, &allocation, &currency)?;
    Ok(json!({"allocation_config_id": allocation, "waba_id": waba_id}))
}

/// `POST /{credit}/whatsapp_credit_sharing?receiving_business_id`: first of the two calls.
pub(super) fn share(turn: &mut Turn<'_>, caller: &Caller) -> Answer {
    turn.require_system_user(caller)?;
    let business_id = turn.request.required("receiving_business_id")?;
    if !turn.state.businesses.contains_key(&business_id) {
        return Err(GraphError::parameter("Param receiving_business_id must be a client business"));
    }
    if active_allocation(turn, &business_id).is_some() {
        return Err(already_shared());
    }
    let allocation = allocation_for(turn, &business_id);
    Ok(json!({"success": true, "allocation_config_id": allocation}))
}

/// `POST /{credit}/whatsapp_credit_attach?waba_currency&waba_id`: the second, with the client's token.
pub(super) fn attach(turn: &mut Turn<'_>, caller: &Caller) -> Answer {
    let Caller::Business { business_id, .. } = caller else {
        return Err(GraphError::permission("Use the business token of the client for this call"));
    };
    let (waba_id, currency) = waba_and_currency(turn)?;
    turn.waba(caller, &waba_id, MANAGEMENT)?;
    let allocation = active_allocation(turn, business_id).ok_or_else(|| {
        GraphError::parameter("The credit line is not shared with this business; share it first")
    })?;
    refuse_second_line(turn, &waba_id)?;
    attach_to(turn, &waba_id, &allocation, &currency)?;
    Ok(json!({"success": true, "waba_id": waba_id, "allocation_config_id": allocation}))
}

fn waba_and_currency(turn: &Turn<'_>) -> Result<(String, String), GraphError> {
    let currency = turn.request.required("waba_currency")?;
    if !CURRENCIES.contains(&currency.as_str()) {
        return Err(GraphError::parameter(format_args!(
            "Param waba_currency must be one of {{{}}}",
            CURRENCIES.join(", ")
        )));
    }
    Ok((turn.request.required("waba_id")?, currency))
}

fn refuse_second_line(turn: &mut Turn<'_>, waba_id: &str) -> Result<(), GraphError> {
    match turn.state.wabas.get_mut(waba_id) {
        Some(waba) if waba.primary_funding_id.is_some() => {
            waba.refused_credit_calls += 1;
            Err(already_shared())
        }
        _ => Ok(()),
    }
}

fn already_shared() -> GraphError {
    GraphError::new(400, 100, "Invalid parameter").subcode(1_752_269).details(
        "A credit line is already shared with this account. Read owning_credit_allocation_configs before sharing.",
    )
}

fn active_allocation(turn: &Turn<'_>, business_id: &str) -> Option<String> {
    let mut active =
        turn.state.allocations.values().filter(|a| !a.deleted && a.receiving_business == business_id);
    active.next().map(|allocation| allocation.id.clone())
}

/// The business's active allocation; a new one if there is none.
fn allocation_for(turn: &mut Turn<'_>, business_id: &str) -> String {
    if let Some(id) = active_allocation(turn, business_id) {
        return id;
    }
    let id = random::object_id();
    let allocation = Allocation {
        id: id.clone(),
        receiving_business: business_id.to_owned(),
        receiving_credential: random::object_id(),
        currency: None,
        deleted: false,
    };
    turn.state.allocations.insert(id.clone(), allocation);
    id
}

fn attach_to(
    turn: &mut Turn<'_>,
    waba_id: &str,
    allocation_id: &str,
    currency: &str,
) -> Result<(), GraphError> {
    let allocation = turn
        .state
        .allocations
        .get_mut(allocation_id)
        .ok_or_else(|| GraphError::unsupported("post", allocation_id))?;
    allocation.currency = Some(currency.to_owned());
    let credential = allocation.receiving_credential.clone();
    let waba: &mut Waba =
        turn.state.wabas.get_mut(waba_id).ok_or_else(|| GraphError::unsupported("post", waba_id))?;
    waba.currency = Some(currency.to_owned());
    waba.primary_funding_id = Some(credential);
    waba.allocations.push(allocation_id.to_owned());
    Ok(())
}

/// `GET /{credit}/owning_credit_allocation_configs?receiving_business_id&fields`: those in force.
pub(super) fn allocations(turn: &Turn<'_>, caller: &Caller) -> Answer {
    turn.require_system_user(caller)?;
    let business = turn.request.text("receiving_business_id");
    let of_business = |allocation: &&Allocation| {
        !allocation.deleted && business.as_ref().is_none_or(|id| *id == allocation.receiving_business)
    };
    let nodes: Vec<Node> = turn
        .state
        .allocations
        .values()
        .filter(of_business)
        .map(|allocation| fields(turn, allocation))
        .collect();
    page(&nodes, turn.request, &["id", "receiving_business"], &turn.address())
}

/// `GET /{allocation}`.
pub(super) fn read(turn: &Turn<'_>, caller: &Caller, id: &str) -> Answer {
    turn.require_system_user(caller)?;
    let allocation = turn.state.allocations.get(id).ok_or_else(|| GraphError::unsupported("get", id))?;
    select(&fields(turn, allocation), turn.request, &["id", "receiving_business"])
}

/// `DELETE /{allocation}`: takes the line from all WABAs of that business.
pub(super) fn revoke(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    turn.require_system_user(caller)?;
    let allocation =
        turn.state.allocations.get_mut(id).ok_or_else(|| GraphError::unsupported("delete", id))?;
    allocation.deleted = true;
    let credential = allocation.receiving_credential.clone();
    for waba in turn.state.wabas.values_mut() {
        if waba.primary_funding_id.as_ref() == Some(&credential) {
            waba.primary_funding_id = None;
        }
    }
    success()
}

fn fields(turn: &Turn<'_>, allocation: &Allocation) -> Node {
    let business = turn.state.businesses.get(&allocation.receiving_business);
    let name = business.map_or("", |business| business.name.as_str());
    let currency_amount =
        allocation.currency.as_ref().map(|currency| json!({"currency": currency, "amount": "0"}));
    let entries = [
        ("id", json!(allocation.id)),
        ("receiving_business", json!({"name": name, "id": allocation.receiving_business})),
        ("receiving_credential", json!({"id": allocation.receiving_credential})),
        ("request_status", json!(if allocation.deleted { "DELETED" } else { "ACTIVE" })),
        ("owning_business", json!({"id": turn.config.partner_business_id, "name": "Local Partner"})),
        ("owning_credential", json!({"id": turn.config.credit_line_id})),
        ("currency_amount", json!(currency_amount)),
        ("liability_type", json!("NORMAL")),
        ("partition_type", json!("AUTH")),
        ("send_bill_to", Value::Null),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

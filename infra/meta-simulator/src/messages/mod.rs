//! `POST /{phone}/messages`: checks as Meta's, the answer, and what the customer's phone then shows.

mod content;
mod interactive;
mod part;
mod template;

use serde_json::{Map, Value, json};

use crate::clock;
use crate::graph::auth::Caller;
use crate::graph::error::GraphError;
use crate::graph::{Answer, Turn};
use crate::random;
use crate::state::ChatMessage;
use crate::webhooks::{Effect, SentMessage};

use self::part::Part;

const MESSAGING: &str = "whatsapp_business_messaging";
/// Characters of `biz_opaque_callback_data`.
const CALLBACK_DATA: usize = 512;
/// How long the typing sign shows, unless an answer ends it.
const TYPING_MS: i64 = 25 * clock::SECOND_MS;

/// Whom a message goes to.
struct Recipient {
    wa_id: String,
    /// As the call wrote it.
    input: String,
    /// Set if the call named a BSUID and no phone.
    bsuid: Option<String>,
}

/// Sends a message, marks one as read, or shows the typing sign.
pub(crate) fn send(turn: &mut Turn<'_>, caller: &Caller, number_id: &str) -> Answer {
    let number = turn.number(caller, number_id, MESSAGING)?;
    let (own_digits, registered, on_biz_app) = (number.digits(), number.registered, number.on_biz_app);
    let waba_id = number.waba_id.clone();
    require_assignment(turn, caller, &waba_id)?;
    let request = turn.request;
    request.require_whatsapp()?;
    if !registered {
        return Err(GraphError::not_registered());
    }
    let body = Part::root(&request.params);
    if request.params.contains_key("status") {
        return mark(turn, number_id);
    }
    let business_id = turn.waba(caller, &waba_id, MESSAGING)?.business_id.clone();
    let recipient = recipient(turn, &body, &own_digits, &business_id)?;
    let callback_data = body.optional_text("biz_opaque_callback_data", CALLBACK_DATA)?.map(str::to_owned);
    let kind = content::check(turn.state, number_id, &body)?;
    let category = category(turn, &waba_id, number_id, &recipient, &kind, &body)?;
    let now = turn.state.now_ms();
    turn.limits.take(number_id, on_biz_app, &recipient.wa_id, now)?;

    let wamid = random::wamid(&recipient.wa_id);
    show(turn, number_id, &recipient, &wamid, &kind);
    let sent = SentMessage {
        wamid: wamid.clone(),
        number_id: number_id.to_owned(),
        waba_id,
        business_id,
        wa_id: recipient.wa_id.clone(),
        to_bsuid: recipient.bsuid.is_some(),
        callback_data,
        category,
        reaction: kind == "reaction",
        failure: turn.fail_later.clone(),
    };
    let statuses = sent.statuses(turn.state);
    turn.effects.extend(statuses.into_iter().map(Effect::Post));
    Ok(accepted(&recipient, &wamid, &kind))
}

/// A system user needs the WABA assigned to it; a business token covers its own.
fn require_assignment(turn: &Turn<'_>, caller: &Caller, waba_id: &str) -> Result<(), GraphError> {
    let assigned = turn
        .state
        .wabas
        .get(waba_id)
        .is_some_and(|waba| waba.assigned_users.contains_key(&turn.config.system_user_id));
    match caller {
        Caller::SystemUser if !assigned => {
            Err(GraphError::new(403, 10, "(#10) Application does not have permission for this action"))
        }
        _ => Ok(()),
    }
}

/// A read receipt, with or without the typing sign.
fn mark(turn: &mut Turn<'_>, number_id: &str) -> Answer {
    let request = turn.request;
    let body = Part::root(&request.params);
    if body.required_text("status", 16)? != "read" {
        return Err(GraphError::invalid_parameter("status must be 'read'."));
    }
    let wamid = body.required_text("message_id", 512)?;
    let typing = body.optional("typing_indicator");
    if let Some(typing) = &typing {
        typing.one_of("type", &["text"])?;
    }
    let now = turn.state.now_ms();
    let customer = turn
        .state
        .writer(wamid, number_id)
        .ok_or_else(|| GraphError::invalid_value("message_id is not the id of a message to this number."))?;
    customer.mark_read(wamid, number_id, &clock::rfc3339(now));
    if typing.is_some() {
        customer.typing.insert(number_id.to_owned(), now + TYPING_MS);
    }
    Ok(json!({"success": true}))
}

fn recipient(
    turn: &Turn<'_>,
    body: &Part<'_>,
    own_digits: &str,
    business_id: &str,
) -> Result<Recipient, GraphError> {
    if body.optional_text("recipient_type", 16)?.is_some_and(|kind| kind != "individual") {
        return Err(GraphError::invalid_parameter(
            "recipient_type must be 'individual' here: groups are not simulated.",
        ));
    }
    let recipient = if let Some(to) = body.optional_text("to", 64)? {
        Recipient { wa_id: phone_number(to)?, input: to.to_owned(), bsuid: None }
    } else if let Some(bsuid) = body.optional_text("recipient", 160)? {
        let undeliverable = || {
            GraphError::new(400, 131_026, "(#131026) Message undeliverable")
                .details("recipient is not a user id that this business portfolio knows.")
        };
        let wa_id = turn.state.customer_by_bsuid(bsuid, business_id).ok_or_else(undeliverable)?;
        Recipient { wa_id, input: bsuid.to_owned(), bsuid: Some(bsuid.to_owned()) }
    } else {
        return Err(GraphError::missing("Parameter 'to' or 'recipient' is missing."));
    };
    if recipient.wa_id == own_digits {
        return Err(GraphError::new(400, 131_021, "(#131021) Recipient cannot be sender")
            .details("to: sender and recipient phone number are the same."));
    }
    Ok(recipient)
}

/// Digits of a phone number; plus sign, blanks, hyphens, dots and brackets may be there.
fn phone_number(given: &str) -> Result<String, GraphError> {
    let wa_id: String = given.chars().filter(|c| !matches!(c, '+' | ' ' | '-' | '(' | ')' | '.')).collect();
    if (7..=15).contains(&wa_id.len()) && wa_id.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(wa_id)
    } else {
        Err(GraphError::invalid_value("to is not a phone number."))
    }
}

/// The pricing category. Templates need somebody who pays; everything else needs an open window.
fn category(
    turn: &Turn<'_>,
    waba_id: &str,
    number_id: &str,
    recipient: &Recipient,
    kind: &str,
    body: &Part<'_>,
) -> Result<String, GraphError> {
    if kind != "template" {
        return match turn.state.window_is_open(&recipient.wa_id, number_id) {
            true => Ok("service".to_owned()),
            false => Err(GraphError::new(400, 131_047, "(#131047) Re-engagement message").details(
                "Message failed to send because more than 24 hours have passed since the customer last replied to this number.",
            )),
        };
    }
    let unseen = || GraphError::unsupported("post", number_id);
    let waba = turn.state.wabas.get(waba_id).ok_or_else(unseen)?;
    let template = template::check(&waba.templates, &body.required("template")?)?;
    if template.category == "AUTHENTICATION" && recipient.bsuid.is_some() {
        return Err(GraphError::new(
            400,
            131_062,
            "(#131062) Business-scoped user id not supported for this message",
        )
        .details("recipient: authentication templates need a phone number in 'to'."));
    }
    if waba.primary_funding_id.is_none() {
        return Err(GraphError::new(400, 131_042, "(#131042) Business eligibility payment issue")
            .details("Message failed to send because there is no payment method attached to this WhatsApp Business Account."));
    }
    Ok(template.category.to_lowercase())
}

/// Puts the message on the customer's phone.
fn show(turn: &mut Turn<'_>, number_id: &str, recipient: &Recipient, wamid: &str, kind: &str) {
    let params = &turn.request.params;
    let mut message = Map::new();
    message.insert("type".to_owned(), json!(kind));
    for name in [kind, "context"] {
        if let Some(value) = params.get(name) {
            message.insert(name.to_owned(), value.clone());
        }
    }
    let at = clock::rfc3339(turn.state.now_ms());
    turn.state.customer(&recipient.wa_id).show(ChatMessage {
        wamid: wamid.to_owned(),
        from: number_id.to_owned(),
        to: recipient.wa_id.clone(),
        message: Value::Object(message),
        at,
        read_at: None,
    });
}

fn accepted(recipient: &Recipient, wamid: &str, kind: &str) -> Value {
    let contact = match &recipient.bsuid {
        Some(bsuid) => json!({"input": recipient.input, "user_id": bsuid}),
        None => json!({"input": recipient.input, "wa_id": recipient.wa_id}),
    };
    let message = match kind {
        "template" => json!({"id": wamid, "message_status": "accepted"}),
        _ => json!({"id": wamid}),
    };
    json!({"messaging_product": "whatsapp", "contacts": [contact], "messages": [message]})
}

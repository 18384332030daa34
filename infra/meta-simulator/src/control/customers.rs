//! Customers' phones: writing to a business, and looking at the screen.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::refuse;
use crate::graph::media;
use crate::state::{self, ChatMessage};
use crate::webhooks::{self, Effect, InboundMessage};
use crate::world::World;
use crate::{clock, random};

/// The same webhook is delivered at most so many times.
const MOST_COPIES: u32 = 1_000;

/// What a phone sends if it is given no file: the type, and bytes that begin as that type's do.
fn small_file(kind: &str) -> (&'static str, &'static [u8]) {
    match kind {
        "image" => ("image/jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\xff\xd9"),
        "video" => ("video/mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"),
        "audio" => ("audio/ogg; codecs=opus", b"OggS\0\x02\0\0\0\0\0\0\0\0OpusHead"),
        "sticker" => ("image/webp", b"RIFF\x12\0\0\0WEBPVP8L\x05\0\0\0\x2f\0\0\0\0\0"),
        _ => ("application/pdf", b"%PDF-1.4\n%%EOF\n"),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Write {
    to: String,
    message: Map<String, Value>,
    repeat: Option<u32>,
    #[serde(default)]
    bsuid_only: bool,
}

/// `POST /_sim/customers/{waId}/messages`.
pub(super) async fn write(
    State(world): State<Arc<World>>,
    Path(wa_id): Path<String>,
    body: Bytes,
) -> super::Reply {
    let write: Write = serde_json::from_slice(&body)
        .map_err(|error| refuse(StatusCode::BAD_REQUEST, format!("This is not a message: {error}")))?;
    let wa_id = digits(&wa_id);
    if wa_id.is_empty() {
        return Err(refuse(StatusCode::BAD_REQUEST, "The customer in the address must be a phone number."));
    }
    let wamid = random::wamid(&wa_id);
    let post = {
        let mut state = world.state();
        let Some(number) = state.numbers.get(&write.to) else {
            return Err(refuse(
                StatusCode::NOT_FOUND,
                "to is not a phone number id that the simulator knows.",
            ));
        };
        let (waba_id, own_digits) = (number.waba_id.clone(), number.digits());
        let Some(business_id) = state.wabas.get(&waba_id).map(|waba| waba.business_id.clone()) else {
            return Err(refuse(StatusCode::NOT_FOUND, "The number's WABA is gone."));
        };
        let message = complete(&mut state, &world.base_url, &write.to, &own_digits, write.message);
        remember(&mut state, &wa_id, &write.to, &wamid, &message);
        let inbound = InboundMessage {
            wa_id: &wa_id,
            number_id: &write.to,
            waba_id: &waba_id,
            business_id: &business_id,
            wamid: &wamid,
            bsuid_only: write.bsuid_only,
            message: &message,
        };
        let mut post = inbound.post(&mut state);
        post.copies = write.repeat.unwrap_or(1).clamp(1, MOST_COPIES);
        post
    };
    world.changed();
    webhooks::start(&world, vec![Effect::Post(post)]);
    Ok(Json(json!({ "wamid": wamid })))
}

/// Fills in what a phone would: the type, ids of files, the owner of a quoted message.
fn complete(
    state: &mut state::State,
    base_url: &str,
    number_id: &str,
    own_digits: &str,
    mut message: Map<String, Value>,
) -> Map<String, Value> {
    message.remove("id");
    let kind = message.get("type").and_then(Value::as_str).unwrap_or("text").to_owned();
    message.insert("type".to_owned(), json!(kind));
    if let Some(Value::String(body)) = message.get("text") {
        message["text"] = json!({ "body": body });
    }
    if matches!(kind.as_str(), "image" | "video" | "audio" | "document" | "sticker") {
        attach_file(state, base_url, number_id, &kind, &mut message);
    }
    if let Some(context) = message.get_mut("context").and_then(Value::as_object_mut)
        && let Some(quoted) = context.remove("message_id").or_else(|| context.remove("id"))
    {
        context.insert("from".to_owned(), json!(own_digits));
        context.insert("id".to_owned(), quoted);
    }
    message
}

/// A file for a media message: `data` in base64 if given, else a very small one; with the hash that is given.
fn attach_file(
    state: &mut state::State,
    base_url: &str,
    number_id: &str,
    kind: &str,
    message: &mut Map<String, Value>,
) {
    let mut object = message.get(kind).and_then(Value::as_object).cloned().unwrap_or_default();
    if object.contains_key("id") {
        return;
    }
    let data = object.remove("data").and_then(|data| STANDARD.decode(data.as_str()?).ok());
    let (default_type, small) = small_file(kind);
    let bytes = data.unwrap_or_else(|| small.to_vec());
    let mime_type = object.get("mime_type").and_then(Value::as_str).unwrap_or(default_type).to_owned();
    // A given hash stays: so a test lets it be the wrong one.
    let told = object.get("sha256").and_then(Value::as_str).map(str::to_owned);
    let sha256 = told.unwrap_or_else(|| STANDARD.encode(<sha2::Sha256 as sha2::Digest>::digest(&bytes)));
    let id = media::keep_inbound(state, number_id, &mime_type, Bytes::from(bytes));
    let url = media::link(state, base_url, &id);
    object.extend([
        ("mime_type".to_owned(), json!(mime_type)),
        ("sha256".to_owned(), json!(sha256)),
        ("id".to_owned(), json!(id)),
        ("url".to_owned(), json!(url)),
    ]);
    message.insert(kind.to_owned(), Value::Object(object));
}

/// The phone shows it, and the window is open from now on.
fn remember(
    state: &mut state::State,
    wa_id: &str,
    number_id: &str,
    wamid: &str,
    message: &Map<String, Value>,
) {
    let now = state.now_ms();
    let customer = state.customer(wa_id);
    customer.last_inbound_ms.insert(number_id.to_owned(), now);
    customer.show(ChatMessage {
        wamid: wamid.to_owned(),
        from: wa_id.to_owned(),
        to: number_id.to_owned(),
        message: Value::Object(message.clone()),
        at: clock::rfc3339(now),
        read_at: None,
    });
}

/// `GET /_sim/customers/{waId}/messages`.
pub(super) async fn chat(State(world): State<Arc<World>>, Path(wa_id): Path<String>) -> Json<Value> {
    let state = world.state();
    let now = state.now_ms();
    let Some(customer) = state.customers.get(&digits(&wa_id)) else {
        return Json(json!({"items": [], "typing": {}}));
    };
    let typing = customer.typing.iter().filter(|(_, until)| **until > now);
    let typing: Map<String, Value> =
        typing.map(|(number, until)| (number.clone(), json!(clock::rfc3339(*until)))).collect();
    Json(json!({"items": customer.chat, "typing": typing}))
}

fn digits(wa_id: &str) -> String {
    wa_id.chars().filter(char::is_ascii_digit).collect()
}

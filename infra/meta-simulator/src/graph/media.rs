//! Files: upload, look-up, download, delete.

use axum::body::Bytes;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::auth::{self, Caller};
use super::error::GraphError;
use super::{Answer, MESSAGING, Turn, success};
use crate::Config;
use crate::clock::{DAY_MS, MINUTE_MS};
use crate::random;
use crate::state::{Media, State};

/// How long a download address works (media page).
const LINK_LIFE_MS: i64 = 5 * MINUTE_MS;
/// How long an uploaded file's id works.
const UPLOAD_LIFE_MS: i64 = 30 * DAY_MS;
/// How long the id of a file from a webhook works.
const INBOUND_LIFE_MS: i64 = 7 * DAY_MS;

const KB: usize = 1024;
const MB: usize = 1024 * KB;

/// The largest file of a type that a business may upload; `None` = the type is not supported.
fn limit_of(mime_type: &str) -> Option<usize> {
    match mime_type {
        "audio/aac" | "audio/amr" | "audio/mpeg" | "audio/mp4" | "audio/ogg" => Some(16 * MB),
        "image/jpeg" | "image/png" => Some(5 * MB),
        "image/webp" => Some(500 * KB),
        "video/mp4" | "video/3gpp" => Some(16 * MB),
        "text/plain" | "application/pdf" => Some(100 * MB),
        "application/vnd.ms-excel"
        | "application/vnd.ms-powerpoint"
        | "application/msword"
        | "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        | "application/vnd.openxmlformats-officedocument.presentationml.presentation"
        | "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => Some(100 * MB),
        _ => None,
    }
}

/// `POST /{phone}/media`.
pub(super) fn upload(turn: &mut Turn<'_>, caller: &Caller, number_id: &str) -> Answer {
    turn.number(caller, number_id, MESSAGING)?;
    let request = turn.request;
    request.require_whatsapp()?;
    let file =
        request.file.as_ref().ok_or_else(|| GraphError::parameter("The parameter file is required."))?;
    let named = request.text("type").or_else(|| file.mime_type.clone()).unwrap_or_default();
    let mime_type = named.split(';').next().unwrap_or_default().trim().to_lowercase();
    let limit = limit_of(&mime_type).ok_or_else(|| {
        GraphError::parameter(format_args!(
            "Param file must be a file with one of the supported types; received file of type '{mime_type}'"
        ))
    })?;
    if file.bytes.is_empty() {
        return Err(GraphError::parameter("Param file must not be empty"));
    }
    if file.bytes.len() > limit {
        return Err(GraphError::new(400, 131_053, "(#131053) Media upload error")
            .details(format!("The file has {} bytes; {mime_type} may have {limit}.", file.bytes.len())));
    }
    let expires_ms = turn.state.now_ms() + UPLOAD_LIFE_MS;
    let id = keep(turn.state, number_id, &mime_type, file.bytes.clone(), expires_ms);
    Ok(json!({"id": id}))
}

/// Stores a file that a customer sent; its id.
pub(crate) fn keep_inbound(state: &mut State, number_id: &str, mime_type: &str, bytes: Bytes) -> String {
    let expires_ms = state.now_ms() + INBOUND_LIFE_MS;
    keep(state, number_id, mime_type, bytes, expires_ms)
}

fn keep(state: &mut State, number_id: &str, mime_type: &str, bytes: Bytes, expires_ms: i64) -> String {
    let now = state.now_ms();
    state.media.retain(|_, media| media.expires_ms > now);
    let id = random::object_id();
    let media = Media {
        number_id: number_id.to_owned(),
        mime_type: mime_type.to_owned(),
        sha256_hex: hex::encode(Sha256::digest(&bytes)),
        bytes,
        expires_ms,
        links: Vec::new(),
    };
    state.media.insert(id.clone(), media);
    id
}

/// `GET /{media}`: where to download it within the next five minutes.
pub(super) fn read(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    check(turn, caller, id)?;
    let url = link(turn.state, turn.base_url, id).ok_or_else(|| GraphError::unsupported("get", id))?;
    let media = turn.state.media.get(id).ok_or_else(|| GraphError::unsupported("get", id))?;
    Ok(json!({
        "url": url, "mime_type": media.mime_type, "sha256": media.sha256_hex, "file_size": media.bytes.len(),
        "id": id, "messaging_product": "whatsapp",
    }))
}

/// A fresh download address; `None` if there is no such file.
pub(crate) fn link(state: &mut State, base_url: &str, id: &str) -> Option<String> {
    let now = state.now_ms();
    let media = state.media.get_mut(id)?;
    let secret = random::alphanumeric(24);
    media.links.retain(|(_, until)| *until > now);
    media.links.push((secret.clone(), now + LINK_LIFE_MS));
    Some(format!("{base_url}/_media/{id}/{secret}"))
}

/// `DELETE /{media}`.
pub(super) fn delete(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    check(turn, caller, id)?;
    turn.state.media.remove(id);
    success()
}

/// The file must live, be visible to the token and, if the call says so, belong to that number.
fn check(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Result<(), GraphError> {
    let method = turn.request.method.to_string();
    let unseen = || GraphError::unsupported(&method, id);
    let now = turn.state.now_ms();
    let media = turn.state.media.get(id).filter(|media| media.expires_ms > now).ok_or_else(unseen)?;
    let number_id = media.number_id.clone();
    if turn.request.text("phone_number_id").is_some_and(|claimed| claimed != number_id) {
        return Err(unseen());
    }
    turn.number(caller, &number_id, MESSAGING).map(|_| ()).map_err(|_| unseen())
}

/// A download: type and bytes, or the HTTP status of the refusal.
pub(crate) fn download(
    config: &Config,
    state: &State,
    id: &str,
    secret: &str,
    token: Option<&str>,
) -> Result<(String, Bytes), u16> {
    let now = state.now_ms();
    let token = token.ok_or(401_u16)?;
    let media = state.media.get(id).ok_or(404_u16)?;
    if !media.links.iter().any(|(known, until)| known == secret && *until > now) {
        return Err(404);
    }
    let number = state.numbers.get(&media.number_id).ok_or(404_u16)?;
    let allowed = match auth::token_kind(config, state, Some(token)) {
        "system_user" => true,
        "business" => state
            .tokens
            .get(token)
            .is_some_and(|token| token.is_valid(now) && token.waba_ids.contains(&number.waba_id)),
        _ => false,
    };
    if allowed { Ok((media.mime_type.clone(), media.bytes.clone())) } else { Err(401) }
}

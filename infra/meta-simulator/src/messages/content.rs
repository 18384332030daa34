//! The content of a message, type by type, with the limits of Meta's message pages (2026-05).

use crate::graph::error::GraphError;
use crate::state::State;

use super::interactive;
use super::part::Part;

const TYPES: [&str; 11] = [
    "text",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "contacts",
    "reaction",
    "template",
    "interactive",
];

const CAPTION: usize = 1024;
/// Texts that Meta gives no limit for still have to end somewhere.
const FREE_TEXT: usize = 4096;

/// Checks the content; its type. Templates are checked against the WABA's own afterwards.
pub(super) fn check(state: &State, number_id: &str, body: &Part<'_>) -> Result<String, GraphError> {
    let kind = match body.has("type") {
        true => body.one_of("type", &TYPES)?,
        false => "text",
    };
    match kind {
        "text" => {
            let text = body.required("text")?;
            text.required_text("body", 4096)?;
            text.flag("preview_url")?;
        }
        "image" | "video" | "audio" | "document" | "sticker" => media(state, number_id, body, kind)?,
        "location" => location(&body.required("location")?)?,
        "contacts" => {
            for card in body.array("contacts", 1, 257)? {
                card.required("name")?.required_text("formatted_name", FREE_TEXT)?;
            }
        }
        "reaction" => reaction(&body.required("reaction")?)?,
        "interactive" => interactive::check(&body.required("interactive")?)?,
        _ => {
            body.required("template")?;
        }
    }
    context(body, kind)?;
    Ok(kind.to_owned())
}

fn media(state: &State, number_id: &str, body: &Part<'_>, kind: &str) -> Result<(), GraphError> {
    let media = body.required(kind)?;
    match (media.optional_text("id", 64)?, media.optional_text("link", 2000)?) {
        (Some(id), None) => {
            let now = state.now_ms();
            let own = |media: &&crate::state::Media| media.number_id == number_id && media.expires_ms > now;
            if state.media.get(id).filter(own).is_none() {
                return Err(GraphError::invalid_parameter(format!(
                    "Param {kind}.id is not a valid media attachment id of this phone number."
                )));
            }
        }
        (None, Some(link)) => {
            if !is_web_address(link) {
                return Err(GraphError::invalid_parameter(format!(
                    "Param {kind}.link must be an http or https address."
                )));
            }
        }
        (Some(_), Some(_)) => {
            return Err(GraphError::invalid_parameter(format!(
                "Param {kind} must have either id or link, not both."
            )));
        }
        (None, None) => return Err(media.missing("id")),
    }
    match kind {
        "audio" | "sticker" => media.forbid("caption")?,
        _ => {
            media.optional_text("caption", CAPTION)?;
        }
    }
    match kind {
        "document" => media.optional_text("filename", FREE_TEXT).map(|_| ()),
        "audio" => media.flag("voice"),
        _ => media.forbid("filename"),
    }
}

pub(super) fn is_web_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

fn location(location: &Part<'_>) -> Result<(), GraphError> {
    location.number("latitude", 90.0)?;
    location.number("longitude", 180.0)?;
    location.optional_text("name", FREE_TEXT)?;
    location.optional_text("address", FREE_TEXT)?;
    Ok(())
}

fn reaction(reaction: &Part<'_>) -> Result<(), GraphError> {
    reaction.required_text("message_id", 512)?;
    // An empty emoji takes the reaction back, so it may be empty but not absent.
    reaction.optional_text("emoji", 32)?.ok_or_else(|| reaction.missing("emoji")).map(|_| ())
}

fn context(body: &Part<'_>, kind: &str) -> Result<(), GraphError> {
    if !body.has("context") {
        return Ok(());
    }
    if kind == "reaction" {
        return Err(GraphError::invalid_parameter("context cannot be used with reactions."));
    }
    body.required("context")?.required_text("message_id", 512).map(|_| ())
}

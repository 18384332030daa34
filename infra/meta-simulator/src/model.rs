//! A language model that answers predictably, behind OpenAI's interface.

use axum::body::Bytes;
use axum::http::Method;
use axum::http::request::Parts;
use serde_json::{Value, json};

use crate::api::Reply;
use crate::graph::request::bearer;
use crate::{clock, random};

/// Where it is.
pub(crate) const PATH: &str = "/v1/chat/completions";

/// `POST /v1/chat/completions`: `You said: ` and the last text of the user.
pub(crate) fn complete(parts: &Parts, body: &Bytes) -> Reply {
    if parts.method != Method::POST {
        return refusal(405, "Only POST is allowed here.", "method_not_allowed");
    }
    if bearer(parts).is_none() {
        return refusal(401, "You didn't provide an API key. Send it as a bearer token.", "missing_api_key");
    }
    let Ok(request) = serde_json::from_slice::<Value>(body) else {
        return refusal(400, "The body is not JSON.", "invalid_json");
    };
    match answer(&request) {
        Ok(value) => Reply::json(200, &value),
        Err(what) => refusal(400, &what, "invalid_request"),
    }
}

/// An error in OpenAI's form.
pub(crate) fn refusal(status: u16, message: &str, code: &str) -> Reply {
    let kind = if status >= 500 { "server_error" } else { "invalid_request_error" };
    let error = json!({"message": message, "type": kind, "param": null, "code": code});
    Reply::json(status, &json!({ "error": error }))
}

fn answer(request: &Value) -> Result<Value, String> {
    let model = request["model"].as_str().ok_or("model must be a string.")?;
    let messages = request["messages"].as_array().filter(|all| !all.is_empty());
    let messages = messages.ok_or("messages must be an array with at least one message.")?;
    if request["stream"] == true {
        return Err("stream is not supported by this simulator.".to_owned());
    }
    let mut prompt_words = 0;
    let mut said = None;
    for (index, message) in messages.iter().enumerate() {
        let role =
            message["role"].as_str().ok_or_else(|| format!("messages[{index}].role must be a string."))?;
        let text = text_of(&message["content"]).ok_or_else(|| {
            format!("messages[{index}].content must be a string or an array of text parts.")
        })?;
        prompt_words += words(&text);
        if role == "user" {
            said = Some(text);
        }
    }
    let said = said.ok_or("messages must hold a message of the user.")?;
    let content = format!("You said: {said}");
    let completion_words = words(&content);
    Ok(json!({
        "id": format!("chatcmpl-{}", random::alphanumeric(24)),
        "object": "chat.completion",
        "created": clock::wall_ms() / clock::SECOND_MS,
        "model": model,
        "choices": [{
            "index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": prompt_words, "completion_tokens": completion_words,
            "total_tokens": prompt_words + completion_words},
    }))
}

fn text_of(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            parts.iter().map(|part| part["text"].as_str()).collect::<Option<Vec<_>>>().map(|t| t.join(""))
        }
        _ => None,
    }
}

/// Tokens, near enough: one for each word.
fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

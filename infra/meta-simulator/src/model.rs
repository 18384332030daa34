//! A language model that answers predictably, behind OpenAI's interface and that of Amazon Bedrock.

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{Method, header};
use serde_json::{Value, json};

use crate::api::Reply;
use crate::graph::request::{bearer, header_text};
use crate::{clock, random};

/// How it is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `POST /v1/chat/completions`.
    Chat,
    /// `POST /model/{id}/converse`.
    Converse,
}

/// The protocol of this path, if it is a model's.
pub(crate) fn protocol(path: &str) -> Option<Protocol> {
    if path == "/v1/chat/completions" {
        return Some(Protocol::Chat);
    }
    let id = path.strip_prefix("/model/")?.strip_suffix("/converse")?;
    (!id.is_empty() && !id.contains('/')).then_some(Protocol::Converse)
}

/// What a model hears: who said what, with how many files.
struct Heard {
    role: String,
    text: String,
    files: usize,
}

/// `You said: ` and the last text of the user, and how many files came with it.
pub(crate) fn complete(protocol: Protocol, parts: &Parts, body: &Bytes) -> Reply {
    if parts.method != Method::POST {
        return refusal(protocol, 405, "Only POST is allowed here.", "method_not_allowed");
    }
    if !may_ask(protocol, parts) {
        let status = if protocol == Protocol::Chat { 401 } else { 403 };
        let message = "You didn't provide an API key, or a request that is signed for bedrock.";
        return refusal(protocol, status, message, "missing_api_key");
    }
    let Ok(request) = serde_json::from_slice::<Value>(body) else {
        return refusal(protocol, 400, "The body is not JSON.", "invalid_json");
    };
    let answer = match protocol {
        Protocol::Chat => chat(&request),
        Protocol::Converse => converse(&request),
    };
    match answer {
        Ok(value) => Reply::json(200, &value),
        Err(what) => refusal(protocol, 400, &what, "invalid_request"),
    }
}

/// Any key, and any signature for the service, will do.
fn may_ask(protocol: Protocol, parts: &Parts) -> bool {
    match protocol {
        Protocol::Chat => bearer(parts).is_some(),
        Protocol::Converse => header_text(parts, &header::AUTHORIZATION).is_some_and(|signed| {
            signed.starts_with("AWS4-HMAC-SHA256 ") && signed.contains("/bedrock/aws4_request")
        }),
    }
}

/// An error in the protocol's form.
pub(crate) fn refusal(protocol: Protocol, status: u16, message: &str, code: &str) -> Reply {
    if protocol == Protocol::Converse {
        return Reply::json(status, &json!({ "message": message }));
    }
    let kind = if status >= 500 { "server_error" } else { "invalid_request_error" };
    let error = json!({"message": message, "type": kind, "param": null, "code": code});
    Reply::json(status, &json!({ "error": error }))
}

fn chat(request: &Value) -> Result<Value, String> {
    let model = request["model"].as_str().ok_or("model must be a string.")?;
    if request["stream"] == true {
        return Err("stream is not supported by this simulator.".to_owned());
    }
    let heard = messages(request)?;
    let (said, prompt) = (said(&heard)?, tokens(&heard));
    let completion = words(&said);
    Ok(json!({
        "id": format!("chatcmpl-{}", random::alphanumeric(24)),
        "object": "chat.completion",
        "created": clock::wall_ms() / clock::SECOND_MS,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
    }))
}

/// A conversation begins with the user, and the roles alternate (Amazon Bedrock, API reference, Converse, 2026).
fn converse(request: &Value) -> Result<Value, String> {
    let heard = messages(request)?;
    let expected = ["user", "assistant"].into_iter().cycle();
    if !heard.iter().zip(expected).all(|(message, role)| message.role == role) {
        return Err("A conversation must start with a user message, and roles must alternate.".to_owned());
    }
    let system = request["system"].as_array().into_iter().flatten();
    let system: usize = system.filter_map(|block| block["text"].as_str()).map(words).sum();
    let (said, input) = (said(&heard)?, system + tokens(&heard));
    let output = words(&said);
    Ok(json!({
        "output": {"message": {"role": "assistant", "content": [{"text": said}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": input, "outputTokens": output, "totalTokens": input + output},
        "metrics": {"latencyMs": 1},
    }))
}

fn messages(request: &Value) -> Result<Vec<Heard>, String> {
    let messages = request["messages"].as_array().filter(|all| !all.is_empty());
    let messages = messages.ok_or("messages must be an array with at least one message.")?;
    messages.iter().enumerate().map(|(index, message)| heard(index, message)).collect()
}

fn heard(index: usize, message: &Value) -> Result<Heard, String> {
    let role = message["role"].as_str().ok_or_else(|| format!("messages[{index}].role must be a string."))?;
    let blocks = match &message["content"] {
        Value::String(text) => vec![json!({ "text": text })],
        Value::Array(blocks) if !blocks.is_empty() => blocks.clone(),
        _ => return Err(format!("messages[{index}].content must be a string or an array of parts.")),
    };
    let mut heard = Heard { role: role.to_owned(), text: String::new(), files: 0 };
    for block in &blocks {
        match block["text"].as_str() {
            Some(text) => heard.text.push_str(text),
            None if is_file(block) => heard.files += 1,
            None => return Err(format!("messages[{index}].content has a part that is no text and no file.")),
        }
    }
    Ok(heard)
}

/// A part of OpenAI's or a block of Bedrock's.
fn is_file(block: &Value) -> bool {
    ["image_url", "input_audio", "file", "image", "audio", "document"]
        .iter()
        .any(|kind| block.get(kind).is_some_and(Value::is_object))
}

fn said(heard: &[Heard]) -> Result<String, String> {
    let last = heard.iter().rfind(|message| message.role == "user");
    let last = last.ok_or("messages must hold a message of the user.")?;
    Ok(match last.files {
        0 => format!("You said: {}", last.text),
        files => format!("You said: {} (files: {files})", last.text),
    })
}

fn tokens(heard: &[Heard]) -> usize {
    heard.iter().map(|message| words(&message.text)).sum()
}

/// Tokens, near enough: one for each word.
fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

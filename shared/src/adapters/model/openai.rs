//! OpenAI's chat completions, which many others speak, too.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{Answered, Call, MAX_TOKENS, address, below, sensitive, system, written};
use crate::domain::model::Model;
use crate::domain::secret::ModelKey;
use crate::error::ConfigError;
use crate::ports::{Attachment, Prompt, Turn};

/// A model behind such an address.
#[derive(Debug)]
pub(super) struct OpenAi {
    address: Url,
    authorization: Option<HeaderValue>,
}

impl OpenAi {
    pub(super) fn new(model: &Model, key: Option<&ModelKey>) -> Result<Self, ConfigError> {
        let base = address(model, model.base_url.as_deref().unwrap_or_default())?;
        let authorization = key
            .map(|key| sensitive(format!("Bearer {}", key.expose())).expect("a model key is visible ASCII"));
        Ok(Self { address: below(base, &["chat", "completions"]), authorization })
    }

    pub(super) fn call(&self, model: &Model, prompt: &Prompt) -> Call {
        let system = json!({"role": "system", "content": system(prompt)});
        let messages: Vec<Value> = std::iter::once(system).chain(prompt.turns.iter().map(message)).collect();
        let body = json!({"model": model.id, "messages": messages, "max_tokens": MAX_TOKENS});
        let headers = self.authorization.iter().map(|value| (AUTHORIZATION, value.clone()));
        Call { address: self.address.clone(), headers: HeaderMap::from_iter(headers), body: written(&body) }
    }
}

fn message(turn: &Turn) -> Value {
    let role = if turn.from_customer { "user" } else { "assistant" };
    let files: Vec<Value> = turn.files.iter().filter_map(part).collect();
    if files.is_empty() {
        return json!({"role": role, "content": turn.text});
    }
    let text = json!({"type": "text", "text": turn.text});
    let content: Vec<Value> = std::iter::once(text).chain(files).collect();
    json!({"role": role, "content": content})
}

/// A file as a part of a message, if there is a form for it: pictures, WAV and MP3, PDF (OpenAI, API
/// reference, chat completions, 2026). A voice message of WhatsApp is OGG, for which there is none.
fn part(file: &Attachment) -> Option<Value> {
    let data = || STANDARD.encode(&file.bytes);
    let url = || format!("data:{};base64,{}", file.mime_type, data());
    match file.mime_type.as_str() {
        "image/jpeg" | "image/png" | "image/webp" | "image/gif" => {
            Some(json!({"type": "image_url", "image_url": {"url": url()}}))
        }
        "audio/mpeg" => Some(audio("mp3", &data())),
        "audio/wav" | "audio/x-wav" => Some(audio("wav", &data())),
        // The customer's name of it is in the text already.
        "application/pdf" => {
            Some(json!({"type": "file", "file": {"filename": "document.pdf", "file_data": url()}}))
        }
        _ => None,
    }
}

fn audio(format: &str, data: &str) -> Value {
    json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
}

pub(super) fn read(body: &[u8]) -> serde_json::Result<Answered> {
    let answer: Answer = serde_json::from_slice(body)?;
    let content = answer.choices.into_iter().next().and_then(|choice| choice.message.content);
    let usage = answer.usage.unwrap_or_default();
    Ok(Answered {
        text: content.unwrap_or_default(),
        prompt_tokens: usage.prompt_tokens,
        completion_tokens: usage.completion_tokens,
    })
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    /// Absent or `null` where the model refused or wanted to call a tool.
    content: Option<String>,
}

#[derive(Deserialize, Default)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

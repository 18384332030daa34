//! Amazon Bedrock, by its Converse operation (Amazon Bedrock, API reference, 2026). It is one call, signed by
//! the signer that the AWS clients have anyway; a client of its own would make the function megabytes larger.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderName};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{Answered, Call, MAX_TOKENS, address, sensitive, system, written};
use crate::adapters::aws::Aws;
use crate::adapters::system::SystemClock;
use crate::domain::model::Model;
use crate::error::{ConfigError, ModelError, Source};
use crate::ports::{Attachment, Clock, Prompt};

/// How large a document may be, in bytes (Amazon Bedrock user guide, API restrictions, 2026).
const LARGEST_DOCUMENT: usize = 4_500_000;
/// How large a picture may be, in bytes; some models take larger ones (AWS CloudFormation, prompt version, 2026).
const LARGEST_IMAGE: usize = 3_750_000;

/// A model of Amazon Bedrock.
#[derive(Debug)]
pub(super) struct Bedrock {
    address: Url,
    region: String,
    credentials: Credentials,
}

impl Bedrock {
    pub(super) fn new(model: &Model, aws: &Aws) -> Result<Self, ConfigError> {
        let region = model.region.clone().unwrap_or_else(|| aws.region().to_owned());
        let base = match &model.base_url {
            Some(base) => address(model, base)?,
            None => address(model, &format!("https://bedrock-runtime.{region}.amazonaws.com"))?,
        };
        let mut address = base;
        // An id can be an ARN, with slashes and colons in it.
        address.set_path(&format!(
            "{}/model/{}/converse",
            address.path().trim_end_matches('/'),
            escaped(&model.id)
        ));
        Ok(Self { address, region, credentials: aws.credentials().clone() })
    }

    pub(super) fn call(&self, prompt: &Prompt) -> Result<Call, ModelError> {
        let body = json!({
            "system": [{"text": system(prompt)}],
            "messages": messages(prompt),
            "inferenceConfig": {"maxTokens": MAX_TOKENS},
        });
        let body = written(&body);
        let headers = self.signature(&body).map_err(ModelError::Unavailable)?;
        Ok(Call { address: self.address.clone(), headers, body })
    }

    /// The headers that sign a request with this body for now.
    fn signature(&self, body: &[u8]) -> Result<HeaderMap, Source> {
        let identity: Identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("bedrock")
            .time(SystemClock.now().into())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let headers = [("content-type", "application/json")].into_iter();
        let request =
            SignableRequest::new("POST", self.address.as_str(), headers, SignableBody::Bytes(body))?;
        let (instructions, _) = sign(request, &params)?.into_parts();
        let mut signed = HeaderMap::new();
        for header in instructions.into_parts().0 {
            signed.insert(HeaderName::from_static(header.name()), sensitive(header.value().to_owned())?);
        }
        Ok(signed)
    }
}

/// A path segment in which everything but letters, digits and `-_.~` is encoded.
fn escaped(segment: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    segment.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// The conversation. It begins with the customer and the roles alternate: turns in a row are one message.
fn messages(prompt: &Prompt) -> Vec<Value> {
    let mut messages: Vec<(bool, Vec<Value>)> = Vec::new();
    let mut documents = 0;
    for turn in prompt.turns.iter().skip_while(|turn| !turn.from_customer) {
        let mut content = vec![json!({"text": turn.text})];
        content.extend(turn.files.iter().filter_map(|file| block(file, &mut documents)));
        match messages.last_mut() {
            Some((from_customer, said)) if *from_customer == turn.from_customer => said.extend(content),
            _ => messages.push((turn.from_customer, content)),
        }
    }
    let role = |from_customer| if from_customer { "user" } else { "assistant" };
    messages
        .into_iter()
        .map(|(from_customer, content)| json!({"role": role(from_customer), "content": content}))
        .collect()
}

/// A file as a block of content, if there is a form for it. `documents` counts those that have a name.
fn block(file: &Attachment, documents: &mut usize) -> Option<Value> {
    let source = || json!({"bytes": STANDARD.encode(&file.bytes)});
    if let Some(format) = image(&file.mime_type).filter(|_| file.bytes.len() <= LARGEST_IMAGE) {
        return Some(json!({"image": {"format": format, "source": source()}}));
    }
    if let Some(format) = audio(&file.mime_type) {
        return Some(json!({"audio": {"format": format, "source": source()}}));
    }
    let format = document(&file.mime_type).filter(|_| file.bytes.len() <= LARGEST_DOCUMENT)?;
    *documents += 1;
    // Never the customer's own name of it: models take this name for an instruction.
    let name = format!("document {documents}");
    Some(json!({"document": {"format": format, "name": name, "source": source()}}))
}

fn image(mime_type: &str) -> Option<&'static str> {
    Some(match mime_type {
        "image/jpeg" => "jpeg",
        "image/png" => "png",
        "image/webp" => "webp",
        "image/gif" => "gif",
        _ => return None,
    })
}

fn audio(mime_type: &str) -> Option<&'static str> {
    Some(match mime_type {
        "audio/ogg" => "ogg",
        "audio/mpeg" => "mp3",
        "audio/aac" => "aac",
        "audio/mp4" => "mp4",
        "audio/wav" | "audio/x-wav" => "wav",
        _ => return None,
    })
}

fn document(mime_type: &str) -> Option<&'static str> {
    Some(match mime_type {
        "application/pdf" => "pdf",
        "application/msword" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.ms-excel" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        "text/csv" => "csv",
        "text/html" => "html",
        "text/plain" => "txt",
        "text/markdown" => "md",
        _ => return None,
    })
}

pub(super) fn read(body: &[u8]) -> serde_json::Result<Answered> {
    let answer: Answer = serde_json::from_slice(body)?;
    let blocks = answer.output.message.content.into_iter();
    // A model that thinks aloud has blocks without text.
    let texts: Vec<String> = blocks.filter_map(|block| block.text).collect();
    Ok(Answered {
        text: texts.join("\n"),
        prompt_tokens: answer.usage.input_tokens,
        completion_tokens: answer.usage.output_tokens,
    })
}

#[derive(Deserialize)]
struct Answer {
    output: Output,
    #[serde(default)]
    usage: Usage,
}

#[derive(Deserialize)]
struct Output {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Vec<Block>,
}

#[derive(Deserialize)]
struct Block {
    text: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Usage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

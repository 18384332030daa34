//! One call to the Graph API, with its parameters in one place: Graph takes them from the query, from a
//! form and from JSON alike.

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart};
use axum::http::request::Parts;
use axum::http::{Method, header};
use serde_json::{Map, Value};

use super::error::GraphError;

/// How the id of an upload begins, whose call carries bare bytes.
pub(crate) const UPLOAD: &str = "upload:";

/// A parsed call.
pub(crate) struct GraphRequest {
    pub(crate) method: Method,
    /// Path after the version, without slashes at its ends.
    pub(crate) path: String,
    /// Query, form and JSON members together; the body wins.
    pub(crate) params: Map<String, Value>,
    pub(crate) token: Option<String>,
    pub(crate) file: Option<UploadedFile>,
}

/// The `file` part of a multipart upload.
pub(crate) struct UploadedFile {
    pub(crate) mime_type: Option<String>,
    pub(crate) bytes: Bytes,
}

impl GraphRequest {
    /// Reads parameters and token. `path` is what follows the version.
    pub(crate) async fn read(parts: &Parts, body: Bytes, path: &str) -> Result<Self, GraphError> {
        let mut params = query(parts);
        let mut file = None;
        let content_type = header_text(parts, &header::CONTENT_TYPE).unwrap_or_default().to_lowercase();
        if path.trim_start_matches('/').starts_with(UPLOAD) {
            file = Some(UploadedFile { mime_type: None, bytes: body });
        } else if content_type.starts_with("multipart/form-data") {
            file = read_multipart(parts, body, &mut params).await?;
        } else {
            params.extend(body_members(&content_type, &body)?);
        }
        let token =
            bearer(parts).or_else(|| text(params.get("access_token")?).filter(|token| !token.is_empty()));
        let path = path.trim_matches('/').to_owned();
        Ok(Self { method: parts.method.clone(), path, params, token, file })
    }

    /// A parameter as text; numbers and booleans in JSON count as text too. Empty is absent.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.params.get(name).and_then(text).filter(|value| !value.is_empty())
    }

    /// A parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<String, GraphError> {
        self.text(name)
            .ok_or_else(|| GraphError::parameter(format_args!("The parameter {name} is required.")))
    }

    /// A parameter that holds a list: a JSON array, or the text `['A','B']` that Meta's samples show.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        match self.params.get(name) {
            Some(Value::Array(items)) => items.iter().filter_map(text).collect(),
            Some(Value::String(items)) => items
                .trim_matches(['[', ']'])
                .split(',')
                .map(|item| item.trim().trim_matches(['\'', '"']).to_owned())
                .filter(|item| !item.is_empty())
                .collect(),
            _ => Vec::new(),
        }
    }

    /// A parameter that is true.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| value == "true" || value == "1")
    }

    /// WhatsApp writes must say which product they mean.
    pub(crate) fn require_whatsapp(&self) -> Result<(), GraphError> {
        match self.required("messaging_product")?.as_str() {
            "whatsapp" => Ok(()),
            _ => Err(GraphError::parameter("Param messaging_product must be one of {WHATSAPP}")),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// The query's parameters.
pub(crate) fn query(parts: &Parts) -> Map<String, Value> {
    form(parts.uri.query().unwrap_or_default().as_bytes())
}

/// The body's members, if it is JSON or a form.
pub(crate) fn body_members(content_type: &str, body: &Bytes) -> Result<Map<String, Value>, GraphError> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    if content_type.starts_with("application/x-www-form-urlencoded") {
        return Ok(form(body));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(GraphError::invalid_parameter("The request body is not a JSON object.")),
    }
}

fn form(bytes: &[u8]) -> Map<String, Value> {
    url::form_urlencoded::parse(bytes)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect()
}

pub(crate) fn header_text<'a>(parts: &'a Parts, name: &header::HeaderName) -> Option<&'a str> {
    parts.headers.get(name)?.to_str().ok()
}

/// The bearer token of a request.
pub(crate) fn bearer(parts: &Parts) -> Option<String> {
    let value = header_text(parts, &header::AUTHORIZATION)?;
    let (scheme, token) = value.split_once(' ')?;
    // The Resumable Upload API calls it OAuth.
    ["bearer", "oauth"]
        .contains(&scheme.to_lowercase().as_str())
        .then(|| token.trim().to_owned())
        .filter(|token| !token.is_empty())
}

async fn read_multipart(
    parts: &Parts,
    body: Bytes,
    params: &mut Map<String, Value>,
) -> Result<Option<UploadedFile>, GraphError> {
    let broken = |_| GraphError::invalid_parameter("The multipart body cannot be read.");
    let mut request = axum::http::Request::from_parts(parts.clone(), Body::from(body));
    // The body was read within the API's own limit already.
    DefaultBodyLimit::disable().apply(&mut request);
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|_| GraphError::invalid_parameter("The multipart body has no boundary."))?;
    let mut file = None;
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            let mime_type = field.content_type().map(str::to_owned);
            let bytes = field.bytes().await.map_err(broken)?;
            file = Some(UploadedFile { mime_type, bytes });
        } else {
            params.insert(name, Value::String(field.text().await.map_err(broken)?));
        }
    }
    Ok(file)
}

//! Switchboard's API, as a caller sees it through the front.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::description::Call;
use super::{Signup, World, secret};

pub(crate) const EXCHANGE: &str = "/api/integrations/whatsapp/exchange-token";
pub(crate) const ONBOARD: &str = "/api/integrations/whatsapp/onboard-client";
pub(crate) const SEND: &str = "/api/whatsapp/send-message";
pub(crate) const MARK_READ: &str = "/api/whatsapp/mark-read";
pub(crate) const CLIENTS: &str = "/api/whatsapp/clients";
pub(crate) const MESSAGES: &str = "/api/whatsapp/messages";
pub(crate) const WEBHOOKS: &str = "/api/webhooks/whatsapp";

/// The API with one caller's token.
pub(crate) struct Api<'w> {
    world: &'w World,
    token: Option<String>,
}

impl<'w> Api<'w> {
    pub(crate) fn new(world: &'w World, token: Option<String>) -> Self {
        Self { world, token }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer> {
        self.call(Method::GET, path, &[], None).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.call(Method::PUT, path, &[], Some(body.to_string().into())).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Answer> {
        self.call(Method::DELETE, path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.post_bytes(path, &[], body.to_string()).await
    }

    pub(crate) async fn post_with_key(&self, path: &str, key: &str, body: &Value) -> Result<Answer> {
        self.post_bytes(path, &[("idempotency-key", key)], body.to_string()).await
    }

    pub(crate) async fn post_bytes(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Result<Answer> {
        self.call(Method::POST, path, headers, Some(body.into())).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer> {
        let bare_path = path.split('?').next().unwrap_or_default();
        let what = format!("{method} {bare_path}");
        let lower_method = method.as_str().to_ascii_lowercase();
        let mut call = self.world.http.request(method, format!("{}{path}", self.world.info.api_url));
        if let Some(token) = &self.token {
            call = call.bearer_auth(token);
        }
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        if let Some(body) = body {
            if headers.iter().all(|(name, _)| *name != "content-type") {
                call = call.header("content-type", "application/json");
            }
            call = call.body(body);
        }
        let answer = call.send().await.with_context(|| format!("{what} was not answered"))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.with_context(|| format!("{what} broke off"))?;
        // Whatever a test asks: no answer holds a secret. Those that are known only later are looked for at the end.
        self.world.record(&format!("{what} answered {status}\n{headers:?}\n{text}"))?;
        let leaks = secret::has_token(&text) || self.world.is_leaking(&text);
        ensure!(!leaks, "{what} answered {status} with a secret in it");
        let content_type =
            headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        self.world.description.check(Call {
            method: &lower_method,
            path: bare_path,
            status,
            content_type,
            body: &text,
        })?;
        Ok(Answer { what, status, headers, text })
    }

    pub(crate) async fn exchange(&self, bot: &str, code: &str) -> Result<Answer> {
        self.post(EXCHANGE, &json!({"botId": bot, "code": code})).await
    }

    /// onboard-client with what the finish event named.
    pub(crate) async fn onboard(&self, onboarding: &str, signup: &Signup) -> Result<Answer> {
        self.post(ONBOARD, &signup.event(onboarding)).await
    }

    pub(crate) async fn onboarding(&self, id: &str) -> Result<Answer> {
        self.get(&format!("/api/integrations/whatsapp/onboarding/{id}")).await
    }
}

/// What came back.
pub(crate) struct Answer {
    what: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Enough to see what came; a whole page of a list hides the failure.
        let start: String = self.text.chars().take(2000).collect();
        let cut = if start.len() < self.text.len() { " …" } else { "" };
        write!(f, "{} answered {}: {start}{cut}", self.what, self.status)
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text).with_context(|| format!("no JSON: {self}"))
    }

    /// The body of a success.
    pub(crate) fn ok(self) -> Result<Value> {
        self.with_status(200)
    }

    pub(crate) fn with_status(self, status: u16) -> Result<Value> {
        ensure!(self.status == status, "expected {status}; {self}");
        self.json()
    }

    /// A problem document with this status and code, complete.
    pub(crate) fn refused(self, status: u16, code: &str) -> Result<Value> {
        ensure!(self.status == status, "expected {status} {code}; {self}");
        let problem = self.json()?;
        let kind = self.headers.get("content-type").and_then(|kind| kind.to_str().ok());
        ensure!(kind == Some("application/problem+json"), "content type {kind:?}; {self}");
        ensure!(problem["code"] == code, "expected the code {code}; {self}");
        ensure!(problem["status"] == status, "the body names another status; {self}");
        for member in ["type", "title", "detail", "action"] {
            if problem[member].as_str().is_none_or(str::is_empty) {
                bail!("{member} is missing; {self}");
            }
        }
        ensure!(problem["retryable"].is_boolean(), "retryable is missing; {self}");
        Ok(problem)
    }
}

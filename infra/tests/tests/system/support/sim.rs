//! The Meta simulator's control API: what clients, customers and Meta do.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::World;

pub(crate) struct Sim<'w> {
    world: &'w World,
}

/// A finished Embedded Signup.
pub(crate) struct Signup {
    pub(crate) code: String,
    pub(crate) waba: String,
    pub(crate) business: String,
    /// Empty if it brought none.
    pub(crate) phone: String,
    pub(crate) finish: String,
}

impl Signup {
    /// What the page sends to onboard-client.
    pub(crate) fn event(&self, onboarding: &str) -> Value {
        let mut body = json!({
            "onboardingId": onboarding, "wabaId": self.waba, "businessId": self.business, "event": self.finish,
        });
        if !self.phone.is_empty() {
            body["phoneNumberId"] = json!(self.phone);
        }
        body
    }
}

impl<'w> Sim<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        Self { world }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let call = self.world.http.request(method, format!("{}/_sim/{path}", self.world.info.meta_url));
        let call = match body {
            Some(body) => call.json(body),
            None => call,
        };
        let answer = call.send().await.with_context(|| format!("_sim/{path} was not answered"))?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "_sim/{path} answered {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("_sim/{path} answered no JSON: {text}"))
    }

    pub(crate) async fn sign_up(&self, spec: Value) -> Result<Signup> {
        let signup = self.post("signups", &spec).await?;
        let text = |name: &str| signup[name].as_str().unwrap_or_default().to_owned();
        self.world.must_stay_secret(text("code"));
        Ok(Signup {
            code: text("code"),
            waba: text("wabaId"),
            business: text("businessId"),
            phone: text("phoneNumberId"),
            finish: text("event"),
        })
    }

    /// A customer writes; the message's wamid.
    pub(crate) async fn write(&self, customer: &str, body: Value) -> Result<String> {
        let sent = self.post(&format!("customers/{customer}/messages"), &body).await?;
        Ok(sent["wamid"].as_str().context("the simulator names no wamid")?.to_owned())
    }

    /// What a customer's phone shows, both directions, oldest first.
    pub(crate) async fn phone(&self, customer: &str) -> Result<Vec<Value>> {
        let mut shown = self.get(&format!("customers/{customer}/messages")).await?;
        Ok(serde_json::from_value(shown["items"].take())?)
    }

    /// The next call of this path ends like that.
    pub(crate) async fn fault(&self, path: &str, then: &Value) -> Result<()> {
        self.faults(path, 1, then).await
    }

    /// The next `times` calls of this path end like that. A path with an id in it disturbs nobody else.
    pub(crate) async fn faults(&self, path: &str, times: u32, then: &Value) -> Result<()> {
        self.post("faults", &json!({"match": {"path": path}, "times": times, "then": then})).await.map(drop)
    }

    /// The next message of this number ends like that.
    pub(crate) async fn message_fault(&self, phone: &str, then: &Value) -> Result<()> {
        let matches = json!({"path": "messages", "phoneNumberId": phone});
        self.post("faults", &json!({"match": matches, "then": then})).await.map(drop)
    }

    /// The account as Meta has it.
    pub(crate) async fn waba(&self, id: &str) -> Result<Value> {
        let state = self.get("state").await?;
        let wabas = state["wabas"].as_array().into_iter().flatten();
        wabas.into_iter().find(|waba| waba["id"] == id).cloned().with_context(|| format!("no WABA {id}"))
    }

    /// The calls to paths that end like this, oldest first.
    pub(crate) async fn calls(&self, path: &str) -> Result<Vec<Value>> {
        let calls = self.get("calls").await?;
        let all = calls["items"].as_array().into_iter().flatten();
        Ok(all.filter(|call| call["path"].as_str().is_some_and(|p| p.ends_with(path))).cloned().collect())
    }
}

/// Meta's own trouble, which passes.
pub(crate) fn outage() -> Value {
    json!({"error": {"status": 503, "code": 2, "message": "Service temporarily unavailable", "isTransient": true}})
}

/// Meta does it, and its answer is lost.
pub(crate) fn lost_answer() -> Value {
    json!({"acceptThenDrop": true})
}

/// Nothing is done, and no answer comes.
pub(crate) fn silence() -> Value {
    json!({"hang": true})
}

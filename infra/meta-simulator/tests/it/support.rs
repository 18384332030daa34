//! A simulator on a free port, a webhook receiver, and short ways to call both.

#![expect(clippy::unwrap_used, reason = "these are tests' own helpers")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use hmac::{Hmac, KeyInit, Mac};
use meta_simulator::{Config, Simulator};
use serde_json::{Value, json};
use tokio::sync::watch;

pub(crate) const APP_ID: &str = "700000000000001";
pub(crate) const APP_SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const PARTNER: &str = "610000000000010";
pub(crate) const CREDIT: &str = "197000000000001";
pub(crate) const SYSTEM_USER: &str = "122000000000001";
pub(crate) const CUSTOMER: &str = "12125550142";
pub(crate) const PAGE: &str = "http://127.0.0.1:3000";

/// The partner's system user token.
pub(crate) fn system_token() -> String {
    format!("EAA{}", "p".repeat(80))
}

pub(crate) fn config() -> Config {
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        app_id: APP_ID.to_owned(),
        app_secret: APP_SECRET.to_owned(),
        verify_token: "verify-me".to_owned(),
        config_id: "800000000000001".to_owned(),
        partner_business_id: PARTNER.to_owned(),
        credit_line_id: CREDIT.to_owned(),
        system_user_id: SYSTEM_USER.to_owned(),
        system_user_token: system_token(),
        webhook_url: None,
        page_origins: vec![PAGE.to_owned()],
        state_file: None,
    }
}

/// An answer: HTTP status and JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of a success.
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    /// The code of a refusal.
    pub(crate) fn code(&self) -> i64 {
        self.body["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error: {}", self.body))
    }

    pub(crate) fn subcode(&self) -> i64 {
        self.body["error"]["error_subcode"].as_i64().unwrap_or_default()
    }

    pub(crate) fn details(&self) -> &str {
        self.body["error"]["error_data"]["details"].as_str().unwrap_or_default()
    }
}

/// A simulator and its caller.
pub(crate) struct Sim {
    pub(crate) simulator: Simulator,
    pub(crate) http: reqwest::Client,
}

/// A client after its signup.
pub(crate) struct Client {
    pub(crate) code: String,
    pub(crate) token: String,
    pub(crate) waba: String,
    pub(crate) phone: String,
    pub(crate) business: String,
}

impl Sim {
    pub(crate) async fn start() -> Self {
        Self::with(config()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        Self { simulator: Simulator::start(config).await.unwrap(), http: http() }
    }

    /// A simulator whose webhooks go to a receiver.
    pub(crate) async fn with_receiver() -> (Self, Receiver) {
        let receiver = Receiver::start().await;
        let sim = Self::start().await;
        sim.simulator.set_webhook_url(receiver.url.clone());
        (sim, receiver)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.simulator.url())
    }

    /// A Graph call with parameters in the query for GET and DELETE, in JSON for POST.
    pub(crate) async fn graph(&self, method: &str, path: &str, token: &str, params: Value) -> Answer {
        let url = self.url(&format!("/v26.0/{path}"));
        let mut request = self.http.request(method.parse().unwrap(), url);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        let request = if method == "POST" { request.json(&params) } else { request.query(&params) };
        answer(request.send().await.unwrap()).await
    }

    pub(crate) async fn sim(&self, method: &str, path: &str, body: Value) -> Answer {
        let request = self.http.request(method.parse().unwrap(), self.url(&format!("/_sim/{path}")));
        let request = if method == "POST" { request.json(&body) } else { request };
        answer(request.send().await.unwrap()).await
    }

    /// A signup, and the code exchanged.
    pub(crate) async fn client(&self, signup: Value) -> Client {
        let signup = self.sim("POST", "signups", signup).await.ok();
        let text = |name: &str| signup[name].as_str().unwrap_or_default().to_owned();
        let code = text("code");
        let token = self.exchange(&code).await.ok()["access_token"].as_str().unwrap().to_owned();
        Client {
            code,
            token,
            waba: text("wabaId"),
            phone: text("phoneNumberId"),
            business: text("businessId"),
        }
    }

    pub(crate) async fn exchange(&self, code: &str) -> Answer {
        let params = json!({"client_id": APP_ID, "client_secret": APP_SECRET, "code": code});
        self.graph("GET", "oauth/access_token", "", params).await
    }

    /// A client that is subscribed and registered.
    pub(crate) async fn active_client(&self) -> Client {
        let client = self.client(json!({})).await;
        let path = format!("{}/subscribed_apps", client.waba);
        self.graph("POST", &path, &client.token, json!({})).await.ok();
        self.register(&client, "123456").await.ok();
        client
    }

    pub(crate) async fn register(&self, client: &Client, pin: &str) -> Answer {
        let body = json!({"messaging_product": "whatsapp", "pin": pin});
        self.graph("POST", &format!("{}/register", client.phone), &client.token, body).await
    }

    pub(crate) async fn assign(&self, client: &Client) {
        let params = json!({"user": SYSTEM_USER, "tasks": "['MANAGE']"});
        self.graph("POST", &format!("{}/assigned_users", client.waba), &system_token(), params).await.ok();
    }

    pub(crate) async fn share_credit(&self, client: &Client) -> Answer {
        let url = self.url(&format!("/v26.0/{CREDIT}/whatsapp_credit_sharing_and_attach"));
        let query = [("waba_currency", "USD"), ("waba_id", client.waba.as_str())];
        let request = self.http.post(url).query(&query).bearer_auth(system_token());
        answer(request.send().await.unwrap()).await
    }

    /// The customer writes, which opens the window; the wamid.
    pub(crate) async fn write(&self, client: &Client, message: Value) -> String {
        let body = json!({"to": client.phone, "message": message});
        let answer = self.sim("POST", &format!("customers/{CUSTOMER}/messages"), body).await.ok();
        answer["wamid"].as_str().unwrap().to_owned()
    }

    /// Sends a message to the customer.
    pub(crate) async fn send(&self, client: &Client, message: Value) -> Answer {
        let mut body = json!({"messaging_product": "whatsapp", "to": CUSTOMER});
        body.as_object_mut().unwrap().extend(message.as_object().unwrap().clone());
        self.graph("POST", &format!("{}/messages", client.phone), &client.token, body).await
    }

    pub(crate) async fn advance(&self, seconds: i64) {
        self.sim("POST", "clock", json!({"advanceSeconds": seconds})).await.ok();
    }
}

/// HMAC-SHA256 under the app secret in hex, worked out apart from the simulator's own code.
pub(crate) fn mac(message: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(APP_SECRET.as_bytes()).unwrap();
    mac.update(message);
    hex::encode(mac.finalize().into_bytes())
}

pub(crate) async fn answer(response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}

pub(crate) fn http() -> reqwest::Client {
    #[expect(clippy::disallowed_methods, reason = "a test's own client, plain HTTP only")]
    let builder = reqwest::Client::builder();
    let roots = rustls::RootCertStore::empty();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    builder.tls_backend_preconfigured(tls).no_proxy().build().unwrap()
}

/// One POST that a receiver got.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) signature: String,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn field(&self) -> String {
        self.json()["entry"][0]["changes"][0]["field"].as_str().unwrap().to_owned()
    }

    pub(crate) fn value(&self) -> Value {
        self.json()["entry"][0]["changes"][0]["value"].clone()
    }
}

struct Inbox {
    all: watch::Sender<Vec<Received>>,
    /// Statuses to answer before 200.
    refusals: Mutex<Vec<u16>>,
}

/// A callback that keeps what it gets.
pub(crate) struct Receiver {
    pub(crate) url: String,
    inbox: Arc<Inbox>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let inbox = Arc::new(Inbox { all: watch::Sender::new(Vec::new()), refusals: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().route("/hook", get(challenge).post(receive)).with_state(inbox.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { url, inbox }
    }

    /// The next POSTs are answered with these statuses.
    pub(crate) fn refuse(&self, statuses: &[u16]) {
        self.inbox.refusals.lock().unwrap().extend(statuses);
    }

    /// Waits until the POSTs that have arrived satisfy the condition.
    pub(crate) async fn wait(&self, enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let mut all = self.inbox.all.subscribe();
        let waiting = all.wait_for(|all| enough(all));
        let all = tokio::time::timeout(Duration::from_secs(30), waiting).await;
        all.expect("the webhooks come within 30 s").unwrap().clone()
    }

    /// The `messages` webhooks, once there are so many of them.
    pub(crate) async fn messages(&self, count: usize) -> Vec<Received> {
        let is_message = |received: &&Received| received.field() == "messages";
        let all = self.wait(|all| all.iter().filter(is_message).count() >= count).await;
        all.into_iter().filter(|received| received.field() == "messages").collect()
    }

    /// What has arrived so far.
    pub(crate) fn now(&self) -> Vec<Received> {
        self.inbox.all.borrow().clone()
    }
}

async fn challenge(Query(query): Query<std::collections::HashMap<String, String>>) -> (StatusCode, String) {
    match query.get("hub.verify_token").map(String::as_str) {
        Some("verify-me") => (StatusCode::OK, query["hub.challenge"].clone()),
        _ => (StatusCode::FORBIDDEN, String::new()),
    }
}

async fn receive(State(inbox): State<Arc<Inbox>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers.get("x-hub-signature-256").map(|value| value.to_str().unwrap().to_owned());
    let received = Received { signature: signature.unwrap_or_default(), body };
    inbox.all.send_modify(|all| all.push(received));
    let mut refusals = inbox.refusals.lock().unwrap();
    let status = if refusals.is_empty() { 200 } else { refusals.remove(0) };
    StatusCode::from_u16(status).unwrap()
}

//! The front as its callers see it, before an invented HTTP API.

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{any, post};
use reqwest::{Client, Response as Answer};
use serde_json::Value;

use super::*;
use crate::http_client::client;
use crate::tokens::tests::issuer;

/// Echoes the address and the body's length; `/fails` is the emulator's answer for a failed function.
async fn upstream() -> String {
    let echo = |request: Request| async move { request.uri().to_string() };
    let length = |headers: HeaderMap, body: Bytes| async move {
        let forwarded = headers.get("x-forwarded-for").map_or("none", |value| value.to_str().unwrap());
        format!("{} bytes for {forwarded}", body.len())
    };
    let fails = || async { (StatusCode::BAD_GATEWAY, Json(json!({"errorMessage": "hush"}))).into_response() };
    let router = Router::new()
        .route("/base/api/echo", any(echo))
        .route("/base/api/length", post(length))
        .route("/base/api/fails", any(fails));
    let router = router.layer(axum::extract::DefaultBodyLimit::disable());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}/base")
}

struct Started {
    _server: Server,
    http: Client,
    url: String,
}

/// A front whose origin says port 3000, as [`issuer`] does, and which really listens elsewhere: so tests say
/// their `Host` themselves.
async fn start(api: Option<String>) -> Started {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let page = PageConfig {
        app_id: "1".to_owned(),
        config_id: "2".to_owned(),
        graph_version: "v26.0".to_owned(),
        sdk_url: "http://127.0.0.1:3001/sdk.js".to_owned(),
        event_origin: Some("http://127.0.0.1:3001".to_owned()),
        token_url: "/local/onboard-token",
    };
    let web = crate::root().join("web");
    let front = Front { issuer: issuer(), page, web, api: Api::new(client().unwrap()) };
    if let Some(base) = api {
        front.api.is_at(base);
    }
    Started { _server: serve(Arc::new(front), listener).unwrap(), http: client().unwrap(), url }
}

impl Started {
    async fn get(&self, path: &str) -> Answer {
        let call = self.http.get(format!("{}{path}", self.url)).header("host", "localhost:3000");
        call.send().await.unwrap()
    }

    async fn post(&self, path: &str, origin: &str, body: impl Into<reqwest::Body>) -> Answer {
        let call = self.http.post(format!("{}{path}", self.url)).header("host", "127.0.0.1:3000");
        let call = call.header("origin", origin).header("content-type", "application/json");
        call.body(body).send().await.unwrap()
    }
}

#[tokio::test]
async fn calls_reach_the_api_as_they_came() {
    let front = start(Some(upstream().await)).await;
    let echoed = front.get("/api/echo?a=1%2F2&a=3").await.text().await.unwrap();
    assert_eq!(echoed, "/base/api/echo?a=1%2F2&a=3");
    let length = front.post("/api/length", "https://elsewhere.example", vec![0; 9 << 20]).await;
    assert_eq!(length.text().await.unwrap(), "9437184 bytes for 127.0.0.1");
}

#[tokio::test]
async fn a_failed_function_is_a_plain_500() {
    let front = start(Some(upstream().await)).await;
    let answer = front.get("/api/fails").await;
    assert_eq!(answer.status(), 500);
    assert_eq!(answer.text().await.unwrap(), r#"{"message":"Internal Server Error"}"#);
}

#[tokio::test]
async fn what_api_gateway_would_not_take_is_refused_as_it_does() {
    let front = start(Some(upstream().await)).await;
    let answer = front.post("/api/length", "http://127.0.0.1:3000", vec![0; (10 << 20) + 1]).await;
    assert_eq!(answer.status(), 413);
    assert_eq!(answer.text().await.unwrap(), r#"{"message":"Request Entity Too Large"}"#);
}

#[tokio::test]
async fn without_a_deployed_api_the_service_is_unavailable() {
    let front = start(None).await;
    assert_eq!(front.get("/api/echo").await.status(), 503);
}

#[tokio::test]
async fn the_page_comes_with_its_settings_and_its_policy() {
    let front = start(None).await;
    let page = front.get("/chatbot/demo-bakery/integration").await;
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    assert_eq!(page.headers()["referrer-policy"], "no-referrer");
    assert_eq!(page.headers()["cross-origin-opener-policy"], "same-origin-allow-popups");
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("script-src 'self' http://127.0.0.1:3001;"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let config: Value = front.get("/config.json").await.json().await.unwrap();
    assert_eq!(config["eventOrigin"], "http://127.0.0.1:3001");
    assert_eq!(config["tokenUrl"], "/local/onboard-token");
    assert_eq!(front.get("/assets/..%2ftemplate.yaml").await.status(), 404);
}

#[tokio::test]
async fn a_page_gets_an_onboarding_token_for_a_known_bot_and_a_foreign_page_none() {
    let front = start(None).await;
    let (own, path) = ("http://localhost:3000", "/local/onboard-token");
    let given: Value = front.post(path, own, r#"{"botId":"demo-bakery"}"#).await.json().await.unwrap();
    assert_eq!(given["token"].as_str().unwrap().split('.').count(), 3);
    assert_eq!(front.post(path, own, r#"{"botId":"unknown"}"#).await.status(), 404);
    let foreign = front.post(path, "http://evil.example", r#"{"botId":"demo-bakery"}"#).await;
    assert_eq!(foreign.status(), 403);
}

#[tokio::test]
async fn a_rebound_name_is_refused() {
    let front = start(None).await;
    let call = front.http.get(format!("{}/config.json", front.url)).header("host", "evil.example:3000");
    assert_eq!(call.send().await.unwrap().status(), 421);
}

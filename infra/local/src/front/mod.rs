//! The front: the pages, and before the deployed HTTP API what API Gateway adds and the emulator leaves out.

mod guard;
mod pages;
mod proxy;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Json, Redirect, Response};
use axum::routing::{any, get, post};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::parameters::Origins;
use crate::settings::Settings;
use crate::tokens::{Caller, Issuer};
pub(crate) use proxy::Api;

/// What the front knows.
pub(crate) struct Front {
    pub(crate) issuer: Issuer,
    pub(crate) page: PageConfig,
    /// The folder of the pages.
    pub(crate) web: PathBuf,
    /// Set once the stack is deployed.
    pub(crate) api: Api,
}

/// What the signup page must know: `/config.json`.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PageConfig {
    app_id: String,
    config_id: String,
    graph_version: String,
    sdk_url: String,
    /// Whose window messages count; null: facebook.com's.
    event_origin: Option<String>,
    token_url: &'static str,
}

impl PageConfig {
    pub(crate) fn new(settings: &Settings, origins: &Origins, graph_version: &str) -> Self {
        let sdk_url = match &origins.simulator {
            Some(simulator) => format!("{simulator}/sdk.js"),
            None => "https://connect.facebook.net/en_US/sdk.js".to_owned(),
        };
        Self {
            app_id: settings.app_id.clone(),
            config_id: settings.config_id.clone(),
            graph_version: graph_version.to_owned(),
            sdk_url,
            event_origin: origins.simulator.clone(),
            token_url: "/local/onboard-token",
        }
    }
}

/// The running front; ends when dropped.
pub(crate) struct Server(JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves `front` on the reserved port.
pub(crate) fn serve(front: Arc<Front>, listener: std::net::TcpListener) -> Result<Server> {
    listener.set_nonblocking(true).context("the front's port cannot be used")?;
    let listener = tokio::net::TcpListener::from_std(listener).context("the front's port cannot be used")?;
    let service = router(front).into_make_service_with_connect_info::<SocketAddr>();
    Ok(Server(tokio::spawn(async move {
        // It ends with the task alone.
        let _ = axum::serve(listener, service).await;
    })))
}

fn router(front: Arc<Front>) -> Router {
    Router::new()
        .route(
            "/",
            get(|| async { Redirect::temporary(&format!("/chatbot/{}/integration", crate::BOTS[0])) }),
        )
        .route("/chatbot/{bot}/integration", get(pages::signup))
        .route("/assets/{*path}", get(pages::asset))
        .route("/config.json", get(pages::config))
        .route("/local/onboard-token", post(onboard_token))
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/.well-known/jwks.json", get(key_set))
        .route("/api/{*path}", any(proxy::pass))
        .layer(middleware::from_fn_with_state(front.clone(), guard::check))
        .with_state(front)
}

async fn discovery(State(front): State<Arc<Front>>) -> Response {
    Json(front.issuer.discovery()).into_response()
}

async fn key_set(State(front): State<Arc<Front>>) -> Response {
    Json(front.issuer.key_set()).into_response()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenRequest {
    bot_id: String,
}

/// Stands in for the partner's backend, which gives its signup page a token that can only onboard.
async fn onboard_token(State(front): State<Arc<Front>>, Json(request): Json<TokenRequest>) -> Response {
    if !crate::BOTS.contains(&request.bot_id.as_str()) {
        return message(StatusCode::NOT_FOUND, "There is no such local bot.");
    }
    match front.issuer.sign(Caller::Page(&request.bot_id), Timestamp::now()) {
        Ok(token) => Json(json!({ "token": token })).into_response(),
        Err(error) => message(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// An answer in the gateway's own form.
fn message(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "message": text }))).into_response()
}

//! Who may talk to the simulator: this machine, and of browsers only the pages that were named.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::api::refuse;
use crate::world::World;

/// Refuses other Host headers: a page that rebinds its own name to 127.0.0.1 gets nothing.
pub(crate) async fn host(State(world): State<Arc<World>>, request: Request, next: Next) -> Response {
    let host = header_text(request.headers(), &header::HOST).unwrap_or_default();
    let port = world.port;
    if host == format!("127.0.0.1:{port}") || host == format!("localhost:{port}") {
        return next.run(request).await;
    }
    refuse(
        StatusCode::FORBIDDEN,
        format!("This host name is not served. Use {} as the address.", world.base_url),
    )
    .into_response()
}

/// Refuses browsers' calls from other pages, and answers the preflight of those that may.
pub(crate) async fn origin(State(world): State<Arc<World>>, request: Request, next: Next) -> Response {
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else {
        return next.run(request).await;
    };
    if !is_allowed(&world, origin.to_str().unwrap_or_default()) {
        return refuse(
            StatusCode::FORBIDDEN,
            "This page may not use the simulator: its origin is not one of the configured ones.",
        )
        .into_response();
    }
    let mut answer = match request.method() {
        &Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    let headers = answer.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("content-type, x-sim-signature"),
    );
    answer
}

fn is_allowed(world: &World, origin: &str) -> bool {
    let port = world.port;
    origin == world.base_url
        || origin == format!("http://localhost:{port}")
        || world.config.page_origins.iter().any(|page| page == origin)
}

fn header_text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

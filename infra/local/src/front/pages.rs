//! The pages, as they lie in `web`: no build step, and a change shows at the next load.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};

use super::{Front, message};

/// The signup page; it reads the bot from its own address.
pub(super) async fn signup(State(front): State<Arc<Front>>) -> Response {
    file(&front, "index.html").await
}

pub(super) async fn asset(State(front): State<Arc<Front>>, Path(path): Path<String>) -> Response {
    if is_plain(&path) { file(&front, &path).await } else { missing() }
}

pub(super) async fn config(State(front): State<Arc<Front>>) -> Response {
    uncached(Json(&front.page).into_response())
}

async fn file(front: &Front, path: &str) -> Response {
    let file = front.web.join(path);
    let content = tokio::task::spawn_blocking(move || std::fs::read(file)).await;
    match content {
        Ok(Ok(content)) => uncached(([(CONTENT_TYPE, content_type(path))], content).into_response()),
        _ => missing(),
    }
}

fn missing() -> Response {
    message(StatusCode::NOT_FOUND, "Not Found")
}

fn uncached(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Whether a path stays in its folder: plain names, none hidden.
fn is_plain(path: &str) -> bool {
    path.split('/').all(|name| {
        !name.is_empty()
            && !name.starts_with('.')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    })
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json") => "application/json",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_its_folder() {
        for bad in ["../template.yaml", "a/../../b", ".env", "a//b", "/etc/passwd", "a\\b", "a%2fb", ""] {
            assert!(!is_plain(bad), "{bad}");
        }
        for good in ["app.js", "fonts/inter-400.woff2"] {
            assert!(is_plain(good), "{good}");
        }
    }
}

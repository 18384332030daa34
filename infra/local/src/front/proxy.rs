//! `/api/…`, passed to the deployed HTTP API as API Gateway would.
//!
//! The emulator has no 10 MB and 30 s limits, sends no `x-forwarded-*`, and shows the caller the error of a
//! failed function (AWS, "Quotas for HTTP APIs" and "Create Lambda proxy integrations", read 2026-11-21).

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use reqwest::Url;

use super::{Front, message};

/// API Gateway's payload limit.
const MAX_BODY: usize = 10 * 1024 * 1024;
/// API Gateway's integration timeout.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Headers of one connection (RFC 9110, 7.6.1), and those that are computed anew.
const NOT_PASSED: [HeaderName; 11] = [
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The deployed HTTP API.
pub(crate) struct Api {
    client: reqwest::Client,
    base: OnceLock<String>,
}

impl Api {
    pub(crate) fn new(client: reqwest::Client) -> Self {
        Self { client, base: OnceLock::new() }
    }

    /// Says where the emulator serves it. The first word counts.
    pub(crate) fn is_at(&self, base: String) {
        let _ = self.base.set(base);
    }
}

pub(super) async fn pass(
    State(front): State<Arc<Front>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Some(base) = front.api.base.get() else {
        return message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
    };
    let Some(url) = address(base, &parts.uri) else {
        return message(StatusCode::NOT_FOUND, "Not Found");
    };
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let mut headers = passed(&parts.headers);
    forwarded(&mut headers, peer, front.issuer.origin());
    if is_text(&headers) && std::str::from_utf8(&body).is_err() {
        // The emulator takes bodies of JSON's type for text and replaces what is none; the signature of a
        // webhook would no longer match. A body without a type reaches the function in base64, whole.
        headers.remove(CONTENT_TYPE);
    }
    let call = front.api.client.request(parts.method, url).headers(headers).body(body).timeout(TIMEOUT);
    match call.send().await {
        Ok(answer) => answered(answer).await,
        Err(_) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
    }
}

/// Whether a body of this type reaches the function as text.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.starts_with("text/")
        || ["application/json", "application/xml", "application/javascript"].contains(&kind)
}

/// Where a call goes; `None` if its path would leave the API once dots are resolved.
fn address(base: &str, uri: &Uri) -> Option<Url> {
    let url = Url::parse(&format!("{base}{}", uri.path_and_query()?)).ok()?;
    let prefix = Url::parse(base).ok()?;
    let stays = url.path().strip_prefix(prefix.path()).is_some_and(|path| path == uri.path());
    stays.then_some(url)
}

fn passed(headers: &HeaderMap) -> HeaderMap {
    let passed = headers.iter().filter(|(name, _)| !NOT_PASSED.contains(name));
    passed.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// As API Gateway: the caller's address goes to the end of what the caller claimed.
fn forwarded(headers: &mut HeaderMap, peer: SocketAddr, origin: &str) {
    let claimed = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let addresses =
        claimed.map_or_else(|| peer.ip().to_string(), |claimed| format!("{claimed}, {}", peer.ip()));
    let port = origin.rsplit(':').next().unwrap_or_default().to_owned();
    for (name, value) in
        [("x-forwarded-for", addresses), ("x-forwarded-proto", "http".to_owned()), ("x-forwarded-port", port)]
    {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

async fn answered(answer: reqwest::Response) -> Response {
    let (status, headers) = (answer.status(), passed(answer.headers()));
    if is_failed_function(status, &headers) {
        return message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
    }
    match answer.bytes().await {
        Ok(body) => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            response
        }
        Err(_) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
    }
}

/// The emulator says 502 with the error's text. A function's own 502 is a problem document.
fn is_failed_function(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::BAD_GATEWAY
        && headers.get(CONTENT_TYPE).is_none_or(|kind| kind != "application/problem+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "http://127.0.0.1:4566/_aws/execute-api/abc/$default";

    fn address_of(uri: &str) -> Option<String> {
        address(BASE, &uri.parse().unwrap()).map(String::from)
    }

    #[test]
    fn path_and_query_are_passed_as_they_came() {
        let uri = "/api/whatsapp/messages/a%20b?cursor=x%2Fy&limit=5&limit=6";
        assert_eq!(address_of(uri), Some(format!("{BASE}{uri}")));
    }

    #[test]
    fn a_path_cannot_reach_the_rest_of_the_emulator() {
        for uri in ["/api/../../../../_ministack/reset", "/api/%2e%2e/%2E./x", "/api/./whatsapp"] {
            assert_eq!(address_of(uri), None, "{uri}");
        }
    }

    #[test]
    fn headers_of_the_connection_are_not_passed() {
        let headers = HeaderMap::from_iter([
            (CONNECTION, HeaderValue::from_static("keep-alive")),
            (TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ]);
        let passed = passed(&headers);
        assert_eq!(passed.len(), 1);
        assert!(passed.contains_key(CONTENT_TYPE));
    }

    #[test]
    fn the_callers_address_goes_to_the_end_of_what_it_claimed() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.7"));
        forwarded(&mut headers, "127.0.0.1:9".parse().unwrap(), "http://127.0.0.1:3000");
        assert_eq!(headers["x-forwarded-for"], "203.0.113.7, 127.0.0.1");
        assert_eq!(headers["x-forwarded-port"], "3000");
    }

    #[test]
    fn a_functions_own_502_is_told_from_the_emulators() {
        let problem =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))]);
        assert!(!is_failed_function(StatusCode::BAD_GATEWAY, &problem));
        assert!(is_failed_function(StatusCode::BAD_GATEWAY, &HeaderMap::new()));
        assert!(!is_failed_function(StatusCode::OK, &HeaderMap::new()));
    }
}

//! Who may speak to the front, and what its answers forbid.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, HOST, HeaderName, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::{Front, message};

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Refuses what a foreign page could send; adds the pages' security headers.
pub(super) async fn check(State(front): State<Arc<Front>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let api = path.starts_with("/api/");
    // Meta's webhooks may come through a tunnel, under its name. Their signature is what is checked.
    if !path.starts_with("/api/webhooks/") && !is_local(request.headers(), front.issuer.origin()) {
        return message(
            StatusCode::MISDIRECTED_REQUEST,
            "This server answers to 127.0.0.1 and localhost only, at its own port.",
        );
    }
    if !api && request.method() != Method::GET && !is_own_page(request.headers(), front.issuer.origin()) {
        return message(StatusCode::FORBIDDEN, "Only this server's own pages may do that.");
    }
    let mut response = next.run(request).await;
    if !api {
        secure(response.headers_mut(), &front);
    }
    response
}

/// Whether `Host` is ours. A foreign name that resolves to 127.0.0.1 (DNS rebinding) is not.
fn is_local(headers: &HeaderMap, origin: &str) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    own_hosts(origin).iter().any(|own| own == host)
}

/// Whether `Origin` is there and ours.
fn is_own_page(headers: &HeaderMap, origin: &str) -> bool {
    let claimed = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
    own_hosts(origin).iter().any(|own| claimed.strip_prefix("http://") == Some(own))
}

fn own_hosts(origin: &str) -> [String; 2] {
    let host = origin.trim_start_matches("http://");
    [host.to_owned(), host.replace("127.0.0.1", "localhost")]
}

fn secure(headers: &mut HeaderMap, front: &Front) {
    let meta = match &front.page.event_origin {
        Some(simulator) => simulator.as_str(),
        None => "https://connect.facebook.net https://*.facebook.com",
    };
    let policy = format!(
        "default-src 'none'; script-src 'self' {meta}; connect-src 'self' {meta}; frame-src {meta}; \
         style-src 'self'; img-src 'self' data:; font-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // The signup window must keep its opener, to which it posts its events.
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin-allow-popups"));
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRONT: &str = "http://127.0.0.1:3000";

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn only_its_own_names_at_its_own_port_are_local() {
        for own in ["127.0.0.1:3000", "localhost:3000"] {
            assert!(is_local(&headers(HOST, own), FRONT), "{own}");
        }
        for foreign in ["rebound.example:3000", "127.0.0.1:3001", "127.0.0.1", "localhost:3000.example", ""] {
            assert!(!is_local(&headers(HOST, foreign), FRONT), "{foreign}");
        }
        assert!(!is_local(&HeaderMap::new(), FRONT));
    }

    #[test]
    fn only_its_own_pages_may_post() {
        assert!(is_own_page(&headers(ORIGIN, "http://localhost:3000"), FRONT));
        for foreign in ["https://127.0.0.1:3000", "http://127.0.0.1:3001", "http://evil.example", "null"] {
            assert!(!is_own_page(&headers(ORIGIN, foreign), FRONT), "{foreign}");
        }
        assert!(!is_own_page(&HeaderMap::new(), FRONT), "no Origin is no page");
    }
}

//! HTTP clients for services outside AWS: our own roots, no system proxy, no redirect, bounded answers,
//! and errors that do not repeat an address, whose query can hold a secret.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Response};
use rustls::{ClientConfig, RootCertStore};
use secrecy::zeroize::Zeroizing;

/// Who asks.
const USER_AGENT: &str = concat!("switchboard/", env!("CARGO_PKG_VERSION"));
/// For name, connection and TLS together. A far-away service needs a fraction of a second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Shorter than servers keep an idle connection, so that a request seldom meets one that just closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Largest answer that is read, in bytes. The largest expected one, a page of numbers, is below 100 kB.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// Room for an answer whose length is not told, in bytes: more than any answer with a token in it.
const FIRST_ROOM: usize = 16 * 1024;

/// A client that trusts `roots` and gives up after `timeout`. It never repeats a request by itself:
/// whether that is safe, only the caller knows.
pub(super) fn client(roots: RootCertStore, timeout: Duration) -> Result<Client, reqwest::Error> {
    builder(roots, timeout).build()
}

/// The same before it is built.
pub(super) fn builder(roots: RootCertStore, timeout: Duration) -> ClientBuilder {
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has what TLS 1.2 and 1.3 need")
        .with_root_certificates(roots)
        .with_no_client_auth();
    #[expect(clippy::disallowed_methods, reason = "the one place that sets roots and limits")]
    let builder = Client::builder();
    builder
        .tls_backend_preconfigured(tls)
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// The connection broke, or time was up.
    #[error("the answer broke off")]
    Broken(#[source] reqwest::Error),
    /// It is larger than anything expected.
    #[error("the answer is larger than {LARGEST_ANSWER} bytes")]
    TooLarge,
}

/// The whole body, which is wiped when it is dropped: it may be a token.
pub(super) async fn body(mut response: Response) -> Result<Zeroizing<Vec<u8>>, Unread> {
    // Room for all of it where its length is told: what grows leaves copies behind.
    let told =
        response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(FIRST_ROOM);
    let mut body = Zeroizing::new(Vec::with_capacity(told.min(LARGEST_ANSWER)));
    while let Some(chunk) = response.chunk().await.map_err(|e| Unread::Broken(e.without_url()))? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

//! The HTTP client of the launcher. It speaks to 127.0.0.1 alone, so it needs no certificates.

use std::sync::Arc;

use anyhow::{Context, Result};

/// One client per process would do; each owner keeps its own.
#[expect(clippy::disallowed_methods, reason = "the one place of this crate where a client is built")]
pub(crate) fn client() -> Result<reqwest::Client> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("the TLS versions are not supported")?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("the HTTP client cannot be built")
}

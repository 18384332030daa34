//! The HTTP client of the launcher and of tests.

use std::sync::Arc;

use anyhow::{Context, Result};

/// A client for a local stack. It trusts no certificate, so it reaches nothing but plain HTTP; it follows no
/// redirect and ignores the proxy settings of the environment.
#[expect(clippy::disallowed_methods, reason = "the one place of this crate where a client is built")]
pub fn client() -> Result<reqwest::Client> {
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

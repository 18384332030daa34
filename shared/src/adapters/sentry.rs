//! Sentry, or what speaks its protocol: takes events in envelopes.

use std::str::FromStr;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use rustls::RootCertStore;
use url::{Host, Url};

use super::web;
use crate::error::{ConfigError, Source};

/// For one envelope.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Version of the protocol, and who speaks it.
const PROTOCOL: &str =
    concat!("Sentry sentry_version=7, sentry_client=switchboard/", env!("CARGO_PKG_VERSION"));

/// Where a project of Sentry takes events: `https://KEY@HOST/PROJECT`, a path may stand before the project. The key may
/// send events and read nothing (Sentry, "DSN explainer").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dsn {
    address: Url,
    key: String,
}

/// What a DSN must be.
#[derive(Debug, thiserror::Error)]
#[error("a DSN looks like https://KEY@HOST/PROJECT")]
pub struct InvalidDsn;

impl FromStr for Dsn {
    type Err = InvalidDsn;

    fn from_str(text: &str) -> Result<Self, InvalidDsn> {
        let mut address: Url = text.parse().map_err(|_| InvalidDsn)?;
        let key = address.username().to_owned();
        let is_plain =
            address.password().is_none() && address.query().is_none() && address.fragment().is_none();
        let (path, project) = address.path().rsplit_once('/').ok_or(InvalidDsn)?;
        let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_project = !project.is_empty() && project.bytes().all(|byte| byte.is_ascii_digit());
        if !is_plain || !is_key || !is_project || !is_safe(&address) {
            return Err(InvalidDsn);
        }
        let path = format!("{path}/api/{project}/envelope/");
        address.set_path(&path);
        address.set_username("").map_err(|()| InvalidDsn)?;
        Ok(Self { address, key })
    }
}

/// Unencrypted only to this machine or its private network.
fn is_safe(address: &Url) -> bool {
    address.scheme() == "https"
        || address.scheme() == "http"
            && match address.host() {
                Some(Host::Domain(name)) => name == "localhost",
                Some(Host::Ipv4(address)) => address.is_loopback() || address.is_private(),
                Some(Host::Ipv6(address)) => address.is_loopback(),
                None => false,
            }
}

/// An envelope was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SentryError {
    /// No answer came. The same envelope may be taken later.
    #[error("Sentry was not reached")]
    NotReached(#[source] Source),
    /// Sentry is down, or takes no more for now (429, 5xx).
    #[error("Sentry answered {0}")]
    NotNow(u16),
    /// Sentry will not take it another time either: a wrong key or project, or a wrong envelope.
    #[error("Sentry refused with {0}")]
    Refused(u16),
}

/// A project of Sentry.
#[derive(Debug)]
pub struct Sentry {
    http: Client,
    address: Url,
    authorization: HeaderValue,
}

impl Sentry {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] if there is no TLS.
    pub fn new(dsn: Dsn) -> Result<Self, ConfigError> {
        Self::with_timeout(dsn, TIMEOUT)
    }

    fn with_timeout(dsn: Dsn, timeout: Duration) -> Result<Self, ConfigError> {
        let invalid = |e: &dyn std::fmt::Display| ConfigError::Invalid("SENTRY_DSN", e.to_string());
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let http = web::client(roots, timeout).map_err(|e| invalid(&e))?;
        let mut authorization =
            HeaderValue::try_from(format!("{PROTOCOL}, sentry_key={}", dsn.key)).map_err(|e| invalid(&e))?;
        authorization.set_sensitive(true);
        Ok(Self { http, address: dsn.address, authorization })
    }

    /// Sends one envelope (Sentry, developer documentation, "Envelopes" and "Authentication", read 2026-11-22).
    ///
    /// # Errors
    /// [`SentryError`] says whether another try may help.
    pub async fn send(&self, envelope: Vec<u8>) -> Result<(), SentryError> {
        let request = self
            .http
            .post(self.address.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-sentry-envelope"))
            .header("x-sentry-auth", self.authorization.clone())
            .body(envelope);
        let response = request.send().await.map_err(|e| SentryError::NotReached(e.without_url().into()))?;
        match response.status().as_u16() {
            200..=299 => Ok(()),
            status @ (429 | 500..) => Err(SentryError::NotNow(status)),
            status => Err(SentryError::Refused(status)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted::{Act, Scripted};
    use super::*;

    fn sentry(server: &Scripted) -> Sentry {
        let dsn = format!("http://0123abc@127.0.0.1:{}/below/42", server.url.port().unwrap());
        Sentry::with_timeout(dsn.parse().unwrap(), Duration::from_millis(500)).unwrap()
    }

    #[tokio::test]
    async fn an_envelope_is_posted_to_its_project_with_its_key() {
        let server = Scripted::start(|_| Act::Answer(200, "application/json", "{}".to_owned()));
        sentry(&server).send(b"{}\n".to_vec()).await.unwrap();
        let request = &server.requests()[0];
        assert_eq!((request.method.as_str(), request.target.path()), ("POST", "/below/api/42/envelope/"));
        assert_eq!(request.body, b"{}\n");
        assert_eq!(request.header("content-type"), Some("application/x-sentry-envelope"));
        let version = env!("CARGO_PKG_VERSION");
        let expected =
            format!("Sentry sentry_version=7, sentry_client=switchboard/{version}, sentry_key=0123abc");
        assert_eq!(request.header("x-sentry-auth"), Some(expected.as_str()));
        assert_eq!(request.header("authorization"), None, "the key goes in one header only");
    }

    #[tokio::test]
    async fn what_may_pass_is_told_from_what_will_not() {
        for status in [429, 500, 503] {
            let server = Scripted::start(move |_| Act::Answer(status, "text/plain", String::new()));
            let error = sentry(&server).send(Vec::new()).await.unwrap_err();
            assert!(matches!(error, SentryError::NotNow(it) if it == status), "{error:?}");
        }
        for status in [302, 400, 401, 403, 404, 413] {
            let server = Scripted::start(move |_| Act::Answer(status, "text/plain", String::new()));
            let error = sentry(&server).send(Vec::new()).await.unwrap_err();
            assert!(matches!(error, SentryError::Refused(it) if it == status), "{error:?}");
            assert_eq!(server.requests().len(), 1, "no redirect is followed");
        }
        for act in [|| Act::Hang, || Act::Drop] {
            let server = Scripted::start(move |_| act());
            let error = sentry(&server).send(Vec::new()).await.unwrap_err();
            assert!(matches!(error, SentryError::NotReached(_)), "{error:?}");
        }
    }

    #[test]
    fn a_dsn_has_key_host_and_project_and_is_encrypted_on_the_internet() {
        for (dsn, address) in [
            ("https://abc@o1.ingest.sentry.example/42", "https://o1.ingest.sentry.example/api/42/envelope/"),
            (
                "https://abc@errors.partner.example:8443/a/b/1",
                "https://errors.partner.example:8443/a/b/api/1/envelope/",
            ),
            ("http://abc@localhost:9000/1", "http://localhost:9000/api/1/envelope/"),
            ("http://abc@10.0.0.1/1", "http://10.0.0.1/api/1/envelope/"),
        ] {
            let dsn: Dsn = dsn.parse().unwrap();
            assert_eq!((dsn.address.as_str(), dsn.key.as_str()), (address, "abc"));
        }
        for wrong in [
            "",
            "abc",
            "https://o1.ingest.sentry.example/42",
            "https://abc@o1.ingest.sentry.example",
            "https://abc@o1.ingest.sentry.example/",
            "https://abc@o1.ingest.sentry.example/project",
            "https://abc@o1.ingest.sentry.example/42?a=b",
            "https://abc:secret@o1.ingest.sentry.example/42",
            "https://a%20b@o1.ingest.sentry.example/42",
            "http://abc@o1.ingest.sentry.example/42",
            "http://abc@1.1.1.1/42",
            "ftp://abc@localhost/42",
        ] {
            assert!(wrong.parse::<Dsn>().is_err(), "{wrong}");
        }
    }
}

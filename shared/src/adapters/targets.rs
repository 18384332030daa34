//! The addresses that the partner's customers enter: called over HTTPS, with our own look at what their names lead to.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use rustls::RootCertStore;

use super::web;
use crate::domain::delivery::Failure;
use crate::domain::subscription::{Reach, Target};
use crate::error::{Chain, ConfigError};
use crate::ports::{CallTargets, SignedCall, Told};

/// For one call. Standard Webhooks asks receivers to answer at once and to work afterwards.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer that are read, so that its connection can be used again.
const READ: usize = 4 * 1024;

/// A client for addresses of others.
#[derive(Debug, Clone)]
pub struct Targets {
    http: Client,
    reach: Reach,
}

impl Targets {
    /// One that calls what `reach` allows.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] if there is no TLS.
    pub fn new(reach: Reach) -> Result<Self, ConfigError> {
        Self::with_timeout(reach, TIMEOUT)
    }

    fn with_timeout(reach: Reach, timeout: Duration) -> Result<Self, ConfigError> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let http = web::builder(roots, timeout)
            .dns_resolver(CheckedNames(reach))
            .build()
            .map_err(|e| ConfigError::Invalid("EVENT_TARGETS", e.to_string()))?;
        Ok(Self { http, reach })
    }
}

/// Looks names up. The connection is made to exactly the addresses that it gives: nobody looks the name up again
/// between the check and the connection. (A host that is an address is not looked up; [`Target::read`] checks it.)
struct CheckedNames(Reach);

/// A name that leads to an address that may not be called.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to an address that is not public")]
struct Forbidden;

impl Resolve for CheckedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            // The port is put in by whoever connects.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            checked(found, reach).map(|all| -> Addrs { Box::new(all.into_iter()) }).map_err(Into::into)
        })
    }
}

/// One forbidden address forbids all: whoever mixes them tries something.
fn checked(found: Vec<SocketAddr>, reach: Reach) -> Result<Vec<SocketAddr>, Forbidden> {
    if found.iter().all(|address| reach.allows(address.ip())) { Ok(found) } else { Err(Forbidden) }
}

impl CallTargets for Targets {
    async fn call(&self, call: SignedCall<'_>) -> Told {
        let Ok(target) = Target::read(call.url, self.reach) else {
            return Told::Failed(Failure::ForbiddenAddress);
        };
        let request = self
            .http
            .post(target.url().clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("webhook-id", call.event_id.as_ref())
            .header("webhook-timestamp", call.at.as_second())
            .header("webhook-signature", call.signature)
            .body(call.body.to_owned());
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Told::Failed(failure(error)),
        };
        let status = response.status().as_u16();
        let mut read = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            read += chunk.len();
            if read > READ {
                break;
            }
        }
        match status {
            200..=299 => Told::Yes,
            410 => Told::Gone,
            status => Told::Failed(Failure::Status { status }),
        }
    }
}

fn failure(error: reqwest::Error) -> Failure {
    // Its address may hold a secret of the receiver's.
    let error = error.without_url();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        if cause.is::<Forbidden>() {
            return Failure::ForbiddenAddress;
        }
        source = cause.source();
    }
    tracing::debug!(error = %Chain(&error), "an address was not reached");
    if error.is_timeout() { Failure::Timeout } else { Failure::Unreachable }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::scripted::{Act, Scripted};
    use super::*;
    use crate::domain::Timestamp;

    async fn call(targets: &Targets, url: &str) -> Told {
        let id = "evt_1".parse().unwrap();
        let at = Timestamp::from_second(1_795_000_000).unwrap();
        targets
            .call(SignedCall { url, event_id: &id, at, signature: "v1,abc v1,def", body: "{\"a\":1}" })
            .await
    }

    fn any() -> Targets {
        Targets::with_timeout(Reach::Any, Duration::from_millis(500)).unwrap()
    }

    #[tokio::test]
    async fn a_call_has_the_headers_of_the_standard_and_2xx_is_success() {
        let server = Scripted::start(|_| Act::Answer(204, "text/plain", String::new()));
        assert_eq!(call(&any(), server.url.as_str()).await, Told::Yes);
        let request = &server.requests()[0];
        assert_eq!((request.method.as_str(), request.body.as_slice()), ("POST", &b"{\"a\":1}"[..]));
        for (name, value) in [
            ("webhook-id", "evt_1"),
            ("webhook-timestamp", "1795000000"),
            ("webhook-signature", "v1,abc v1,def"),
            ("content-type", "application/json"),
        ] {
            assert_eq!(request.header(name), Some(value));
        }
    }

    #[tokio::test]
    async fn every_other_answer_is_a_failure_and_no_redirect_is_followed() {
        for status in [301, 302, 307, 400, 404, 429, 500] {
            let server = Scripted::start(move |_| Act::json(status, &json!({})));
            let told = call(&any(), server.url.as_str()).await;
            assert_eq!(told, Told::Failed(Failure::Status { status }));
            assert_eq!(server.requests().len(), 1, "{status}");
        }
        let server = Scripted::start(|_| Act::json(410, &json!({})));
        assert_eq!(call(&any(), server.url.as_str()).await, Told::Gone);
    }

    #[tokio::test]
    async fn silence_and_a_closed_port_are_failures_and_a_broken_off_success_is_one() {
        let server = Scripted::start(|_| Act::Hang);
        assert_eq!(call(&any(), server.url.as_str()).await, Told::Failed(Failure::Timeout));
        let server = Scripted::start(|_| Act::Drop);
        assert_eq!(call(&any(), server.url.as_str()).await, Told::Failed(Failure::Unreachable));
        assert_eq!(call(&any(), "http://127.0.0.1:9/").await, Told::Failed(Failure::Unreachable));
        let server = Scripted::start(|_| Act::BreakOff);
        assert_eq!(call(&any(), server.url.as_str()).await, Told::Yes, "its status came");
    }

    #[tokio::test]
    async fn nothing_inside_is_ever_called() {
        let server = Scripted::start(|_| Act::json(200, &json!({})));
        let targets = Targets::with_timeout(Reach::Public, Duration::from_millis(500)).unwrap();
        let port = server.url.port().unwrap();
        for host in ["127.0.0.1", "[::1]", "169.254.169.254", "localhost", "[::ffff:127.0.0.1]"] {
            for scheme in ["http", "https"] {
                let url = format!("{scheme}://{host}:{port}/");
                assert_eq!(call(&targets, &url).await, Told::Failed(Failure::ForbiddenAddress), "{url}");
            }
        }
        assert!(server.requests().is_empty());
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_when_it_is_looked_up() {
        // Around the check of the text: as if a public name led to this machine.
        let http = web::builder(RootCertStore::empty(), Duration::from_millis(500));
        let http = http.dns_resolver(CheckedNames(Reach::Public)).build().unwrap();
        let server = Scripted::start(|_| Act::json(200, &json!({})));
        let url = format!("http://localhost:{}/", server.url.port().unwrap());
        let error = http.post(url).send().await.unwrap_err();
        assert_eq!(failure(error), Failure::ForbiddenAddress);
        assert!(server.requests().is_empty());
    }

    #[test]
    fn one_forbidden_address_among_several_forbids_all() {
        let all: Vec<SocketAddr> =
            ["1.1.1.1:0", "[2606:4700::1111]:0"].iter().map(|it| it.parse().unwrap()).collect();
        assert_eq!(checked(all.clone(), Reach::Public).unwrap(), all);
        let mixed = [&all[..], &["10.0.0.1:0".parse().unwrap()]].concat();
        assert!(checked(mixed.clone(), Reach::Public).is_err());
        assert!(checked(mixed, Reach::Any).is_ok());
    }
}

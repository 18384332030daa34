//! Meta's Graph API. One client for all calls; what each call asks and understands is in the module of
//! its use.

mod accounts;
mod media;
mod messages;
mod partner;
mod templates;
#[cfg(test)]
mod tests;
mod tokens;
mod usage;
mod wire;

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Method, RequestBuilder};
use rustls::RootCertStore;
use secrecy::zeroize::Zeroizing;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::{Host, Url};

use super::secrets::{OneSecret, Secrets};
use super::system::SystemClock;
use super::web;
use crate::config;
use crate::domain::ids::BusinessId;
use crate::domain::meta_error::{MetaError, Remedy};
use crate::domain::rate::Usage;
use crate::domain::secret::{AccessToken, AppSecret};
use crate::domain::signature::appsecret_proof;
use crate::error::{ConfigError, GraphError, StoreError};
use crate::kept::Kept;
use crate::telemetry::metric;

/// Meta usually answers within one second; a function has at most 30.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Who signs `graph.facebook.com`: its certificates come from DigiCert's roots (seen 2026). A short list
/// keeps the start short, and a certificate of anybody else is refused.
const ISSUER: &[u8] = b"DigiCert";
/// Entries per page: the most that `phone_numbers` gives (Meta, OpenAPI v23.0).
const PAGE: usize = 100;
/// A list that goes on after so many pages is taken for a cursor that runs in a circle.
const MOST_PAGES: usize = 50;

/// Where the Graph API is and who we are there.
#[derive(Debug)]
pub struct GraphConfig {
    /// `https://graph.facebook.com`, or a simulator on this machine or its private network.
    pub base_url: Url,
    /// Graph version, for example `v26.0`.
    pub version: String,
    /// Our app's id.
    pub app_id: String,
    /// Our app's secret: for the code exchange, `debug_token` and `appsecret_proof`.
    pub app_secret: Option<Kept<AppSecret>>,
    /// What a Solution Partner has besides.
    pub partner: Option<PartnerAccess>,
}

impl GraphConfig {
    /// The configuration of this function, from `GRAPH_BASE_URL`, `GRAPH_VERSION` and `APP_ID`.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting.
    pub fn from_env(
        app_secret: Option<Kept<AppSecret>>,
        partner: Option<PartnerAccess>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            base_url: config::parsed("GRAPH_BASE_URL")?,
            version: config::required("GRAPH_VERSION")?,
            app_id: config::required("APP_ID")?,
            app_secret,
            partner,
        })
    }
}

/// A Solution Partner's own portfolio, credit line and system user.
#[derive(Debug)]
pub struct PartnerAccess {
    /// Our portfolio.
    pub business_id: BusinessId,
    /// The extended credit line that pays for clients.
    pub credit_line_id: String,
    /// Token of an admin system user of our portfolio.
    pub system_user_token: Kept<AccessToken>,
}

/// Why a function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A secret cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PartnerAccess {
    /// What a Solution Partner has, from `PARTNER_BUSINESS_ID`, `CREDIT_LINE_ID` and the secret `system_user_token`.
    /// `None` for a Tech Provider, which `PARTNER_KIND` says.
    ///
    /// # Errors
    /// [`StartError`] names the setting, or says why the secret cannot be read.
    pub async fn from_env(secrets: &Secrets, system_user_token: String) -> Result<Option<Self>, StartError> {
        match config::optional("PARTNER_KIND").as_deref() {
            None | Some("solution_partner") => {}
            Some("tech_provider") => return Ok(None),
            Some(_) => {
                let what = "must be solution_partner or tech_provider".to_owned();
                return Err(ConfigError::Invalid("PARTNER_KIND", what).into());
            }
        }
        let token = OneSecret::new(secrets, system_user_token);
        Ok(Some(Self {
            business_id: config::parsed("PARTNER_BUSINESS_ID")?,
            credit_line_id: config::required("CREDIT_LINE_ID")?,
            system_user_token: Kept::read(token, SystemClock).await?,
        }))
    }
}

/// The Graph API.
pub struct Graph {
    http: Client,
    /// Address with the version.
    base: Url,
    app_id: String,
    app_secret: Option<Kept<AppSecret>>,
    partner: Option<PartnerAccess>,
    /// What answers said since somebody asked: the newest per limit.
    usage: Mutex<Vec<Usage>>,
}

impl Graph {
    /// The Graph API of this configuration. Connects to nothing yet.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for a version not of the form `v26.0`, or an address that is neither Meta's nor
    /// private.
    pub fn new(config: GraphConfig) -> Result<Self, ConfigError> {
        if !may_have_tokens(&config.base_url) {
            let what = "neither https://graph.facebook.com nor a private address".to_owned();
            return Err(ConfigError::Invalid("GRAPH_BASE_URL", what));
        }
        Self::with_timeout(config, TIMEOUT)
    }

    fn with_timeout(config: GraphConfig, timeout: Duration) -> Result<Self, ConfigError> {
        let invalid = |e: &dyn std::fmt::Display| ConfigError::Invalid("GRAPH_BASE_URL", e.to_string());
        if !is_version(&config.version) {
            let what = "a Graph version looks like v26.0".to_owned();
            return Err(ConfigError::Invalid("GRAPH_VERSION", what));
        }
        let mut base = config.base_url;
        base.path_segments_mut()
            .map_err(|()| invalid(&"not the address of a web service"))?
            .pop_if_empty()
            .push(&config.version);
        let http = web::client(roots(), timeout).map_err(|e| invalid(&e))?;
        let GraphConfig { app_id, app_secret, partner, .. } = config;
        Ok(Self { http, base, app_id, app_secret, partner, usage: Mutex::default() })
    }

    fn usage(&self) -> MutexGuard<'_, Vec<Usage>> {
        self.usage.lock().expect("nothing panics while it holds the lock")
    }

    /// Keeps what an answer's headers say of the limits that it counts against.
    fn heed(&self, headers: &HeaderMap) {
        let told = usage::told(headers);
        let mut known = self.usage();
        known.retain(|old| told.iter().all(|new| new.key != old.key));
        known.extend(told);
    }

    fn app_secret(&self) -> Result<&Kept<AppSecret>, GraphError> {
        self.app_secret.as_ref().ok_or_else(|| not_sent(ConfigError::Missing("APP_SECRET_ARN")))
    }

    fn partner(&self) -> Result<&PartnerAccess, GraphError> {
        self.partner.as_ref().ok_or_else(|| not_sent(ConfigError::Missing("SYSTEM_USER_TOKEN_ARN")))
    }

    /// What the app itself calls with.
    fn app_token(&self, secret: &AppSecret) -> Result<AccessToken, GraphError> {
        AccessToken::try_from([&self.app_id, "|", secret.expose()].concat()).map_err(not_sent)
    }

    fn get(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::GET, path)
    }

    fn post(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::POST, path)
    }

    fn delete(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::DELETE, path)
    }

    fn call(&self, method: Method, path: &[&str]) -> Call<'_> {
        let mut address = self.base.clone();
        address.path_segments_mut().expect("its path was extended before").extend(path);
        let request = self.http.request(method, address);
        Call { graph: self, request, actor: Actor::Nobody, scheme: "Bearer ", hidden: Vec::new() }
    }

    /// Every entry of a list, page by page.
    async fn list<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        actor: Actor<'_>,
    ) -> Result<Vec<T>, GraphError> {
        let mut entries = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut call = self.get(path).query(query).query(&[("limit", &PAGE.to_string())]).by(actor);
            if let Some(cursor) = &after {
                call = call.query(&[("after", cursor)]);
            }
            let page: wire::Page<T> = call.send().await?;
            after = page.next(PAGE);
            entries.extend(page.data);
            if after.is_none() {
                return Ok(entries);
            }
        }
        Err(unclear("the list does not end"))
    }
}

/// Whose token a call carries.
#[derive(Clone, Copy)]
enum Actor<'c> {
    /// Nobody's, as long as nothing else is said.
    Nobody,
    /// None: the app's secret is one of its parameters.
    ClientSecret,
    /// The app's own, made of its id and its secret.
    App,
    /// This one.
    Token(&'c AccessToken),
    /// Our system user's, as it is now.
    SystemUser,
}

/// One call. `'c` is how long its secrets live, so that they can be struck from Meta's error texts.
struct Call<'c> {
    graph: &'c Graph,
    /// Without what depends on our own secrets, which may change between two tries.
    request: RequestBuilder,
    actor: Actor<'c>,
    /// With its space.
    scheme: &'static str,
    hidden: Vec<&'c str>,
}

impl<'c> Call<'c> {
    fn query(mut self, parameters: &[(&str, &str)]) -> Self {
        self.request = self.request.query(parameters);
        self
    }

    /// A parameter that must not be seen again.
    fn secret_query(mut self, name: &str, value: &'c str) -> Self {
        self.hidden.push(value);
        self.query(&[(name, value)])
    }

    fn json(mut self, body: &impl Serialize) -> Self {
        self.request = self.request.json(body);
        self
    }

    /// Marks something in the body as not to be seen again.
    fn hiding(mut self, secret: &'c str) -> Self {
        self.hidden.push(secret);
        self
    }

    /// Acts with this token, in a header and never in the address, and proves that we are its app: Meta
    /// demands the proof of apps with "Require App Secret" (Meta, Graph API, secure requests).
    fn token(self, token: &'c AccessToken) -> Self {
        self.by(Actor::Token(token))
    }

    fn by(mut self, actor: Actor<'c>) -> Self {
        self.actor = actor;
        self
    }

    async fn send<T: DeserializeOwned>(self) -> Result<T, GraphError> {
        let (status, body) = self.answer().await?;
        wire::read(status, &body)
    }

    /// A token of our system user that Meta does not take may have been replaced since it was read.
    async fn answer(&self) -> Result<(u16, Zeroizing<Vec<u8>>), GraphError> {
        let kept = match self.actor {
            Actor::Nobody | Actor::ClientSecret | Actor::App => return self.proven(None).await,
            Actor::Token(token) => return self.proven(Some(token)).await,
            Actor::SystemUser => &self.graph.partner()?.system_user_token,
        };
        let known = kept.get();
        let answer = self.proven(Some(known.current())).await;
        let is_refused = |error: &GraphError| error.refusal().is_some_and(|it| it.remedy() == Remedy::Token);
        if answer.as_ref().is_err_and(is_refused)
            && let Some(newer) = kept.newer_than(&known).await
        {
            return self.proven(Some(newer.current())).await;
        }
        answer
    }

    /// With the app's current secret; with the other one, and with those that the store has by now, where Meta does not
    /// take it. A call that is refused so has done nothing.
    async fn proven(&self, token: Option<&AccessToken>) -> Result<(u16, Zeroizing<Vec<u8>>), GraphError> {
        let kept = match (&self.graph.app_secret, self.actor) {
            (Some(kept), _) => kept,
            (None, Actor::ClientSecret | Actor::App) => self.graph.app_secret()?,
            (None, _) => return self.attempt(token, None).await,
        };
        let mut known = kept.get();
        loop {
            for secret in known.iter() {
                match self.attempt(token, Some(secret)).await {
                    Err(error) if error.refusal().is_some_and(|it| self.is_about_the_secret(it)) => {}
                    answer => return answer,
                }
            }
            match kept.newer_than(&known).await {
                Some(newer) => known = newer,
                None => break,
            }
        }
        tracing::error!(
            metric = metric::APP_SECRET_REFUSED,
            "Meta does not take the app secret that is stored"
        );
        Err(not_sent("Meta does not take the app secret that is stored"))
    }

    /// A proof that does not verify is code 100 and a wrong `client_secret` code 1, told apart by their texts, which
    /// Meta does not document and developers report. That an app token of a wrong secret is 190 is our guess. None of it
    /// was tried on Meta; where it is wrong, the refusal is shown as it is.
    fn is_about_the_secret(&self, refusal: &MetaError) -> bool {
        match (refusal.code, self.actor) {
            (1, Actor::ClientSecret) => refusal.details.contains("client secret"),
            (190, Actor::App) => true,
            (100, Actor::App | Actor::Token(_) | Actor::SystemUser) => {
                refusal.details.contains("appsecret_proof")
            }
            _ => false,
        }
    }

    async fn attempt(
        &self,
        token: Option<&AccessToken>,
        secret: Option<&AppSecret>,
    ) -> Result<(u16, Zeroizing<Vec<u8>>), GraphError> {
        let mut request = self.request.try_clone().expect("bytes can be sent again");
        let of_app = match (self.actor, secret) {
            (Actor::App, Some(secret)) => Some(self.graph.app_token(secret)?),
            (Actor::ClientSecret, Some(secret)) => {
                request = request.query(&[("client_secret", secret.expose())]);
                None
            }
            _ => None,
        };
        let token = of_app.as_ref().or(token);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, authorization(self.scheme, token));
            if let Some(secret) = secret {
                request = request.query(&[("appsecret_proof", &appsecret_proof(secret, token))]);
            }
        }
        let response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        self.graph.heed(response.headers());
        let body = web::body(response).await.map_err(unclear)?;
        let ours = secret.map(AppSecret::expose).into_iter().chain(token.map(AccessToken::expose));
        let secrets: Vec<&str> = ours.chain(self.hidden.iter().copied()).collect();
        wire::refuse(&body, status, &secrets)?;
        Ok((status, body))
    }

    /// For calls that answer `{"success": true}`.
    async fn done(self) -> Result<(), GraphError> {
        let answer: wire::Success = self.send().await?;
        if answer.success { Ok(()) } else { Err(unclear("Meta did not confirm success")) }
    }
}

/// The header's value, made in one piece: a text that grows leaves copies behind.
fn authorization(scheme: &str, token: &AccessToken) -> HeaderValue {
    let text = Zeroizing::new([scheme, token.expose()].concat());
    let mut value = HeaderValue::from_str(&text).expect("a token is visible ASCII");
    value.set_sensitive(true);
    value
}

/// Only what failed before anything was written counts as not sent.
fn failed(error: reqwest::Error) -> GraphError {
    let sent = !(error.is_connect() || error.is_builder());
    let error = error.without_url();
    if sent { unclear(error) } else { not_sent(error) }
}

fn not_sent(source: impl Into<crate::error::Source>) -> GraphError {
    GraphError::NotSent(source.into())
}

fn unclear(source: impl Into<crate::error::Source>) -> GraphError {
    GraphError::Unclear(source.into())
}

/// Whether tokens may be sent there: to Meta over TLS, or to a simulator that no public address reaches (in a
/// container, the machine's own address is a private one).
fn may_have_tokens(base: &Url) -> bool {
    match base.host() {
        Some(Host::Domain("graph.facebook.com")) => base.scheme() == "https" && base.port().is_none(),
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_private(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn is_version(text: &str) -> bool {
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let version = text.strip_prefix('v').and_then(|rest| rest.split_once('.'));
    version.is_some_and(|(major, minor)| number(major) && number(minor))
}

fn roots() -> RootCertStore {
    let ours = |subject: &[u8]| subject.windows(ISSUER.len()).any(|part| part == ISSUER);
    let roots = webpki_roots::TLS_SERVER_ROOTS.iter().filter(|root| ours(&root.subject));
    RootCertStore { roots: roots.cloned().collect() }
}

//! What all parts share: configuration, state, logs and the client for webhooks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{Notify, Semaphore, watch};

use crate::Config;
use crate::faults::Faults;
use crate::limits::Limits;
use crate::logs::{Call, Delivery, Log};
use crate::state::{self, State};

/// POSTs of webhooks at the same time: many, as Meta's, but not more than a laptop has file handles for.
const PARALLEL_DELIVERIES: usize = 128;
/// A callback that has not answered by then counts as failed. Meta's own limit is unpublished.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(20);
/// Changes are gathered for this long before the state file is written.
const SAVE_DELAY: Duration = Duration::from_millis(300);

/// One running simulator.
pub(crate) struct World {
    pub(crate) config: Config,
    /// `http://127.0.0.1:port`.
    pub(crate) base_url: String,
    pub(crate) port: u16,
    pub(crate) calls: Log<Call>,
    pub(crate) deliveries: Log<Delivery>,
    pub(crate) http: reqwest::Client,
    pub(crate) parallel_deliveries: Semaphore,
    state: Mutex<State>,
    limits: Mutex<Limits>,
    faults: Mutex<Faults>,
    webhook_url: Mutex<Option<String>>,
    /// Goes up at every reset, so that older deliveries end.
    generation: AtomicU64,
    stopping: watch::Sender<bool>,
    dirty: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic in one call must not end the others; the data are plain and stay consistent enough.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// A world in the state of its file, or an empty one.
    pub(crate) fn new(config: Config, port: u16) -> anyhow::Result<Arc<Self>> {
        let state = match &config.state_file {
            Some(path) => state::load(path)?,
            None => State::default(),
        };
        Ok(Arc::new(Self {
            base_url: format!("http://127.0.0.1:{port}"),
            port,
            calls: Log::new(),
            deliveries: Log::new(),
            http: http_client()?,
            parallel_deliveries: Semaphore::new(PARALLEL_DELIVERIES),
            state: Mutex::new(state),
            limits: Mutex::default(),
            faults: Mutex::default(),
            webhook_url: Mutex::new(config.webhook_url.clone()),
            generation: AtomicU64::new(0),
            stopping: watch::Sender::new(false),
            dirty: Notify::new(),
            config,
        }))
    }

    /// The state, for a short and synchronous look or change.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The buckets. Where both are needed, the state is locked first.
    pub(crate) fn limits(&self) -> MutexGuard<'_, Limits> {
        lock(&self.limits)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    /// The app's own callback URL.
    pub(crate) fn webhook_url(&self) -> Option<String> {
        lock(&self.webhook_url).clone()
    }

    pub(crate) fn set_webhook_url(&self, url: String) {
        *lock(&self.webhook_url) = Some(url);
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Everything as on the first day, except the configuration.
    pub(crate) fn reset(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
        *self.state() = State::default();
        *self.limits() = Limits::default();
        self.faults().clear();
        self.calls.clear();
        self.deliveries.clear();
        self.changed();
    }

    /// Says that the state file is out of date.
    pub(crate) fn changed(&self) {
        self.dirty.notify_one();
    }

    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Ends when the simulator stops.
    pub(crate) async fn stopped(&self) {
        // An error would mean that the sender is gone, which is the same.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Writes the state file after changes until the simulator stops, and then once more.
    pub(crate) async fn keep_state_file(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.dirty.notified() => {}
                () = self.stopped() => break,
            }
            tokio::select! {
                () = tokio::time::sleep(SAVE_DELAY) => {}
                () = self.stopped() => break,
            }
            self.save().await;
        }
        self.save().await;
    }

    async fn save(&self) {
        let Some(path) = self.config.state_file.clone() else { return };
        let json = serde_json::to_vec(&*self.state());
        let written = tokio::task::spawn_blocking(move || {
            let json = json.context("cannot serialise the state")?;
            state::save(&path, &json)
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("the simulator's state was not saved: {error:#}"),
            Err(error) => tracing::error!("the simulator's state was not saved: {error}"),
        }
    }
}

/// The client for webhooks: its own roots and provider, no proxy, no redirects (a callback must answer itself).
fn http_client() -> anyhow::Result<reqwest::Client> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("the TLS provider has no usable version")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    #[expect(clippy::disallowed_methods, reason = "the simulator's one client, built once")]
    let builder = reqwest::Client::builder();
    builder
        .tls_backend_preconfigured(tls)
        .user_agent("facebookexternalua") // as Meta's webhooks name themselves
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(DELIVERY_TIMEOUT)
        .build()
        .context("cannot build the HTTP client for webhooks")
}

//! A local stand-in for Meta: the Graph API for WhatsApp, webhooks with signatures and retries, the signup
//! popup, customers' phones and a predictable language model. A partner can develop against it without an
//! account at Meta. What it knows of Meta is the state of November 2026.
//!
//! It listens on this machine only, and everything in it is invented.

mod api;
mod clock;
mod control;
mod faults;
mod graph;
mod guard;
mod limits;
mod logs;
mod mask;
mod messages;
mod model;
mod popup;
mod random;
mod state;
mod webhooks;
mod world;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::task::JoinHandle;

use crate::world::World;

/// How long open calls may go on after a stop.
const GRACE: Duration = Duration::from_secs(3);

/// What the simulated app and partner are. These win over the state file.
#[derive(Clone)]
pub struct Config {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The Meta app's id.
    pub app_id: String,
    /// The Meta app's secret: signs webhooks, buys tokens.
    pub app_secret: String,
    /// The token of the webhook handshake that the backend expects.
    pub verify_token: String,
    /// The Embedded Signup configuration that pages must name.
    pub config_id: String,
    /// The partner's own business portfolio.
    pub partner_business_id: String,
    /// The partner's extended credit line.
    pub credit_line_id: String,
    /// The partner's admin system user.
    pub system_user_id: String,
    /// That user's token; begins with `EAA`.
    pub system_user_token: String,
    /// Where webhooks go; may be set later by [`Simulator::set_webhook_url`].
    pub webhook_url: Option<String>,
    /// Origins that may open the popup and call the control API from a browser.
    pub page_origins: Vec<String>,
    /// JSON file with businesses, WABAs, numbers, tokens and messages: read at start, written after changes and
    /// at stop. `None` = nothing outlives the process.
    pub state_file: Option<PathBuf>,
}

/// A running simulator. Dropping it without [`Simulator::stop`] leaves it running until its runtime ends.
pub struct Simulator {
    world: Arc<World>,
    server: JoinHandle<std::io::Result<()>>,
    keeper: JoinHandle<()>,
}

impl Simulator {
    /// Starts listening.
    ///
    /// # Errors
    /// The address is in use, or the state file cannot be read.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let address = config.listen;
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .with_context(|| format!("the Meta simulator cannot listen on {address}"))?;
        let port = listener.local_addr().context("the listener has no address")?.port();
        let world = World::new(config, port)?;
        let stopping = world.clone();
        let server = axum::serve(listener, router(&world))
            .with_graceful_shutdown(async move { stopping.stopped().await });
        let server = tokio::spawn(server.into_future());
        let keeper = tokio::spawn(world.clone().keep_state_file());
        Ok(Self { world, server, keeper })
    }

    /// The origin that takes the place of `https://graph.facebook.com`: `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        self.world.base_url.clone()
    }

    /// Sends webhooks there from now on.
    pub fn set_webhook_url(&self, url: String) {
        self.world.set_webhook_url(url);
    }

    /// Makes the webhook handshake with the configured verify token, as Meta does when a callback URL is saved.
    ///
    /// # Errors
    /// No URL is set, or it does not answer 200 with the challenge.
    pub async fn verify_webhook(&self) -> anyhow::Result<()> {
        let url = self.world.webhook_url().context("no webhook URL is set")?;
        let handshake = webhooks::handshake(&self.world, &url, &self.world.config.verify_token).await;
        handshake.map_err(|error| anyhow::anyhow!("{}", error.message()))
    }

    /// Ends calls, deliveries and pauses, and writes the state file.
    pub async fn stop(self) {
        self.world.stop();
        let abort = self.server.abort_handle();
        if tokio::time::timeout(GRACE, self.server).await.is_err() {
            abort.abort();
        }
        if let Err(error) = self.keeper.await {
            tracing::error!("the simulator's state was not saved: {error}");
        }
    }
}

fn router(world: &Arc<World>) -> Router {
    let inner = Router::new()
        .nest("/_sim", control::routes())
        .nest("/_popup", popup::calls())
        .layer(from_fn_with_state(world.clone(), guard::origin));
    inner
        .merge(popup::files())
        .fallback(api::entry)
        .layer(from_fn_with_state(world.clone(), guard::host))
        .with_state(world.clone())
}

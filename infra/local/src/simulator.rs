//! The Meta simulator, as part of the stack.

use std::net::TcpListener;

use anyhow::{Context, Result};
use meta_simulator::{Config, Simulator};

use crate::options::release;
use crate::settings::{SYSTEM_USER_ID, Settings};
use crate::state_dir::StateDir;

/// Starts it on the reserved port; its webhooks go to the front.
pub(crate) async fn start(
    settings: &Settings,
    dir: &StateDir,
    port: TcpListener,
    front: &str,
) -> Result<Simulator> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    Simulator::start(Config {
        listen: release(port)?,
        app_id: settings.app_id.clone(),
        app_secret: settings.app_secret.clone(),
        verify_token: settings.verify_token.clone(),
        config_id: settings.config_id.clone(),
        partner_business_id: text(&settings.business_id),
        credit_line_id: text(&settings.credit_line_id),
        system_user_id: SYSTEM_USER_ID.to_owned(),
        system_user_token: text(&settings.system_user_token),
        webhook_url: Some(format!("{front}/api/webhooks/whatsapp")),
        page_origins: vec![front.to_owned(), front.replace("127.0.0.1", "localhost")],
        state_file: Some(dir.file("simulator.json")),
    })
    .await
    .context("the Meta simulator could not be started")
}

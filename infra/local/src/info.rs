//! `stack.json`: how tools and tests find a running stack.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a running stack is and how to speak to it: the content of `stack.json`.
///
/// With real Meta settings the members that are secrets are absent.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StackInfo {
    /// Origin of the API, without a slash at the end.
    pub api_url: String,
    /// Origin of the pages.
    pub web_url: String,
    /// Origin of the Graph API: the simulator's, or Meta's.
    pub meta_url: String,
    /// Endpoint of the local cloud, for AWS SDKs.
    pub aws_endpoint: String,
    /// Region of the local cloud.
    pub region: String,
    /// The Meta app.
    pub app_id: String,
    /// Its secret, which signs webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_secret: Option<String>,
    /// What the webhook handshake must present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify_token: Option<String>,
    /// Embedded Signup's configuration.
    pub config_id: String,
    /// Tokens of callers, valid for a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// Names of the tables by short name: `grants`, `clients` …
    pub tables: BTreeMap<String, String>,
    /// Addresses of the queues by short name: `inbound`, `answers`, `media`, `events`, and of those of dead letters:
    /// `inboundDead`, `answersDead`, `mediaDead`, `eventsDead`, `changesDead`, `schedulesDead`.
    pub queues: BTreeMap<String, String>,
    /// Names of the buckets by short name: `media`.
    #[serde(default)]
    pub buckets: BTreeMap<String, String>,
    /// Names of the functions that are called directly, by short name: `recovery`, `tokenCare`.
    #[serde(default)]
    pub functions: BTreeMap<String, String>,
    /// The folder with one log file per function.
    pub logs: PathBuf,
}

/// Bearer tokens of callers.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Tokens {
    /// May touch every bot.
    pub admin: String,
    /// By bot; each may touch that bot only.
    pub bots: BTreeMap<String, String>,
}

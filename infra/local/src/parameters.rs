//! The template's parameters in the local stack.

use std::collections::BTreeMap;

use serde_json::json;

use crate::settings::{GRAPH, Settings};
use crate::tokens::AUDIENCE;

/// The newest version that the simulator speaks.
const GRAPH_VERSION: &str = "v26.0";

/// Origins of the three servers.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    /// The pages and the API.
    pub(crate) front: String,
    /// The AWS endpoint.
    pub(crate) aws: String,
    /// The Meta simulator, unless the settings are real.
    pub(crate) simulator: Option<String>,
}

impl Origins {
    /// Where the Graph API is.
    pub(crate) fn graph(&self) -> &str {
        self.simulator.as_deref().unwrap_or(GRAPH)
    }
}

/// Parameters by name; `overrides` win.
pub(crate) fn parameters(
    settings: &Settings,
    origins: &Origins,
    overrides: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut set = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            all.insert(name.to_owned(), value.to_owned());
        }
    };
    set("Architecture", Some(architecture()));
    set("AppId", Some(&settings.app_id));
    set("AppSecret", Some(&settings.app_secret));
    set("VerifyToken", Some(&settings.verify_token));
    set("GraphVersion", Some(GRAPH_VERSION));
    set("GraphBaseUrl", Some(origins.graph()));
    let kind = if settings.credit_line_id.is_some() { "solution_partner" } else { "tech_provider" };
    set("PartnerKind", Some(kind));
    set("PartnerBusinessId", settings.business_id.as_deref());
    set("CreditLineId", settings.credit_line_id.as_deref());
    set("SystemUserToken", settings.system_user_token.as_deref());
    set("JwtIssuer", Some(&origins.front));
    set("JwtAudience", Some(AUDIENCE));
    set("AllowedOrigin", Some(&origins.front));
    set("AwsEndpointUrl", Some(&origins.aws));
    // Receivers of events run on this machine.
    set("EventTargets", Some("any"));
    match (&settings.model, &origins.simulator) {
        (Some(model), _) => {
            let name = model.name.as_deref().unwrap_or("default");
            let models = json!([{
                "name": "default", "provider": "openai", "baseUrl": model.base_url, "model": name}]);
            set("Models", Some(&models.to_string()));
            set("ModelKey", model.key.as_deref());
        }
        (None, Some(simulator)) => {
            set("Models", Some(&simulated(simulator)));
            // The simulator's models take any key, but want one.
            set("ModelKey", Some("simulated"));
        }
        (None, None) => {}
    }
    all.extend(overrides.iter().map(|(name, value)| (name.clone(), value.clone())));
    all
}

/// The simulator's model behind each protocol; one of them takes files. A word is a token, and costs a
/// millionth of a dollar.
fn simulated(simulator: &str) -> String {
    let model = |name: &str, provider: &str, base_url: String, takes: &[&str]| {
        json!({"name": name, "provider": provider, "baseUrl": base_url, "model": "simulated", "takes": takes,
            "usdPerMillionInputTokens": 1, "usdPerMillionOutputTokens": 1})
    };
    let chat = model("default", "openai", format!("{simulator}/v1"), &[]);
    let bedrock = model("bedrock", "bedrock", simulator.to_owned(), &["image", "audio", "document"]);
    json!([chat, bedrock]).to_string()
}

/// This machine's, in Lambda's words: the functions run here.
fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}

//! The Graph API: which call is which, and who may make it.

pub(crate) mod auth;
mod business;
mod credit;
pub(crate) mod error;
mod fields;
pub(crate) mod media;
mod oauth;
mod phone;
mod registration;
pub(crate) mod request;
mod templates;
mod waba;

use axum::http::Method;
use serde_json::{Value, json};

use self::auth::Caller;
use self::error::GraphError;
use self::request::GraphRequest;
use crate::Config;
use crate::faults::FailLater;
use crate::limits::Limits;
use crate::state::{Number, State, Waba};
use crate::webhooks::Effect;

/// The versions that the simulator speaks: the current one (2026-11) and the two before.
pub(crate) const VERSIONS: [&str; 3] = ["v26.0", "v25.0", "v24.0"];

const MANAGEMENT: &str = "whatsapp_business_management";
const MESSAGING: &str = "whatsapp_business_messaging";

/// What a call answers.
pub(crate) type Answer = Result<Value, GraphError>;

/// One call at work: what it reads, what it changes and what it causes afterwards.
pub(crate) struct Turn<'a> {
    pub(crate) config: &'a Config,
    pub(crate) state: &'a mut State,
    pub(crate) limits: &'a mut Limits,
    pub(crate) request: &'a GraphRequest,
    /// The simulator's origin, for addresses in answers.
    pub(crate) base_url: &'a str,
    /// Where the app's webhooks go now.
    pub(crate) app_webhook_url: Option<String>,
    /// A fault that makes accepted messages fail.
    pub(crate) fail_later: Option<FailLater>,
    /// Webhooks and the like, sent once the state is unlocked.
    pub(crate) effects: Vec<Effect>,
}

/// What an id stands for.
enum Kind {
    Waba,
    Number,
    Business,
    PartnerBusiness,
    CreditLine,
    Allocation,
    Media,
    Template,
}

/// Checks the version; the path after it, or the refusal.
pub(crate) fn strip_version(path: &str) -> Result<&str, GraphError> {
    let (version, rest) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
    if VERSIONS.contains(&version) {
        return Ok(rest);
    }
    let number =
        version.strip_prefix('v').and_then(|v| v.strip_suffix(".0")).and_then(|v| v.parse::<u32>().ok());
    match number {
        Some(1..=23) => Err(GraphError::new(
            400,
            2635,
            format!(
                "(#2635) You are calling a deprecated version of the API ({version}). Please update to the latest version: v26.0."
            ),
        )),
        _ => Err(GraphError::unknown_path(path)),
    }
}

/// Does one call.
pub(crate) fn answer(turn: &mut Turn<'_>) -> Answer {
    let path = turn.request.path.clone();
    let segments: Vec<&str> = path.split('/').collect();
    let get = turn.request.method == Method::GET;
    match segments.as_slice() {
        ["oauth", "access_token"] => return oauth::access_token(turn),
        ["oauth", "revoke"] if get => return oauth::revoke(turn),
        _ => {}
    }
    let caller = auth::authenticate(turn.config, turn.state, turn.request)?;
    match segments.as_slice() {
        ["debug_token"] if get => oauth::debug_token(turn, &caller),
        ["me"] if get => oauth::me(turn, &caller),
        [app, "uploads"] if !get && *app == turn.config.app_id => templates::begin_upload(turn, &caller),
        [session] if !get && session.starts_with(request::UPLOAD) => templates::upload(turn, session),
        [id] => node(turn, &caller, id),
        [id, edge] => edge_of(turn, &caller, id, edge),
        _ => Err(GraphError::unknown_path(&path)),
    }
}

fn kind_of(turn: &Turn<'_>, id: &str) -> Result<Kind, GraphError> {
    let state = &turn.state;
    // A Tech Provider has no credit line: its empty id must not make an empty path a known one.
    if id.is_empty() {
        Err(GraphError::unknown_path(&turn.request.path))
    } else if state.wabas.contains_key(id) {
        Ok(Kind::Waba)
    } else if state.numbers.contains_key(id) {
        Ok(Kind::Number)
    } else if id == turn.config.partner_business_id {
        Ok(Kind::PartnerBusiness)
    } else if state.businesses.contains_key(id) {
        Ok(Kind::Business)
    } else if id == turn.config.credit_line_id {
        Ok(Kind::CreditLine)
    } else if state.allocations.contains_key(id) {
        Ok(Kind::Allocation)
    } else if state.media.contains_key(id) {
        Ok(Kind::Media)
    } else if state.wabas.values().any(|waba| waba.templates.iter().any(|template| template.id == id)) {
        Ok(Kind::Template)
    } else if id.bytes().all(|byte| byte.is_ascii_digit()) {
        Err(GraphError::unsupported(turn.request.method.as_str(), id))
    } else {
        Err(GraphError::unknown_path(&turn.request.path))
    }
}

fn node(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let kind = kind_of(turn, id)?;
    match (turn.request.method.as_str(), kind) {
        ("GET", Kind::Waba) => waba::read(turn, caller, id),
        ("GET", Kind::Number) => phone::read(turn, caller, id),
        ("POST", Kind::Number) => phone::update(turn, caller, id),
        ("GET", Kind::Allocation) => credit::read(turn, caller, id),
        ("DELETE", Kind::Allocation) => credit::revoke(turn, caller, id),
        ("GET", Kind::Media) => media::read(turn, caller, id),
        ("DELETE", Kind::Media) => media::delete(turn, caller, id),
        ("GET", Kind::Template) => templates::read(turn, caller, id),
        ("POST", Kind::Template) => templates::edit(turn, caller, id),
        ("GET", Kind::Business | Kind::PartnerBusiness) => business::read(turn, caller, id),
        (method, _) => Err(GraphError::unsupported(method, id)),
    }
}

fn edge_of(turn: &mut Turn<'_>, caller: &Caller, id: &str, edge: &str) -> Answer {
    let kind = kind_of(turn, id)?;
    match (turn.request.method.as_str(), kind, edge) {
        ("GET", Kind::Waba, "phone_numbers") => waba::phone_numbers(turn, caller, id),
        ("GET", Kind::Waba, "subscribed_apps") => waba::subscriptions(turn, caller, id),
        ("POST", Kind::Waba, "subscribed_apps") => waba::subscribe(turn, caller, id),
        ("DELETE", Kind::Waba, "subscribed_apps") => waba::unsubscribe(turn, caller, id),
        ("GET", Kind::Waba, "assigned_users") => waba::assigned_users(turn, caller, id),
        ("POST", Kind::Waba, "assigned_users") => waba::assign_user(turn, caller, id),
        ("DELETE", Kind::Waba, "assigned_users") => waba::unassign_user(turn, caller, id),
        ("GET", Kind::Waba, "message_templates") => templates::list(turn, caller, id),
        ("POST", Kind::Waba, "message_templates") => templates::create(turn, caller, id),
        ("DELETE", Kind::Waba, "message_templates") => templates::delete(turn, caller, id),
        ("POST", Kind::Template, "unpause") => templates::unpause(turn, caller, id),
        ("POST", Kind::Number, "register") => registration::register(turn, caller, id),
        ("POST", Kind::Number, "deregister") => registration::deregister(turn, caller, id),
        ("GET", Kind::Number, "settings") => registration::read_settings(turn, caller, id),
        ("POST", Kind::Number, "settings") => registration::settings(turn, caller, id),
        ("POST", Kind::Number, "smb_app_data") => registration::smb_app_data(turn, caller, id),
        ("POST", Kind::Number, "messages") => crate::messages::send(turn, caller, id),
        ("POST", Kind::Number, "media") => media::upload(turn, caller, id),
        ("GET", Kind::PartnerBusiness, "extendedcredits") => credit::lines(turn, caller),
        ("GET", Kind::PartnerBusiness, "system_users") => business::system_users(turn, caller),
        ("GET", Kind::PartnerBusiness, "client_whatsapp_business_accounts") => {
            business::client_wabas(turn, caller)
        }
        ("GET", Kind::PartnerBusiness, "owned_whatsapp_business_accounts") => Ok(json!({"data": []})),
        ("POST", Kind::Business, "system_user_access_tokens") => business::access_token(turn, caller, id),
        ("POST", Kind::CreditLine, "whatsapp_credit_sharing_and_attach") => {
            credit::share_and_attach(turn, caller)
        }
        ("POST", Kind::CreditLine, "whatsapp_credit_sharing") => credit::share(turn, caller),
        ("POST", Kind::CreditLine, "whatsapp_credit_attach") => credit::attach(turn, caller),
        ("GET", Kind::CreditLine, "owning_credit_allocation_configs") => credit::allocations(turn, caller),
        _ => Err(GraphError::unknown_path(&format!("{id}/{edge}"))),
    }
}

impl Turn<'_> {
    /// The WABA, if the caller may touch it with this scope.
    pub(crate) fn waba(&self, caller: &Caller, id: &str, scope: &str) -> Result<&Waba, GraphError> {
        let unseen = || GraphError::unsupported(self.request.method.as_str(), id);
        let waba = self.state.wabas.get(id).ok_or_else(unseen)?;
        match caller {
            Caller::Business { waba_ids, scopes, .. } => {
                if !waba_ids.iter().any(|covered| covered == id) {
                    return Err(unseen());
                }
                if !scopes.iter().any(|given| given == scope) {
                    return Err(GraphError::permission(format_args!(
                        "You do not have the necessary permissions required to complete this action: {scope}"
                    )));
                }
            }
            Caller::SystemUser if waba.shared => {}
            Caller::SystemUser | Caller::App => return Err(unseen()),
        }
        Ok(waba)
    }

    /// The number, if the caller may touch its WABA with this scope.
    pub(crate) fn number(
        &mut self,
        caller: &Caller,
        id: &str,
        scope: &str,
    ) -> Result<&mut Number, GraphError> {
        let unseen = || GraphError::unsupported(self.request.method.as_str(), id);
        let waba_id = self.state.numbers.get(id).ok_or_else(unseen)?.waba_id.clone();
        self.waba(caller, &waba_id, scope).map_err(|error| match error.is_unseen() {
            true => unseen(),
            false => error,
        })?;
        self.state.numbers.get_mut(id).ok_or_else(unseen)
    }

    /// The same, to change it.
    pub(crate) fn waba_mut(
        &mut self,
        caller: &Caller,
        id: &str,
        scope: &str,
    ) -> Result<&mut Waba, GraphError> {
        self.waba(caller, id, scope)?;
        let unseen = || GraphError::unsupported(self.request.method.as_str(), id);
        self.state.wabas.get_mut(id).ok_or_else(unseen)
    }

    /// Only the partner's own system user goes on.
    pub(crate) fn require_system_user(&self, caller: &Caller) -> Result<(), GraphError> {
        match caller {
            Caller::SystemUser => Ok(()),
            _ => Err(GraphError::permission(
                "Requires business_management permission to manage the object; use the token of an admin system user of the partner's portfolio",
            )),
        }
    }

    /// This call's address, for `paging.next`.
    pub(crate) fn address(&self) -> String {
        format!("{}/{}/{}", self.base_url, VERSIONS[0], self.request.path)
    }
}

/// The usual answer of a write.
fn success() -> Answer {
    Ok(json!({"success": true}))
}

//! What stands in a webhook: incoming messages, statuses and account events in the form of November 2026.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Post, Scope};
use crate::clock::SECOND_MS;
use crate::faults::FailLater;
use crate::state::{Signup, State};

/// Pause between `sent`, `delivered` and `read`: long enough to be three POSTs, short enough that the first may
/// overtake the answer of the send.
const STATUS_PAUSE: Duration = Duration::from_millis(50);

/// An accepted message, with what its statuses need.
pub(crate) struct SentMessage {
    pub(crate) wamid: String,
    pub(crate) number_id: String,
    pub(crate) waba_id: String,
    pub(crate) business_id: String,
    pub(crate) wa_id: String,
    /// Addressed to a BSUID: then no phone number appears in the statuses.
    pub(crate) to_bsuid: bool,
    pub(crate) callback_data: Option<String>,
    /// Pricing category.
    pub(crate) category: String,
    /// Reactions are only ever `sent`.
    pub(crate) reaction: bool,
    /// Set if the message is to fail after it was accepted.
    pub(crate) failure: Option<FailLater>,
}

impl SentMessage {
    /// One POST for each status.
    pub(crate) fn statuses(&self, state: &mut State) -> Vec<Post> {
        let statuses: &[&str] = match (&self.failure, self.reaction) {
            (Some(_), _) => &["failed"],
            (None, true) => &["sent"],
            (None, false) => &["sent", "delivered", "read"],
        };
        let bsuid = state.bsuid(&self.wa_id, &self.business_id);
        let contact = contact(state, &self.wa_id, &bsuid, self.to_bsuid);
        let mut posts = Vec::new();
        for (index, status) in (0_u32..).zip(statuses) {
            let mut value = envelope(state, &self.number_id);
            if self.failure.is_none() {
                value.insert("contacts".into(), json!([contact]));
            }
            value.insert("statuses".into(), json!([self.status(state, status, &bsuid)]));
            let scope = Scope::Waba { waba_id: self.waba_id.clone(), number_id: self.number_id.clone() };
            let mut post = Post::new(&self.waba_id, scope, "messages", Value::Object(value));
            post.after = STATUS_PAUSE * index;
            posts.push(post);
        }
        posts
    }

    fn status(&self, state: &State, status: &str, bsuid: &str) -> Value {
        let mut item = Map::new();
        item.insert("id".into(), json!(self.wamid));
        item.insert("status".into(), json!(status));
        item.insert("timestamp".into(), json!((state.now_ms() / SECOND_MS).to_string()));
        if !self.to_bsuid {
            item.insert("recipient_id".into(), json!(self.wa_id));
        }
        item.insert("recipient_user_id".into(), json!(bsuid));
        if let Some(data) = &self.callback_data {
            item.insert("biz_opaque_callback_data".into(), json!(data));
        }
        if let Some(failure) = &self.failure {
            item.insert("errors".into(), json!([error(failure)]));
        } else if status != "read" {
            let pricing = json!({
                "billable": true, "pricing_model": "PMP", "category": self.category, "type": "regular"});
            item.insert("pricing".into(), pricing);
        }
        Value::Object(item)
    }
}

/// A message that a customer wrote.
pub(crate) struct InboundMessage<'a> {
    pub(crate) wa_id: &'a str,
    pub(crate) number_id: &'a str,
    pub(crate) waba_id: &'a str,
    pub(crate) business_id: &'a str,
    pub(crate) wamid: &'a str,
    /// The customer has a username and no shared history: no phone number in the webhook.
    pub(crate) bsuid_only: bool,
    /// `type`, the object of that name, and `context` or the like.
    pub(crate) message: &'a Map<String, Value>,
}

impl InboundMessage<'_> {
    /// The webhook of this message.
    pub(crate) fn post(&self, state: &mut State) -> Post {
        let bsuid = state.bsuid(self.wa_id, self.business_id);
        let mut item = Map::new();
        if !self.bsuid_only {
            item.insert("from".into(), json!(self.wa_id));
        }
        item.insert("from_user_id".into(), json!(bsuid));
        item.insert("id".into(), json!(self.wamid));
        item.insert("timestamp".into(), json!((state.now_ms() / SECOND_MS).to_string()));
        for (name, value) in self.message {
            item.insert(name.clone(), value.clone());
        }
        let contact = contact(state, self.wa_id, &bsuid, self.bsuid_only);
        let mut value = envelope(state, self.number_id);
        value.insert("contacts".into(), json!([contact]));
        value.insert("messages".into(), json!([item]));
        let scope = Scope::Waba { waba_id: self.waba_id.to_owned(), number_id: self.number_id.to_owned() };
        Post::new(self.waba_id, scope, "messages", Value::Object(value))
    }
}

/// `account_update` of a finished signup. Its `entry.id` is the partner's portfolio, not the WABA.
pub(crate) fn partner_added(state: &State, partner: &str, app_id: &str, signup: &Signup) -> Post {
    let mut info = json!({"waba_id": signup.waba_id, "owner_business_id": signup.business_id});
    let shared = state.wabas.get(&signup.waba_id).is_none_or(|waba| waba.shared);
    let event = if shared { "PARTNER_ADDED" } else { "PARTNER_APP_INSTALLED" };
    if !shared {
        info["partner_app_id"] = json!(app_id);
    }
    let mut post =
        Post::new(partner, Scope::App, "account_update", json!({"event": event, "waba_info": info}));
    post.time = Some(state.now_ms() / SECOND_MS);
    post
}

/// An error object as statuses carry it.
fn error(failure: &FailLater) -> Value {
    let title = failure.title.as_deref().unwrap_or("Message undeliverable");
    let details = failure.details.as_deref().unwrap_or(title);
    json!({"code": failure.code, "title": title, "message": title, "error_data": {"details": details}})
}

fn envelope(state: &State, number_id: &str) -> Map<String, Value> {
    let digits = state.numbers.get(number_id).map_or_else(String::new, crate::state::Number::digits);
    let mut value = Map::new();
    value.insert("messaging_product".into(), json!("whatsapp"));
    value.insert("metadata".into(), json!({"display_phone_number": digits, "phone_number_id": number_id}));
    value
}

fn contact(state: &mut State, wa_id: &str, bsuid: &str, bsuid_only: bool) -> Value {
    let name = state.customer(wa_id).name.clone();
    match bsuid_only {
        true => json!({"profile": {"name": name, "username": username(&name)}, "user_id": bsuid}),
        false => json!({"profile": {"name": name}, "wa_id": wa_id, "user_id": bsuid}),
    }
}

/// A username made of the ASCII letters of a name.
fn username(name: &str) -> String {
    let letters: String = name.chars().filter(char::is_ascii_alphabetic).collect();
    format!("@{}", letters.to_lowercase())
}

//! Webhooks: what causes them, where they go, and delivery with Meta's retries.

mod build;
mod deliver;
mod templates;
mod wire;

/// What webhooks say of templates.
pub(crate) mod template_webhooks {
    pub(crate) use super::templates::{category, coming_category, components, post, quality, status};
}

pub(crate) use build::{InboundMessage, SentMessage, partner_added};
pub(crate) use deliver::{handshake, post_raw};
pub(crate) use wire::signature;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::state::State;
use crate::world::World;

use self::deliver::Parcel;

/// What a change of state causes, done once the state is unlocked.
pub(crate) enum Effect {
    /// One webhook.
    Post(Post),
    /// A template is reviewed after a moment.
    ReviewTemplate { waba_id: String, template_id: String },
    /// A template's pause was ended by its owner.
    UnpausedTemplate { waba_id: String, template_id: String },
}

/// Who decides where a webhook goes.
pub(crate) enum Scope {
    /// The app itself: always its own URL.
    App,
    /// The WABA's subscription decides whether, the app's own URL is where.
    SubscribedApp { waba_id: String },
    /// As before, and a URL of the number or of the WABA replaces the app's.
    Waba { waba_id: String, number_id: String },
}

/// A webhook on its way.
pub(crate) struct Post {
    pub(crate) after: Duration,
    pub(crate) time: Option<i64>,
    /// How often the same bytes are delivered.
    pub(crate) copies: u32,
    entry_id: String,
    scope: Scope,
    field: Cow<'static, str>,
    value: Value,
}

/// A template's review ends this long after it was written.
const REVIEW: Duration = Duration::from_millis(100);

impl Post {
    pub(crate) fn new(
        entry_id: &str,
        scope: Scope,
        field: impl Into<Cow<'static, str>>,
        value: Value,
    ) -> Self {
        let (entry_id, field) = (entry_id.to_owned(), field.into());
        Self { after: Duration::ZERO, time: None, copies: 1, entry_id, scope, field, value }
    }

    fn body(&self) -> Value {
        let changes = json!([{"value": self.value, "field": self.field}]);
        let entry = match self.time {
            Some(time) => json!({"id": self.entry_id, "time": time, "changes": changes}),
            None => json!({"id": self.entry_id, "changes": changes}),
        };
        json!({"object": "whatsapp_business_account", "entry": [entry]})
    }

    /// The URL, if anybody wants this webhook.
    fn url(&self, state: &State, app_url: Option<String>) -> Option<String> {
        let (waba_id, number_id) = match &self.scope {
            Scope::App => return app_url,
            Scope::SubscribedApp { waba_id } => (waba_id, None),
            Scope::Waba { waba_id, number_id } => (waba_id, Some(number_id)),
        };
        let waba = state.wabas.get(waba_id).filter(|waba| waba.subscribed)?;
        let Some(number_id) = number_id else {
            return app_url;
        };
        let of_number = state.numbers.get(number_id).and_then(|number| number.webhook.as_ref());
        let replacement = of_number.or(waba.webhook.as_ref());
        replacement.map(|webhook| webhook.url.clone()).or(app_url)
    }
}

/// The ids of the messages in a webhook, and `id:state` of its statuses.
pub(crate) fn elements(body: &Value) -> Vec<String> {
    let each = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let id = |item: &Value| item["id"].as_str().map(str::to_owned);
    let mut found = Vec::new();
    for change in each(body, "entry").iter().flat_map(|entry| each(entry, "changes")) {
        found.extend(each(&change["value"], "messages").iter().filter_map(id));
        let status = |item: &Value| Some(format!("{}:{}", id(item)?, item["status"].as_str()?));
        found.extend(each(&change["value"], "statuses").iter().filter_map(status));
    }
    found
}

/// Starts all effects; they run on their own.
pub(crate) fn start(world: &Arc<World>, effects: Vec<Effect>) {
    for effect in effects {
        match effect {
            Effect::Post(post) => start_post(world, post),
            Effect::ReviewTemplate { waba_id, template_id } => {
                let world = world.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(REVIEW).await;
                    templates::review(&world, &waba_id, &template_id);
                });
            }
            Effect::UnpausedTemplate { waba_id, template_id } => {
                templates::unpaused(world, &waba_id, &template_id);
            }
        }
    }
}

fn start_post(world: &Arc<World>, post: Post) {
    let world = world.clone();
    let generation = world.generation();
    tokio::spawn(async move {
        tokio::time::sleep(post.after).await;
        let url = post.url(&world.state(), world.webhook_url());
        let Some(url) = url else { return };
        let content = post.body();
        let body = axum::body::Bytes::from(wire::encode(&content));
        let elements = elements(&content);
        for _ in 0..post.copies {
            let (world, url, field) = (world.clone(), url.clone(), post.field.clone());
            let parcel = Parcel { body: body.clone(), field, elements: elements.clone() };
            tokio::spawn(async move { deliver::deliver(&world, generation, &url, parcel).await });
        }
    });
}

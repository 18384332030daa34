//! What Meta does to a template: reviews, pauses, quality, categories.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::refuse;
use crate::clock::{DAY_MS, SECOND_MS};
use crate::webhooks::{self, Effect, Post, template_webhooks as say};
use crate::world::World;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Change {
    /// A new status, in the words of `message_template_status_update`.
    event: Option<String>,
    reason: Option<String>,
    quality: Option<String>,
    /// The new category, at once.
    category: Option<String>,
    /// The category that is announced.
    correct_category: Option<String>,
    /// New components.
    components: Option<Value>,
    /// Without a webhook.
    #[serde(default)]
    silent: bool,
}

/// `POST /_sim/templates/{id}`.
pub(super) async fn change(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    body: Bytes,
) -> super::Reply {
    let change: Change = serde_json::from_slice(&body).map_err(|error| {
        refuse(StatusCode::BAD_REQUEST, format!("This is not a change of a template: {error}"))
    })?;
    let (posts, at) = {
        let mut state = world.state();
        let unknown = || refuse(StatusCode::NOT_FOUND, "The simulator knows no template with this id.");
        let waba_id = state.waba_of_template(&id).map(str::to_owned).ok_or_else(unknown)?;
        let now = state.now_ms();
        let template = state.template_mut(&waba_id, &id).ok_or_else(unknown)?;
        let values = apply(template, &change, now);
        if change.event.as_deref() == Some("DELETED")
            && let Some(waba) = state.wabas.get_mut(&waba_id)
        {
            waba.templates.retain(|template| template.id != id);
        }
        let post = |(field, value)| webhooks::template_webhooks::post(&state, &waba_id, field, value);
        let posts: Vec<Post> = values.into_iter().map(post).collect();
        (posts, now / SECOND_MS)
    };
    world.changed();
    if !change.silent {
        webhooks::start(&world, posts.into_iter().map(Effect::Post).collect());
    }
    Ok(Json(json!({"time": at})))
}

/// Changes the template; the webhooks that say so.
fn apply(template: &mut crate::state::Template, change: &Change, now_ms: i64) -> Vec<(&'static str, Value)> {
    let mut said = Vec::new();
    if let Some(event) = &change.event {
        let reason = change.reason.as_deref().unwrap_or("NONE");
        let status = match event.as_str() {
            "UNARCHIVED" | "REINSTATED" => "APPROVED",
            other => other,
        };
        template.status = status.to_owned();
        template.rejected_reason = reason.to_owned();
        said.push(("message_template_status_update", say::status(template, event, reason)));
    }
    if let Some(quality) = &change.quality {
        let previous = std::mem::replace(&mut template.quality, quality.clone());
        said.push(("message_template_quality_update", say::quality(template, &previous)));
    }
    if let Some(category) = &change.category {
        let previous = std::mem::replace(&mut template.category, category.clone());
        template.correct_category = None;
        said.push(("template_category_update", say::category(template, &previous)));
    }
    if let Some(correct) = &change.correct_category {
        template.correct_category = Some(correct.clone());
        let at = (now_ms + DAY_MS) / SECOND_MS;
        said.push(("template_category_update", say::coming_category(template, at)));
    }
    if let Some(components) = &change.components {
        template.components = components.clone();
        said.push(("message_template_components_update", say::components(template)));
    }
    said
}

//! Reviews of templates, and what webhooks say of templates.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Post, Scope, start_post};
use crate::clock::SECOND_MS;
use crate::state::{State, Template};
use crate::world::World;

/// Ends a review: a name that begins with `reject_` is rejected, one with `hold_` stays pending until the control API
/// says how it ends, everything else is approved.
pub(super) fn review(world: &Arc<World>, waba_id: &str, template_id: &str) {
    let post = {
        let mut state = world.state();
        let Some(template) = state.template_mut(waba_id, template_id) else { return };
        let event = match template.name.as_str() {
            name if name.starts_with("hold_") => return,
            name if name.starts_with("reject_") => "REJECTED",
            _ => "APPROVED",
        };
        template.status = event.to_owned();
        template.rejected_reason = if event == "REJECTED" { "INVALID_FORMAT" } else { "NONE" }.to_owned();
        let value = status(template, event, &template.rejected_reason);
        post(&state, waba_id, "message_template_status_update", value)
    };
    world.changed();
    start_post(world, post);
}

/// Tells that a pause has ended.
pub(super) fn unpaused(world: &Arc<World>, waba_id: &str, template_id: &str) {
    let post = {
        let mut state = world.state();
        let Some(template) = state.template_mut(waba_id, template_id) else { return };
        let mut value = status(template, "APPROVED", "NONE");
        value["other_info"] = json!({"title": "UNPAUSED", "description": "The template can be sent again."});
        post(&state, waba_id, "message_template_status_update", value)
    };
    start_post(world, post);
}

/// The webhook of a change, of this moment.
pub(crate) fn post(state: &State, waba_id: &str, field: &'static str, value: Value) -> Post {
    let scope = Scope::SubscribedApp { waba_id: waba_id.to_owned() };
    let mut post = Post::new(waba_id, scope, field, value);
    post.time = Some(state.now_ms() / SECOND_MS);
    post
}

/// What all of them say. The template's id is a number here.
fn named(template: &Template) -> Value {
    json!({
        "message_template_id": template.id.parse::<u64>().unwrap_or_default(),
        "message_template_name": template.name,
        "message_template_language": template.language,
    })
}

/// `message_template_status_update`.
pub(crate) fn status(template: &Template, event: &str, reason: &str) -> Value {
    let mut value = named(template);
    value["event"] = json!(event);
    value["reason"] = json!(reason);
    value["message_template_category"] = json!(template.category);
    value
}

/// `message_template_quality_update`.
pub(crate) fn quality(template: &Template, previous: &str) -> Value {
    let mut value = named(template);
    value["previous_quality_score"] = json!(previous);
    value["new_quality_score"] = json!(template.quality);
    value
}

/// `template_category_update` of a change that is done.
pub(crate) fn category(template: &Template, previous: &str) -> Value {
    let mut value = named(template);
    value["previous_category"] = json!(previous);
    value["new_category"] = json!(template.category);
    value
}

/// `template_category_update` of one that comes at this time, in Unix seconds.
pub(crate) fn coming_category(template: &Template, at: i64) -> Value {
    let mut value = named(template);
    value["new_category"] = json!(template.category);
    value["correct_category"] = json!(template.correct_category);
    value["category_update_timestamp"] = json!(at);
    value
}

/// `message_template_components_update`.
pub(crate) fn components(template: &Template) -> Value {
    let mut value = named(template);
    let part = |kind: &str| {
        let all = template.components.as_array().into_iter().flatten();
        all.into_iter().find(|it| it["type"].as_str().is_some_and(|it| it.eq_ignore_ascii_case(kind)))
    };
    for (kind, member) in [
        ("BODY", "message_template_element"),
        ("HEADER", "message_template_title"),
        ("FOOTER", "message_template_footer"),
    ] {
        if let Some(text) = part(kind).and_then(|part| part.get("text")) {
            value[member] = text.clone();
        }
    }
    if let Some(buttons) = part("BUTTONS").and_then(|part| part["buttons"].as_array()) {
        value["message_template_buttons"] = buttons.iter().map(button).collect();
    }
    value
}

fn button(button: &Value) -> Value {
    let members = button.as_object().into_iter().flatten();
    let told = members.filter(|(name, _)| ["type", "text", "url", "phone_number"].contains(&name.as_str()));
    told.map(|(name, value)| (format!("message_template_button_{name}"), value.clone())).collect()
}

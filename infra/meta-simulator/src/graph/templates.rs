//! Message templates: rules of names, contents, edits and limits. New and edited ones are reviewed after a moment:
//! `webhooks::templates` says how that ends.

use serde_json::{Map, Value, json};

use super::auth::Caller;
use super::error::GraphError;
use super::fields::{Node, page, select};
use super::{Answer, GraphRequest, MANAGEMENT, Turn, success};
use crate::clock::{DAY_MS, HOUR_MS, SECOND_MS};
use crate::random;
use crate::state::{Template, Waba};
use crate::webhooks::Effect;

const DEFAULT_FIELDS: [&str; 7] =
    ["name", "parameter_format", "components", "language", "status", "category", "id"];
const CATEGORIES: [&str; 3] = ["AUTHENTICATION", "MARKETING", "UTILITY"];
/// New templates of an account in an hour (template management).
const CREATES_PER_HOUR: usize = 100;
/// Templates of an account whose business is not verified.
const MOST_TEMPLATES: usize = 250;
/// How long the name of a deleted approved template is not given again.
const NAME_BLOCKED_MS: i64 = 30 * DAY_MS;
/// Edits of an approved template: one a day, ten in thirty days.
const EDITS_PER_MONTH: usize = 10;

/// `GET /{waba}/message_templates`, filtered by `name`, `status`, `language` or `category` if given.
pub(super) fn list(turn: &Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let waba = turn.waba(caller, id, MANAGEMENT)?;
    let nodes: Vec<Node> = waba
        .templates
        .iter()
        .map(|template| fields(turn, template))
        .filter(|node| matches(turn, node))
        .collect();
    let mut answer = page(&nodes, turn.request, &DEFAULT_FIELDS, &turn.address())?;
    if let Some(asked) = turn.request.text("summary") {
        answer["summary"] = summary(&asked, nodes.len(), waba.templates.len());
    }
    Ok(answer)
}

/// Counts that `summary=` asks for by name; without one of its names Meta's answer has none of them.
fn summary(asked: &str, found: usize, all: usize) -> Value {
    let known = [
        ("total_count", json!(found)),
        ("message_template_count", json!(all)),
        ("message_template_limit", json!(MOST_TEMPLATES)),
        ("are_translations_complete", json!(true)),
    ];
    let asked: Vec<&str> = asked.split(',').map(str::trim).collect();
    let wanted = known.into_iter().filter(|(name, _)| asked.contains(name));
    Value::Object(wanted.map(|(name, value)| (name.to_owned(), value)).collect())
}

fn matches(turn: &Turn<'_>, node: &Node) -> bool {
    ["name", "status", "language", "category"].into_iter().all(|name| {
        let wanted = turn.request.text(name);
        wanted.is_none_or(|wanted| node.get(name).and_then(Value::as_str) == Some(wanted.as_str()))
    })
}

fn fields(turn: &Turn<'_>, template: &Template) -> Node {
    // Of now: when Meta last looked is not kept.
    let scored_at = turn.state.now_ms() / SECOND_MS;
    let entries = [
        ("id", json!(template.id)),
        ("name", json!(template.name)),
        ("language", json!(template.language)),
        ("category", json!(template.category)),
        ("correct_category", json!(template.correct_category)),
        ("previous_category", Value::Null),
        ("status", json!(template.status)),
        ("parameter_format", json!(template.parameter_format)),
        ("message_send_ttl_seconds", json!(template.ttl_seconds)),
        ("components", template.components.clone()),
        ("quality_score", json!({"score": template.quality, "date": scored_at})),
        ("rejected_reason", json!(template.rejected_reason)),
        ("sub_category", Value::Null),
        ("library_template_name", Value::Null),
        ("cta_url_link_tracking_opted_out", Value::Null),
        ("degrees_of_freedom_spec", Value::Null),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// `GET /{template}`.
pub(super) fn read(turn: &Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let waba_id = waba_of(turn, id)?;
    let waba = turn.waba(caller, &waba_id, MANAGEMENT)?;
    let template = waba.templates.iter().find(|template| template.id == id);
    let template = template.ok_or_else(|| GraphError::unsupported("get", id))?;
    select(&fields(turn, template), turn.request, &DEFAULT_FIELDS)
}

/// `POST /{waba}/message_templates`.
pub(super) fn create(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let request = turn.request;
    turn.waba(caller, id, MANAGEMENT)?;
    let (name, language, category) =
        (request.required("name")?, request.required("language")?, category(request)?);
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.len() > 512 || !name.bytes().all(allowed) {
        return Err(GraphError::parameter(
            "Param name can hold lower-case letters, digits and underscores only, at most 512",
        ));
    }
    let components = components(turn)?.ok_or_else(no_body)?;
    let (ttl_seconds, now) = (ttl(request, &category)?, turn.state.now_ms());
    let parameter_format = request.text("parameter_format").unwrap_or_else(|| "POSITIONAL".to_owned());
    let waba_id = id.to_owned();
    let waba = turn.waba_mut(caller, &waba_id, MANAGEMENT)?;
    check_room(waba, &name, &language, now)?;
    waba.template_creates.push(now);
    let template = Template {
        parameter_format,
        ttl_seconds,
        ..Template::pending(&name, &language, &category, components)
    };
    let answer = json!({"id": template.id, "status": template.status, "category": category});
    let template_id = template.id.clone();
    waba.templates.push(template);
    turn.effects.push(Effect::ReviewTemplate { waba_id, template_id });
    Ok(answer)
}

/// Limits of the account, and the name.
fn check_room(waba: &mut Waba, name: &str, language: &str, now: i64) -> Result<(), GraphError> {
    waba.template_creates.retain(|at| now - at < HOUR_MS);
    if waba.template_creates.len() >= CREATES_PER_HOUR {
        return Err(GraphError::new(
            400,
            80_007,
            "(#80007) There have been too many calls to this WhatsApp Business account.",
        )
        .details("An account can create 100 templates in an hour."));
    }
    if waba.templates.len() >= MOST_TEMPLATES {
        return Err(GraphError::new(400, 2_388_019, "(#2388019) The limit of message templates is reached"));
    }
    let refused = |subcode, details: &str| {
        Err(GraphError::new(400, 100, "Invalid parameter").subcode(subcode).details(details))
    };
    if waba.templates.iter().any(|template| template.name == name && template.language == language) {
        return refused(2_388_024, "There is already content of this language for this template name.");
    }
    waba.deleted_templates.retain(|(_, at)| now - at < NAME_BLOCKED_MS);
    if waba.deleted_templates.iter().any(|(deleted, _)| deleted == name) {
        return refused(
            2_388_023,
            "A template of this name was deleted; it can be used again after 30 days.",
        );
    }
    Ok(())
}

fn category(request: &GraphRequest) -> Result<String, GraphError> {
    let category = request.required("category")?;
    if CATEGORIES.contains(&category.as_str()) {
        Ok(category)
    } else {
        Err(GraphError::parameter("Param category must be one of {AUTHENTICATION, MARKETING, UTILITY}"))
    }
}

/// `message_send_ttl_seconds` within the category's bounds.
fn ttl(request: &GraphRequest, category: &str) -> Result<Option<i64>, GraphError> {
    let Some(text) = request.text("message_send_ttl_seconds") else { return Ok(None) };
    let (range, forever) = match category {
        "AUTHENTICATION" => (30..=900, true),
        "UTILITY" => (30..=43_200, true),
        _ => (43_200..=2_592_000, false),
    };
    let ttl = text.parse::<i64>().ok().filter(|ttl| range.contains(ttl) || (forever && *ttl == -1));
    ttl.map(Some).ok_or_else(|| {
        GraphError::parameter("Param message_send_ttl_seconds is outside the bounds of the category")
    })
}

fn no_body() -> GraphError {
    GraphError::parameter("Param components must be an array with a BODY")
}

/// `components`, a JSON array, or in a form the text of one; a body is needed. `None` if the call has none.
fn components(turn: &Turn<'_>) -> Result<Option<Value>, GraphError> {
    let parsed = match turn.request.params.get("components") {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or(Value::Null),
        Some(value) => value.clone(),
        None => return Ok(None),
    };
    let all = parsed.as_array().ok_or_else(no_body)?;
    if !all.iter().any(|component| is_kind(component, "BODY")) {
        return Err(no_body());
    }
    for component in all {
        check_component(turn, component)?;
    }
    Ok(Some(parsed))
}

fn is_kind(component: &Value, kind: &str) -> bool {
    component["type"].as_str().is_some_and(|given| given.eq_ignore_ascii_case(kind))
}

/// Lengths and places of one component (template components; error codes page).
fn check_component(turn: &Turn<'_>, component: &Value) -> Result<(), GraphError> {
    let text = component["text"].as_str().unwrap_or_default();
    let longer_than = |most: usize| text.encode_utf16().count() > most;
    let refused = |code: i64, what: &str| {
        Err(GraphError::new(400, code, format!("(#{code}) {what}")).details(what.to_owned()))
    };
    if is_kind(component, "HEADER") {
        let format = component["format"].as_str().unwrap_or("TEXT").to_uppercase();
        return match format.as_str() {
            "TEXT" if longer_than(60) => refused(2_388_047, "The header has more than 60 characters"),
            "IMAGE" | "VIDEO" | "DOCUMENT" if !has_sample(turn, component) => {
                refused(2_388_047, "A media header needs example.header_handle with an uploaded sample")
            }
            _ => Ok(()),
        };
    }
    if is_kind(component, "BODY") {
        let trimmed = text.trim();
        return if longer_than(1024) {
            refused(2_388_072, "The body has more than 1024 characters")
        } else if trimmed.starts_with("{{") || trimmed.ends_with("}}") {
            refused(2_388_299, "Variables can't be at the start or end of the template")
        } else {
            Ok(())
        };
    }
    if is_kind(component, "FOOTER") && (longer_than(60) || text.contains("{{")) {
        return refused(2_388_073, "The footer has at most 60 characters and no variables");
    }
    if is_kind(component, "BUTTONS") && component["buttons"].as_array().is_none_or(|all| all.len() > 10) {
        return refused(2_388_039, "A template has at most 10 buttons");
    }
    Ok(())
}

fn has_sample(turn: &Turn<'_>, component: &Value) -> bool {
    let handle = component.pointer("/example/header_handle/0").and_then(Value::as_str);
    handle.is_some_and(|handle| turn.state.sample_handles.contains(handle))
}

/// `POST /{template}`: all components are replaced and reviewed again.
pub(super) fn edit(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let waba_id = waba_of(turn, id)?;
    turn.waba(caller, &waba_id, MANAGEMENT)?;
    let (components, now) = (components(turn)?, turn.state.now_ms());
    let given: Map<String, Value> = turn.request.params.clone();
    let wanted = turn.request.text("category").map(|_| category(turn.request)).transpose()?;
    let format = turn.request.text("parameter_format");
    if components.is_none() && wanted.is_none() && !given.contains_key("message_send_ttl_seconds") {
        return Err(no_body());
    }
    let request = turn.request;
    let template = template_mut(turn, caller, &waba_id, id)?;
    let new_category = wanted.unwrap_or_else(|| template.category.clone());
    let ttl_seconds = ttl(request, &new_category)?;
    check_edit(template, &new_category, now)?;
    template.edits.push(now);
    template.category = new_category;
    template.ttl_seconds = ttl_seconds.or(template.ttl_seconds);
    template.parameter_format = format.unwrap_or_else(|| template.parameter_format.clone());
    template.components = components.unwrap_or_else(|| template.components.clone());
    template.status = "PENDING".to_owned();
    let answer =
        json!({"success": true, "id": template.id, "name": template.name, "category": template.category});
    turn.effects.push(Effect::ReviewTemplate { waba_id, template_id: id.to_owned() });
    Ok(answer)
}

fn check_edit(template: &mut Template, category: &str, now: i64) -> Result<(), GraphError> {
    if !["APPROVED", "REJECTED", "PAUSED"].contains(&template.status.as_str()) {
        return Err(GraphError::parameter("A template can be edited only when approved, rejected or paused"));
    }
    template.edits.retain(|at| now - at < 30 * DAY_MS);
    if template.status != "APPROVED" {
        return Ok(());
    }
    if category != template.category {
        return Err(GraphError::parameter("The category of an approved template cannot be changed"));
    }
    let today = template.edits.iter().any(|at| now - at < DAY_MS);
    if today || template.edits.len() >= EDITS_PER_MONTH {
        return Err(GraphError::parameter(
            "An approved template can be edited once in 24 hours and 10 times in 30 days",
        ));
    }
    Ok(())
}

/// `POST /{template}/unpause`.
pub(super) fn unpause(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let waba_id = waba_of(turn, id)?;
    let template = template_mut(turn, caller, &waba_id, id)?;
    if template.status != "PAUSED" {
        return Err(GraphError::parameter("Only a paused template can be unpaused"));
    }
    template.status = "APPROVED".to_owned();
    turn.effects.push(Effect::UnpausedTemplate { waba_id, template_id: id.to_owned() });
    success()
}

fn template_mut<'t>(
    turn: &'t mut Turn<'_>,
    caller: &Caller,
    waba_id: &str,
    id: &str,
) -> Result<&'t mut Template, GraphError> {
    let waba = turn.waba_mut(caller, waba_id, MANAGEMENT)?;
    let template = waba.templates.iter_mut().find(|template| template.id == id);
    template.ok_or_else(|| GraphError::unsupported("post", id))
}

/// `DELETE /{waba}/message_templates?name=` (all languages) or with `hsm_id` one of them.
pub(super) fn delete(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let (request, now) = (turn.request, turn.state.now_ms());
    let waba = turn.waba_mut(caller, id, MANAGEMENT)?;
    let name = request.required("name")?;
    let only = request.text("hsm_id");
    let is_meant = |t: &Template| t.name == name && only.as_ref().is_none_or(|only| *only == t.id);
    let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut waba.templates).into_iter().partition(is_meant);
    waba.templates = kept;
    if gone.is_empty() {
        return Err(GraphError::new(400, 100, "Invalid parameter")
            .subcode(2_593_002)
            .details("Message template was not found."));
    }
    let is_left = waba.templates.iter().any(|template| template.name == name);
    if !is_left && gone.iter().any(|template| template.status == "APPROVED") {
        waba.deleted_templates.push((name, now));
    }
    success()
}

fn waba_of(turn: &Turn<'_>, template_id: &str) -> Result<String, GraphError> {
    let waba = turn.state.waba_of_template(template_id);
    waba.map(str::to_owned).ok_or_else(|| GraphError::unsupported(turn.request.method.as_str(), template_id))
}

/// `POST /{app}/uploads`: begins to upload a sample (Resumable Upload API).
pub(super) fn begin_upload(turn: &mut Turn<'_>, caller: &Caller) -> Answer {
    if matches!(caller, Caller::App) {
        return Err(GraphError::permission("A user or system user token is needed to upload"));
    }
    let request = turn.request;
    request.required("file_name")?;
    let mime_type = request.required("file_type")?;
    if !["image/jpeg", "image/jpg", "image/png", "video/mp4", "application/pdf"].contains(&mime_type.as_str())
    {
        return Err(GraphError::parameter("Param file_type is not supported"));
    }
    let length = request.required("file_length")?.parse().ok().filter(|length| *length > 0_usize);
    let length =
        length.ok_or_else(|| GraphError::parameter("Param file_length must be a positive number"))?;
    let id = format!("upload:{}?sig={}", random::alphanumeric(32), random::alphanumeric(12));
    turn.state.uploads.insert(id.clone(), length);
    Ok(json!({ "id": id }))
}

/// `POST /upload:…`: the bytes; the sample's handle.
pub(super) fn upload(turn: &mut Turn<'_>, path: &str) -> Answer {
    let request = turn.request;
    let id = format!("{path}?sig={}", request.text("sig").unwrap_or_default());
    let length = turn.state.uploads.get(&id).copied();
    let length = length.ok_or_else(|| GraphError::unsupported("post", path))?;
    let given = request.file.as_ref().map_or(0, |file| file.bytes.len());
    if given != length {
        return Err(GraphError::parameter(format_args!("{given} bytes came where {length} were announced")));
    }
    turn.state.uploads.remove(&id);
    let handle = format!("4:{}", random::alphanumeric(48));
    turn.state.sample_handles.insert(handle.clone());
    Ok(json!({ "h": handle }))
}

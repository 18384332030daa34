//! Message templates: as many rules as sending needs. New and edited ones are approved after a moment.

use serde_json::{Value, json};

use super::auth::Caller;
use super::error::GraphError;
use super::fields::{Node, page, select};
use super::{Answer, MANAGEMENT, Turn, success};
use crate::random;
use crate::state::Template;
use crate::webhooks::Effect;

const DEFAULT_FIELDS: [&str; 7] =
    ["name", "parameter_format", "components", "language", "status", "category", "id"];
const CATEGORIES: [&str; 3] = ["AUTHENTICATION", "MARKETING", "UTILITY"];

/// `GET /{waba}/message_templates`, filtered by `name`, `status`, `language` or `category` if given.
pub(super) fn list(turn: &Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let waba = turn.waba(caller, id, MANAGEMENT)?;
    let nodes: Vec<Node> = waba.templates.iter().map(fields).filter(|node| matches(turn, node)).collect();
    page(&nodes, turn.request, &DEFAULT_FIELDS, &turn.address())
}

fn matches(turn: &Turn<'_>, node: &Node) -> bool {
    ["name", "status", "language", "category"].into_iter().all(|name| {
        let wanted = turn.request.text(name);
        wanted.is_none_or(|wanted| node.get(name).and_then(Value::as_str) == Some(wanted.as_str()))
    })
}

fn fields(template: &Template) -> Node {
    let entries = [
        ("id", json!(template.id)),
        ("name", json!(template.name)),
        ("language", json!(template.language)),
        ("category", json!(template.category)),
        ("previous_category", Value::Null),
        ("status", json!(template.status)),
        ("parameter_format", json!(template.parameter_format)),
        ("components", template.components.clone()),
        ("quality_score", json!({"score": "UNKNOWN"})),
        ("rejected_reason", json!("NONE")),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// `GET /{template}`.
pub(super) fn read(turn: &Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let waba_id = waba_of(turn, id)?;
    let waba = turn.waba(caller, &waba_id, MANAGEMENT)?;
    let template = waba.templates.iter().find(|template| template.id == id);
    let template = template.ok_or_else(|| GraphError::unsupported("get", id))?;
    select(&fields(template), turn.request, &DEFAULT_FIELDS)
}

/// `POST /{waba}/message_templates`.
pub(super) fn create(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let request = turn.request;
    turn.waba(caller, id, MANAGEMENT)?;
    let (name, language, category) =
        (request.required("name")?, request.required("language")?, category(turn)?);
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.len() > 512 || !name.bytes().all(allowed) {
        return Err(GraphError::parameter(
            "Param name can hold lower-case letters, digits and underscores only, at most 512",
        ));
    }
    let components = components(turn.request)?;
    let waba_id = id.to_owned();
    let waba = turn.waba_mut(caller, &waba_id, MANAGEMENT)?;
    if waba.templates.iter().any(|template| template.name == name && template.language == language) {
        return Err(GraphError::new(400, 100, "Invalid parameter")
            .subcode(2_388_024)
            .details("There is already content of this language for this template name."));
    }
    let template_id = random::object_id();
    let parameter_format = request.text("parameter_format").unwrap_or_else(|| "POSITIONAL".to_owned());
    let answer = json!({"id": template_id, "status": "PENDING", "category": category});
    let status = "PENDING".to_owned();
    waba.templates.push(Template {
        id: template_id.clone(),
        name,
        language,
        category,
        status,
        parameter_format,
        components,
    });
    turn.effects.push(Effect::ApproveTemplate { waba_id, template_id });
    Ok(answer)
}

fn category(turn: &Turn<'_>) -> Result<String, GraphError> {
    let category = turn.request.required("category")?;
    if CATEGORIES.contains(&category.as_str()) {
        Ok(category)
    } else {
        Err(GraphError::parameter("Param category must be one of {AUTHENTICATION, MARKETING, UTILITY}"))
    }
}

/// `components`, a JSON array, or in a form the text of one; a body is needed.
fn components(request: &super::GraphRequest) -> Result<Value, GraphError> {
    let parsed = match request.params.get("components") {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or(Value::Null),
        Some(value) => value.clone(),
        None => Value::Null,
    };
    let has_body = parsed.as_array().is_some_and(|all| {
        all.iter().any(|c| c["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("body")))
    });
    if has_body {
        Ok(parsed)
    } else {
        Err(GraphError::parameter("Param components must be an array with a BODY"))
    }
}

/// `POST /{template}`: all components are replaced and reviewed again.
pub(super) fn edit(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let waba_id = waba_of(turn, id)?;
    turn.waba(caller, &waba_id, MANAGEMENT)?;
    let components = components(turn.request)?;
    let waba = turn.waba_mut(caller, &waba_id, MANAGEMENT)?;
    let template = waba.templates.iter_mut().find(|template| template.id == id);
    let template = template.ok_or_else(|| GraphError::unsupported("post", id))?;
    if !["APPROVED", "REJECTED", "PAUSED"].contains(&template.status.as_str()) {
        return Err(GraphError::parameter("A template can be edited only when approved, rejected or paused"));
    }
    template.components = components;
    template.status = "PENDING".to_owned();
    turn.effects.push(Effect::ApproveTemplate { waba_id, template_id: id.to_owned() });
    success()
}

/// `DELETE /{waba}/message_templates?name=` (all languages) or with `hsm_id` one of them.
pub(super) fn delete(turn: &mut Turn<'_>, caller: &Caller, id: &str) -> Answer {
    let request = turn.request;
    let waba = turn.waba_mut(caller, id, MANAGEMENT)?;
    let name = request.required("name")?;
    let only = request.text("hsm_id");
    let before = waba.templates.len();
    waba.templates.retain(|t| t.name != name || only.as_ref().is_some_and(|only| *only != t.id));
    if waba.templates.len() == before {
        return Err(GraphError::new(400, 100, "Invalid parameter")
            .subcode(2_593_002)
            .details("Message template was not found."));
    }
    success()
}

fn waba_of(turn: &Turn<'_>, template_id: &str) -> Result<String, GraphError> {
    let mut wabas = turn.state.wabas.values();
    let waba = wabas.find(|waba| waba.templates.iter().any(|template| template.id == template_id));
    waba.map(|waba| waba.id.clone())
        .ok_or_else(|| GraphError::unsupported(turn.request.method.as_str(), template_id))
}

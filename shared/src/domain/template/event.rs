//! What webhooks tell of templates.

use serde_json::{Value, json};

use super::{Category, ComingCategory, DELETED, Fact, Source, Status};
use crate::domain::Timestamp;
use crate::domain::ids::{TemplateId, TemplateName};

/// Characters of a text that are kept: more than Meta lets a body have (1024).
const LONGEST_TEXT: usize = 2000;

/// An event of one template.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateEvent {
    /// Which one.
    pub id: TemplateId,
    /// Its name.
    pub name: TemplateName,
    /// Its language; empty if the event does not say.
    pub language: String,
    /// What it tells.
    pub facts: Vec<(Source, Fact)>,
}

/// What a change of this field and value tells of a template; `None` for other fields, for events that name no
/// template and for those that say nothing. Those are kept like all events.
#[must_use]
pub fn event_of(field: &str, value: &Value) -> Option<TemplateEvent> {
    // Meta's page of the quality field prints the name of the status field: the members tell which it is.
    const FIELDS: [&str; 5] = [
        "message_template_status_update",
        "message_template_quality_update",
        "message_template_components_update",
        "template_category_update",
        "template_correct_category_detection",
    ];
    if !FIELDS.contains(&field) {
        return None;
    }
    let facts: Vec<_> = [status(value), quality(value), texts(value)]
        .into_iter()
        .flatten()
        .map(|fact| (Source::Event, fact))
        .chain(category(value))
        .collect();
    if facts.is_empty() {
        return None;
    }
    Some(TemplateEvent {
        id: word(value, "message_template_id")?.parse().ok()?,
        name: word(value, "message_template_name")?.parse().ok()?,
        language: word(value, "message_template_language")
            .filter(|code| code.len() <= 32)
            .unwrap_or_default(),
        facts: facts.into_iter().map(|(source, fact)| (final_if_deleted(source, &fact), fact)).collect(),
    })
}

fn final_if_deleted(source: Source, fact: &Fact) -> Source {
    match fact {
        Fact::Status(status) if status.word == DELETED => Source::Gone,
        _ => source,
    }
}

fn status(value: &Value) -> Option<Fact> {
    let event = word(value, "event")?;
    let word_of = match event.as_str() {
        "UNARCHIVED" | "REINSTATED" => super::APPROVED,
        other => other,
    };
    let reason = word(value, "reason").filter(|reason| reason != "NONE");
    let (rejection, other) = (&value["rejection_info"], &value["other_info"]);
    Some(Fact::Status(Status {
        word: word_of.to_owned(),
        reason: reason.or_else(|| word(other, "title")),
        detail: word(rejection, "reason").or_else(|| word(other, "description")),
        advice: word(rejection, "recommendation"),
    }))
}

fn quality(value: &Value) -> Option<Fact> {
    word(value, "new_quality_score").map(Fact::Quality)
}

/// Announced: `new_category` is the present one and `correct_category` the coming one. Done: `new_category` alone.
/// Detected: `category` and `correct_category`. A status update names the category by the way, which says nothing
/// of a change that was announced.
fn category(value: &Value) -> Option<(Source, Fact)> {
    let of = |word: String, coming| Fact::Category(Category { word, coming });
    if let Some(by_the_way) = word(value, "message_template_category") {
        return Some((Source::Shown, of(by_the_way, None)));
    }
    let present = word(value, "new_category").or_else(|| word(value, "category"))?;
    let at = value["category_update_timestamp"].as_i64().and_then(|at| Timestamp::from_second(at).ok());
    let coming = word(value, "correct_category").filter(|word| *word != present);
    Some((Source::Event, of(present, coming.map(|word| ComingCategory { word, at }))))
}

/// The parts that the event names, as components.
fn texts(value: &Value) -> Option<Fact> {
    let body = word(value, "message_template_element")?;
    let title = word(value, "message_template_title")
        .map(|text| json!({"type": "HEADER", "format": "TEXT", "text": text}));
    let footer = word(value, "message_template_footer").map(|text| json!({"type": "FOOTER", "text": text}));
    let buttons = value["message_template_buttons"].as_array().map(|buttons| {
        let buttons: Vec<Value> = buttons.iter().map(button).collect();
        json!({"type": "BUTTONS", "buttons": buttons})
    });
    let body = Some(json!({"type": "BODY", "text": body}));
    Some(Fact::Texts([title, body, footer, buttons].into_iter().flatten().collect()))
}

fn button(told: &Value) -> Value {
    let mut button = json!({});
    for (name, value) in told.as_object().into_iter().flatten() {
        button[name.strip_prefix("message_template_button_").unwrap_or(name)] = value.clone();
    }
    button
}

/// A text that says something, or a number as text.
fn word(value: &Value, member: &str) -> Option<String> {
    match &value[member] {
        Value::String(text) if !text.is_empty() => Some(text.chars().take(LONGEST_TEXT).collect()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

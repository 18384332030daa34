//! A log line as an event of Sentry's.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::domain::Timestamp;
use shared::domain::raw::sha256;
use shared::telemetry::fields::FIELDS;

/// What events are found by; the other fields only stand in them.
const TAGS: [&str; 4] = ["botId", "metric", "outcome", "metaCode"];
/// Fields that are attributes of the event.
const ATTRIBUTES: [&str; 4] = ["timestamp", "level", "target", "message"];
/// Characters of a tag's value (Sentry, "Event payloads", read 2026-11-22).
const LONGEST_TAG: usize = 200;

/// Where errors come from.
#[derive(Debug)]
pub(crate) struct Deployment {
    /// What it is for: `prod`.
    pub(crate) environment: String,
    /// What is deployed, such as a commit.
    pub(crate) release: String,
}

/// A line in a batch of CloudWatch Logs.
#[derive(Debug, Deserialize)]
pub(crate) struct LogEvent {
    /// CloudWatch's, the same each time that the batch comes.
    id: String,
    /// Milliseconds since 1970.
    timestamp: i64,
    message: String,
}

/// An envelope with one event, more of which it may not hold (Sentry, developer documentation, "Envelopes", "Envelope
/// items" and "Event payloads", read 2026-11-22). `None` if the line is not one of ours on an error.
///
/// The event has fields of [`FIELDS`] only, whatever is in the line. Its id is made out of the line's, so that a batch
/// that comes again makes the same events.
pub(crate) fn envelope(log_group: &str, event: &LogEvent, deployment: &Deployment) -> Option<Vec<u8>> {
    let line: Map<String, Value> = serde_json::from_str(&event.message).ok()?;
    if line.get("level")? != "ERROR" {
        return None;
    }
    let (tags, extra) = sorted(&line, log_group);
    let id = &sha256(event.id.as_bytes())[..32];
    let payload = json!({
        "event_id": id,
        "timestamp": time(&line, event),
        "platform": "other",
        "level": "error",
        "logger": line.get("target"),
        "message": message(&line),
        "environment": deployment.environment,
        "release": deployment.release,
        "tags": tags,
        "extra": extra,
    })
    .to_string();
    let header = json!({ "event_id": id });
    let item = json!({ "type": "event", "length": payload.len() });
    Some(format!("{header}\n{item}\n{payload}\n").into_bytes())
}

fn time(line: &Map<String, Value>, event: &LogEvent) -> Option<String> {
    let written =
        line.get("timestamp").and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    let time = written.or_else(|| Timestamp::from_millisecond(event.timestamp).ok());
    time.map(|time| time.to_string())
}

/// Events with the same words are one issue. The line of a unit of work has no words of its own.
fn message(line: &Map<String, Value>) -> String {
    let word = |name: &str| line.get(name).and_then(Value::as_str);
    if word("target") == Some("unit") {
        let what = word("route").or_else(|| word("job")).or_else(|| word("unit"));
        return format!("{}: {}", what.unwrap_or("unit"), word("outcome").unwrap_or("failed"));
    }
    word("message").unwrap_or("an error without words").to_owned()
}

/// Tags, and what else is allowed.
fn sorted(line: &Map<String, Value>, log_group: &str) -> (Map<String, Value>, Map<String, Value>) {
    let (mut tags, mut extra) = (Map::new(), Map::new());
    tags.insert("function".to_owned(), function(log_group).into());
    for (name, _) in FIELDS {
        // What is no plain value, no line of ours has.
        let Some(value) = line.get(*name).filter(|it| it.is_string() || it.is_number() || it.is_boolean())
        else {
            continue;
        };
        if TAGS.contains(name) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            tags.insert((*name).to_owned(), text.chars().take(LONGEST_TAG).collect::<String>().into());
        } else if !ATTRIBUTES.contains(name) {
            extra.insert((*name).to_owned(), value.clone());
        }
    }
    (tags, extra)
}

/// `Ingest` of `switchboard-IngestLog-4fQx…`, as CloudFormation names what the template calls `IngestLog`.
fn function(log_group: &str) -> &str {
    let name = log_group.rsplit('-').nth(1).and_then(|name| name.strip_suffix("Log"));
    name.filter(|name| !name.is_empty()).unwrap_or(log_group)
}

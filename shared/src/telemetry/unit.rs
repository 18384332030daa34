//! Units of work: a request, a message of a queue, a run of a job. Each writes one line when it ends, which also carries
//! what CloudWatch counts of it, and is one segment of a trace.
//!
//! What happens inside says whom it is about and how it ends ([`client`], [`outcome`], …); outside of a unit that is
//! nothing. A unit follows its own future: what is spawned from it is not part of it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::lines::Fields;
use super::metrics::{Measure, measure};
use super::traces::{Span, TraceHeader};
use crate::config;
use crate::domain::Timestamp;
use crate::domain::ids::{BotId, MessageId, PhoneNumberId, Wamid};
use crate::domain::meta_error::MetaError;

/// The target of the lines of units.
pub(super) const TARGET: &str = "unit";
/// The field of their event that holds all of it.
pub(super) const REPORT: &str = "report";
/// How many ids of one kind a unit names. A webhook of thousands of messages is told by its counts.
const MOST_IDS: usize = 50;
/// How many values of a measure a line holds (CloudWatch user guide, embedded metric format specification).
const MOST_VALUES: usize = 100;

tokio::task_local! { static UNIT: RefCell<Unit>; }

/// What is known of the current unit.
#[derive(Default)]
struct Unit {
    ids: BTreeMap<&'static str, Vec<String>>,
    outcome: Option<Cow<'static, str>>,
    numbers: BTreeMap<&'static str, usize>,
    meta_code: Option<i64>,
    counts: Counts,
    span: Option<Span>,
}

/// What is counted of a unit.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Counts {
    /// The values of each measure.
    pub(super) values: BTreeMap<String, Vec<u64>>,
    /// Failed messages by Meta's code, as [`MetaError::label`] writes it.
    pub(super) failed: BTreeMap<String, u64>,
}

/// The line of a unit, as the layers get it.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Report {
    pub(super) fields: Map<String, Value>,
    pub(super) counts: Counts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) segment: Option<Value>,
}

impl Report {
    pub(super) fn of(event: &Fields) -> Self {
        let text = event.0.get(REPORT).and_then(Value::as_str).unwrap_or_default();
        let nothing = || Self { fields: Map::new(), counts: Counts::default(), segment: None };
        serde_json::from_str(text).unwrap_or_else(|_| nothing())
    }
}

/// How a unit ended.
#[derive(Debug)]
pub struct End {
    /// A stable word; what was noted inside of the unit where this is `None`.
    pub outcome: Option<String>,
    /// The word where nothing was noted.
    pub otherwise: &'static str,
    /// What went wrong, with its causes.
    pub error: Option<String>,
    /// Further fields.
    pub fields: Vec<(&'static str, Value)>,
}

impl End {
    /// As it was noted inside.
    #[must_use]
    pub fn well() -> Self {
        Self { outcome: None, otherwise: "done", error: None, fields: Vec::new() }
    }

    /// By an error.
    #[must_use]
    pub fn failed(outcome: &str, error: &dyn std::error::Error) -> Self {
        let error = Some(crate::error::Chain(error).to_string());
        Self { outcome: Some(outcome.to_owned()), error, ..Self::well() }
    }
}

/// Does one unit of work and writes its line.
///
/// `carried` is the trace that it continues, where it came by a queue; else it is the invocation's. `end` says how it
/// ended; `None` = no line is to be written.
pub async fn run<T>(
    kind: &'static str,
    carried: Option<&str>,
    work: impl Future<Output = T>,
    end: impl FnOnce(&T) -> Option<End>,
) -> T {
    let (began, clock) = (Timestamp::now(), Instant::now());
    let invocation = config::optional("_X_AMZN_TRACE_ID");
    let unit = RefCell::new(Unit { span: Span::new(carried, invocation.as_deref()), ..Unit::default() });
    UNIT.scope(unit, async {
        let result = work.await;
        if let Some(end) = end(&result) {
            let millis = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
            UNIT.with(|unit| report(kind, &unit.take(), end, began, millis));
        }
        result
    })
    .await
}

/// Runs a job of a schedule or an operator.
pub async fn job<T, E: std::error::Error + 'static>(
    name: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    run("job", None, work, |result| {
        let mut end = match result {
            Ok(_) => End::well(),
            Err(error) => End::failed("failed", error),
        };
        end.fields.push(("job", name.into()));
        Some(end)
    })
    .await
}

/// A process of a function has started: counted once, at init, outside of any answer.
pub(super) fn started() {
    let counts =
        Counts { values: [(measure::COLD_STARTS.name.to_owned(), vec![1])].into(), ..Counts::default() };
    let fields = fields("start", "started", None);
    write(&Report { fields, counts, segment: None }, false);
}

fn fields(kind: &str, outcome: &str, duration_ms: Option<u64>) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("message".into(), "done".into());
    fields.insert("unit".into(), kind.into());
    if let Some(function) = config::optional("AWS_LAMBDA_FUNCTION_NAME") {
        fields.insert("function".into(), function.into());
    }
    fields.insert("outcome".into(), outcome.into());
    fields.extend(duration_ms.map(|millis| ("durationMs".to_owned(), millis.into())));
    fields
}

fn report(kind: &str, unit: &Unit, end: End, began: Timestamp, millis: u64) {
    let outcome = end.outcome.as_deref().or(unit.outcome.as_deref()).unwrap_or(end.otherwise);
    let mut fields = fields(kind, outcome, Some(millis));
    fields.extend(end.fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
    fields.extend(unit.ids.iter().map(|(name, ids)| ((*name).to_owned(), ids.join(" ").into())));
    fields.extend(unit.numbers.iter().map(|(name, number)| ((*name).to_owned(), json!(number))));
    fields.extend(unit.meta_code.map(|code| ("metaCode".to_owned(), code.into())));
    let is_error = end.error.is_some();
    fields.extend(end.error.map(|error| ("error".to_owned(), error.into())));
    let segment = unit.span.as_ref().map(|span| {
        fields.insert("traceId".into(), span.trace_id().into());
        span.segment(&fields, &unit.ids, is_error, began, millis)
    });
    let counts = Counts { values: unit.counts.values.clone(), failed: unit.counts.failed.clone() };
    write(&Report { fields, counts, segment }, is_error);
}

fn write(report: &Report, is_error: bool) {
    let report = json!(report).to_string();
    if is_error {
        tracing::error!(target: TARGET, report);
    } else {
        tracing::info!(target: TARGET, report);
    }
}

fn note(change: impl FnOnce(&mut Unit)) {
    // Outside of a unit there is nothing to note it in.
    let _ = UNIT.try_with(|unit| change(&mut unit.borrow_mut()));
}

/// The unit is about this; `name` is the field of such ids.
pub fn id(name: &'static str, value: &str) {
    note(|unit| {
        let ids = unit.ids.entry(name).or_default();
        if ids.len() < MOST_IDS && !ids.iter().any(|known| known == value) {
            ids.push(value.to_owned());
        }
    });
}

/// The unit is about this bot.
pub fn bot(bot: &BotId) {
    id("botId", bot.as_ref());
}

/// The unit is about this client.
pub fn client(phone: &PhoneNumberId) {
    id("clientId", phone.as_ref());
}

/// The unit is about this message of Meta's.
pub fn wamid(wamid: &Wamid) {
    id("wamid", wamid.as_ref());
}

/// The unit is about this message: an incoming one is known by Meta's id, one that we send by ours.
pub fn message(message: &MessageId) {
    let id_text = message.as_ref();
    id(if id_text.starts_with("wamid.") { "wamid" } else { "messageId" }, id_text);
}

/// How the unit ends, unless it fails; the last word counts.
pub fn outcome(word: impl Into<Cow<'static, str>>) {
    note(|unit| unit.outcome = Some(word.into()));
}

/// How the unit ends, unless somebody said it already.
pub fn outcome_else(word: &'static str) {
    note(|unit| _ = unit.outcome.get_or_insert(word.into()));
}

/// A number of the unit, by its field; nothing is not told.
pub fn number(name: &'static str, value: usize) {
    note(|unit| {
        if value > 0 {
            unit.numbers.insert(name, value);
        }
    });
}

/// Meta refused something.
pub fn refused(code: i64) {
    note(|unit| unit.meta_code = Some(code));
}

/// A message failed by Meta's word: at once, or by a status. Counted by its code.
pub fn message_failed(code: i64) {
    note(|unit| {
        unit.meta_code = Some(code);
        *unit.counts.failed.entry(MetaError::label(code)).or_default() += 1;
    });
}

/// Counts something that happened in the unit.
pub fn count(measure: Measure, how_many: u64) {
    note(|unit| {
        if how_many > 0 {
            let values = unit.counts.values.entry(measure.name.to_owned()).or_default();
            match values.first_mut() {
                Some(sum) => *sum += how_many,
                None => values.push(how_many),
            }
        }
    });
}

/// Notes a value of a measure. Of more than a hundred in one unit, the first hundred count.
pub fn measured(measure: Measure, value: u64) {
    note(|unit| {
        let values = unit.counts.values.entry(measure.name.to_owned()).or_default();
        if values.len() < MOST_VALUES {
            values.push(value);
        }
    });
}

/// The trace that what leaves the unit carries on; `None` if nobody records it.
#[must_use]
pub fn trace() -> Option<TraceHeader> {
    UNIT.try_with(|unit| unit.borrow().span.as_ref().map(Span::header)).ok().flatten()
}

#[cfg(test)]
mod tests;

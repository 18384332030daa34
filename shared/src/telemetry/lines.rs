//! A log line: one flat JSON object of the fields in [`super::fields`].

use std::fmt::Debug;
use std::io::Write as _;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::fields::is_allowed;
use super::metrics::embedded;
use super::unit::{self, TARGET};

/// Writes a line for each event.
pub(super) struct Lines<W> {
    pub(super) namespace: String,
    pub(super) writer: W,
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    /// The runtime's span carries the ids of the invocation.
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut invocation = Invocation::default();
        attributes.record(&mut invocation);
        if let (Some(span), Some(_)) = (context.span(id), &invocation.request_id) {
            span.extensions_mut().insert(invocation);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut found = Fields::default();
        event.record(&mut found);
        let mut line = Map::new();
        line.insert("timestamp".into(), jiff::Timestamp::now().to_string().into());
        line.insert("level".into(), event.metadata().level().as_str().into());
        line.insert("target".into(), event.metadata().target().into());
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(invocation) = span.extensions().get::<Invocation>() {
                line.insert("requestId".into(), json!(invocation.request_id));
                line.extend(
                    invocation.trace_id.as_ref().map(|id| ("traceId".to_owned(), id.as_str().into())),
                );
            }
        }
        let mut more = Vec::new();
        if event.metadata().target() == TARGET {
            // It was made by `unit`, which knows nothing of namespaces.
            let mut report = unit::Report::of(&found);
            line.append(&mut report.fields);
            more = embedded(&self.namespace, &report.counts, &mut line);
        } else {
            line.append(&mut found.0);
        }
        self.write(&line.into());
        for line in more {
            self.write(&line);
        }
    }
}

impl<W: for<'w> MakeWriter<'w>> Lines<W> {
    /// One write for the whole line, so that lines do not mix. If nobody reads them, there is nothing to do.
    fn write(&self, line: &Value) {
        let _ = self.writer.make_writer().write_all(format!("{line}\n").as_bytes());
    }
}

#[derive(Default)]
struct Invocation {
    request_id: Option<String>,
    trace_id: Option<String>,
}

impl Visit for Invocation {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "requestId" => self.request_id = Some(value.to_owned()),
            // `Root=…;Parent=…;Sampled=…`.
            "xrayTraceId" => {
                let root = value.split(';').find_map(|part| part.trim().strip_prefix("Root="));
                self.trace_id = root.map(str::to_owned);
            }
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, format!("{value:?}").trim_matches('"'));
    }
}

/// The allowed fields of an event.
#[derive(Default)]
pub(super) struct Fields(pub(super) Map<String, Value>);

impl Fields {
    fn insert(&mut self, field: &Field, value: Value) {
        let name = field.name();
        if is_allowed(name) || name == unit::REPORT {
            self.0.insert(name.to_owned(), value);
        } else {
            self.0.insert("droppedField".to_owned(), name.into());
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value.into());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.insert(field, format!("{value:?}").into());
    }
}

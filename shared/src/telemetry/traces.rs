//! Traces in AWS X-Ray: each unit of work is a segment, sent to the daemon beside the function by UDP (X-Ray developer
//! guide, "Segment documents" and "Sending trace data"). Nothing waits for it, and nothing is sent of what
//! is not sampled. X-Ray's own format is one JSON object; an exporter of OpenTelemetry would be a collector as an
//! extension in each function, and megabytes.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::UdpSocket;

use serde_json::{Map, Value, json};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::lines::Fields;
use super::unit::Report;
use crate::domain::Timestamp;

/// What annotations are made of. Whoever looks for one of these ids finds the trace: `annotation.wamid = "wamid.…"`.
const IDS: [&str; 4] = ["botId", "clientId", "wamid", "messageId"];
/// What else is annotated.
const WORDS: [&str; 5] = ["unit", "route", "job", "outcome", "metaCode"];

/// `Root=1-…;Parent=…;Sampled=1`: which trace, and whom in it something follows. Only of sampled traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceHeader {
    root: String,
    parent: String,
}

impl TraceHeader {
    /// Reads a header. `None` for what is not sampled or nobody can follow.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let part = |name: &str| {
            text.split(';')
                .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
                .map(str::to_owned)
        };
        let (root, parent) = (part("Root")?, part("Parent")?);
        let is_hex = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit());
        let mut parts = root.split('-');
        let is_root = parts.next() == Some("1")
            && parts.next().is_some_and(|time| is_hex(time, 8))
            && parts.next().is_some_and(|random| is_hex(random, 24))
            && parts.next().is_none();
        (is_root && is_hex(&parent, 16) && part("Sampled")? == "1").then_some(Self { root, parent })
    }
}

impl fmt::Display for TraceHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Root={};Parent={};Sampled=1", self.root, self.parent)
    }
}

/// A unit's place in its trace.
#[derive(Debug)]
pub(super) struct Span {
    id: String,
    follows: TraceHeader,
    /// The function's own segment is in the same trace, and this is a part of it.
    is_part: bool,
}

impl Span {
    /// `None` if it is not sampled. What came by a queue goes on with the trace that it came from; the invocation has one
    /// of its own.
    pub(super) fn new(carried: Option<&str>, invocation: Option<&str>) -> Option<Self> {
        let (follows, is_part) = match carried.and_then(TraceHeader::parse) {
            Some(carried) => (carried, false),
            None => (invocation.and_then(TraceHeader::parse)?, true),
        };
        Some(Self { id: random_id(), follows, is_part })
    }

    pub(super) fn trace_id(&self) -> &str {
        &self.follows.root
    }

    /// For what follows the unit.
    pub(super) fn header(&self) -> TraceHeader {
        TraceHeader { root: self.follows.root.clone(), parent: self.id.clone() }
    }

    /// The segment document. An annotation has one value, so each further id is a part of its own, of no duration.
    pub(super) fn segment(
        &self,
        fields: &Map<String, Value>,
        ids: &BTreeMap<&'static str, Vec<String>>,
        is_error: bool,
        began: Timestamp,
        millis: u64,
    ) -> Value {
        let start = began.as_millisecond() as f64 / 1000.0;
        let end = start + millis as f64 / 1000.0;
        let words = WORDS.iter().filter_map(|name| Some(((*name).to_owned(), fields.get(*name)?.clone())));
        let mut annotations: Map<String, Value> = words.collect();
        let mut further = Vec::new();
        for name in IDS {
            let Some((first, more)) = ids.get(name).and_then(|ids| ids.split_first()) else { continue };
            annotations.insert(name.to_owned(), first.as_str().into());
            further.extend(more.iter().map(|id| {
                json!({"id": random_id(), "name": name, "start_time": end, "end_time": end, "annotations": {name: id}})
            }));
        }
        let mut segment = json!({
            "name": fields.get("function").and_then(Value::as_str).unwrap_or("switchboard"),
            "id": self.id, "trace_id": self.follows.root, "parent_id": self.follows.parent,
            "start_time": start, "end_time": end, "fault": is_error, "annotations": annotations,
        });
        if self.is_part {
            segment["type"] = "subsegment".into();
        }
        if !further.is_empty() {
            segment["subsegments"] = further.into();
        }
        segment
    }
}

/// 16 hex digits, as X-Ray wants them. They must differ, and need not be secret: std's keys of hash maps are random.
fn random_id() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// Sends the segment of each unit that is traced.
pub(super) struct Traces(UdpSocket);

impl Traces {
    /// To the daemon at this address. `None` if there is none to speak to.
    pub(super) fn to(daemon: &str) -> Option<Self> {
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        socket.set_nonblocking(true).ok()?;
        socket.connect(daemon).ok()?;
        Some(Self(socket))
    }
}

impl<S: Subscriber> Layer<S> for Traces {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut found = Fields::default();
        event.record(&mut found);
        if let Some(segment) = Report::of(&found).segment {
            // A trace that is lost is no loss for whoever waits for an answer.
            let _ = self.0.send(format!("{{\"format\":\"json\",\"version\":1}}\n{segment}").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "Root=1-65500000-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=1";

    #[test]
    fn a_header_is_read_in_any_order_and_written_the_same() {
        let turned =
            "Sampled=1; Parent=0123456789abcdef;Lineage=1:2:0;Root=1-65500000-0123456789abcdef01234567";
        assert_eq!(TraceHeader::parse(turned).unwrap().to_string(), HEADER);
        assert_eq!(TraceHeader::parse(HEADER).unwrap().to_string(), HEADER);
    }

    #[test]
    fn what_is_not_sampled_or_no_header_is_not_traced() {
        for text in [
            "",
            "x",
            "Root=1-2-3;Parent=4;Sampled=1",
            &HEADER.replace("Sampled=1", "Sampled=0"),
            &HEADER[..60],
        ] {
            assert_eq!(TraceHeader::parse(text), None, "{text}");
            assert!(Span::new(Some(text), None).is_none(), "{text}");
        }
    }

    #[test]
    fn what_came_by_a_queue_goes_on_with_its_own_trace_and_not_with_that_of_the_invocation() {
        let other = HEADER.replace("65500000", "65500001");
        let carried = Span::new(Some(HEADER), Some(&other)).unwrap();
        assert_eq!((carried.trace_id(), carried.is_part), (&HEADER[5..40], false));
        let own = Span::new(None, Some(&other)).unwrap();
        assert_eq!((own.trace_id(), own.is_part), (&other[5..40], true));
        assert_ne!(own.header().parent, carried.header().parent);
    }
}

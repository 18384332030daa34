//! Logs: one JSON object per line on standard output, which Lambda hands to CloudWatch.

pub mod fields;
mod lines;
mod metrics;
mod traces;
pub mod unit;

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use crate::config;

pub use metrics::{FAILED_CODE, Measure, measure, metric};
pub use traces::TraceHeader;

/// Crates that at finer levels log addresses with their query, payloads or signing input. They stay at
/// `INFO` whatever `LOG_LEVEL` says, so that turning it up for a look shows no secret.
/// Prefixes: `hyper` is also `hyper_util`.
const TALKATIVE: [&str; 8] = ["aws_", "h2", "hyper", "lambda_", "reqwest", "rustls", "tokio", "tower"];

/// Starts logging at `LOG_LEVEL` (`ERROR`, `WARN`, `INFO`, `DEBUG`, `TRACE`; `INFO` where it is missing
/// or unknown: a typing error must not silence a function). Calling it again changes nothing.
pub fn init() {
    let level = config::optional("LOG_LEVEL").and_then(|level| level.parse().ok());
    let namespace = config::optional("METRICS_NAMESPACE").unwrap_or_else(|| "Switchboard".to_owned());
    let daemon = config::optional("AWS_XRAY_DAEMON_ADDRESS");
    let level = level.unwrap_or(LevelFilter::INFO);
    let subscriber = subscriber(level, namespace, daemon.as_deref(), std::io::stdout);
    // An error means that a subscriber is set already, as in tests that share a process.
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        unit::started();
    }
}

/// The filter is a plain list of prefixes; `EnvFilter` would link 1.5 MB of regular expressions.
fn subscriber<W>(
    level: LevelFilter,
    namespace: String,
    daemon: Option<&str>,
    writer: W,
) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Clone + Send + Sync + 'static,
{
    let quieter = level.min(LevelFilter::INFO);
    let filter = Targets::new()
        .with_default(level)
        .with_targets(TALKATIVE.map(|target| (target, quieter)))
        // Units carry what is measured, whatever `LOG_LEVEL` silences, and are written within the runtime's span.
        .with_target(unit::TARGET, LevelFilter::INFO)
        .with_target("lambda_runtime", LevelFilter::INFO);
    let lines = lines::Lines { namespace: namespace.clone(), writer: writer.clone() };
    let metrics = metrics::Metrics { namespace, writer };
    let traces = daemon.and_then(traces::Traces::to);
    // A metric is counted whatever `LOG_LEVEL` silences.
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(metrics.with_filter(LevelFilter::INFO))
        .with(traces.with_filter(Targets::new().with_target(unit::TARGET, LevelFilter::INFO)))
}

#[cfg(test)]
pub(crate) mod testing {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing::subscriber::DefaultGuard;

    use super::{LevelFilter, subscriber};

    /// What the current thread logs, as JSON lines.
    #[derive(Clone, Default)]
    pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        /// From now on, until the guard is dropped.
        pub(crate) fn listen(level: LevelFilter) -> (Self, DefaultGuard) {
            Self::listen_with(level, None)
        }

        /// The same, with the segments sent to this daemon.
        pub(crate) fn listen_with(level: LevelFilter, daemon: Option<&str>) -> (Self, DefaultGuard) {
            let lines = Self::default();
            let writer = lines.clone();
            let subscriber = subscriber(level, "Test".to_owned(), daemon, move || writer.clone());
            (lines, tracing::subscriber::set_default(subscriber))
        }

        pub(crate) fn all(&self) -> Vec<Value> {
            let bytes = self.0.lock().unwrap();
            let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
        }

        /// How often a metric was counted.
        pub(crate) fn counted(&self, metric: &str) -> u64 {
            let metrics = self.all().into_iter().filter(|line| line.get("_aws").is_some());
            metrics.filter_map(|line| line[metric].as_u64()).sum()
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::testing::Lines;
    use super::*;

    fn logged(level: LevelFilter, log: impl FnOnce()) -> Vec<Value> {
        let (lines, _listening) = Lines::listen(level);
        log();
        lines.all()
    }

    #[test]
    fn a_line_is_flat_json_with_time_level_and_request_id() {
        let lines = logged(LevelFilter::INFO, || {
            let _entered = tracing::info_span!("invoke", requestId = "r-1").entered();
            tracing::info!(wamid = "wamid.X", "sent");
            tracing::debug!("not written");
        });
        let [line] = &lines[..] else { panic!("one line: {lines:?}") };
        assert_eq!(
            (&line["message"], &line["wamid"], &line["level"]),
            (&"sent".into(), &"wamid.X".into(), &"INFO".into())
        );
        assert_eq!(line["requestId"], "r-1");
        assert!(line["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    }

    #[test]
    fn what_talks_of_addresses_and_payloads_stays_quiet_at_every_level() {
        let lines = logged(LevelFilter::TRACE, || {
            tracing::debug!(target: "reqwest::connect", "starting new connection");
            tracing::trace!(target: "aws_sigv4::http_request", "canonical request");
            tracing::debug!(target: "lambda_runtime::requests", "body");
            tracing::debug!(target: "exchange_token", "ours");
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
    }

    #[test]
    fn an_event_with_a_metric_is_also_counted_whatever_the_level_silences() {
        let lines = logged(LevelFilter::ERROR, || {
            tracing::warn!(metric = metric::SEND_UNCERTAIN, wamid = "wamid.X", "outcome unknown");
            tracing::info!("not counted");
        });
        let [line] = &lines[..] else { panic!("one line: {lines:?}") };
        let declared = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!((&declared["Namespace"], &line["SendUncertain"]), (&"Test".into(), &1.into()));
        assert_eq!(declared["Metrics"][0]["Name"], "SendUncertain");
        assert!(line["_aws"]["Timestamp"].as_i64().is_some_and(|ms| ms > 1_700_000_000_000));
        assert_eq!(line.get("wamid"), None, "a metric says how many, the log line says which");
    }

    #[test]
    fn what_is_counted_more_than_once_says_how_often() {
        let lines =
            logged(LevelFilter::INFO, || tracing::info!(metric = metric::QUARANTINED, count = 3u64, "kept"));
        let [log, metric] = &lines[..] else { panic!("a log line and a metric: {lines:?}") };
        assert_eq!((&log["message"], &metric["Quarantined"]), (&"kept".into(), &3.into()));
    }
}

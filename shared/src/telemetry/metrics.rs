//! Metrics in CloudWatch's embedded metric format: a log line that CloudWatch also counts (CloudWatch user
//! guide, "Embedded metric format specification"). No call, no agent, nothing to lose.

use std::io::Write as _;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;

use super::unit::Counts;

/// Everything that is counted, by the name that `template.yaml` watches.
///
/// To count one: `tracing::warn!(metric = metric::SEND_UNCERTAIN, …)`, with `count = 3` for more than one.
pub mod metric {
    /// A send whose outcome nobody told us in time. Somebody should look whether it arrived.
    pub const SEND_UNCERTAIN: &str = "SendUncertain";
    /// An answer that is still late after several tries, because Meta or the language model is down or slows us
    /// down.
    pub const ANSWER_DELAYED: &str = "AnswerDelayed";
    /// An answer that was given up because a dependency was down for too long.
    pub const ANSWER_GIVEN_UP: &str = "AnswerGivenUp";
    /// The models of a bot cost as much as its monthly budget allows; until the month ends only rules answer.
    pub const BUDGET_USED_UP: &str = "BudgetUsedUp";
    /// Bytes that nobody understood went to quarantine.
    pub const QUARANTINED: &str = "Quarantined";

    /// Dead letters that nobody moved back for days were put into the archive.
    pub const DEAD_LETTERS_ARCHIVED: &str = "DeadLettersArchived";
    /// Meta refuses a client's messages because nobody pays for them.
    pub const PAYMENT_STOPPED: &str = "PaymentStopped";
    /// Meta locked a client's account, or blocks it for its policy.
    pub const ACCOUNT_LOCKED: &str = "AccountLocked";
    /// Meta does not take a client's token any more, by its own word.
    pub const TOKEN_DEAD: &str = "TokenDead";
    /// A token ends in so few days that the partner is told, because it could not be renewed.
    pub const TOKEN_EXPIRING: &str = "TokenExpiring";
    /// A token that ends could not be renewed, time and again.
    pub const TOKEN_RENEWAL_FAILED: &str = "TokenRenewalFailed";
    /// Meta does not take the token of our own system user any more.
    pub const SYSTEM_TOKEN_DEAD: &str = "SystemTokenDead";
    /// Meta takes none of the app secrets that are stored: every call of ours is refused.
    pub const APP_SECRET_REFUSED: &str = "AppSecretRefused";
    /// Meta stopped or threatened a client: a ban, a restriction, a violation, a removal.
    pub const ACCOUNT_TROUBLE: &str = "AccountTrouble";
    /// An off-boarding that does not end: credit or secrets of a client that left are still there.
    pub const OFFBOARDING_STUCK: &str = "OffboardingStuck";
    /// A client at Meta is not as its onboarding made it: unsubscribed, disconnected, paid by nobody.
    pub const CLIENT_DRIFT: &str = "ClientDrift";
    /// Meta ends the version of the Graph API that is called within three months.
    pub const GRAPH_VERSION_ENDING: &str = "GraphVersionEnding";
    /// A client's templates could not be read from Meta for hours: what we show of them may be old.
    pub const TEMPLATES_STALE: &str = "TemplatesStale";

    /// A customer's file that still is not here after several tries.
    pub const MEDIA_DELAYED: &str = "MediaDelayed";
    /// A customer's file that could not be fetched while Meta had it, or whose bytes are not the ones announced.
    pub const MEDIA_LOST: &str = "MediaLost";

    /// An event that the partner's software did not take in any of its tries.
    pub const EVENT_UNDELIVERED: &str = "EventUndelivered";
    /// A change of a record that nobody could be told of, because it cannot be read.
    pub const EVENT_UNREADABLE: &str = "EventUnreadable";

    /// A line on an error that Sentry does not take, or that cannot be read.
    pub const ERROR_UNREPORTED: &str = "ErrorUnreported";

    /// All of them.
    pub const ALL: [&str; 23] = [
        SEND_UNCERTAIN,
        ANSWER_DELAYED,
        ANSWER_GIVEN_UP,
        BUDGET_USED_UP,
        QUARANTINED,
        DEAD_LETTERS_ARCHIVED,
        PAYMENT_STOPPED,
        ACCOUNT_LOCKED,
        TOKEN_DEAD,
        TOKEN_EXPIRING,
        TOKEN_RENEWAL_FAILED,
        SYSTEM_TOKEN_DEAD,
        APP_SECRET_REFUSED,
        ACCOUNT_TROUBLE,
        OFFBOARDING_STUCK,
        CLIENT_DRIFT,
        GRAPH_VERSION_ENDING,
        TEMPLATES_STALE,
        MEDIA_DELAYED,
        MEDIA_LOST,
        EVENT_UNDELIVERED,
        EVENT_UNREADABLE,
        ERROR_UNREPORTED,
    ];
}

/// What is counted or measured of a unit of work, beside what rings: [`super::unit`] writes it into the unit's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// Its name in CloudWatch.
    pub name: &'static str,
    /// CloudWatch's unit: `Count` or `Milliseconds`.
    pub unit: &'static str,
    /// What it says.
    pub meaning: &'static str,
}

/// Everything that is measured. None of it rings by itself.
pub mod measure {
    use super::Measure;

    const fn count(name: &'static str, meaning: &'static str) -> Measure {
        Measure { name, unit: "Count", meaning }
    }

    /// Customers' messages.
    pub const RECEIVED: Measure = count(
        "MessagesReceived",
        "Messages that customers wrote, as ingest recorded them; not repetitions, histories and replays.",
    );
    /// Statuses.
    pub const STATUSES: Measure =
        count("StatusesReceived", "Statuses of sent messages, repetitions included.");
    /// How long until it is recorded.
    pub const STORED_AGE: Measure = Measure {
        name: "StoredAge",
        unit: "Milliseconds",
        meaning: "From Meta's time of a customer's message, which has whole seconds, until it is recorded.",
    };
    /// Automatic answers.
    pub const ANSWERED: Measure = count("MessagesAnswered", "Customers' messages that the bot answered.");
    /// Everything that Meta took.
    pub const SENT: Measure =
        count("MessagesSent", "Messages that Meta took: answers, and those of the partner's software.");
    /// What Meta did not deliver.
    pub const FAILED: Measure = count(
        "MessagesFailed",
        "Messages that Meta refused, at once or by a status; in sum, and by `failedCode`.",
    );
    /// The window.
    pub const WINDOW_CLOSED: Measure =
        count("WindowClosed", "Messages that were not sent because the customer's 24 hours were over.");
    /// Started processes.
    pub const COLD_STARTS: Measure = count("ColdStarts", "Processes of functions that were started.");

    /// All of them.
    pub const ALL: [Measure; 8] =
        [RECEIVED, STATUSES, STORED_AGE, ANSWERED, SENT, FAILED, WINDOW_CLOSED, COLD_STARTS];
}

/// The dimension of [`measure::FAILED`].
pub const FAILED_CODE: &str = "failedCode";

/// Puts what was counted into a unit's line. Gives further lines where messages failed by several codes: a line has one
/// value of a dimension.
pub(super) fn embedded(namespace: &str, counts: &Counts, line: &mut Map<String, Value>) -> Vec<Value> {
    let mut failed = counts.failed.iter();
    let first = failed.next();
    let measures = measure::ALL.iter().filter(|measure| counts.values.contains_key(measure.name));
    let declared: Vec<Value> = measures.map(|it| json!({"Name": it.name, "Unit": it.unit})).collect();
    let mut directives = Vec::new();
    if !declared.is_empty() {
        directives.push(json!({"Namespace": namespace, "Dimensions": [[]], "Metrics": declared}));
    }
    for (name, values) in &counts.values {
        let value = if let [one] = values[..] { json!(one) } else { json!(values) };
        line.insert(name.clone(), value);
    }
    if let Some((code, count)) = first {
        directives.push(by_code(namespace));
        line.insert(FAILED_CODE.into(), code.as_str().into());
        line.insert(measure::FAILED.name.into(), (*count).into());
    }
    if directives.is_empty() {
        return Vec::new();
    }
    let now = jiff::Timestamp::now().as_millisecond();
    line.insert("_aws".into(), json!({"Timestamp": now, "CloudWatchMetrics": directives}));
    let further = failed.map(|(code, count)| {
        json!({
            "_aws": {"Timestamp": now, "CloudWatchMetrics": [by_code(namespace)]},
            FAILED_CODE: code, measure::FAILED.name: count,
        })
    });
    further.collect()
}

fn by_code(namespace: &str) -> Value {
    let metrics = [json!({"Name": measure::FAILED.name, "Unit": measure::FAILED.unit})];
    json!({"Namespace": namespace, "Dimensions": [[], [FAILED_CODE]], "Metrics": metrics})
}

/// Writes a line for each event that has a field `metric`.
pub(super) struct Metrics<W> {
    pub(super) namespace: String,
    pub(super) writer: W,
}

impl<S, W> Layer<S> for Metrics<W>
where
    S: Subscriber,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut counted = Counted { name: None, count: 1 };
        event.record(&mut counted);
        let Some(name) = counted.name else { return };
        let line = json!({
            "_aws": {
                "Timestamp": jiff::Timestamp::now().as_millisecond(),
                "CloudWatchMetrics": [{
                    "Namespace": self.namespace,
                    "Dimensions": [[]],
                    "Metrics": [{"Name": name, "Unit": "Count"}],
                }],
            },
            name: counted.count,
        });
        // One write for the whole line, so that lines do not mix. If nobody reads them, there is nothing to do.
        let _ = self.writer.make_writer().write_all(format!("{line}\n").as_bytes());
    }
}

struct Counted {
    name: Option<String>,
    count: u64,
}

impl Visit for Counted {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "metric" {
            self.name = Some(value.to_owned());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "count" {
            self.count = value;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

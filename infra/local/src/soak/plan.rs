//! When what fails: calm and trouble in turns, from a seed.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::random::Rng;

/// The services of AWS that the functions call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Service {
    DynamoDb,
    Sqs,
    Kms,
    Secrets,
}

/// How a call to AWS fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CloudFault {
    /// Refused as too fast; nothing is done.
    Throttled,
    /// The service's own error; nothing is done.
    ServerError,
    /// The connection breaks before anything is done.
    Reset,
    /// All is done, and the connection breaks before the answer.
    AnswerLost,
}

/// How a call to Meta or to the language model fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MetaFault {
    /// 130429: too fast.
    RateLimited,
    /// 131000: something went wrong.
    Trouble,
    /// An error page without Meta's error in it.
    BrokenGateway,
    /// The message is sent, the answer is lost.
    AcceptThenDrop,
    /// The answer comes late.
    Slow,
    /// Nothing is done and no answer comes.
    Hang,
    /// The language model is down.
    ModelDown,
}

/// One stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Phase {
    pub(super) name: &'static str,
    pub(super) lasts: Duration,
    /// For each call: how many of a thousand fail like that.
    pub(super) cloud: Vec<(Service, CloudFault, u32)>,
    /// In this order, each for so many calls.
    pub(super) meta: Vec<(MetaFault, u32)>,
    /// Pauses before each `kill -9`.
    pub(super) kills: Vec<Duration>,
}

/// What is in trouble during a phase.
#[derive(Clone, Copy)]
enum Theme {
    Records,
    Queues,
    Keys,
    Meta,
    Processes,
    Everything,
}

const THEMES: [Theme; 6] =
    [Theme::Records, Theme::Queues, Theme::Keys, Theme::Meta, Theme::Processes, Theme::Everything];
const SERVICES: [Service; 4] = [Service::DynamoDb, Service::Sqs, Service::Kms, Service::Secrets];
const CLOUD: [CloudFault; 4] =
    [CloudFault::Throttled, CloudFault::ServerError, CloudFault::Reset, CloudFault::AnswerLost];
const META: [MetaFault; 7] = [
    MetaFault::RateLimited,
    MetaFault::Trouble,
    MetaFault::BrokenGateway,
    MetaFault::AcceptThenDrop,
    MetaFault::Slow,
    MetaFault::Hang,
    MetaFault::ModelDown,
];

/// The phases of a soak that lasts so long: the same for the same seed.
pub(super) fn phases(seed: u64, lasts: Duration) -> Vec<Phase> {
    let mut rng = Rng::part(seed, 1);
    let mut phases = Vec::new();
    let mut left = lasts;
    let mut themes = Vec::new();
    loop {
        for phase in [calm(&mut rng), trouble(&mut rng, &mut themes)] {
            if left.is_zero() {
                return phases;
            }
            let lasts = phase.lasts.min(left);
            left -= lasts;
            phases.push(Phase { lasts, ..phase });
        }
    }
}

fn calm(rng: &mut Rng) -> Phase {
    let lasts = Duration::from_millis(rng.between(1_000, 4_000));
    Phase { name: "calm", lasts, cloud: Vec::new(), meta: Vec::new(), kills: Vec::new() }
}

/// Each theme has its turn before one comes again.
fn trouble(rng: &mut Rng, themes: &mut Vec<Theme>) -> Phase {
    if themes.is_empty() {
        themes.extend(THEMES);
        rng.shuffle(themes);
    }
    let theme = themes.pop().unwrap_or(Theme::Everything);
    let lasts = Duration::from_millis(rng.between(4_000, 8_000));
    let mut phase = Phase { lasts, ..calm(rng) };
    match theme {
        Theme::Records => (phase.name, phase.cloud) = ("DynamoDB", cloud(rng, &SERVICES[..1], 60)),
        Theme::Queues => (phase.name, phase.cloud) = ("SQS", cloud(rng, &SERVICES[1..2], 80)),
        // Called by new processes only, so some must end.
        Theme::Keys => {
            (phase.name, phase.cloud) = ("KMS and secrets", cloud(rng, &SERVICES[2..], 150));
            phase.kills = kills(rng, lasts, 4);
        }
        Theme::Meta => (phase.name, phase.meta) = ("Meta", meta(rng, 16)),
        Theme::Processes => (phase.name, phase.kills) = ("processes", kills(rng, lasts, 8)),
        Theme::Everything => {
            phase.name = "everything";
            phase.cloud = cloud(rng, &SERVICES, 30);
            phase.meta = meta(rng, 8);
            phase.kills = kills(rng, lasts, 3);
        }
    }
    phase
}

/// Every kind for each of these services, each about as often as asked.
fn cloud(rng: &mut Rng, services: &[Service], permille: u32) -> Vec<(Service, CloudFault, u32)> {
    let mut faults = Vec::new();
    for service in services {
        for fault in CLOUD {
            let share = u32::try_from(rng.between(50, 150)).unwrap_or(100);
            faults.push((*service, fault, permille * share / 100));
        }
    }
    faults
}

fn meta(rng: &mut Rng, count: usize) -> Vec<(MetaFault, u32)> {
    let draw = |_| {
        let fault = META[rng.below(META.len())];
        // A call that hangs holds a function for ten seconds: one at a time.
        let times = if fault == MetaFault::Hang { 1 } else { u32::try_from(rng.between(1, 3)).unwrap_or(1) };
        (fault, times)
    };
    (0..count).map(draw).collect()
}

fn kills(rng: &mut Rng, lasts: Duration, count: u32) -> Vec<Duration> {
    let pause = u64::try_from(lasts.as_millis()).unwrap_or(4_000) / u64::from(count);
    (0..count).map(|_| Duration::from_millis(rng.between(pause / 2, pause))).collect()
}

impl MetaFault {
    /// As the simulator's control API takes it.
    pub(super) fn spec(self, times: u32) -> Value {
        let then = match self {
            Self::RateLimited => json!({"error": {"status": 429, "code": 130_429}}),
            Self::Trouble => json!({"error": {"status": 500, "code": 131_000}}),
            Self::BrokenGateway => json!({"error": {"status": 502}}),
            Self::AcceptThenDrop => json!({"acceptThenDrop": true}),
            Self::Slow => json!({"delayMs": 1500}),
            Self::Hang => json!({"hang": true}),
            Self::ModelDown => json!({"error": {"status": 503, "code": 503}}),
        };
        let path = if self == Self::ModelDown { "chat/completions" } else { "messages" };
        json!({"match": {"method": "POST", "path": path}, "times": times, "then": then})
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DynamoDb => "DynamoDB",
            Self::Sqs => "SQS",
            Self::Kms => "KMS",
            Self::Secrets => "Secrets Manager",
        })
    }
}

impl fmt::Display for CloudFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Throttled => "throttled",
            Self::ServerError => "server error",
            Self::Reset => "connection reset",
            Self::AnswerLost => "done, answer lost",
        })
    }
}

impl fmt::Display for MetaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RateLimited => "130429, too fast",
            Self::Trouble => "131000, something went wrong",
            Self::BrokenGateway => "502, an error page",
            Self::AcceptThenDrop => "sent, answer lost",
            Self::Slow => "1.5 s late",
            Self::Hang => "no answer at all",
            Self::ModelDown => "language model down",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_same_seed_is_the_same_plan() {
        assert_eq!(phases(5, MINUTE), phases(5, MINUTE));
        assert_ne!(phases(5, MINUTE), phases(6, MINUTE));
    }

    #[test]
    fn a_plan_lasts_exactly_as_long_as_the_load() {
        for seed in 0..50 {
            let total: Duration = phases(seed, MINUTE).iter().map(|phase| phase.lasts).sum();
            assert_eq!(total, MINUTE);
        }
    }

    #[test]
    fn a_minute_has_every_kind_of_trouble() {
        for seed in 0..50 {
            let names: Vec<_> = phases(seed, MINUTE).iter().map(|phase| phase.name).collect();
            for theme in ["DynamoDB", "SQS", "KMS and secrets", "Meta", "processes"] {
                assert!(names.contains(&theme), "seed {seed} has no trouble with {theme}: {names:?}");
            }
        }
    }

    #[test]
    fn a_longer_plan_begins_as_a_shorter_one() {
        let (short, long) = (phases(9, MINUTE), phases(9, MINUTE * 2));
        assert_eq!(short[..short.len() - 1], long[..short.len() - 1]);
    }
}

//! Bringing back what failed: dead letters are archived before they age out, and put back on their queue;
//! anything stored runs through ingest again.
//!
//! Everything here moves things from one durable place to another: first it is written there, then it is
//! deleted here. A crash in between leaves it in both, and ingest and reply know duplicates. Each run works
//! for a limited time and says whether something is left.

mod letters;
mod replay;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;
use crate::error::StoreError;
use crate::ports::{
    Blobs, Clock, DeadLetters, EmptyQuarantine, ListClients, ListEvents, ListMessages, Quarantine, Random,
    ReadClients, ReadMessages, SendBack, SendInbound,
};

pub use letters::{ArchiveRequest, Archived, RedriveRequest, Redriven};
pub use replay::{Found, QuarantineRequest, ReplayRequest, Replayed};

/// How many stored elements are read, marked or deleted at the same time.
const AT_ONCE: usize = 16;
/// How many stored elements are worked on together: few enough for the memory of a small function.
const PAGE: usize = 50;
/// Most things that one answer names; more would not fit into an answer of Lambda (6 MB).
const MOST_NAMED: usize = 1000;

/// Settings of recovery.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Dead letters older than this are archived. SQS deletes them two weeks after they were first sent.
    pub archive_after: Duration,
    /// How long one run works before it answers that something is left; well below the function's timeout.
    pub budget: Duration,
}

impl Settings {
    /// Half of the two weeks: time to look at dead letters while they ring, and as much for archiving them.
    pub const ARCHIVE_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
}

/// All records that recovery uses.
pub trait Records:
    ReadMessages + ListMessages + ReadClients + ListClients + ListEvents + Quarantine + EmptyQuarantine + Blobs
{
}
impl<T> Records for T where
    T: ReadMessages
        + ListMessages
        + ReadClients
        + ListClients
        + ListEvents
        + Quarantine
        + EmptyQuarantine
        + Blobs
{
}

/// What an operator or the schedule asks for.
#[derive(Debug, Deserialize)]
#[serde(tag = "job", rename_all = "kebab-case")]
pub enum Job {
    /// Keep old dead letters from ageing out.
    ArchiveDeadLetters(ArchiveRequest),
    /// Put dead letters back on their queue.
    Redrive(RedriveRequest),
    /// Run stored elements through ingest again.
    Replay(Box<ReplayRequest>),
}

impl Job {
    /// As it is asked for.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ArchiveDeadLetters(_) => "archive-dead-letters",
            Self::Redrive(_) => "redrive",
            Self::Replay(_) => "replay",
        }
    }
}

/// Why a job did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// It does not say what is wanted. Nothing was done.
    #[error("{0}")]
    Request(String),
    /// A service failed. What was moved by then is moved; the job may be run again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn wrong(what: impl Into<String>) -> RecoveryError {
    RecoveryError::Request(what.into())
}

/// What came out of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// Of archiving.
    Archived(Archived),
    /// Of a redrive.
    Redriven(Redriven),
    /// Of a replay.
    Replayed(Replayed),
}

/// The numbers, for the log.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archived(done) => write!(f, "archived {}, left {}", done.archived, done.left),
            Self::Redriven(Redriven { dry_run: true, .. })
            | Self::Replayed(Replayed { dry_run: true, .. }) => f.write_str("only looked"),
            Self::Redriven(done) => write!(f, "moved {}, discarded {}", done.moved, done.discarded),
            Self::Replayed(done) => write!(
                f,
                "replayed {}, skipped {}, damaged {}",
                done.replayed,
                done.skipped,
                done.damaged.len()
            ),
        }
    }
}

/// Recovery with what it needs.
pub struct Recovery<'a, S, D, I, C, R> {
    /// Records.
    pub store: &'a S,
    /// The dead-letter queues, and the way back.
    pub dead: &'a D,
    /// The queue `inbound`, for replays.
    pub inbound: &'a I,
    /// Time.
    pub clock: &'a C,
    /// For marks.
    pub random: &'a R,
    /// Settings.
    pub settings: &'a Settings,
}

impl<S, D, I, C, R> Recovery<'_, S, D, I, C, R>
where
    S: Records,
    D: DeadLetters + SendBack,
    I: SendInbound,
    C: Clock,
    R: Random,
{
    /// Does a job.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub async fn run(&self, job: &Job) -> Result<Outcome, RecoveryError> {
        match job {
            Job::ArchiveDeadLetters(request) => self.archive(request).await.map(Outcome::Archived),
            Job::Redrive(request) => self.redrive(request).await.map(Outcome::Redriven),
            Job::Replay(request) => self.replay(request).await.map(Outcome::Replayed),
        }
    }

    fn deadline(&self) -> Timestamp {
        self.clock.now() + self.settings.budget
    }

    fn token(&self) -> String {
        hex::encode(self.random.bytes())
    }
}

#[cfg(test)]
mod tests;

//! The partner's addresses in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::lock;
use super::steps::Steps;
use crate::domain::Timestamp;
use crate::domain::delivery::Failure;
use crate::domain::ids::EventId;
use crate::ports::{CallTargets, SignedCall, Told};

/// An event as an address got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Where.
    pub url: String,
    /// `webhook-id`.
    pub event_id: EventId,
    /// `webhook-timestamp`.
    pub at: Timestamp,
    /// `webhook-signature`.
    pub signature: String,
    /// JSON.
    pub body: String,
}

/// Addresses that take everything, unless a test tells them otherwise. One step is one call.
#[derive(Debug, Default)]
pub struct MemoryTargets {
    steps: Steps,
    heard: Mutex<Vec<Heard>>,
    answers: Mutex<BTreeMap<String, Told>>,
}

impl MemoryTargets {
    /// Ones whose calls pass `steps`.
    #[must_use]
    pub fn new(steps: Steps) -> Self {
        Self { steps, ..Self::default() }
    }

    /// From now on this address answers so.
    pub fn answer(&self, url: &str, told: Told) {
        lock(&self.answers).insert(url.to_owned(), told);
    }

    /// All calls so far.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        lock(&self.heard).clone()
    }
}

impl CallTargets for MemoryTargets {
    async fn call(&self, call: SignedCall<'_>) -> Told {
        let heard = Heard {
            url: call.url.to_owned(),
            event_id: call.event_id.clone(),
            at: call.at,
            signature: call.signature.to_owned(),
            body: call.body.to_owned(),
        };
        let act = || {
            let told = lock(&self.answers).get(&heard.url).copied().unwrap_or(Told::Yes);
            lock(&self.heard).push(heard.clone());
            told
        };
        self.steps.pass("call", act).await.unwrap_or(Told::Failed(Failure::Timeout))
    }
}

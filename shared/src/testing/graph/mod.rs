//! A small Meta: enough of its rules to onboard clients and send, and every way in which a call to it
//! can go wrong. The simulator in `infra/meta-simulator` is the full one; this one is for tests of flows.

mod accounts;
mod media;
mod ports;
mod signups;
mod templates;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use serde_json::Value;

pub use accounts::refusal;
pub use media::MetaFile;
pub use signups::SignedUp;

use super::lock;
use super::steps::Steps;
use crate::domain::Timestamp;
use crate::domain::grant::TokenFacts;
use crate::domain::ids::{AllocationId, BusinessId, PhoneNumberId, WabaId, Wamid};
use crate::domain::meta_error::MetaError;
use crate::domain::rate::Usage;
use crate::domain::template::Shown;
use crate::error::GraphError;
use crate::ports::Number;

/// How one call to the Graph API goes wrong.
#[derive(Debug, Clone)]
pub enum GraphFault {
    /// It never left: [`GraphError::NotSent`].
    NotSent,
    /// No usable answer, and Meta did nothing: [`GraphError::Unclear`].
    UnclearBefore,
    /// No usable answer, but Meta did it: [`GraphError::Unclear`].
    UnclearAfter,
    /// Meta says no: [`GraphError::Refused`].
    Refused(MetaError),
}

/// One call, as Meta saw it. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The port's method.
    pub name: &'static str,
    /// The id that it was about; empty for a code or a token.
    pub about: String,
    /// Whether Meta acted.
    pub acted: bool,
}

/// A message that Meta took.
#[derive(Debug, Clone, PartialEq)]
pub struct SentMessage {
    /// From which number.
    pub phone_number_id: PhoneNumberId,
    /// As it was sent.
    pub message: Value,
    /// Meta's name for it.
    pub wamid: Wamid,
}

/// A token that Meta gave.
#[derive(Debug, Clone)]
pub struct MetaToken {
    /// What `debug_token` says of it. Not valid = refused everywhere.
    pub facts: TokenFacts,
    /// The portfolio that it is bound to.
    pub business_id: Option<BusinessId>,
}

/// An account.
#[derive(Debug, Clone)]
pub struct MetaWaba {
    /// Who owns it.
    pub owner: BusinessId,
    /// Its name.
    pub name: String,
    /// Its numbers, in Meta's order.
    pub numbers: Vec<PhoneNumberId>,
    /// What pays for it.
    pub funding: Option<String>,
    /// Its billing currency.
    pub currency: Option<String>,
    /// Whether our app gets its webhooks.
    pub subscribed: bool,
    /// Where they are sent instead of to our app's address.
    pub callback: Option<String>,
    /// Which system users may manage it.
    pub assigned: BTreeSet<String>,
}

/// A number, with what only Meta knows.
#[derive(Debug, Clone)]
pub struct MetaNumber {
    /// What Meta shows.
    pub number: Number,
    /// Its PIN, once somebody set one.
    pub pin: Option<String>,
    /// How often register was called, refusals included.
    pub register_calls: u32,
}

/// An allocation of our credit line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// Its id.
    pub id: AllocationId,
    /// To whom.
    pub business_id: BusinessId,
    /// What it pays through.
    pub credential: String,
}

/// All that this Meta knows, for tests to look at and to change.
#[derive(Debug, Clone, Default)]
pub struct Meta {
    /// Code → the token that it gives. A spent code stays.
    pub codes: BTreeMap<String, String>,
    /// Codes that were used.
    pub spent_codes: BTreeSet<String>,
    /// Tokens by their text.
    pub tokens: BTreeMap<String, MetaToken>,
    /// When tokens end that are given from now on, other than by a code; `None` = never.
    pub new_tokens_end: Option<Timestamp>,
    /// Businesses that removed our app: no new token is given for them.
    pub uninstalled: BTreeSet<BusinessId>,
    /// Accounts.
    pub wabas: BTreeMap<WabaId, MetaWaba>,
    /// Numbers.
    pub numbers: BTreeMap<PhoneNumberId, MetaNumber>,
    /// Allocations in force, in the order in which they were made.
    pub allocations: Vec<Allocation>,
    /// Allocations that were revoked.
    pub revoked: Vec<Allocation>,
    /// Messages that were taken.
    pub sent: Vec<SentMessage>,
    /// Read receipts: from which number, for which message, and whether with the typing sign.
    pub read: Vec<(PhoneNumberId, Wamid, bool)>,
    /// Every call that reached Meta or should have.
    pub calls: Vec<Call>,
    /// What the usage headers of the next answer say.
    pub usage: Vec<Usage>,
    /// Templates by account, in Meta's order.
    pub templates: BTreeMap<WabaId, Vec<Shown>>,
    /// Files by id.
    pub files: BTreeMap<String, MetaFile>,
    faults: Vec<(FaultAt, GraphFault)>,
}

#[derive(Debug, Clone, Copy)]
enum FaultAt {
    Call(usize),
    Next(&'static str),
}

/// The id of our system user at this Meta.
pub(super) const SYSTEM_USER: &str = "61550000000001";

/// The Graph API in memory.
#[derive(Debug, Default)]
pub struct FakeGraph {
    steps: Steps,
    meta: Mutex<Meta>,
}

impl FakeGraph {
    /// One whose calls pass `steps`. A fault of `steps` before a call is [`GraphError::NotSent`], one
    /// after it [`GraphError::Unclear`].
    #[must_use]
    pub fn new(steps: Steps) -> Self {
        Self { steps, meta: Mutex::default() }
    }

    /// Looks at Meta, or changes it; not a call.
    pub fn with<T>(&self, look: impl FnOnce(&mut Meta) -> T) -> T {
        look(&mut lock(&self.meta))
    }

    /// Makes the call with this number go wrong, counted from 0 since the beginning.
    pub fn fail_at(&self, call: usize, fault: GraphFault) {
        self.with(|meta| meta.faults.push((FaultAt::Call(call), fault)));
    }

    /// Makes the next call of this name go wrong. Said twice, the next two do.
    pub fn fail_next(&self, name: &'static str, fault: GraphFault) {
        self.with(|meta| meta.faults.push((FaultAt::Next(name), fault)));
    }

    /// How many calls of this name there were.
    #[must_use]
    pub fn calls(&self, name: &str) -> usize {
        self.with(|meta| meta.calls.iter().filter(|call| call.name == name).count())
    }

    /// How many calls of this name took effect.
    #[must_use]
    pub fn acts(&self, name: &str) -> usize {
        self.with(|meta| meta.calls.iter().filter(|call| call.name == name && call.acted).count())
    }

    /// The messages that were taken, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<SentMessage> {
        self.with(|meta| meta.sent.clone())
    }

    async fn call<T>(
        &self,
        name: &'static str,
        about: &str,
        act: impl FnOnce(&mut Meta) -> Result<T, MetaError>,
    ) -> Result<T, GraphError> {
        let done = self.steps.pass(name, || lock(&self.meta).answer(name, about, act)).await;
        done.map_err(|e| if e.acted { GraphError::Unclear(e.into()) } else { GraphError::NotSent(e.into()) })?
    }
}

impl Meta {
    /// Forgets the calls that were to go wrong.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    fn answer<T>(
        &mut self,
        name: &'static str,
        about: &str,
        act: impl FnOnce(&mut Self) -> Result<T, MetaError>,
    ) -> Result<T, GraphError> {
        let number = self.calls.len();
        self.calls.push(Call { name, about: about.to_owned(), acted: false });
        match self.fault(number, name) {
            Some(GraphFault::NotSent) => Err(GraphError::NotSent("connection refused".into())),
            Some(GraphFault::UnclearBefore) => Err(GraphError::Unclear("connection reset".into())),
            Some(GraphFault::Refused(error)) => Err(error.into()),
            Some(GraphFault::UnclearAfter) => {
                self.calls[number].acted = act(self).is_ok();
                Err(GraphError::Unclear("the answer was lost".into()))
            }
            None => {
                let answer = act(self);
                self.calls[number].acted = answer.is_ok();
                Ok(answer?)
            }
        }
    }

    fn fault(&mut self, number: usize, name: &str) -> Option<GraphFault> {
        let index = self.faults.iter().position(|(at, _)| match at {
            FaultAt::Call(call) => *call == number,
            FaultAt::Next(next) => *next == name,
        })?;
        Some(self.faults.remove(index).1)
    }
}

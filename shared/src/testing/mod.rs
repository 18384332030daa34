//! Fakes of every port, and the contract tests that fakes and adapters pass.
//!
//! [`World`] holds one fake of each port. Every outside call of every fake passes through its
//! [`Steps`], where a test counts calls and makes the k-th one fail or the process die there.
//! [`contracts`] says what each port promises; a fake that has not passed it proves nothing.

pub mod contracts;
mod files;
mod graph;
mod model;
pub mod properties;
mod queues;
mod requests;
mod seal;
mod steps;
mod store;
mod targets;
#[cfg(test)]
mod tests;
mod vault;
mod world;

pub use files::{KeptFile, MemoryFiles};
pub use graph::{
    Allocation, Call, FakeGraph, GraphFault, Meta, MetaFile, MetaNumber, MetaToken, MetaWaba, SentMessage,
    SignedUp, refusal,
};
pub use model::FakeModel;
pub use queues::{Delayed, MemoryQueues};
pub use requests::{Sample, answered, refused};
pub use seal::FakeSeal;
pub use steps::{Fault, Injected, Steps};
pub use store::{BlobPart, IdempotencyRecord, Lease, MemoryStore, Tables, TemplateSync, WamidRecord};
pub use targets::{Heard, MemoryTargets};
pub use vault::{MemorySecret, MemoryVault};
pub use world::{CountingRandom, FixedClock, Parts, World};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A failed assertion in one test thread must not hide behind a poisoned lock in another.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

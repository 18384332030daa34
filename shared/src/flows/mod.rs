//! The use cases, over ports only: what happens, in which order, and what a crash in between means.

pub mod erasure;
pub mod events;
pub mod exchange;
pub mod export;
pub mod ingest;
pub mod media;
pub mod offboard;
pub mod onboard;
pub mod pace;
pub mod receive;
pub mod reconcile;
pub mod recovery;
pub mod reply;
pub mod send;
pub mod templates;
pub mod token_care;
pub mod tokens;

#[cfg(test)]
mod invariants;
mod lookups;
mod mentions;
mod raws;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use raws::{content_of, stored_bytes};

//! Telling the partner's own software. A write to a record is told by the stream of its table, so that no flow has to
//! think of it and nothing is lost between a write and a call: [`publish`] makes an event out of it, and a job for each
//! subscription that wants it; [`deliver`] signs and calls.
//!
//! Everything is told at least once and in any order. Told again, an event has the same id.

pub mod deliver;
pub mod publish;
mod tell;
#[cfg(test)]
mod tests;

pub use tell::event_of;

//! What the flows need from outside: one trait per capability. A doc on a method is its contract.
//! A lost race is a value, never an error.

mod graph;
mod outside;
mod store;

pub use graph::*;
pub use outside::*;
pub use store::*;

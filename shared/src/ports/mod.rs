//! What the flows need from outside: one trait per capability. A doc on a method is its contract.
//! A lost race is a value, never an error.

mod conversations;
mod erase;
mod events;
mod graph;
mod media;
mod outside;
mod recovery;
mod store;
mod templates;

pub use conversations::*;
pub use erase::*;
pub use events::*;
pub use graph::*;
pub use media::*;
pub use outside::*;
pub use recovery::*;
pub use store::*;
pub use templates::*;

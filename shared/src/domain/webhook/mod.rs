//! Webhook bodies, taken apart without losing anything. One POST can hold several entries, changes and
//! items; each becomes a [`Piece`] that stands or falls alone.

mod incoming;
mod members;
mod people;
mod pieces;

pub use incoming::{IncomingMessage, IncomingStatus, Renamed, Unreadable};
pub use people::{Deed, What};
pub use pieces::{List, NotAWebhook, Piece, pieces, regroup};

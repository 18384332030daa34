//! Queue events in, batch results out.

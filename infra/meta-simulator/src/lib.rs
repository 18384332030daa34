//! The Meta simulator.

//! Randomised simulation.

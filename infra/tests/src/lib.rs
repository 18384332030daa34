//! Tests of the whole on a real running stack live in `tests/`; what they share with nobody else is here, with tests of
//! its own.

pub mod needles;
pub mod privilege;

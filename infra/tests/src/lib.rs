//! Tests of the whole on a real running stack live in `tests/`; here is what they compare policies with.

pub mod privilege;

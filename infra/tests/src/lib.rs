//! Tests of the whole on a real running stack live in `tests/`.

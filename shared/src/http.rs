//! HTTP events in, responses out.

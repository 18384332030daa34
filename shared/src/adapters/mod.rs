//! The ports as services: one module per service, and only there is its crate named.

//! What Switchboard's functions share: the domain, the ports that its flows need, the adapters that
//! are those ports, and what turns Lambda's events into calls and results into answers.

#![cfg_attr(not(feature = "adapters"), allow(dead_code, reason = "some of it is for adapters alone"))]

#[cfg(feature = "adapters")]
pub mod adapters;
pub mod api;
pub mod config;
pub mod domain;
pub mod error;
pub mod flows;
pub mod http;
pub mod kept;
pub mod ports;
pub mod queue;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

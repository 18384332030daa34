//! The ports as services: one module per service, and only there is its crate named.

pub mod aws;
pub mod dynamo;
pub mod files;
pub mod graph;
pub mod kms;
pub mod model;
#[cfg(test)]
mod scripted;
pub mod secrets;
pub mod sentry;
pub mod sqs;
pub mod system;
pub mod targets;
mod web;

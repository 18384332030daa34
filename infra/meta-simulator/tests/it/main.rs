//! The simulator from outside: each rule that a backend can meet, over HTTP.

mod support;

mod accounts;
mod control;
mod credit;
mod faults;
mod messages;
mod nodes;
mod registration;
mod templates;
mod tokens;
mod webhooks;

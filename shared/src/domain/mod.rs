//! What Switchboard knows, free of services, clocks and I/O: ids, secrets, signatures, messages,
//! the onboarding ledger, the rules of answering and sending.

pub mod account;
pub mod address;
pub mod answer;
pub mod bot;
pub mod change;
pub mod client;
pub mod content;
pub mod conversation;
pub mod delivery;
pub mod draft;
pub mod drift;
pub mod event;
pub mod grant;
pub mod ids;
pub mod json;
pub mod letter;
pub mod media;
pub mod message;
pub mod meta_error;
pub mod model;
pub mod money;
pub mod offboarding;
pub mod onboarding;
pub mod parcel;
pub mod pricing;
pub mod rate;
pub mod raw;
pub mod seal;
pub mod secret;
pub mod signature;
pub mod status;
pub mod subscription;
pub mod template;
pub mod token_care;
pub mod webhook;

pub use jiff::Timestamp;

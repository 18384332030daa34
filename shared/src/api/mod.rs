//! What travels over the HTTP API: the types that the functions read and answer, one file for each resource.
//!
//! With the feature `openapi` each file also describes its operations, from the same types; `infra/openapi` makes the
//! document out of them. A route that has no description, or a description without a route, fails a test.

pub mod bots;
pub mod clients;
pub mod conversations;
pub mod drift;
pub mod erasure;
pub mod events;
pub mod export;
pub mod media;
pub mod messages;
pub mod onboarding;
pub mod sending;
pub mod templates;
#[cfg(feature = "openapi")]
pub mod webhooks;

#[cfg(feature = "openapi")]
pub mod describe;
#[cfg(feature = "openapi")]
mod message;

#[cfg(test)]
#[cfg(feature = "openapi")]
mod tests;

use serde::Serialize;

/// A page of a list.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "PageOf{T}"))]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// What `cursor` takes for the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// All operations, in the order of the document.
#[cfg(feature = "openapi")]
#[must_use]
pub fn operations() -> Vec<describe::Operation> {
    let all = [
        onboarding::operations(),
        clients::operations(),
        drift::operations(),
        sending::operations(),
        messages::operations(),
        media::operations(),
        conversations::operations(),
        export::operations(),
        bots::operations(),
        erasure::operations(),
        events::operations(),
        templates::operations(),
        webhooks::operations(),
    ];
    all.into_iter().flatten().collect()
}

//! The stores as DynamoDB tables, one struct per table. `template.yaml` has their keys and indexes.
//!
//! Attributes have camelCase names. Times are numbers, in milliseconds since 1970; only `expiresAt`,
//! by which DynamoDB deletes, is in seconds.

mod blobs;
mod bots;
mod changes;
mod clients;
mod conversations;
mod deliveries;
mod events;
mod expression;
mod grants;
mod idempotency;
mod media;
mod messages;
mod offboardings;
mod onboardings;
mod quarantine;
mod rates;
mod subscriptions;
mod table;
mod tables;
mod templates;
mod values;

pub use aws_sdk_dynamodb::Client;

pub use blobs::Blobs;
pub use bots::Bots;
pub use changes::{Unreadable, change, records};
pub use clients::Clients;
pub use conversations::Conversations;
pub use deliveries::Deliveries;
pub use events::Events;
pub use grants::Grants;
pub use idempotency::Idempotency;
pub use media::Media;
pub use messages::Messages;
pub use onboardings::Onboardings;
pub use quarantine::Quarantine;
pub use rates::Rates;
pub use subscriptions::Subscriptions;
pub use tables::Tables;
pub use templates::Templates;

use crate::error::StoreError;

type Stored<T> = Result<T, StoreError>;

//! The records in memory: as atomic as DynamoDB's conditional writes, and no more.

mod clients;
mod conversations;
mod deliveries;
mod erase;
mod media;
mod messages;
mod onboardings;
mod rates;
mod recovery;
mod rest;
mod subscriptions;
mod templates;

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::lock;
use super::steps::Steps;
use crate::domain::Timestamp;
use crate::domain::bot::BotSettings;
use crate::domain::client::Client;
use crate::domain::conversation::{Conversation, CustomerKey};
use crate::domain::delivery::{Delivery, DeliveryKey};
use crate::domain::drift::Round;
use crate::domain::grant::Grant;
use crate::domain::ids::{
    BotId, BusinessId, ConversationId, GrantId, MessageId, OffboardingId, OnboardingId, PhoneNumberId,
    SubscriptionKey, TemplateId, WabaId, Wamid,
};
use crate::domain::media::{MediaFile, MediaKey};
use crate::domain::message::Message;
use crate::domain::money::{Month, Usd};
use crate::domain::offboarding::Offboarding;
use crate::domain::onboarding::Onboarding;
use crate::domain::rate::{Brake, Pair, RateKey};
use crate::domain::status::Statuses;
use crate::domain::subscription::Subscription;
use crate::domain::template::{SyncState, Template};
use crate::error::StoreError;
use crate::ports::{AccountEvent, Quarantined, SavedResponse};

/// Every record, for tests to look at and to prepare.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// Settings that somebody set.
    pub bots: BTreeMap<BotId, BotSettings>,
    /// How often they were changed by a call.
    pub bot_versions: BTreeMap<BotId, u64>,
    /// What the models of each bot cost in a month.
    pub spending: BTreeMap<(BotId, Month), Usd>,
    /// Clients.
    pub clients: BTreeMap<PhoneNumberId, Client>,
    /// Grants.
    pub grants: BTreeMap<GrantId, Grant>,
    /// Onboardings.
    pub onboardings: BTreeMap<OnboardingId, Onboarding>,
    /// Off-boardings.
    pub offboardings: BTreeMap<OffboardingId, Offboarding>,
    /// Who works on which onboarding.
    pub onboarding_leases: BTreeMap<OnboardingId, Lease>,
    /// Who does credit steps for which business.
    pub business_leases: BTreeMap<BusinessId, Lease>,
    /// Messages both ways.
    pub messages: BTreeMap<MessageId, Message>,
    /// Sends whose outcome is open, with the end of their claim.
    pub unresolved: BTreeMap<MessageId, Timestamp>,
    /// The newest attempt at each send, by the end of its claim.
    pub attempts: BTreeMap<MessageId, Timestamp>,
    /// What is known under a wamid of an outgoing message.
    pub wamids: BTreeMap<Wamid, WamidRecord>,
    /// Conversations.
    pub conversations: BTreeMap<ConversationId, Conversation>,
    /// Who answers in which conversation.
    pub conversation_claims: BTreeMap<ConversationId, Lease>,
    /// Client and name of a customer → the customer's key.
    pub aliases: BTreeMap<(PhoneNumberId, String), CustomerKey>,
    /// Events by owner and key.
    pub events: BTreeMap<(String, String), AccountEvent>,
    /// What nobody understood, by hash.
    pub quarantine: BTreeMap<String, Quarantined>,
    /// Who takes an item out of quarantine, by the item.
    pub quarantine_marks: BTreeMap<String, String>,
    /// Parts of large things, by name, count and index, with when they go.
    pub blobs: BTreeMap<(String, u32, u32), BlobPart>,
    /// Idempotency keys.
    pub idempotency: BTreeMap<String, IdempotencyRecord>,
    /// What is kept back.
    pub brakes: BTreeMap<RateKey, Brake>,
    /// Messages of a number in a second (of Unix time).
    pub seconds: BTreeMap<(PhoneNumberId, i64), u32>,
    /// Limits of customers.
    pub pairs: BTreeMap<ConversationId, Pair>,
    /// Templates by account.
    pub templates: BTreeMap<(WabaId, TemplateId), Template>,
    /// Files of messages.
    pub media: BTreeMap<MediaKey, MediaFile>,
    /// Until when somebody fetches which file.
    pub media_claims: BTreeMap<MediaKey, Timestamp>,
    /// Subscriptions to events.
    pub subscriptions: BTreeMap<SubscriptionKey, Subscription>,
    /// Deliveries that failed.
    pub deliveries: BTreeMap<DeliveryKey, Delivery>,
    /// Where the walk through all clients stands.
    pub check_round: Option<Round>,
    /// How far keeping each account's templates true has come.
    pub template_syncs: BTreeMap<WabaId, TemplateSync>,
}

/// How far keeping one account's templates true has come.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TemplateSync {
    /// When somebody must look again.
    pub due_at: Option<Timestamp>,
    /// Until when somebody has it.
    pub claimed_until: Option<Timestamp>,
    /// How far it has come.
    pub state: SyncState,
}

/// The right of one owner, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who has it.
    pub owner: String,
    /// From when on others may take it.
    pub until: Timestamp,
}

/// A wamid, and the statuses that came for it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WamidRecord {
    /// The message of ours that it names, once that is known.
    pub points_to: Option<MessageId>,
    /// Statuses that came before the message was known.
    pub waiting: Statuses,
    /// When the record may go.
    pub expires_at: Option<Timestamp>,
}

/// One part of something large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobPart {
    /// What was stored first.
    pub bytes: Vec<u8>,
    /// When it may go; `None` = never.
    pub expires_at: Option<Timestamp>,
}

/// A request under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// Of the first body.
    pub body_hash: String,
    /// When the claim of whoever runs it ends.
    pub running_until: Timestamp,
    /// When the key is free again.
    pub expires_at: Timestamp,
    /// The answer, once there is one.
    pub response: Option<SavedResponse>,
}

/// All tables. What one conditional write, one query or one transaction does happens under one lock;
/// what takes several calls is several steps.
#[derive(Debug, Default)]
pub struct MemoryStore {
    steps: Steps,
    tables: Mutex<Tables>,
    /// What indexes still show, while they lag.
    lagging: Mutex<Option<Tables>>,
}

impl MemoryStore {
    /// One whose calls pass `steps`.
    #[must_use]
    pub fn new(steps: Steps) -> Self {
        Self { steps, tables: Mutex::default(), lagging: Mutex::default() }
    }

    /// Looks at the tables, or prepares them; not an outside call.
    pub fn with<T>(&self, look: impl FnOnce(&mut Tables) -> T) -> T {
        look(&mut lock(&self.tables))
    }

    /// From now on queries of indexes answer as of this moment, as DynamoDB's eventually consistent ones
    /// may; reads by key stay consistent.
    pub fn lag(&self) {
        let now = self.with(|tables| tables.clone());
        *lock(&self.lagging) = Some(now);
    }

    /// The indexes show everything again.
    pub fn catch_up(&self) {
        *lock(&self.lagging) = None;
    }

    /// Whether indexes lag at this moment.
    #[must_use]
    pub fn is_lagging(&self) -> bool {
        lock(&self.lagging).is_some()
    }

    async fn run<T>(&self, name: &'static str, act: impl FnOnce(&mut Tables) -> T) -> Result<T, StoreError> {
        let done = self.steps.pass(name, || act(&mut lock(&self.tables))).await;
        done.map_err(|e| StoreError::service(name, e))
    }

    /// A query of an index: `act` sees the index and then the records themselves.
    async fn query<T>(
        &self,
        name: &'static str,
        act: impl FnOnce(&Tables, &Tables) -> T,
    ) -> Result<T, StoreError> {
        self.run(name, |tables| {
            let lagging = lock(&self.lagging);
            act(lagging.as_ref().unwrap_or(tables), tables)
        })
        .await
    }
}

/// Takes a lease that is free at `now`, or that `owner` may take again.
fn take_lease<K: Ord + Clone>(
    leases: &mut BTreeMap<K, Lease>,
    key: &K,
    owner: &str,
    now: Timestamp,
    until: Timestamp,
) -> bool {
    if leases.get(key).is_some_and(|lease| lease.owner != owner && lease.until > now) {
        return false;
    }
    leases.insert(key.clone(), Lease { owner: owner.to_owned(), until });
    true
}

/// Gives a lease back, if `owner` still has it.
fn give_back<K: Ord>(leases: &mut BTreeMap<K, Lease>, key: &K, owner: &str) {
    if leases.get(key).is_some_and(|lease| lease.owner == owner) {
        leases.remove(key);
    }
}

//! One of each fake, sharing one gate.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{
    FakeGraph, FakeModel, FakeSeal, MemoryFiles, MemoryQueues, MemoryStore, MemoryTargets, MemoryVault,
    Steps, lock,
};
use crate::domain::Timestamp;
use crate::domain::account::Account;
use crate::domain::client::{Client, ClientStatus};
use crate::domain::conversation::{ConversationTouch, CustomerNames, TouchedBy};
use crate::domain::grant::Grant;
use crate::domain::ids::{BotId, ConversationId, GrantId};
use crate::domain::seal::SealContext;
use crate::domain::token_care::Care;
use crate::ports::{Clock, Random, ResolveCustomers, Ticks, TouchConversations};

use super::SignedUp;

/// Everything outside of a flow. Cheap to clone; clones are the same world.
#[derive(Debug, Clone, Default)]
pub struct World(std::sync::Arc<Parts>);

/// The parts of a [`World`], which it derefs to.
#[derive(Debug)]
pub struct Parts {
    /// The gate that every outside call passes.
    pub steps: Steps,
    /// Records.
    pub store: MemoryStore,
    /// Sealing.
    pub seal: FakeSeal,
    /// The secret with the system user's token.
    pub vault: MemoryVault,
    /// Files.
    pub files: MemoryFiles,
    /// Queues.
    pub queues: MemoryQueues,
    /// The partner's addresses.
    pub targets: MemoryTargets,
    /// Meta.
    pub graph: FakeGraph,
    /// The language model.
    pub model: FakeModel,
    /// Time.
    pub clock: FixedClock,
    /// Randomness.
    pub random: CountingRandom,
}

impl Default for Parts {
    fn default() -> Self {
        let steps = Steps::default();
        Self {
            store: MemoryStore::new(steps.clone()),
            seal: FakeSeal::new(steps.clone()),
            vault: MemoryVault::new(steps.clone()),
            files: MemoryFiles::new(steps.clone()),
            queues: MemoryQueues::new(steps.clone()),
            targets: MemoryTargets::new(steps.clone()),
            graph: FakeGraph::new(steps.clone()),
            model: FakeModel::new(steps.clone()),
            clock: FixedClock::default(),
            random: CountingRandom::default(),
            steps,
        }
    }
}

impl std::ops::Deref for World {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl World {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Client business `n`, onboarded by `bot` to the end: registered at Meta, with an active client and
    /// a grant in the store. Makes the step of sealing its token, and no other.
    ///
    /// # Panics
    /// If a fault was planned for that step.
    pub async fn active_client(&self, bot: &BotId, n: u32) -> (Client, SignedUp) {
        let signed_up = self.graph.sign_up(n);
        self.graph.with(|meta| {
            if let Some(known) = meta.numbers.get_mut(&signed_up.phone_number_id) {
                known.number.status = Some("CONNECTED".to_owned());
            }
            if let Some(waba) = meta.wabas.get_mut(&signed_up.waba_id) {
                waba.subscribed = true;
            }
        });
        let grant = self.grant_of(bot, &signed_up).await;
        let client = active_client(&grant, &signed_up, n);
        self.store.with(|tables| {
            tables.clients.insert(client.phone_number_id.clone(), client.clone());
            tables.grants.insert(grant.id.clone(), grant);
        });
        (client, signed_up)
    }

    /// The conversation of this client with a customer of this phone number, who wrote just now. Makes the steps of
    /// finding out who it is and of the touch.
    ///
    /// # Panics
    /// If a fault was planned for those steps, or the phone number is none.
    pub async fn conversation_with(&self, client: &Client, phone: &str) -> ConversationId {
        let customer = CustomerNames { wa_id: phone.parse().ok(), ..CustomerNames::default() };
        let key = self.store.resolve_customer(&client.phone_number_id, &customer).await;
        let key = key.expect("no fault is planned for preparing a test");
        let id = ConversationId::new(&client.phone_number_id, &key);
        let (bot_id, at, by) = (client.bot_id.clone(), self.clock.now(), TouchedBy::Customer);
        let touch = ConversationTouch { id: id.clone(), bot_id, customer, at, by };
        let touched = self.store.touch_conversation(&touch).await;
        touched.expect("no fault is planned for preparing a test");
        id
    }

    async fn grant_of(&self, bot: &BotId, signed_up: &SignedUp) -> Grant {
        use crate::ports::Seal;
        let id = GrantId::new(bot, &signed_up.business_id);
        let sealed = self.seal.seal(signed_up.token.expose(), SealContext::GrantToken(&id)).await;
        Grant {
            bot_id: bot.clone(),
            business_id: signed_up.business_id.clone(),
            token: Some(sealed.expect("no fault is planned for preparing a test")),
            token_version: 1,
            dead_since: None,
            token_expires_at: None,
            previous: None,
            care_at: Some(self.clock.now()),
            care: Care::default(),
            scopes: Vec::new(),
            waba_ids: vec![signed_up.waba_id.clone()],
            allocation_id: None,
            currency: None,
            created_at: self.clock.now(),
            updated_at: self.clock.now(),
            id,
        }
    }
}

fn active_client(grant: &Grant, signed_up: &SignedUp, n: u32) -> Client {
    Client {
        phone_number_id: signed_up.phone_number_id.clone(),
        bot_id: grant.bot_id.clone(),
        grant_id: grant.id.clone(),
        waba_id: signed_up.waba_id.clone(),
        business_id: signed_up.business_id.clone(),
        client_name: Some(format!("Client {n}")),
        display_phone_number: None,
        verified_name: None,
        quality_rating: None,
        stage: ClientStatus::Active,
        account: Account::default(),
        signed_up_at: grant.created_at,
        on_biz_app: false,
        throughput: None,
        pause: None,
        reconnect_since: None,
        onboarding_id: format!("ob_prepared-{n}").parse().expect("an onboarding's id"),
        sealed_pin: None,
        credit_shared: None,
        onboarded_at: Some(grant.created_at),
        last_message_at: None,
        last_webhook_at: None,
        check: None,
        created_at: grant.created_at,
        updated_at: grant.created_at,
    }
}

/// A clock that only a test moves. It begins at 2026-11-21T12:00:00Z.
#[derive(Debug)]
pub struct FixedClock {
    now: Mutex<Timestamp>,
    /// What [`Self::advance`] let pass: setting the clock does not change it.
    passed: Mutex<Duration>,
}

impl Default for FixedClock {
    fn default() -> Self {
        let now = Mutex::new("2026-11-21T12:00:00Z".parse().expect("a time"));
        Self { now, passed: Mutex::default() }
    }
}

impl FixedClock {
    /// Sets it, forwards or backwards.
    pub fn set(&self, now: Timestamp) {
        *lock(&self.now) = now;
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        *lock(&self.now) += by;
        *lock(&self.passed) += by;
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        *lock(&self.now)
    }
}

impl Ticks for FixedClock {
    fn elapsed(&self) -> Duration {
        *lock(&self.passed)
    }
}

impl Ticks for World {
    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }
}

/// Randomness that is the same in every run: hashes of 0, 1, 2, …
#[derive(Debug, Default)]
pub struct CountingRandom(AtomicU64);

impl Random for CountingRandom {
    fn bytes(&self) -> [u8; 16] {
        let hash = Sha256::digest(self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        std::array::from_fn(|index| hash[index])
    }
}

//! Flows wired to the fake world, and webhooks as Meta sends them.

mod orders;
pub(crate) mod shop;

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::exchange::Exchange;
use super::ingest::{self, Ingest};
use super::media::{self, Fetching};
use super::offboard::Offboard;
use super::onboard::{self, Onboard, Partner};
use super::pace::Pace;
use super::reconcile::Reconcile;
use super::reply::{self, Reply};
use super::send::Sender;
use super::templates::Syncing;
use super::token_care::{self, TokenCare};
use super::tokens::Tokens;
use crate::domain::answer::Answer;
use crate::domain::ids::{BotId, MessageId, PhoneNumberId};
use crate::domain::message::Message;
use crate::domain::onboarding::{Claims, SignupEvent};
use crate::domain::parcel::{Content, Parcel};
use crate::ports::Clock;
use crate::testing::{
    CountingRandom, FakeGraph, FakeModel, FakeSeal, Fault, FixedClock, MemoryFiles, MemoryQueues,
    MemoryStore, MemoryVault, SentMessage, SignedUp, World,
};

pub(super) use orders::{Order, Told};

/// Longer than any claim or lease of the flows under test.
pub(super) const PAST_ALL_CLAIMS: Duration = Duration::from_secs(100);
/// Every way in which one outside call can go wrong.
pub(super) const FAULTS: [Fault; 4] =
    [Fault::CrashBefore, Fault::CrashAfter, Fault::FailBefore, Fault::FailAfter];
pub(super) const CUSTOMER: &str = "15550100123";
const CLAIM: Duration = Duration::from_secs(90);

pub(super) fn bot() -> BotId {
    "demo-bakery".parse().unwrap()
}

pub(super) type TestExchange<'a> = Exchange<'a, MemoryStore, FakeSeal, FakeGraph, FixedClock, CountingRandom>;
pub(super) type TestOnboard<'a> = Onboard<'a, MemoryStore, FakeSeal, FakeGraph, FixedClock, CountingRandom>;
pub(super) type TestIngest<'a> =
    Ingest<'a, MemoryStore, MemoryQueues, MemoryQueues, MemoryQueues, FixedClock>;
pub(super) type TestSender<'a> = Sender<'a, MemoryStore, FakeSeal, FakeGraph, FixedClock>;
pub(super) type TestSyncing<'a> = Syncing<'a, MemoryStore, FakeSeal, FakeGraph, FixedClock>;
pub(super) type TestFetching<'a> =
    Fetching<'a, MemoryStore, FakeSeal, FakeGraph, MemoryFiles, MemoryQueues, FixedClock>;
pub(super) type TestReply<'a> = Reply<
    'a,
    MemoryStore,
    FakeSeal,
    FakeGraph,
    MemoryFiles,
    MemoryQueues,
    FakeModel,
    FixedClock,
    CountingRandom,
>;

pub(super) fn exchange(world: &World) -> TestExchange<'_> {
    let parts: &crate::testing::Parts = world;
    Exchange {
        store: &parts.store,
        seal: &parts.seal,
        graph: &parts.graph,
        clock: &parts.clock,
        random: &parts.random,
    }
}

pub(super) fn settings(partner: Partner) -> onboard::Settings {
    onboard::Settings {
        partner,
        app_id: "1234567890".to_owned(),
        lease: CLAIM,
        retry: Duration::from_secs(60),
    }
}

pub(super) fn solution_partner() -> onboard::Settings {
    settings(Partner::Solution { currency: "USD".to_owned() })
}

pub(super) fn onboard<'a>(world: &'a World, settings: &'a onboard::Settings) -> TestOnboard<'a> {
    let parts: &crate::testing::Parts = world;
    Onboard {
        store: &parts.store,
        seal: &parts.seal,
        graph: &parts.graph,
        clock: &parts.clock,
        random: &parts.random,
        settings,
    }
}

pub(super) type TestOffboard<'a> = Offboard<'a, MemoryStore, FakeSeal, FakeGraph, FixedClock, CountingRandom>;

pub(super) fn offboard<'a>(world: &'a World, settings: &'a onboard::Settings) -> TestOffboard<'a> {
    let parts: &crate::testing::Parts = world;
    Offboard {
        store: &parts.store,
        seal: &parts.seal,
        graph: &parts.graph,
        clock: &parts.clock,
        random: &parts.random,
        settings,
    }
}

pub(super) type TestTokenCare<'a> = TokenCare<'a, MemoryStore, FakeSeal, FakeGraph, MemoryVault, FixedClock>;

/// Of a Solution Partner.
pub(super) fn token_settings() -> token_care::Settings {
    let partner = Some("5550000000001".parse().unwrap());
    token_care::Settings { app_id: "1234567890".to_owned(), partner }
}

pub(super) fn token_care<'a>(world: &'a World, settings: &'a token_care::Settings) -> TestTokenCare<'a> {
    let parts: &crate::testing::Parts = world;
    TokenCare {
        store: &parts.store,
        seal: &parts.seal,
        graph: &parts.graph,
        vault: &parts.vault,
        clock: &parts.clock,
        settings,
    }
}

pub(super) type TestReconcile<'a> =
    Reconcile<'a, MemoryStore, FakeSeal, FakeGraph, FixedClock, CountingRandom>;

pub(super) fn reconcile<'a>(
    world: &'a World,
    settings: &'a onboard::Settings,
    tokens: &'a Tokens,
) -> TestReconcile<'a> {
    let parts: &crate::testing::Parts = world;
    Reconcile {
        store: &parts.store,
        seal: &parts.seal,
        graph: &parts.graph,
        clock: &parts.clock,
        random: &parts.random,
        tokens,
        settings,
        version: "v26.0",
    }
}

/// What one process of ingest and reply remembers; a new one knows nothing.
#[derive(Default)]
pub(super) struct Process {
    memory: ingest::Memory,
    pub(super) tokens: Tokens,
    pace: Pace,
}

static INGEST: ingest::Settings = ingest::Settings { burst: Duration::from_secs(3), retention: None };
static MEDIA: media::Settings =
    media::Settings { claim: CLAIM, kept: Duration::from_secs(90 * 24 * 60 * 60) };
static REPLY: reply::Settings = reply::Settings { claim: CLAIM, retention: None };

impl Process {
    pub(super) fn ingest<'a>(&'a self, world: &'a World) -> TestIngest<'a> {
        let parts: &crate::testing::Parts = world;
        Ingest {
            store: &parts.store,
            inbound: &parts.queues,
            answers: &parts.queues,
            fetches: &parts.queues,
            clock: &parts.clock,
            settings: &INGEST,
            memory: &self.memory,
        }
    }

    pub(super) fn media<'a>(&'a self, world: &'a World) -> TestFetching<'a> {
        let parts: &crate::testing::Parts = world;
        Fetching {
            store: &parts.store,
            seal: &parts.seal,
            graph: &parts.graph,
            files: &parts.files,
            queue: &parts.queues,
            clock: &parts.clock,
            tokens: &self.tokens,
            settings: &MEDIA,
        }
    }

    pub(super) fn sender<'a>(&'a self, world: &'a World) -> TestSender<'a> {
        let parts: &crate::testing::Parts = world;
        Sender {
            store: &parts.store,
            seal: &parts.seal,
            graph: &parts.graph,
            clock: &parts.clock,
            tokens: &self.tokens,
            pace: &self.pace,
            claim: CLAIM,
        }
    }

    pub(super) fn templates<'a>(&'a self, world: &'a World) -> TestSyncing<'a> {
        let parts: &crate::testing::Parts = world;
        Syncing {
            store: &parts.store,
            seal: &parts.seal,
            graph: &parts.graph,
            clock: &parts.clock,
            tokens: &self.tokens,
        }
    }

    pub(super) fn reply<'a>(&'a self, world: &'a World) -> TestReply<'a> {
        let parts: &crate::testing::Parts = world;
        Reply {
            sender: self.sender(world),
            files: &parts.files,
            queue: &parts.queues,
            model: &parts.model,
            random: &parts.random,
            settings: &REPLY,
        }
    }
}

/// Lets time pass until the message's answer is due, as the queue does.
pub(super) fn until_due(world: &World, id: &MessageId) {
    let answer = world.store.with(|tables| tables.messages.get(id).and_then(|m| m.answer.clone()));
    if let Some(Answer::Pending { due_at, .. }) = answer
        && due_at > world.clock.now()
    {
        world.clock.set(due_at);
    }
}

/// A customer's text of this moment.
pub(super) fn text(world: &World, wamid: &str, body: &str) -> Value {
    json!({"from": CUSTOMER, "id": wamid, "timestamp": world.clock.now().as_second().to_string(),
           "type": "text", "text": {"body": body}})
}

/// Meta's status of a message that it took, as it brings our id back.
pub(super) fn status(world: &World, sent: &SentMessage, state: &str) -> Value {
    json!({"id": sent.wamid, "status": state, "timestamp": world.clock.now().as_second().to_string(),
           "recipient_id": CUSTOMER, "biz_opaque_callback_data": sent.message["biz_opaque_callback_data"]})
}

/// A webhook of field `messages` with the lists that `value` holds.
pub(super) fn webhook(phone: &PhoneNumberId, mut value: Value) -> String {
    value["messaging_product"] = "whatsapp".into();
    value["metadata"] = json!({"display_phone_number": "15550100199", "phone_number_id": phone});
    json!({"object": "whatsapp_business_account",
           "entry": [{"id": "228800000000002", "changes": [{"field": "messages", "value": value}]}]})
    .to_string()
}

pub(super) fn parcel(world: &World, body: impl Into<String>) -> Parcel {
    Parcel { content: Content::Body(body.into()), received_at: world.clock.now(), silent: false }
}

/// The record of a message.
pub(super) fn message(world: &World, id: &str) -> Message {
    let id: MessageId = id.parse().unwrap();
    world.store.with(|tables| tables.messages.get(&id).cloned()).expect("the message is recorded")
}

/// The text of a message that Meta took.
pub(super) fn text_sent(sent: &SentMessage) -> &str {
    sent.message["text"]["body"].as_str().unwrap_or_default()
}

/// What the page knows of a finished signup.
pub(super) fn claims(it: &SignedUp) -> Claims {
    Claims {
        waba_id: Some(it.waba_id.clone()),
        phone_number_id: Some(it.phone_number_id.clone()),
        event: Some(SignupEvent::Finish),
        ..Claims::default()
    }
}

/// The header that Meta signs a body with.
pub(super) fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

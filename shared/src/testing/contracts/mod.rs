//! What each port promises, as a test: one function per group of ports.
//!
//! Each takes `unique`, a text that no run used before. It becomes part of every id, so that a contract
//! runs beside other data and other runs, on real tables too. A broken promise panics.
//!
//! # Panics
//! Every function here does, where a promise is broken or a service fails.

mod accounts;
mod answers;
mod clients;
mod conversations;
mod erase;
mod events;
mod grants;
mod idempotency;
mod media;
mod messages;
mod onboardings;
mod queues;
mod rates;
mod recovery;
mod seal;
mod sends;
mod subscriptions;
mod templates;
mod vault;

pub use accounts::{accounts, offboardings};
pub use answers::answers;
pub use clients::{bots, check_rounds, checks, clients, spending};
pub use conversations::{
    conversation_claims, conversation_lists, conversation_pauses, conversations, customers, recipient_marks,
};
pub use erase::erasing;
pub use events::{blobs, events, quarantine};
pub use grants::{due_care, grants};
pub use idempotency::idempotency;
pub use media::{due_media, fetches, files, media, upload_links};
pub use messages::{incoming_messages, message_lists, messages_out_of_a_history};
pub use onboardings::{business_leases, due_onboardings, onboardings};
pub use queues::{inbound, nudges};
pub use rates::rates;
pub use recovery::{dead_letters, emptying_quarantine, event_lists, sending_back};
pub use seal::{seal_contexts, seal_integrity};
pub use sends::{sends, statuses, unresolved_sends};
pub use subscriptions::{deliveries, jobs, subscriptions};
pub use templates::{template_syncs, templates};
pub use vault::system_tokens;

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::domain::Timestamp;
use crate::domain::answer::{Asked, Why};
use crate::domain::conversation::{CustomerKey, CustomerNames};
use crate::domain::ids::{BotId, BusinessId, ConversationId, MessageId, OnboardingId, PhoneNumberId, WabaId};
use crate::domain::message::{Message, Origin, Sending};
use crate::domain::money::Usd;
use crate::domain::raw::Raw;
use crate::domain::status::Statuses;
use crate::error::Chain;

/// `seconds` after a time so late that no table's expiry deletes what a contract wrote.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(2_840_000_040 + seconds).expect("within jiff's years")
}

/// So early that nothing else is due longer.
fn early(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("within jiff's years")
}

/// A result that a contract counts on.
trait Must<T> {
    fn must(self) -> T;
}

impl<T, E: std::error::Error> Must<T> for Result<T, E> {
    #[track_caller]
    fn must(self) -> T {
        self.unwrap_or_else(|e| panic!("{}", Chain(&e)))
    }
}

/// Asks until the answer is as wanted: for reads that may be of a moment ago. The bound only keeps a
/// broken promise from hanging; on a consistent store the first answer counts.
async fn eventually<T: std::fmt::Debug>(
    what: &str,
    mut ask: impl AsyncFnMut() -> T,
    wanted: impl Fn(&T) -> bool,
) -> T {
    let mut last = ask().await;
    for _ in 0..100 {
        if wanted(&last) {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        last = ask().await;
    }
    panic!("{what}: {last:?}")
}

/// Ids that no other contract or run uses.
struct Ids {
    digits: String,
    hash: String,
}

impl Ids {
    fn new(contract: &str, unique: &str) -> Self {
        let hash = Sha256::digest(format!("{contract}/{unique}"));
        let digits = hash[..8].iter().map(|byte| format!("{byte:03}")).collect();
        Self { digits, hash: hex::encode(hash)[..24].to_owned() }
    }

    /// Digits, sorted by `n`.
    fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(&self, n: u32) -> T {
        format!("1{}{n:04}", self.digits).parse().expect("digits are an id of Meta's")
    }

    fn phone(&self, n: u32) -> PhoneNumberId {
        self.number(n)
    }

    fn waba(&self, n: u32) -> WabaId {
        self.number(n)
    }

    fn business(&self, n: u32) -> BusinessId {
        self.number(n)
    }

    fn bot(&self, n: u32) -> BotId {
        format!("contract-{}-{n}", self.hash).parse().expect("a bot's id")
    }

    fn onboarding(&self, n: u32) -> OnboardingId {
        format!("ob_{}-{n:04}", self.hash).parse().expect("an onboarding's id")
    }

    fn wamid<T: std::str::FromStr<Err: std::fmt::Debug>>(&self, n: u32) -> T {
        format!("wamid.{}{n:04}", self.hash).parse().expect("a wamid")
    }

    fn intent(&self, n: u32) -> MessageId {
        format!("msg_{}{n:08x}", self.hash).parse().expect("an intent's id")
    }

    fn text(&self, n: u32) -> String {
        format!("{}-{n}", self.hash)
    }

    /// A customer with both names.
    fn customer(&self, n: u32) -> CustomerNames {
        CustomerNames {
            wa_id: Some(format!("1555{:.8}{n:04}", self.digits).parse().expect("a phone number")),
            bsuid: Some(format!("US.{}{n}", self.hash).parse().expect("a BSUID")),
            parent_bsuid: Some(format!("US.ENT.{}{n}", self.hash).parse().expect("a BSUID")),
            username: Some(format!("user.{n}")),
            name: Some(format!("Customer {n}")),
        }
    }

    fn conversation(&self, n: u32) -> ConversationId {
        ConversationId::new(&self.phone(n), &key(&self.customer(n)))
    }

    /// A message that a customer wrote.
    fn incoming(&self, n: u32, at: Timestamp) -> Message {
        Message {
            id: self.wamid(n),
            wamid: Some(self.wamid(n)),
            origin: Origin::Customer,
            bot_id: Some(self.bot(0)),
            phone_number_id: self.phone(0),
            conversation_id: self.conversation(0),
            customer: self.customer(0),
            kind: "text".to_owned(),
            at,
            recorded_at: at,
            raw: Raw::Plain(format!("{{\"n\":{n}}}")),
            reply_to: None,
            answer: None,
            sending: None,
            why: None,
            statuses: Statuses::default(),
            expires_at: Some(self::at(1_000_000)),
        }
    }

    /// A message that we are about to send.
    fn outgoing(&self, n: u32, until: Timestamp) -> Message {
        Message {
            id: self.intent(n),
            wamid: None,
            origin: Origin::Api,
            reply_to: Some(self.wamid(0)),
            why: Some(why(n)),
            sending: Some(Sending::Intended { until }),
            ..self.incoming(n, at(0))
        }
    }
}

/// Each reason for a message of the bot's.
fn why(n: u32) -> Why {
    let asked = |completion_tokens, cost_usd| Asked {
        name: "m1".to_owned(),
        prompt_tokens: Some(7),
        completion_tokens,
        cost_usd,
        ms: u64::from(n),
    };
    match n % 5 {
        0 => Why::Rule(n as usize),
        1 => Why::Away {},
        2 => Why::HandOver { paused_until: at(600), model: None },
        3 => Why::HandOver { paused_until: at(600), model: Some(asked(None, None)) },
        _ => Why::Model(asked(Some(2), Some(Usd::from_micros(1_000_000 * u64::from(n) + 7)))),
    }
}

fn key(names: &CustomerNames) -> CustomerKey {
    names.aliases().into_iter().next().expect("a customer has a name")
}

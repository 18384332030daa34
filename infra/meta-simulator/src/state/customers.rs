//! Customers' phones: who they are to each business and what their chats show.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::State;

/// Messages kept per phone; the oldest go first.
const CHAT_CAPACITY: usize = 2_000;

/// A person with WhatsApp.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Customer {
    pub(crate) name: String,
    /// Newest message to each phone number id, in simulated milliseconds: it opens the 24 h window.
    pub(crate) last_inbound_ms: BTreeMap<String, i64>,
    pub(crate) chat: Vec<ChatMessage>,
    /// Until when each phone number id shows the typing sign, in simulated milliseconds.
    #[serde(default)]
    pub(crate) typing: BTreeMap<String, i64>,
}

/// One message as the customer's phone shows it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ChatMessage {
    pub(crate) wamid: String,
    /// The customer's `wa_id` or the business's phone number id.
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) message: Value,
    pub(crate) at: String,
    /// When the business marked the customer's message as read.
    #[serde(default, rename = "readAt", skip_serializing_if = "Option::is_none")]
    pub(crate) read_at: Option<String>,
}

impl State {
    /// The customer, made on first sight with a name of its own.
    pub(crate) fn customer(&mut self, wa_id: &str) -> &mut Customer {
        self.customers
            .entry(wa_id.to_owned())
            .or_insert_with(|| Customer { name: default_name(wa_id), ..Customer::default() })
    }

    /// The customer's id within one portfolio, remembered so that it can be written to.
    pub(crate) fn bsuid(&mut self, wa_id: &str, business_id: &str) -> String {
        let bsuid = bsuid_of(wa_id, business_id);
        self.bsuids.entry(bsuid.clone()).or_insert_with(|| wa_id.to_owned());
        bsuid
    }

    /// The customer behind a BSUID, if this portfolio has met them. Another portfolio's BSUID is unknown.
    pub(crate) fn customer_by_bsuid(&self, bsuid: &str, business_id: &str) -> Option<String> {
        let wa_id = self.bsuids.get(bsuid)?;
        (bsuid_of(wa_id, business_id) == bsuid).then(|| wa_id.clone())
    }

    /// The customer who wrote this message to this number.
    pub(crate) fn writer(&mut self, wamid: &str, number_id: &str) -> Option<&mut Customer> {
        let wrote = |chat: &[ChatMessage]| chat.iter().any(|m| m.wamid == wamid && m.to == number_id);
        self.customers.values_mut().find(|customer| wrote(&customer.chat))
    }

    /// Whether the customer wrote to this number within the last 24 hours.
    pub(crate) fn window_is_open(&self, wa_id: &str, number_id: &str) -> bool {
        let last = self.customers.get(wa_id).and_then(|customer| customer.last_inbound_ms.get(number_id));
        last.is_some_and(|at| self.now_ms() - at < crate::clock::DAY_MS)
    }
}

impl Customer {
    /// Marks a message to this number as read, and those before it.
    pub(crate) fn mark_read(&mut self, wamid: &str, number_id: &str, at: &str) {
        let upto = self.chat.iter().position(|message| message.wamid == wamid).map_or(0, |index| index + 1);
        for message in self.chat[..upto].iter_mut().filter(|message| message.to == number_id) {
            message.read_at.get_or_insert_with(|| at.to_owned());
        }
    }

    /// Puts a message on the screen. One of a business ends its typing sign.
    pub(crate) fn show(&mut self, message: ChatMessage) {
        self.typing.remove(&message.from);
        if self.chat.len() >= CHAT_CAPACITY {
            self.chat.remove(0);
        }
        self.chat.push(message);
    }
}

/// `US.` and 24 digits, stable for a person and a portfolio: the form of business-scoped user ids.
fn bsuid_of(wa_id: &str, business_id: &str) -> String {
    let digest = Sha256::digest(format!("{business_id}/{wa_id}"));
    let digits: String = digest.iter().take(24).map(|byte| char::from(b'0' + byte % 10)).collect();
    format!("US.{digits}")
}

fn default_name(wa_id: &str) -> String {
    const NAMES: [&str; 8] = [
        "Amélie Moreau",
        "Noah Whitfield",
        "Yusra Qandil",
        "Jörg Lindner",
        "Priya Raman",
        "Mateo Salas",
        "Ottoline Brackett",
        "Zoë Okafor",
    ];
    let sum: usize = wa_id.bytes().map(usize::from).sum();
    NAMES[sum % NAMES.len()].to_owned()
}

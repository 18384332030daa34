//! A business with customers, of whom there is every kind of record.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{CUSTOMER, Process, bot, parcel, status, text, until_due, webhook};
use crate::domain::answer::Nudge;
use crate::domain::client::Client;
use crate::domain::conversation::{ConversationTouch, RecipientMark, TouchedBy};
use crate::domain::ids::ConversationId;
use crate::domain::raw::sha256;
use crate::ports::{Clock, MarkRecipients};
use crate::testing::{MetaFile, World};

pub(crate) const BSUID: &str = "US.ada";
pub(crate) const OTHER: &str = "15550100777";

/// A client with two customers who wrote, were answered, and of whom other webhooks told.
pub(crate) struct Shop {
    pub(crate) world: World,
    pub(crate) client: Client,
}

impl Shop {
    pub(crate) async fn new() -> Self {
        let world = World::new();
        let (client, _) = world.active_client(&bot(), 1).await;
        let shop = Self { world, client };
        let process = Process::default();
        for (phone, bsuid) in [(CUSTOMER, BSUID), (OTHER, "US.bob")] {
            shop.talks(&process, phone, bsuid).await;
        }
        shop
    }

    async fn talks(&self, process: &Process, phone: &str, bsuid: &str) {
        let world = &self.world;
        let question = format!("wamid.{}", STANDARD.encode(format!("..{phone}.Q")));
        let mut hello = text(world, &question, "Hello");
        hello["from"] = phone.into();
        hello["from_user_id"] = bsuid.into();
        let mut long = text(world, &format!("{question}L"), &noise(phone));
        long["from"] = phone.into();
        let media_id = if phone == OTHER { "880002" } else { "880001" };
        let mut picture = text(world, &format!("{question}P"), "");
        picture["from"] = phone.into();
        (picture["type"], picture["image"]) = ("image".into(), json!({"id": media_id}));
        let bytes = b"\xff\xd8\xff picture".to_vec();
        let file = MetaFile {
            phone_number_id: self.client.phone_number_id.clone(),
            mime_type: "image/jpeg".to_owned(),
            bytes,
            stale: 0,
        };
        world.graph.with(|meta| meta.files.insert(media_id.to_owned(), file));
        let at = world.clock.now().as_second();
        let info = |field: &str, value: Value| json!({"field": field, "value": value});
        let wish = json!({"user_preferences": [{"wa_id": phone, "category": "marketing_messages", "value": "stop",
            "timestamp": at}]});
        let event =
            json!({"automatic_events": [{"id": question, "event_name": "Purchase", "timestamp": at}]});
        let both = json!({"object": "whatsapp_business_account", "entry": [{"id": self.client.waba_id, "time": at,
            "changes": [info("user_preferences", wish), info("automatic_events", event)]}]});
        let ingest = process.ingest(world);
        let messages = webhook(&self.client.phone_number_id, json!({"messages": [picture, hello, long]}));
        ingest.parcel(&parcel(world, messages)).await.unwrap();
        ingest.parcel(&parcel(world, both.to_string())).await.unwrap();
        for fetch in world.queues.take_media() {
            process.media(world).fetch(&fetch).await.unwrap();
        }
        let nudge = Nudge { message_id: question.parse().unwrap() };
        until_due(world, &nudge.message_id);
        world.clock.advance(std::time::Duration::from_secs(60));
        process.reply(world).nudge(&nudge).await.unwrap();
        let sent = world.graph.sent().pop().unwrap();
        let told =
            webhook(&self.client.phone_number_id, json!({"statuses": [status(world, &sent, "delivered")]}));
        ingest.parcel(&parcel(world, told)).await.unwrap();
        let id = self.conversation(phone).unwrap();
        let names = self.world.store.with(|t| t.conversations[&id].customer.clone());
        let (at, by) = (world.clock.now(), TouchedBy::About);
        let contact = ConversationTouch { id, bot_id: bot(), customer: names, at, by };
        world.store.mark_recipient(&contact, RecipientMark::Unreachable).await.unwrap();
    }

    pub(crate) fn conversation(&self, phone: &str) -> Option<ConversationId> {
        let number = &self.client.phone_number_id;
        let alias = (number.clone(), phone.to_owned());
        self.world.store.with(|t| t.aliases.get(&alias).map(|key| ConversationId::new(number, key)))
    }
}

/// Text that needs parts of its own, another one for each customer.
fn noise(seed: &str) -> String {
    let mut block = sha256(seed.as_bytes());
    let mut text = String::new();
    while text.len() < 700 * 1024 {
        block = sha256(block.as_bytes());
        text.push_str(&block);
    }
    text
}

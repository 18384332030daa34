use super::MemoryStore;
use crate::domain::conversation::CustomerKey;
use crate::domain::ids::ConversationId;
use crate::domain::message::Message;
use crate::error::StoreError;
use crate::ports::{AccountEvent, EraseBlobs, EraseConversations, EraseEvents, EraseMessages, ErasePairs};

impl EraseMessages for MemoryStore {
    async fn erase_message(&self, message: &Message) -> Result<(), StoreError> {
        if let Some(wamid) = &message.wamid {
            self.run("erase_message (wamid)", |tables| tables.wamids.remove(wamid)).await?;
        }
        self.run("erase_message", |tables| tables.messages.remove(&message.id)).await.map(drop)
    }
}

impl EraseConversations for MemoryStore {
    async fn erase_conversation(&self, id: &ConversationId, names: &[CustomerKey]) -> Result<(), StoreError> {
        self.run("erase_conversation", |tables| {
            tables.conversations.remove(id);
            tables.conversation_claims.remove(id);
        })
        .await?;
        let phone = id.phone_number_id();
        for name in names {
            self.run("erase_conversation (name)", |tables| {
                let key = (phone.clone(), name.as_ref().to_owned());
                if tables.aliases.get(&key).is_some_and(|of| ConversationId::new(&phone, of) == *id) {
                    tables.aliases.remove(&key);
                }
            })
            .await?;
        }
        Ok(())
    }
}

impl ErasePairs for MemoryStore {
    async fn erase_pair(&self, pair: &ConversationId) -> Result<(), StoreError> {
        self.run("erase_pair", |tables| tables.pairs.remove(pair)).await.map(drop)
    }
}

impl EraseEvents for MemoryStore {
    async fn erase_event(&self, event: &AccountEvent) -> Result<(), StoreError> {
        self.run("erase_event", |tables| tables.events.retain(|_, known| known != event)).await
    }
}

impl EraseBlobs for MemoryStore {
    async fn erase_parts(&self, name: &str, count: u32) -> Result<(), StoreError> {
        self.run("erase_parts", |tables| {
            tables.blobs.retain(|(known, parts, _), _| known != name || *parts != count);
        })
        .await
    }
}

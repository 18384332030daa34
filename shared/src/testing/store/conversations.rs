use super::{Lease, MemoryStore, Tables, give_back};
use crate::domain::Timestamp;
use crate::domain::conversation::{
    Conversation, ConversationTouch, CustomerKey, CustomerNames, RecipientMark, RecipientMarks,
};
use crate::domain::ids::{ConversationId, PhoneNumberId};
use crate::domain::message::number_key;
use crate::error::StoreError;
use crate::ports::{
    ClaimConversations, ConversationClaim, ListConversations, MarkRecipients, NoteAway, Page,
    PauseConversations, ReadConversations, ResolveCustomers, SetPauses, TouchConversations,
};

impl ResolveCustomers for MemoryStore {
    async fn resolve_customer(
        &self,
        phone: &PhoneNumberId,
        names: &CustomerNames,
    ) -> Result<CustomerKey, StoreError> {
        self.run("resolve_customer", |tables| {
            let names = names.aliases();
            let known = names.iter().find_map(|name| alias(tables, phone, name));
            let key = known.or_else(|| names.first().cloned())?;
            for name in names {
                tables.aliases.entry(alias_key(phone, &name)).or_insert_with(|| key.clone());
            }
            Some(key)
        })
        .await?
        .ok_or_else(|| StoreError::corrupt("conversations", "a customer without a name"))
    }

    async fn find_customer(
        &self,
        phone: &PhoneNumberId,
        name: &CustomerKey,
    ) -> Result<Option<CustomerKey>, StoreError> {
        self.run("find_customer", |tables| alias(tables, phone, name)).await
    }

    async fn add_alias(
        &self,
        phone: &PhoneNumberId,
        old: &CustomerKey,
        new: &CustomerKey,
    ) -> Result<(), StoreError> {
        self.run("add_alias", |tables| {
            if let Some(key) = alias(tables, phone, old) {
                tables.aliases.entry(alias_key(phone, new)).or_insert(key);
            }
        })
        .await
    }
}

fn alias(tables: &Tables, phone: &PhoneNumberId, name: &CustomerKey) -> Option<CustomerKey> {
    tables.aliases.get(&alias_key(phone, name)).cloned()
}

fn alias_key(phone: &PhoneNumberId, name: &CustomerKey) -> (PhoneNumberId, String) {
    (phone.clone(), name.as_ref().to_owned())
}

impl TouchConversations for MemoryStore {
    async fn touch_conversation(&self, touch: &ConversationTouch) -> Result<(), StoreError> {
        self.run("touch_conversation", |tables| {
            let known =
                tables.conversations.entry(touch.id.clone()).or_insert_with(|| new_conversation(touch));
            known.take(touch);
        })
        .await
    }
}

fn new_conversation(touch: &ConversationTouch) -> Conversation {
    Conversation {
        id: touch.id.clone(),
        bot_id: touch.bot_id.clone(),
        phone_number_id: touch.id.phone_number_id(),
        customer: touch.customer.clone(),
        named_at: None,
        last_message_at: touch.at,
        window_ends_at: None,
        referred_at: None,
        free_until: None,
        paused_until: None,
        away_at: None,
        marks: RecipientMarks::default(),
    }
}

impl PauseConversations for MemoryStore {
    async fn pause_conversation(&self, id: &ConversationId, until: Timestamp) -> Result<(), StoreError> {
        self.run("pause_conversation", |tables| {
            if let Some(known) = tables.conversations.get_mut(id) {
                known.paused_until = known.paused_until.max(Some(until));
            }
        })
        .await
    }
}

impl SetPauses for MemoryStore {
    async fn set_pause(&self, id: &ConversationId, until: Option<Timestamp>) -> Result<bool, StoreError> {
        self.run("set_pause", |tables| {
            let known = tables.conversations.get_mut(id);
            known.map(|known| known.paused_until = until).is_some()
        })
        .await
    }
}

impl NoteAway for MemoryStore {
    async fn note_away(&self, id: &ConversationId, at: Timestamp) -> Result<(), StoreError> {
        self.run("note_away", |tables| {
            if let Some(known) = tables.conversations.get_mut(id) {
                known.away_at = known.away_at.max(Some(at));
            }
        })
        .await
    }
}

impl MarkRecipients for MemoryStore {
    async fn mark_recipient(
        &self,
        contact: &ConversationTouch,
        mark: RecipientMark,
    ) -> Result<(), StoreError> {
        self.run("mark_recipient", |tables| {
            let known = tables.conversations.entry(contact.id.clone());
            known.or_insert_with(|| new_conversation(contact)).marks.put(mark, contact.at);
        })
        .await
    }
}

impl ClaimConversations for MemoryStore {
    async fn claim_conversation(
        &self,
        id: &ConversationId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<ConversationClaim, StoreError> {
        self.run("claim_conversation", |tables| {
            let Some(known) = tables.conversations.get(id) else { return ConversationClaim::Unknown };
            if let Some(claim) = tables.conversation_claims.get(id).filter(|claim| claim.until > now) {
                return ConversationClaim::Busy(claim.until);
            }
            tables.conversation_claims.insert(id.clone(), Lease { owner: owner.to_owned(), until });
            ConversationClaim::Won(Box::new(known.clone()))
        })
        .await
    }

    async fn release_conversation(&self, id: &ConversationId, owner: &str) -> Result<(), StoreError> {
        self.run("release_conversation", |tables| give_back(&mut tables.conversation_claims, id, owner)).await
    }
}

impl ReadConversations for MemoryStore {
    async fn conversation(&self, id: &ConversationId) -> Result<Option<Conversation>, StoreError> {
        self.run("conversation", |tables| tables.conversations.get(id).cloned()).await
    }
}

impl ListConversations for MemoryStore {
    async fn list_conversations(
        &self,
        number: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Page<Conversation>, StoreError> {
        self.run("list_conversations", |tables| {
            let all = tables.conversations.values();
            let of_number = all.filter(|it| number_key(Some(&it.bot_id), &it.phone_number_id) == number);
            let mut items: Vec<Conversation> = of_number
                .filter(|it| before.is_none_or(|before| it.time_key().as_str() < before))
                .cloned()
                .collect();
            items.sort_by_key(|it| std::cmp::Reverse(it.time_key()));
            let more = items.len() > limit;
            items.truncate(limit);
            let next = items.last().filter(|_| more).map(Conversation::time_key);
            Page { items, next }
        })
        .await
    }

    async fn names_of(&self, id: &ConversationId) -> Result<Vec<CustomerKey>, StoreError> {
        self.run("names_of", |tables| {
            let leads = |(phone, _): &(PhoneNumberId, String), key: &CustomerKey| {
                ConversationId::new(phone, key) == *id
            };
            let names = tables.aliases.iter().filter(|(name, key)| leads(name, key));
            names.filter_map(|((_, name), _)| CustomerKey::try_from(name.clone()).ok()).collect()
        })
        .await
    }
}

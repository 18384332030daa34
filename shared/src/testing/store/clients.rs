use super::{MemoryStore, Tables};
use crate::domain::Timestamp;
use crate::domain::bot::Bot;
use crate::domain::client::{Client, ClientStatus};
use crate::domain::grant::Grant;
use crate::domain::ids::{BotId, GrantId, PhoneNumberId};
use crate::error::StoreError;
use crate::ports::{
    ClientClaim, ListClients, Page, ReadBots, ReadClients, ReadGrants, TouchClients, WriteClients,
    WriteGrants,
};

impl ReadBots for MemoryStore {
    async fn bot(&self, id: &BotId) -> Result<Bot, StoreError> {
        self.run("bot", |tables| Bot {
            id: id.clone(),
            settings: tables.bots.get(id).cloned().unwrap_or_default(),
        })
        .await
    }
}

impl ReadClients for MemoryStore {
    async fn client(&self, id: &PhoneNumberId) -> Result<Option<Client>, StoreError> {
        self.run("client", |tables| tables.clients.get(id).cloned()).await
    }
}

impl ListClients for MemoryStore {
    async fn clients_of(
        &self,
        bot: &BotId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Client>, StoreError> {
        let of_bot = |client: &Client| client.bot_id == *bot;
        self.query("clients_of", |index, records| {
            page(index.clients.values().filter(|c| of_bot(c)), records, after, limit)
        })
        .await
    }

    async fn all_clients(&self, after: Option<&str>, limit: usize) -> Result<Page<Client>, StoreError> {
        self.query("all_clients", |index, records| page(index.clients.values(), records, after, limit)).await
    }
}

fn page<'a>(
    listed: impl Iterator<Item = &'a Client>,
    records: &Tables,
    after: Option<&str>,
    limit: usize,
) -> Page<Client> {
    let mut rest = listed
        .map(|client| &client.phone_number_id)
        .filter(|id| after.is_none_or(|after| id.as_ref() > after));
    let ids: Vec<&PhoneNumberId> = rest.by_ref().take(limit).collect();
    let next = rest.next().and(ids.last()).map(ToString::to_string);
    let items = ids.into_iter().filter_map(|id| records.clients.get(id).cloned()).collect();
    Page { items, next }
}

impl WriteClients for MemoryStore {
    async fn claim_client(&self, wanted: &Client) -> Result<ClientClaim, StoreError> {
        self.run("claim_client", |tables| {
            let claimed = match tables.clients.get(&wanted.phone_number_id) {
                None => wanted.clone(),
                Some(known) if known.bot_id == wanted.bot_id => claimed_again(known, wanted),
                Some(known) if is_in_use(known) => return ClientClaim::InUse,
                Some(known) => taken_over(known, wanted),
            };
            tables.clients.insert(claimed.phone_number_id.clone(), claimed.clone());
            ClientClaim::Ours(Box::new(claimed))
        })
        .await
    }

    async fn save_client(&self, client: &Client) -> Result<bool, StoreError> {
        self.run("save_client", |tables| {
            let Some(known) = tables.clients.get_mut(&client.phone_number_id) else { return false };
            if known.onboarding_id != client.onboarding_id || known.bot_id != client.bot_id {
                return false;
            }
            let last_message_at = known.last_message_at;
            *known = Client { last_message_at, ..client.clone() };
            true
        })
        .await
    }
}

fn is_in_use(client: &Client) -> bool {
    matches!(client.status, ClientStatus::Active | ClientStatus::Suspended)
}

/// The same bot's record: as it was, but with the new ids and name.
fn claimed_again(known: &Client, wanted: &Client) -> Client {
    Client {
        grant_id: wanted.grant_id.clone(),
        waba_id: wanted.waba_id.clone(),
        business_id: wanted.business_id.clone(),
        client_name: wanted.client_name.clone(),
        onboarding_id: wanted.onboarding_id.clone(),
        updated_at: wanted.updated_at,
        ..known.clone()
    }
}

/// Another bot's abandoned record: the PIN belongs to the number, the rest to the bot that left.
fn taken_over(known: &Client, wanted: &Client) -> Client {
    Client { sealed_pin: known.sealed_pin.clone(), created_at: known.created_at, ..wanted.clone() }
}

impl TouchClients for MemoryStore {
    async fn touch_client(&self, id: &PhoneNumberId, at: Timestamp) -> Result<(), StoreError> {
        self.run("touch_client", |tables| {
            if let Some(client) = tables.clients.get_mut(id) {
                client.last_message_at = client.last_message_at.max(Some(at));
            }
        })
        .await
    }
}

impl ReadGrants for MemoryStore {
    async fn grant(&self, id: &GrantId) -> Result<Option<Grant>, StoreError> {
        self.run("grant", |tables| tables.grants.get(id).cloned()).await
    }
}

impl WriteGrants for MemoryStore {
    async fn save_grant(&self, grant: &Grant, expected: Option<u64>) -> Result<bool, StoreError> {
        self.run("save_grant", |tables| {
            let stored = tables.grants.get(&grant.id).map(|known| known.token_version);
            if stored == expected {
                tables.grants.insert(grant.id.clone(), grant.clone());
            }
            stored == expected
        })
        .await
    }
}

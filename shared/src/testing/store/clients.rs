use super::{MemoryStore, Tables};
use crate::domain::Timestamp;
use crate::domain::account::Noted;
use crate::domain::bot::{Bot, BotSettings};
use crate::domain::client::{Client, ClientStatus, Pause};
use crate::domain::drift::{Check, Round};
use crate::domain::grant::Grant;
use crate::domain::ids::{AllocationId, BotId, BusinessId, GrantId, OnboardingId, PhoneNumberId, WabaId};
use crate::domain::money::{Month, Usd};
use crate::error::StoreError;
use crate::ports::{
    AddSpending, CareGrants, CheckRounds, ClientClaim, LeaveClients, ListClients, MarkClients, MarkGrants,
    NoteAccounts, NoteChecks, Page, ReadBots, ReadClients, ReadGrants, ReadSpending, SavedBot, TouchClients,
    WriteBots, WriteClients, WriteGrants,
};

impl ReadBots for MemoryStore {
    async fn bot(&self, id: &BotId) -> Result<Bot, StoreError> {
        self.run("bot", |tables| Bot {
            id: id.clone(),
            version: tables.bot_versions.get(id).copied().unwrap_or(0),
            settings: tables.bots.get(id).cloned().unwrap_or_default(),
        })
        .await
    }
}

impl WriteBots for MemoryStore {
    async fn save_bot(
        &self,
        id: &BotId,
        settings: &BotSettings,
        expected: Option<u64>,
    ) -> Result<SavedBot, StoreError> {
        self.run("save_bot", |tables| {
            let version = tables.bot_versions.get(id).copied().unwrap_or(0);
            if expected.is_some_and(|known| known != version) {
                let is_again = expected.is_some_and(|known| known + 1 == version)
                    && tables.bots.get(id) == Some(settings);
                return if is_again { SavedBot::Saved(version) } else { SavedBot::Changed(version) };
            }
            tables.bots.insert(id.clone(), settings.clone());
            tables.bot_versions.insert(id.clone(), version + 1);
            SavedBot::Saved(version + 1)
        })
        .await
    }
}

impl ReadSpending for MemoryStore {
    async fn spent(&self, bot: &BotId, month: &Month) -> Result<Usd, StoreError> {
        self.run("spent", |tables| tables.spent(bot, month)).await
    }
}

impl AddSpending for MemoryStore {
    async fn add_spending(&self, bot: &BotId, month: &Month, cost: Usd) -> Result<Usd, StoreError> {
        self.run("add_spending", |tables| {
            let sum = Usd::from_micros(tables.spent(bot, month).micros() + cost.micros());
            tables.spending.insert((bot.clone(), month.clone()), sum);
            sum
        })
        .await
    }
}

impl Tables {
    fn spent(&self, bot: &BotId, month: &Month) -> Usd {
        self.spending.get(&(bot.clone(), month.clone())).copied().unwrap_or_default()
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
            let (last_message_at, last_webhook_at) = (known.last_message_at, known.last_webhook_at);
            let (pause, check) = (known.pause, known.check.take());
            let account = std::mem::take(&mut known.account);
            *known = Client { last_message_at, last_webhook_at, pause, check, account, ..client.clone() };
            true
        })
        .await
    }
}

fn is_in_use(client: &Client) -> bool {
    matches!(client.status(), ClientStatus::Active | ClientStatus::Suspended)
}

/// The same bot's record: as it was, but with the new ids and name. One that had left begins anew.
fn claimed_again(known: &Client, wanted: &Client) -> Client {
    let has_returned = known.is_removed() && known.onboarding_id != wanted.onboarding_id;
    Client {
        grant_id: wanted.grant_id.clone(),
        waba_id: wanted.waba_id.clone(),
        business_id: wanted.business_id.clone(),
        client_name: wanted.client_name.clone(),
        onboarding_id: wanted.onboarding_id.clone(),
        signed_up_at: wanted.signed_up_at,
        stage: if has_returned { wanted.stage } else { known.stage },
        updated_at: wanted.updated_at,
        ..known.clone()
    }
}

/// Another bot's abandoned record: the PIN belongs to the number, the rest to the bot that left.
fn taken_over(known: &Client, wanted: &Client) -> Client {
    Client {
        sealed_pin: known.sealed_pin.clone(),
        created_at: known.created_at,
        account: known.account.clone(),
        ..wanted.clone()
    }
}

impl TouchClients for MemoryStore {
    async fn touch_client(
        &self,
        id: &PhoneNumberId,
        at: Option<Timestamp>,
        heard_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.run("touch_client", |tables| {
            let Some(client) = tables.clients.get_mut(id) else { return };
            let is_news = match at {
                Some(_) => client.last_message_at < at,
                None => client.last_webhook_at < Some(heard_at),
            };
            if is_news {
                client.last_message_at = at.or(client.last_message_at);
                client.last_webhook_at = Some(heard_at);
            }
        })
        .await
    }
}

impl NoteChecks for MemoryStore {
    async fn note_check(&self, id: &PhoneNumberId, check: &Check) -> Result<(), StoreError> {
        self.run("note_check", |tables| {
            let Some(client) = tables.clients.get_mut(id) else { return };
            if client.check.as_ref().is_none_or(|known| known.at < check.at) {
                client.check = Some(check.clone());
            }
        })
        .await
    }
}

impl CheckRounds for MemoryStore {
    async fn check_round(&self) -> Result<Round, StoreError> {
        let none = || Round { due_at: Timestamp::UNIX_EPOCH, after: None, version: 0 };
        self.run("check_round", |tables| tables.check_round.clone().unwrap_or_else(none)).await
    }

    async fn save_check_round(&self, round: &Round) -> Result<bool, StoreError> {
        self.run("save_check_round", |tables| {
            let known = tables.check_round.as_ref().map_or(0, |known| known.version);
            let is_next = round.version == known + 1;
            if is_next {
                tables.check_round = Some(round.clone());
            }
            is_next
        })
        .await
    }
}

impl MarkClients for MemoryStore {
    async fn change_pause(
        &self,
        id: &PhoneNumberId,
        known: Option<&Pause>,
        pause: Option<&Pause>,
    ) -> Result<bool, StoreError> {
        self.run("change_pause", |tables| {
            let same =
                |stored: &Pause, known: &Pause| (stored.reason, stored.until) == (known.reason, known.until);
            let Some(client) = tables.clients.get_mut(id) else { return false };
            let unchanged = match (&client.pause, known) {
                (None, None) => true,
                (Some(stored), Some(known)) => same(stored, known),
                _ => false,
            };
            if unchanged {
                client.pause = pause.copied();
            }
            unchanged
        })
        .await
    }

    async fn set_reconnect(&self, id: &PhoneNumberId, since: Option<Timestamp>) -> Result<(), StoreError> {
        self.run("set_reconnect", |tables| {
            if let Some(client) = tables.clients.get_mut(id) {
                client.reconnect_since = since;
            }
        })
        .await
    }
}

impl NoteAccounts for MemoryStore {
    async fn clients_on(&self, waba: &WabaId) -> Result<Vec<Client>, StoreError> {
        self.run("clients_on", |tables| {
            tables.clients.values().filter(|client| client.waba_id == *waba).cloned().collect()
        })
        .await
    }

    async fn note_account(
        &self,
        id: &PhoneNumberId,
        noted: &Noted,
        now: Timestamp,
    ) -> Result<Option<Client>, StoreError> {
        self.run("note_account", |tables| {
            let client = tables.clients.get_mut(id)?;
            if client.account.note(noted.clone()) {
                client.updated_at = now;
            }
            Some(client.clone())
        })
        .await
    }
}

impl LeaveClients for MemoryStore {
    async fn clients_of_business(&self, business: &BusinessId) -> Result<Vec<Client>, StoreError> {
        self.run("clients_of_business", |tables| {
            tables.clients.values().filter(|client| client.business_id == *business).cloned().collect()
        })
        .await
    }

    async fn forget_pin(
        &self,
        id: &PhoneNumberId,
        onboarding: &OnboardingId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.run("forget_pin", |tables| {
            let ours = tables.clients.get_mut(id).filter(|client| client.onboarding_id == *onboarding);
            if let Some(client) = ours.filter(|client| client.sealed_pin.is_some()) {
                client.sealed_pin = None;
                client.updated_at = now;
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

impl MarkGrants for MemoryStore {
    async fn mark_dead(&self, id: &GrantId, version: u64, at: Timestamp) -> Result<bool, StoreError> {
        self.run("mark_dead", |tables| match tables.grants.get_mut(id) {
            Some(grant) if grant.token_version == version => {
                grant.dead_since = grant.dead_since.or(Some(at));
                true
            }
            _ => false,
        })
        .await
    }

    async fn hasten_care(&self, id: &GrantId, version: u64, at: Timestamp) -> Result<bool, StoreError> {
        self.run("hasten_care", |tables| {
            let is_later = |it: &&mut Grant| it.token_version == version && it.care_at > Some(at);
            let Some(grant) = tables.grants.get_mut(id).filter(is_later) else { return false };
            grant.care_at = Some(at);
            true
        })
        .await
    }

    async fn note_allocation(
        &self,
        id: &GrantId,
        allocation: &AllocationId,
        currency: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.run("note_allocation", |tables| {
            let Some(grant) = tables.grants.get_mut(id) else { return false };
            grant.allocation_id = Some(allocation.clone());
            grant.currency = Some(currency.to_owned());
            grant.updated_at = at;
            true
        })
        .await
    }
}

impl CareGrants for MemoryStore {
    async fn due_care(&self, now: Timestamp, limit: usize) -> Result<Vec<GrantId>, StoreError> {
        self.query("due_care", |index, _| {
            let due =
                index.grants.values().filter_map(|it| Some((it.care_at.filter(|at| *at <= now)?, &it.id)));
            let mut due: Vec<_> = due.collect();
            due.sort();
            due.into_iter().take(limit).map(|(_, id)| id.clone()).collect()
        })
        .await
    }

    async fn claim_care(
        &self,
        id: &GrantId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Grant>, StoreError> {
        self.run("claim_care", |tables| {
            let grant = tables.grants.get_mut(id).filter(|it| it.care_at.is_some_and(|at| at <= now))?;
            grant.care_at = Some(until);
            Some(grant.clone())
        })
        .await
    }

    async fn save_care(&self, grant: &Grant, version: u64, claim: Timestamp) -> Result<bool, StoreError> {
        self.run("save_care", |tables| {
            let is_ours = |it: &&mut Grant| it.token_version == version && it.care_at == Some(claim);
            let Some(stored) = tables.grants.get_mut(&grant.id).filter(is_ours) else { return false };
            let is_new = grant.token_version != version;
            *stored = Grant {
                allocation_id: stored.allocation_id.clone(),
                currency: stored.currency.clone(),
                dead_since: stored.dead_since.filter(|_| !is_new),
                ..grant.clone()
            };
            true
        })
        .await
    }
}

//! Clients: business phone numbers.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::expression::Expression;
use super::table::{Item, Range, Table, Write};
use super::values::{Millis, millis, n, nested, number, record, s, text, time, with_nulls};
use super::{Client as Dynamo, Stored};
use crate::domain::Timestamp;
use crate::domain::account::{Account, Noted};
use crate::domain::client::{Client, ClientStatus, Pause, PauseReason};
use crate::domain::drift::{Check, Round};
use crate::domain::ids::{BotId, BusinessId, GrantId, OnboardingId, PhoneNumberId, WabaId};
use crate::domain::seal::Sealed;
use crate::error::StoreError;
use crate::ports::{
    CheckRounds, ClientClaim, LeaveClients, ListClients, MarkClients, NoteAccounts, NoteChecks, Page,
    ReadClients, TouchClients, WriteClients,
};

/// The key of the index that lists all clients.
const LIST_KEY: &str = "clients";
/// What others write beside an onboarding.
const KEPT_BY_SAVES: [&str; 7] =
    ["phoneNumberId", "lastMessageAt", "lastWebhookAt", "check", "pauseReason", "pauseSince", "pauseUntil"];
/// The key of the item that says where the walk through all clients stands. No phone number id looks like it, and
/// without a `listKey` no index holds it.
const ROUND: (&str, &str) = ("phoneNumberId", "round#check");
/// How often a claim looks again at a record that changes hands under it.
const CLAIM_TRIES: usize = 3;
/// What events told stands beside the record, in one attribute for each aspect, because each is written
/// alone: `account#ban`.
const ASPECT: &str = "account#";

/// The table `clients`: one item per business phone number.
#[derive(Debug, Clone)]
pub struct Clients(Table);

impl Clients {
    /// The table of this name.
    #[must_use]
    pub fn new(client: &Dynamo, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    phone_number_id: PhoneNumberId,
    list_key: String,
    bot_id: BotId,
    grant_id: GrantId,
    waba_id: WabaId,
    business_id: BusinessId,
    client_name: Option<String>,
    display_phone_number: Option<String>,
    verified_name: Option<String>,
    quality_rating: Option<String>,
    /// The stage. The status results from it and from the aspects.
    status: ClientStatus,
    /// Absent in records from before it was kept.
    signed_up_at: Option<Millis>,
    on_biz_app: bool,
    throughput: Option<u32>,
    pause_reason: Option<PauseReason>,
    pause_since: Option<Millis>,
    pause_until: Option<Millis>,
    reconnect_since: Option<Millis>,
    onboarding_id: OnboardingId,
    sealed_pin: Option<Sealed>,
    credit_shared: Option<bool>,
    onboarded_at: Option<Millis>,
    last_message_at: Option<Millis>,
    last_webhook_at: Option<Millis>,
    check: Option<Check>,
    created_at: Millis,
    updated_at: Millis,
}

impl From<&Client> for Record {
    fn from(client: &Client) -> Self {
        Self {
            phone_number_id: client.phone_number_id.clone(),
            list_key: LIST_KEY.to_owned(),
            bot_id: client.bot_id.clone(),
            grant_id: client.grant_id.clone(),
            waba_id: client.waba_id.clone(),
            business_id: client.business_id.clone(),
            client_name: client.client_name.clone(),
            display_phone_number: client.display_phone_number.clone(),
            verified_name: client.verified_name.clone(),
            quality_rating: client.quality_rating.clone(),
            status: client.stage,
            signed_up_at: Some(Millis(client.signed_up_at)),
            on_biz_app: client.on_biz_app,
            throughput: client.throughput,
            pause_reason: client.pause.map(|pause| pause.reason),
            pause_since: client.pause.map(|pause| Millis(pause.since)),
            pause_until: client.pause.map(|pause| Millis(pause.until)),
            reconnect_since: client.reconnect_since.map(Millis),
            onboarding_id: client.onboarding_id.clone(),
            sealed_pin: client.sealed_pin.clone(),
            credit_shared: client.credit_shared,
            onboarded_at: client.onboarded_at.map(Millis),
            last_message_at: client.last_message_at.map(Millis),
            last_webhook_at: client.last_webhook_at.map(Millis),
            check: client.check.clone(),
            created_at: Millis(client.created_at),
            updated_at: Millis(client.updated_at),
        }
    }
}

impl Record {
    fn into_client(self, account: Account) -> Client {
        let record = self;
        Client {
            phone_number_id: record.phone_number_id,
            bot_id: record.bot_id,
            grant_id: record.grant_id,
            waba_id: record.waba_id,
            business_id: record.business_id,
            client_name: record.client_name,
            display_phone_number: record.display_phone_number,
            verified_name: record.verified_name,
            quality_rating: record.quality_rating,
            stage: record.status,
            account,
            signed_up_at: record.signed_up_at.unwrap_or(record.created_at).0,
            on_biz_app: record.on_biz_app,
            throughput: record.throughput,
            pause: pause(record.pause_reason, record.pause_since, record.pause_until),
            reconnect_since: record.reconnect_since.map(|t| t.0),
            onboarding_id: record.onboarding_id,
            sealed_pin: record.sealed_pin,
            credit_shared: record.credit_shared,
            onboarded_at: record.onboarded_at.map(|t| t.0),
            last_message_at: record.last_message_at.map(|t| t.0),
            last_webhook_at: record.last_webhook_at.map(|t| t.0),
            check: record.check,
            created_at: record.created_at.0,
            updated_at: record.updated_at.0,
        }
    }
}

/// The three are written together.
fn pause(reason: Option<PauseReason>, since: Option<Millis>, until: Option<Millis>) -> Option<Pause> {
    Some(Pause { reason: reason?, since: since?.0, until: until?.0 })
}

pub(super) fn client(mut item: Item) -> Stored<Client> {
    let aspects: Vec<String> = item.keys().filter(|name| name.starts_with(ASPECT)).cloned().collect();
    let noted =
        aspects.iter().filter_map(|name| item.remove(name)).map(noted).collect::<Stored<Account>>()?;
    // One that a later version found may name what is unknown here. The next look replaces it.
    let check = item
        .remove("check")
        .and_then(|check| serde_dynamo::aws_sdk_dynamodb_1::from_attribute_value(check).ok());
    Ok(Client { check, ..record::<Record>("clients", item)?.into_client(noted) })
}

/// An aspect as it is stored: ordered by one text, so that one condition tells whether an event is news.
#[derive(Serialize, Deserialize)]
struct Aspect {
    order: String,
    noted: Noted,
}

fn noted(value: AttributeValue) -> Stored<Noted> {
    let aspect: Aspect = serde_dynamo::aws_sdk_dynamodb_1::from_attribute_value(value)
        .map_err(|e| StoreError::corrupt("clients", e))?;
    Ok(aspect.noted)
}

impl ReadClients for Clients {
    async fn client(&self, id: &PhoneNumberId) -> Stored<Option<Client>> {
        let item = self.0.get("dynamodb GetItem on clients", ("phoneNumberId", id.as_ref())).await?;
        item.map(client).transpose()
    }
}

impl Clients {
    /// One more than wanted is asked for: whether there is a next page is then known.
    async fn page(&self, mut range: Range<'_>, after: Option<&str>, limit: usize) -> Stored<Page<Client>> {
        // Every phone number id is greater than a blank, and DynamoDB takes no empty key.
        range.values.push(("after", s(after.filter(|after| !after.is_empty()).unwrap_or(" "))));
        range.limit = Some(limit.saturating_add(1));
        let keys = self.0.query("dynamodb Query on clients", range).await?;
        let mut ids: Vec<String> =
            keys.iter().filter_map(|key| text(key, "phoneNumberId")).map(str::to_owned).collect();
        let more = ids.len() > limit;
        ids.truncate(limit);
        let items = self.0.get_all("dynamodb BatchGetItem on clients", "phoneNumberId", &ids).await?;
        let items = items.into_iter().map(client).collect::<Stored<_>>()?;
        Ok(Page { items, next: ids.pop().filter(|_| more) })
    }

    /// All clients under one key of an index.
    async fn all_of(&self, mut range: Range<'_>, key: &'static str, value: &str) -> Stored<Vec<Client>> {
        range.values.push((key, s(value)));
        let keys = self.0.query("dynamodb Query on clients", range).await?;
        let ids: Vec<String> =
            keys.iter().filter_map(|key| text(key, "phoneNumberId")).map(str::to_owned).collect();
        let items = self.0.get_all("dynamodb BatchGetItem on clients", "phoneNumberId", &ids).await?;
        items.into_iter().map(client).collect()
    }
}

const fn by_id(index: &'static str, condition: &'static str) -> Range<'static> {
    Range {
        index: Some(index),
        condition,
        values: Vec::new(),
        attributes: &[],
        ascending: true,
        consistent: false,
        limit: None,
    }
}

impl ListClients for Clients {
    async fn clients_of(&self, bot: &BotId, after: Option<&str>, limit: usize) -> Stored<Page<Client>> {
        let mut range = by_id("byBot", "#botId = :botId AND #phoneNumberId > :after");
        range.values.push(("botId", s(bot.as_ref())));
        let mut page = self.page(range, after, limit).await?;
        // The index is of a moment ago, the records are not: a client may have changed hands.
        page.items.retain(|client| client.bot_id == *bot);
        Ok(page)
    }

    async fn all_clients(&self, after: Option<&str>, limit: usize) -> Stored<Page<Client>> {
        let mut range = by_id("all", "#listKey = :listKey AND #phoneNumberId > :after");
        range.values.push(("listKey", s(LIST_KEY)));
        self.page(range, after, limit).await
    }
}

/// The aspect that decides what a claim finds.
fn removal() -> String {
    format!("{ASPECT}removal")
}

/// A claim on a number that is new, or of the same bot and never left: the ids and the name are the new ones,
/// what else is known stays.
fn claim_of_own(wanted: Item) -> Expression {
    let condition = "attribute_not_exists(#phoneNumberId) \
                     OR (#botId = :botId AND (attribute_not_exists(#removal) OR #onboardingId = :onboardingId))";
    claiming(Expression::when(condition).name("removal", removal()), wanted)
}

/// A claim of the same bot on a number as it was seen: one that had left is being onboarded again.
fn claim_of_returned(mut wanted: Item, seen: &Client) -> Option<Expression> {
    let left = seen.account.get("removal")?;
    let condition = "#botId = :botId AND #onboardingId = :seenOnboarding AND #removal.#order = :seenOrder";
    let change = Expression::when(condition)
        .name("removal", removal())
        .value("seenOnboarding", s(seen.onboarding_id.as_ref()))
        .value("seenOrder", s(left.order()));
    let stage = wanted.remove("status").filter(|_| seen.is_removed());
    let change = claiming(change, wanted);
    Some(match stage {
        Some(stage) => change.set("status", stage),
        None => change,
    })
}

fn claiming(change: Expression, wanted: Item) -> Expression {
    wanted.into_iter().fold(change, |change, (name, value)| match name.as_str() {
        "phoneNumberId" => change,
        "botId" | "grantId" | "wabaId" | "businessId" | "clientName" | "onboardingId" | "signedUpAt"
        | "updatedAt" => change.set_or_remove(&name, value),
        _ if value.is_null() => change,
        _ => change.set_if_missing(&name, value),
    })
}

/// A claim on a number that another bot gave up: nothing of that bot's is carried over but the PIN,
/// which is the number's. As it was seen: what has left stays so until somebody claims it.
fn claim_of_given_up(mut wanted: Item, seen: &Client) -> Stored<Expression> {
    let condition = "#botId <> :botId AND #onboardingId = :seenOnboarding AND #status = :seenStage";
    let pin = wanted.remove("sealedPin").filter(|pin| !pin.is_null());
    let change = Expression::when(condition)
        .value("seenOnboarding", s(seen.onboarding_id.as_ref()))
        .value("seenStage", nested("clients", &seen.stage)?)
        .overwrite(wanted, &["phoneNumberId", "createdAt"]);
    Ok(match pin {
        Some(pin) => change.set_if_missing("sealedPin", pin),
        None => change,
    })
}

impl WriteClients for Clients {
    async fn claim_client(&self, wanted: &Client) -> Stored<ClientClaim> {
        const OPERATION: &str = "dynamodb UpdateItem on clients";
        let key = ("phoneNumberId", wanted.phone_number_id.as_ref());
        let item = with_nulls("clients", &Record::from(wanted))?;
        for _ in 0..CLAIM_TRIES {
            let other = match self.0.update(OPERATION, key, claim_of_own(item.clone())).await? {
                Write::Done(item) => return Ok(ClientClaim::Ours(Box::new(client(item)?))),
                Write::Refused(other) => client(other)?,
            };
            let change = if other.bot_id == wanted.bot_id {
                claim_of_returned(item.clone(), &other)
            } else if matches!(other.status(), ClientStatus::Active | ClientStatus::Suspended) {
                return Ok(ClientClaim::InUse);
            } else {
                Some(claim_of_given_up(item.clone(), &other)?)
            };
            let Some(change) = change else { continue };
            if let Write::Done(item) = self.0.update(OPERATION, key, change).await? {
                return Ok(ClientClaim::Ours(Box::new(client(item)?)));
            }
        }
        Err(StoreError::service(OPERATION, "the client keeps changing hands"))
    }

    async fn save_client(&self, client: &Client) -> Stored<bool> {
        let item = with_nulls("clients", &Record::from(client))?;
        // The condition's values are the ones that are written: both ids stay as they are.
        let change = Expression::when("#onboardingId = :onboardingId AND #botId = :botId")
            .overwrite(item, &KEPT_BY_SAVES);
        let key = ("phoneNumberId", client.phone_number_id.as_ref());
        let update = self.0.update("dynamodb UpdateItem on clients", key, change).await?;
        Ok(matches!(update, Write::Done(_)))
    }
}

impl TouchClients for Clients {
    async fn touch_client(
        &self,
        id: &PhoneNumberId,
        at: Option<Timestamp>,
        heard_at: Timestamp,
    ) -> Stored<()> {
        let change = match at {
            Some(at) => Expression::when(
                "attribute_exists(#phoneNumberId) \
                 AND (attribute_not_exists(#lastMessageAt) OR #lastMessageAt < :lastMessageAt)",
            )
            .set("lastMessageAt", millis(at)),
            None => Expression::when(
                "attribute_exists(#phoneNumberId) \
                 AND (attribute_not_exists(#lastWebhookAt) OR #lastWebhookAt < :lastWebhookAt)",
            ),
        };
        self.mark(id, change.set("lastWebhookAt", millis(heard_at))).await.map(drop)
    }
}

impl NoteChecks for Clients {
    async fn note_check(&self, id: &PhoneNumberId, check: &Check) -> Stored<()> {
        let condition = "attribute_exists(#phoneNumberId) \
                         AND (attribute_not_exists(#checkedAt) OR #checkedAt < :checkedAt)";
        let change = Expression::when(condition)
            .set("checkedAt", millis(check.at))
            .set("check", nested("clients", check)?);
        self.mark(id, change).await.map(drop)
    }
}

impl CheckRounds for Clients {
    async fn check_round(&self) -> Stored<Round> {
        let item = self.0.get("dynamodb GetItem on clients", ROUND).await?.unwrap_or_default();
        Ok(Round {
            due_at: time(&item, "dueAt").unwrap_or(Timestamp::UNIX_EPOCH),
            after: text(&item, "after").map(str::to_owned),
            version: number(&item, "version").and_then(|version| version.try_into().ok()).unwrap_or(0),
        })
    }

    async fn save_check_round(&self, round: &Round) -> Stored<bool> {
        let version = |version: u64| n(version.try_into().unwrap_or(i64::MAX));
        let first = if round.version <= 1 { "attribute_not_exists(#version) OR " } else { "" };
        let change = Expression::when(&format!("{first}#version = :known"))
            .value("known", version(round.version.saturating_sub(1)))
            .set("version", version(round.version))
            .set("dueAt", millis(round.due_at));
        let change = match &round.after {
            Some(after) => change.set("after", s(after)),
            None => change.remove("after"),
        };
        let update = self.0.update("dynamodb UpdateItem on clients", ROUND, change).await?;
        Ok(matches!(update, Write::Done(_)))
    }
}

impl Clients {
    /// Changes a client that is there; `false` if it is not as the condition wants it.
    async fn mark(&self, id: &PhoneNumberId, change: Expression) -> Stored<bool> {
        let key = ("phoneNumberId", id.as_ref());
        let update = self.0.update("dynamodb UpdateItem on clients", key, change).await?;
        Ok(matches!(update, Write::Done(_)))
    }
}

impl MarkClients for Clients {
    async fn change_pause(
        &self,
        id: &PhoneNumberId,
        known: Option<&Pause>,
        pause: Option<&Pause>,
    ) -> Stored<bool> {
        let change = match known {
            None => {
                Expression::when("attribute_exists(#phoneNumberId) AND attribute_not_exists(#pauseUntil)")
            }
            Some(known) => Expression::when("#pauseReason = :knownReason AND #pauseUntil = :knownUntil")
                .value("knownReason", nested("clients", &known.reason)?)
                .value("knownUntil", millis(known.until)),
        };
        let change = match pause {
            None => change.remove("pauseReason").remove("pauseSince").remove("pauseUntil"),
            Some(pause) => change
                .set("pauseReason", nested("clients", &pause.reason)?)
                .set("pauseSince", millis(pause.since))
                .set("pauseUntil", millis(pause.until)),
        };
        self.mark(id, change).await
    }

    async fn set_reconnect(&self, id: &PhoneNumberId, since: Option<Timestamp>) -> Stored<()> {
        let change = Expression::when("attribute_exists(#phoneNumberId)");
        let change = match since {
            Some(since) => change.set("reconnectSince", millis(since)),
            None => change.remove("reconnectSince"),
        };
        self.mark(id, change).await.map(drop)
    }
}

impl NoteAccounts for Clients {
    async fn clients_on(&self, waba: &WabaId) -> Stored<Vec<Client>> {
        let mut clients = self.all_of(by_id("byWaba", "#wabaId = :wabaId"), "wabaId", waba.as_ref()).await?;
        clients.retain(|client| client.waba_id == *waba);
        Ok(clients)
    }

    async fn note_account(
        &self,
        id: &PhoneNumberId,
        noted: &Noted,
        now: Timestamp,
    ) -> Stored<Option<Client>> {
        let condition = "attribute_exists(#phoneNumberId) \
                         AND (attribute_not_exists(#aspect) OR #aspect.#order < :order)";
        let aspect = Aspect { order: noted.order(), noted: noted.clone() };
        let change = Expression::when(condition)
            .name("aspect", format!("{ASPECT}{}", noted.aspect()))
            .value("order", s(&aspect.order))
            .set("aspect", nested("clients", &aspect)?)
            .set("updatedAt", millis(now));
        let (Write::Done(item) | Write::Refused(item)) =
            self.0.update("dynamodb UpdateItem on clients", ("phoneNumberId", id.as_ref()), change).await?;
        if item.is_empty() { Ok(None) } else { client(item).map(Some) }
    }
}

impl LeaveClients for Clients {
    async fn clients_of_business(&self, business: &BusinessId) -> Stored<Vec<Client>> {
        let range = by_id("byBusiness", "#businessId = :businessId");
        let mut clients = self.all_of(range, "businessId", business.as_ref()).await?;
        clients.retain(|client| client.business_id == *business);
        Ok(clients)
    }

    async fn forget_pin(&self, id: &PhoneNumberId, onboarding: &OnboardingId, now: Timestamp) -> Stored<()> {
        let change = Expression::when("#onboardingId = :onboardingId AND attribute_exists(#sealedPin)")
            .value("onboardingId", s(onboarding.as_ref()))
            .remove("sealedPin")
            .set("updatedAt", millis(now));
        self.0.update("dynamodb UpdateItem on clients", ("phoneNumberId", id.as_ref()), change).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(check: &serde_json::Value) -> Item {
        let record = json!({
            "phoneNumberId": "117", "listKey": LIST_KEY, "botId": "demo-bakery", "grantId": "demo-bakery.339",
            "wabaId": "228", "businessId": "339", "status": "active", "onBizApp": false, "onboardingId": "ob_1",
            "check": check, "createdAt": 0, "updatedAt": 0,
        });
        serde_dynamo::aws_sdk_dynamodb_1::to_item(record).unwrap()
    }

    #[test]
    fn a_look_of_a_later_version_leaves_the_client_readable() {
        let look = |name: &str| {
            let drift = json!({"name": name, "turn": "ours", "expected": null, "found": null, "calls": []});
            let check = json!({"at": "2026-11-22T12:00:00Z", "drifts": [drift]});
            client(stored(&check)).unwrap().check
        };
        assert_eq!(look("unsubscribed").map(|check| check.drifts.len()), Some(1));
        assert_eq!(look("something_later"), None);
    }
}

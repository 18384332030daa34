//! What webhooks tell of accounts.

use serde::{Deserialize, Serialize};

use super::expression::Expression;
use super::table::{Range, Table, Write};
use super::values::{Millis, RawFields, item, record, s, text, time};
use super::{Client, Stored};
use crate::domain::Timestamp;
use crate::domain::ids::{BusinessId, WabaId};
use crate::error::StoreError;
use crate::ports::{AccountEvent, EraseEvents, ListEvents, Page, ReadEvents, RecordEvents};

/// The table `events`: one item per change of an account.
#[derive(Debug, Clone)]
pub struct Events(Table);

impl Events {
    /// The table of this name.
    #[must_use]
    pub fn new(client: &Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    owner_id: String,
    event_key: String,
    kind: String,
    at: Millis,
    hash: String,
    dated: bool,
    business_id: Option<BusinessId>,
    #[serde(flatten)]
    raw: RawFields,
}

/// By kind and, where Meta dates it, by time.
fn event_key(event: &AccountEvent) -> String {
    let time = if event.dated { format!("{:015}", event.at.as_millisecond().max(0)) } else { String::new() };
    format!("{}#{time}#{}", event.kind, event.hash)
}

impl RecordEvents for Events {
    async fn record_event(&self, event: &AccountEvent) -> Stored<Timestamp> {
        let record = Record {
            owner_id: event.owner.clone(),
            event_key: event_key(event),
            kind: event.kind.clone(),
            at: Millis(event.at),
            hash: event.hash.clone(),
            dated: event.dated,
            business_id: event.business_id.clone(),
            raw: RawFields::from(&event.raw),
        };
        let condition = Expression::when("attribute_not_exists(#eventKey)");
        match self.0.put("dynamodb PutItem on events", item("events", &record)?, condition).await? {
            Write::Done(_) => Ok(event.at),
            Write::Refused(known) => Ok(time(&known, "at").unwrap_or(event.at)),
        }
    }
}

impl ReadEvents for Events {
    async fn partner_added(&self, waba: &WabaId, since: Timestamp) -> Stored<Option<BusinessId>> {
        // An account is added once or twice in its life: all of it is one short page.
        let range = Range {
            index: None,
            condition: "#ownerId = :ownerId AND begins_with(#eventKey, :kind)",
            values: vec![("ownerId", s(waba.as_ref())), ("kind", s("account_update:PARTNER_ADDED#"))],
            attributes: &["at", "businessId"],
            ascending: true,
            consistent: true,
            limit: None,
        };
        let events = self.0.query("dynamodb Query on events", range).await?;
        let newest = events
            .iter()
            .filter_map(|event| Some((time(event, "at")?, text(event, "businessId")?)))
            .filter(|(at, _)| *at >= since)
            .max();
        newest.map(|(_, id)| id.parse().map_err(|e| StoreError::corrupt("events", e))).transpose()
    }
}

impl ListEvents for Events {
    async fn events_of(&self, owner: &str, after: Option<&str>, limit: usize) -> Stored<Page<AccountEvent>> {
        let range = Range {
            index: None,
            condition: "#ownerId = :ownerId AND #eventKey > :after",
            // No key is this small, and DynamoDB takes no empty one.
            values: vec![("ownerId", s(owner)), ("after", s(after.unwrap_or(" ")))],
            attributes: &[],
            ascending: true,
            consistent: true,
            // One more than wanted, which says whether there is a next page.
            limit: Some(limit.saturating_add(1)),
        };
        let mut events = self.0.query("dynamodb Query on events", range).await?;
        let more = events.len() > limit;
        events.truncate(limit);
        let next =
            events.last().filter(|_| more).and_then(|event| text(event, "eventKey")).map(str::to_owned);
        Ok(Page { items: events.into_iter().map(account_event).collect::<Stored<_>>()?, next })
    }
}

fn account_event(item: super::table::Item) -> Stored<AccountEvent> {
    let record: Record = record("events", item)?;
    let raw = record.raw.into_raw();
    Ok(AccountEvent {
        owner: record.owner_id,
        kind: record.kind,
        at: record.at.0,
        hash: record.hash,
        dated: record.dated,
        business_id: record.business_id,
        raw: raw.ok_or_else(|| StoreError::corrupt("events", "an event without raw bytes"))?,
    })
}

impl EraseEvents for Events {
    async fn erase_event(&self, event: &AccountEvent) -> Stored<()> {
        let key = [("ownerId".to_owned(), s(&event.owner)), ("eventKey".to_owned(), s(event_key(event)))];
        self.0.delete_at("dynamodb DeleteItem on events", key.into(), Expression::default()).await?;
        Ok(())
    }
}

//! Signed bytes that nobody understood.

use serde::{Deserialize, Serialize};

use super::expression::Expression;
use super::table::{Item, Range, Table, Write};
use super::values::{Millis, RawFields, item, n, number, record, s, text};
use super::{Client, Stored};
use crate::error::StoreError;
use crate::ports::{EmptyQuarantine, Page, Quarantined, Shelf};

const TABLE: &str = "quarantine";
const KEY: &str = "quarantineId";
const INDEX: &str = "byDay";

/// The table `quarantine`: one item per unknown body or element.
#[derive(Debug, Clone)]
pub struct Quarantine(Table);

impl Quarantine {
    /// The table of this name.
    #[must_use]
    pub fn new(client: &Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    quarantine_id: String,
    reason: String,
    /// What the index lists it under: `YYYY-MM-DD` in UTC, or the reason of an archived dead letter.
    day: String,
    received_at: Millis,
    #[serde(flatten)]
    raw: RawFields,
}

impl crate::ports::Quarantine for Quarantine {
    async fn quarantine(&self, quarantined: &Quarantined) -> Stored<()> {
        let record = Record {
            quarantine_id: quarantined.id.clone(),
            reason: quarantined.reason.clone(),
            day: Shelf::of(quarantined).to_string(),
            received_at: Millis(quarantined.received_at),
            raw: RawFields::from(&quarantined.raw),
        };
        // A marked item is on its way out: written anew, without the mark, it stays.
        let condition = Expression::when("attribute_not_exists(#quarantineId) OR attribute_exists(#takenBy)");
        self.0.put("dynamodb PutItem on quarantine", item(TABLE, &record)?, condition).await?;
        Ok(())
    }
}

fn quarantined(item: Item) -> Stored<Quarantined> {
    let record: Record = record(TABLE, item)?;
    let raw = record.raw.into_raw().ok_or_else(|| StoreError::corrupt(TABLE, "an item without raw bytes"))?;
    Ok(Quarantined {
        id: record.quarantine_id,
        reason: record.reason,
        received_at: record.received_at.0,
        raw,
    })
}

/// A position on a shelf: `<milliseconds>#<id>`.
fn position(entry: &Item) -> Option<String> {
    Some(format!("{}#{}", number(entry, "receivedAt")?, text(entry, KEY)?))
}

/// The key in the index at a position.
fn start(shelf: &str, position: &str) -> Stored<Item> {
    let wrong = || StoreError::corrupt(TABLE, "not a position in a list");
    let (at, id) = position.split_once('#').ok_or_else(wrong)?;
    let at: i64 = at.parse().map_err(|_| wrong())?;
    let key = [("day", s(shelf)), ("receivedAt", n(at)), (KEY, s(id))];
    Ok(key.map(|(name, value)| (name.to_owned(), value)).into())
}

impl EmptyQuarantine for Quarantine {
    async fn quarantined(&self, id: &str) -> Stored<Option<Quarantined>> {
        self.0.get("dynamodb GetItem on quarantine", (KEY, id)).await?.map(quarantined).transpose()
    }

    async fn quarantined_on(
        &self,
        shelf: Shelf,
        after: Option<&str>,
        limit: usize,
    ) -> Stored<Page<Quarantined>> {
        let shelf = shelf.to_string();
        let range = Range {
            index: Some(INDEX),
            condition: "#day = :day",
            values: vec![("day", s(&shelf))],
            attributes: &[],
            ascending: true,
            consistent: false,
            // One more than wanted, which says whether there is a next page.
            limit: Some(limit.saturating_add(1)),
        };
        let after = after.map(|after| start(&shelf, after)).transpose()?;
        let mut entries = self.0.query_after("dynamodb Query on quarantine", range, after).await?;
        let more = entries.len() > limit;
        entries.truncate(limit);
        let ids: Vec<String> = entries.iter().filter_map(|e| text(e, KEY).map(str::to_owned)).collect();
        let items = self.0.get_all("dynamodb BatchGetItem on quarantine", KEY, &ids).await?;
        let items = items.into_iter().map(quarantined).collect::<Stored<_>>()?;
        Ok(Page { items, next: entries.last().filter(|_| more).and_then(position) })
    }

    async fn mark_quarantined(&self, id: &str, token: &str) -> Stored<bool> {
        let change = Expression::when("attribute_exists(#quarantineId)").set("takenBy", s(token));
        let done = self.0.update("dynamodb UpdateItem on quarantine", (KEY, id), change).await?;
        Ok(matches!(done, Write::Done(_)))
    }

    async fn remove_quarantined(&self, id: &str, token: &str) -> Stored<bool> {
        let condition = Expression::when("#takenBy = :token").value("token", s(token));
        self.0.delete("dynamodb DeleteItem on quarantine", (KEY, id), condition).await
    }
}

//! Signed bytes that nobody understood.

use serde::{Deserialize, Serialize};

use super::expression::Expression;
use super::table::Table;
use super::values::{Millis, RawFields, item};
use super::{Client, Stored};
use crate::ports::Quarantined;

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
    /// UTC, `YYYY-MM-DD`: what the index lists it under.
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
            day: quarantined.received_at.strftime("%Y-%m-%d").to_string(),
            received_at: Millis(quarantined.received_at),
            raw: RawFields::from(&quarantined.raw),
        };
        let condition = Expression::when("attribute_not_exists(#quarantineId)");
        self.0.put("dynamodb PutItem on quarantine", item("quarantine", &record)?, condition).await?;
        Ok(())
    }
}

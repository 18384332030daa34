//! What client businesses gave us.

use serde::{Deserialize, Serialize};

use super::expression::Expression;
use super::table::{Item, Range, Table, Write};
use super::values::{Millis, item, millis, n, record, s, shard, shards, text, time, with_nulls};
use super::{Client, Stored};
use crate::domain::Timestamp;
use crate::domain::grant::Grant;
use crate::domain::ids::{AllocationId, BotId, BusinessId, GrantId, WabaId};
use crate::domain::seal::Sealed;
use crate::domain::token_care::{Care, Previous};
use crate::error::StoreError;
use crate::ports::{CareGrants, MarkGrants, ReadGrants, WriteGrants};

const UPDATE: &str = "dynamodb UpdateItem on grants";

/// The table `grants`: one item per client business and bot.
#[derive(Debug, Clone)]
pub struct Grants(Table);

impl Grants {
    /// The table of this name.
    #[must_use]
    pub fn new(client: &Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    grant_id: GrantId,
    bot_id: BotId,
    business_id: BusinessId,
    token: Option<Sealed>,
    token_version: u64,
    dead_since: Option<Millis>,
    token_expires_at: Option<Millis>,
    /// Where the index by expiry lists it; absent if the token does not expire.
    expiry_shard: Option<String>,
    previous: Option<Previous>,
    care_at: Option<Millis>,
    /// Where the index by the next look lists it; absent if nobody looks.
    care_shard: Option<String>,
    /// Absent in what was written before there was any.
    #[serde(default)]
    care: Care,
    scopes: Vec<String>,
    waba_ids: Vec<WabaId>,
    allocation_id: Option<AllocationId>,
    currency: Option<String>,
    created_at: Millis,
    updated_at: Millis,
}

impl From<&Grant> for Record {
    fn from(grant: &Grant) -> Self {
        Self {
            grant_id: grant.id.clone(),
            bot_id: grant.bot_id.clone(),
            business_id: grant.business_id.clone(),
            token: grant.token.clone(),
            token_version: grant.token_version,
            dead_since: grant.dead_since.map(Millis),
            token_expires_at: grant.token_expires_at.map(Millis),
            expiry_shard: grant.token_expires_at.map(|_| shard(grant.id.as_ref())),
            previous: grant.previous.clone(),
            care_at: grant.care_at.map(Millis),
            care_shard: grant.care_at.map(|_| shard(grant.id.as_ref())),
            care: grant.care.clone(),
            scopes: grant.scopes.clone(),
            waba_ids: grant.waba_ids.clone(),
            allocation_id: grant.allocation_id.clone(),
            currency: grant.currency.clone(),
            created_at: Millis(grant.created_at),
            updated_at: Millis(grant.updated_at),
        }
    }
}

impl From<Record> for Grant {
    fn from(record: Record) -> Self {
        Self {
            id: record.grant_id,
            bot_id: record.bot_id,
            business_id: record.business_id,
            token: record.token,
            token_version: record.token_version,
            dead_since: record.dead_since.map(|t| t.0),
            token_expires_at: record.token_expires_at.map(|t| t.0),
            previous: record.previous,
            care_at: record.care_at.map(|t| t.0),
            care: record.care,
            scopes: record.scopes,
            waba_ids: record.waba_ids,
            allocation_id: record.allocation_id,
            currency: record.currency,
            created_at: record.created_at.0,
            updated_at: record.updated_at.0,
        }
    }
}

pub(super) fn grant(item: Item) -> Stored<Grant> {
    record::<Record>("grants", item).map(Grant::from)
}

impl ReadGrants for Grants {
    async fn grant(&self, id: &GrantId) -> Stored<Option<Grant>> {
        let item = self.0.get("dynamodb GetItem on grants", ("grantId", id.as_ref())).await?;
        item.map(grant).transpose()
    }
}

impl WriteGrants for Grants {
    async fn save_grant(&self, grant: &Grant, expected: Option<u64>) -> Stored<bool> {
        let condition = match expected {
            None => Expression::when("attribute_not_exists(#grantId)"),
            Some(version) => {
                Expression::when("#tokenVersion = :version").value("version", n(number(version)?))
            }
        };
        let item = item("grants", &Record::from(grant))?;
        let write = self.0.put("dynamodb PutItem on grants", item, condition).await?;
        Ok(matches!(write, Write::Done(_)))
    }
}

fn number(version: u64) -> Stored<i64> {
    i64::try_from(version).map_err(|e| StoreError::corrupt("grants", e))
}

impl MarkGrants for Grants {
    async fn mark_dead(&self, id: &GrantId, version: u64, at: Timestamp) -> Stored<bool> {
        let change = Expression::when("#tokenVersion = :version")
            .value("version", n(number(version)?))
            .set_if_missing("deadSince", millis(at));
        let key = ("grantId", id.as_ref());
        let write = self.0.update(UPDATE, key, change).await?;
        Ok(matches!(write, Write::Done(_)))
    }

    async fn hasten_care(&self, id: &GrantId, version: u64, at: Timestamp) -> Stored<bool> {
        let change = Expression::when("#tokenVersion = :version AND #careAt > :careAt")
            .value("version", n(number(version)?))
            .set("careAt", millis(at));
        let write = self.0.update(UPDATE, ("grantId", id.as_ref()), change).await?;
        Ok(matches!(write, Write::Done(_)))
    }

    async fn note_allocation(
        &self,
        id: &GrantId,
        allocation: &AllocationId,
        currency: &str,
        at: Timestamp,
    ) -> Stored<bool> {
        let change = Expression::when("attribute_exists(#grantId)")
            .set("allocationId", s(allocation.as_ref()))
            .set("currency", s(currency))
            .set("updatedAt", millis(at));
        let write = self.0.update(UPDATE, ("grantId", id.as_ref()), change).await?;
        Ok(matches!(write, Write::Done(_)))
    }
}

/// What looking after a token leaves as it is: the key, credit, and whose the grant is.
const NOT_CARE: [&str; 7] =
    ["grantId", "botId", "businessId", "allocationId", "currency", "createdAt", "deadSince"];

impl CareGrants for Grants {
    async fn due_care(&self, now: Timestamp, limit: usize) -> Stored<Vec<GrantId>> {
        let mut due = Vec::new();
        for shard in shards() {
            let range = Range {
                index: Some("byCare"),
                condition: "#careShard = :shard AND #careAt <= :now",
                values: vec![("shard", s(shard)), ("now", millis(now))],
                attributes: &[],
                ascending: true,
                consistent: false,
                limit: Some(limit),
            };
            let items = self.0.query("dynamodb Query on grants", range).await?;
            due.extend(
                items
                    .iter()
                    .filter_map(|item| Some((time(item, "careAt")?, text(item, "grantId")?.to_owned()))),
            );
        }
        due.sort();
        let ids = due.into_iter().take(limit);
        ids.map(|(_, id)| id.parse().map_err(|e| StoreError::corrupt("grants", e))).collect()
    }

    async fn claim_care(&self, id: &GrantId, now: Timestamp, until: Timestamp) -> Stored<Option<Grant>> {
        let change =
            Expression::when("#careAt <= :now").value("now", millis(now)).set("careAt", millis(until));
        match self.0.update(UPDATE, ("grantId", id.as_ref()), change).await? {
            Write::Done(item) => record::<Record>("grants", item).map(|record| Some(record.into())),
            Write::Refused(_) => Ok(None),
        }
    }

    async fn save_care(&self, grant: &Grant, version: u64, claim: Timestamp) -> Stored<bool> {
        let change = Expression::when("#tokenVersion = :version AND #careAt = :claim")
            .value("version", n(number(version)?))
            .value("claim", millis(claim))
            .overwrite(with_nulls("grants", &Record::from(grant))?, &NOT_CARE);
        // A new token begins alive. The death of this one others note, at any time.
        let change = if grant.token_version == version { change } else { change.remove("deadSince") };
        let write = self.0.update(UPDATE, ("grantId", grant.id.as_ref()), change).await?;
        Ok(matches!(write, Write::Done(_)))
    }
}

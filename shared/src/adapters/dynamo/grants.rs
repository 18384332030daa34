//! What client businesses gave us.

use serde::{Deserialize, Serialize};

use super::expression::Expression;
use super::table::{Table, Write};
use super::values::{Millis, item, millis, n, record, shard};
use super::{Client, Stored};
use crate::domain::Timestamp;
use crate::domain::grant::Grant;
use crate::domain::ids::{AllocationId, BotId, BusinessId, GrantId, WabaId};
use crate::domain::seal::Sealed;
use crate::error::StoreError;
use crate::ports::{MarkGrants, ReadGrants, WriteGrants};

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
            scopes: record.scopes,
            waba_ids: record.waba_ids,
            allocation_id: record.allocation_id,
            currency: record.currency,
            created_at: record.created_at.0,
            updated_at: record.updated_at.0,
        }
    }
}

impl ReadGrants for Grants {
    async fn grant(&self, id: &GrantId) -> Stored<Option<Grant>> {
        let item = self.0.get("dynamodb GetItem on grants", ("grantId", id.as_ref())).await?;
        item.map(|item| record::<Record>("grants", item).map(Grant::from)).transpose()
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
        let write = self.0.update("dynamodb UpdateItem on grants", key, change).await?;
        Ok(matches!(write, Write::Done(_)))
    }
}

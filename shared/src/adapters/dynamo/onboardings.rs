//! Onboardings with their ledgers and leases, and the leases of client businesses.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::expression::Expression;
use super::table::{Item, Range, Table, Write};
use super::values::{
    Millis, Seconds, item, millis, nested, number, record, s, seconds, shard, shards, text, with_nulls,
};
use super::{Client, Stored};
use crate::domain::Timestamp;
use crate::domain::grant::TokenFacts;
use crate::domain::ids::{BotId, BusinessId, GrantId, InvalidId, OnboardingId, PhoneNumberId, WabaId};
use crate::domain::onboarding::{Claims, Onboarding, OnboardingStatus, StepRecord};
use crate::domain::seal::Sealed;
use crate::error::StoreError;
use crate::ports::{OpenOnboardings, Started};

/// How long the record of an onboarding is kept after its end, so that questions can be answered.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long the record of a business's lease is kept after the lease.
const LEASE_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) const GET: &str = "dynamodb GetItem on onboardings";
pub(super) const PUT: &str = "dynamodb PutItem on onboardings";
pub(super) const UPDATE: &str = "dynamodb UpdateItem on onboardings";
const QUERY: &str = "dynamodb Query on onboardings";

/// The table `onboardings`: one item per onboarding, and one per client business that credit steps run for.
#[derive(Debug, Clone)]
pub struct Onboardings(pub(super) Table);

impl Onboardings {
    /// The table of this name.
    #[must_use]
    pub fn new(client: &Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }
}

/// An onboarding without its lease, whose attributes (`leaseOwner`, `leaseUntil`) are written alone.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    onboarding_id: OnboardingId,
    bot_id: BotId,
    status: OnboardingStatus,
    steps: Vec<StepRecord>,
    claims: Claims,
    token: Option<Sealed>,
    facts: Option<TokenFacts>,
    grant_id: Option<GrantId>,
    business_id: Option<BusinessId>,
    waba_id: Option<WabaId>,
    phone_number_id: Option<PhoneNumberId>,
    attempts: u32,
    next_try_at: Option<Millis>,
    /// Where the index of open ones lists it; absent if nothing is to be tried.
    open_key: Option<String>,
    created_at: Millis,
    updated_at: Millis,
    ends_at: Millis,
    expires_at: Seconds,
}

impl From<&Onboarding> for Record {
    fn from(it: &Onboarding) -> Self {
        let is_open = it.status == OnboardingStatus::Open && it.next_try_at.is_some();
        Self {
            onboarding_id: it.id.clone(),
            bot_id: it.bot_id.clone(),
            status: it.status,
            steps: it.steps.clone(),
            claims: it.claims.clone(),
            token: it.token.clone(),
            facts: it.facts.clone(),
            grant_id: it.grant_id.clone(),
            business_id: it.business_id.clone(),
            waba_id: it.waba_id.clone(),
            phone_number_id: it.phone_number_id.clone(),
            attempts: it.attempts,
            next_try_at: it.next_try_at.map(Millis),
            open_key: is_open.then(|| shard(it.id.as_ref())),
            created_at: Millis(it.created_at),
            updated_at: Millis(it.updated_at),
            ends_at: Millis(it.expires_at),
            expires_at: Seconds(it.expires_at + KEPT),
        }
    }
}

impl From<Record> for Onboarding {
    fn from(record: Record) -> Self {
        Self {
            id: record.onboarding_id,
            bot_id: record.bot_id,
            status: record.status,
            steps: record.steps,
            claims: record.claims,
            token: record.token,
            facts: record.facts,
            grant_id: record.grant_id,
            business_id: record.business_id,
            waba_id: record.waba_id,
            phone_number_id: record.phone_number_id,
            attempts: record.attempts,
            next_try_at: record.next_try_at.map(|t| t.0),
            created_at: record.created_at.0,
            updated_at: record.updated_at.0,
            expires_at: record.ends_at.0,
        }
    }
}

pub(super) fn onboarding(item: Item) -> Stored<Onboarding> {
    record::<Record>("onboardings", item).map(Onboarding::from)
}

fn key(id: &OnboardingId) -> (&'static str, &str) {
    ("onboardingId", id.as_ref())
}

/// A lease that is free: there is none, it is the owner's, or it ran out.
fn taking(condition: &str, owner: &str, now: Timestamp, until: Timestamp) -> Expression {
    Expression::when(condition)
        .value("now", millis(now))
        .set("leaseOwner", s(owner))
        .set("leaseUntil", millis(until))
}

fn giving_back(owner: &str) -> Expression {
    Expression::when("#leaseOwner = :owner")
        .value("owner", s(owner))
        .remove("leaseOwner")
        .remove("leaseUntil")
}

impl crate::ports::Onboardings for Onboardings {
    async fn start_onboarding(&self, new: &Onboarding) -> Stored<Started> {
        let item = item("onboardings", &Record::from(new))?;
        let condition = Expression::when("attribute_not_exists(#onboardingId)");
        match self.0.put(PUT, item, condition).await? {
            Write::Done(_) => Ok(Started::New),
            Write::Refused(known) => Ok(Started::Known(Box::new(onboarding(known)?))),
        }
    }

    async fn onboarding(&self, id: &OnboardingId) -> Stored<Option<Onboarding>> {
        self.0.get(GET, key(id)).await?.map(onboarding).transpose()
    }

    async fn lease_onboarding(
        &self,
        id: &OnboardingId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Stored<Option<Onboarding>> {
        let condition = "attribute_exists(#onboardingId) AND (attribute_not_exists(#leaseOwner) \
                         OR #leaseOwner = :leaseOwner OR #leaseUntil <= :now)";
        match self.0.update(UPDATE, key(id), taking(condition, owner, now, until)).await? {
            Write::Done(item) => Ok(Some(onboarding(item)?)),
            Write::Refused(_) => Ok(None),
        }
    }

    async fn save_onboarding(&self, it: &Onboarding, owner: &str) -> Stored<bool> {
        let item = with_nulls("onboardings", &Record::from(it))?;
        let change = Expression::when("#leaseOwner = :owner")
            .value("owner", s(owner))
            .overwrite(item, &["onboardingId", "claims"]);
        Ok(matches!(self.0.update(UPDATE, key(&it.id), change).await?, Write::Done(_)))
    }

    async fn release_onboarding(&self, id: &OnboardingId, owner: &str) -> Stored<()> {
        self.0.update(UPDATE, key(id), giving_back(owner)).await?;
        Ok(())
    }

    async fn save_claims(&self, id: &OnboardingId, claims: &Claims) -> Stored<()> {
        let change =
            Expression::when("attribute_exists(#onboardingId)").set("claims", nested("onboardings", claims)?);
        self.0.update(UPDATE, key(id), change).await?;
        Ok(())
    }
}

/// Where the lease of a business is. No onboarding's id begins like this.
fn business_key(business: &BusinessId) -> String {
    format!("lease#{business}")
}

impl Onboardings {
    /// Ids of what is due, of those that the index lists under `prefix` and a shard.
    pub(super) async fn due<T: FromStr<Err = InvalidId>>(
        &self,
        prefix: &str,
        now: Timestamp,
        limit: usize,
    ) -> Stored<Vec<T>> {
        let mut due = Vec::new();
        for shard in shards() {
            let range = Range {
                index: Some("openByNextTry"),
                condition: "#openKey = :openKey AND #nextTryAt <= :now",
                values: vec![("openKey", s(format!("{prefix}{shard}"))), ("now", millis(now))],
                attributes: &[],
                ascending: true,
                consistent: false,
                limit: Some(limit),
            };
            due.extend(self.0.query(QUERY, range).await?);
        }
        due.sort_by_key(|entry| number(entry, "nextTryAt"));
        let ids = due.iter().filter_map(|entry| text(entry, "onboardingId")).take(limit);
        ids.map(|id| id.parse().map_err(|e| StoreError::corrupt("onboardings", e))).collect()
    }
}

impl OpenOnboardings for Onboardings {
    async fn due_onboardings(&self, now: Timestamp, limit: usize) -> Stored<Vec<OnboardingId>> {
        self.due("", now, limit).await
    }

    async fn lease_business(
        &self,
        business: &BusinessId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Stored<bool> {
        let condition =
            "attribute_not_exists(#leaseOwner) OR #leaseOwner = :leaseOwner OR #leaseUntil <= :now";
        let change = taking(condition, owner, now, until).set("expiresAt", seconds(until + LEASE_KEPT));
        let update = self.0.update(UPDATE, ("onboardingId", &business_key(business)), change).await?;
        Ok(matches!(update, Write::Done(_)))
    }

    async fn release_business(&self, business: &BusinessId, owner: &str) -> Stored<()> {
        self.0.update(UPDATE, ("onboardingId", &business_key(business)), giving_back(owner)).await?;
        Ok(())
    }
}

//! Off-boardings. They live in the table `onboardings`, whose index finds what is due and which the same
//! schedule works through. No onboarding's id begins like theirs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Stored;
use super::expression::Expression;
use super::onboardings::{GET, Onboardings, PUT, UPDATE};
use super::table::{Item, Write};
use super::values::{Millis, item, n, record, shard, with_nulls};
use crate::domain::Timestamp;
use crate::domain::ids::{BusinessId, GrantId, OffboardingId, OnboardingId, PhoneNumberId, WabaId};
use crate::domain::offboarding::{Ended, OffStep, Offboarding};
use crate::ports::{self, StartOffboardings};

/// Under which keys the index lists them: apart from onboardings, so that neither crowds the other out.
const OPEN: &str = "off";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    /// The table's key: the off-boarding's own id.
    onboarding_id: OffboardingId,
    of_onboarding: OnboardingId,
    phone_number_id: PhoneNumberId,
    waba_id: WabaId,
    business_id: BusinessId,
    grant_id: GrantId,
    ended: BTreeMap<OffStep, Ended>,
    problem: Option<String>,
    attempts: u32,
    next_try_at: Option<Millis>,
    /// Where the index of open ones lists it; absent once every step has ended.
    open_key: Option<String>,
    created_at: Millis,
    updated_at: Millis,
}

impl From<&Offboarding> for Record {
    fn from(it: &Offboarding) -> Self {
        Self {
            onboarding_id: it.id.clone(),
            of_onboarding: it.onboarding_id.clone(),
            phone_number_id: it.phone_number_id.clone(),
            waba_id: it.waba_id.clone(),
            business_id: it.business_id.clone(),
            grant_id: it.grant_id.clone(),
            ended: it.ended.clone(),
            problem: it.problem.clone(),
            attempts: it.attempts,
            next_try_at: it.next_try_at.map(Millis),
            open_key: it.next_try_at.map(|_| format!("{OPEN}{}", shard(it.id.as_ref()))),
            created_at: Millis(it.created_at),
            updated_at: Millis(it.updated_at),
        }
    }
}

impl From<Record> for Offboarding {
    fn from(record: Record) -> Self {
        Self {
            id: record.onboarding_id,
            onboarding_id: record.of_onboarding,
            phone_number_id: record.phone_number_id,
            waba_id: record.waba_id,
            business_id: record.business_id,
            grant_id: record.grant_id,
            ended: record.ended,
            problem: record.problem,
            attempts: record.attempts,
            next_try_at: record.next_try_at.map(|t| t.0),
            created_at: record.created_at.0,
            updated_at: record.updated_at.0,
        }
    }
}

fn offboarding(item: Item) -> Stored<Offboarding> {
    record::<Record>("onboardings", item).map(Offboarding::from)
}

impl StartOffboardings for Onboardings {
    async fn start_offboarding(&self, new: &Offboarding) -> Stored<()> {
        let condition = Expression::when("attribute_not_exists(#onboardingId)");
        self.0.put(PUT, item("onboardings", &Record::from(new))?, condition).await?;
        Ok(())
    }
}

impl ports::Offboardings for Onboardings {
    async fn due_offboardings(&self, now: Timestamp, limit: usize) -> Stored<Vec<OffboardingId>> {
        self.due(OPEN, now, limit).await
    }

    async fn offboarding(&self, id: &OffboardingId) -> Stored<Option<Offboarding>> {
        self.0.get(GET, ("onboardingId", id.as_ref())).await?.map(offboarding).transpose()
    }

    async fn save_offboarding(&self, it: &Offboarding) -> Stored<bool> {
        let change = Expression::when("#attempts = :before")
            .value("before", n(i64::from(it.attempts) - 1))
            .overwrite(with_nulls("onboardings", &Record::from(it))?, &["onboardingId"]);
        let update = self.0.update(UPDATE, ("onboardingId", it.id.as_ref()), change).await?;
        Ok(matches!(update, Write::Done(_)))
    }
}

use super::{MemoryStore, give_back, take_lease};
use crate::domain::Timestamp;
use crate::domain::ids::{BusinessId, OffboardingId, OnboardingId};
use crate::domain::offboarding::Offboarding;
use crate::domain::onboarding::{Claims, Onboarding, OnboardingStatus};
use crate::error::StoreError;
use crate::ports::{Offboardings, Onboardings, OpenOnboardings, StartOffboardings, Started};

impl Onboardings for MemoryStore {
    async fn start_onboarding(&self, new: &Onboarding) -> Result<Started, StoreError> {
        self.run("start_onboarding", |tables| match tables.onboardings.get(&new.id) {
            Some(known) => Started::Known(Box::new(known.clone())),
            None => {
                tables.onboardings.insert(new.id.clone(), new.clone());
                Started::New
            }
        })
        .await
    }

    async fn onboarding(&self, id: &OnboardingId) -> Result<Option<Onboarding>, StoreError> {
        self.run("onboarding", |tables| tables.onboardings.get(id).cloned()).await
    }

    async fn lease_onboarding(
        &self,
        id: &OnboardingId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Onboarding>, StoreError> {
        self.run("lease_onboarding", |tables| {
            let known = tables.onboardings.get(id)?;
            take_lease(&mut tables.onboarding_leases, id, owner, now, until).then(|| known.clone())
        })
        .await
    }

    async fn save_onboarding(&self, onboarding: &Onboarding, owner: &str) -> Result<bool, StoreError> {
        self.run("save_onboarding", |tables| {
            let ours = tables.onboarding_leases.get(&onboarding.id).is_some_and(|lease| lease.owner == owner);
            let Some(known) = tables.onboardings.get_mut(&onboarding.id).filter(|_| ours) else {
                return false;
            };
            let claims = std::mem::take(&mut known.claims);
            *known = Onboarding { claims, ..onboarding.clone() };
            true
        })
        .await
    }

    async fn release_onboarding(&self, id: &OnboardingId, owner: &str) -> Result<(), StoreError> {
        self.run("release_onboarding", |tables| give_back(&mut tables.onboarding_leases, id, owner)).await
    }

    async fn save_claims(&self, id: &OnboardingId, claims: &Claims) -> Result<(), StoreError> {
        self.run("save_claims", |tables| {
            if let Some(known) = tables.onboardings.get_mut(id) {
                known.claims = claims.clone();
            }
        })
        .await
    }
}

impl OpenOnboardings for MemoryStore {
    async fn due_onboardings(&self, now: Timestamp, limit: usize) -> Result<Vec<OnboardingId>, StoreError> {
        self.query("due_onboardings", |index, _| {
            let open = index.onboardings.values().filter(|o| o.status == OnboardingStatus::Open);
            let mut due: Vec<_> = open
                .filter_map(|o| o.next_try_at.filter(|at| *at <= now).map(|at| (at, o.id.clone())))
                .collect();
            due.sort();
            due.into_iter().take(limit).map(|(_, id)| id).collect()
        })
        .await
    }

    async fn lease_business(
        &self,
        business: &BusinessId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        self.run("lease_business", |tables| {
            take_lease(&mut tables.business_leases, business, owner, now, until)
        })
        .await
    }

    async fn release_business(&self, business: &BusinessId, owner: &str) -> Result<(), StoreError> {
        self.run("release_business", |tables| give_back(&mut tables.business_leases, business, owner)).await
    }
}

impl StartOffboardings for MemoryStore {
    async fn start_offboarding(&self, new: &Offboarding) -> Result<(), StoreError> {
        self.run("start_offboarding", |tables| {
            tables.offboardings.entry(new.id.clone()).or_insert_with(|| new.clone());
        })
        .await
    }
}

impl Offboardings for MemoryStore {
    async fn due_offboardings(&self, now: Timestamp, limit: usize) -> Result<Vec<OffboardingId>, StoreError> {
        self.run("due_offboardings", |tables| {
            let due = tables.offboardings.values();
            let mut due: Vec<_> = due
                .filter_map(|o| o.next_try_at.filter(|at| *at <= now).map(|at| (at, o.id.clone())))
                .collect();
            due.sort();
            due.into_iter().take(limit).map(|(_, id)| id).collect()
        })
        .await
    }

    async fn offboarding(&self, id: &OffboardingId) -> Result<Option<Offboarding>, StoreError> {
        self.run("offboarding", |tables| tables.offboardings.get(id).cloned()).await
    }

    async fn save_offboarding(&self, it: &Offboarding) -> Result<bool, StoreError> {
        self.run("save_offboarding", |tables| {
            let known = tables.offboardings.get_mut(&it.id).filter(|known| known.attempts + 1 == it.attempts);
            known.map(|known| *known = it.clone()).is_some()
        })
        .await
    }
}

//! Credit, and what else only our system user may do (Meta, share and revoke credit lines; manage system
//! users; Facebook Login for Business).

use serde::Deserialize;

use super::tokens::Token;
use super::wire::{Page, Ref, missing, text, texts};
use super::{Actor, Graph, unclear};
use crate::domain::ids::{AllocationId, BusinessId, WabaId};
use crate::domain::secret::AccessToken;
use crate::error::GraphError;
use crate::ports::{AllocationState, PartnerGraph};

impl PartnerGraph for Graph {
    async fn system_user(&self) -> Result<String, GraphError> {
        let me: Ref = self.get(&["me"]).query(&[("fields", "id")]).by(Actor::SystemUser).send().await?;
        me.id.ok_or_else(|| missing("id"))
    }

    async fn is_assigned(&self, waba: &WabaId, system_user: &str) -> Result<bool, GraphError> {
        let partner = self.partner()?;
        let query = [("business", partner.business_id.as_ref())];
        let path = [waba.as_ref(), "assigned_users"];
        let users: Vec<Assigned> = self.list(&path, &query, Actor::SystemUser).await?;
        Ok(users.iter().any(|user| user.id.as_deref() == Some(system_user) && user.may_manage()))
    }

    async fn assign(&self, waba: &WabaId, system_user: &str) -> Result<(), GraphError> {
        let query = [("user", system_user), ("tasks", "['MANAGE']")];
        self.post(&[waba.as_ref(), "assigned_users"]).query(&query).by(Actor::SystemUser).done().await
    }

    async fn allocations(&self, business: &BusinessId) -> Result<Vec<AllocationId>, GraphError> {
        let partner = self.partner()?;
        let query = [
            ("receiving_business_id", business.as_ref()),
            ("fields", "id,receiving_business,request_status"),
        ];
        let call = self
            .get(&[&partner.credit_line_id, "owning_credit_allocation_configs"])
            .query(&query)
            .by(Actor::SystemUser);
        let found = match call.send().await? {
            Allocations::Many(page) => page.data,
            Allocations::One(one) => vec![one],
        };
        // One that cannot be read must not look like none: the credit would be shared a second time.
        let in_force = found.into_iter().filter(|allocation| allocation.is_in_force_for(business));
        in_force.map(|allocation| allocation.id.parse().map_err(unclear)).collect()
    }

    async fn receiving_credential(&self, allocation: &AllocationId) -> Result<Option<String>, GraphError> {
        let query = [("fields", "receiving_credential")];
        let answer: Receiving =
            self.get(&[allocation.as_ref()]).query(&query).by(Actor::SystemUser).send().await?;
        Ok(answer.receiving_credential.and_then(|credential| credential.id))
    }

    async fn share_credit(&self, waba: &WabaId, currency: &str) -> Result<AllocationId, GraphError> {
        let partner = self.partner()?;
        let call = self
            .post(&[&partner.credit_line_id, "whatsapp_credit_sharing_and_attach"])
            .query(&[("waba_currency", currency), ("waba_id", waba.as_ref())])
            .by(Actor::SystemUser);
        let shared: Shared = call.send().await?;
        let id = shared.allocation_config_id.ok_or_else(|| missing("allocation_config_id"))?;
        id.parse().map_err(unclear)
    }

    async fn allocation(&self, allocation: &AllocationId) -> Result<AllocationState, GraphError> {
        let query = [("fields", "receiving_business,request_status")];
        let answer: Allocation =
            self.get(&[allocation.as_ref()]).query(&query).by(Actor::SystemUser).send().await?;
        let is_deleted = answer.is_deleted();
        let business = answer.receiving_business.and_then(|business| business.id);
        Ok(AllocationState { business_id: business.and_then(|id| id.parse().ok()), is_deleted })
    }

    async fn revoke_credit(&self, allocation: &AllocationId) -> Result<(), GraphError> {
        self.delete(&[allocation.as_ref()]).by(Actor::SystemUser).done().await
    }

    async fn fetch_business_token(&self, business: &BusinessId) -> Result<AccessToken, GraphError> {
        // Meta demands the proof here, whatever the app's settings are.
        self.app_secret()?;
        let call = self
            .post(&[business.as_ref(), "system_user_access_tokens"])
            .query(&[("fetch_only", "true")])
            .by(Actor::SystemUser);
        call.send::<Token>().await?.into_token()
    }

    async fn derive_business_token(
        &self,
        business: &BusinessId,
        accounts: &[WabaId],
    ) -> Result<AccessToken, GraphError> {
        self.app_secret()?;
        let ids: Vec<&str> = accounts.iter().map(AsRef::as_ref).collect();
        let call = self
            .post(&[business.as_ref(), "system_user_access_tokens"])
            .query(&[("asset", &serde_json::json!(ids).to_string())])
            .query(&[("set_token_expires_in_60_days", "true")])
            .by(Actor::SystemUser);
        call.send::<Token>().await?.into_token()
    }
}

#[derive(Deserialize)]
struct Assigned {
    #[serde(default, deserialize_with = "text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "texts")]
    tasks: Option<Vec<String>>,
}

impl Assigned {
    /// Where a Multi-Partner Solution gives no `MANAGE`, somebody assigns the single tasks by hand; of
    /// them, sharing credit needs `MANAGE_BILLING`.
    fn may_manage(&self) -> bool {
        self.tasks.iter().flatten().any(|task| task == "MANAGE" || task == "MANAGE_BILLING")
    }
}

/// The guide shows one object, the reference an edge: both are taken.
#[derive(Deserialize)]
#[serde(untagged)]
enum Allocations {
    Many(Page<Allocation>),
    One(Allocation),
}

#[derive(Deserialize)]
struct Allocation {
    #[serde(deserialize_with = "id")]
    id: String,
    #[serde(default)]
    receiving_business: Option<Ref>,
    #[serde(default, deserialize_with = "text")]
    request_status: Option<String>,
}

impl Allocation {
    fn is_in_force_for(&self, business: &BusinessId) -> bool {
        let receiver = self.receiving_business.as_ref().and_then(|business| business.id.as_deref());
        let of_another = receiver.is_some_and(|id| id != business.as_ref());
        !of_another && !self.is_deleted()
    }

    fn is_deleted(&self) -> bool {
        self.request_status.as_deref() == Some("DELETED")
    }
}

/// An id that must be there.
fn id<'de, D: serde::Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    text(d)?.ok_or_else(|| serde::de::Error::missing_field("id"))
}

#[derive(Deserialize)]
struct Receiving {
    #[serde(default)]
    receiving_credential: Option<Ref>,
}

#[derive(Deserialize)]
struct Shared {
    #[serde(default, deserialize_with = "text")]
    allocation_config_id: Option<String>,
}

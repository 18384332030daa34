//! What onboarding looks up before it acts, and reconciliation to see what has changed since.

use crate::domain::Timestamp;
use crate::domain::ids::{AllocationId, BusinessId, GrantId};
use crate::error::{GraphError, StoreError};
use crate::ports::{PartnerGraph, ReadGrants, WriteGrants};

/// Our allocation that pays through `funding`, if there is one.
pub(super) async fn allocation_behind(
    graph: &impl PartnerGraph,
    business: &BusinessId,
    funding: &str,
) -> Result<Option<AllocationId>, GraphError> {
    for allocation in graph.allocations(business).await? {
        if graph.receiving_credential(&allocation).await?.as_deref() == Some(funding) {
            return Ok(Some(allocation));
        }
    }
    Ok(None)
}

/// Notes which allocation pays: revoking the credit later needs its id. `false` if the grant was written at the same
/// moment by somebody else; nothing changed then.
pub(super) async fn note_allocation(
    store: &(impl ReadGrants + WriteGrants),
    id: &GrantId,
    allocation: &AllocationId,
    currency: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(mut grant) = store.grant(id).await? else { return Ok(true) };
    let version = grant.token_version;
    grant.allocation_id = Some(allocation.clone());
    grant.currency = Some(currency.to_owned());
    grant.updated_at = now;
    store.save_grant(&grant, Some(version)).await
}

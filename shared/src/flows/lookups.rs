//! What onboarding looks up before it acts, and reconciliation to see what has changed since.

use crate::domain::ids::{AllocationId, BusinessId};
use crate::error::GraphError;
use crate::ports::PartnerGraph;

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

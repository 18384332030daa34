//! Receiving a webhook: signature, pack, one kind of write. Nothing else is on this path.

use std::time::Duration;

use crate::domain::parcel::pack;
use crate::domain::secret::AppSecret;
use crate::domain::signature::{Forged, Verified, verify_any};
use crate::error::StoreError;
use crate::kept::Kept;
use crate::ports::{Clock, SendInbound};

/// Why a webhook was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// Not signed by Meta. Nothing is kept.
    #[error(transparent)]
    Forged(#[from] Forged),
    /// Not durable: Meta must deliver it again.
    #[error("the webhook could not be made durable")]
    Store(#[from] StoreError),
}

/// Takes a webhook. When this returns `Ok`, all of it is on the queue `inbound`.
///
/// # Errors
/// [`ReceiveError::Forged`] before anything is kept; [`ReceiveError::Store`] if a part may be missing.
pub async fn receive(
    queue: &impl SendInbound,
    clock: &impl Clock,
    secrets: &Kept<AppSecret>,
    signature_header: Option<&str>,
    body: &[u8],
) -> Result<(), ReceiveError> {
    let verified = verified(secrets, signature_header, body).await?;
    let parcels = pack(verified.bytes(), clock.now());
    queue.send_inbound(&parcels, Duration::ZERO).await?;
    Ok(())
}

/// A signature that does not match may be of a secret that was changed since ours was read.
async fn verified<'a>(
    secrets: &Kept<AppSecret>,
    header: Option<&str>,
    body: &'a [u8],
) -> Result<Verified<'a>, Forged> {
    let known = secrets.get();
    if let Ok(verified) = verify_any(&known, header, body) {
        return Ok(verified);
    }
    let newer = secrets.newer_than(&known).await.ok_or(Forged)?;
    verify_any(&newer, header, body)
}

#[cfg(test)]
mod tests;

//! Receiving a webhook: signature, pack, one kind of write. Nothing else is on this path.

use std::time::Duration;

use crate::domain::parcel::pack;
use crate::domain::secret::AppSecret;
use crate::domain::signature::{self, Forged};
use crate::error::StoreError;
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
    secret: &AppSecret,
    signature_header: Option<&str>,
    body: &[u8],
) -> Result<(), ReceiveError> {
    let verified = signature::verify(secret, signature_header, body)?;
    let parcels = pack(verified.bytes(), clock.now());
    queue.send_inbound(&parcels, Duration::ZERO).await?;
    Ok(())
}

#[cfg(test)]
mod tests;

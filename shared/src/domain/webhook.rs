//! Webhook bodies, taken apart.

/// One element.
#[derive(Debug)]
pub struct Piece;

/// The body is not a webhook.
#[derive(Debug, thiserror::Error)]
#[error("not a webhook")]
pub struct NotAWebhook;

/// Takes a body apart.
///
/// # Errors
/// [`NotAWebhook`].
pub fn pieces(_body: &str) -> Result<Vec<Piece>, NotAWebhook> {
    Ok(Vec::new())
}

/// Puts pieces together again.
#[must_use]
pub fn regroup(_pieces: &[Piece], _limit: usize) -> Vec<String> {
    Vec::new()
}

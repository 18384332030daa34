//! What refusals of Meta's are for the caller, where nothing is known better.

use super::ApiError;
use crate::domain::meta_error::{MetaError, Remedy};
use crate::error::GraphError;

/// 409 `client_needs_reconnect`.
#[must_use]
pub fn reconnect() -> ApiError {
    ApiError::conflict(
        "client_needs_reconnect",
        "Meta does not accept the client's token any more.",
        "Let the client sign up again.",
    )
}

/// 503 `partner_token_refused`: Meta does not take the token or the secret of whoever runs this deployment.
#[must_use]
pub fn own_token(error: GraphError) -> ApiError {
    let refused =
        ApiError::unavailable("partner_token_refused", "Meta does not take the partner's own token.")
            .with_action("Whoever runs this deployment looks at its system user's token and its app secret.");
    match error.refusal() {
        Some(meta) => refused.with_meta(meta),
        None => refused.because(error),
    }
}

/// The refusal of a call that may be repeated.
#[must_use]
pub fn refusal(error: GraphError) -> ApiError {
    match error {
        GraphError::Refused(error) => refused(&error).with_meta(&error),
        GraphError::NotSent(source) | GraphError::Unclear(source) => {
            ApiError::unavailable("meta_unavailable", "Meta did not answer.").because(source)
        }
    }
}

fn refused(error: &MetaError) -> ApiError {
    match error.remedy() {
        Remedy::Token => reconnect(),
        Remedy::Retry { .. } => ApiError::unavailable("meta_unavailable", "Meta did not do it, for now."),
        Remedy::SlowDown { pause, .. } => {
            ApiError::too_many("rate_limited", "Meta takes no more calls of this kind for now.", pause)
        }
        _ => ApiError::unprocessable(
            "refused_by_meta",
            format!("Meta refused it: {}", error.details),
            "Change what Meta names.",
        ),
    }
}

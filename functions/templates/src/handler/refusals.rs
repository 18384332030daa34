//! What Meta's refusals are for the caller.

use shared::domain::meta_error::{MetaError, Remedy};
use shared::error::GraphError;
use shared::http::ApiError;

pub(super) fn reconnect() -> ApiError {
    ApiError::conflict(
        "client_needs_reconnect",
        "Meta does not accept the client's token any more.",
        "Let the client sign up again.",
    )
}

/// Of a call that changes something.
pub(super) fn of_change(error: GraphError) -> ApiError {
    match error {
        GraphError::Unclear(source) => ApiError::bad_gateway(
            "outcome_unknown",
            "Meta gave no usable answer: it may have done it, or not.",
            "Look at the list of templates in a minute: it is read from Meta again.",
        )
        .because(source),
        other => of_reading(other),
    }
}

/// Of a call that may be repeated.
pub(super) fn of_reading(error: GraphError) -> ApiError {
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

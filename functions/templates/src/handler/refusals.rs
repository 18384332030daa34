//! What Meta's refusals are for the caller.

use shared::error::GraphError;
use shared::http::{ApiError, meta};

/// Of a call that changes something.
pub(super) fn of_change(error: GraphError) -> ApiError {
    match error {
        GraphError::Unclear(source) => ApiError::bad_gateway(
            "outcome_unknown",
            "Meta gave no usable answer: it may have done it, or not.",
            "Look at the list of templates in a minute: it is read from Meta again.",
        )
        .because(source),
        other => meta::refusal(other),
    }
}

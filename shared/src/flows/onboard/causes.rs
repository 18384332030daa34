//! Why steps fail, in words for people.

use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::meta_error::{MetaError, Remedy};
use crate::domain::onboarding::{Cause, Turn};
use crate::error::GraphError;

use super::Stop;

pub(super) const PIN_MISMATCH: &str = "pin_mismatch";
pub(super) const GRANT_MISMATCH: &str = "grant_mismatch";
pub(super) const NUMBER_IN_USE: &str = "number_in_use";

/// A failed call to Meta as a cause, where the step has nothing more exact to say.
pub(super) fn of_graph(error: GraphError, now: Timestamp) -> Stop {
    match error {
        GraphError::NotSent(_) | GraphError::Unclear(_) => unavailable().into(),
        GraphError::Refused(meta) => of_refusal(meta, now).into(),
    }
}

/// The same for a call with the token of our own system user, which no signup mends.
pub(super) fn of_own_graph(error: GraphError, now: Timestamp) -> Stop {
    match error {
        GraphError::Refused(meta) if meta.remedy() == Remedy::Token => Cause::new(
            "partner_token_refused",
            Turn::Ours,
            "Meta does not accept the platform's own token.",
            "Nothing to do: whoever runs the platform replaces it, and we go on by ourselves.",
        )
        .with_meta(meta)
        .into(),
        other => of_graph(other, now),
    }
}

fn unavailable() -> Cause {
    Cause::new(
        "meta_unavailable",
        Turn::Ours,
        "Meta did not answer.",
        "Nothing to do: we try again by ourselves. Press Try again to do so at once.",
    )
}

fn of_refusal(meta: MetaError, now: Timestamp) -> Cause {
    let detail = format!("Meta says: {}", meta.details);
    let cause = match meta.remedy() {
        Remedy::Retry { .. } => unavailable(),
        Remedy::SlowDown { pause, .. } => return slow_down(meta, now, pause),
        Remedy::Token => Cause::new(
            "token_rejected",
            Turn::Person,
            "Meta does not accept the client's token any more.",
            "Sign up again: the client removed the app, or the token was withdrawn.",
        ),
        Remedy::Payment => Cause::new(
            "payment_problem",
            Turn::Person,
            detail,
            "Mend the payment method in WhatsApp Manager, then try again.",
        ),
        Remedy::Fix
        | Remedy::Locked
        | Remedy::WindowClosed
        | Remedy::NotReachable
        | Remedy::OptedOut
        | Remedy::MarketingLimit
        | Remedy::Never => Cause::new(
            "meta_refused",
            Turn::Person,
            detail,
            "Mend what Meta names, then try again. Meta's support needs the trace id.",
        ),
    };
    cause.with_meta(meta)
}

fn slow_down(meta: MetaError, now: Timestamp, pause: Duration) -> Cause {
    let hours = pause.as_secs().div_ceil(3600);
    let wait = if pause.as_secs() < 3600 { "some minutes".to_owned() } else { format!("{hours} hours") };
    let mut cause = Cause::new(
        "meta_limit",
        Turn::Ours,
        format!("Meta allows no more attempts for now: {}", meta.details),
        format!("Wait {wait}: we go on by ourselves."),
    );
    cause.not_before = Some(now + pause);
    cause.with_meta(meta)
}

pub(super) fn grant_mismatch(detail: &str) -> Stop {
    Cause::new(
        GRANT_MISMATCH,
        Turn::Person,
        detail,
        "Send the ids that this signup's finish event named, or none: then we find them.",
    )
    .into()
}

pub(super) fn number_in_use() -> Stop {
    Cause::new(
        NUMBER_IN_USE,
        Turn::Person,
        "The number is in use under another account of this platform.",
        "Release it there first, or sign up with another number.",
    )
    .into()
}

pub(super) fn grant_invalid(detail: &str) -> Stop {
    Cause::new(
        "grant_invalid",
        Turn::NewSignup,
        detail,
        "Sign up again and leave all permissions switched on. If it happens each time, the signup configuration is wrong.",
    ).into()
}

/// The client left while it was signing up.
pub(super) fn removed() -> Stop {
    Cause::new(
        "client_removed",
        Turn::NewSignup,
        "The business removed us from its account while the signup was at work.",
        "Sign up again if that was not meant.",
    )
    .into()
}

pub(super) fn person(code: &str, detail: &str, action: &str) -> Stop {
    Cause::new(code, Turn::Person, detail, action).into()
}

pub(super) fn ours(code: &str, detail: &str) -> Stop {
    Cause::new(code, Turn::Ours, detail, "Nothing to do: we try again by ourselves.").into()
}

pub(super) fn unverified() -> Cause {
    Cause::new(
        "number_unverified",
        Turn::Person,
        "The number's ownership is not verified.",
        "Verify it by the one-time password in WhatsApp Manager; we look again by ourselves.",
    )
}

/// What register's errors mean (Meta, registration of business phone numbers, 2026-09-11).
pub(super) fn of_register(error: GraphError, now: Timestamp) -> Stop {
    let GraphError::Refused(meta) = error else { return of_graph(error, now) };
    let hour = Duration::from_secs(60 * 60);
    let cause = match meta.code {
        133_005 => Cause::new(
            PIN_MISMATCH,
            Turn::Person,
            "The number has two-step verification with another PIN.",
            "Enter its six-digit PIN, or switch two-step verification off in WhatsApp Manager, then try again.",
        ),
        133_006 => unverified(),
        133_008 | 133_009 => {
            let mut cause = Cause::new(
                "pin_locked",
                Turn::Ours,
                format!("Meta does not take a PIN for now: {}", meta.details),
                "Wait: we go on by ourselves.",
            );
            cause.not_before = Some(now + hour);
            cause
        }
        _ => return of_refusal(meta, now).into(),
    };
    cause.with_meta(meta).into()
}

//! Reconciling a client: what drifted, and what mends it.

use serde::Serialize;

use crate::domain::Timestamp;
use crate::domain::drift::{Check, Drift, DriftName, MetaCall};
use crate::domain::ids::PhoneNumberId;
use crate::domain::onboarding::Turn;
use crate::flows::reconcile::{Mended, Repair};

/// One difference between how Meta shows a client and how its onboarding made it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Drift"))]
pub(super) struct DriftItem<'a> {
    name: DriftName,
    /// What is so, for a person.
    detail: &'static str,
    /// How it was made, where that can be said in a word.
    expected: Option<&'a str>,
    /// How Meta shows it.
    found: Option<&'a str>,
    /// Who can mend it: `ours` is one call of reconcile.
    turn: Turn,
    /// What to do about it.
    action: &'static str,
    /// The calls to Meta that reconcile would make, in order. Empty where only our record is put right, and where
    /// somebody else has to act.
    calls: &'a [MetaCall],
}

impl<'a> DriftItem<'a> {
    pub(super) fn of(drift: &'a Drift) -> Self {
        Self {
            name: drift.name,
            detail: drift.name.detail(),
            expected: drift.expected.as_deref(),
            found: drift.found.as_deref(),
            turn: drift.turn,
            action: drift.action(),
            calls: &drift.calls,
        }
    }
}

fn items(drifts: &[Drift]) -> Vec<DriftItem<'_>> {
    drifts.iter().map(DriftItem::of).collect()
}

/// What became of one drift that was Switchboard's to mend.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Mended"))]
struct MendedItem<'a> {
    name: DriftName,
    /// Whether its calls were made, and Meta did them.
    done: bool,
    /// Why not.
    problem: Option<&'a str>,
}

/// A client as it was looked at.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Reconciliation<'a> {
    phone_number_id: &'a PhoneNumberId,
    /// Of the last look.
    checked_at: Timestamp,
    /// `true`: nothing was changed.
    dry_run: bool,
    /// What was found, before anything was mended.
    drifts: Vec<DriftItem<'a>>,
    /// What was mended.
    mended: Vec<MendedItem<'a>>,
    /// What the look afterwards found. Without anything mended, the same as `drifts`.
    left: Vec<DriftItem<'a>>,
}

impl<'a> Reconciliation<'a> {
    /// A look that changed nothing.
    #[must_use]
    pub fn looked(id: &'a PhoneNumberId, check: &'a Check) -> Self {
        Self {
            phone_number_id: id,
            checked_at: check.at,
            dry_run: true,
            drifts: items(&check.drifts),
            mended: Vec::new(),
            left: items(&check.drifts),
        }
    }

    /// A mending.
    #[must_use]
    pub fn mended(id: &'a PhoneNumberId, repair: &'a Repair) -> Self {
        let one = |it: &'a Mended| MendedItem {
            name: it.name,
            done: it.problem.is_none(),
            problem: it.problem.as_deref(),
        };
        Self {
            phone_number_id: id,
            checked_at: repair.check.at,
            dry_run: false,
            drifts: items(&repair.found),
            mended: repair.mended.iter().map(one).collect(),
            left: items(&repair.check.drifts),
        }
    }
}

/// `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(transparent))]
pub struct DryRun(pub bool);

impl TryFrom<String> for DryRun {
    type Error = ();
    fn try_from(value: String) -> Result<Self, ()> {
        match value.as_str() {
            "true" => Ok(Self(true)),
            "false" => Ok(Self(false)),
            _ => Err(()),
        }
    }
}

/// What this file describes.
#[cfg(feature = "openapi")]
pub(super) fn operations() -> Vec<super::describe::Operation> {
    use super::describe::Operation;
    let path = "/api/whatsapp/clients/{phoneNumberId}/reconcile";
    let reconcile = Operation::new("post", path, "reconcileClient", "Compares a client with Meta, and mends it")
        .described(
            "Looks at the client as Meta shows it, names what drifted from how its onboarding made it, and makes the \
             calls that mend it. With `dryRun=true` nothing is changed, and `calls` says what would be called. It may \
             be repeated: each call looks first.",
        )
        .path::<PhoneNumberId>("phoneNumberId", "The client.", "client_not_found")
        .query::<DryRun>("dryRun", "`true`: only look. `false`, the default: mend.")
        .answer::<Reconciliation<'_>>(200, "What was found, and what was done.")
        .problem(409, "client_not_active")
        .problem(409, "client_busy")
        .problem(422, "refused_by_meta")
        .problem(429, "rate_limited")
        .problem(503, "meta_unavailable")
        .problem(503, "partner_token_refused");
    vec![reconcile]
}

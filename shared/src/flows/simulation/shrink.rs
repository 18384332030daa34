//! The shortest history that still breaks the same promise.

use super::engine::{Failure, play};
use super::plan::Plan;

/// Leaves out as much as it can, larger parts first.
pub(super) fn shortest(plan: Plan) -> (Plan, Failure) {
    let mut best = plan;
    let mut failure = play(&best, true).expect_err("the plan fails, and plays the same each time");
    let mut part = best.items.len().div_ceil(2);
    while part > 0 {
        let mut from = 0;
        while from < best.items.len() {
            let mut shorter = best.clone();
            shorter.items.drain(from..(from + part).min(best.items.len()));
            match play(&shorter, true) {
                Err(same) if same.broken.promise == failure.broken.promise => {
                    (best, failure) = (shorter, same)
                }
                _ => from += part,
            }
        }
        part /= 2;
    }
    (best, failure)
}

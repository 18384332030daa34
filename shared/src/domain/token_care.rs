//! When a token is looked at, renewed and warned of: pure, of what Meta said of it and the time.
//!
//! A token's end is what `debug_token` says (Meta, Graph API reference, 2026), never a number of days after its
//! birth: business tokens live for ever or 60 days, as the signup's configuration wants, and tokens of a system user
//! may do either (Meta, Facebook Login for Business; system users, 2026).

use std::time::Duration;

use super::Timestamp;
use super::seal::Sealed;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long before its end a token is renewed: a third of the 60 days that Meta gives, and some days before the first
/// warning, so that nobody is warned of what we can mend.
pub const RENEW_BEFORE: Duration = Duration::from_secs(20 * 24 * 60 * 60);
/// How many days before the end the partner is told, the earliest first.
pub const WARN_DAYS: [u32; 3] = [14, 7, 1];
/// Between two looks at a token about which nothing is known to be wrong.
pub const LOOK_EVERY: Duration = DAY;
/// Between the two refusals that prove a death: an outage of a part of Meta's may be over by then.
pub const PROOF_AFTER: Duration = Duration::from_secs(5 * 60);
/// Failures of renewing in a row after which somebody must look: more than a day's worth.
pub const ALARM_AFTER: u32 = 5;

/// What looking after a token has found so far. A new token begins with nothing once it has worked.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Care {
    /// When Meta last told of the token.
    pub looked_at: Option<Timestamp>,
    /// Of how few days before the end the partner was told.
    pub told_days: Option<u32>,
    /// When Meta first refused a call with the token, of refusals in a row.
    pub refused_at: Option<Timestamp>,
    /// Renewals that failed in a row.
    pub failures: u32,
}

/// The token before the present one, kept until the present one has worked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Previous {
    /// Sealed for the same grant.
    pub token: Sealed,
    /// When it ends; `None` = never.
    pub expires_at: Option<Timestamp>,
}

/// What is to be done about a token that is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Whether it is to be renewed.
    pub renew: bool,
    /// Of how many days the partner is to be told, if the token stays as it is.
    pub warn: Option<u32>,
}

impl Due {
    /// What is due at `now` for a token that ends at `expires_at`.
    #[must_use]
    pub fn at(now: Timestamp, expires_at: Option<Timestamp>, told_days: Option<u32>) -> Self {
        let Some(end) = expires_at else { return Self { renew: false, warn: None } };
        let nearest = WARN_DAYS.into_iter().rfind(|days| now >= before(end, days_long(*days)));
        // What was told of an end that Meta has moved since counts no more.
        let told = told_days.filter(|told| now >= before(end, days_long(*told)));
        let warn = nearest.filter(|days| told.is_none_or(|told| *days < told));
        Self { renew: now >= before(end, RENEW_BEFORE), warn }
    }
}

/// When a token that is alive is looked at again: after [`LOOK_EVERY`], sooner where something is due before, or
/// where renewing it failed.
#[must_use]
pub fn next_look(now: Timestamp, expires_at: Option<Timestamp>, failures: u32) -> Timestamp {
    let Some(end) = expires_at else { return now + LOOK_EVERY };
    let moments = WARN_DAYS.map(days_long).into_iter().chain([RENEW_BEFORE]).map(|ahead| before(end, ahead));
    let soonest = moments.filter(|at| *at > now).fold(now + LOOK_EVERY, Timestamp::min);
    match failures {
        0 => soonest,
        failures => soonest.min(now + retry_after(now, end, failures)),
    }
}

/// An hour after a first failure, growing to half a day; towards the end ever sooner.
fn retry_after(now: Timestamp, end: Timestamp, failures: u32) -> Duration {
    let left = Duration::try_from(end.duration_since(now)).unwrap_or_default();
    let pause = HOUR.saturating_mul(1 << failures.saturating_sub(1).min(8)).min(DAY / 2);
    pause.min((left / 4).max(HOUR / 6))
}

fn days_long(days: u32) -> Duration {
    DAY * days
}

/// A time of Meta's may be any number; one that cannot be reckoned with is as good as the first of all.
fn before(end: Timestamp, by: Duration) -> Timestamp {
    end.checked_sub(by).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn after(days: f64) -> Timestamp {
        start() + DAY.mul_f64(days)
    }

    #[test]
    fn a_token_that_never_ends_is_looked_at_daily_and_nothing_else() {
        assert_eq!(Due::at(start(), None, None), Due { renew: false, warn: None });
        assert_eq!(next_look(start(), None, 0), after(1.0));
        assert_eq!(next_look(start(), None, 3), after(1.0));
    }

    #[test]
    fn the_life_of_a_token_of_sixty_days_that_nobody_can_renew() {
        let end = Some(after(60.0));
        let (mut now, mut told, mut failures) = (start(), None, 0);
        let (mut warned, mut renewed_from) = (Vec::new(), None);
        while now < after(60.0) {
            let due = Due::at(now, end, told);
            if due.renew {
                renewed_from = renewed_from.or(Some(now));
                failures += 1;
            }
            if let Some(days) = due.warn {
                warned.push((days, now));
                told = Some(days);
            }
            let next = next_look(now, end, failures);
            assert!(next > now && next <= now + LOOK_EVERY, "{now}");
            now = next;
        }
        assert_eq!(renewed_from, Some(after(40.0)), "to the minute");
        assert_eq!(warned, [(14, after(46.0)), (7, after(53.0)), (1, after(59.0))]);
        assert!(failures > 40, "it was tried to the end: {failures}");
    }

    #[test]
    fn whoever_looks_late_tells_of_the_nearest_end_only_and_of_nothing_twice() {
        let end = Some(after(5.0));
        assert_eq!(Due::at(start(), end, None), Due { renew: true, warn: Some(7) });
        assert_eq!(Due::at(start(), end, Some(14)).warn, Some(7));
        assert_eq!(Due::at(start(), end, Some(7)).warn, None);
        assert_eq!(Due::at(after(4.5), end, Some(7)).warn, Some(1));
        assert_eq!(Due::at(after(9.0), end, Some(1)).warn, None, "what is over is told otherwise");
    }

    #[test]
    fn what_was_told_of_an_end_that_moved_counts_no_more() {
        let (old, new) = (Some(after(6.0)), Some(after(13.0)));
        assert_eq!(Due::at(start(), old, Some(7)).warn, None);
        assert_eq!(Due::at(start(), new, Some(7)).warn, Some(14));
    }

    #[test]
    fn after_a_failure_it_is_tried_again_sooner_and_towards_the_end_ever_sooner() {
        let end = Some(after(18.0));
        let hours = |failures| {
            Duration::try_from(next_look(start(), end, failures).duration_since(start())).unwrap().as_secs()
                / 3600
        };
        assert_eq!([1, 2, 3, 4, 5, 50].map(hours), [1, 2, 4, 8, 12, 12]);
        let last_hour = after(18.0) - HOUR;
        assert_eq!(next_look(last_hour, end, 9), last_hour + HOUR / 4);
    }

    #[test]
    fn any_time_that_meta_may_name_is_reckoned_with() {
        for end in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
            let due = Due::at(start(), Some(end), None);
            assert_eq!(due.renew, end < start());
            assert!(next_look(start(), Some(end), 1) > start());
        }
    }
}

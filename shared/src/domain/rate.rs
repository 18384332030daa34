//! How fast may be sent: Meta's limits per number and per customer, and what its refusals teach (Meta,
//! throughput and rate limit pages, 2026).

use std::time::Duration;

use super::Timestamp;
use super::ids::{PhoneNumberId, WabaId};

/// One message to one customer in this time, on average.
pub const PAIR_INTERVAL: Duration = Duration::from_secs(6);
/// So many at once, borrowed from the time that follows.
pub const PAIR_BURST: u32 = 45;
/// Without a refusal for so long, a number's rate doubles again.
const RECOVERY: Duration = Duration::from_secs(60);
/// Refusals within this time are of sends that were on their way together: they count once.
const TOGETHER: Duration = Duration::from_secs(2);
/// A rate is halved so often at most: a number always sends a little, and so learns when it may again.
const MOST_HALVINGS: u32 = 6;
/// The pause of a pair grows up to 4^6 seconds, somewhat more than an hour.
const MOST_REFUSALS: u32 = 6;
/// After so long without a refusal a pair begins anew.
const FORGIVEN: Duration = Duration::from_secs(60 * 60);

/// What can be made to wait as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RateKey {
    /// Everything that our app does.
    App,
    /// One WhatsApp account.
    Account(WabaId),
    /// One number.
    Number(PhoneNumberId),
}

/// What keeps a [`RateKey`] back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Brake {
    /// Nothing goes out before.
    pub held_until: Option<Timestamp>,
    /// A number's rate is lower than usual.
    pub slowed: Option<Slowed>,
}

/// A rate that was halved, and recovers by doubling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowed {
    /// How often it was halved, as of `at`.
    pub halvings: u32,
    /// The newest refusal.
    pub at: Timestamp,
}

impl Slowed {
    /// After another refusal. `None` where it is one of those that `known` is about.
    #[must_use]
    pub fn again(known: Option<&Self>, now: Timestamp) -> Option<Self> {
        if known.is_some_and(|slowed| now < slowed.at + TOGETHER) {
            return None;
        }
        let halvings = known.map_or(0, |slowed| slowed.left(now)) + 1;
        Some(Self { halvings: halvings.min(MOST_HALVINGS), at: now })
    }

    /// What is left of a rate; at least one message a second.
    #[must_use]
    pub fn of(&self, rate: u32, now: Timestamp) -> u32 {
        (rate >> self.left(now)).max(1)
    }

    fn left(&self, now: Timestamp) -> u32 {
        let recovered = now.duration_since(self.at).as_secs() / RECOVERY.as_secs().cast_signed();
        self.halvings.saturating_sub(u32::try_from(recovered).unwrap_or(0))
    }
}

/// The limit of one number and one customer: a theoretical arrival time (the generic cell rate algorithm),
/// and the pauses that refusals asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pair {
    /// When the budget is whole again.
    pub whole_at: Option<Timestamp>,
    /// Nothing goes out before, because Meta refused.
    pub held_until: Option<Timestamp>,
    /// Refusals in a row.
    pub refusals: u32,
}

/// Whether a message may go to a customer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairTurn {
    /// Yes, and it is counted.
    Now {
        /// Refusals in a row so far: a success ends them.
        refusals: u32,
    },
    /// Not before then.
    NotBefore(Timestamp),
}

impl Pair {
    /// The latest `whole_at` with which one more may go out.
    #[must_use]
    pub fn latest(now: Timestamp) -> Timestamp {
        now + PAIR_INTERVAL * (PAIR_BURST - 1)
    }

    /// When the next message may go out, if not now.
    #[must_use]
    pub fn not_before(&self, now: Timestamp) -> Option<Timestamp> {
        let budget = self.whole_at.map(|at| at - PAIR_INTERVAL * (PAIR_BURST - 1));
        self.held_until.max(budget).filter(|at| *at > now)
    }

    /// With one more message counted.
    #[must_use]
    pub fn taken(&self, now: Timestamp) -> Self {
        let from = self.whole_at.map_or(now, |at| at.max(now));
        Self { whole_at: Some(from + PAIR_INTERVAL), ..*self }
    }

    /// After a refusal: 4^n seconds, n counting from 0 (Meta, error 131056).
    #[must_use]
    pub fn refused(&self, now: Timestamp) -> Self {
        let recent = self.held_until.is_some_and(|until| now < until + FORGIVEN);
        let refusals = if recent { self.refusals } else { 0 };
        let pause = Duration::from_secs(4_u64.pow(refusals.min(MOST_REFUSALS)));
        Self { held_until: Some(now + pause), refusals: refusals + 1, ..*self }
    }
}

/// How much of a limit is used, as Meta's usage headers tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Whose limit.
    pub key: RateKey,
    /// The most used of its measures.
    pub percent: u32,
    /// After which Meta takes calls again, if it said so.
    pub regained_after: Option<Duration>,
}

impl Usage {
    /// How long to wait so that the limit is not hit, or is hit no longer. At most an hour: then one try
    /// asks Meta again, so that a nonsensical header stops nobody for long.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        const NEARLY: u32 = 90;
        const LONGEST: Duration = Duration::from_secs(60 * 60);
        let told = self.regained_after.filter(|after| !after.is_zero());
        match (told, self.percent) {
            (Some(told), _) => Some(told.min(LONGEST)),
            (None, 100..) => Some(Duration::from_secs(5 * 60)),
            (None, NEARLY..) => Some(Duration::from_secs(60)),
            _ => None,
        }
    }
}

/// A pause with up to a quarter more, so that what failed together does not come again together.
#[must_use]
pub fn scattered(pause: Duration, random: [u8; 16]) -> Duration {
    let more = pause / 4 * u32::from(random[0]) / 255;
    // Whole milliseconds, as records keep them.
    pause + Duration::from_millis(u64::try_from(more.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_rate_is_halved_by_each_refusal_and_doubles_each_minute_without_one() {
        let first = Slowed::again(None, at(0)).unwrap();
        assert_eq!([0, 59, 60].map(|s| first.of(80, at(s))), [40, 40, 80]);
        let second = Slowed::again(Some(&first), at(10)).unwrap();
        assert_eq!([10, 70, 130].map(|s| second.of(80, at(s))), [20, 40, 80]);
        let mut slowed = second;
        for n in 2..20 {
            slowed = Slowed::again(Some(&slowed), at(10 * n)).unwrap();
        }
        assert_eq!([80, 20].map(|rate| slowed.of(rate, at(190))), [1, 1]);
        assert_eq!(slowed.of(80, at(190 + 6 * 60)), 80);
    }

    #[test]
    fn refusals_of_sends_on_their_way_together_count_once() {
        let first = Slowed::again(None, at(0)).unwrap();
        assert_eq!(Slowed::again(Some(&first), at(1)), None);
        assert!(Slowed::again(Some(&first), at(2)).is_some());
    }

    #[test]
    fn a_customer_gets_a_burst_and_then_one_message_every_six_seconds() {
        let mut pair = Pair::default();
        for _ in 0..PAIR_BURST {
            assert_eq!(pair.not_before(at(0)), None);
            pair = pair.taken(at(0));
        }
        assert_eq!(pair.not_before(at(0)), Some(at(6)));
        assert_eq!(pair.not_before(at(6)), None);
        pair = pair.taken(at(6));
        assert_eq!(pair.not_before(at(6)), Some(at(12)));
        assert_eq!(pair.taken(at(10_000)).whole_at, Some(at(10_006)), "idle time is not saved up");
    }

    #[test]
    fn each_refusal_in_a_row_waits_four_times_as_long_and_an_hour_forgives() {
        let mut pair = Pair::default();
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..8 {
            pair = pair.refused(now);
            let until = pair.not_before(now).unwrap();
            waits.push(until.duration_since(now).as_secs());
            now = until;
        }
        assert_eq!(waits, [1, 4, 16, 64, 256, 1024, 4096, 4096]);
        let later = now + FORGIVEN;
        assert_eq!(pair.refused(later).held_until, Some(later + Duration::from_secs(1)));
    }

    #[test]
    fn usage_slows_down_shortly_before_the_limit_and_believes_meta_how_long() {
        let usage = |percent, minutes: Option<u64>| Usage {
            key: RateKey::App,
            percent,
            regained_after: minutes.map(|m| Duration::from_secs(60 * m)),
        };
        let minutes = |usage: Usage| usage.pause().map(|pause| pause.as_secs() / 60);
        assert_eq!(minutes(usage(89, None)), None);
        assert_eq!(minutes(usage(90, Some(0))), Some(1));
        assert_eq!(minutes(usage(100, None)), Some(5));
        assert_eq!(minutes(usage(100, Some(12))), Some(12));
        assert_eq!(minutes(usage(100, Some(100_000))), Some(60));
    }

    #[test]
    fn a_scattered_pause_is_never_shorter_and_at_most_a_quarter_longer() {
        let pause = Duration::from_secs(8);
        assert_eq!(scattered(pause, [0; 16]), pause);
        assert_eq!(scattered(pause, [255; 16]), Duration::from_secs(10));
    }
}

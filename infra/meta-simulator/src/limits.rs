//! Throughput of numbers and of pairs, as token buckets on the simulated clock. Not kept over a restart.

use std::collections::HashMap;

use crate::graph::error::GraphError;

/// Messages per second of an ordinary number (throughput page).
const NUMBER_PER_SECOND: f64 = 80.0;
/// Messages per second of a number that is also in the WhatsApp Business app.
const COEXISTENCE_PER_SECOND: f64 = 20.0;
/// Messages to one customer in a burst; afterwards one in six seconds.
const PAIR_BURST: f64 = 45.0;
const PAIR_PER_SECOND: f64 = 1.0 / 6.0;

/// All buckets.
#[derive(Default)]
pub(crate) struct Limits {
    numbers: HashMap<String, Bucket>,
    pairs: HashMap<(String, String), Bucket>,
}

struct Bucket {
    left: f64,
    at_ms: i64,
}

impl Limits {
    /// Takes one message of a number to a customer, or says which limit is used up.
    pub(crate) fn take(
        &mut self,
        number_id: &str,
        on_biz_app: bool,
        customer: &str,
        now_ms: i64,
    ) -> Result<(), GraphError> {
        let rate = if on_biz_app { COEXISTENCE_PER_SECOND } else { NUMBER_PER_SECOND };
        let number = bucket(&mut self.numbers, number_id.to_owned(), rate, now_ms);
        if !number.refilled(rate, rate, now_ms) {
            return Err(GraphError::new(400, 130_429, "(#130429) Rate limit hit")
                .details("Cloud API message throughput has been reached for this phone number."));
        }
        let key = (number_id.to_owned(), customer.to_owned());
        let pair = bucket(&mut self.pairs, key, PAIR_BURST, now_ms);
        if !pair.refilled(PAIR_BURST, PAIR_PER_SECOND, now_ms) {
            return Err(GraphError::new(
                400,
                131_056,
                "(#131056) (Business Account, Consumer Account) pair rate limit hit",
            )
            .details("Too many messages to this phone number in a short time. Wait and send again later."));
        }
        pair.left -= 1.0;
        bucket(&mut self.numbers, number_id.to_owned(), rate, now_ms).left -= 1.0;
        Ok(())
    }
}

fn bucket<K: std::hash::Hash + Eq>(
    map: &mut HashMap<K, Bucket>,
    key: K,
    full: f64,
    now_ms: i64,
) -> &mut Bucket {
    map.entry(key).or_insert(Bucket { left: full, at_ms: now_ms })
}

impl Bucket {
    /// Fills up for the time that passed; whether there is one left.
    fn refilled(&mut self, capacity: f64, per_second: f64, now_ms: i64) -> bool {
        let passed = u32::try_from((now_ms - self.at_ms).max(0)).unwrap_or(u32::MAX);
        self.left = (self.left + f64::from(passed) / 1000.0 * per_second).min(capacity);
        self.at_ms = now_ms;
        self.left >= 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(limits: &mut Limits, customers: usize, now_ms: i64) -> usize {
        let take = |n: &usize| limits.take("number", false, &n.to_string(), now_ms).is_ok();
        (0..customers).filter(take).count()
    }

    #[test]
    fn a_number_sends_eighty_a_second_to_different_customers() {
        let mut limits = Limits::default();
        assert_eq!(accepted(&mut limits, 100, 0), 80);
        assert_eq!(accepted(&mut limits, 100, 500), 40);
        assert_eq!(accepted(&mut limits, 100, 60_000), 80);
    }

    #[test]
    fn a_pair_has_a_burst_of_45_and_then_one_in_six_seconds() {
        let mut limits = Limits::default();
        let mut take = |now_ms| limits.take("number", false, "customer", now_ms).is_ok();
        assert_eq!((0..60).filter(|_| take(0)).count(), 45);
        assert!(!take(5_999) && take(6_001) && !take(6_002));
    }
}

//! The machine's own clock and randomness.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::domain::Timestamp;
use crate::ports::{Clock, Random, Ticks};

/// The wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The monotonic clock, since it was asked first.
impl Ticks for SystemClock {
    fn elapsed(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("Linux gives random bytes to every process");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_fresh() {
        assert_ne!(SystemRandom.bytes(), SystemRandom.bytes());
    }
}

//! Time as the simulator sees it.

/// Milliseconds of one second.
pub(crate) const SECOND_MS: i64 = 1_000;
/// Milliseconds of one minute.
pub(crate) const MINUTE_MS: i64 = 60 * SECOND_MS;
/// Milliseconds of one hour.
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Milliseconds of one day.
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// The machine's own time in Unix milliseconds: what logs of calls and deliveries show. The simulated
/// time, which a test can move, is `State::now_ms`.
pub(crate) fn wall_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Unix milliseconds as RFC 3339 with milliseconds, in UTC.
pub(crate) fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}

//! The only reader of the clock. Everything else is handed the time.
#![expect(clippy::disallowed_methods, reason = "this is the one place")]

use std::time::Instant;

use jiff::Timestamp;

/// Wall-clock time, UTC, cut to microseconds: what PostgreSQL keeps, so that a stored time equals the one in hand.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// Monotonic time: for durations, time-outs and latencies. Never stored.
pub fn monotonic() -> Instant {
    Instant::now()
}

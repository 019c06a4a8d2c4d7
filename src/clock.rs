//! The only reader of the clock. Everything else is handed the time.
#![expect(clippy::disallowed_methods, reason = "this is the one place")]

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Two reads that are further apart are of two moments.
const APART: Duration = Duration::from_millis(20);

/// Wall-clock time, UTC, cut to microseconds: what PostgreSQL keeps, so that a stored time equals the one in hand.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// Both clocks at one moment. Who is stopped between the two reads (a signal, a busy machine) reads again, a few times at most: else the
/// stop would look like a step of the wall clock.
pub fn both() -> (Timestamp, Instant) {
    let mut read = (monotonic(), now(), monotonic());
    for _ in 0..5 {
        if read.2.duration_since(read.0) < APART {
            break;
        }
        read = (monotonic(), now(), monotonic());
    }
    (read.1, read.0)
}

/// Monotonic time: for durations, time-outs and latencies. Never stored.
pub fn monotonic() -> Instant {
    Instant::now()
}

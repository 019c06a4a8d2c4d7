//! How strongly an event works at any moment: a pure function of its times.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// From when to when something works, Unix microseconds, half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: i64,
    /// `None`: for ever.
    end: Option<i64>,
}

impl Span {
    /// From `after` the start of the simulation, for as long as it lasts.
    pub fn new(started: Timestamp, after: Duration, lasts: Option<Duration>) -> Span {
        let start = started.as_microsecond().saturating_add(micros(after));
        Span { start, end: lasts.map(|lasts| start.saturating_add(micros(lasts))) }
    }

    /// Its first microsecond.
    pub const fn start(self) -> i64 {
        self.start
    }

    /// Whether it works at `at`.
    pub fn holds(self, at: i64) -> bool {
        self.start <= at && self.end.is_none_or(|end| at < end)
    }

    /// How strongly (0 to 1) it works when it takes `within` to come and to go, in a straight line.
    pub fn ramp(self, within: Duration, at: i64) -> f64 {
        let way = |from: i64, to: i64| {
            let within = within.as_secs_f64();
            if within > 0.0 { (seconds(from, to) / within).min(1.0) } else { 1.0 }
        };
        self.shaped(at, way)
    }

    /// How strongly (0 to 1) it works when it comes and goes as `1 - exp(-t / time_constant_s)`.
    pub fn lag(self, time_constant_s: f64, at: i64) -> f64 {
        self.shaped(at, |from, to| 1.0 - (-seconds(from, to) / time_constant_s).exp())
    }

    fn shaped(self, at: i64, way: impl Fn(i64, i64) -> f64) -> f64 {
        if at < self.start {
            return 0.0;
        }
        match self.end {
            Some(end) if at >= end => (way(self.start, end) - way(end, at)).max(0.0),
            Some(_) | None => way(self.start, at),
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn seconds(from: i64, to: i64) -> f64 {
    SignedDuration::from_micros(to.saturating_sub(from)).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(lasts: Option<u64>) -> Span {
        Span::new(Timestamp::UNIX_EPOCH, Duration::from_secs(10), lasts.map(Duration::from_secs))
    }

    #[test]
    fn a_step_is_a_step() {
        let span = span(Some(5));
        for (at, expected) in [(9_999_999, 0.0), (10_000_000, 1.0), (14_999_999, 1.0), (15_000_000, 0.0)] {
            assert_eq!(span.ramp(Duration::ZERO, at), expected, "{at}");
            assert_eq!(span.holds(at), expected > 0.5, "{at}");
        }
    }

    #[test]
    fn a_ramp_comes_and_goes() {
        let within = Duration::from_secs(2);
        let level = |at_ms: i64| span(Some(5)).ramp(within, at_ms * 1000);
        assert_eq!([level(10_000), level(11_000), level(12_000)], [0.0, 0.5, 1.0]);
        assert_eq!([level(14_000), level(16_000), level(17_000), level(90_000)], [1.0, 0.5, 0.0, 0.0]);
        assert_eq!(span(None).ramp(within, i64::MAX), 1.0);
    }

    #[test]
    fn a_lag_nears_its_end_and_returns() {
        let level = |at_s: i64| span(Some(60)).lag(10.0, at_s * 1_000_000);
        assert_eq!(level(10), 0.0);
        assert!((level(20) - 0.632).abs() < 0.001);
        assert!(level(69) > 0.99 && level(200) < 0.01);
    }
}

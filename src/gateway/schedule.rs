//! When to scan: ticks on the wall clock's whole periods. Pure: the time goes in, the next tick comes out. A tick that was
//! missed (a stopped process, a stall) is skipped, never made up for.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A clock that moves by more than this against the monotonic one was set.
const STEP: Duration = Duration::from_secs(1);
/// After a step back by at most this, no tick is given twice; after a longer one the new time counts.
const WAIT_AFTER_STEP_BACK_MS: i64 = 10_000;

/// The ticks of one outlet.
#[derive(Debug, Clone)]
pub struct Ticks {
    period_ms: i64,
    /// The newest that was given, or that was over at the start.
    last: i64,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Scan, for this tick.
    Scan(Timestamp),
    /// Ask again after this time.
    Wait(Duration),
}

impl Ticks {
    /// `period`: whole milliseconds that divide a minute. The first tick is after `started`: the one before may have been
    /// scanned by the run before, and a second scan of it would claim the place of the first.
    pub fn new(period: Duration, started: Timestamp) -> Ticks {
        let period_ms = i64::try_from(period.as_millis()).unwrap_or(i64::MAX).max(1);
        let now_ms = started.as_millisecond();
        Ticks { period_ms, last: now_ms - now_ms.rem_euclid(period_ms) }
    }

    /// The tick that is due, or how long there is none. A tick is due until half its period is over.
    pub fn next(&mut self, now: Timestamp) -> Next {
        let now_ms = now.as_millisecond();
        let tick = now_ms - now_ms.rem_euclid(self.period_ms);
        let fresh = tick > self.last || self.last - tick > WAIT_AFTER_STEP_BACK_MS;
        let in_time = now_ms - tick <= self.period_ms / 2;
        if fresh
            && in_time
            && let Ok(at) = Timestamp::from_millisecond(tick)
        {
            self.last = tick;
            return Next::Scan(at);
        }
        let wait_us = (tick + self.period_ms).saturating_mul(1000).saturating_sub(now.as_microsecond());
        Next::Wait(Duration::from_micros(u64::try_from(wait_us).unwrap_or(0)))
    }

    /// Time left until the scan of `tick` must be closed: the end of its period minus a margin for closing it.
    pub fn time_left(&self, tick: Timestamp, now: Timestamp) -> Duration {
        let margin = (self.period_ms / 10).min(100);
        let left = tick.as_millisecond() + self.period_ms - margin - now.as_millisecond();
        // Never longer than a period, also when the clock was set back in between.
        Duration::from_millis(u64::try_from(left.min(self.period_ms - margin)).unwrap_or(0))
    }
}

/// Compares the wall clock with the monotonic one.
#[derive(Debug, Clone)]
pub struct ClockWatch {
    wall: Timestamp,
    monotonic: Instant,
}

/// The wall clock was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What it would have shown.
    pub expected: Timestamp,
    /// What it shows.
    pub found: Timestamp,
}

impl ClockWatch {
    pub fn new(wall: Timestamp, monotonic: Instant) -> ClockWatch {
        ClockWatch { wall, monotonic }
    }

    /// The step since the last look, if there was one of more than a second. Time in which the machine slept without its
    /// monotonic clock counts as a step too, and it is one: readings are missing for it.
    pub fn look(&mut self, wall: Timestamp, monotonic: Instant) -> Option<Step> {
        let passed = monotonic.saturating_duration_since(self.monotonic);
        let expected = self.wall.checked_add(passed).unwrap_or(self.wall);
        self.wall = wall;
        self.monotonic = monotonic;
        let off = wall.duration_since(expected).unsigned_abs();
        (off > STEP).then_some(Step { expected, found: wall })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Every 2 s, from a while before.
    fn every_two_seconds() -> Ticks {
        Ticks::new(Duration::from_secs(2), at("2026-11-21T04:00:03.999Z"))
    }

    #[test]
    fn a_restart_does_not_scan_a_tick_again() {
        let mut ticks = Ticks::new(Duration::from_secs(2), at("2026-11-21T04:00:06.100Z"));
        assert_eq!(ticks.next(at("2026-11-21T04:00:06.200Z")), Next::Wait(Duration::from_millis(1800)));
        assert_eq!(ticks.next(at("2026-11-21T04:00:08.000Z")), Next::Scan(at("2026-11-21T04:00:08Z")));
    }

    #[test]
    fn ticks_are_on_whole_periods_each_once() {
        let mut ticks = every_two_seconds();
        assert_eq!(ticks.next(at("2026-11-21T04:00:05.500Z")), Next::Wait(Duration::from_millis(500)));
        assert_eq!(ticks.next(at("2026-11-21T04:00:06.001Z")), Next::Scan(at("2026-11-21T04:00:06Z")));
        assert_eq!(ticks.next(at("2026-11-21T04:00:06.300Z")), Next::Wait(Duration::from_millis(1700)));
        assert_eq!(ticks.next(at("2026-11-21T04:00:08.000Z")), Next::Scan(at("2026-11-21T04:00:08Z")));
    }

    #[test]
    fn a_stall_makes_a_gap_and_no_burst() {
        let mut ticks = every_two_seconds();
        assert_eq!(ticks.next(at("2026-11-21T04:00:06Z")), Next::Scan(at("2026-11-21T04:00:06Z")));
        assert_eq!(ticks.next(at("2026-11-21T04:10:06.100Z")), Next::Scan(at("2026-11-21T04:10:06Z")));
        assert_eq!(ticks.next(at("2026-11-21T04:10:06.200Z")), Next::Wait(Duration::from_millis(1800)));
        assert_eq!(
            ticks.next(at("2026-11-21T04:10:09.200Z")),
            Next::Wait(Duration::from_millis(800)),
            "too late"
        );
    }

    #[test]
    fn a_small_step_back_gives_no_tick_twice_and_a_large_one_goes_on() {
        let mut ticks = every_two_seconds();
        assert!(matches!(ticks.next(at("2026-11-21T04:00:06Z")), Next::Scan(_)));
        assert!(matches!(ticks.next(at("2026-11-21T04:00:04.100Z")), Next::Wait(_)));
        assert!(matches!(ticks.next(at("2026-11-21T04:00:06.100Z")), Next::Wait(_)));
        assert!(matches!(ticks.next(at("2026-11-21T04:00:08.000Z")), Next::Scan(_)));
        assert_eq!(ticks.next(at("2026-11-21T03:00:08.000Z")), Next::Scan(at("2026-11-21T03:00:08Z")));
    }

    #[test]
    fn a_scan_closes_before_its_period_ends() {
        let ticks = every_two_seconds();
        let tick = at("2026-11-21T04:00:06Z");
        assert_eq!(ticks.time_left(tick, at("2026-11-21T04:00:06.400Z")), Duration::from_millis(1500));
        assert_eq!(ticks.time_left(tick, at("2026-11-21T04:00:09Z")), Duration::ZERO);
        assert_eq!(ticks.time_left(tick, at("2026-11-21T03:00:00Z")), Duration::from_millis(1900));
    }

    #[test]
    fn a_step_is_seen_once_and_drift_is_none() {
        let start = crate::clock::monotonic();
        let mut watch = ClockWatch::new(at("2026-11-21T04:00:00Z"), start);
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(watch.look(at("2026-11-21T04:00:01.900Z"), after(1)), None);
        let step = watch.look(at("2026-11-21T05:00:02.900Z"), after(2)).unwrap();
        assert_eq!(
            (step.expected, step.found),
            (at("2026-11-21T04:00:02.900Z"), at("2026-11-21T05:00:02.900Z"))
        );
        assert_eq!(watch.look(at("2026-11-21T05:00:03.900Z"), after(3)), None);
        assert!(watch.look(at("2026-11-20T05:00:03.900Z"), after(4)).is_some());
    }

    proptest! {
        #[test]
        fn time_that_runs_on_gives_rising_aligned_ticks(
            period in prop::sample::select(vec![500_u64, 1000, 2000, 5000, 60_000]),
            steps in proptest::collection::vec(0_i64..5000, 1..80),
        ) {
            let (mut now, mut last) = (1_795_000_000_000_i64, i64::MIN);
            let started = Timestamp::from_millisecond(now).unwrap();
            let mut ticks = Ticks::new(Duration::from_millis(period), started);
            for step in steps {
                now += step;
                match ticks.next(Timestamp::from_millisecond(now).unwrap()) {
                    Next::Scan(tick) => {
                        let tick = tick.as_millisecond();
                        prop_assert!(tick > last && tick <= now && now - tick <= 2500.max(period as i64 / 2));
                        prop_assert_eq!(tick % period as i64, 0);
                        last = tick;
                    }
                    Next::Wait(wait) => {
                        let wake = now + wait.as_millis() as i64;
                        prop_assert!(wait.as_millis() as u64 <= period && wake % period as i64 == 0);
                    }
                }
            }
        }
    }
}

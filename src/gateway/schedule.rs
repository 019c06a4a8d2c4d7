//! When to scan: ticks on the wall clock's whole periods. Pure: the time goes in, the next tick comes out. A tick that was
//! missed (a stopped process, a stall) is skipped, never made up for. Which time is right after the clock was set nobody here can
//! know: after a small step back the ticks that were given are waited for, after a large one the new time counts, so that a gateway is
//! never silent for as long as its clock was wrong. What then comes a second time the centre tells apart: the first stands.

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
    /// The newest that was given since the clock was last set back far, or that was over at the start.
    last: i64,
    /// The newest that was ever given.
    highest: i64,
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
        let last = now_ms - now_ms.rem_euclid(period_ms);
        Ticks { period_ms, last, highest: last }
    }

    /// The tick that is due, or how long there is none. A tick is due until half its period is over.
    pub fn next(&mut self, now: Timestamp) -> Next {
        let now_ms = now.as_millisecond();
        let tick = now_ms - now_ms.rem_euclid(self.period_ms);
        // Also when the clock was set back far, and forth again.
        let fresh = is_fresh(tick, self.last) && is_fresh(tick, self.highest);
        let in_time = now_ms - tick <= self.period_ms / 2;
        if fresh
            && in_time
            && let Ok(at) = Timestamp::from_millisecond(tick)
        {
            (self.last, self.highest) = (tick, self.highest.max(tick));
            return Next::Scan(at);
        }
        let wait_us = (tick + self.period_ms).saturating_mul(1000).saturating_sub(now.as_microsecond());
        Next::Wait(Duration::from_micros(u64::try_from(wait_us).unwrap_or(0)))
    }

    /// Whether what is read now can be no part of the scan of `tick` any more: the machine slept, or the clock was set forward, while
    /// the analysers were asked.
    pub fn is_over(&self, tick: Timestamp, now: Timestamp) -> bool {
        now.as_millisecond() - tick.as_millisecond() > self.period_ms + self.period_ms / 2
    }

    /// Time left until the scan of `tick` must be closed: the end of its period minus a margin for closing it.
    pub fn time_left(&self, tick: Timestamp, now: Timestamp) -> Duration {
        let margin = (self.period_ms / 10).min(100);
        let left = tick.as_millisecond() + self.period_ms - margin - now.as_millisecond();
        // Never longer than a period, also when the clock was set back in between.
        Duration::from_millis(u64::try_from(left.min(self.period_ms - margin)).unwrap_or(0))
    }
}

/// Not given before, as far as `given` tells: behind it, or so far before it that the clock must have been set back.
const fn is_fresh(tick: i64, given: i64) -> bool {
    tick > given || given - tick > WAIT_AFTER_STEP_BACK_MS
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
    fn a_clock_that_is_set_back_far_and_forth_again_gives_no_tick_twice() {
        let mut ticks = every_two_seconds();
        assert!(matches!(ticks.next(at("2026-11-21T04:00:06Z")), Next::Scan(_)));
        assert_eq!(ticks.next(at("2026-11-21T03:00:08Z")), Next::Scan(at("2026-11-21T03:00:08Z")));
        assert!(matches!(ticks.next(at("2026-11-21T04:00:06.500Z")), Next::Wait(_)));
        assert_eq!(ticks.next(at("2026-11-21T04:00:08.000Z")), Next::Scan(at("2026-11-21T04:00:08Z")));
    }

    #[test]
    fn what_is_read_after_a_sleep_is_no_part_of_the_scan_of_before() {
        let ticks = every_two_seconds();
        let tick = at("2026-11-21T04:00:06Z");
        assert!(!ticks.is_over(tick, at("2026-11-21T04:00:08.100Z")), "a little late, as a busy machine is");
        assert!(ticks.is_over(tick, at("2026-11-21T04:00:09.100Z")));
        assert!(ticks.is_over(tick, at("2026-11-21T05:00:07Z")));
        assert!(!ticks.is_over(tick, at("2026-11-21T03:00:07Z")), "set back: nothing was read late");
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

    /// One outlet's loop for ten minutes of true time, with the wall clock set by so many milliseconds at some of them: the ticks, and
    /// the steps that were told.
    fn ten_minutes(period: u64, sets: &[(u64, i64)]) -> (Vec<i64>, usize) {
        let start = crate::clock::monotonic();
        let mut sets = sets.iter().copied().collect::<std::collections::BTreeMap<u64, i64>>();
        let (mut passed, mut looked, mut wall) = (0_u64, 0_u64, 1_795_000_000_000_i64);
        let time = |wall: i64| Timestamp::from_millisecond(wall).unwrap();
        let mut ticks = Ticks::new(Duration::from_millis(period), time(wall));
        let mut watch = ClockWatch::new(time(wall), start);
        let (mut given, mut told) = (Vec::new(), 0);
        while passed < 600_000 {
            let go_on = match ticks.next(time(wall)) {
                Next::Scan(tick) => {
                    given.push(tick.as_millisecond());
                    1
                }
                Next::Wait(wait) => (wait.as_micros().div_ceil(1000) as u64).max(1),
            };
            for _ in 0..go_on {
                passed += 1;
                wall += 1 + sets.remove(&passed).unwrap_or(0);
                if passed - looked == 500 {
                    looked = passed;
                    told +=
                        usize::from(watch.look(time(wall), start + Duration::from_millis(passed)).is_some());
                }
            }
        }
        (given, told)
    }

    #[test]
    fn a_day_forward_or_back_is_told_once_and_makes_no_burst() {
        for by in [-86_400_000_i64, -3_600_000, -15_000, -5000, 5000, 3_600_000, 86_400_000, 378_000_000_000]
        {
            let (given, told) = ten_minutes(2000, &[(200_123, by)]);
            assert_eq!(told, 1, "by {by} ms");
            // Ten minutes of scans, less those that are waited for and one for the step itself.
            let waited = if (-600_000..0).contains(&by) { (-by).min(10_000) / 2000 } else { 0 };
            let whole = 299 - waited;
            assert!((whole - 2..=whole + 1).contains(&(given.len() as i64)), "by {by} ms: {}", given.len());
            let backwards = given.windows(2).filter(|pair| pair[1] <= pair[0]).count();
            assert_eq!(backwards, usize::from(by < -10_000), "by {by} ms");
        }
        assert_eq!(ten_minutes(2000, &[(200_123, 900), (300_123, -900)]).1, 0, "a second is no step");
    }

    proptest! {
        // Ten minutes, a millisecond at a time.
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn however_the_clock_is_set_there_is_no_burst_and_small_steps_repeat_no_tick(
            period in prop::sample::select(vec![500_u64, 1000, 2000, 5000]),
            sets in proptest::collection::vec((1_u64..600_000, -9000_i64..30_000), 0..12),
        ) {
            // All the steps back together stay within what is waited for.
            let mut back = 0;
            let sets: Vec<(u64, i64)> = sets
                .into_iter()
                .filter(|(_, by)| {
                    back += (-by).max(0);
                    *by > 0 || back < 9000
                })
                .collect();
            let (given, _told) = ten_minutes(period, &sets);
            prop_assert!(given.windows(2).all(|pair| pair[1] > pair[0]), "a tick twice");
            prop_assert!(given.len() as u64 <= 600_000 / period + sets.len() as u64 + 1, "a burst");
        }
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

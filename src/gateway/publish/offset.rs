//! How far the gateway's clock is from the centre's, as NTP reckons it. Pure: nothing here looks at a clock; the times go in with
//! each call.
//!
//! A receipt says when, by the centre's clock, it left (`at`). By ours that was after we had sent the newest record that it covers, and
//! before the receipt came. So the middle of these two is wrong by half their distance at most, however late the centre was and
//! whichever way took longer. Only the first sending of a record counts: a receipt may answer the first though a second has gone.
//! Of the samples of the last minutes the one with the smallest error stands; it grows by what clocks drift.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::mqtt::receipt::Ranges;

/// Samples are kept so long.
const KEPT: Duration = Duration::from_mins(5);
/// Of so long a time the best sample is kept.
const SLOT: Duration = Duration::from_secs(10);
/// Messages whose receipt is awaited; of more the oldest are forgotten.
const SENDINGS: usize = 256;
/// `at` is given in milliseconds.
const GRAIN_US: i64 = 1000;
/// What two clocks drift apart at most, in millionths: two cheap crystals in heat and frost.
const DRIFT_PPM: i64 = 100;

/// The gateway's clock minus the centre's, and how wrong that may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    pub offset_ms: i64,
    pub error_ms: i64,
}

/// The same in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    offset: i64,
    error: i64,
}

/// Collects samples and gives the best.
#[derive(Debug, Default)]
pub struct Offsets {
    /// First and last number of a message of fresh records, and when it was sent; oldest first.
    sent: VecDeque<(u64, u64, Instant)>,
    /// When its slot began, when it was taken, what it is; oldest first.
    samples: VecDeque<(Instant, Instant, Sample)>,
}

impl Offsets {
    /// These records go for the first time.
    pub fn sent(&mut self, first: u64, last: u64, now: Instant) {
        if self.sent.len() >= SENDINGS {
            self.sent.pop_front();
        }
        self.sent.push_back((first, last, now));
    }

    /// Numbers begin anew.
    pub fn another_epoch(&mut self) {
        self.sent.clear();
    }

    /// A receipt for these records came now, by both our clocks; it left the centre `at`, by the centre's.
    pub fn receipt(&mut self, held: &Ranges, (wall, now): (Timestamp, Instant), at: Timestamp) {
        let is_covered = |first: u64, last: u64| held.iter().any(|(from, to)| from <= last && first <= to);
        let newest = self.sent.iter().rposition(|(first, last, _)| is_covered(*first, *last));
        let Some((_, _, sent)) = newest.and_then(|newest| self.sent.drain(..=newest).next_back()) else {
            return;
        };
        self.add(now, measure(now.saturating_duration_since(sent), wall, at));
    }

    /// The best of the last minutes.
    pub fn best(&self, now: Instant) -> Option<Offset> {
        let aged = self
            .samples
            .iter()
            .filter(|(_, taken, _)| is_fresh(*taken, now))
            .map(|(_, taken, sample)| sample.aged(*taken, now));
        aged.min_by_key(|sample| sample.error).map(Sample::in_milliseconds)
    }

    fn add(&mut self, now: Instant, sample: Sample) {
        // Both cannot be true: one of the clocks was set in between.
        self.samples
            .retain(|(_, taken, kept)| is_fresh(*taken, now) && kept.aged(*taken, now).agrees(sample));
        match self.samples.back_mut() {
            Some((slot, taken, kept)) if now.saturating_duration_since(*slot) < SLOT => {
                if sample.error <= kept.aged(*taken, now).error {
                    (*taken, *kept) = (now, sample);
                }
            }
            Some(_) | None => self.samples.push_back((now, now, sample)),
        }
    }
}

fn is_fresh(taken: Instant, now: Instant) -> bool {
    now.saturating_duration_since(taken) < KEPT
}

fn micros(duration: Duration) -> i64 {
    // Half of what is possible, so that sums stay within bounds.
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX).min(i64::MAX / 4)
}

/// Sent `round_trip` before `received`, which is by our clock; in between it was `at` by the centre's.
fn measure(round_trip: Duration, received: Timestamp, at: Timestamp) -> Sample {
    let half = micros(round_trip) / 2 + 1;
    Sample { offset: received.as_microsecond() - half - at.as_microsecond(), error: half + GRAIN_US }
}

impl Sample {
    /// As it is worth later.
    fn aged(self, taken: Instant, now: Instant) -> Sample {
        let drift = micros(now.saturating_duration_since(taken)) / 1_000_000 * DRIFT_PPM;
        Sample { error: self.error.saturating_add(drift), ..self }
    }

    fn agrees(self, other: Sample) -> bool {
        self.offset.saturating_sub(other.offset).saturating_abs() <= self.error.saturating_add(other.error)
    }

    /// Rounded so that the bound holds.
    fn in_milliseconds(self) -> Offset {
        let offset_ms = self.offset.saturating_add(500).div_euclid(1000);
        let lost = (self.offset - offset_ms * 1000).abs();
        Offset { offset_ms, error_ms: (self.error + lost + 999).div_euclid(1000) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Sends record 7, takes its receipt after `round_trip`, with both clocks' times; gives the best then.
    fn one(round_trip: Duration, wall: &str, centre: &str) -> Offset {
        let (mut offsets, start) = (Offsets::default(), crate::clock::monotonic());
        offsets.sent(7, 7, start);
        let now = start + round_trip;
        offsets.receipt(&Ranges::of([7]), (at(wall), now), at(centre));
        offsets.best(now).unwrap()
    }

    #[test]
    fn worked_examples() {
        // Sent at 12:00:00.000, receipted at 12:00:00.050 by the centre, here at 12:00:00.100: the clocks are alike.
        let alike = one(MS * 100, "2026-11-21T12:00:00.100Z", "2026-11-21T12:00:00.050Z");
        assert_eq!(alike, Offset { offset_ms: 0, error_ms: 52 });
        // The centre's clock is 5 s ahead: ours minus the centre's is -5 s.
        let behind = one(MS * 20, "2026-11-21T12:00:00.020Z", "2026-11-21T12:00:05.010Z");
        assert_eq!(behind, Offset { offset_ms: -5000, error_ms: 12 });
        // The centre took 3 s to commit, so the middle is wrong by nearly half of it; the bound says so.
        let late = one(MS * 3020, "2026-11-21T12:00:03.020Z", "2026-11-21T12:00:03.010Z");
        assert_eq!(late, Offset { offset_ms: -1500, error_ms: 1512 });
    }

    #[test]
    fn the_newest_message_that_a_receipt_covers_counts() {
        let (mut offsets, start) = (Offsets::default(), crate::clock::monotonic());
        offsets.sent(0, 4, start);
        offsets.sent(5, 9, start + MS * 900);
        offsets.sent(10, 14, start + MS * 990);
        let wall = at("2026-11-21T12:00:01.000Z");
        // Part of a message is enough; what was sent later is not answered yet.
        offsets.receipt(&Ranges::of([1, 2, 6]), (wall, start + MS * 1000), wall);
        assert_eq!(offsets.best(start + MS * 1000).unwrap().error_ms, 52);
        // Answered already, never sent by us, or sent again: nothing can be said.
        offsets.receipt(&Ranges::of([3, 4, 99]), (wall, start + MS * 1001), wall);
        assert_eq!(offsets.sent.len(), 1);
        offsets.another_epoch();
        offsets.receipt(&Ranges::of([12]), (wall, start + MS * 1002), wall);
        assert_eq!(offsets.best(start + MS * 1002).unwrap().error_ms, 52);
    }

    #[test]
    fn the_smallest_error_stands_for_minutes_and_a_clock_that_is_set_ends_it() {
        let (mut offsets, start) = (Offsets::default(), crate::clock::monotonic());
        let zero = at("2026-11-21T12:00:00Z");
        let mut seq = 0;
        let mut take = |offsets: &mut Offsets, after_s: u64, round_trip: u32, ahead: i64| {
            seq += 1;
            let now = start + Duration::from_secs(after_s);
            offsets.sent(seq, seq, now.checked_sub(MS * round_trip).unwrap());
            let wall = zero + Duration::from_secs(after_s);
            let middle = wall - MS * (round_trip / 2) - jiff::SignedDuration::from_millis(ahead);
            offsets.receipt(&Ranges::of([seq]), (wall, now), middle);
            offsets.best(now).unwrap()
        };
        assert_eq!(take(&mut offsets, 100, 10, 30), Offset { offset_ms: 30, error_ms: 7 });
        // Slower ones do not replace it; it grows by 0.1 ms a second.
        assert_eq!(take(&mut offsets, 130, 400, 30), Offset { offset_ms: 30, error_ms: 10 });
        assert_eq!(take(&mut offsets, 399, 400, 30).error_ms, 36);
        // Its minutes are over.
        assert_eq!(take(&mut offsets, 401, 400, 30).error_ms, 202);
        assert!(offsets.samples.len() <= 3);
        // One clock is set by a minute.
        assert_eq!(take(&mut offsets, 402, 400, 60_030), Offset { offset_ms: 60_030, error_ms: 202 });
        assert_eq!(offsets.samples.len(), 1);
        assert_eq!(offsets.best(start + Duration::from_secs(800)), None);
    }

    proptest! {
        /// Whatever the ways there and back take, and however late the centre is: the true offset is within the bound.
        #[test]
        fn the_truth_is_within_the_bound(
            trips in proptest::collection::vec((0_u64..3_000_000, 0_u64..60_000_000, 0_u64..3_000_000), 1..40),
            ahead in -100_000_000_000_i64..100_000_000_000,
        ) {
            let (mut offsets, start) = (Offsets::default(), crate::clock::monotonic());
            let mut now = start;
            for (seq, (there, late, back)) in (0..).zip(trips) {
                offsets.sent(seq, seq, now);
                now += Duration::from_micros(there + late);
                // By the centre's clock, in whole milliseconds, as it travels.
                let centre = i64::try_from(now.duration_since(start).as_micros()).unwrap();
                let said = Timestamp::from_microsecond(centre.div_euclid(1000) * 1000).unwrap();
                now += Duration::from_micros(back);
                let wall = i64::try_from(now.duration_since(start).as_micros()).unwrap() + ahead;
                offsets.receipt(&Ranges::of([seq]), (Timestamp::from_microsecond(wall).unwrap(), now), said);
                let Offset { offset_ms, error_ms } = offsets.best(now).unwrap();
                prop_assert!((offset_ms * 1000 - ahead).abs() <= error_ms * 1000, "{offset_ms} ± {error_ms} ms, in truth {ahead} µs");
            }
            prop_assert!(offsets.samples.len() <= 32 && offsets.sent.is_empty());
        }
    }
}

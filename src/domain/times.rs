//! A half-open time `[from, until)` that an entry of the law's lists claims.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// From when to when. No `until` is "until further notice".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Times {
    pub from: Timestamp,
    #[serde(default)]
    pub until: Option<Timestamp>,
}

impl Times {
    /// Whether `at` lies in it.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }

    /// Whether both claim some moment.
    pub fn overlaps(&self, other: &Times) -> bool {
        self.until.is_none_or(|until| other.from < until) && other.until.is_none_or(|until| self.from < until)
    }

    /// Whether it claims every moment of `[start, end)`.
    pub fn covers(&self, start: Timestamp, end: Timestamp) -> bool {
        self.from <= start && self.until.is_none_or(|until| end <= until)
    }

    /// Whether it claims some moment of `[start, end)`.
    pub fn touches(&self, start: Timestamp, end: Timestamp) -> bool {
        self.overlaps(&Times { from: start, until: Some(end) })
    }
}

/// Seconds of `[start, end)` that at least one of `spans` claims: what is claimed twice counts once.
pub fn seconds_claimed(spans: &[Times], (start, end): (Timestamp, Timestamp)) -> u64 {
    let (start, end) = (start.as_second(), end.as_second());
    let mut cut: Vec<(i64, i64)> = spans
        .iter()
        .map(|span| {
            let until = span.until.map_or(end, |until| until.as_second().min(end));
            (span.from.as_second().max(start), until)
        })
        .filter(|(from, until)| from < until)
        .collect();
    cut.sort_unstable();
    let mut counted_to = start;
    let mut seconds = 0;
    for (from, until) in cut {
        seconds += (until - from.max(counted_to)).max(0).unsigned_abs();
        counted_to = counted_to.max(until);
    }
    seconds
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn times(from: i64, until: Option<i64>) -> Times {
        let at = |second| Timestamp::from_second(second).unwrap();
        Times { from: at(from), until: until.map(at) }
    }

    #[test]
    fn ends_are_not_part_of_it() {
        let span = times(10, Some(20));
        let at = |second| span.holds(Timestamp::from_second(second).unwrap());
        assert_eq!([at(9), at(10), at(19), at(20)], [false, true, true, false]);
        assert!(span.overlaps(&times(19, None)) && !span.overlaps(&times(20, None)));
    }

    #[test]
    fn what_is_claimed_twice_counts_once() {
        let window = (Timestamp::from_second(0).unwrap(), Timestamp::from_second(100).unwrap());
        let spans = [times(-5, Some(10)), times(5, Some(20)), times(6, Some(7)), times(90, None)];
        assert_eq!(seconds_claimed(&spans, window), 30);
        assert_eq!(seconds_claimed(&[], window), 0);
    }

    proptest! {
        #[test]
        fn claims_in_any_order_are_the_seconds_that_hold(spans in prop::collection::vec((0_i64..60, 1_i64..30), 0..6)) {
            let spans: Vec<Times> = spans.iter().map(|(from, length)| times(*from, Some(from + length))).collect();
            let window = (Timestamp::from_second(10).unwrap(), Timestamp::from_second(50).unwrap());
            let counted = (10..50).filter(|second| {
                spans.iter().any(|span| span.holds(Timestamp::from_second(*second).unwrap()))
            });
            prop_assert_eq!(seconds_claimed(&spans, window), counted.count() as u64);
            let backwards: Vec<Times> = spans.iter().rev().copied().collect();
            prop_assert_eq!(seconds_claimed(&spans, window), seconds_claimed(&backwards, window));
        }
    }
}

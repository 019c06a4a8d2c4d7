//! Records that may be deleted. They wait a while for a commit that new records need anyway: most commits, and with them most of what
//! wears a flash disk out, would else only delete.

use std::time::{Duration, Instant};

use crate::mqtt::receipt::Ranges;

/// They wait no longer.
const RIDE: Duration = Duration::from_secs(2);
/// So many are worth a commit of their own.
const WORTH_A_COMMIT: u64 = 500;

/// What waits, and since when.
#[derive(Default)]
pub struct Receipted {
    ranges: Vec<(u64, u64)>,
    since: Option<Instant>,
}

impl Receipted {
    pub fn add(&mut self, ranges: Vec<(u64, u64)>, now: Instant) {
        if !ranges.is_empty() {
            self.since.get_or_insert(now);
            self.ranges.extend(ranges);
        }
    }

    /// Whether they are to wait no longer for a commit to go with.
    pub fn presses(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.saturating_duration_since(since) >= RIDE)
            || self.count() >= WORTH_A_COMMIT
    }

    /// How many they are.
    pub fn count(&self) -> u64 {
        let counts = self.ranges.iter().map(|(first, last)| last.saturating_sub(*first).saturating_add(1));
        counts.fold(0, u64::saturating_add)
    }

    pub fn ranges(self) -> Ranges {
        Ranges::from_pairs(self.ranges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_press_at_once_and_few_after_a_while() {
        let now = crate::clock::monotonic();
        let mut receipted = Receipted::default();
        receipted.add(Vec::new(), now);
        assert!(!receipted.presses(now + RIDE), "nothing never does");
        receipted.add(vec![(5, 9)], now);
        receipted.add(vec![(20, 20)], now + RIDE / 2);
        assert!(!receipted.presses(now + RIDE / 2) && receipted.presses(now + RIDE), "the first one counts");
        receipted.add(vec![(100, 100 + WORTH_A_COMMIT)], now);
        assert!(receipted.presses(now));
        receipted.add(vec![(0, u64::MAX)], now);
        assert!(receipted.presses(now), "whatever comes");
        assert!(receipted.ranges().iter().eq([(0, u64::MAX)]));
    }
}

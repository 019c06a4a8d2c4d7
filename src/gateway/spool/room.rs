//! How much room there is and who may use it. Pure.
//!
//! `capacity` is the room of scans at their full rate: 100 %. A tenth more is for minute scans, made when it is used up, and a
//! twentieth more for events, which always find room.

use std::time::Duration;

/// Percent of the capacity at which people are told.
pub const LEVELS: [u8; 4] = [80, 90, 95, 100];
/// A level ends so many percent below its beginning, so that it does not flap.
const HYSTERESIS: u8 = 5;

/// Bytes that records may take when scans are thinned to minute scans.
pub fn with_minute_scans(capacity: u64) -> u64 {
    capacity.saturating_add(capacity / 10)
}

/// Bytes that all records together may take.
pub fn with_events(capacity: u64) -> u64 {
    with_minute_scans(capacity).saturating_add(capacity / 20)
}

/// A full spool takes all scans again when it holds no more than this.
pub fn all_scans_again(capacity: u64) -> u64 {
    part(capacity, 100 - HYSTERESIS)
}

/// The level after `before`, 0 for none.
pub fn level(before: u8, used: u64, capacity: u64) -> u8 {
    let reached = |level: &&u8| {
        let from = if **level <= before { **level - HYSTERESIS } else { **level };
        used >= part(capacity, from)
    };
    LEVELS.iter().rfind(reached).copied().unwrap_or(0)
}

fn part(capacity: u64, percent: u8) -> u64 {
    let part = u128::from(capacity) * u128::from(percent) / 100;
    u64::try_from(part).unwrap_or(u64::MAX)
}

/// What a gateway's scans need: how many an hour, and how large they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Need {
    outlets: usize,
    per_hour: f64,
    scan_bytes: f64,
}

/// Weight of one scan in the running mean of their sizes.
const WEIGHT: f64 = 1.0 / 64.0;
/// Bytes of a scan's record without outlet and readings, and of one reading.
const HEAD_BYTES: f64 = 345.0;
const READING_BYTES: f64 = 20.0;

impl Need {
    /// Of outlets with a period and a number of channels each; the size is an estimate until scans are measured.
    pub fn of(outlets: impl IntoIterator<Item = (Duration, usize)>) -> Need {
        let (mut count, mut per_hour, mut bytes) = (0, 0.0, 0.0);
        for (period, channels) in outlets {
            count += 1;
            let rate = 3600.0 / period.as_secs_f64().max(0.001);
            per_hour += rate;
            bytes += rate * (HEAD_BYTES + READING_BYTES * number(channels as u64));
        }
        let scan_bytes = if per_hour > 0.0 { bytes / per_hour } else { HEAD_BYTES };
        Need { outlets: count, per_hour, scan_bytes }
    }

    /// Outlets that are scanned.
    pub fn outlets(&self) -> usize {
        self.outlets
    }

    /// A spool that holds so many records tells their size.
    pub fn start_from(&mut self, records: u64, bytes: u64) {
        if records >= 100 {
            self.scan_bytes = number(bytes) / number(records);
        }
    }

    /// One more scan was made.
    pub fn measure(&mut self, bytes: u64) {
        self.scan_bytes += (number(bytes) - self.scan_bytes) * WEIGHT;
    }

    /// Bytes of one scan.
    pub fn scan_bytes(&self) -> f64 {
        self.scan_bytes
    }

    /// How long scans at the full rate take to fill so many bytes, to a tenth; `None` when there are no scans.
    pub fn hours(&self, bytes: u64) -> Option<f64> {
        let hours = number(bytes) / (self.scan_bytes.max(1.0) * self.per_hour);
        (self.per_hour > 0.0).then(|| (hours * 10.0).round() / 10.0)
    }
}

/// Exact below 2^32, to a 1024th above.
fn number(count: u64) -> f64 {
    match u32::try_from(count) {
        Ok(small) => f64::from(small),
        Err(_large) => f64::from(u32::try_from(count / 1024).unwrap_or(u32::MAX)) * 1024.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_begins_at_its_line_and_ends_five_percent_below() {
        let mut level_now = 0;
        let mut seen = Vec::new();
        for used in [0, 79, 80, 79, 76, 75, 74, 80, 91, 86, 84, 94, 95, 91, 100, 96, 95, 94, 30, 120] {
            level_now = level(level_now, used, 100);
            seen.push(level_now);
        }
        let expected = [0, 0, 80, 80, 80, 80, 0, 80, 90, 90, 80, 90, 95, 95, 100, 100, 100, 95, 0, 100];
        assert_eq!(seen, expected);
    }

    #[test]
    fn events_find_room_when_minute_scans_do_not_and_these_when_scans_do_not() {
        for capacity in [0, 1_000_000, u64::MAX] {
            assert!(all_scans_again(capacity) <= capacity);
            assert!(capacity <= with_minute_scans(capacity));
            assert!(with_minute_scans(capacity) <= with_events(capacity));
        }
        assert_eq!(with_events(1_000_000), 1_150_000);
    }

    #[test]
    fn hours_follow_the_measured_size_and_the_rate() {
        let mut need = Need::of([(Duration::from_secs(2), 16), (Duration::from_mins(1), 3)]);
        let estimate = need.hours(1 << 30).unwrap();
        assert!((800.0..1000.0).contains(&estimate), "{estimate}");
        need.start_from(99, 1);
        assert!((need.hours(1 << 30).unwrap() - estimate).abs() < 1e-9, "too few to measure");
        need.start_from(1000, 400_000);
        assert!((need.hours(1 << 30).unwrap() - 1_073_741_824.0 / 400.0 / 1860.0).abs() < 0.06);
        for _scan in 0..2000 {
            need.measure(800);
        }
        assert!((need.hours(1 << 30).unwrap() - 1_073_741_824.0 / 800.0 / 1860.0).abs() < 0.06);
        assert_eq!(Need::of([]).hours(5), None);
    }
}

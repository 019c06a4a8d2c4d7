//! What becomes of scans when the spool is full. Pure. What is in the spool stays, the oldest first of all; of what is
//! measured now only the scan that begins a minute becomes a record (`thin`), or none (`stop`). Nothing of it is silent: an
//! event says when this begins, every ten minutes how many scans were left out and from when to when, and when it ends.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::config::gateway::WhenFull;
use crate::domain::scan::Scan;
use crate::gateway::event;
use crate::gateway::spool::room;
use crate::mqtt::record::{Body, MAX_MESSAGE_BYTES, event as name, time_text};

/// How often a record tells how many scans were left out.
const TELL_EVERY: Duration = Duration::from_mins(10);

/// The rule, and whether it is in force.
#[derive(Debug)]
pub struct Thinning {
    capacity: u64,
    when_full: WhenFull,
    period: Option<Period>,
    /// Scans left out since the start.
    left_out: u64,
}

/// Scans left out since the last event about it.
#[derive(Debug)]
struct Period {
    told: Instant,
    left_out: u64,
    range: Option<(Timestamp, Timestamp)>,
}

impl Thinning {
    pub fn new(capacity: u64, when_full: WhenFull) -> Thinning {
        Thinning { capacity, when_full, period: None, left_out: 0 }
    }

    /// Whether so many more records could be the ones that fill a spool that holds `used` bytes, or it is full already.
    pub fn matters(&self, used: u64, records: usize) -> bool {
        let most = u64::try_from(records.saturating_mul(MAX_MESSAGE_BYTES)).unwrap_or(u64::MAX);
        self.period.is_some() || used.saturating_add(most) > self.capacity
    }

    /// Takes those scans out of `held` that are not to become records, for a spool that holds `used` bytes, and puts the
    /// events in that tell of it.
    pub fn admit(&mut self, held: &mut VecDeque<Body>, used: u64, now: Instant, size: impl Fn(&Body) -> u64) {
        let mut used = used;
        let mut admitted = VecDeque::with_capacity(held.len());
        if used <= room::all_scans_again(self.capacity)
            && let Some(period) = self.period.take()
        {
            admitted.push_back(self.event("end", &period));
        }
        for body in held.drain(..) {
            let bytes = size(&body);
            let taken = match &body {
                Body::Event(_) => true,
                Body::Scan(scan) => {
                    if self.period.is_none() && used.saturating_add(bytes) > self.capacity {
                        let period = Period { told: now, left_out: 0, range: None };
                        admitted.push_back(self.event("begin", &period));
                        self.period = Some(period);
                    }
                    self.takes(scan, used.saturating_add(bytes))
                }
            };
            if taken {
                used = used.saturating_add(bytes);
                admitted.push_back(body);
            }
        }
        *held = admitted;
        if self.period.as_ref().is_some_and(|period| now.saturating_duration_since(period.told) >= TELL_EVERY)
        {
            held.extend(self.tell(now));
        }
    }

    /// The event about what was left out since the last one, if anything was.
    pub fn tell(&mut self, now: Instant) -> Option<Body> {
        let period = self.period.as_mut().filter(|period| period.left_out > 0)?;
        let told = std::mem::replace(period, Period { told: now, left_out: 0, range: None });
        Some(self.event("going-on", &told))
    }

    /// Why and how scans are left out, while they are.
    pub fn alarm(&self) -> Option<String> {
        self.period.as_ref()?;
        let kept = match self.when_full {
            WhenFull::Thin => "only the scan that begins a minute is kept",
            WhenFull::Stop => "no scan is kept",
        };
        Some(format!("the spool is full: {kept}; connect the centre, or raise spool.capacity_mb"))
    }

    /// Scans left out since the start.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    fn takes(&mut self, scan: &Scan, used: u64) -> bool {
        let Some(period) = &mut self.period else { return true };
        let taken = match self.when_full {
            WhenFull::Thin => begins_a_minute(scan.at) && used <= room::with_minute_scans(self.capacity),
            WhenFull::Stop => false,
        };
        if !taken {
            self.left_out += 1;
            period.left_out += 1;
            let (from, to) = period.range.unwrap_or((scan.at, scan.at));
            period.range = Some((from.min(scan.at), to.max(scan.at)));
        }
        taken
    }

    fn event(&self, state: &str, period: &Period) -> Body {
        let kept = match self.when_full {
            WhenFull::Thin => "minute",
            WhenFull::Stop => "none",
        };
        let text = |at: Option<Timestamp>| at.map(time_text).unwrap_or_default();
        let detail = [
            ("state", state.to_owned()),
            ("kept", kept.to_owned()),
            ("left_out", period.left_out.to_string()),
            ("from", text(period.range.map(|(from, _)| from))),
            ("to", text(period.range.map(|(_, to)| to))),
        ];
        event::now(name::THINNING, detail)
    }
}

/// Whether this tick is the first of a minute.
pub fn begins_a_minute(at: Timestamp) -> bool {
    at.as_millisecond().rem_euclid(60_000) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(second: i64) -> Body {
        let at = Timestamp::from_second(second).unwrap();
        Body::Scan(Scan { outlet: "o".to_owned(), at, readings: Vec::new() })
    }

    fn scans(seconds: std::ops::Range<i64>) -> VecDeque<Body> {
        seconds.step_by(2).map(scan).collect()
    }

    /// Seconds of scans, and state with count of events.
    fn told(held: &VecDeque<Body>) -> Vec<String> {
        let tell = |body: &Body| match body {
            Body::Scan(scan) => scan.at.as_second().to_string(),
            Body::Event(event) => format!("{} {}", event.detail["state"], event.detail["left_out"]),
        };
        held.iter().map(tell).collect()
    }

    fn ten(_body: &Body) -> u64 {
        10
    }

    #[test]
    fn beyond_the_capacity_only_minute_scans_are_kept_and_every_change_is_told() {
        let mut thinning = Thinning::new(1000, WhenFull::Thin);
        let now = crate::clock::monotonic();
        let mut held = scans(0..8);
        thinning.admit(&mut held, 970, now, ten);
        assert_eq!(told(&held), ["0", "2", "4", "begin 0"]);
        assert!(thinning.alarm().unwrap().contains("begins a minute"));
        let mut held = scans(8..130);
        thinning.admit(&mut held, 1010, now, ten);
        assert_eq!(told(&held), ["60", "120"]);
        let mut held = scans(130..132);
        thinning.admit(&mut held, 1030, now + TELL_EVERY, ten);
        assert_eq!(told(&held), ["going-on 61"]);
        let Body::Event(event) = &held[0] else { panic!("an event") };
        assert_eq!(
            (event.detail["from"].as_str(), event.detail["kept"].as_str()),
            ("1970-01-01T00:00:06.000Z", "minute")
        );
        assert_eq!(event.detail["to"], "1970-01-01T00:02:10.000Z");
        let mut held = scans(180..182);
        thinning.admit(&mut held, 1095, now, ten);
        assert_eq!(told(&held), [""; 0], "no room for minute scans either");
        let mut held = scans(182..184);
        thinning.admit(&mut held, 960, now, ten);
        assert_eq!(told(&held), [""; 0], "a little room is not enough");
        let mut held = scans(184..188);
        thinning.admit(&mut held, 950, now, ten);
        assert_eq!(told(&held), ["end 2", "184", "186"]);
        assert_eq!((thinning.alarm(), thinning.left_out()), (None, 63));
    }

    #[test]
    fn sizes_matter_only_near_the_end_and_while_scans_are_left_out() {
        let capacity = 1 << 30;
        let mut thinning = Thinning::new(capacity, WhenFull::Thin);
        let ten_records = 10 * u64::try_from(MAX_MESSAGE_BYTES).unwrap();
        assert!(!thinning.matters(capacity - ten_records, 10));
        assert!(thinning.matters(capacity - ten_records + 1, 10));
        assert!(thinning.matters(0, usize::MAX));
        thinning.admit(&mut scans(0..2), capacity, crate::clock::monotonic(), ten);
        assert!(thinning.matters(0, 0), "its end is still to be told");
    }

    #[test]
    fn stop_keeps_no_scan_and_counts_each() {
        let mut thinning = Thinning::new(1000, WhenFull::Stop);
        let now = crate::clock::monotonic();
        let mut held = scans(0..120);
        held.push_back(event::now(
            name::CLOCK_STEP,
            [("state", "x".to_owned()), ("left_out", "y".to_owned())],
        ));
        thinning.admit(&mut held, 1000, now, ten);
        assert_eq!(told(&held), ["begin 0", "x y"], "events are kept");
        assert_eq!(thinning.left_out(), 60);
        assert_eq!(told(&thinning.tell(now).into_iter().collect()), ["going-on 60"]);
        assert_eq!(thinning.tell(now), None, "told once");
    }
}

//! How each analyser is doing: what became of its requests, how fast it answers, and which share of its scans it served. Kept for
//! the status page and for metrics; nothing is decided by it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::flag::Flag;
use crate::domain::plant::ChannelCode;
use crate::domain::scan::{Reading, Scan};

/// Minutes that the recent capture rate looks back.
const MINUTES: usize = 60;
/// Answer times that are remembered.
const TIMES: usize = 256;

/// All analysers of a gateway, by index, and the last scan of each outlet. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Board {
    analysers: Arc<Vec<Mutex<Health>>>,
    scans: Arc<Mutex<BTreeMap<String, LastScan>>>,
}

/// An outlet's newest scan; without a value: not a number.
#[derive(Debug, Clone)]
struct LastScan {
    /// `None` before there is one.
    at: Option<Timestamp>,
    readings: Vec<(ChannelCode, f64, Flag)>,
}

/// One analyser.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// Requests that were answered, and that were not.
    pub answered: u64,
    pub failed: u64,
    /// When it answered last.
    pub last_answer: Option<Timestamp>,
    /// What is wrong, while something is.
    pub fault: Option<String>,
    /// Registers that it refuses.
    pub refused: Vec<String>,
    /// Scans that asked it, and those of them that it served whole, since the start.
    pub due: u64,
    pub whole: u64,
    minutes: VecDeque<Minute>,
    times: VecDeque<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Minute {
    /// Minutes since the epoch.
    number: i64,
    due: u64,
    whole: u64,
}

/// How fast an analyser answered lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerTimes {
    pub median: Duration,
    pub p99: Duration,
}

impl Board {
    /// For so many analysers.
    pub fn new(analysers: usize) -> Board {
        let healths = std::iter::repeat_with(Mutex::default).take(analysers);
        Board { analysers: Arc::new(healths.collect()), scans: Arc::default() }
    }

    /// One analyser's health, to look at or to change. `None` for an index that is none.
    pub fn of(&self, analyser: usize) -> Option<MutexGuard<'_, Health>> {
        self.analysers.get(analyser).map(|health| health.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has room for the scans of an outlet with so many channels.
    pub fn expect(&self, outlet: &str, channels: usize) {
        let room = LastScan { at: None, readings: Vec::with_capacity(channels) };
        self.scans.lock().unwrap_or_else(PoisonError::into_inner).insert(outlet.to_owned(), room);
    }

    /// The newest scan of an outlet that is expected.
    pub fn scanned(&self, scan: &Scan) {
        let mut scans = self.scans.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = scans.get_mut(&scan.outlet) else { return };
        last.at = Some(scan.at);
        last.readings.clear();
        let readings = scan.readings.iter();
        last.readings
            .extend(readings.map(|(code, reading)| (*code, reading.value.unwrap_or(f64::NAN), reading.flag)));
    }

    /// The newest scan of this outlet, if there is any.
    pub fn last_scan(&self, outlet: &str) -> Option<Scan> {
        let last = self.scans.lock().unwrap_or_else(PoisonError::into_inner).get(outlet).cloned()?;
        let reading = |(code, value, flag): &(ChannelCode, f64, Flag)| {
            (*code, Reading { value: Some(*value).filter(|value| !value.is_nan()), flag: *flag })
        };
        let readings = last.readings.iter().map(reading).collect();
        Some(Scan { outlet: outlet.to_owned(), at: last.at?, readings })
    }
}

impl Health {
    /// An answer came, so long after its request.
    pub fn answered(&mut self, at: Timestamp, after: Duration) {
        self.answered += 1;
        self.last_answer = Some(at);
        if self.times.len() == TIMES {
            self.times.pop_front();
        }
        self.times.push_back(after);
    }

    /// A scan asked it, and got all or not.
    pub fn served(&mut self, tick: Timestamp, whole: Whole) {
        let whole = u64::from(whole == Whole::Yes);
        self.due += 1;
        self.whole += whole;
        let number = tick.as_second().div_euclid(60);
        match self.minutes.back_mut() {
            Some(minute) if minute.number == number => {
                minute.due += 1;
                minute.whole += whole;
            }
            Some(_) | None => {
                if self.minutes.len() == MINUTES {
                    self.minutes.pop_front();
                }
                self.minutes.push_back(Minute { number, due: 1, whole });
            }
        }
    }

    /// Share of the last hour's scans that it served whole; `None` before there is any.
    pub fn recent_capture(&self) -> Option<f64> {
        let due = self.minutes.iter().map(|minute| minute.due).sum();
        share(self.minutes.iter().map(|minute| minute.whole).sum(), due)
    }

    /// Share of all scans since the start that it served whole.
    pub fn capture(&self) -> Option<f64> {
        share(self.whole, self.due)
    }

    /// How fast it answered lately; `None` before it has.
    pub fn answer_times(&self) -> Option<AnswerTimes> {
        let mut sorted: Vec<Duration> = self.times.iter().copied().collect();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        let at = |percent: usize| sorted.get(last * percent / 100).copied();
        Some(AnswerTimes { median: at(50)?, p99: at(99)? })
    }
}

/// Whether a scan got all that it asked an analyser for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    Yes,
    No,
}

fn share(part: u64, whole: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a share for people; counts stay far below 2^53")]
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capture_is_a_share_of_what_was_due_and_the_recent_one_forgets() {
        let mut health = Health::default();
        assert_eq!((health.capture(), health.recent_capture()), (None, None));
        let minute = |number: i64| Timestamp::from_second(number * 60).unwrap();
        health.served(minute(0), Whole::No);
        for number in 0..=60 {
            health.served(minute(number), Whole::Yes);
        }
        assert_eq!(health.capture(), Some(61.0 / 62.0));
        assert_eq!(health.recent_capture(), Some(1.0), "the first minute is over an hour ago");
    }

    #[test]
    fn answer_times_are_of_the_last_answers() {
        let mut health = Health::default();
        assert_eq!(health.answer_times(), None);
        for ms in 0..1000 {
            health.answered(Timestamp::UNIX_EPOCH, Duration::from_millis(ms));
        }
        let times = health.answer_times().unwrap();
        assert!(times.median >= Duration::from_millis(744) && times.p99 >= times.median, "{times:?}");
    }
}

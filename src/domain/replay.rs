//! The whole ladder of averages from scans alone: minute, 5, 10 and 30 minutes, hour, day, month, quarter, year, by the functions
//! that the centre uses, so that figures agree to the last bit; with what every rule, order and assessment says of each window, and
//! the substitutes of each quarter. Scans come in time order and windows leave as soon as a later scan shows that they are over: no
//! more is held than the parts of the windows that are open.

/// Hourly masses on their way to substitutes.
mod masses;
/// What is published of a window.
mod row;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::domain::assessment::Counted;
use crate::domain::average::{ChannelAverage, StoredScan, Terms, average_scans, average_windows};
use crate::domain::correction::Unwatched;
use crate::domain::exceedance::Outcome;
use crate::domain::judgement::{Ground, Judged, Parts};
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::Position;
use crate::domain::substitution::Quarter;
use crate::domain::validity::Overlay;
use crate::domain::window::{Window, lower};

use masses::Masses;
pub use row::{Row, RowCapture, RowSubstitute, RowVerdict, empty_row, quota_verdict, rows};

/// One window that is over.
#[derive(Debug, Clone, Copy)]
pub struct Closed<'c, 'p> {
    pub window: Window,
    /// By position.
    pub averages: &'c [ChannelAverage],
    pub judged: &'c [Judged<'p>],
}

/// A quarter that is over, or as far as readings went.
#[derive(Debug, Clone)]
pub struct ClosedQuarter {
    pub window: Window,
    /// Of each channel whose mass is substituted.
    pub channels: Vec<(Position, Quarter)>,
}

/// Takes windows and quarters that are over.
pub trait Sink<'p> {
    fn closed(&mut self, closed: Closed<'_, 'p>);
    /// Hours of the next quarter may have come before it (a gap at its end goes on), and windows that are made of its hours may follow.
    fn quarter(&mut self, quarter: ClosedQuarter);
}

impl<'p, F: FnMut(Window, &[ChannelAverage])> Sink<'p> for F {
    fn closed(&mut self, closed: Closed<'_, 'p>) {
        self(closed.window, closed.averages);
    }

    fn quarter(&mut self, _quarter: ClosedQuarter) {}
}

/// Verdicts that assessments count.
type Counts = BTreeMap<(String, AveragingPeriod, Option<Position>), Vec<(Timestamp, Outcome)>>;

/// One outlet on its way through time.
#[derive(Debug)]
pub struct Replay<'p> {
    ground: Ground<'p>,
    minute: Option<Window>,
    scans: Vec<StoredScan>,
    /// The coarser periods that are wanted, and those they are made of; finest first.
    levels: Vec<Level>,
    /// Minutes as far back as states, marks and orders look; empty where nothing does.
    recent: Parts,
    looks_back: bool,
    /// Codes whose verdicts are counted, and their verdicts.
    counted: BTreeSet<String>,
    counts: Counts,
    masses: Masses,
}

#[derive(Debug)]
struct Level {
    period: AveragingPeriod,
    open: Option<Window>,
    parts: Parts,
}

impl<'p> Replay<'p> {
    /// Nothing seen yet. Windows of `periods` are wanted; what they are made of, and what assessments and substitution need, is closed
    /// and given too.
    pub fn new(ground: Ground<'p>, periods: &[AveragingPeriod]) -> Replay<'p> {
        let law = ground.law;
        let mut wanted: BTreeSet<AveragingPeriod> = periods.iter().copied().collect();
        wanted.extend(law.assessments.iter().map(|assessment| assessment.over.period()));
        if !law.furnaces.is_empty() {
            wanted.extend([AveragingPeriod::FiveMinutes, AveragingPeriod::Day]);
        }
        let masses = Masses::new(ground.outlet);
        if !masses.is_empty() {
            wanted.insert(AveragingPeriod::Hour);
        }
        let is_made_of = |coarse: AveragingPeriod, fine: AveragingPeriod| {
            std::iter::successors(Some(coarse), |period| lower(*period)).any(|period| period == fine)
        };
        let levels = AveragingPeriod::ALL
            .into_iter()
            .filter(|period| *period != AveragingPeriod::Minute)
            .filter(|period| wanted.iter().any(|wanted| is_made_of(*wanted, *period)))
            .map(|period| Level { period, open: None, parts: BTreeMap::new() })
            .collect();
        let rules = law.assessments.iter().map(|assessment| assessment.rule.clone());
        Replay {
            ground,
            minute: None,
            scans: Vec::new(),
            levels,
            recent: Parts::new(),
            looks_back: !(law.source_rules.is_empty() && law.marks.is_empty() && law.orders.is_empty()),
            counted: rules.chain(law.furnaces.iter().map(|rule| rule.code.clone())).collect(),
            counts: Counts::new(),
            masses,
        }
    }

    /// The next scan: not before the minute of the one before. False, and the scan is not taken, when it is.
    #[must_use]
    pub fn scan(&mut self, scan: StoredScan, sink: &mut impl Sink<'p>) -> bool {
        match self.minute {
            Some(minute) if minute.contains(scan.at) => {}
            Some(minute) if scan.at < minute.start => return false,
            Some(_) | None => {
                self.close_minute(sink);
                self.minute = Some(Window::containing(AveragingPeriod::Minute, scan.at, self.ground.zone));
            }
        }
        self.scans.push(scan);
        true
    }

    /// No more scans: closes all that is open.
    pub fn finish(mut self, sink: &mut impl Sink<'p>) {
        self.close_minute(sink);
        // What is made of minutes first, so that every hour is among the masses.
        for fine in [true, false] {
            for level in 0..self.levels.len() {
                let period = self.levels.get(level).map(|level| level.period);
                if (period <= Some(AveragingPeriod::Hour)) == fine {
                    self.close(level, sink);
                }
            }
            let quarters = if fine { self.masses.finish() } else { Vec::new() };
            for quarter in quarters {
                sink.quarter(quarter);
            }
        }
    }

    fn close_minute(&mut self, sink: &mut impl Sink<'p>) {
        let Some(window) = self.minute.take() else { return };
        let Ground { outlet, regime, .. } = self.ground;
        let averages = average_scans(window, outlet, &self.scans, regime);
        self.scans.clear();
        self.rise(window, averages, (&Parts::new(), Overlay::NONE), sink);
    }

    /// A window that is over is judged, goes to the sink and becomes part of the coarser ones, after those that it shows to be over.
    fn rise(
        &mut self,
        window: Window,
        averages: Vec<ChannelAverage>,
        parts: (&Parts, &Overlay),
        sink: &mut impl Sink<'p>,
    ) {
        for index in 0..self.levels.len() {
            let over = |level: &Level| {
                lower(level.period) == Some(window.period)
                    && level.open.is_some_and(|open| !open.contains(window.start))
            };
            if self.levels.get(index).is_some_and(over) {
                self.close(index, sink);
            }
        }
        if window.period == AveragingPeriod::Hour {
            let over = self.masses.hour(&self.ground, (window, &averages), parts.1);
            for quarter in over {
                sink.quarter(quarter);
            }
        }
        let mut judged = self.ground.judge(window, &averages, parts, &mut Unwatched);
        judged.extend(
            self.ground.judge_counted(window, &|code, period, position| {
                self.count((code, period, position), window)
            }),
        );
        self.note(window, &judged);
        sink.closed(Closed { window, averages: &averages, judged: &judged });
        if self.looks_back && window.period == AveragingPeriod::Minute {
            self.recent.insert(window.start, averages.clone());
        }
        let mut above =
            self.levels.iter_mut().filter(|level| lower(level.period) == Some(window.period)).peekable();
        let mut averages = Some(averages);
        while let Some(level) = above.next() {
            let part = if above.peek().is_some() { averages.clone() } else { averages.take() };
            level
                .open
                .get_or_insert_with(|| Window::containing(level.period, window.start, self.ground.zone));
            level.parts.insert(window.start, part.unwrap_or_default());
        }
    }

    fn close(&mut self, index: usize, sink: &mut impl Sink<'p>) {
        let Some(level) = self.levels.get_mut(index) else { return };
        let Some(window) = level.open.take() else { return };
        let parts = std::mem::take(&mut level.parts);
        let Ground { outlet, regime, zone, .. } = self.ground;
        let n_expected = u32::try_from(window.parts(zone).len()).unwrap_or(0);
        let minutes = if self.looks_back { std::mem::take(&mut self.recent) } else { Parts::new() };
        let overlay = self.ground.overlay(window, &minutes);
        let terms = Terms { regime, n_expected, overlay: &overlay };
        let averages = average_windows(window, outlet, &parts, terms);
        self.rise(window, averages, (&minutes, &overlay), sink);
        self.keep_recent(minutes, window);
    }

    /// Minutes that windows after this one may still look at, also by a rule that is not in force yet. All of an hour's finer windows
    /// close before it.
    fn keep_recent(&mut self, mut minutes: Parts, window: Window) {
        if window.period == AveragingPeriod::Hour {
            let back = self.ground.law.look_back_minutes(window.end, Timestamp::MAX);
            let back = SignedDuration::from_mins(i64::from(back));
            minutes = minutes.split_off(&window.end.checked_sub(back).unwrap_or(window.end));
        }
        minutes.append(&mut self.recent);
        self.recent = minutes;
    }

    fn note(&mut self, window: Window, judged: &[Judged<'_>]) {
        for one in judged.iter().filter(|one| self.counted.contains(one.by.code())) {
            let key = (one.by.code().to_owned(), window.period, one.position);
            self.counts.entry(key).or_default().push((window.start, one.verdict.outcome));
        }
    }

    fn count(
        &self,
        (code, period, position): (&str, AveragingPeriod, Option<Position>),
        window: Window,
    ) -> Counted {
        let mut counted = Counted::default();
        let verdicts = self.counts.get(&(code.to_owned(), period, position)).map_or(&[][..], Vec::as_slice);
        let from = verdicts.partition_point(|(start, _)| *start < window.start);
        let within = verdicts.iter().skip(from).take_while(|(start, _)| *start < window.end);
        within.for_each(|(_, outcome)| counted.add(*outcome, 1));
        counted
    }
}

#[cfg(test)]
mod tests;

//! The whole ladder of averages from scans alone: minute, 5, 10 and 30 minutes, hour, day, month, quarter, year, by the functions
//! that the centre uses, so that figures agree to the last bit. Scans come in time order and windows leave as soon as a later
//! scan shows that they are over: no more is held than the parts of the windows that are open.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::average::{ChannelAverage, StoredScan, average_scans, average_windows};
use crate::domain::correction::Unwatched;
use crate::domain::exceedance::{judge, rules_for};
use crate::domain::limit::{AveragingPeriod, Reference};
use crate::domain::plant::Outlet;
use crate::domain::regime::Regime;
use crate::domain::window::{Window, lower};

/// Takes one window that is over, with its averages by position.
pub trait Sink {
    fn closed(&mut self, window: Window, averages: &[ChannelAverage]);
}

impl<F: FnMut(Window, &[ChannelAverage])> Sink for F {
    fn closed(&mut self, window: Window, averages: &[ChannelAverage]) {
        self(window, averages);
    }
}

/// One outlet on its way through time.
#[derive(Debug)]
pub struct Replay<'p> {
    outlet: &'p Outlet,
    zone: &'p TimeZone,
    regime: &'p Regime,
    minute: Option<Window>,
    scans: Vec<StoredScan>,
    /// The coarser periods that are wanted, and those they are made of; finest first.
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    period: AveragingPeriod,
    open: Option<Window>,
    parts: BTreeMap<Timestamp, Vec<ChannelAverage>>,
}

impl<'p> Replay<'p> {
    /// Nothing seen yet. Windows of `periods` are wanted; what they are made of is closed and given too.
    pub fn new(
        outlet: &'p Outlet,
        periods: &[AveragingPeriod],
        zone: &'p TimeZone,
        regime: &'p Regime,
    ) -> Replay<'p> {
        let is_made_of = |coarse: AveragingPeriod, fine: AveragingPeriod| {
            std::iter::successors(Some(coarse), |period| lower(*period)).any(|period| period == fine)
        };
        let levels = AveragingPeriod::ALL
            .into_iter()
            .filter(|period| *period != AveragingPeriod::Minute)
            .filter(|period| periods.iter().any(|wanted| is_made_of(*wanted, *period)))
            .map(|period| Level { period, open: None, parts: BTreeMap::new() })
            .collect();
        Replay { outlet, zone, regime, minute: None, scans: Vec::new(), levels }
    }

    /// The next scan: not before the minute of the one before. False, and the scan is not taken, when it is.
    #[must_use]
    pub fn scan(&mut self, scan: StoredScan, sink: &mut impl Sink) -> bool {
        match self.minute {
            Some(minute) if minute.contains(scan.at) => {}
            Some(minute) if scan.at < minute.start => return false,
            Some(_) | None => {
                self.close_minute(sink);
                self.minute = Some(Window::containing(AveragingPeriod::Minute, scan.at, self.zone));
            }
        }
        self.scans.push(scan);
        true
    }

    /// No more scans: closes all that is open.
    pub fn finish(mut self, sink: &mut impl Sink) {
        self.close_minute(sink);
        for level in 0..self.levels.len() {
            self.close(level, sink);
        }
    }

    fn close_minute(&mut self, sink: &mut impl Sink) {
        let Some(window) = self.minute.take() else { return };
        let averages = average_scans(window, self.outlet, &self.scans, self.regime);
        self.scans.clear();
        self.rise(window, averages, sink);
    }

    /// A window that is over goes to the sink and becomes part of the coarser ones, after those that it shows to be over.
    fn rise(&mut self, window: Window, averages: Vec<ChannelAverage>, sink: &mut impl Sink) {
        for index in 0..self.levels.len() {
            let over = |level: &Level| {
                lower(level.period) == Some(window.period)
                    && level.open.is_some_and(|open| !open.contains(window.start))
            };
            if self.levels.get(index).is_some_and(over) {
                self.close(index, sink);
            }
        }
        sink.closed(window, &averages);
        let mut above =
            self.levels.iter_mut().filter(|level| lower(level.period) == Some(window.period)).peekable();
        let mut averages = Some(averages);
        while let Some(level) = above.next() {
            let part = if above.peek().is_some() { averages.clone() } else { averages.take() };
            level.open.get_or_insert_with(|| Window::containing(level.period, window.start, self.zone));
            level.parts.insert(window.start, part.unwrap_or_default());
        }
    }

    fn close(&mut self, index: usize, sink: &mut impl Sink) {
        let Some(level) = self.levels.get_mut(index) else { return };
        let Some(window) = level.open.take() else { return };
        let parts = std::mem::take(&mut level.parts);
        let expected = u32::try_from(window.parts(self.zone).len()).unwrap_or(0);
        let averages = average_windows(window, self.outlet, &parts, (self.regime, expected));
        self.rise(window, averages, sink);
    }
}

/// One channel in one window, as it is published. The field names and their order are a public interface.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Row<'p> {
    pub outlet: &'p str,
    pub channel: &'p str,
    pub period: &'static str,
    /// Start of the window.
    pub start: Timestamp,
    /// `computed`: by us, from readings.
    pub origin: &'static str,
    pub measured: Option<f64>,
    pub standard: Option<f64>,
    pub dry: Option<f64>,
    pub corrected: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub n_valid: u32,
    pub n_expected: u32,
    pub status: &'static str,
    pub flag: char,
    pub valid: bool,
    pub mass_kg: Option<f64>,
    pub method: &'static str,
    pub revision: u32,
    pub verdicts: Vec<RowVerdict<'p>>,
}

/// What one rule says of a row.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct RowVerdict<'p> {
    pub rule: &'p str,
    pub kind: &'static str,
    pub reference_oxygen: Option<f64>,
    pub corrected: Option<f64>,
    pub limit: f64,
    pub comparison: &'static str,
    pub verdict: &'static str,
    pub ratio_over: Option<f64>,
}

/// The rows of one window, by position, each judged by every rule in force at its start.
pub fn rows<'p>(
    outlet: &'p Outlet,
    window: Window,
    averages: &[ChannelAverage],
    regime: &Regime,
) -> impl Iterator<Item = Row<'p>> {
    let (period, method) = (window.period.name(), regime.name);
    averages.iter().zip(&outlet.channels).enumerate().map(move |(position, (average, channel))| Row {
        outlet: &outlet.code,
        channel: channel.code.as_str(),
        period,
        start: window.start,
        origin: "computed",
        measured: average.measured,
        standard: average.standard,
        dry: average.dry,
        corrected: average.corrected,
        min: average.min,
        max: average.max,
        n_valid: average.n_valid,
        n_expected: average.n_expected,
        status: average.status.code(),
        flag: average.flag.letter(),
        valid: average.valid,
        mass_kg: average.mass_mg.map(kilograms),
        method,
        revision: 1,
        verdicts: verdicts(outlet, (window, position), averages),
    })
}

fn verdicts<'p>(
    outlet: &'p Outlet,
    (window, position): (Window, usize),
    averages: &[ChannelAverage],
) -> Vec<RowVerdict<'p>> {
    rules_for(outlet, position, window)
        .map(|rule| {
            let verdict = judge(rule, outlet, (window, position), averages, &mut Unwatched);
            RowVerdict {
                rule: &rule.code,
                kind: rule.kind.name(),
                reference_oxygen: match rule.reference {
                    Reference::OxygenPercent(percent) => Some(percent),
                    Reference::None | Reference::ExcessAir(_) => None,
                },
                corrected: verdict.corrected,
                limit: verdict.limit,
                comparison: rule.comparison.name(),
                verdict: verdict.outcome.name(),
                ratio_over: verdict.ratio_over,
            }
        })
        .collect()
}

/// Whole milligrams as the closest double of kilograms. Its shortest decimal form has the milligrams exactly up to 10^15 mg, a
/// million tonnes (a double has 15 certain digits); above, it is off by less than a gram up to 10^18.
pub fn kilograms(mass_mg: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "see above: the sum itself stays in whole milligrams")]
    let milligrams = mass_mg as f64;
    milligrams / 1e6
}

#[cfg(test)]
mod tests;

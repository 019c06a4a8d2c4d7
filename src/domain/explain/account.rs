//! The minute and the hour of a moment, recomputed from scans.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::source::SourceAccount;
use super::verdicts::JudgedHour;
use super::{ByChannel, Comparison, Evidence, StoredWindow};
use crate::domain::average::{
    ChannelAverage, StoredScan, Terms, average_scans_watched, average_windows_watched, kilograms,
};
use crate::domain::correction::{Step, Unwatched};
use crate::domain::judgement::{Ground, Parts};
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::{Channel, Position};
use crate::domain::regime::Regime;
use crate::domain::validity::Overlay;
use crate::domain::window::Window;

/// One channel in one window, recomputed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WindowAccount {
    pub period: &'static str,
    pub start: Timestamp,
    pub end: Timestamp,
    /// False: figures so far.
    pub closed: bool,
    /// Latest stored revision; null when none is stored.
    pub stored_revision: Option<i32>,
    /// Null when there is nothing to average.
    pub figures: Option<Figures>,
    pub steps: Vec<Step>,
}

/// An average as answers show it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    pub measured: Option<f64>,
    pub standard: Option<f64>,
    pub dry: Option<f64>,
    pub corrected: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub n_valid: u32,
    pub n_expected: u32,
    /// So many must count for a valid window.
    pub n_needed: u32,
    pub status: &'static str,
    pub flag: char,
    pub valid: bool,
    pub mass_kg: Option<f64>,
}

/// The recomputed windows of all channels.
pub(super) struct Windows {
    minute: (Window, Option<Vec<ChannelAverage>>, ByChannel),
    hour: (Window, Vec<ChannelAverage>, ByChannel),
    /// Those of the hour, and before it those that states look back on.
    minutes: Parts,
    overlay: Overlay,
    /// Minutes that were worked out from scans, not taken as stored.
    from_scans: Vec<Timestamp>,
    regime: Regime,
    pub(super) notes: Vec<String>,
}

impl Windows {
    pub(super) fn recompute(ground: &Ground<'_>, evidence: &Evidence, hour: Window) -> Windows {
        let Ground { outlet, regime, zone, .. } = *ground;
        let wanted = Window::containing(AveragingPeriod::Minute, evidence.asked, zone);
        let mut scans: BTreeMap<Timestamp, Vec<StoredScan>> = BTreeMap::new();
        for scan in evidence.scans.iter().filter(|scan| hour.contains(scan.at)) {
            let start = Window::containing(AveragingPeriod::Minute, scan.at, zone).start;
            scans.entry(start).or_default().push(scan.clone());
        }
        let earlier = evidence.minutes.range(..hour.start);
        let mut minutes: Parts = earlier.map(|(start, stored)| (*start, stored.channels.clone())).collect();
        let mut watched = ByChannel::default();
        let parts = hour.parts(zone);
        for part in &parts {
            let average = match scans.get(&part.start) {
                Some(scans) if *part == wanted => {
                    average_scans_watched(*part, outlet, scans, regime, &mut watched)
                }
                Some(scans) => average_scans_watched(*part, outlet, scans, regime, &mut Unwatched),
                None => match evidence.minutes.get(&part.start) {
                    Some(stored) => stored.channels.clone(),
                    None => continue,
                },
            };
            minutes.insert(part.start, average);
        }
        let n_expected = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let mut of_hour = ByChannel::default();
        let overlay = ground.overlay(hour, &minutes);
        let terms = Terms { regime, n_expected, overlay: &overlay };
        let averages = average_windows_watched(hour, outlet, &minutes, terms, &mut of_hour);
        Windows {
            minute: (wanted, minutes.get(&wanted.start).cloned(), watched),
            notes: notes(evidence, (wanted, hour), &minutes, &scans),
            hour: (hour, averages, of_hour),
            minutes,
            overlay,
            from_scans: scans.into_keys().collect(),
            regime: regime.clone(),
        }
    }

    /// Stored against recomputed figures of one channel.
    pub(super) fn compare(
        &self,
        position: Position,
        channel: &Channel,
        evidence: &Evidence,
        comparison: &mut Comparison,
    ) {
        for start in &self.from_scans {
            let stored = evidence.minutes.get(start).and_then(|stored| stored.channels.get(position));
            let recomputed = self.minutes.get(start).and_then(|averages| averages.get(position));
            let Some((stored, recomputed)) = stored.zip(recomputed) else { continue };
            compare(&format!("minute {start} {}", channel.code), stored, recomputed, comparison);
        }
        let (hour, averages, _) = &self.hour;
        let stored = evidence.hour.as_ref().and_then(|stored| stored.channels.get(position));
        if let Some((stored, recomputed)) =
            stored.zip(averages.get(position)).filter(|_| evidence.now >= hour.end)
        {
            compare(&format!("hour {} {}", hour.start, channel.code), stored, recomputed, comparison);
        }
    }

    pub(super) fn minute_account(&mut self, position: Position, evidence: &Evidence) -> WindowAccount {
        let (window, averages, watched) = &mut self.minute;
        let average = averages.as_ref().and_then(|averages| averages.get(position));
        let steps = watched.take(position);
        account(*window, average, steps, (evidence.minutes.get(&window.start), evidence.now, &self.regime))
    }

    pub(super) fn hour_account(&mut self, position: Position, evidence: &Evidence) -> WindowAccount {
        let (window, averages, watched) = &mut self.hour;
        let is_known = self.minutes.range(window.start..window.end).next().is_some();
        let average = averages.get(position).filter(|_| is_known);
        let steps = watched.take(position);
        account(*window, average, steps, (evidence.hour.as_ref(), evidence.now, &self.regime))
    }

    /// All that is said of the hour.
    pub(super) fn judged<'g>(&self, ground: &Ground<'g>) -> JudgedHour<'g> {
        JudgedHour::of(ground, self.hour.0, &self.hour.1, (&self.minutes, &self.overlay))
    }

    /// What the source was doing in the hour.
    pub(super) fn source(&self, ground: &Ground<'_>) -> SourceAccount {
        SourceAccount::of(ground, self.hour.0, &self.overlay)
    }
}

fn notes(
    evidence: &Evidence,
    (minute, hour): (Window, Window),
    minutes: &BTreeMap<Timestamp, Vec<ChannelAverage>>,
    scans: &BTreeMap<Timestamp, Vec<StoredScan>>,
) -> Vec<String> {
    let mut notes = Vec::new();
    let mut say = |applies: bool, note: String| {
        if applies {
            notes.push(note);
        }
    };
    let of_hour = minutes.range(hour.start..hour.end);
    let taken = of_hour.filter(|(start, _)| !scans.contains_key(*start)).count();
    say(!minutes.contains_key(&minute.start), format!("no scan in the minute from {}", minute.start));
    let is_empty = minutes.range(hour.start..hour.end).next().is_none();
    say(is_empty, format!("no scan in the hour from {}", hour.start));
    say(
        taken > 0,
        format!(
            "{taken} minutes of the hour have no scans any more: their stored averages are taken as they are"
        ),
    );
    say(
        evidence.now < hour.end,
        format!("hour not closed yet: it ends at {}; its figures and verdicts are those so far", hour.end),
    );
    say(
        evidence.now >= hour.end && evidence.hour.is_none() && !is_empty,
        "no average of the hour is stored; it is recomputed here (is the centre running?)".to_owned(),
    );
    notes
}

type Known<'k> = (Option<&'k StoredWindow>, Timestamp, &'k Regime);

fn account(
    window: Window,
    average: Option<&ChannelAverage>,
    steps: Vec<Step>,
    (stored, now, regime): Known<'_>,
) -> WindowAccount {
    WindowAccount {
        period: window.period.name(),
        start: window.start,
        end: window.end,
        closed: now >= window.end,
        stored_revision: stored.map(|stored| stored.revision),
        figures: average.map(|average| Figures {
            measured: average.measured,
            standard: average.standard,
            dry: average.dry,
            corrected: average.corrected,
            min: average.min,
            max: average.max,
            n_valid: average.n_valid,
            n_expected: average.n_expected,
            n_needed: regime.needed(window.period, average.n_expected),
            status: average.status.code(),
            flag: average.flag.letter(),
            valid: average.valid,
            mass_kg: average.mass_mg.map(kilograms),
        }),
        steps,
    }
}

fn compare(of: &str, stored: &ChannelAverage, recomputed: &ChannelAverage, comparison: &mut Comparison) {
    let words = |average: &ChannelAverage| {
        (average.status.code().to_owned(), average.flag.letter().to_string(), average.valid.to_string())
    };
    let counts = |average: &ChannelAverage| format!("{} of {}", average.n_valid, average.n_expected);
    let (before, after) = (words(stored), words(recomputed));
    comparison.compare(of, "counted", &counts(stored), &counts(recomputed));
    comparison.compare(of, "status", &before.0, &after.0);
    comparison.compare(of, "flag", &before.1, &after.1);
    comparison.compare(of, "valid", &before.2, &after.2);
    comparison.numbers(of, "measured", stored.measured, recomputed.measured);
    comparison.numbers(of, "standard", stored.standard, recomputed.standard);
    comparison.numbers(of, "dry", stored.dry, recomputed.dry);
    comparison.numbers(of, "corrected", stored.corrected, recomputed.corrected);
    comparison.numbers(of, "min", stored.min, recomputed.min);
    comparison.numbers(of, "max", stored.max, recomputed.max);
    let mass = |average: &ChannelAverage| average.mass_mg.map(kilograms);
    comparison.numbers(of, "mass_kg", mass(stored), mass(recomputed));
}

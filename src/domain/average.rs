//! Averages: a pure function of the next lower level. A minute is made of scans, an hour of minutes, a day of hours; live
//! data, late data, recomputation and replay all come through here and therefore agree to the last bit.

/// What a watcher is told.
mod steps;
/// What accumulates over a window.
mod tally;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::correction::{Converted, Unwatched, Witness, to_reference};
use crate::domain::emission::{mass_mg, rate};
use crate::domain::evaluation::{evaluate, own_reference};
use crate::domain::flag::{Flag, Status};
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::{Channel, ChannelSettings, Outlet, OutletSettings, Position};
use crate::domain::pollutant::Role;
use crate::domain::regime::{ConversionOrder, Regime};
use crate::domain::scan::Reading;
use crate::domain::validity::{Layer, Overlay};
use crate::domain::window::{Window, lower as lower_period};

use tally::Tally;
pub use tally::snap;

/// A channel with a longer period has a cycle: its minutes are mostly empty and its hour counts cycles, not minutes.
const MINUTE_MS: u32 = 60_000;

/// One channel in one window. All figures are snapped to 12 significant digits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChannelAverage {
    /// In the channel's unit and basis.
    pub measured: Option<f64>,
    /// mg/m3, standard state.
    pub standard: Option<f64>,
    /// mg/m3, standard state, dry; for oxygen percent; for velocity and flow the dry standard flow in m3/h.
    pub dry: Option<f64>,
    /// mg/m3 at the outlet's own reference oxygen.
    pub corrected: Option<f64>,
    /// Smallest and largest measured value that counted.
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Lower-level values that counted, and how many there should have been.
    pub n_valid: u32,
    pub n_expected: u32,
    /// HJ 76-2017 App. B.
    pub status: Status,
    /// HJ 212-2017 C.16 to C.18: `N` when three quarters of the lower-level values are normal, else `D`.
    pub flag: Flag,
    /// Statistical validity: enough lower-level values counted.
    pub valid: bool,
    /// Pollutants only, whole milligrams emitted in the window.
    pub mass_mg: Option<i64>,
}

/// A scan as it is stored: readings by position.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredScan {
    pub at: Timestamp,
    pub readings: Vec<Reading>,
}

/// Averages the scans of one minute; by position. Scans may come in any order and more than once.
pub fn average_scans(
    window: Window,
    outlet: &Outlet,
    scans: &[StoredScan],
    regime: &Regime,
) -> Vec<ChannelAverage> {
    average_scans_watched(window, outlet, scans, regime, &mut Unwatched)
}

/// The same as [`average_scans`], watched.
pub fn average_scans_watched(
    window: Window,
    outlet: &Outlet,
    scans: &[StoredScan],
    regime: &Regime,
    witness: &mut impl Witness,
) -> Vec<ChannelAverage> {
    let in_order: BTreeMap<Timestamp, &StoredScan> =
        scans.iter().filter(|scan| window.contains(scan.at)).map(|scan| (scan.at, scan)).collect();
    let mut tallies = vec![Tally::default(); outlet.channels.len()];
    for scan in in_order.values() {
        let evaluated = evaluate(outlet, scan.at, &scan.readings, regime, &mut Unwatched);
        for ((tally, value), channel) in tallies.iter_mut().zip(&evaluated.channels).zip(&outlet.channels) {
            tally.add_scan(value, channel.factor.role);
        }
    }
    let received = u32::try_from(in_order.len()).unwrap_or(u32::MAX);
    let mut averages: Vec<ChannelAverage> = Vec::with_capacity(tallies.len());
    for (position, (tally, channel)) in tallies.iter_mut().zip(&outlet.channels).enumerate() {
        witness.turn_to(position);
        let settings = settings_of_channel(channel, window);
        let expected = if is_slow(settings) {
            let new = |scan: &&StoredScan| {
                scan.readings.get(position).is_some_and(|reading| reading.flag != Flag::Absent)
            };
            u32::from(in_order.values().any(new))
        } else {
            due(settings, window).max(1)
        };
        tally.note(Status::NoData, expected.saturating_sub(received));
        averages.push(tally.close(window.period, expected, regime, witness));
    }
    convert_and_weigh(window, outlet, &mut averages, (regime, &tallies), witness);
    averages
}

/// A channel's settings in a window: those at its start, or the first that begin within it.
fn settings_of_channel(channel: &Channel, window: Window) -> Option<&ChannelSettings> {
    let first_within =
        || channel.settings.iter().find(|dated| window.contains(dated.from)).map(|dated| &dated.value);
    channel.settings.at(window.start).or_else(first_within)
}

fn is_slow(settings: Option<&ChannelSettings>) -> bool {
    settings.is_some_and(|settings| settings.period_ms > MINUTE_MS)
}

/// How many values a channel gives in a window.
fn due(settings: Option<&ChannelSettings>, window: Window) -> u32 {
    let length_ms = (window.end.as_millisecond() - window.start.as_millisecond()).unsigned_abs();
    let period_ms = settings.map_or(0, |settings| u64::from(settings.period_ms));
    length_ms.checked_div(period_ms).and_then(|n| u32::try_from(n).ok()).unwrap_or_default()
}

/// By what windows are averaged.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'t> {
    pub regime: &'t Regime,
    /// How many windows of the next lower level there should be.
    pub n_expected: u32,
    /// What lies over the minutes of a window that is made of minutes; of coarser ones nothing does.
    pub overlay: &'t Overlay,
}

impl<'t> Terms<'t> {
    /// Nothing lies over anything.
    pub const fn plain(regime: &'t Regime, n_expected: u32) -> Terms<'t> {
        Terms { regime, n_expected, overlay: Overlay::NONE }
    }
}

/// Averages the next lower level's averages, given by their start; by position. Windows that are missing are missing
/// data; those that are not part of `window` are ignored.
pub fn average_windows(
    window: Window,
    outlet: &Outlet,
    lower: &BTreeMap<Timestamp, Vec<ChannelAverage>>,
    terms: Terms<'_>,
) -> Vec<ChannelAverage> {
    average_windows_watched(window, outlet, lower, terms, &mut Unwatched)
}

/// The same as [`average_windows`], watched.
pub fn average_windows_watched(
    window: Window,
    outlet: &Outlet,
    lower: &BTreeMap<Timestamp, Vec<ChannelAverage>>,
    terms: Terms<'_>,
    witness: &mut impl Witness,
) -> Vec<ChannelAverage> {
    let Terms { regime, n_expected, overlay } = terms;
    let mut tallies = vec![Tally::default(); outlet.channels.len()];
    for (start, averages) in lower.range(window.start..window.end) {
        let layers = Layers::of(overlay, outlet, (*start, averages));
        for (position, (average, tally)) in averages.iter().zip(&mut tallies).enumerate() {
            tally.add_average(average, layers.at(position));
        }
    }
    let of_minutes = lower_period(window.period) == Some(AveragingPeriod::Minute);
    let mut averages: Vec<ChannelAverage> = Vec::with_capacity(tallies.len());
    for (position, (tally, channel)) in tallies.iter_mut().zip(&outlet.channels).enumerate() {
        witness.turn_to(position);
        let settings = settings_of_channel(channel, window);
        let slow = of_minutes && is_slow(settings);
        let expected = if slow { due(settings, window).max(1) } else { n_expected };
        let missing = expected.saturating_sub(tally.n_present);
        // A minute without a row has the state of its minute all the same; between two values of a cycle none is missing.
        let named = if slow { 0 } else { note_missing(overlay, (lower, position), missing, tally) };
        tally.note(Status::NoData, missing - named);
        averages.push(tally.close(window.period, expected, regime, witness));
    }
    convert_and_weigh(window, outlet, &mut averages, (regime, &tallies), witness);
    averages
}

/// What lies over the channels in one lower window.
struct Layers<'o> {
    overlay: &'o Overlay,
    start: Timestamp,
    /// The instrument that the flow comes from was out of order: nothing can be weighed.
    flow_out: bool,
}

impl<'o> Layers<'o> {
    fn of(
        overlay: &'o Overlay,
        outlet: &Outlet,
        (start, averages): (Timestamp, &[ChannelAverage]),
    ) -> Layers<'o> {
        let flow = if overlay.is_empty() { None } else { flow_from(outlet, averages) };
        let flow_out = flow.is_some_and(|(position, _)| !overlay.at(start, position).weighs);
        Layers { overlay, start, flow_out }
    }

    fn at(&self, position: usize) -> Layer {
        let layer = self.overlay.at(self.start, position);
        Layer { weighs: layer.weighs && !self.flow_out, ..layer }
    }
}

/// Notes the statuses that lie over minutes without a row, at most `missing`; gives how many.
fn note_missing(
    overlay: &Overlay,
    (lower, position): (&BTreeMap<Timestamp, Vec<ChannelAverage>>, usize),
    missing: u32,
    tally: &mut Tally,
) -> u32 {
    let mut named = 0;
    for start in overlay.starts().filter(|start| !lower.contains_key(start)) {
        if let Some(status) = overlay.at(*start, position).status.filter(|_| named < missing) {
            tally.note(status, 1);
            named += 1;
        }
    }
    named
}

/// Oxygen correction of means, and mass, for the pollutants of a window.
fn convert_and_weigh(
    window: Window,
    outlet: &Outlet,
    averages: &mut [ChannelAverage],
    (regime, tallies): (&Regime, &[Tally]),
    witness: &mut impl Witness,
) {
    let Some(settings) = settings_of(outlet, window) else { return };
    let oxygen = oxygen_of(outlet, averages);
    let flow = flow_of(outlet, averages);
    for (position, (average, (channel, tally))) in
        averages.iter_mut().zip(outlet.channels.iter().zip(tallies)).enumerate()
    {
        if channel.factor.role != Role::Pollutant {
            average.corrected = None;
            continue;
        }
        witness.turn_to(position);
        if regime.conversion == ConversionOrder::OfMeans {
            let converted =
                average.dry.map(|dry| to_reference(dry, oxygen, own_reference(settings), settings, witness));
            average.corrected = converted.and_then(Converted::value).map(snap);
        }
        let slow = settings_of_channel(channel, window).filter(|settings| is_slow(Some(settings)));
        let weighed = hours_weighed(window.period, average, (slow, tally));
        average.mass_mg = mass_of(weighed, average, flow, tally);
        witness.step(|| steps::mass(weighed, average, flow));
    }
}

/// The settings that a window is converted and judged with: those at its start, or the first that begin within it.
pub fn settings_of(outlet: &Outlet, window: Window) -> Option<&OutletSettings> {
    let first_within =
        || outlet.settings.iter().find(|dated| window.contains(dated.from)).map(|dated| &dated.value);
    outlet.settings.at(window.start).or_else(first_within)
}

/// Mean dry oxygen of a window, percent, when it is valid.
pub fn oxygen_of(outlet: &Outlet, averages: &[ChannelAverage]) -> Option<f64> {
    let mut channels = outlet.channels.iter().zip(averages);
    let (_, oxygen) = channels.find(|(channel, _)| channel.factor.role == Role::Oxygen)?;
    oxygen.dry.filter(|_| oxygen.valid)
}

/// Mean dry standard flow of a window, m3/h, when it is valid. A flow channel goes before a velocity channel.
pub fn flow_of(outlet: &Outlet, averages: &[ChannelAverage]) -> Option<f64> {
    flow_from(outlet, averages).map(|(_, flow)| flow)
}

/// The same with the position of its channel.
fn flow_from(outlet: &Outlet, averages: &[ChannelAverage]) -> Option<(Position, f64)> {
    let of = |role: Role| {
        let mut channels = outlet.channels.iter().zip(averages).enumerate();
        channels
            .find(|(_, (channel, average))| channel.factor.role == role && average.valid)
            .and_then(|(position, (_, average))| Some((position, average.dry?)))
    };
    of(Role::Flow).or_else(|| of(Role::Velocity))
}

/// A minute and a valid hour: concentration x flow x time (eq. 33), with the concentration at actual oxygen; the value of a
/// slow channel stands for its whole cycle. Of an hour in which the source stood still for a while that is the time it ran, and what
/// its standing minutes emitted is added. An hour that is not valid, and everything longer or in between: the sum of what its parts
/// emitted, so that nothing vanishes.
fn mass_of(weighed: Option<f64>, average: &ChannelAverage, flow: Option<f64>, tally: &Tally) -> Option<i64> {
    let Some(hours) = weighed else { return average.mass_mg };
    let rate = average.dry.zip(flow).and_then(|(dry, flow)| rate(dry, flow));
    let weighed = rate.and_then(|rate| mass_mg(rate, hours));
    weighed.map_or(average.mass_mg, |mass| mass.checked_add(tally.standing_mg()))
}

/// The time that a window's own concentration and flow are multiplied with, hours; `None` where its parts are summed.
fn hours_weighed(
    period: AveragingPeriod,
    average: &ChannelAverage,
    (slow, tally): (Option<&ChannelSettings>, &Tally),
) -> Option<f64> {
    let hours = match period {
        AveragingPeriod::Minute => f64::from(slow.map_or(MINUTE_MS, |slow| slow.period_ms)) / 3_600_000.0,
        AveragingPeriod::Hour => {
            let standing = tally.count(Status::SourceStopped).min(average.n_expected);
            f64::from(average.n_expected - standing) / f64::from(average.n_expected.max(1))
        }
        AveragingPeriod::FiveMinutes
        | AveragingPeriod::TenMinutes
        | AveragingPeriod::HalfHour
        | AveragingPeriod::Day
        | AveragingPeriod::Month
        | AveragingPeriod::Quarter
        | AveragingPeriod::Year => return None,
    };
    average.valid.then_some(hours)
}

/// Whole milligrams as the closest double of kilograms. Its shortest decimal form has the milligrams exactly up to 10^15 mg, a
/// million tonnes (a double has 15 certain digits); above, it is off by less than a gram up to 10^18.
pub fn kilograms(mass_mg: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "see above: the sum itself stays in whole milligrams")]
    let mg = mass_mg as f64;
    mg / 1e6
}

#[cfg(test)]
mod tests;

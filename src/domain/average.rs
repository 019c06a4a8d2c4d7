//! Averages: a pure function of the next lower level. A minute is made of scans, an hour of minutes, a day of hours; live
//! data, late data, recomputation and replay all come through here and therefore agree to the last bit.

/// What a watcher is told.
mod steps;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::correction::{Converted, Unwatched, Witness, to_reference};
use crate::domain::emission::{mass_mg, rate};
use crate::domain::evaluation::{ChannelValue, evaluate, own_reference};
use crate::domain::flag::{Flag, Status};
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::{Outlet, OutletSettings};
use crate::domain::pollutant::Role;
use crate::domain::regime::{ConversionOrder, Regime};
use crate::domain::scan::Reading;
use crate::domain::window::Window;

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

/// Compensated (Neumaier) summation: the error does not grow with the number of terms.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    lost: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: Option<f64>) {
        let Some(value) = value else { return };
        let sum = self.sum + value;
        self.lost +=
            if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
        self.count += 1;
    }

    fn total(&self) -> f64 {
        self.sum + self.lost
    }

    /// The mean of all `expected` values; `None` when one of them was missing or there was none.
    fn of(&self, expected: u32) -> Option<f64> {
        if expected == 0 || self.count != expected {
            return None;
        }
        Some(snap(self.total() / f64::from(expected))).filter(|mean| mean.is_finite())
    }
}

/// The closest number with 12 significant digits. Sums of the same values in another order agree after it, and so do
/// rounding and verdict.
pub fn snap(value: f64) -> f64 {
    format!("{value:.11e}").parse().unwrap_or(value)
}

/// What accumulates for one channel over a window.
#[derive(Debug, Clone, Default)]
struct Tally {
    measured: Mean,
    standard: Mean,
    dry: Mean,
    corrected: Mean,
    min: Option<f64>,
    max: Option<f64>,
    n_valid: u32,
    n_normal: u32,
    statuses: BTreeMap<Status, u32>,
    mass_mg: Option<i64>,
}

impl Tally {
    fn widen(&mut self, low: Option<f64>, high: Option<f64>) {
        self.min = self.min.map_or(low, |min| Some(low.map_or(min, |low| min.min(low))));
        self.max = self.max.map_or(high, |max| Some(high.map_or(max, |high| max.max(high))));
    }

    fn note(&mut self, status: Status, times: u32) {
        *self.statuses.entry(status).or_default() += times;
    }

    fn add_scan(&mut self, value: &ChannelValue, role: Role) {
        if value.flag == Flag::Normal {
            self.n_normal += 1;
        }
        if !value.counts(role) {
            // A normal reading that lacks what its conversion needs is missing data, not a fault of its own.
            let status =
                if value.flag == Flag::Normal { Status::NoData } else { Status::of_flag(value.flag) };
            self.note(status, 1);
            return;
        }
        self.n_valid += 1;
        self.note(Status::Normal, 1);
        self.measured.add(value.measured);
        self.standard.add(value.bases.standard);
        self.dry.add(value.bases.dry);
        self.corrected.add(value.corrected);
        self.widen(value.measured, value.measured);
    }

    fn add_average(&mut self, average: &ChannelAverage) {
        if average.flag == Flag::Normal {
            self.n_normal += 1;
        }
        self.note(average.status, 1);
        self.mass_mg = match (self.mass_mg, average.mass_mg) {
            (Some(sum), Some(more)) => sum.checked_add(more),
            (sum, more) => sum.or(more),
        };
        if !average.valid {
            return;
        }
        self.n_valid += 1;
        self.measured.add(average.measured);
        self.standard.add(average.standard);
        self.dry.add(average.dry);
        self.corrected.add(average.corrected);
        self.widen(average.min, average.max);
    }

    fn close(
        &self,
        period: AveragingPeriod,
        expected: u32,
        regime: &Regime,
        witness: &mut impl Witness,
    ) -> ChannelAverage {
        let needed = regime.needed(period, expected);
        let valid = self.n_valid >= needed;
        let normal =
            u64::from(self.n_normal) * 100 >= u64::from(regime.normal_share_percent) * u64::from(expected);
        let average = ChannelAverage {
            measured: self.measured.of(self.n_valid),
            standard: self.standard.of(self.n_valid),
            dry: self.dry.of(self.n_valid),
            corrected: self.corrected.of(self.n_valid),
            min: self.min,
            max: self.max,
            n_valid: self.n_valid,
            n_expected: expected,
            status: if valid { Status::Normal } else { self.status(needed) },
            flag: if normal { Flag::Normal } else { Flag::Fault },
            valid,
            mass_mg: self.mass_mg,
        };
        witness.step(|| steps::validity(self, &average, needed));
        witness.step(|| steps::roll_up(self, &average, regime));
        witness.step(|| steps::mean("mean measured", (&self.measured, average.measured), &average));
        witness.step(|| steps::mean("mean dry standard", (&self.dry, average.dry), &average));
        average
    }

    /// The status of a window that is not valid: the first source state with enough lower-level values, else the most
    /// frequent other one, ties in the order below (HJ 76-2017 App. B leaves such windows open).
    fn status(&self, needed: u32) -> Status {
        let count = |status: Status| self.statuses.get(&status).copied().unwrap_or_default();
        let source = [Status::SourceStopped, Status::StartUp, Status::ShutDown, Status::BankedFire];
        if let Some(state) = source.into_iter().find(|state| count(*state) >= needed) {
            return state;
        }
        let mut most = Status::NoData;
        let mut times = 0;
        for status in
            [Status::Fault, Status::Maintenance, Status::Calibration, Status::OverRange, Status::NoData]
        {
            if count(status) > times {
                (most, times) = (status, count(status));
            }
        }
        most
    }
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
    let length_ms = (window.end.as_millisecond() - window.start.as_millisecond()).unsigned_abs();
    let received = u32::try_from(in_order.len()).unwrap_or(u32::MAX);
    let mut averages: Vec<ChannelAverage> = Vec::with_capacity(tallies.len());
    for (position, (tally, channel)) in tallies.iter_mut().zip(&outlet.channels).enumerate() {
        witness.turn_to(position);
        let settings = channel
            .settings
            .at(window.start)
            .or_else(|| in_order.keys().find_map(|at| channel.settings.at(*at)));
        let period_ms = settings.map_or(0, |settings| u64::from(settings.period_ms));
        let expected =
            length_ms.checked_div(period_ms).and_then(|n| u32::try_from(n).ok()).unwrap_or_default().max(1);
        tally.note(Status::NoData, expected.saturating_sub(received));
        averages.push(tally.close(window.period, expected, regime, witness));
    }
    convert_and_weigh(window, outlet, &mut averages, regime, witness);
    averages
}

/// Averages the next lower level's averages, given by their start; by position. Windows that are missing are missing
/// data; those that are not part of `window` are ignored.
pub fn average_windows(
    window: Window,
    outlet: &Outlet,
    lower: &BTreeMap<Timestamp, Vec<ChannelAverage>>,
    (regime, n_expected): (&Regime, u32),
) -> Vec<ChannelAverage> {
    average_windows_watched(window, outlet, lower, (regime, n_expected), &mut Unwatched)
}

/// The same as [`average_windows`], watched.
pub fn average_windows_watched(
    window: Window,
    outlet: &Outlet,
    lower: &BTreeMap<Timestamp, Vec<ChannelAverage>>,
    (regime, n_expected): (&Regime, u32),
    witness: &mut impl Witness,
) -> Vec<ChannelAverage> {
    let mut tallies = vec![Tally::default(); outlet.channels.len()];
    let mut present = 0_u32;
    for averages in lower.range(window.start..window.end).map(|(_, averages)| averages) {
        present += 1;
        for (position, tally) in tallies.iter_mut().enumerate() {
            match averages.get(position) {
                Some(average) => tally.add_average(average),
                None => tally.note(Status::NoData, 1),
            }
        }
    }
    for tally in &mut tallies {
        tally.note(Status::NoData, n_expected.saturating_sub(present));
    }
    let mut averages = Vec::with_capacity(tallies.len());
    for (position, tally) in tallies.iter().enumerate() {
        witness.turn_to(position);
        averages.push(tally.close(window.period, n_expected, regime, witness));
    }
    convert_and_weigh(window, outlet, &mut averages, regime, witness);
    averages
}

/// Oxygen correction of means, and mass, for the pollutants of a window.
fn convert_and_weigh(
    window: Window,
    outlet: &Outlet,
    averages: &mut [ChannelAverage],
    regime: &Regime,
    witness: &mut impl Witness,
) {
    let Some(settings) = settings_of(outlet, window) else { return };
    let oxygen = oxygen_of(outlet, averages);
    let flow = flow_of(outlet, averages);
    for (position, (average, channel)) in averages.iter_mut().zip(&outlet.channels).enumerate() {
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
        average.mass_mg = mass_of(window.period, average, flow);
        witness.step(|| steps::mass(window.period, average, flow));
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
fn flow_of(outlet: &Outlet, averages: &[ChannelAverage]) -> Option<f64> {
    let of = |role: Role| {
        let mut channels = outlet.channels.iter().zip(averages);
        channels
            .find(|(channel, average)| channel.factor.role == role && average.valid)
            .and_then(|(_, average)| average.dry)
    };
    of(Role::Flow).or_else(|| of(Role::Velocity))
}

/// A minute and a valid hour: concentration x flow x time (eq. 33), with the concentration at actual oxygen. An hour that is
/// not valid, and everything longer or in between: the sum of what its parts emitted, so that nothing vanishes.
fn mass_of(period: AveragingPeriod, average: &ChannelAverage, flow: Option<f64>) -> Option<i64> {
    let hours = match period {
        AveragingPeriod::Minute => 1.0 / 60.0,
        AveragingPeriod::Hour => 1.0,
        AveragingPeriod::FiveMinutes
        | AveragingPeriod::TenMinutes
        | AveragingPeriod::HalfHour
        | AveragingPeriod::Day
        | AveragingPeriod::Month
        | AveragingPeriod::Quarter
        | AveragingPeriod::Year => return average.mass_mg,
    };
    if !average.valid {
        return average.mass_mg;
    }
    let rate = average.dry.zip(flow).and_then(|(dry, flow)| rate(dry, flow));
    rate.and_then(|rate| mass_mg(rate, hours)).or(average.mass_mg)
}

/// A stored mass in kilograms.
pub fn kilograms(mass_mg: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "masses are within 53 bits, see emission::mass_mg")]
    let mg = mass_mg as f64;
    mg / 1e6
}

#[cfg(test)]
mod tests;

//! What accumulates for one channel over a window, and how it is closed.

use crate::domain::average::{ChannelAverage, steps};
use crate::domain::correction::Witness;
use crate::domain::evaluation::ChannelValue;
use crate::domain::flag::{Flag, Status};
use crate::domain::limit::AveragingPeriod;
use crate::domain::pollutant::Role;
use crate::domain::regime::Regime;
use crate::domain::validity::Layer;

/// Compensated (Neumaier) summation: the error does not grow with the number of terms.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mean {
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

    /// The sum and how many values it is of.
    pub(super) fn total(&self) -> (f64, u32) {
        (self.sum + self.lost, self.count)
    }

    /// The mean of what there was, when it was at least `needed` values; never of nothing.
    fn of(&self, needed: u32) -> Option<f64> {
        if self.count == 0 || self.count < needed {
            return None;
        }
        Some(snap(self.total().0 / f64::from(self.count))).filter(|mean| mean.is_finite())
    }
}

/// The closest number with 12 significant digits. Sums of the same values in another order agree after it, and so do
/// rounding and verdict.
pub fn snap(value: f64) -> f64 {
    snap_fast(value).unwrap_or_else(|| format!("{value:.11e}").parse().unwrap_or(value))
}

/// The powers of ten that a double holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// By arithmetic, where that is certain to give what decimal text would: the scaled value is off by less than 0.0003, so it
/// rounds the right way unless it is close to a half; a whole number below 2^53 divided by an exact power of ten is the double
/// closest to that decimal.
fn snap_fast(value: f64) -> Option<f64> {
    if value == 0.0 {
        return Some(value);
    }
    let magnitude = value.abs();
    if !(1e-9..1e11).contains(&magnitude) {
        return None;
    }
    // 10^digits takes the value to 10^11 .. 10^12.
    let above = TENS.iter().take(12).filter(|ten| magnitude >= **ten).count();
    let digits = if above > 0 {
        12 - above
    } else {
        11 + TENS.iter().take_while(|ten| magnitude * **ten < 1.0).count()
    };
    let ten = TENS.get(digits)?;
    let scaled = magnitude * ten;
    let whole = scaled.round();
    let certain = (scaled - whole).abs() < 0.499 && (1e11..999_999_999_999.0).contains(&whole);
    certain.then(|| (whole / ten).copysign(value))
}

/// Counts of statuses, by [`Status::ALL`].
type Counts = [u32; Status::ALL.len()];

/// What accumulates.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    measured: Mean,
    standard: Mean,
    dry: Mean,
    corrected: Mean,
    min: Option<f64>,
    max: Option<f64>,
    n_valid: u32,
    pub n_normal: u32,
    /// Lower-level values that were due and there, whatever they were worth.
    pub n_present: u32,
    statuses: Counts,
    mass_mg: Option<i64>,
    /// Of that, what was emitted while the source stood still.
    standing_mg: i64,
}

impl Tally {
    fn widen(&mut self, low: Option<f64>, high: Option<f64>) {
        self.min = self.min.map_or(low, |min| Some(low.map_or(min, |low| min.min(low))));
        self.max = self.max.map_or(high, |max| Some(high.map_or(max, |high| max.max(high))));
    }

    /// Counts a status so many times.
    pub(super) fn note(&mut self, status: Status, times: u32) {
        if let Some(count) = self.statuses.get_mut(status.index()) {
            *count = count.saturating_add(times);
        }
    }

    /// One scan's value.
    pub(super) fn add_scan(&mut self, value: &ChannelValue, role: Role) {
        self.n_present += 1;
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

    /// One lower window, and what lies over it.
    pub(super) fn add_average(&mut self, average: &ChannelAverage, layer: Layer) {
        // Nothing was due: a minute between two values of a slow channel.
        if average.n_expected == 0 {
            return;
        }
        self.n_present += 1;
        if average.flag == Flag::Normal {
            self.n_normal += 1;
        }
        self.note(layer.status.unwrap_or(average.status), 1);
        if layer.weighs {
            self.weigh(average.mass_mg, layer);
        }
        if !(average.valid && layer.counts) {
            return;
        }
        self.n_valid += 1;
        self.measured.add(average.measured);
        self.standard.add(average.standard);
        self.dry.add(average.dry);
        self.corrected.add(average.corrected);
        self.widen(average.min, average.max);
    }

    fn weigh(&mut self, mass_mg: Option<i64>, layer: Layer) {
        self.mass_mg = match (self.mass_mg, mass_mg) {
            (Some(sum), Some(more)) => sum.checked_add(more),
            (sum, more) => sum.or(more),
        };
        if layer.status == Some(Status::SourceStopped) {
            self.standing_mg = self.standing_mg.saturating_add(mass_mg.unwrap_or(0));
        }
    }

    /// What was emitted while the source stood still, milligrams.
    pub(super) const fn standing_mg(&self) -> i64 {
        self.standing_mg
    }

    /// The average, of `expected` lower-level values; missing ones have been noted.
    pub(super) fn close(
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
        // A flow may lack a temperature now and then: its mean needs as many values as any mean.
        let enough = needed.min(self.n_valid);
        let average = ChannelAverage {
            measured: self.measured.of(enough),
            standard: self.standard.of(enough),
            dry: self.dry.of(enough),
            corrected: self.corrected.of(self.n_valid),
            min: self.min,
            max: self.max,
            n_valid: self.n_valid,
            n_expected: expected,
            status: regime.status(needed, valid, |status| self.count(status)),
            flag: match (expected, normal) {
                (0, _) => Flag::Absent,
                (_, true) => Flag::Normal,
                (_, false) => Flag::Fault,
            },
            valid,
            mass_mg: self.mass_mg,
        };
        witness.step(|| steps::validity(self, &average, needed));
        witness.step(|| steps::roll_up(self, &average, regime));
        witness.step(|| steps::mean("mean measured", &self.measured, average.measured));
        witness.step(|| steps::mean("mean dry standard", &self.dry, average.dry));
        average
    }

    /// How often a status was counted.
    pub(super) fn count(&self, status: Status) -> u32 {
        self.statuses.get(status.index()).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_text(value: f64) -> f64 {
        format!("{value:.11e}").parse().unwrap()
    }

    proptest! {
        #[test]
        fn arithmetic_and_text_agree_to_the_bit(value in proptest::num::f64::ANY, mantissa in -1e3..1e3_f64, exponent in -12_i32..13) {
            for value in [value, mantissa * 10_f64.powi(exponent)] {
                if value.is_finite() {
                    prop_assert_eq!(snap(value).to_bits(), by_text(value).to_bits(), "{}", value);
                }
            }
        }

        #[test]
        fn what_has_twelve_digits_stays(whole in 0_i64..1_000_000_000_000, digits in 0_i32..20) {
            let value: f64 = format!("{whole}e-{digits}").parse().unwrap();
            prop_assert_eq!(snap(value).to_bits(), value.to_bits());
        }
    }

    #[test]
    fn edges() {
        for value in [
            0.0,
            -0.0,
            1.0,
            9.999_999_999_995,
            0.1,
            1e11,
            1e-9,
            99_999_999_999.95,
            1.000_000_000_005,
            999_999_999_999.5,
        ] {
            assert_eq!(snap(value).to_bits(), by_text(value).to_bits(), "{value}");
        }
        assert!(snap(f64::NAN).is_nan());
        assert_eq!(snap(f64::INFINITY), f64::INFINITY);
    }
}

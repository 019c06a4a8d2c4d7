//! Flow and mass. Equation numbers are those of HJ 212-2017 Appendix D.

use crate::domain::average::snap;
use crate::domain::correction::{Conditions, STANDARD_PRESSURE_PA};
use crate::domain::plant::{MoistureBasis, StateBasis};

/// Wet flow in the duct, m3/h, eq. (29) and (30): 3600 x F x Kv x Vp. Area in m2, velocity in m/s.
pub fn wet_flow(velocity: f64, coefficient: f64, area_m2: f64) -> Option<f64> {
    finite(3600.0 * area_m2 * coefficient * velocity)
}

/// Dry flow at standard state, m3/h, eq. (31): Q x T0/(T0+ts) x (Ba+Ps)/101325 x (1-Xsw). Of a flow that is at standard state, or
/// dry, already, the factor of that is left out.
pub fn dry_standard_flow(
    flow: f64,
    (moisture_basis, state_basis): (MoistureBasis, StateBasis),
    conditions: &Conditions,
    zero_k: f64,
) -> Option<f64> {
    let mut dry = flow;
    if state_basis == StateBasis::Actual {
        let temperature = conditions.temperature_c.filter(|t| zero_k + t > 0.0)?;
        let pressure = conditions.pressure_pa.filter(|p| *p > 0.0)?;
        dry = dry * zero_k / (zero_k + temperature) * pressure / STANDARD_PRESSURE_PA;
    }
    if moisture_basis == MoistureBasis::Wet {
        dry *= 1.0 - conditions.moisture_fraction.filter(|x| (0.0..1.0).contains(x))?;
    }
    finite(dry)
}

/// Emission rate, kg/h, eq. (33): C x Q x 1e-6, with the dry standard concentration at actual oxygen (mg/m3) and the dry
/// standard flow (m3/h).
pub fn rate(concentration: f64, flow: f64) -> Option<f64> {
    finite(concentration * flow * 1e-6)
}

/// A mass in whole milligrams, so that sums are exact: kg/h over `hours`. `None` when it does not fit.
pub fn mass_mg(rate_kg_h: f64, hours: f64) -> Option<i64> {
    // Snapped first, so that half a milligram is rounded up also where binary arithmetic falls a hair short of it.
    let mg = snap(rate_kg_h * hours * 1e6).round();
    // 2^53 mg are 9 billion kilograms: far above any hour of any stack.
    if !(-9.0e15..=9.0e15).contains(&mg) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 53 bits, as checked above")]
    Some(mg as i64)
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_examples() {
        let wet = wet_flow(12.0, 0.98, 7.5).unwrap();
        assert_eq!(format!("{wet:.1}"), "317520.0");
        let conditions = Conditions {
            temperature_c: Some(110.0),
            pressure_pa: Some(100_125.0),
            moisture_fraction: Some(0.1),
            oxygen_percent: None,
        };
        let of = |moisture, state| dry_standard_flow(wet, (moisture, state), &conditions, 273.0).unwrap();
        let dry = of(MoistureBasis::Wet, StateBasis::Actual);
        assert_eq!(of(MoistureBasis::Dry, StateBasis::Standard), wet);
        assert_eq!(format!("{:.1}", of(MoistureBasis::Wet, StateBasis::Standard)), "285768.0");
        assert_eq!(format!("{dry:.1}"), "201281.3");
        assert_eq!(format!("{:.4}", rate(60.0, dry).unwrap()), "12.0769");
        assert_eq!(mass_mg(12.076_66, 1.0 / 60.0), Some(201_278));
        // 27.96219 kg/h over a minute are 466,036.5 mg.
        assert_eq!(mass_mg(27.962_19, 1.0 / 60.0), Some(466_037));
        assert_eq!(mass_mg(f64::INFINITY, 1.0), None);
    }
}

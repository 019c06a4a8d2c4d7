//! From the measured concentration to the one that a rule compares: one function a step, each with its clause.
//! Equation numbers are those of HJ 212-2017 Appendix D. A step whose input is missing has no result; no step ever
//! gives infinity or NaN.

use crate::domain::limit::Reference;
use crate::domain::plant::{
    ChannelSettings, CutoffPolicy, Expression, MoistureBasis, OutletSettings, Position, StateBasis, Unit,
};
use crate::domain::pollutant::{Factor, Role};

/// Standard atmosphere, Pa.
pub const STANDARD_PRESSURE_PA: f64 = 101_325.0;
/// Molar volume at standard state, L/mol, as eq. (20) prints it.
pub const MOLAR_VOLUME: f64 = 22.4;
/// Closer to the oxygen of air than this (percent points) nothing is divided by the difference.
pub const OXYGEN_EPSILON: f64 = 0.01;
/// Parts per million in one percent by volume.
pub const PPM_PER_PERCENT: f64 = 1e4;
/// M(NO2)/M(NO) of eq. (21).
pub const NO2_PER_NO: f64 = 46.0 / 30.0;

/// One step of a calculation, for people who ask how a number came about.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Step {
    pub name: &'static str,
    /// Where the formula stands.
    pub clause: &'static str,
    pub formula: &'static str,
    pub inputs: Vec<Input>,
    /// `None`: not available, see `note`.
    pub result: Option<f64>,
    pub unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One input of a step.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Input {
    pub name: &'static str,
    pub value: Option<f64>,
    pub unit: &'static str,
}

/// An input with its unit.
pub fn input(name: &'static str, value: impl Into<Option<f64>>, unit: &'static str) -> Input {
    Input { name, value: value.into(), unit }
}

/// Watches a calculation. The calculation is the same with and without a watcher.
pub trait Witness {
    fn step(&mut self, describe: impl FnOnce() -> Step);

    /// The steps that follow are of the channel at `position`.
    fn turn_to(&mut self, _position: Position) {}
}

/// Nobody watches.
pub struct Unwatched;

impl Witness for Unwatched {
    fn step(&mut self, _describe: impl FnOnce() -> Step) {}
}

impl Witness for Vec<Step> {
    fn step(&mut self, describe: impl FnOnce() -> Step) {
        self.push(describe());
    }
}

/// Working state to standard state, eq. (18): C x 101325/(Ba+Ps) x (T0+ts)/T0. Temperatures in Celsius, pressures in Pa,
/// `zero_k` the regime's 273.
pub fn to_standard_state(
    concentration: f64,
    temperature_c: f64,
    pressure_pa: f64,
    zero_k: f64,
) -> Option<f64> {
    let plausible = pressure_pa > 0.0 && zero_k + temperature_c > 0.0;
    finite(concentration * STANDARD_PRESSURE_PA / pressure_pa * (zero_k + temperature_c) / zero_k)
        .filter(|_| plausible)
}

/// Wet basis to dry basis, eq. (19): C/(1-Xsw); also for oxygen.
pub fn to_dry(wet: f64, moisture_fraction: f64) -> Option<f64> {
    if !(0.0..1.0).contains(&moisture_fraction) {
        return None;
    }
    finite(wet / (1.0 - moisture_fraction))
}

/// Volume fraction (ppm, µmol/mol) to mass concentration at standard state, eq. (20): M/22.4 x C.
pub fn ppm_to_mg(ppm: f64, molar_mass: f64) -> Option<f64> {
    finite(molar_mass / MOLAR_VOLUME * ppm)
}

/// NOx as NO2 from NO and NO2 in mg/m3, eq. (21).
pub fn nox_from_mg(no: f64, no2: f64) -> Option<f64> {
    finite(no * NO2_PER_NO + no2)
}

/// NOx as NO2 in mg/m3 from NO and NO2 in ppm, eq. (22).
pub fn nox_from_ppm(no: f64, no2: f64, molar_mass_no2: f64) -> Option<f64> {
    finite((no + no2) * molar_mass_no2 / MOLAR_VOLUME)
}

/// Excess-air coefficient, eq. (27): 21/(21-O2), with the outlet's oxygen of air.
pub fn excess_air(oxygen_percent: f64, oxygen_of_air: f64) -> Option<f64> {
    let difference = oxygen_of_air - oxygen_percent;
    if difference < OXYGEN_EPSILON {
        return None;
    }
    finite(oxygen_of_air / difference)
}

/// Dry standard concentration to reference oxygen, eq. (28): C x (21-O2ref)/(21-O2).
pub fn to_reference_oxygen(
    dry: f64,
    oxygen_percent: f64,
    reference_percent: f64,
    oxygen_of_air: f64,
) -> Option<f64> {
    let difference = oxygen_of_air - oxygen_percent;
    if difference < OXYGEN_EPSILON {
        return None;
    }
    finite(dry * (oxygen_of_air - reference_percent) / difference)
}

/// Dry standard concentration to a prescribed excess-air coefficient, eq. (26): C x alpha/alpha_s.
pub fn to_excess_air(dry: f64, oxygen_percent: f64, prescribed: f64, oxygen_of_air: f64) -> Option<f64> {
    let actual = excess_air(oxygen_percent, oxygen_of_air)?;
    finite(dry * actual / prescribed)
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// What the gas around a concentration was like, at one tick or on average over a window.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Conditions {
    /// Celsius.
    pub temperature_c: Option<f64>,
    /// Ambient plus static pressure, Pa.
    pub pressure_pa: Option<f64>,
    /// Volume fraction 0..1.
    pub moisture_fraction: Option<f64>,
    /// Percent, dry basis.
    pub oxygen_percent: Option<f64>,
}

/// One value on its way: measured is given, these follow.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bases {
    /// mg/m3 at standard state, same moisture basis (for oxygen: percent).
    pub standard: Option<f64>,
    /// mg/m3 at standard state, dry (for oxygen: percent; for velocity and flow: dry standard flow, m3/h).
    pub dry: Option<f64>,
}

/// Measured value to standard state and dry basis. `zero_k` is the regime's 273.
pub fn to_dry_standard(
    measured: f64,
    factor: &Factor,
    channel: &ChannelSettings,
    (conditions, zero_k): (&Conditions, f64),
    witness: &mut impl Witness,
) -> Bases {
    let convertible = matches!(factor.role, Role::Pollutant | Role::Oxygen);
    if !convertible {
        return Bases::default();
    }
    let mass = as_mass(measured, factor, channel, witness);
    let standard = mass.and_then(|mass| match (channel.state_basis, channel.unit) {
        // A volume fraction does not change with temperature and pressure.
        (StateBasis::Actual, Unit::MgPerM3) => {
            let (t, p) = (conditions.temperature_c, conditions.pressure_pa);
            let standard = t.zip(p).and_then(|(t, p)| to_standard_state(mass, t, p, zero_k));
            witness.step(|| Step {
                name: "standard",
                clause: "HJ 212-2017 App. D eq. (18)",
                formula: "C x 101325/(Ba+Ps) x (T0+ts)/T0",
                inputs: vec![
                    input("C", mass, "mg/m3"),
                    input("Ba+Ps", p, "Pa"),
                    input("ts", t, "C"),
                    input("T0", zero_k, "K"),
                ],
                result: standard,
                unit: "mg/m3",
                note: standard.is_none().then(|| "temperature or pressure is not available".to_owned()),
            });
            standard
        }
        (StateBasis::Actual | StateBasis::Standard, _) => Some(mass),
    });
    let dry = standard.and_then(|standard| match channel.moisture_basis {
        MoistureBasis::Dry => Some(standard),
        MoistureBasis::Wet => {
            let moisture = conditions.moisture_fraction;
            let dry = moisture.and_then(|moisture| to_dry(standard, moisture));
            witness.step(|| Step {
                name: "dry",
                clause: "HJ 212-2017 App. D eq. (19)",
                formula: "C/(1-Xsw)",
                inputs: vec![input("C", standard, unit_of(factor)), input("Xsw", moisture, "fraction")],
                result: dry,
                unit: unit_of(factor),
                note: dry.is_none().then(|| "moisture is not available".to_owned()),
            });
            dry
        }
    });
    Bases { standard, dry }
}

fn unit_of(factor: &Factor) -> &'static str {
    if factor.role == Role::Oxygen { "%" } else { "mg/m3" }
}

/// The measured value as mg/m3 of the pollutant as it is expressed (oxygen stays percent).
fn as_mass(
    measured: f64,
    factor: &Factor,
    channel: &ChannelSettings,
    witness: &mut impl Witness,
) -> Option<f64> {
    if factor.role == Role::Oxygen {
        return finite(measured);
    }
    if matches!(channel.unit, Unit::Ppm | Unit::Percent) {
        let ppm = if channel.unit == Unit::Percent { measured * PPM_PER_PERCENT } else { measured };
        let mass = factor.molar_mass.and_then(|molar_mass| ppm_to_mg(ppm, molar_mass));
        witness.step(|| Step {
            name: "mass",
            clause: "HJ 212-2017 App. D eq. (20), for NOx (22)",
            formula: "M/22.4 x C",
            inputs: vec![input("C", ppm, "ppm"), input("M", factor.molar_mass, "g/mol")],
            result: mass,
            unit: "mg/m3",
            note: mass.is_none().then(|| "the factor has no molar mass".to_owned()),
        });
        return mass;
    }
    match channel.expression {
        Expression::AsNamed => finite(measured),
        Expression::AsNo => {
            let mass = nox_from_mg(measured, 0.0);
            witness.step(|| Step {
                name: "NOx as NO2",
                clause: "HJ 212-2017 App. D eq. (21)",
                formula: "C(NO) x M(NO2)/M(NO)",
                inputs: vec![input("C(NO)", measured, "mg/m3"), input("M(NO2)/M(NO)", NO2_PER_NO, "1")],
                result: mass,
                unit: "mg/m3",
                note: None,
            });
            mass
        }
    }
}

/// Why a dry standard value could not be converted, or that it was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Converted {
    Value(f64),
    /// No oxygen reading to convert with.
    NoOxygen,
    /// Oxygen above the outlet's cut-off: air in the duct, or a stopped source.
    NotConvertible,
}

impl Converted {
    /// The value, if there is one.
    pub fn value(self) -> Option<f64> {
        match self {
            Converted::Value(value) => Some(value),
            Converted::NoOxygen | Converted::NotConvertible => None,
        }
    }
}

/// Dry standard value to what `reference` asks for, under the outlet's cut-off policy.
pub fn to_reference(
    dry: f64,
    oxygen_percent: Option<f64>,
    reference: Reference,
    outlet: &OutletSettings,
    witness: &mut impl Witness,
) -> Converted {
    let air = outlet.oxygen_of_air_percent;
    let (target, name, clause, formula) = match reference {
        Reference::None => {
            witness.step(|| Step {
                name: "corrected",
                clause: "HJ 212-2017 App. D note (4)",
                formula: "C (the rule names no reference: no conversion)",
                inputs: vec![input("C", dry, "mg/m3")],
                result: Some(dry),
                unit: "mg/m3",
                note: None,
            });
            return finite(dry).map_or(Converted::NotConvertible, Converted::Value);
        }
        Reference::OxygenPercent(target) => {
            (target, "O2ref", "HJ 212-2017 App. D eq. (28)", "C x (O2air-O2ref)/(O2air-O2)")
        }
        Reference::ExcessAir(target) => {
            (target, "alpha_s", "HJ 212-2017 App. D eq. (26), (27)", "C x (O2air/(O2air-O2))/alpha_s")
        }
    };
    let (converted, note) = match oxygen_percent {
        None => (Converted::NoOxygen, Some("oxygen is not available".to_owned())),
        Some(oxygen) => convert(dry, oxygen, reference, outlet),
    };
    witness.step(|| Step {
        name: "corrected",
        clause,
        formula,
        inputs: vec![
            input("C", dry, "mg/m3"),
            input("O2", oxygen_percent, "%"),
            input(name, target, if name == "O2ref" { "%" } else { "1" }),
            input("O2air", air, "%"),
        ],
        result: converted.value(),
        unit: "mg/m3",
        note,
    });
    converted
}

fn convert(
    dry: f64,
    oxygen: f64,
    reference: Reference,
    outlet: &OutletSettings,
) -> (Converted, Option<String>) {
    let air = outlet.oxygen_of_air_percent;
    let cutoff = outlet.oxygen_cutoff_percent;
    let (oxygen, note) = if oxygen <= cutoff {
        (oxygen, None)
    } else {
        let note = format!("oxygen is above the outlet's cut-off of {cutoff} %");
        match outlet.cutoff_policy {
            CutoffPolicy::NotConvertible => return (Converted::NotConvertible, Some(note)),
            CutoffPolicy::NoConversion => {
                let kept = finite(dry).map_or(Converted::NotConvertible, Converted::Value);
                return (kept, Some(format!("{note}; policy: no conversion (factor 1)")));
            }
            CutoffPolicy::Cap => (cutoff, Some(format!("{note}; policy: capped at the cut-off"))),
        }
    };
    let value = match reference {
        Reference::None => finite(dry),
        Reference::OxygenPercent(target) => to_reference_oxygen(dry, oxygen, target, air),
        Reference::ExcessAir(target) => to_excess_air(dry, oxygen, target, air),
    };
    (value.map_or(Converted::NotConvertible, Converted::Value), note)
}

#[cfg(test)]
mod tests;

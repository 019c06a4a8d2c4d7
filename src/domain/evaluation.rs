//! One scan through validation and correction: what ingest stores, what minutes average, what `explain` shows.

use jiff::Timestamp;

use crate::domain::correction::{
    Bases, Conditions, Converted, Step, Witness, input, to_dry, to_dry_standard, to_reference,
};
use crate::domain::emission::{dry_standard_flow, wet_flow};
use crate::domain::flag::Flag;
use crate::domain::limit::Reference;
use crate::domain::plant::{ChannelSettings, MoistureBasis, Outlet, OutletSettings, StateBasis, Unit};
use crate::domain::pollutant::Role;
use crate::domain::regime::Regime;
use crate::domain::scan::Reading;
use crate::domain::validation::{Checked, validate};

/// What one channel's reading in one scan is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChannelValue {
    /// The measured value when it counts.
    pub measured: Option<f64>,
    /// After validation; differs from the record's flag when the value is impossible or out of range.
    pub flag: Flag,
    pub bases: Bases,
    /// To the outlet's own reference; pollutants only.
    pub corrected: Option<f64>,
    /// Oxygen above the outlet's cut-off kept a value from being converted.
    pub not_convertible: bool,
}

impl ChannelValue {
    const NOTHING: ChannelValue = ChannelValue {
        measured: None,
        flag: Flag::Absent,
        bases: Bases { standard: None, dry: None },
        corrected: None,
        not_convertible: false,
    };

    /// Whether it counts in an average: for a concentration its dry standard value must be known.
    pub fn counts(&self, role: Role) -> bool {
        match role {
            Role::Pollutant | Role::Oxygen => self.bases.dry.is_some(),
            Role::Temperature
            | Role::StaticPressure
            | Role::AmbientPressure
            | Role::Moisture
            | Role::Velocity
            | Role::Flow
            | Role::Other => self.measured.is_some(),
        }
    }
}

/// A scan's values by position, and the conditions they were converted with.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    pub channels: Vec<ChannelValue>,
    pub conditions: Conditions,
}

/// Validates and converts all readings of one scan, `readings` by position (shorter is allowed: absent).
///
/// Everything is looked up at `at`. An outlet or channel that was not registered then gives no values.
pub fn evaluate(
    outlet: &Outlet,
    at: Timestamp,
    readings: &[Reading],
    regime: &Regime,
    witness: &mut impl Witness,
) -> Evaluated {
    let nothing = || vec![ChannelValue::NOTHING; outlet.channels.len()];
    let Some(settings) = outlet.settings.at(at) else {
        return Evaluated { channels: nothing(), conditions: Conditions::default() };
    };
    let resolved: Vec<Option<(&ChannelSettings, Role, Checked)>> = outlet
        .channels
        .iter()
        .enumerate()
        .map(|(position, channel)| {
            let now = channel.settings.at(at)?;
            let reading = readings.get(position).copied().unwrap_or(Reading::ABSENT);
            let role = channel.factor.role;
            Some((now, role, validate(reading, now, role, settings.oxygen_of_air_percent)))
        })
        .collect();
    let conditions = conditions(settings, &resolved);
    let mut channels = nothing();
    let values = channels.iter_mut().zip(&resolved).zip(&outlet.channels);
    for (position, ((value, resolved), channel)) in values.enumerate() {
        let Some((now, role, checked)) = resolved else { continue };
        witness.turn_to(position);
        value.measured = checked.value;
        value.flag = checked.flag;
        let Some(measured) = checked.value else { continue };
        if matches!(role, Role::Velocity | Role::Flow) {
            value.bases = flow_bases(measured, now, settings, (&conditions, regime), witness);
            continue;
        }
        value.bases = to_dry_standard(measured, &channel.factor, now, (&conditions, regime.zero_k), witness);
        if let (Role::Pollutant, Some(dry)) = (role, value.bases.dry) {
            let converted =
                to_reference(dry, conditions.oxygen_percent, own_reference(settings), settings, witness);
            value.corrected = converted.value();
            value.not_convertible = converted == Converted::NotConvertible;
        }
    }
    Evaluated { channels, conditions }
}

/// The reference that an outlet's own `corrected` figures are converted to.
pub fn own_reference(settings: &OutletSettings) -> Reference {
    settings.reference_oxygen_percent.map_or(Reference::None, Reference::OxygenPercent)
}

type Resolved<'p> = Option<(&'p ChannelSettings, Role, Checked)>;

/// What an outlet knows of an auxiliary quantity in one scan.
enum Known<'p> {
    /// Nobody measures it: the outlet's constant holds.
    NotMeasured,
    /// It is measured, but not available now: unknown.
    Missing,
    Value(&'p ChannelSettings, f64),
}

impl<'p> Known<'p> {
    /// From the first channel of a role.
    fn of(resolved: &[Resolved<'p>], role: Role) -> Known<'p> {
        let found = resolved.iter().flatten().find(|(_, other, _)| *other == role);
        match found.map(|(settings, _, checked)| (*settings, checked.value)) {
            None => Known::NotMeasured,
            Some((_, None)) => Known::Missing,
            Some((settings, Some(value))) => Known::Value(settings, value),
        }
    }

    fn or(
        self,
        constant: Option<f64>,
        convert: impl Fn(&ChannelSettings, f64) -> Option<f64>,
    ) -> Option<f64> {
        match self {
            Known::NotMeasured => constant,
            Known::Missing => None,
            Known::Value(settings, value) => convert(settings, value),
        }
    }
}

fn conditions(outlet: &OutletSettings, resolved: &[Resolved<'_>]) -> Conditions {
    let pascal = |settings: &ChannelSettings, value: f64| {
        Some(if settings.unit == Unit::Kilopascal { value * 1000.0 } else { value })
    };
    let temperature_c = Known::of(resolved, Role::Temperature).or(None, |_, value| Some(value));
    let ambient = Known::of(resolved, Role::AmbientPressure).or(Some(outlet.ambient_pressure_pa), pascal);
    let gauge = Known::of(resolved, Role::StaticPressure).or(Some(0.0), pascal);
    let moisture_fraction =
        Known::of(resolved, Role::Moisture).or(outlet.moisture_fraction, |_, percent| Some(percent / 100.0));
    let oxygen_percent =
        Known::of(resolved, Role::Oxygen).or(None, |settings, value| match settings.moisture_basis {
            MoistureBasis::Dry => Some(value),
            MoistureBasis::Wet => moisture_fraction.and_then(|moisture| to_dry(value, moisture)),
        });
    let pressure_pa = ambient.zip(gauge).map(|(ambient, gauge)| ambient + gauge);
    Conditions { temperature_c, pressure_pa, moisture_fraction, oxygen_percent }
}

fn flow_bases(
    measured: f64,
    channel: &ChannelSettings,
    outlet: &OutletSettings,
    (conditions, regime): (&Conditions, &Regime),
    witness: &mut impl Witness,
) -> Bases {
    let (flow, bases) = if channel.unit == Unit::MetrePerSecond {
        let wet = outlet.area_m2.and_then(|area| wet_flow(measured, outlet.velocity_coefficient, area));
        witness.step(|| Step {
            name: "wet flow",
            clause: "HJ 212-2017 App. D eq. (29), (30)",
            formula: "3600 x F x Kv x Vp",
            inputs: vec![
                input("F", outlet.area_m2, "m2"),
                input("Kv", outlet.velocity_coefficient, "1"),
                input("Vp", measured, "m/s"),
            ],
            result: wet,
            unit: "m3/h",
            note: wet.is_none().then(|| "the outlet has no duct area".to_owned()),
        });
        // A velocity is that of the gas as it flows.
        (wet, (MoistureBasis::Wet, StateBasis::Actual))
    } else {
        let seconds = if channel.unit == Unit::CubicMetrePerSecond { 3600.0 } else { 1.0 };
        (Some(measured * seconds), (channel.moisture_basis, channel.state_basis))
    };
    let dry = flow.and_then(|flow| dry_standard_flow(flow, bases, conditions, regime.zero_k));
    witness.step(|| dry_flow_step(flow, bases, (conditions, regime), dry));
    Bases { standard: None, dry }
}

/// The step to a dry flow at standard state: only what the flow is not yet is applied.
fn dry_flow_step(
    flow: Option<f64>,
    (moisture_basis, state_basis): (MoistureBasis, StateBasis),
    (conditions, regime): (&Conditions, &Regime),
    dry: Option<f64>,
) -> Step {
    let mut inputs = vec![input("Q", flow, "m3/h")];
    if state_basis == StateBasis::Actual {
        inputs.push(input("ts", conditions.temperature_c, "C"));
        inputs.push(input("Ba+Ps", conditions.pressure_pa, "Pa"));
        inputs.push(input("T0", regime.zero_k, "K"));
    }
    if moisture_basis == MoistureBasis::Wet {
        inputs.push(input("Xsw", conditions.moisture_fraction, "fraction"));
    }
    Step {
        name: "dry flow",
        clause: "HJ 212-2017 App. D eq. (31)",
        formula: match (moisture_basis, state_basis) {
            (MoistureBasis::Wet, StateBasis::Actual) => "Q x T0/(T0+ts) x (Ba+Ps)/101325 x (1-Xsw)",
            (MoistureBasis::Dry, StateBasis::Actual) => "Q x T0/(T0+ts) x (Ba+Ps)/101325 (dry already)",
            (MoistureBasis::Wet, StateBasis::Standard) => "Q x (1-Xsw) (at standard state already)",
            (MoistureBasis::Dry, StateBasis::Standard) => "Q (dry and at standard state already)",
        },
        inputs,
        result: dry,
        unit: "m3/h",
        note: dry.is_none().then(|| "temperature, pressure or moisture is not available".to_owned()),
    }
}

#[cfg(test)]
pub(crate) mod tests;

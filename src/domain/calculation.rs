//! One number worked out by hand: the same steps as a reading takes, for whoever checks a figure with paper and pencil.
//! What is not given is not applied; what is impossible is refused, all of it at once.

use std::ops::RangeInclusive;

use crate::domain::average::snap;
use crate::domain::correction::{
    Conditions, OXYGEN_EPSILON, STANDARD_PRESSURE_PA, Step, Witness, excess_air, input, nox_from_mg,
    nox_from_ppm, to_dry, to_dry_standard, to_reference,
};
use crate::domain::emission::{dry_standard_flow, rate, wet_flow};
use crate::domain::limit::Reference;
use crate::domain::plant::{
    ChannelSettings, CutoffPolicy, Expression, MoistureBasis, OutletSettings, StateBasis, Unit,
};
use crate::domain::pollutant::Factor;
use crate::domain::regime::Regime;

/// What is known. Absent means: not applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub factor: Factor,
    /// In `unit`; of NO when `no2` is given.
    pub value: f64,
    /// mg/m3, ppm or percent by volume.
    pub unit: Unit,
    /// NO2 beside NO, in `unit`; together they are NOx as NO2.
    pub no2: Option<f64>,
    pub moisture_basis: MoistureBasis,
    /// Celsius.
    pub temperature_c: Option<f64>,
    pub ambient_pressure_pa: Option<f64>,
    /// Relative to the ambient.
    pub static_pressure_pa: Option<f64>,
    /// Volume fraction 0..1.
    pub moisture_fraction: Option<f64>,
    pub oxygen_percent: Option<f64>,
    pub oxygen_basis: MoistureBasis,
    pub reference: Reference,
    pub oxygen_of_air_percent: f64,
    /// Velocity in m/s and duct area in m2.
    pub velocity: Option<f64>,
    pub area_m2: Option<f64>,
}

/// The figures, snapped to 12 significant digits. `None`: not applicable.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct Answer {
    /// As given.
    pub measured: Option<f64>,
    /// mg/m3, standard state.
    pub standard: Option<f64>,
    /// mg/m3, standard state, dry.
    pub dry: Option<f64>,
    /// mg/m3 at the reference; the dry value where no reference is given (HJ 212-2017 App. D note 4).
    pub corrected: Option<f64>,
    /// 21/(21-O2), when oxygen is given.
    pub excess_air: Option<f64>,
    pub dry_standard_flow_m3_h: Option<f64>,
    /// From the dry standard concentration at actual oxygen.
    pub rate_kg_h: Option<f64>,
}

/// One thing that cannot be: which, what was found, what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: found {found}; {allowed}")]
pub struct Refusal {
    pub what: &'static str,
    pub found: String,
    pub allowed: String,
}

/// Works the question out; `witness` sees every step that was applied, in order.
///
/// # Errors
/// Every [`Refusal`]; nothing is worked out then.
pub fn calculate(
    question: &Question,
    regime: &Regime,
    witness: &mut impl Witness,
) -> Result<Answer, Vec<Refusal>> {
    let refusals = refusals(question, regime);
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let oxygen = dry_oxygen(question, witness);
    if let Some(refusal) = near_air(question, oxygen) {
        return Err(vec![refusal]);
    }
    let (value, unit, expression) = mass_of_nox(question, witness);
    let channel = channel(question, unit, expression);
    let conditions = conditions(question, oxygen);
    let bases = to_dry_standard(value, &question.factor, &channel, (&conditions, regime.zero_k), witness);
    let air = question.oxygen_of_air_percent;
    let excess = oxygen.and_then(|oxygen| excess_air(oxygen, air));
    if let (Some(oxygen), Reference::None | Reference::ExcessAir(_)) = (oxygen, question.reference) {
        witness.step(|| Step {
            name: "excess air",
            clause: "HJ 212-2017 App. D eq. (27)",
            formula: "O2air/(O2air-O2)",
            inputs: vec![input("O2", oxygen, "%"), input("O2air", air, "%")],
            result: excess,
            unit: "1",
            note: None,
        });
    }
    let corrected = match (question.reference, bases.dry) {
        (Reference::None, dry) => dry,
        (Reference::OxygenPercent(_) | Reference::ExcessAir(_), dry) => dry.and_then(|dry| {
            to_reference(dry, oxygen, question.reference, &outlet(question), witness).value()
        }),
    };
    let flow = flow(question, &conditions, regime, witness);
    let rate_kg_h = bases.dry.zip(flow).and_then(|(dry, flow)| {
        let result = rate(dry, flow);
        witness.step(|| Step {
            name: "rate",
            clause: "HJ 212-2017 App. D eq. (33)",
            formula: "C x Q x 1e-6 (C dry standard, at actual oxygen)",
            inputs: vec![input("C", dry, "mg/m3"), input("Q", flow, "m3/h")],
            result,
            unit: "kg/h",
            note: None,
        });
        result
    });
    Ok(Answer {
        measured: Some(question.value),
        standard: bases.standard.map(snap),
        dry: bases.dry.map(snap),
        corrected: corrected.map(snap),
        excess_air: excess.map(snap),
        dry_standard_flow_m3_h: flow.map(snap),
        rate_kg_h: rate_kg_h.map(snap),
    })
}

/// Oxygen on the dry basis.
fn dry_oxygen(question: &Question, witness: &mut impl Witness) -> Option<f64> {
    let oxygen = question.oxygen_percent?;
    if question.oxygen_basis == MoistureBasis::Dry {
        return Some(oxygen);
    }
    let moisture = question.moisture_fraction?;
    let dry = to_dry(oxygen, moisture);
    witness.step(|| Step {
        name: "oxygen dry",
        clause: "HJ 212-2017 App. D eq. (19)",
        formula: "O2/(1-Xsw)",
        inputs: vec![input("O2", oxygen, "%"), input("Xsw", moisture, "fraction")],
        result: dry,
        unit: "%",
        note: None,
    });
    dry
}

/// NO and NO2 together as NO2; any other value as it is.
fn mass_of_nox(question: &Question, witness: &mut impl Witness) -> (f64, Unit, Expression) {
    let unchanged = (question.value, question.unit, Expression::AsNamed);
    let Some(no2) = question.no2 else { return unchanged };
    let no = question.value;
    let molar_mass = question.factor.molar_mass.unwrap_or_default();
    let (result, clause, formula, unit) = if question.unit == Unit::Ppm {
        let sum = nox_from_ppm(no, no2, molar_mass);
        (sum, "HJ 212-2017 App. D eq. (22)", "(C(NO)+C(NO2)) x M(NO2)/22.4", "ppm")
    } else {
        (nox_from_mg(no, no2), "HJ 212-2017 App. D eq. (21)", "C(NO) x M(NO2)/M(NO) + C(NO2)", "mg/m3")
    };
    witness.step(|| Step {
        name: "NOx as NO2",
        clause,
        formula,
        inputs: vec![input("C(NO)", no, unit), input("C(NO2)", no2, unit)],
        result,
        unit: "mg/m3",
        note: None,
    });
    // As mg/m3 it is a volume fraction's mass at standard state already when it came from ppm; see `channel`.
    result.map_or(unchanged, |result| (result, Unit::MgPerM3, Expression::AsNamed))
}

fn channel(question: &Question, unit: Unit, expression: Expression) -> ChannelSettings {
    let state_given = question.temperature_c.is_some()
        || question.ambient_pressure_pa.is_some()
        || question.static_pressure_pa.is_some();
    // A volume fraction does not change with temperature and pressure.
    let actual = state_given && question.unit == Unit::MgPerM3;
    ChannelSettings {
        analyser: "by hand".into(),
        unit,
        moisture_basis: question.moisture_basis,
        state_basis: if actual { StateBasis::Actual } else { StateBasis::Standard },
        expression,
        range: (0.0, f64::MAX),
        period_ms: 0,
        decimals: 0,
    }
}

/// What is not given is as at standard state, so that its factor is 1.
fn conditions(question: &Question, oxygen: Option<f64>) -> Conditions {
    let ambient = question.ambient_pressure_pa.unwrap_or(STANDARD_PRESSURE_PA);
    Conditions {
        temperature_c: Some(question.temperature_c.unwrap_or(0.0)),
        pressure_pa: Some(ambient + question.static_pressure_pa.unwrap_or(0.0)),
        moisture_fraction: Some(question.moisture_fraction.unwrap_or(0.0)),
        oxygen_percent: oxygen,
    }
}

fn outlet(question: &Question) -> OutletSettings {
    OutletSettings {
        process: String::new(),
        reference_oxygen_percent: None,
        oxygen_of_air_percent: question.oxygen_of_air_percent,
        // No outlet, no cut-off: what cannot be divided was refused.
        oxygen_cutoff_percent: question.oxygen_of_air_percent,
        cutoff_policy: CutoffPolicy::NotConvertible,
        ambient_pressure_pa: STANDARD_PRESSURE_PA,
        moisture_fraction: None,
        area_m2: question.area_m2,
        velocity_coefficient: 1.0,
    }
}

fn flow(
    question: &Question,
    conditions: &Conditions,
    regime: &Regime,
    witness: &mut impl Witness,
) -> Option<f64> {
    let (velocity, area) = question.velocity.zip(question.area_m2)?;
    let wet = wet_flow(velocity, 1.0, area)?;
    witness.step(|| Step {
        name: "wet flow",
        clause: "HJ 212-2017 App. D eq. (30)",
        formula: "3600 x F x V",
        inputs: vec![input("F", area, "m2"), input("V", velocity, "m/s")],
        result: Some(wet),
        unit: "m3/h",
        note: None,
    });
    let as_it_flows = (MoistureBasis::Wet, StateBasis::Actual);
    let dry = dry_standard_flow(wet, as_it_flows, conditions, regime.zero_k);
    witness.step(|| Step {
        name: "dry standard flow",
        clause: "HJ 212-2017 App. D eq. (31)",
        formula: "Q x T0/(T0+ts) x (Ba+Ps)/101325 x (1-Xsw)",
        inputs: vec![
            input("Q", wet, "m3/h"),
            input("T0", regime.zero_k, "K"),
            input("ts", conditions.temperature_c, "C"),
            input("Ba+Ps", conditions.pressure_pa, "Pa"),
            input("Xsw", conditions.moisture_fraction, "fraction"),
        ],
        result: dry,
        unit: "m3/h",
        note: None,
    });
    dry
}

fn near_air(question: &Question, oxygen: Option<f64>) -> Option<Refusal> {
    let highest = question.oxygen_of_air_percent - OXYGEN_EPSILON;
    let oxygen = oxygen.filter(|oxygen| *oxygen > highest)?;
    Some(Refusal {
        what: "oxygen",
        found: format!("{} % dry", snap(oxygen)),
        allowed: format!(
            "dry oxygen at most {} %: at that of air nothing can be converted; check the reading and the moisture",
            snap(highest)
        ),
    })
}

fn refusals(question: &Question, regime: &Regime) -> Vec<Refusal> {
    let air = question.oxygen_of_air_percent;
    let mut found = Vec::new();
    let mut within = |what, value: Option<f64>, range: RangeInclusive<f64>, allowed: &str| {
        if let Some(value) = value.filter(|value| !range.contains(value)) {
            found.push(Refusal { what, found: value.to_string(), allowed: allowed.to_owned() });
        }
    };
    within("value", Some(question.value), 0.0..=1e9, "a number from 0 to 1e9");
    within("no2", question.no2, 0.0..=1e9, "a number from 0 to 1e9");
    let coldest = -regime.zero_k + 1.0;
    within("temperature", question.temperature_c, coldest..=2000.0, "Celsius, above absolute zero, to 2000");
    let pascal = "pascal, 30000 to 120000 (1 kPa is 1000 Pa)";
    within("ambient-pressure", question.ambient_pressure_pa, 30_000.0..=120_000.0, pascal);
    let gauge = "pascal relative to the ambient, -25000 to 25000 (1 kPa is 1000 Pa)";
    within("static-pressure", question.static_pressure_pa, -25_000.0..=25_000.0, gauge);
    let fraction = "a volume fraction from 0 to 0.99 (12 % is 0.12)";
    within("moisture", question.moisture_fraction, 0.0..=0.99, fraction);
    within("oxygen-of-air", Some(air), 20.0..=21.0, "percent, 20 to 21 (usually 21 or 20.9)");
    within("oxygen", question.oxygen_percent, 0.0..=air, &format!("percent, 0 to that of air, {air}"));
    let velocity = "metres a second, 0 to 200";
    within("velocity", question.velocity, 0.0..=200.0, velocity);
    within("area", question.area_m2, 0.001..=1000.0, "square metres, 0.001 to 1000");
    match question.reference {
        Reference::None => {}
        Reference::OxygenPercent(value) => {
            within("reference-oxygen", Some(value), 0.0..=20.0, "percent, 0 to 20");
        }
        Reference::ExcessAir(value) => within("excess-air", Some(value), 1.0..=20.0, "a ratio, 1 to 20"),
    }
    found.extend(lacking(question));
    found
}

/// What is given but cannot be applied without something else.
fn lacking(question: &Question) -> Vec<Refusal> {
    let mut found = Vec::new();
    let mut needs = |what, lacks: bool, allowed: &str| {
        if lacks {
            found.push(Refusal { what, found: "nothing".to_owned(), allowed: allowed.to_owned() });
        }
    };
    let wet = MoistureBasis::Wet;
    let dry_air = question.moisture_fraction.is_none();
    needs(
        "moisture",
        question.moisture_basis == wet && dry_air,
        "a wet value needs the moisture to be dried",
    );
    let wet_oxygen = question.oxygen_percent.is_some() && question.oxygen_basis == wet;
    needs("moisture", wet_oxygen && dry_air, "wet oxygen needs the moisture to be dried");
    let oxygen = question.oxygen_percent.is_none();
    needs(
        "oxygen",
        question.oxygen_basis == wet && oxygen,
        "oxygen-wet says how oxygen was measured: give it",
    );
    needs("oxygen", question.reference != Reference::None && oxygen, "a reference needs the measured oxygen");
    needs(
        "area",
        question.velocity.is_some() && question.area_m2.is_none(),
        "a velocity needs the duct's area",
    );
    needs("velocity", question.area_m2.is_some() && question.velocity.is_none(), "an area needs a velocity");
    let volume = question.unit != Unit::MgPerM3 && question.factor.molar_mass.is_none();
    needs("molar mass", volume, "this pollutant has none, so it cannot be given by volume: give mg/m3");
    if question.no2.is_some() && (question.factor.symbol != "NOx" || question.unit == Unit::Percent) {
        let allowed = "NO2 beside NO makes NOx: give the pollutant NOx, in mg/m3 or ppm".to_owned();
        found.push(Refusal { what: "no2", found: question.factor.symbol.clone(), allowed });
    }
    found
}

#[cfg(test)]
mod tests;

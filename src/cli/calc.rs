//! `cems calc`: one number by hand, every step shown.

use std::process::ExitCode;

use crate::cli::exit_code;
use crate::config::{catalogue, seeds};
use crate::domain::average::snap;
use crate::domain::calculation::{Answer, Question, Refusal, calculate};
use crate::domain::correction::Step;
use crate::domain::limit::Reference;
use crate::domain::plant::{MoistureBasis, Unit};
use crate::domain::pollutant::{Factor, Role};
use crate::domain::regime::HJ75_2017;

/// Arguments of `cems calc`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Symbol or factor code: SO2, NOx, PM, a21026
    #[arg(long, value_name = "POLLUTANT")]
    pollutant: String,
    /// The measured concentration
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    value: f64,
    /// Its unit: mg/m3, ppm or % (by volume)
    #[arg(long, value_name = "UNIT", default_value = "mg/m3", value_parser = ["mg/m3", "ppm", "%"])]
    unit: String,
    /// NO2 in the same unit; --value is NO then, and the result NOx as NO2
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    no2: Option<f64>,
    /// The value was measured in wet gas
    #[arg(long)]
    wet: bool,
    /// Gas temperature, Celsius; a mg/m3 value is then taken as measured at this state
    #[arg(long, value_name = "C", allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Ambient pressure, Pa
    #[arg(long, value_name = "PA", allow_negative_numbers = true)]
    ambient_pressure: Option<f64>,
    /// Static pressure of the gas relative to the ambient, Pa
    #[arg(long, value_name = "PA", allow_negative_numbers = true)]
    static_pressure: Option<f64>,
    /// Water vapour in the gas, volume fraction 0 to 1
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true)]
    moisture: Option<f64>,
    /// Oxygen, percent by volume
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    oxygen: Option<f64>,
    /// Oxygen was measured in wet gas
    #[arg(long)]
    oxygen_wet: bool,
    /// Reference oxygen of the rule, percent
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true, conflicts_with = "excess_air")]
    reference_oxygen: Option<f64>,
    /// Excess-air coefficient of the rule
    #[arg(long, value_name = "A", allow_negative_numbers = true)]
    excess_air: Option<f64>,
    /// Oxygen of air, percent
    #[arg(long, value_name = "PERCENT", default_value_t = 21.0, allow_negative_numbers = true)]
    oxygen_of_air: f64,
    /// Gas velocity, m/s
    #[arg(long, value_name = "M_S", allow_negative_numbers = true)]
    velocity: Option<f64>,
    /// Duct area at the velocity probe, m2
    #[arg(long, value_name = "M2", allow_negative_numbers = true)]
    area: Option<f64>,
    /// Print {"pollutant": …, "steps": […], "measured": …, …} as JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let mut steps: Vec<Step> = Vec::new();
    let outcome = factor(&arguments.pollutant).map_err(|refusal| vec![refusal]).and_then(|factor| {
        let question = question(arguments, factor.clone());
        calculate(&question, &HJ75_2017, &mut steps).map(|answer| (factor, answer))
    });
    match outcome {
        Ok((factor, answer)) => {
            for step in &mut steps {
                step.result = step.result.map(snap);
            }
            if arguments.json {
                print_json(&factor, &steps, &answer);
            } else {
                print_text(arguments, &factor, &steps, &answer);
            }
            exit_code::OK
        }
        Err(refusals) => {
            for refusal in refusals {
                eprintln!("--{refusal}");
            }
            ExitCode::from(exit_code::WRONG_INPUT)
        }
    }
}

/// The built-in factor of a symbol or code.
fn factor(name: &str) -> Result<Factor, Refusal> {
    let pollutants = catalogue::parse(&[seeds::pollutants()]).unwrap_or_default().pollutants;
    let concentrations = || {
        let is_one = |factor: &Factor| factor.role == Role::Pollutant || factor.molar_mass.is_some();
        pollutants.iter().map(|pollutant| &pollutant.factor).filter(move |factor| is_one(factor))
    };
    let found =
        concentrations().find(|factor| factor.code == name || factor.symbol.eq_ignore_ascii_case(name));
    found.map(|factor| Factor { role: Role::Pollutant, ..factor.clone() }).ok_or_else(|| {
        let known: Vec<String> =
            concentrations().map(|factor| format!("{} ({})", factor.symbol, factor.code)).collect();
        let allowed = format!("a symbol or factor code among {}", known.join(", "));
        Refusal { what: "pollutant", found: format!("{name:?}"), allowed }
    })
}

fn question(arguments: &Arguments, factor: Factor) -> Question {
    let basis = |wet: bool| if wet { MoistureBasis::Wet } else { MoistureBasis::Dry };
    let reference = match (arguments.reference_oxygen, arguments.excess_air) {
        (Some(percent), _) => Reference::OxygenPercent(percent),
        (None, Some(coefficient)) => Reference::ExcessAir(coefficient),
        (None, None) => Reference::None,
    };
    Question {
        factor,
        value: arguments.value,
        unit: Unit::from_name(&arguments.unit).unwrap_or(Unit::MgPerM3),
        no2: arguments.no2,
        moisture_basis: basis(arguments.wet),
        temperature_c: arguments.temperature,
        ambient_pressure_pa: arguments.ambient_pressure,
        static_pressure_pa: arguments.static_pressure,
        moisture_fraction: arguments.moisture,
        oxygen_percent: arguments.oxygen,
        oxygen_basis: basis(arguments.oxygen_wet),
        reference,
        oxygen_of_air_percent: arguments.oxygen_of_air,
        velocity: arguments.velocity,
        area_m2: arguments.area,
    }
}

/// The JSON form is a public interface: docs/calc.md.
#[derive(serde::Serialize)]
struct Answered<'a> {
    pollutant: &'a str,
    code: &'a str,
    method: &'a str,
    steps: &'a [Step],
    #[serde(flatten)]
    answer: &'a Answer,
}

fn print_json(factor: &Factor, steps: &[Step], answer: &Answer) {
    let answered =
        Answered { pollutant: &factor.symbol, code: &factor.code, method: HJ75_2017.name, steps, answer };
    // Finite numbers and texts always have a JSON form.
    println!("{}", serde_json::to_string(&answered).unwrap_or_default());
}

fn print_text(arguments: &Arguments, factor: &Factor, steps: &[Step], answer: &Answer) {
    println!("{} ({}), {}", factor.symbol, factor.code, HJ75_2017.name);
    let shown = |value: Option<f64>| value.map_or("-".to_owned(), |value| snap(value).to_string());
    for step in steps {
        println!("\n{}  [{}]", step.name, step.clause);
        println!("  {}", step.formula);
        let width = step.inputs.iter().map(|input| input.name.len()).max().unwrap_or(0);
        for input in &step.inputs {
            println!("    {:width$} = {} {}", input.name, shown(input.value), input.unit);
        }
        println!("  = {} {}", shown(step.result), step.unit);
        if let Some(note) = &step.note {
            println!("  note: {note}");
        }
    }
    println!();
    let figures = [
        ("measured", answer.measured, arguments.unit.as_str()),
        ("standard", answer.standard, "mg/m3"),
        ("dry", answer.dry, "mg/m3"),
        ("corrected", answer.corrected, "mg/m3"),
        ("excess air", answer.excess_air, ""),
        ("dry standard flow", answer.dry_standard_flow_m3_h, "m3/h"),
        ("rate", answer.rate_kg_h, "kg/h"),
    ];
    for (name, value, unit) in figures.into_iter().filter(|(_, value, _)| value.is_some()) {
        println!("{name:17} {:>16} {unit}", shown(value));
    }
}

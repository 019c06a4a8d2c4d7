//! Worked examples to the printed digits, refusals, and that nothing given is nothing applied.
use super::*;
use crate::domain::pollutant::Role;
use crate::domain::regime::HJ75_2017;
use proptest::prelude::*;

fn of(symbol: &str, molar_mass: Option<f64>, value: f64, unit: Unit) -> Question {
    Question {
        factor: Factor {
            code: "a00001".to_owned(),
            symbol: symbol.to_owned(),
            role: Role::Pollutant,
            molar_mass,
        },
        value,
        unit,
        no2: None,
        moisture_basis: MoistureBasis::Dry,
        temperature_c: None,
        ambient_pressure_pa: None,
        static_pressure_pa: None,
        moisture_fraction: None,
        oxygen_percent: None,
        oxygen_basis: MoistureBasis::Dry,
        reference: Reference::None,
        oxygen_of_air_percent: 21.0,
        velocity: None,
        area_m2: None,
    }
}

fn so2(value: f64, unit: Unit) -> Question {
    of("SO2", Some(64.06), value, unit)
}

fn answer(question: &Question) -> (Answer, Vec<Step>) {
    let mut steps: Vec<Step> = Vec::new();
    let answer = calculate(question, &HJ75_2017, &mut steps).unwrap();
    (answer, steps)
}

fn digits(value: Option<f64>, decimals: usize) -> String {
    value.map_or("none".to_owned(), |value| format!("{value:.decimals$}"))
}

#[test]
fn sixty_at_thirteen_and_a_half_is_eighty_eight() {
    let question = Question {
        oxygen_percent: Some(13.5),
        reference: Reference::OxygenPercent(10.0),
        ..so2(60.0, Unit::MgPerM3)
    };
    let (answer, steps) = answer(&question);
    assert_eq!((answer.dry, answer.corrected, answer.excess_air), (Some(60.0), Some(88.0), Some(2.8)));
    assert_eq!(steps.iter().map(|step| step.name).collect::<Vec<_>>(), ["corrected"]);
}

#[test]
fn volume_becomes_mass_with_the_molar_mass() {
    assert_eq!(digits(answer(&so2(250.0, Unit::Ppm)).0.standard, 0), "715");
    // NMHC is expressed as carbon: 50 ppmC x 12/22.4.
    assert_eq!(digits(answer(&of("NMHC", Some(12.0), 50.0, Unit::Ppm)).0.dry, 4), "26.7857");
    // 1 % CO2 is 19 647 mg/m3.
    assert_eq!(digits(answer(&of("CO2", Some(44.01), 1.0, Unit::Percent)).0.dry, 0), "19647");
    // Temperature does not touch a volume fraction.
    let hot = Question { temperature_c: Some(150.0), ..so2(250.0, Unit::Ppm) };
    assert_eq!(answer(&hot).0.standard, answer(&so2(250.0, Unit::Ppm)).0.standard);
}

#[test]
fn no_and_no2_are_nox_as_no2() {
    let nox = |unit, no2| Question { no2: Some(no2), ..of("NOx", Some(46.005), 30.0, unit) };
    assert_eq!(digits(answer(&nox(Unit::MgPerM3, 4.0)).0.dry, 4), "50.0000");
    // (30 + 2) x 46.005/22.4
    let (answer, steps) = answer(&nox(Unit::Ppm, 2.0));
    assert_eq!(digits(answer.dry, 4), "65.7214");
    assert!(steps[0].clause.contains("(22)"));
}

#[test]
fn the_whole_chain() {
    let question = Question {
        moisture_basis: MoistureBasis::Wet,
        temperature_c: Some(120.0),
        ambient_pressure_pa: Some(100_000.0),
        static_pressure_pa: Some(-1500.0),
        moisture_fraction: Some(0.1),
        oxygen_percent: Some(9.0),
        oxygen_basis: MoistureBasis::Wet,
        reference: Reference::ExcessAir(1.7),
        velocity: Some(12.0),
        area_m2: Some(7.5),
        ..so2(100.0, Unit::MgPerM3)
    };
    let (answer, steps) = answer(&question);
    assert_eq!(digits(answer.standard, 4), "148.0847");
    assert_eq!(digits(answer.dry, 4), "164.5386");
    // O2 dry 10, alpha = 21/11; 164.5386 x 1.909091/1.7
    assert_eq!(digits(answer.excess_air, 4), "1.9091");
    assert_eq!(digits(answer.corrected, 4), "184.7760");
    // 324000 x 273/393 x 98500/101325 x 0.9
    assert_eq!(digits(answer.dry_standard_flow_m3_h, 1), "196914.3");
    assert_eq!(digits(answer.rate_kg_h, 4), "32.4000");
    let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
    let expected =
        ["oxygen dry", "standard", "dry", "excess air", "corrected", "wet flow", "dry standard flow", "rate"];
    assert_eq!(names, expected);
    assert!(steps.iter().all(|step| step.clause.contains("HJ 212-2017") && step.result.is_some()));
}

#[test]
fn what_is_not_given_is_not_applied() {
    let (answer, steps) = answer(&so2(60.0, Unit::MgPerM3));
    assert!(steps.is_empty());
    let same = Some(60.0);
    assert_eq!((answer.measured, answer.standard, answer.dry, answer.corrected), (same, same, same, same));
    assert_eq!((answer.excess_air, answer.dry_standard_flow_m3_h, answer.rate_kg_h), (None, None, None));
}

#[test]
fn twenty_point_nine_where_the_outlet_says_so() {
    let question = Question {
        oxygen_percent: Some(13.5),
        reference: Reference::OxygenPercent(10.0),
        oxygen_of_air_percent: 20.9,
        ..so2(60.0, Unit::MgPerM3)
    };
    assert_eq!(digits(answer(&question).0.corrected, 4), "88.3784");
}

#[test]
fn all_that_is_impossible_is_told_at_once() {
    let question = Question {
        value: -1.0,
        moisture_basis: MoistureBasis::Wet,
        moisture_fraction: Some(12.0),
        ambient_pressure_pa: Some(101.325),
        reference: Reference::OxygenPercent(21.0),
        velocity: Some(3.0),
        ..so2(60.0, Unit::MgPerM3)
    };
    let refusals = calculate(&question, &HJ75_2017, &mut Vec::new()).unwrap_err();
    let what: Vec<&str> = refusals.iter().map(|refusal| refusal.what).collect();
    assert_eq!(what, ["value", "ambient-pressure", "moisture", "reference-oxygen", "oxygen", "area"]);
    assert_eq!(
        refusals[2].to_string(),
        "moisture: found 12; a volume fraction from 0 to 0.99 (12 % is 0.12)"
    );
    // Wet oxygen that is above air once dried.
    let question = Question {
        oxygen_percent: Some(19.0),
        oxygen_basis: MoistureBasis::Wet,
        moisture_fraction: Some(0.1),
        ..so2(60.0, Unit::MgPerM3)
    };
    let refusals = calculate(&question, &HJ75_2017, &mut Vec::new()).unwrap_err();
    assert!(refusals[0].to_string().starts_with("oxygen: found 21.1111111111 % dry; "), "{refusals:?}");
    let dust = of("PM", None, 5.0, Unit::Ppm);
    assert_eq!(calculate(&dust, &HJ75_2017, &mut Vec::new()).unwrap_err()[0].what, "molar mass");
}

proptest! {
    #[test]
    fn nothing_gives_nan(
        numbers in proptest::collection::vec(proptest::option::of(proptest::num::f64::ANY), 8), value in proptest::num::f64::ANY,
    ) {
        let question = Question {
            temperature_c: numbers[0], ambient_pressure_pa: numbers[1], static_pressure_pa: numbers[2], moisture_fraction: numbers[3],
            oxygen_percent: numbers[4], velocity: numbers[5], area_m2: numbers[6],
            reference: numbers[7].map_or(Reference::None, Reference::OxygenPercent), ..so2(value, Unit::MgPerM3)
        };
        if let Ok(answer) = calculate(&question, &HJ75_2017, &mut Vec::new()) {
            let all = [answer.standard, answer.dry, answer.corrected, answer.excess_air, answer.dry_standard_flow_m3_h, answer.rate_kg_h];
            prop_assert!(all.into_iter().flatten().all(f64::is_finite));
        }
    }
}

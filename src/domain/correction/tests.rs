//! Worked examples to the printed digits, and laws.
use super::*;
use proptest::prelude::*;

pub fn outlet() -> OutletSettings {
    OutletSettings {
        process: "cement-kiln".to_owned(),
        reference_oxygen_percent: Some(10.0),
        oxygen_of_air_percent: 21.0,
        oxygen_cutoff_percent: 19.0,
        cutoff_policy: CutoffPolicy::NotConvertible,
        ambient_pressure_pa: 101_325.0,
        moisture_fraction: None,
        area_m2: None,
        velocity_coefficient: 1.0,
    }
}

fn digits(value: Option<f64>, decimals: usize) -> String {
    value.map_or("none".to_owned(), |value| format!("{value:.decimals$}"))
}

#[test]
fn worked_examples() {
    // 100 mg/m3 at 120 C and -1.5 kPa against 100 kPa: 100 x 101325/98500 x 393/273
    assert_eq!(digits(to_standard_state(100.0, 120.0, 98_500.0, 273.0), 4), "148.0847");
    assert_eq!(digits(to_dry(90.0, 0.1), 4), "100.0000");
    // Rounded limit tables in HJ 75 (250 umol/mol SO2 = 715 mg/m3) only come out with 64.06.
    assert_eq!(digits(ppm_to_mg(250.0, 64.06), 0), "715");
    assert_eq!(digits(ppm_to_mg(250.0, 64.0), 0), "714");
    assert_eq!(digits(nox_from_mg(30.0, 4.0), 4), "50.0000");
    assert_eq!(digits(nox_from_ppm(20.0, 2.0, 46.0), 4), "45.1786");
    assert_eq!(digits(excess_air(9.0, 21.0), 4), "1.7500");
    assert_eq!(digits(to_reference_oxygen(60.0, 13.5, 10.0, 21.0), 4), "88.0000");
    assert_eq!(digits(to_excess_air(100.0, 9.0, 1.7, 21.0), 4), "102.9412");
}

#[test]
fn near_air_nothing_is_divided() {
    assert_eq!(to_reference_oxygen(50.0, 21.0, 10.0, 21.0), None);
    assert_eq!(to_reference_oxygen(50.0, 25.0, 10.0, 21.0), None);
    assert_eq!(excess_air(20.995, 21.0), None);
}

#[test]
fn above_the_cutoff_the_policy_decides() {
    let reference = Reference::OxygenPercent(10.0);
    let mut settings = outlet();
    let mut at = |policy| {
        settings.cutoff_policy = policy;
        to_reference(50.0, Some(19.5), reference, &settings, &mut Unwatched)
    };
    assert_eq!(at(CutoffPolicy::NotConvertible), Converted::NotConvertible);
    assert_eq!(at(CutoffPolicy::NoConversion), Converted::Value(50.0));
    assert_eq!(at(CutoffPolicy::Cap), Converted::Value(275.0));
    assert_eq!(to_reference(50.0, None, reference, &outlet(), &mut Unwatched), Converted::NoOxygen);
    assert_eq!(to_reference(50.0, None, Reference::None, &outlet(), &mut Unwatched), Converted::Value(50.0));
}

#[test]
fn a_witness_sees_each_step_with_its_clause() {
    let factor = Factor {
        code: "a21026".to_owned(),
        symbol: "SO2".to_owned(),
        role: Role::Pollutant,
        molar_mass: Some(64.06),
    };
    let channel = ChannelSettings {
        analyser: "gas".into(),
        unit: Unit::MgPerM3,
        moisture_basis: MoistureBasis::Wet,
        state_basis: StateBasis::Actual,
        expression: Expression::AsNamed,
        range: (0.0, 500.0),
        period_ms: 1000,
        decimals: 1,
    };
    let conditions = Conditions {
        temperature_c: Some(120.0),
        pressure_pa: Some(98_500.0),
        moisture_fraction: Some(0.1),
        oxygen_percent: Some(13.5),
    };
    let mut steps: Vec<Step> = Vec::new();
    let bases = to_dry_standard(100.0, &factor, &channel, (&conditions, 273.0), &mut steps);
    assert_eq!(digits(bases.dry, 4), "164.5386");
    assert_eq!(steps.iter().map(|step| step.name).collect::<Vec<_>>(), ["standard", "dry"]);
    assert!(steps.iter().all(|step| step.clause.contains("HJ 212-2017") && step.result.is_some()));
    let unwatched = to_dry_standard(100.0, &factor, &channel, (&conditions, 273.0), &mut Unwatched);
    assert_eq!(unwatched, bases);
}

proptest! {
    #[test]
    fn at_reference_oxygen_nothing_changes(dry in 0.0..1e5_f64, reference in 0.0..18.0_f64) {
        let corrected = to_reference_oxygen(dry, reference, reference, 21.0).unwrap();
        prop_assert!((corrected - dry).abs() <= dry * 1e-12);
    }

    #[test]
    fn more_air_means_a_higher_corrected_value(dry in 0.1..1e4_f64, low in 0.0..18.0_f64, more in 0.001..2.0_f64) {
        let a = to_reference_oxygen(dry, low, 10.0, 21.0).unwrap();
        let b = to_reference_oxygen(dry, low + more, 10.0, 21.0).unwrap();
        prop_assert!(b > a);
    }

    #[test]
    fn no_input_makes_nan_or_infinity(
        c in proptest::num::f64::ANY, a in proptest::num::f64::ANY, b in proptest::num::f64::ANY, d in proptest::num::f64::ANY,
    ) {
        let results = [
            to_standard_state(c, a, b, d), to_standard_state(c, a, b, 273.0), to_dry(c, a), ppm_to_mg(c, a), nox_from_mg(c, a),
            nox_from_ppm(c, a, b), excess_air(a, b), to_reference_oxygen(c, a, b, d), to_excess_air(c, a, b, d),
        ];
        prop_assert!(results.into_iter().flatten().all(f64::is_finite));
        for policy in [CutoffPolicy::Cap, CutoffPolicy::NoConversion, CutoffPolicy::NotConvertible] {
            let settings = OutletSettings { cutoff_policy: policy, oxygen_cutoff_percent: d, ..outlet() };
            for reference in [Reference::None, Reference::OxygenPercent(b), Reference::ExcessAir(b)] {
                let value = to_reference(c, Some(a), reference, &settings, &mut Unwatched).value();
                prop_assert!(value.is_none_or(f64::is_finite));
            }
        }
    }
}

//! Worked examples of every quantity, and what holds between any two units.
use super::*;
use proptest::prelude::*;

fn unit(name: &str) -> Unit {
    Unit::named(name).unwrap_or_else(|| panic!("{name}"))
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

#[test]
fn worked_examples() {
    let so2 = Some(64.06);
    let nox = Some(46.0);
    let cases: [(f64, &str, &str, Option<f64>, f64); 24] = [
        // HJ 75-2017 App. D.2, equations 20 and 22.
        (100.0, "ppm", "mg/m3", so2, 100.0 * 64.06 / 22.4),
        (100.0, "ppm", "mg/m3", Some(64.06), 285.982_142_857_142_9),
        (22.4, "ppm", "mg/m3", nox, 46.0),
        (46.0, "mg/m3", "ppm", nox, 22.4),
        (1.0, "ppb", "ug/m3", nox, 46.0 / 22.4),
        (1.0, "%", "g/m3", Some(44.0), 10.0 * 44.0 / 22.4),
        (1.0, "%", "ppm", None, 10_000.0),
        (20_900.0, "ppm", "%", None, 2.09),
        (35.0, "mg/m3", "ug/m3", None, 35_000.0),
        (35.0, "mg/m3", "g/m3", None, 0.035),
        (101_325.0, "Pa", "kPa", None, 101.325),
        (1013.25, "hPa", "kPa", None, 101.325),
        (1013.25, "mbar", "Pa", None, 101_325.0),
        (760.0, "mmHg", "kPa", None, 101.325_014_435_4),
        (1.0, "bar", "kPa", None, 100.0),
        (0.1, "MPa", "kPa", None, 100.0),
        (0.0, "C", "K", None, 273.15),
        (373.15, "K", "C", None, 100.0),
        (212.0, "F", "C", None, 100.0),
        (-40.0, "C", "F", None, -40.0),
        (12.5, "m/s", "m/s", None, 12.5),
        (10.0, "m3/s", "m3/h", None, 36_000.0),
        (1.0, "g/s", "kg/h", None, 3.6),
        (2.5, "t/h", "kg/h", None, 2500.0),
    ];
    for (given, from, to, molar_mass, expected) in cases {
        let found = UnitConversion::between(unit(from), unit(to), molar_mass).unwrap().of(given);
        assert!(near(found, expected), "{given} {from} = {found} {to}, not {expected}");
    }
}

#[test]
fn what_is_exact_stays_exact() {
    let factor = |from, to, mass| UnitConversion::between(unit(from), unit(to), mass).unwrap().factor;
    assert_eq!(factor("ppm", "mg/m3", Some(64.06)).to_bits(), (64.06_f64 / 22.4).to_bits());
    assert_eq!(factor("mg/m3", "g/m3", None).to_bits(), 0.001_f64.to_bits());
    assert_eq!(factor("%", "ppm", None).to_bits(), 1e4_f64.to_bits());
    assert_eq!(factor("hPa", "kPa", None).to_bits(), 0.1_f64.to_bits());
    assert_eq!(factor("mbar", "hPa", None).to_bits(), 1.0_f64.to_bits());
}

#[test]
fn what_cannot_be_says_why() {
    let between =
        |from, to, mass| UnitConversion::between(unit(from), unit(to), mass).unwrap_err().to_string();
    assert_eq!(between("ppm", "mg/m3", None), "from ppm to mg/m3 it takes the molar mass of the gas");
    assert_eq!(between("ppm", "%", Some(64.0)), "from ppm to % no molar mass has a part");
    assert_eq!(between("mg/m3", "kPa", None), "mg/m3 and kPa measure different quantities");
    assert_eq!(between("mg/m3", "kg/h", Some(64.0)), "mg/m3 and kg/h measure different quantities");
    for unknown in ["", "PPM", "µg/m3", "°C", "Nm3/h", "mg/Nm3", " ppm"] {
        assert_eq!(Unit::named(unknown), None, "{unknown}");
    }
}

#[test]
fn each_name_is_one_unit() {
    for unit in Unit::ALL {
        assert_eq!(Unit::named(unit.name()), Some(unit));
        assert_eq!(UnitConversion::between(unit, unit, None), Ok(UnitConversion::NONE), "{unit}");
    }
}

proptest! {
    #[test]
    fn there_and_back_is_where_one_was(
        from in 0..Unit::ALL.len(),
        to in 0..Unit::ALL.len(),
        mass in prop::option::of(1.0..1000.0),
        given in -1e6..1e6,
    ) {
        let (from, to) = (Unit::ALL[from], Unit::ALL[to]);
        let there = UnitConversion::between(from, to, mass);
        let back = UnitConversion::between(to, from, mass);
        prop_assert_eq!(there.is_ok(), back.is_ok());
        if let (Ok(there), Ok(back)) = (there, back) {
            prop_assert!(there.factor > 0.0 && there.factor.is_finite() && there.shift.is_finite());
            let again = back.of(there.of(given));
            prop_assert!((again - given).abs() <= 1e-9 * given.abs().max(1000.0), "{} {} {}", from, to, again);
        }
    }

    #[test]
    fn a_way_over_a_third_unit_is_as_long(
        a in 0..Unit::ALL.len(),
        b in 0..Unit::ALL.len(),
        c in 0..Unit::ALL.len(),
        given in -1e6..1e6,
    ) {
        let way = |from: usize, to: usize| UnitConversion::between(Unit::ALL[from], Unit::ALL[to], None);
        if let (Ok(first), Ok(second)) = (way(a, b), way(b, c)) {
            let (direct, over) = (way(a, c).unwrap().of(given), second.of(first.of(given)));
            prop_assert!((direct - over).abs() <= 1e-9 * direct.abs().max(over.abs()).max(1e-3), "{} {}", direct, over);
        }
    }
}

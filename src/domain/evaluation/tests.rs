//! A small plant for the tests of this and the next modules, and the kiln's worked example.
use std::sync::Arc;

use super::*;
use crate::domain::correction::Unwatched;
use crate::domain::history::History;
use crate::domain::plant::{Channel, ChannelCode, CutoffPolicy, Enterprise, Expression, StateBasis};
use crate::domain::pollutant::Factor;
use crate::domain::regime::HJ75_2017;

/// SO2 (dry standard), O2 (dry), temperature, static pressure (kPa), moisture (%), velocity, PM (wet actual).
pub(crate) const CODES: [&str; 7] = ["a21026", "a19001", "a01012", "a01013", "a01014", "a01011", "a34013"];

/// A kiln with reference oxygen 10 % that scans every 2 s.
pub(crate) fn kiln() -> Outlet {
    let spec = [
        (Role::Pollutant, Unit::MgPerM3, MoistureBasis::Dry, StateBasis::Standard, (0.0, 500.0)),
        (Role::Oxygen, Unit::Percent, MoistureBasis::Dry, StateBasis::Standard, (0.0, 25.0)),
        (Role::Temperature, Unit::Celsius, MoistureBasis::Wet, StateBasis::Actual, (0.0, 400.0)),
        (Role::StaticPressure, Unit::Kilopascal, MoistureBasis::Wet, StateBasis::Actual, (-10.0, 10.0)),
        (Role::Moisture, Unit::Percent, MoistureBasis::Wet, StateBasis::Actual, (0.0, 40.0)),
        (Role::Velocity, Unit::MetrePerSecond, MoistureBasis::Wet, StateBasis::Actual, (0.0, 40.0)),
        (Role::Pollutant, Unit::MgPerM3, MoistureBasis::Wet, StateBasis::Actual, (0.0, 100.0)),
    ];
    let channels =
        CODES.iter().zip(spec).map(|(code, (role, unit, moisture_basis, state_basis, range))| Channel {
            code: ChannelCode::new(code).unwrap(),
            factor: Arc::new(Factor {
                code: (*code).to_owned(),
                symbol: (*code).to_owned(),
                role,
                molar_mass: None,
            }),
            settings: History::always(ChannelSettings {
                analyser: "gas".into(),
                unit,
                moisture_basis,
                state_basis,
                expression: Expression::AsNamed,
                range,
                period_ms: 2000,
                decimals: 1,
            }),
        });
    Outlet {
        id: 1,
        code: "kiln".into(),
        name: "Kiln".to_owned(),
        enterprise: Arc::new(Enterprise {
            code: String::new(),
            name: String::new(),
            industry: String::new(),
            division: String::new(),
            contact: String::new(),
        }),
        settings: History::always(OutletSettings {
            process: "cement-kiln".to_owned(),
            reference_oxygen_percent: Some(10.0),
            oxygen_of_air_percent: 21.0,
            oxygen_cutoff_percent: 19.0,
            cutoff_policy: CutoffPolicy::NotConvertible,
            ambient_pressure_pa: 101_325.0,
            moisture_fraction: None,
            area_m2: Some(7.5),
            velocity_coefficient: 0.98,
        }),
        channels: channels.collect(),
        gateways: Vec::new(),
        rules: Vec::new(),
    }
}

pub(crate) fn normal(value: f64) -> Reading {
    Reading { value: Some(value), flag: Flag::Normal }
}

/// A scan of the kiln: SO2 and O2 as given, the rest constant.
pub(crate) fn readings(so2: f64, oxygen: f64) -> Vec<Reading> {
    [so2, oxygen, 110.0, -1.2, 10.0, 12.0, 5.0].map(normal).to_vec()
}

fn moment() -> Timestamp {
    "2026-11-21T04:00:06Z".parse().unwrap()
}

#[test]
fn sixty_at_thirteen_and_a_half_is_eighty_eight() {
    let evaluated = evaluate(&kiln(), moment(), &readings(60.0, 13.5), &HJ75_2017, &mut Unwatched);
    assert_eq!(evaluated.channels[0].corrected, Some(88.0));
    // PM: wet, actual: 5 x 101325/100125 x 383/273 / 0.9
    assert_eq!(format!("{:.4}", evaluated.channels[6].bases.dry.unwrap()), "7.8875");
    assert_eq!(format!("{:.1}", evaluated.channels[5].bases.dry.unwrap()), "201281.3");
}

#[test]
fn a_missing_input_leaves_the_value_open_not_wrong() {
    let mut scan = readings(60.0, 13.5);
    scan[4] = Reading::NO_ANSWER;
    let evaluated = evaluate(&kiln(), moment(), &scan, &HJ75_2017, &mut Unwatched);
    assert_eq!(evaluated.channels[0].corrected, Some(88.0), "dry and standard already: needs no moisture");
    assert_eq!(evaluated.channels[6].bases.dry, None);
    assert!(!evaluated.channels[6].counts(Role::Pollutant));
    scan[1] = Reading { value: Some(13.5), flag: Flag::Calibration };
    let evaluated = evaluate(&kiln(), moment(), &scan, &HJ75_2017, &mut Unwatched);
    assert_eq!((evaluated.channels[0].corrected, evaluated.channels[0].not_convertible), (None, false));
    assert!(evaluated.channels[0].counts(Role::Pollutant));
}

#[test]
fn dilution_is_not_converted() {
    let evaluated = evaluate(&kiln(), moment(), &readings(60.0, 19.5), &HJ75_2017, &mut Unwatched);
    assert_eq!((evaluated.channels[0].corrected, evaluated.channels[0].not_convertible), (None, true));
}

#[test]
fn an_outlet_unknown_at_that_time_has_no_values() {
    let mut outlet = kiln();
    outlet.settings = History::default();
    let evaluated = evaluate(&outlet, moment(), &readings(60.0, 13.5), &HJ75_2017, &mut Unwatched);
    assert!(evaluated.channels.iter().all(|value| value.measured.is_none() && value.flag == Flag::Absent));
}

//! Worked minutes and hours, and the laws of averaging.
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::domain::evaluation::tests::{kiln, readings};
use crate::domain::regime::HJ75_2017;

const START: i64 = 1_795_233_600;

fn window(period: AveragingPeriod) -> Window {
    Window::containing(period, Timestamp::from_second(START).unwrap(), &TimeZone::UTC)
}

fn scan(second: i64, so2: f64, oxygen: f64) -> StoredScan {
    StoredScan { at: Timestamp::from_second(START + second).unwrap(), readings: readings(so2, oxygen) }
}

fn minute_of(scans: &[StoredScan]) -> Vec<ChannelAverage> {
    average_scans(window(AveragingPeriod::Minute), &kiln(), scans, &HJ75_2017)
}

#[test]
fn a_full_minute() {
    let scans: Vec<StoredScan> =
        (0..30).map(|i| scan(i * 2, if i % 2 == 0 { 59.0 } else { 61.0 }, 13.5)).collect();
    let so2 = minute_of(&scans)[0];
    assert_eq!((so2.measured, so2.dry, so2.corrected), (Some(60.0), Some(60.0), Some(88.0)));
    assert_eq!((so2.min, so2.max, so2.n_valid, so2.n_expected), (Some(59.0), Some(61.0), 30, 30));
    assert_eq!((so2.status, so2.flag, so2.valid), (Status::Normal, Flag::Normal, true));
    // 60 mg/m3 x 201,281.28 m3/h / 60
    assert_eq!(so2.mass_mg, Some(201_281));
}

#[test]
fn twelve_scans_make_a_minute_eleven_do_not() {
    let scans: Vec<StoredScan> = (0..12).map(|i| scan(i * 2, 60.0, 13.5)).collect();
    let so2 = minute_of(&scans)[0];
    // 12 of 30 is statistically valid (eq. 23) although the transport flag says otherwise (C.16): two different questions.
    assert_eq!((so2.valid, so2.status, so2.flag), (true, Status::Normal, Flag::Fault));
    let so2 = minute_of(&scans[..11])[0];
    assert_eq!((so2.valid, so2.status, so2.measured), (false, Status::NoData, Some(60.0)));
    assert_eq!(so2.mass_mg, None);
}

#[test]
fn a_minute_without_scans_is_a_minute_without_data() {
    let so2 = minute_of(&[])[0];
    assert_eq!((so2.measured, so2.n_valid, so2.n_expected, so2.status), (None, 0, 30, Status::NoData));
}

#[test]
fn conversion_of_means_is_not_mean_of_conversions() {
    // Two half-hours at 50 mg/m3 with oxygen 6 and 16, reference 6: 75 and 100.
    let mut outlet = kiln();
    let mut settings = outlet.settings.latest().unwrap().clone();
    settings.reference_oxygen_percent = Some(6.0);
    outlet.settings = crate::domain::history::History::always(settings);
    let hour = window(AveragingPeriod::Hour);
    for (order, expected) in [(ConversionOrder::OfMeans, 75.0), (ConversionOrder::MeanOfConversions, 100.0)] {
        let regime = Regime { conversion: order, ..HJ75_2017 };
        let minutes: BTreeMap<Timestamp, Vec<ChannelAverage>> = (0..60_i64)
            .map(|minute| {
                let oxygen = if minute < 30 { 6.0 } else { 16.0 };
                let scans: Vec<StoredScan> =
                    (0..30).map(|i| scan(minute * 60 + i * 2, 50.0, oxygen)).collect();
                let start = Timestamp::from_second(START + minute * 60).unwrap();
                let window = Window::containing(AveragingPeriod::Minute, start, &TimeZone::UTC);
                (start, average_scans(window, &outlet, &scans, &regime))
            })
            .collect();
        let so2 = average_windows(hour, &outlet, &minutes, Terms::plain(&regime, 60))[0];
        assert_eq!((so2.corrected, so2.valid, so2.n_valid), (Some(expected), true, 60), "{order:?}");
    }
}

fn minute_average(status: Status, valid: bool) -> Vec<ChannelAverage> {
    let scans: Vec<StoredScan> = (0..30).map(|i| scan(i * 2, 60.0, 13.5)).collect();
    let mut averages = minute_of(&scans);
    for average in &mut averages {
        (average.status, average.valid) = (status, valid);
        average.flag = if valid { Flag::Normal } else { Flag::Fault };
        average.mass_mg = average.mass_mg.filter(|_| valid);
    }
    averages
}

fn hour_of(parts: &[(usize, Status)]) -> ChannelAverage {
    let mut minutes = BTreeMap::new();
    let mut at = START;
    for (count, status) in parts {
        for _ in 0..*count {
            minutes.insert(
                Timestamp::from_second(at).unwrap(),
                minute_average(*status, *status == Status::Normal),
            );
            at += 60;
        }
    }
    average_windows(window(AveragingPeriod::Hour), &kiln(), &minutes, Terms::plain(&HJ75_2017, 60))[0]
}

#[test]
fn the_status_of_an_hour_follows_the_table() {
    assert_eq!(hour_of(&[(45, Status::Normal), (15, Status::Calibration)]).status, Status::Normal);
    assert_eq!(hour_of(&[(44, Status::Normal), (16, Status::Calibration)]).status, Status::Calibration);
    assert_eq!(hour_of(&[(15, Status::Normal), (45, Status::SourceStopped)]).status, Status::SourceStopped);
    assert_eq!(
        hour_of(&[(30, Status::Normal), (15, Status::Maintenance), (15, Status::Fault)]).status,
        Status::Fault
    );
    assert_eq!(hour_of(&[(30, Status::Normal)]).status, Status::NoData);
    assert_eq!(hour_of(&[]).status, Status::NoData);
}

#[test]
fn a_partial_hour_keeps_the_mass_of_its_valid_minutes() {
    let full = hour_of(&[(60, Status::Normal)]);
    // 60 mg/m3 x 201,281.279779 m3/h
    assert_eq!(full.mass_mg, Some(12_076_877));
    let partial = hour_of(&[(30, Status::Normal), (30, Status::SourceStopped)]);
    assert_eq!((partial.valid, partial.mass_mg), (false, Some(30 * 201_281)));
}

#[test]
fn figures_are_snapped_to_twelve_digits() {
    assert_eq!(snap(0.1 + 0.2), 0.3);
    assert_eq!(snap(123_456.789_012_345_6), 123_456.789_012);
    assert_eq!(snap(0.0), 0.0);
}

proptest! {
    #[test]
    fn order_repetition_and_strangers_do_not_matter(
        values in proptest::collection::vec((0.0..400.0_f64, 0.0..20.9_f64), 1..30), seed in any::<u64>(),
    ) {
        let scans: Vec<StoredScan> =
            values.iter().enumerate().map(|(i, (so2, oxygen))| scan(i64::try_from(i).unwrap() * 2, *so2, *oxygen)).collect();
        let expected = minute_of(&scans);
        let mut shuffled = scans.clone();
        let mut state = seed;
        for i in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(i, (state >> 33) as usize % (i + 1));
        }
        shuffled.extend(scans.iter().cloned());
        shuffled.push(scan(60, 999.0, 1.0));
        prop_assert_eq!(minute_of(&shuffled), expected);
    }

    #[test]
    fn the_mean_lies_between_minimum_and_maximum(values in proptest::collection::vec(0.0..400.0_f64, 1..30)) {
        let scans: Vec<StoredScan> =
            values.iter().enumerate().map(|(i, so2)| scan(i64::try_from(i).unwrap() * 2, *so2, 9.0)).collect();
        let so2 = minute_of(&scans)[0];
        let (min, mean, max) = (so2.min.unwrap(), so2.measured.unwrap(), so2.max.unwrap());
        prop_assert!(min * (1.0 - 1e-11) <= mean && mean <= max * (1.0 + 1e-11));
    }

    #[test]
    fn no_reading_makes_a_figure_that_is_no_number(
        raw in proptest::collection::vec(proptest::collection::vec((proptest::num::f64::ANY, 0_usize..9), 7), 0..30),
    ) {
        let letters = ['N', 'N', 'C', 'M', 'D', 'T', 'B', 'S', 'F'];
        let scans: Vec<StoredScan> = raw.iter().enumerate().map(|(i, scan)| StoredScan {
            at: Timestamp::from_second(START + i64::try_from(i).unwrap() * 2).unwrap(),
            readings: scan.iter().map(|(value, flag)| Reading { value: Some(*value), flag: Flag::from_letter(letters[*flag]).unwrap() }).collect(),
        }).collect();
        for average in minute_of(&scans) {
            let figures = [average.measured, average.standard, average.dry, average.corrected, average.min, average.max];
            prop_assert!(figures.into_iter().flatten().all(f64::is_finite));
            prop_assert!(average.n_valid <= average.n_expected);
        }
    }
}

fn with_period(mut outlet: Outlet, position: usize, period_ms: u32) -> Outlet {
    let mut settings = outlet.channels[position].settings.latest().unwrap().clone();
    settings.period_ms = period_ms;
    outlet.channels[position].settings = crate::domain::history::History::always(settings);
    outlet
}

/// An hour of the kiln whose SO2 has a cycle of 300 s: a value in the first scan of every fifth minute, for `cycles` cycles.
fn hour_with_cycles(cycles: i64) -> (BTreeMap<Timestamp, Vec<ChannelAverage>>, ChannelAverage) {
    let outlet = with_period(kiln(), 0, 300_000);
    let mut minutes = BTreeMap::new();
    for minute in 0..60_i64 {
        let scans: Vec<StoredScan> = (0..30)
            .map(|i| {
                let mut scan = scan(minute * 60 + i * 2, 60.0, 13.5);
                if i > 0 || minute % 5 > 0 || minute / 5 >= cycles {
                    scan.readings[0] = Reading::ABSENT;
                }
                scan
            })
            .collect();
        let start = Timestamp::from_second(START + minute * 60).unwrap();
        let window = Window::containing(AveragingPeriod::Minute, start, &TimeZone::UTC);
        minutes.insert(start, average_scans(window, &outlet, &scans, &HJ75_2017));
    }
    let hour =
        average_windows(window(AveragingPeriod::Hour), &outlet, &minutes, Terms::plain(&HJ75_2017, 60));
    (minutes, hour[0])
}

#[test]
fn a_cycle_has_its_own_count() {
    let (minutes, hour) = hour_with_cycles(12);
    let nth = |n: usize| minutes.values().nth(n).unwrap()[0];
    assert_eq!((nth(0).n_valid, nth(0).n_expected, nth(0).valid), (1, 1, true));
    // Between two cycles nothing is due, so nothing is missing.
    assert_eq!((nth(1).n_valid, nth(1).n_expected, nth(1).flag, nth(1).mass_mg), (0, 0, Flag::Absent, None));
    assert_eq!((hour.n_valid, hour.n_expected, hour.valid, hour.flag), (12, 12, true, Flag::Normal));
    assert_eq!((hour.corrected, hour.mass_mg), (Some(88.0), Some(12_076_877)));
    let nine = hour_with_cycles(9).1;
    assert_eq!((nine.n_valid, nine.valid, nine.status), (9, true, Status::Normal));
    // One short: not valid, and its mass is what nine cycles of 300 s less one stand for.
    let eight = hour_with_cycles(8).1;
    assert_eq!((eight.valid, eight.status, eight.flag), (false, Status::NoData, Flag::Fault));
    assert_eq!(eight.mass_mg, Some(8 * 1_006_406));
}

#[test]
fn a_flow_survives_one_scan_without_temperature() {
    let mut scans: Vec<StoredScan> = (0..30).map(|i| scan(i * 2, 60.0, 13.5)).collect();
    scans[7].readings[2] = Reading::NO_ANSWER;
    let averages = minute_of(&scans);
    assert_eq!(averages[5].n_valid, 30);
    assert_eq!(averages[0].mass_mg, Some(201_281));
    // Without twelve there is no flow and no mass.
    for scan in scans.iter_mut().skip(11) {
        scan.readings[2] = Reading::NO_ANSWER;
    }
    assert_eq!((minute_of(&scans)[5].dry, minute_of(&scans)[0].mass_mg), (None, None));
}

#[test]
fn a_broken_velocity_weighs_nothing_only_where_the_flow_comes_from_it() {
    use crate::domain::law::OutletLaw;
    use crate::domain::mark::{Claim, Condition, Mark, Ruled, Stage};
    use crate::domain::times::Times;

    let window = window(AveragingPeriod::FiveMinutes);
    let times = Times { from: window.start, until: Some(window.end) };
    let velocity_alone = kiln();
    let mut with_flow = kiln();
    let mut flow = with_flow.channels[5].clone();
    std::sync::Arc::make_mut(&mut flow.factor).role = Role::Flow;
    flow.code = crate::domain::plant::ChannelCode::new("a00000").unwrap();
    with_flow.channels.push(flow);
    for (outlet, weighed) in [(velocity_alone, None), (with_flow, Some(5 * 201_281))] {
        let mark = Mark {
            code: "m-1".to_owned(),
            outlet: "kiln".to_owned(),
            channel: Some(outlet.channels[5].code),
            claim: Claim::Instrument(Condition::Fault),
            times,
            author: String::new(),
            reason: String::new(),
            made_at: window.end,
            attachment: None,
        };
        let claim = mark.claim;
        let marks = vec![Ruled { mark, review: None, stage: Stage::InForce, claim, times }];
        let law = OutletLaw { marks, ..OutletLaw::default() };
        let overlay = Overlay::over(&law, &outlet, window, &|_, _| None);
        let minutes: BTreeMap<Timestamp, Vec<ChannelAverage>> = (0..5)
            .map(|minute| {
                let mut averages = minute_average(Status::Normal, true);
                averages.push(averages[5]);
                averages.truncate(outlet.channels.len());
                (Timestamp::from_second(START + minute * 60).unwrap(), averages)
            })
            .collect();
        let terms = Terms { overlay: &overlay, ..Terms::plain(&HJ75_2017, 5) };
        assert_eq!(average_windows(window, &outlet, &minutes, terms)[0].mass_mg, weighed);
    }
}

#[test]
fn one_reading_a_minute_is_the_minute() {
    let mut outlet = kiln();
    for position in 0..outlet.channels.len() {
        outlet = with_period(outlet, position, 60_000);
    }
    let minute = average_scans(window(AveragingPeriod::Minute), &outlet, &[scan(0, 60.0, 13.5)], &HJ75_2017);
    let so2 = minute[0];
    assert_eq!((so2.n_valid, so2.n_expected, so2.valid, so2.flag), (1, 1, true, Flag::Normal));
    assert_eq!((so2.corrected, so2.mass_mg), (Some(88.0), Some(201_281)));
}

fn day_of(hours: &[ChannelAverage]) -> Vec<ChannelAverage> {
    let full = {
        let minutes: BTreeMap<Timestamp, Vec<ChannelAverage>> = (0..60_i64)
            .map(|i| (Timestamp::from_second(START + i * 60).unwrap(), minute_average(Status::Normal, true)))
            .collect();
        average_windows(window(AveragingPeriod::Hour), &kiln(), &minutes, Terms::plain(&HJ75_2017, 60))
    };
    let day = window(AveragingPeriod::Day);
    let parts: BTreeMap<Timestamp, Vec<ChannelAverage>> = hours
        .iter()
        .zip(0_i64..)
        .map(|(so2, i)| {
            let mut averages = full.clone();
            averages[0] = *so2;
            averages[5].valid = so2.valid;
            (Timestamp::from_second(day.start.as_second() + i * 3600).unwrap(), averages)
        })
        .collect();
    average_windows(day, &kiln(), &parts, Terms::plain(&HJ75_2017, 24))
}

#[test]
fn a_day_of_twenty_hours_is_valid_of_nineteen_not() {
    let full = hour_of(&[(60, Status::Normal)]);
    let partial = hour_of(&[(30, Status::Normal), (30, Status::Calibration)]);
    // Eq. (25): 20 valid hours. Eq. (34): the mass of the day is the sum of its hours, partial ones with what they measured.
    let day = day_of(&[[full; 20].as_slice(), &[partial; 4]].concat());
    assert_eq!(
        (day[0].valid, day[0].n_valid, day[0].status, day[0].corrected),
        (true, 20, Status::Normal, Some(88.0))
    );
    assert_eq!(day[0].mass_mg, Some(20 * 12_076_877 + 4 * 30 * 201_281));
    // Eq. (32): the volume of the day is the mean flow times its valid hours: 20 x 201,281.279779 m3.
    let volume = day[5].dry.unwrap() * f64::from(day[5].n_valid);
    assert_eq!(format!("{volume:.3}"), "4025625.596");
    let day = day_of(&[[full; 19].as_slice(), &[partial; 5]].concat());
    assert_eq!((day[0].valid, day[0].n_valid, day[0].status), (false, 19, Status::Calibration));
    // 18 of 24 hours are three quarters: the transport flag is N where statistics say that the day is not valid.
    let day = day_of(&[full; 18]);
    assert_eq!((day[0].flag, day[0].valid, day[0].status), (Flag::Normal, false, Status::NoData));
    assert_eq!(day_of(&[full; 17])[0].flag, Flag::Fault);
}

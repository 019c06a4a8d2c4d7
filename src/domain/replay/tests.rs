//! The ladder equals its rungs computed one by one, in every zone; the year equals the sum of its hours.
use super::*;
use crate::domain::average::kilograms;
use crate::domain::evaluation::tests::{kiln, readings};
use crate::domain::history::History;
use crate::domain::law::OutletLaw;
use crate::domain::plant::Outlet;
use crate::domain::regime::HJ75_2017;
use jiff::tz::TimeZone;
use proptest::prelude::*;

/// 2026-03-08T00:00:00Z: New York loses an hour on this day.
const START: i64 = 1_772_928_000;

/// The kiln with one reading a `period_ms`.
fn kiln_every(period_ms: u32) -> Outlet {
    let mut outlet = kiln();
    for channel in &mut outlet.channels {
        let mut settings = channel.settings.latest().unwrap().clone();
        settings.period_ms = period_ms;
        channel.settings = History::always(settings);
    }
    outlet
}

fn scan(second: i64, so2: f64, oxygen: f64) -> StoredScan {
    StoredScan { at: Timestamp::from_second(START + second).unwrap(), readings: readings(so2, oxygen) }
}

type Closed = BTreeMap<(AveragingPeriod, Timestamp), (Window, Vec<ChannelAverage>)>;

fn replay(outlet: &Outlet, scans: &[StoredScan], zone: &TimeZone) -> Closed {
    let mut closed = Closed::new();
    let mut sink = |window: Window, averages: &[ChannelAverage]| {
        let before = closed.insert((window.period, window.start), (window, averages.to_vec()));
        assert!(before.is_none(), "{window:?} closed twice");
    };
    let law = OutletLaw::default();
    let ground = Ground { outlet, law: &law, regime: &HJ75_2017, zone };
    let mut replay = Replay::new(ground, &AveragingPeriod::ALL);
    for scan in scans {
        assert!(replay.scan(scan.clone(), &mut sink));
    }
    replay.finish(&mut sink);
    closed
}

#[test]
fn every_window_is_made_of_its_parts() {
    let outlet = kiln_every(60_000);
    let scans: Vec<StoredScan> = (0..60 * 80)
        .filter(|minute| minute % 97 > 3 && minute / 60 % 7 != 2)
        .map(|minute| scan(minute * 60, 40.0 + f64::from(i32::try_from(minute % 61).unwrap()), 9.0))
        .collect();
    for name in ["UTC", "Asia/Shanghai", "America/New_York", "Pacific/Apia"] {
        let zone = TimeZone::get(name).unwrap();
        let closed = replay(&outlet, &scans, &zone);
        for ((period, _), (window, averages)) in &closed {
            let Some(finer) = lower(*period) else { continue };
            let parts: BTreeMap<Timestamp, Vec<ChannelAverage>> = closed
                .range((finer, window.start)..(finer, window.end))
                .map(|((_, start), (_, averages))| (*start, averages.clone()))
                .collect();
            let expected = u32::try_from(window.parts(&zone).len()).unwrap();
            assert_eq!(
                *averages,
                average_windows(*window, &outlet, &parts, Terms::plain(&HJ75_2017, expected)),
                "{name} {window:?}"
            );
        }
        let of = |period| {
            closed.iter().filter(move |((other, _), _)| *other == period).map(|(_, (_, averages))| averages)
        };
        let hours: i64 = of(AveragingPeriod::Hour).filter_map(|averages| averages[0].mass_mg).sum();
        let years: i64 = of(AveragingPeriod::Year).filter_map(|averages| averages[0].mass_mg).sum();
        assert!(hours > 0 && hours == years, "{name}: {hours} {years}");
        assert_eq!(of(AveragingPeriod::Minute).count(), scans.len());
    }
}

#[test]
fn days_of_new_york_have_twenty_three_hours_in_march() {
    let outlet = kiln_every(3_600_000);
    let scans: Vec<StoredScan> = (0..72).map(|hour| scan(hour * 3600, 60.0, 13.5)).collect();
    let closed = replay(&outlet, &scans, &TimeZone::get("America/New_York").unwrap());
    let days: Vec<u32> = closed
        .iter()
        .filter(|((period, _), _)| *period == AveragingPeriod::Day)
        .map(|(_, (_, averages))| averages[0].n_expected)
        .collect();
    assert_eq!(days, [24, 23, 24, 24]);
}

#[test]
fn a_rule_that_begins_looks_back_on_the_hours_before_it() {
    use crate::domain::flag::Status;
    use crate::domain::source_state::{After, Side, SourceRule, SourceState, StateRule, Test};
    use crate::domain::times::Times;

    let outlet = kiln_every(60_000);
    let above = |line| Test {
        channel: outlet.channels[1].code,
        side: Side::Above { line, release: line },
        minutes: 1,
    };
    let stopped = StateRule { state: SourceState::Stopped, tests: vec![above(19.5)], after: None };
    let after = Some(After { state: SourceState::Stopped, minutes: 180 });
    let start_up = StateRule { state: SourceState::StartUp, tests: vec![above(12.0)], after };
    let rule = SourceRule {
        outlet: "kiln".to_owned(),
        document: String::new(),
        times: Times { from: Timestamp::from_second(START + 7200).unwrap(), until: None },
        states: vec![stopped, start_up],
    };
    let law = OutletLaw { source_rules: vec![rule], ..OutletLaw::default() };
    let zone = TimeZone::UTC;
    let mut hours = Vec::new();
    let mut sink = |window: Window, averages: &[ChannelAverage]| {
        if window.period == AveragingPeriod::Hour {
            hours.push(averages[0].status);
        }
    };
    let ground = Ground { outlet: &outlet, law: &law, regime: &HJ75_2017, zone: &zone };
    let mut replay = Replay::new(ground, &[AveragingPeriod::Hour]);
    for minute in 0..180 {
        // Stopped until 00:30, two hours and a half before the last minute.
        assert!(replay.scan(scan(minute * 60, 60.0, if minute < 30 { 20.0 } else { 13.5 }), &mut sink));
    }
    replay.finish(&mut sink);
    assert_eq!(hours, [Status::Normal, Status::Normal, Status::StartUp]);
}

#[test]
fn a_scan_of_an_earlier_minute_is_not_taken() {
    let outlet = kiln_every(60_000);
    let zone = TimeZone::UTC;
    let law = OutletLaw::default();
    let ground = Ground { outlet: &outlet, law: &law, regime: &HJ75_2017, zone: &zone };
    let mut replay = Replay::new(ground, &[AveragingPeriod::Hour]);
    let mut count = 0;
    let mut sink = |_: Window, _: &[ChannelAverage]| count += 1;
    assert!(replay.scan(scan(60, 1.0, 9.0), &mut sink));
    assert!(!replay.scan(scan(59, 1.0, 9.0), &mut sink));
    replay.finish(&mut sink);
    assert_eq!(count, 2, "the minute and its hour");
}

#[test]
fn a_row_has_what_its_average_has() {
    let outlet = kiln_every(60_000);
    let closed = replay(&outlet, &[scan(0, 60.0, 13.5)], &TimeZone::UTC);
    let (window, averages) = closed.first_key_value().unwrap().1;
    let closed = super::Closed { window: *window, averages, judged: &[] };
    let (_, row) = rows(&outlet, &closed, &HJ75_2017).next().unwrap();
    assert_eq!((row.outlet, row.channel, row.period, row.origin), ("kiln", "a21026", "minute", "computed"));
    assert_eq!((row.corrected, row.mass_kg, row.status, row.flag), (Some(88.0), Some(0.201_281), "N", 'N'));
    let json = serde_json::to_string(&row).unwrap();
    assert!(json.starts_with(r#"{"outlet":"kiln","channel":"a21026","period":"minute","start":"2026-03-08T00:00:00Z","origin":"computed","measured":60.0,"#), "{json}");
    assert!(json.ends_with(r#""status":"N","flag":"N","valid":true,"mass_kg":0.201281,"method":"HJ75-2017/1","revision":1,"verdicts":[]}"#), "{json}");
}

proptest! {
    #[test]
    fn kilograms_keep_their_milligrams(mass_mg in 0_i64..1_000_000_000_000_000) {
        let text = kilograms(mass_mg).to_string();
        let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
        prop_assert_eq!(format!("{whole}{rest:0<6}").parse::<i64>().unwrap(), mass_mg);
    }
}

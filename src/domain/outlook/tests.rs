//! Worked examples and laws.

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::domain::average::{StoredScan, Terms, average_scans, average_windows};
use crate::domain::evaluation::tests::{kiln, readings};
use crate::domain::exceedance::judge;
use crate::domain::history::Dated;
use crate::domain::limit::{AveragingPeriod, Comparison, Kind, Reference};
use crate::domain::regime::HJ75_2017;

fn rule(limit: f64, reference: Reference) -> Rule {
    Rule {
        id: 1,
        code: "test".to_owned(),
        name: "test".to_owned(),
        document: String::new(),
        kind: Kind::Violation,
        mark: "V".to_owned(),
        division: String::new(),
        industry: String::new(),
        process: "cement-kiln".to_owned(),
        factor: "a21026".to_owned(),
        limit: Dated { from: Timestamp::MIN, until: None, value: limit },
        period: AveragingPeriod::Hour,
        reference,
        comparison: Comparison::FullValue,
        early_warning_ratio: 1.0,
    }
}

fn start() -> Timestamp {
    "2026-11-21T04:00:00Z".parse().unwrap()
}

fn settings() -> OutletSettings {
    kiln().settings.at(start()).unwrap().clone()
}

fn hour_of(minutes: &[(f64, f64)]) -> Course {
    let minutes: Vec<Minute> = minutes
        .iter()
        .map(|(dry, oxygen)| Minute { dry: Some(*dry), oxygen_percent: Some(*oxygen) })
        .collect();
    let past = i64::try_from(minutes.len()).unwrap();
    let rest = u32::try_from(60 - past).unwrap();
    let until = start() + SignedDuration::from_mins(past);
    Course { minutes, past: 60 - rest, rest, until, needed: 45 }
}

fn at(minute: i64) -> Timestamp {
    start() + SignedDuration::from_mins(minute)
}

/// SO2 60 mg/m3 at 13.5 % oxygen is 88 at the reference of 10 %.
#[test]
fn twenty_minutes_of_eighty_eight_against_thirty_five() {
    let foreseen =
        foresee(&rule(35.0, Reference::OxygenPercent(10.0)), &settings(), &hour_of(&[(60.0, 13.5); 20]));
    let foreseen = foreseen.unwrap();
    let Outlook { mean_mg_m3, minutes_over, allowed_mg_m3, lost_at } = foreseen.outlook;
    assert_eq!((mean_mg_m3, minutes_over, foreseen.valid), (88.0, 20, 20));
    // (35 x 60 - 88 x 20) / 40
    assert_eq!(allowed_mg_m3, Some(8.5));
    // 35 x 60 / 88 = 23.86 minutes: in the minute from 04:23 on.
    assert_eq!(lost_at, Some(at(23)));
    assert_eq!((foreseen.projected_mg_m3, foreseen.ending), (88.0, Ending::Above));
}

#[test]
fn an_hour_that_is_lost_even_at_zero() {
    let foreseen = foresee(&rule(35.0, Reference::None), &settings(), &hour_of(&[(120.0, 13.5); 20]));
    let foreseen = foreseen.unwrap();
    assert_eq!((foreseen.outlook.allowed_mg_m3, foreseen.ending), (None, Ending::Lost));
    assert_eq!(foreseen.outlook.lost_at, Some(at(20)));
}

#[test]
fn a_quiet_hour_allows_more_for_its_rest() {
    let foreseen = foresee(&rule(35.0, Reference::None), &settings(), &hour_of(&[(20.0, 13.5); 30])).unwrap();
    assert_eq!(foreseen.outlook.allowed_mg_m3, Some(50.0));
    assert_eq!((foreseen.outlook.lost_at, foreseen.ending), (None, Ending::Kept));
    assert_eq!(foreseen.outlook.minutes_over, 30);
}

/// "As it is" is the newest five minutes: a peak that is over does not make the hour lost.
#[test]
fn a_peak_that_is_over_is_not_projected() {
    let minutes: Vec<(f64, f64)> = [vec![(90.0, 10.0); 10], vec![(10.0, 10.0); 10]].concat();
    let foreseen = foresee(&rule(35.0, Reference::None), &settings(), &hour_of(&minutes)).unwrap();
    assert_eq!((foreseen.outlook.mean_mg_m3, foreseen.outlook.minutes_over), (50.0, 20));
    assert_eq!(foreseen.ending, Ending::Kept);
    assert_eq!(snap(foreseen.projected_mg_m3), snap((900.0 + 100.0 + 400.0) / 60.0));
}

#[test]
fn what_cannot_be_judged_is_not_foreseen() {
    let rule = rule(35.0, Reference::OxygenPercent(10.0));
    assert_eq!(foresee(&rule, &settings(), &hour_of(&[(60.0, 20.0); 20])), None, "oxygen above the cut-off");
    assert_eq!(foresee(&rule, &settings(), &hour_of(&[(60.0, 13.5); 60])), None, "the hour is over");
    let mut gaps = hour_of(&[(60.0, 13.5); 30]);
    gaps.minutes[..16].fill(Minute::default());
    assert_eq!(foresee(&rule, &settings(), &gaps), None, "only 44 minutes can still count");
    let mut no_oxygen = hour_of(&[(60.0, 13.5); 20]);
    no_oxygen.minutes.iter_mut().for_each(|minute| minute.oxygen_percent = None);
    assert_eq!(foresee(&rule, &settings(), &no_oxygen), None, "nothing to convert with");
}

/// The mean to date is what the hour would be judged by, were it over.
#[test]
fn the_mean_to_date_is_reckoned_as_the_hour_is_judged() {
    let hour = Window::containing(AveragingPeriod::Hour, start(), &TimeZone::UTC);
    let mut parts = Parts::new();
    for minute in 0..59 {
        let from = start() + SignedDuration::from_mins(minute);
        let window = Window::containing(AveragingPeriod::Minute, from, &TimeZone::UTC);
        let step = f64::from(i32::try_from(minute).unwrap());
        let scans: Vec<StoredScan> = (0..12)
            .map(|i| StoredScan {
                at: from + SignedDuration::from_secs(5 * i),
                readings: readings(20.0 + step * 0.7, 10.0 + step * 0.05),
            })
            .collect();
        parts.insert(from, average_scans(window, &kiln(), &scans, &HJ75_2017));
    }
    let rule = rule(35.0, Reference::OxygenPercent(10.0));
    let until = start() + SignedDuration::from_mins(59);
    let course = course(&kiln(), (hour, until), 0, (&parts, Overlay::NONE), 45).unwrap();
    assert_eq!((course.minutes.len(), course.rest), (59, 1));
    let foreseen = foresee(&rule, &settings(), &course).unwrap();
    let averages = average_windows(hour, &kiln(), &parts, Terms::plain(&HJ75_2017, 60));
    let verdict = judge(&rule, &kiln(), (hour, 0), &averages, &mut Unwatched);
    assert_eq!(Some(foreseen.outlook.mean_mg_m3), verdict.corrected);
}

fn minutes() -> impl Strategy<Value = Vec<(f64, f64)>> {
    prop::collection::vec((0.0..200.0_f64, 3.0..17.0_f64), 1..60)
}

proptest! {
    /// If the rest is exactly what is allowed the hour's mean is the limit.
    #[test]
    fn the_allowed_level_ends_at_the_limit(minutes in minutes(), limit in 10.0..150.0_f64) {
        let (rule, settings) = (rule(limit, Reference::OxygenPercent(10.0)), settings());
        let course = hour_of(&minutes);
        let Some(foreseen) = foresee(&rule, &settings, &course) else { return Ok(()) };
        let recent: Vec<f64> = minutes.iter().map(|(_, oxygen)| *oxygen).collect();
        let oxygen = mean(newest(&recent)).unwrap();
        let convert = |dry: f64, oxygen: f64| {
            to_reference(dry, Some(oxygen), rule.reference, &settings, &mut Unwatched).value().unwrap()
        };
        let Some(allowed) = foreseen.outlook.allowed_mg_m3 else {
            // Lost: even with nothing more.
            let whole: Vec<(f64, f64)> =
                minutes.iter().copied().chain(std::iter::repeat((0.0, oxygen))).take(60).collect();
            let dry = whole.iter().map(|(dry, _)| dry).sum::<f64>() / 60.0;
            let o2 = whole.iter().map(|(_, o2)| o2).sum::<f64>() / 60.0;
            prop_assert!(convert(dry, o2) > limit * (1.0 - 1e-9));
            return Ok(());
        };
        let dry = allowed / convert(1.0, oxygen);
        let whole: Vec<(f64, f64)> =
            minutes.iter().copied().chain(std::iter::repeat((dry, oxygen))).take(60).collect();
        let mean_dry = whole.iter().map(|(dry, _)| dry).sum::<f64>() / 60.0;
        let mean_oxygen = whole.iter().map(|(_, o2)| o2).sum::<f64>() / 60.0;
        let ended = convert(mean_dry, mean_oxygen);
        prop_assert!((ended / limit - 1.0).abs() < 1e-9, "{ended} against {limit}");
    }

    /// The more is emitted the less is allowed and the sooner the hour is lost.
    #[test]
    fn more_is_lost_sooner(minutes in minutes(), more in 1.0..4.0_f64, limit in 10.0..150.0_f64) {
        let (rule, settings) = (rule(limit, Reference::None), settings());
        let raised: Vec<(f64, f64)> = minutes.iter().map(|(dry, oxygen)| (dry * more, *oxygen)).collect();
        let (Some(less), Some(more)) =
            (foresee(&rule, &settings, &hour_of(&minutes)), foresee(&rule, &settings, &hour_of(&raised)))
        else {
            return Ok(());
        };
        let never = Timestamp::MAX;
        prop_assert!(more.outlook.lost_at.unwrap_or(never) <= less.outlook.lost_at.unwrap_or(never));
        prop_assert!(more.outlook.allowed_mg_m3.unwrap_or(-1.0) <= less.outlook.allowed_mg_m3.unwrap_or(-1.0) + 1e-9);
        prop_assert!(more.projected_mg_m3 >= less.projected_mg_m3 - 1e-9);
    }

    /// Twice the values against twice the limit is the same hour.
    #[test]
    fn it_scales(minutes in minutes(), limit in 10.0..150.0_f64) {
        let twice: Vec<(f64, f64)> = minutes.iter().map(|(dry, oxygen)| (dry * 2.0, *oxygen)).collect();
        let one = foresee(&rule(limit, Reference::OxygenPercent(10.0)), &settings(), &hour_of(&minutes));
        let two = foresee(&rule(limit * 2.0, Reference::OxygenPercent(10.0)), &settings(), &hour_of(&twice));
        let (Some(one), Some(two)) = (one, two) else { return Ok(()) };
        prop_assert_eq!((one.outlook.lost_at, one.outlook.minutes_over), (two.outlook.lost_at, two.outlook.minutes_over));
        prop_assert!((two.outlook.mean_mg_m3 / one.outlook.mean_mg_m3 - 2.0).abs() < 1e-9);
    }

    /// What is lost and what is allowed go together.
    #[test]
    fn lost_is_when_nothing_is_allowed(minutes in minutes(), limit in 10.0..150.0_f64) {
        let rule = rule(limit, Reference::OxygenPercent(10.0));
        let Some(foreseen) = foresee(&rule, &settings(), &hour_of(&minutes)) else { return Ok(()) };
        prop_assert_eq!(foreseen.outlook.allowed_mg_m3.is_none(), foreseen.ending == Ending::Lost);
        if foreseen.ending == Ending::Above {
            prop_assert!(foreseen.outlook.lost_at.is_some());
        }
    }
}

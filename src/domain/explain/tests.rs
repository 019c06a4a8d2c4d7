//! The kiln's worked example: SO2 60 at O2 13.5, reference 10 %, gives 60 x (21-10)/(21-13.5) = 88; 88/35 - 1 = 1.514.
use std::sync::Arc;

use jiff::ToSpan;

use super::*;
use crate::domain::average::{StoredScan, Terms, average_scans, average_windows};
use crate::domain::evaluation::tests::{kiln, readings};
use crate::domain::history::Dated;
use crate::domain::law::OutletLaw;
use crate::domain::limit::{Comparison as Compared, Kind, Reference, Rule};
use crate::domain::regime::HJ75_2017;

const START: &str = "2026-11-21T04:00:00Z";

fn ultra_low() -> Rule {
    Rule {
        id: 7,
        code: "ultra-low".to_owned(),
        name: "Ultra-low, SO2".to_owned(),
        document: "Opinions".to_owned(),
        kind: Kind::Assessment,
        mark: "V".to_owned(),
        division: String::new(),
        industry: String::new(),
        process: "cement-kiln".to_owned(),
        factor: "a21026".to_owned(),
        limit: Dated { from: Timestamp::MIN, until: None, value: 35.0 },
        period: AveragingPeriod::Hour,
        reference: Reference::OxygenPercent(10.0),
        comparison: Compared::FullValue,
        early_warning_ratio: 1.0,
    }
}

/// An hour with a scan every 2 s in its first 45 minutes, stored as the centre would.
fn hour(now: &str) -> (Outlet, Evidence) {
    let mut outlet = kiln();
    outlet.rules = vec![Arc::new(ultra_low())];
    let start: Timestamp = START.parse().unwrap();
    let scans: Vec<StoredScan> = (0..45 * 30)
        .map(|tick| StoredScan { at: start + (tick * 2).seconds(), readings: readings(60.0, 13.5) })
        .collect();
    let zone = TimeZone::UTC;
    let window = Window::containing(AveragingPeriod::Hour, start, &zone);
    let mut averages = BTreeMap::new();
    for part in window.parts(&zone).into_iter().take(45) {
        averages.insert(part.start, average_scans(part, &outlet, &scans, &HJ75_2017));
    }
    let of_hour = average_windows(window, &outlet, &averages, Terms::plain(&HJ75_2017, 60));
    let stored = |channels| StoredWindow { revision: 1, channels };
    let verdict = StoredVerdict {
        position: Some(0),
        rule: "ultra-low".to_owned(),
        outcome: "exceeded".to_owned(),
        corrected: Some(88.0),
        limit: 35.0,
        ratio_over: Some(1.514_285_714_29),
        remark: None,
    };
    let provenance = Provenance {
        gateway: "gw".to_owned(),
        epoch: String::new(),
        seq: 1,
        hash: String::new(),
        prev: String::new(),
        cfg: String::new(),
        hash_agrees: Some(true),
    };
    let asked = start + 6.seconds();
    let evaluated =
        evaluate(&outlet, asked, &scans[3].readings, &HJ75_2017, &mut crate::domain::correction::Unwatched);
    let scan = RecordedScan {
        at: asked,
        received_at: asked,
        provenance,
        readings: scans[3].readings.clone(),
        checked: evaluated.channels.iter().map(|value| value.flag.letter()).collect(),
        corrected: evaluated.channels.iter().map(|value| value.corrected).collect(),
    };
    let evidence = Evidence {
        asked,
        now: now.parse().unwrap(),
        scan: Some(scan),
        scans,
        minutes: averages.into_iter().map(|(start, channels)| (start, stored(channels))).collect(),
        hour: Some(stored(of_hour)),
        verdicts: vec![verdict],
        law: OutletLaw::default(),
        substitutes: Vec::new(),
        submitted: None,
    };
    (outlet, evidence)
}

fn explained(outlet: &Outlet, evidence: &Evidence) -> Explanation {
    explain(outlet, &[0], evidence, (&HJ75_2017, &TimeZone::UTC))
}

#[test]
fn what_was_stored_comes_out_again_with_every_step() {
    let (outlet, evidence) = hour("2026-11-21T06:00:00Z");
    let told = explained(&outlet, &evidence);
    assert_eq!(told.differences, []);
    // Flag and corrected of the scan, 11 figures of 45 minutes and of the hour, five of the verdict.
    assert_eq!(told.compared, 2 + 11 * 45 + 11 + 5);
    let so2 = &told.channels[0];
    let reading = so2.reading.as_ref().unwrap();
    assert_eq!((reading.measured, reading.corrected, reading.counts), (Some(60.0), Some(88.0), true));
    let step = reading.steps.last().unwrap();
    assert_eq!(
        (step.name, step.clause, step.result),
        ("corrected", "HJ 212-2017 App. D eq. (28)", Some(88.0))
    );
    let inputs: Vec<(&str, Option<f64>)> =
        step.inputs.iter().map(|input| (input.name, input.value)).collect();
    assert_eq!(inputs, [("C", Some(60.0)), ("O2", Some(13.5)), ("O2ref", Some(10.0)), ("O2air", Some(21.0))]);
    let minute = so2.minute.figures.as_ref().unwrap();
    assert_eq!(
        (minute.n_valid, minute.n_expected, minute.n_needed, minute.corrected),
        (30, 30, 12, Some(88.0))
    );
    let hour = so2.hour.figures.as_ref().unwrap();
    assert_eq!((hour.n_valid, hour.n_expected, hour.n_needed, hour.valid), (45, 60, 45, true));
    let names: Vec<&str> = so2.hour.steps.iter().map(|step| step.name).collect();
    assert_eq!(names, ["validity", "flag", "mean measured", "mean dry standard", "corrected", "mass"]);
    let verdict = &so2.verdicts[0];
    assert_eq!((verdict.verdict, verdict.corrected, verdict.stored), ("exceeded", Some(88.0), true));
    assert_eq!(format!("{:.2}", verdict.ratio_over.unwrap()), "1.51");
    let text = told.to_string();
    assert!(text.contains("all 513 stored figures agree") && !text.contains("!!!"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
}

#[test]
fn a_figure_that_was_changed_is_told_loudly() {
    let (outlet, mut evidence) = hour("2026-11-21T06:00:00Z");
    let minute: Timestamp = "2026-11-21T04:07:00Z".parse().unwrap();
    evidence.minutes.get_mut(&minute).unwrap().channels[0].measured = Some(20.0);
    evidence.verdicts[0].outcome = "met".to_owned();
    evidence.scan.as_mut().unwrap().corrected[0] = Some(30.0);
    let told = explained(&outlet, &evidence);
    let found: Vec<(&str, &str, &str, &str)> =
        told.differences.iter().map(|one| (&*one.of, one.figure, &*one.stored, &*one.recomputed)).collect();
    assert_eq!(
        found,
        [
            ("scan 2026-11-21T04:00:06Z a21026", "corrected", "30", "88"),
            ("minute 2026-11-21T04:07:00Z a21026", "measured", "20", "60"),
            ("hour 2026-11-21T04:00:00Z rule ultra-low", "verdict", "met", "exceeded"),
        ]
    );
    assert!(told.to_string().contains("!!! 3 OF 513 STORED FIGURES DIFFER"), "{told}");
    evidence.verdicts.clear();
    assert_eq!(explained(&outlet, &evidence).differences.last().unwrap().stored, "none");
}

#[test]
fn missing_data_is_said_plainly() {
    let (outlet, mut evidence) = hour("2026-11-21T04:30:00Z");
    evidence.hour = None;
    let told = explained(&outlet, &evidence);
    assert!(told.notes.iter().any(|note| note.contains("hour not closed yet")), "{told}");
    evidence.asked = "2026-11-21T04:50:00Z".parse().unwrap();
    evidence.scan = None;
    let told = explained(&outlet, &evidence);
    let text = told.to_string();
    assert!(text.contains("no scan at 2026-11-21T04:50:00Z") && text.contains("no data"), "{text}");
    assert!(text.contains("no scan in the minute from 2026-11-21T04:50:00Z"), "{text}");
    // Retention took the scans; the minutes are still there.
    evidence.scans.clear();
    let text = explained(&outlet, &evidence).to_string();
    assert!(text.contains("45 minutes of the hour have no scans any more"), "{text}");
    evidence.minutes.clear();
    let told = explained(&outlet, &evidence);
    assert!(told.channels[0].hour.figures.is_none() && told.channels[0].verdicts.is_empty());
}

#[test]
fn a_reading_that_does_not_count_says_why() {
    let settings = kiln().channels[0].settings.at(START.parse().unwrap()).unwrap().clone();
    let say = |device, flag| validation(Reading { value: Some(1.0), flag: device }, flag, Some(&settings));
    assert!(say(Flag::Normal, Flag::OverRange).contains("above the range 0 to 500 mg/m3"));
    assert!(say(Flag::Normal, Flag::Fault).contains("below the range"));
    assert!(say(Flag::Calibration, Flag::Calibration).contains("flag C"));
    assert!(say(Flag::Absent, Flag::Absent).contains("no reading"));
    assert!(validation(Reading::ABSENT, Flag::Absent, None).contains("not in use"));
}

//! The four layers together, and exemptions over them.

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::domain::evaluation::tests::kiln;
use crate::domain::exemption::{Exempted, Exemption, exempted};
use crate::domain::limit::AveragingPeriod;
use crate::domain::mark::{Condition, Mark};
use crate::domain::plant::ChannelCode;
use crate::domain::source_state::{SourceRule, StateRule};
use crate::domain::times::Times;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn window(period: AveragingPeriod) -> Window {
    Window::containing(period, at("2026-11-21T04:30:00Z"), &TimeZone::UTC)
}

fn ruled(claim: Claim, channel: Option<&str>, from: &str, until: &str, stage: Stage) -> Ruled {
    let times = Times { from: at(from), until: Some(at(until)) };
    let mark = Mark {
        code: format!("m-{from}"),
        outlet: "kiln".to_owned(),
        channel: channel.map(|code| ChannelCode::new(code).unwrap()),
        claim,
        times,
        author: "A person".to_owned(),
        reason: "A reason".to_owned(),
        made_at: at(until),
        attachment: None,
    };
    Ruled { mark, review: None, stage, claim, times }
}

fn law(marks: Vec<Ruled>) -> OutletLaw {
    OutletLaw { marks, ..OutletLaw::default() }
}

const STOP: Claim = Claim::State(SourceState::Stopped);
const HOUR: (&str, &str) = ("2026-11-21T04:00:00Z", "2026-11-21T05:00:00Z");

/// Oxygen alone.
fn oxygen(percent: f64) -> impl Fn(Timestamp, Position) -> Option<f64> {
    move |_, position| (position == 1).then_some(percent)
}

#[test]
fn a_stop_mark_over_a_burning_kiln_is_contested_and_changes_nothing() {
    let law = law(vec![ruled(STOP, None, HOUR.0, HOUR.1, Stage::Accepted)]);
    let hour = window(AveragingPeriod::Hour);
    let overlay = Overlay::over(&law, &kiln(), hour, &oxygen(13.5));
    assert_eq!(overlay.at(hour.start, 0), Layer::NONE);
    assert_eq!(
        overlay.occupied(45),
        Occupied { state: SourceState::Running, marked: false, contested: true }
    );
    // Both versions are there.
    let kiln = kiln();
    let sourced = source_state(&law, &kiln, hour.start, &oxygen(13.5));
    assert_eq!(sourced.mark.unwrap().claim, STOP);
    assert_eq!((sourced.state, sourced.contested.unwrap().value), (SourceState::Running, 13.5));
}

#[test]
fn a_stop_mark_that_nothing_contradicts_counts() {
    let law = law(vec![ruled(STOP, None, HOUR.0, HOUR.1, Stage::InForce)]);
    let hour = window(AveragingPeriod::Hour);
    let overlay = Overlay::over(&law, &kiln(), hour, &oxygen(20.8));
    assert_eq!(
        overlay.at(hour.start, 0),
        Layer { status: Some(Status::SourceStopped), counts: false, weighs: true }
    );
    assert_eq!(
        overlay.occupied(45),
        Occupied { state: SourceState::Stopped, marked: true, contested: false }
    );
}

#[test]
fn a_mark_that_waits_or_is_rejected_changes_nothing_but_stays_visible() {
    let hour = window(AveragingPeriod::Hour);
    for stage in [Stage::Pending, Stage::Late, Stage::Rejected] {
        let law = law(vec![ruled(STOP, None, HOUR.0, HOUR.1, stage)]);
        let overlay = Overlay::over(&law, &kiln(), hour, &oxygen(20.8));
        assert!(overlay.is_empty(), "{stage:?}");
        let kiln = kiln();
        let sourced = source_state(&law, &kiln, hour.start, &oxygen(20.8));
        assert_eq!(sourced.mark.is_some(), stage != Stage::Rejected);
    }
}

#[test]
fn start_up_is_named_but_counts() {
    let claim = Claim::State(SourceState::StartUp);
    let law = law(vec![ruled(claim, None, HOUR.0, HOUR.1, Stage::InForce)]);
    let overlay = Overlay::over(&law, &kiln(), window(AveragingPeriod::Hour), &oxygen(13.5));
    assert_eq!(
        overlay.at(at(HOUR.0), 0),
        Layer { status: Some(Status::StartUp), counts: true, weighs: true }
    );
}

#[test]
fn a_partial_hour_is_neither() {
    let law = law(vec![ruled(STOP, None, HOUR.0, "2026-11-21T04:30:00Z", Stage::InForce)]);
    let hour = window(AveragingPeriod::Hour);
    let overlay = Overlay::over(&law, &kiln(), hour, &oxygen(20.8));
    assert_eq!(overlay.occupied(45).state, SourceState::Running);
    assert_eq!(overlay.occupied(30).state, SourceState::Stopped);
    assert!(
        !overlay.at(at("2026-11-21T04:29:00Z"), 0).counts && overlay.at(at("2026-11-21T04:30:00Z"), 0).counts
    );
}

#[test]
fn an_instrument_mark_is_about_its_channel() {
    let claim = Claim::Instrument(Condition::Maintenance);
    let law = law(vec![ruled(claim, Some("a21026"), HOUR.0, HOUR.1, Stage::InForce)]);
    let overlay = Overlay::over(&law, &kiln(), window(AveragingPeriod::Hour), &oxygen(13.5));
    assert_eq!(
        overlay.at(at(HOUR.0), 0),
        Layer { status: Some(Status::Maintenance), counts: false, weighs: false }
    );
    assert_eq!(overlay.at(at(HOUR.0), 6), Layer::NONE);
}

#[test]
fn an_oxygen_analyser_that_the_bureau_agrees_was_broken_contradicts_nothing() {
    let broken = |stage| ruled(Claim::Instrument(Condition::Fault), Some("a19001"), HOUR.0, HOUR.1, stage);
    let hour = window(AveragingPeriod::Hour);
    for (stage, contested) in [(Stage::InForce, true), (Stage::Accepted, false)] {
        let law = law(vec![ruled(STOP, None, HOUR.0, HOUR.1, Stage::InForce), broken(stage)]);
        let overlay = Overlay::over(&law, &kiln(), hour, &oxygen(10.0));
        assert_eq!(overlay.occupied(45).contested, contested, "{stage:?}");
    }
}

#[test]
fn a_newer_mark_does_not_undo_what_the_bureau_agreed_about_an_instrument() {
    let broken = ruled(Claim::Instrument(Condition::Fault), Some("a19001"), HOUR.0, HOUR.1, Stage::Accepted);
    let mut newer = ruled(Claim::Instrument(Condition::Maintenance), None, HOUR.0, HOUR.1, Stage::InForce);
    newer.mark.made_at = at("2026-11-22T00:00:00Z");
    let law = law(vec![ruled(STOP, None, HOUR.0, HOUR.1, Stage::InForce), broken, newer]);
    let overlay = Overlay::over(&law, &kiln(), window(AveragingPeriod::Hour), &oxygen(10.0));
    assert!(!overlay.occupied(45).contested);
}

fn exemption(hours_per_year: u32) -> Exemption {
    Exemption {
        code: "waste-60h".to_owned(),
        document: "MEE Order 10 (2019)".to_owned(),
        times: Times { from: Timestamp::MIN, until: None },
        division: String::new(),
        industry: String::new(),
        pollutants: vec!["a21026".to_owned()],
        states: vec![SourceState::StartUp, SourceState::ShutDown],
        hours_per_year,
    }
}

/// Start-ups before and in the hour of 2026-11-21T04:00Z: 59 hours in January, then the hour itself.
fn started(hours_in_january: i64, stage: Stage) -> OutletLaw {
    let claim = Claim::State(SourceState::StartUp);
    let until = at("2026-01-10T00:00:00Z").checked_add(SignedDuration::from_hours(hours_in_january)).unwrap();
    let january = ruled(claim, None, "2026-01-10T00:00:00Z", &until.to_string(), Stage::InForce);
    let last_year = ruled(claim, None, "2025-01-10T00:00:00Z", "2025-03-10T00:00:00Z", Stage::InForce);
    let hour = ruled(claim, None, HOUR.0, HOUR.1, stage);
    OutletLaw {
        marks: vec![last_year, january, hour],
        exemptions: vec![exemption(60)],
        ..OutletLaw::default()
    }
}

fn outcome(law: &OutletLaw, factor: &str) -> Option<Exempted> {
    let hour = window(AveragingPeriod::Hour);
    let overlay = Overlay::over(law, &kiln(), hour, &oxygen(13.5));
    let year = window(AveragingPeriod::Year);
    exempted(law, &kiln(), factor, (hour, year), overlay.occupied(45)).map(|(_, outcome)| outcome)
}

#[test]
fn sixty_hours_a_year_are_exempt_and_the_sixty_first_is_not() {
    let hours = |count: u64| count * 3600;
    assert_eq!(
        outcome(&started(59, Stage::InForce), "a21026"),
        Some(Exempted::Yes { seconds_used: hours(60) })
    );
    assert_eq!(
        outcome(&started(60, Stage::InForce), "a21026"),
        Some(Exempted::CapUsed { seconds_used: hours(61) })
    );
    assert_eq!(outcome(&started(0, Stage::InForce), "a34013"), None);
    // Not in effect: the source is running, so no exemption is about it.
    assert_eq!(outcome(&started(0, Stage::Pending), "a21026"), None);
}

#[test]
fn signals_alone_exempt_nothing_and_neither_does_a_contested_mark() {
    let mut law = started(0, Stage::Pending);
    let test = crate::domain::source_state::Test {
        channel: ChannelCode::new("a19001").unwrap(),
        side: crate::domain::source_state::Side::Above { line: 10.0, release: 10.0 },
        minutes: 1,
    };
    law.source_rules = vec![SourceRule {
        outlet: "kiln".to_owned(),
        document: String::new(),
        times: Times { from: Timestamp::MIN, until: None },
        states: vec![StateRule { state: SourceState::StartUp, tests: vec![test], after: None }],
    }];
    assert_eq!(outcome(&law, "a21026"), Some(Exempted::NotMarked));
    law.marks.push(ruled(STOP, None, HOUR.0, "2026-11-21T04:01:00Z", Stage::InForce));
    assert_eq!(outcome(&law, "a21026"), Some(Exempted::Contested));
}

proptest! {
    #[test]
    fn no_mark_takes_a_contradicted_minute_out(oxygen_percent in 0.0_f64..18.9, from in 0_i64..60, length in 1_i64..60) {
        let hour = window(AveragingPeriod::Hour);
        let from = hour.start.checked_add(SignedDuration::from_mins(from)).unwrap();
        let until = from.checked_add(SignedDuration::from_mins(length)).unwrap();
        let law = law(vec![ruled(STOP, None, &from.to_string(), &until.to_string(), Stage::Accepted)]);
        let overlay = Overlay::over(&law, &kiln(), hour, &oxygen(oxygen_percent));
        for minute in 0..60 {
            let minute = hour.start.checked_add(SignedDuration::from_mins(minute)).unwrap();
            prop_assert_eq!(overlay.at(minute, 0), Layer::NONE);
        }
        prop_assert!(overlay.occupied(45).contested);
    }
}

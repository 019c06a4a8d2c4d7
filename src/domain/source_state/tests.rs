//! States by rule, with hysteresis and duration; claims that signals contradict.

use proptest::prelude::*;

use super::*;
use crate::domain::evaluation::tests::kiln;

const OXYGEN: Position = 1;
const TEMPERATURE: Position = 2;

fn start() -> Timestamp {
    "2026-11-21T04:00:00Z".parse().unwrap()
}

fn minute(index: i64) -> Timestamp {
    start().checked_add(SignedDuration::from_mins(index)).unwrap()
}

fn code(text: &str) -> ChannelCode {
    ChannelCode::new(text).unwrap()
}

fn above(channel: &str, line: f64, release: f64, minutes: u32) -> Test {
    Test { channel: code(channel), side: Side::Above { line, release }, minutes }
}

fn below(channel: &str, line: f64, release: f64, minutes: u32) -> Test {
    Test { channel: code(channel), side: Side::Below { line, release }, minutes }
}

/// Stopped: oxygen above 19.5 (until 18.5) for 5 minutes and gas below 60 C (until 80). Start-up: below 120 C within 3 hours
/// after a stop.
pub(crate) fn kiln_rule() -> SourceRule {
    SourceRule {
        outlet: "kiln".to_owned(),
        document: "Permit, annex 3".to_owned(),
        times: Times { from: Timestamp::MIN, until: None },
        states: vec![
            StateRule {
                state: SourceState::Stopped,
                tests: vec![above("a19001", 19.5, 18.5, 5), below("a01012", 60.0, 80.0, 1)],
                after: None,
            },
            StateRule {
                state: SourceState::StartUp,
                tests: vec![below("a01012", 120.0, 120.0, 1)],
                after: Some(After { state: SourceState::Stopped, minutes: 180 }),
            },
        ],
    }
}

/// State at `index`, from oxygen and temperature a minute from `start`.
fn state(rule: &SourceRule, values: &[(f64, f64)], index: i64) -> SourceState {
    let signals = |at: Timestamp, position: Position| {
        let index = (at.as_second() - start().as_second()).div_euclid(60);
        let (oxygen, temperature) = values.get(usize::try_from(index).ok()?)?;
        [(OXYGEN, *oxygen), (TEMPERATURE, *temperature)]
            .into_iter()
            .find(|(known, value)| *known == position && value.is_finite())
            .map(|(_, value)| value)
    };
    observe(Some(rule), &kiln(), minute(index), &signals).state
}

#[test]
fn a_stop_begins_after_its_duration_and_ends_at_the_release_line() {
    let mut values = vec![(20.0, 50.0); 8];
    values.extend([(19.0, 50.0), (18.4, 50.0), (19.0, 50.0), (20.0, 50.0)]);
    let states: Vec<SourceState> = (0..12).map(|index| state(&kiln_rule(), &values, index)).collect();
    // Five minutes of oxygen above 19.5; 19.0 is still beyond the release line, 18.4 is not, and then it begins anew.
    assert_eq!(states[3], SourceState::Running);
    assert_eq!(states[4..9], [SourceState::Stopped; 5]);
    assert_eq!(states[9..12], [SourceState::StartUp; 3]);
}

#[test]
fn start_up_is_only_after_a_stop_and_only_so_long() {
    let mut values = vec![(20.5, 40.0); 6];
    values.extend(vec![(14.0, 90.0); 200]);
    assert_eq!(state(&kiln_rule(), &values, 6), SourceState::StartUp);
    assert_eq!(state(&kiln_rule(), &values, 5 + 180), SourceState::StartUp);
    assert_eq!(state(&kiln_rule(), &values, 5 + 181), SourceState::Running);
    assert_eq!(state(&kiln_rule(), &[(14.0, 90.0); 10], 9), SourceState::Running);
    values[7] = (14.0, 130.0);
    assert_eq!(state(&kiln_rule(), &values, 7), SourceState::Running);
}

#[test]
fn what_is_not_known_stops_nothing() {
    let mut values = vec![(20.0, 50.0); 10];
    values[6].0 = f64::NAN;
    assert_eq!(state(&kiln_rule(), &values, 5), SourceState::Stopped);
    assert_ne!(state(&kiln_rule(), &values, 6), SourceState::Stopped);
    let nothing = |_: Timestamp, _: Position| None;
    let observed = observe(Some(&kiln_rule()), &kiln(), start(), &nothing);
    assert_eq!(observed, Observed { state: SourceState::Running, basis: Basis::Nothing });
    assert_eq!(observe(None, &kiln(), start(), &nothing).basis, Basis::Nothing);
}

#[test]
fn a_process_signal_sends_a_code() {
    let rule = SourceRule {
        states: vec![StateRule {
            state: SourceState::BankedFire,
            tests: vec![Test { channel: code("a01012"), side: Side::Is { code: 3.0 }, minutes: 1 }],
            after: None,
        }],
        ..kiln_rule()
    };
    assert_eq!(state(&rule, &[(10.0, 3.0)], 0), SourceState::BankedFire);
    assert_eq!(state(&rule, &[(10.0, 4.0)], 0), SourceState::Running);
}

#[test]
fn oxygen_well_below_air_contradicts_a_stop_with_and_without_a_rule() {
    let with = |oxygen: f64, temperature: f64| {
        move |_: Timestamp, position: Position| match position {
            OXYGEN => Some(oxygen),
            TEMPERATURE => Some(temperature),
            _ => None,
        }
    };
    let claim = (start(), SourceState::Stopped);
    let contested = |rule: Option<&SourceRule>, oxygen: f64, temperature: f64| {
        contradiction(rule, &kiln(), claim, &with(oxygen, temperature)).map(|found| found.channel)
    };
    assert_eq!(contested(None, 13.5, 50.0), Some(code("a19001")));
    assert_eq!(contested(None, 19.0, 300.0), None);
    let rule = kiln_rule();
    assert_eq!(contested(Some(&rule), 20.0, 300.0), Some(code("a01012")));
    assert_eq!(contested(Some(&rule), 20.0, 50.0), None);
    // Not for long enough is no contradiction, and neither is silence.
    assert_eq!(contradiction(Some(&rule), &kiln(), claim, &|_, _| None), None);
}

#[test]
fn the_look_back_is_bounded_by_the_rule() {
    assert_eq!(kiln_rule().look_back_minutes(), 5 + MEMORY_MINUTES + 180);
}

proptest! {
    #[test]
    fn what_is_before_the_look_back_does_not_matter(
        old in prop::collection::vec((0.0_f64..21.0, 0.0_f64..400.0), 1..40),
        recent in prop::collection::vec((17.0_f64..21.0, 30.0_f64..140.0), 250),
    ) {
        let rule = kiln_rule();
        let look_back = i64::from(rule.look_back_minutes());
        prop_assert!(recent.len() as i64 > look_back);
        let last = recent.len() as i64 - 1;
        let alone = state(&rule, &recent, last);
        let shifted: Vec<(f64, f64)> = old.iter().chain(&recent).copied().collect();
        prop_assert_eq!(alone, state(&rule, &shifted, last + old.len() as i64));
    }

    #[test]
    fn a_stop_needs_every_signal(values in prop::collection::vec((15.0_f64..21.0, 30.0_f64..140.0), 20)) {
        let rule = kiln_rule();
        for index in 0..20 {
            if state(&rule, &values, index) == SourceState::Stopped {
                let (oxygen, temperature) = values[index as usize];
                prop_assert!(oxygen > 18.5 && temperature < 80.0);
            }
        }
    }
}

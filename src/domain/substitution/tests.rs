//! HJ 75-2017 tables 5 and 6, row by row.

use proptest::prelude::*;

use super::*;

fn hour(index: i64) -> Timestamp {
    Timestamp::from_second(index * 3600).unwrap()
}

fn valid(index: i64, mass_mg: i64) -> HourMass {
    HourMass { start: hour(index), class: HourClass::Valid, mass_mg: Some(mass_mg), last_good: None }
}

fn missing(index: i64) -> HourMass {
    HourMass { start: hour(index), class: HourClass::Invalid, mass_mg: None, last_good: None }
}

fn out_of_control(index: i64, last_good: i64) -> HourMass {
    HourMass {
        start: hour(index),
        class: HourClass::OutOfControl,
        mass_mg: Some(7),
        last_good: Some(hour(last_good)),
    }
}

/// 2200 hours before the quarter, the older the heavier: hour -n has n mg.
fn before() -> Vec<HourMass> {
    (1..=2200).map(|back| valid(-back, back)).collect()
}

/// A quarter of 2208 hours of 5 mg each, with some replaced.
fn quarter(replaced: impl IntoIterator<Item = HourMass>) -> Vec<HourMass> {
    let mut hours: Vec<HourMass> = (0..2208).map(|index| valid(index, 5)).collect();
    for hour in replaced {
        let index = (hour.start.as_second() / 3600) as usize;
        hours[index] = hour;
    }
    hours
}

fn substituted(quarter: &[HourMass]) -> Quarter {
    substitute(&HJ75_2017, quarter, Around { before: &before(), after: &[] }, Finality::Final)
}

const NOTHING: Around<'_> = Around { before: &[], after: &[] };

#[test]
fn a_gap_over_the_end_of_a_quarter_has_one_length() {
    let after: Vec<HourMass> = (2208..2228).map(missing).collect();
    let hours = quarter((2198..2208).map(missing));
    let found = substitute(&HJ75_2017, &hours, Around { before: &before(), after: &after }, Finality::Final);
    assert_eq!(found.substitutes.len(), 10, "those of the next quarter are its own");
    assert!(found.substitutes.iter().all(|one| (one.gap_hours, one.look_back) == (30, 720)));
}

#[test]
fn a_short_gap_takes_the_largest_of_180_valid_hours_before_it() {
    let found = substituted(&quarter((0..24).map(missing)));
    let first = found.substitutes[0];
    assert_eq!(found.substitutes.len(), 24);
    assert_eq!((first.mass_mg, first.from_hour, first.look_back), (180, hour(-180), 180));
    assert_eq!((first.situation.name(), first.gap_hours), ("table-6", 24));
    assert_eq!((found.measured_mg, found.substituted_mg), ((2208 - 24) * 5, 24 * 180));
}

#[test]
fn a_gap_of_25_hours_takes_the_largest_of_720() {
    let found = substituted(&quarter((0..25).map(missing)));
    assert!(found.substitutes.iter().all(|one| one.mass_mg == 720 && one.look_back == 720));
}

#[test]
fn below_ninety_per_cent_it_is_2160_and_below_seventy_five_nothing() {
    // 221 of 2208 hours: a = 89.99 %; 220: 90.03 %.
    assert_eq!(substituted(&quarter((0..220).map(missing))).substitutes[0].look_back, 720);
    let fair = substituted(&quarter((0..221).map(missing)));
    assert_eq!((fair.rate().to_string().as_str(), fair.substitutes[0].mass_mg), ("89.99 %", 2160));
    // 552 of 2208 are exactly 75 %.
    assert_eq!(substituted(&quarter((0..552).map(missing))).substitutes[0].mass_mg, 2160);
    let poor = substituted(&quarter((0..553).map(missing)));
    assert_eq!((poor.substitutes.len(), poor.without.len(), poor.substituted_mg), (0, 553, 0));
}

#[test]
fn out_of_control_looks_back_from_the_last_good_check() {
    let hours = quarter((100..110).map(|index| out_of_control(index, -1000)));
    let found = substituted(&hours);
    // 180 valid hours before hour -1000: the heaviest is hour -1180.
    assert_eq!((found.substitutes[0].mass_mg, found.substitutes[0].from_hour), (1180, hour(-1180)));
    assert_eq!(found.substitutes[0].situation, Situation::OutOfControl);
    // What such hours showed is neither measured nor added.
    assert_eq!(found.measured_mg, (2208 - 10) * 5);
    let never_checked = HourMass { last_good: None, ..out_of_control(100, 0) };
    assert_eq!(substituted(&quarter([never_checked])).substitutes[0].mass_mg, 80);
}

#[test]
fn a_gap_goes_on_over_the_turn_of_the_quarter_but_only_the_quarter_is_substituted() {
    let mut earlier = before();
    for hour in earlier.iter_mut().filter(|hour| hour.start >= self::hour(-20)) {
        *hour = missing(hour.start.as_second() / 3600);
    }
    let found = substitute(
        &HJ75_2017,
        &quarter((0..10).map(missing)),
        Around { before: &earlier, after: &[] },
        Finality::Provisional,
    );
    assert_eq!(found.substitutes.len(), 10);
    assert_eq!((found.substitutes[0].gap_hours, found.substitutes[0].look_back), (30, 720));
    assert_eq!(found.finality, Finality::Provisional);
}

#[test]
fn stopped_hours_are_no_gap_and_in_no_denominator() {
    let stopped = |index| HourMass { class: HourClass::Stopped, ..missing(index) };
    let found = substituted(&quarter((0..1000).map(stopped).chain((1000..1010).map(missing))));
    assert_eq!(found.rate(), Share { part: 1198, whole: 1208 });
    assert_eq!(found.substitutes.len(), 10);
    // A stopped hour parts two gaps.
    let parted = (0..20).map(missing).chain([stopped(20)]).chain((21..41).map(missing));
    assert!(substituted(&quarter(parted)).substitutes.iter().all(|one| one.gap_hours == 20));
}

#[test]
fn with_little_or_nothing_to_look_back_on_it_says_so() {
    let few = substitute(&HJ75_2017, &quarter([missing(10)]), NOTHING, Finality::Final);
    assert_eq!(
        (few.substitutes[0].looked_back, few.substitutes[0].look_back, few.substitutes[0].mass_mg),
        (10, 180, 5)
    );
    let none = substitute(&HJ75_2017, &quarter([missing(0)]), NOTHING, Finality::Final);
    assert_eq!((none.substitutes.len(), none.without), (0, vec![hour(0)]));
    // A valid hour without a mass is missing as far as mass goes, and what an invalid hour could measure stays measured.
    let no_flow = HourMass { mass_mg: None, ..valid(100, 0) };
    assert_eq!(substituted(&quarter([no_flow])).substitutes.len(), 1);
    let poor = quarter((0..553).map(|index| HourMass { mass_mg: Some(2), ..missing(index) }));
    assert_eq!(substituted(&poor).measured_mg, 553 * 2 + (2208 - 553) * 5);
}

fn any_hour() -> impl Strategy<Value = (u8, i64)> {
    (0_u8..10, 0_i64..1_000_000)
}

fn of((class, mass): (u8, i64), index: i64) -> HourMass {
    match class {
        0 => missing(index),
        1 => out_of_control(index, index - 50),
        2 => HourMass { class: HourClass::Stopped, ..missing(index) },
        _ => valid(index, mass),
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_is_counted_twice(hours in prop::collection::vec(any_hour(), 50..300), seed in any::<u64>()) {
        let mut hours: Vec<HourMass> = hours.into_iter().enumerate().map(|(index, kind)| of(kind, index as i64)).collect();
        let before = before();
        let found = substitute(&HJ75_2017, &hours, Around { before: &before, after: &[] }, Finality::Final);
        let needing = hours.iter().filter(|hour| needs(hour).is_some()).count();
        prop_assert_eq!(found.substitutes.len() + found.without.len(), needing);
        let sum: i128 = found.substitutes.iter().map(|one| i128::from(one.mass_mg)).sum();
        prop_assert_eq!(sum, found.substituted_mg);
        // A substitute is the mass of a valid hour before the gap.
        for one in &found.substitutes {
            let source = before.iter().chain(&hours).find(|hour| hour.start == one.from_hour).unwrap();
            prop_assert_eq!((source.class, source.mass_mg), (HourClass::Valid, Some(one.mass_mg)));
            prop_assert!(one.from_hour < one.start && one.looked_back <= one.look_back);
        }
        // The order in which hours come does not matter.
        let turn = (seed % hours.len() as u64) as usize;
        hours.rotate_left(turn);
        prop_assert_eq!(found, substitute(&HJ75_2017, &hours, Around { before: &before, after: &[] }, Finality::Final));
    }
}

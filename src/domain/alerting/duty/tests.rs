//! Rosters worked out by hand, and the laws of duty.

use jiff::civil::{Time, date};
use proptest::prelude::*;

use super::*;
use crate::domain::alerting::{Audience, Day, Language};
use crate::domain::times::Times;

const EVERY_DAY: [Day; 2] = [Day::Workday, Day::Restday];

fn always() -> Times {
    Times { from: Timestamp::UNIX_EPOCH, until: None }
}

fn between(from: &str, until: &str) -> Times {
    Times { from: moment(from), until: Some(moment(until)) }
}

/// `2026-11-21 03:00` in Shanghai, or a time with its own offset.
fn moment(text: &str) -> Timestamp {
    if text.ends_with('Z') { text.parse() } else { format!("{}:00+08:00", text.replace(' ', "T")).parse() }
        .unwrap()
}

fn shanghai() -> TimeZone {
    TimeZone::get("Asia/Shanghai").unwrap()
}

fn team(leads: &[&str]) -> Team {
    Team {
        code: "desk".to_owned(),
        name: "Duty desk".to_owned(),
        audience: Audience::Bureau,
        times: always(),
        division: String::new(),
        enterprise: None,
        kinds: Vec::new(),
        least: None,
        is_default: false,
        leads: leads.iter().map(|code| (*code).to_owned()).collect(),
        group: Vec::new(),
        language: Language::Zh,
    }
}

fn person(code: &str, times: Times) -> Person {
    Person {
        code: code.to_owned(),
        name: code.to_owned(),
        times,
        language: Language::Zh,
        addresses: Vec::new(),
    }
}

fn shift(code: &str, days: &[Day], (begins, ends): (i8, i8), people: &[&str]) -> Shift {
    Shift {
        code: code.to_owned(),
        team: "desk".to_owned(),
        times: always(),
        days: days.to_vec(),
        hours: (Time::constant(begins, 0, 0, 0), Time::constant(ends, 0, 0, 0)),
        people: people.iter().map(|code| (*code).to_owned()).collect(),
    }
}

fn swap(code: &str, (out, stand_in): (&str, &str), times: Times) -> Swap {
    let [code, team, out, stand_in, reason] = [code, "desk", out, stand_in, "leave"].map(str::to_owned);
    Swap { code, team, times, out, stand_in, reason }
}

fn lists(shifts: Vec<Shift>) -> Alerting {
    let people = ["a", "b", "c", "d", "lead"].map(|code| person(code, always())).to_vec();
    Alerting { shifts, people, teams: vec![team(&["lead"])], ..Alerting::default() }
}

/// The codes of who is on duty; `-` for a gap.
fn who(lists: &Alerting, at: &str) -> String {
    let duty = lists.on_duty(&lists.teams[0], moment(at), &shanghai());
    assert_eq!(duty.is_gap, duty.people.is_empty());
    if duty.is_gap {
        return "-".to_owned();
    }
    duty.people.iter().map(|person| person.code.as_str()).collect::<Vec<_>>().join("+")
}

/// Days on workdays, nights every day: the usual desk with a hole on restdays.
fn desk() -> Alerting {
    lists(vec![shift("day", &[Day::Workday], (8, 20), &["a"]), shift("night", &EVERY_DAY, (20, 8), &["b"])])
}

#[test]
fn shifts_are_half_open_and_nights_belong_to_the_day_on_which_they_begin() {
    let lists = desk();
    // 2026-11-20 is a Friday.
    for (at, expected) in [
        ("2026-11-20 07:59", "b"),
        ("2026-11-20 08:00", "a"),
        ("2026-11-20 19:59", "a"),
        ("2026-11-20 20:00", "b"),
        ("2026-11-21 07:59", "b"),
        ("2026-11-21 08:00", "-"),
        ("2026-11-21 20:00", "b"),
    ] {
        assert_eq!(who(&lists, at), expected, "{at}");
    }
    // A night of Fridays alone ends on Saturday morning.
    let friday = self::lists(vec![shift("friday", &[Day::Friday], (20, 8), &["c"])]);
    assert_eq!(who(&friday, "2026-11-21 03:00"), "c");
    assert_eq!(who(&friday, "2026-11-20 03:00"), "-");
    // So do the four and twenty hours of a Sunday.
    let sunday = self::lists(vec![shift("sunday", &[Day::Sunday], (8, 8), &["d"])]);
    assert_eq!(who(&sunday, "2026-11-23 07:59"), "d");
    assert_eq!(who(&sunday, "2026-11-23 08:00"), "-");
}

#[test]
fn holidays_are_restdays_and_some_weekend_days_are_worked() {
    let mut lists = lists(vec![
        shift("work", &[Day::Workday], (0, 0), &["a"]),
        shift("rest", &[Day::Restday], (0, 0), &["b"]),
    ]);
    let holiday = |day: i8, worked: bool| Holiday {
        date: date(2026, 10, day),
        name: "National Day".to_owned(),
        worked,
    };
    lists.holidays = vec![holiday(1, false), holiday(2, false), holiday(10, true)];
    for (at, expected) in [
        ("2026-09-30 12:00", "a"),
        // Thursday and Friday, but not worked.
        ("2026-10-01 00:00", "b"),
        ("2026-10-02 23:59", "b"),
        // A Saturday like others, and one that makes up for it.
        ("2026-10-03 12:00", "b"),
        ("2026-10-10 12:00", "a"),
        ("2026-10-11 12:00", "b"),
    ] {
        assert_eq!(who(&lists, at), expected, "{at}");
    }
    // Weekdays go by their name all the same.
    lists.shifts = vec![shift("thursday", &[Day::Thursday], (8, 20), &["c"])];
    assert_eq!(who(&lists, "2026-10-01 12:00"), "c");
}

#[test]
fn versions_take_over_at_their_time_also_within_a_shift() {
    let mut lists =
        lists(vec![shift("night", &EVERY_DAY, (20, 8), &["a"]), shift("night", &EVERY_DAY, (20, 8), &["b"])]);
    lists.shifts[0].times.until = Some(moment("2026-12-01 00:00"));
    lists.shifts[1].times.from = moment("2026-12-01 00:00");
    assert_eq!(who(&lists, "2026-11-30 23:59"), "a");
    assert_eq!(who(&lists, "2026-12-01 00:00"), "b");
}

#[test]
fn swaps_are_followed_within_their_time() {
    let mut lists = lists(vec![
        shift("day", &EVERY_DAY, (8, 20), &["a", "c"]),
        shift("night", &EVERY_DAY, (20, 8), &["b"]),
    ]);
    lists.swaps = vec![swap("s1", ("a", "d"), between("2026-11-20 08:00", "2026-11-21 08:00"))];
    assert_eq!(who(&lists, "2026-11-20 07:59"), "b");
    assert_eq!(who(&lists, "2026-11-20 08:00"), "d+c");
    assert_eq!(who(&lists, "2026-11-20 20:00"), "b", "a is not on duty at night: d does not come");
    assert_eq!(who(&lists, "2026-11-21 08:00"), "a+c");
    // Who stands in may be replaced in turn, in part of the time,
    lists.swaps.push(swap("s2", ("d", "lead"), between("2026-11-20 12:00", "2026-11-20 13:00")));
    assert_eq!(who(&lists, "2026-11-20 11:59"), "d+c");
    assert_eq!(who(&lists, "2026-11-20 12:00"), "lead+c");
    assert_eq!(who(&lists, "2026-11-20 13:00"), "d+c");
    // or be on duty already: then there is one less.
    lists.swaps = vec![swap("s3", ("a", "c"), between("2026-11-20 08:00", "2026-11-21 08:00"))];
    assert_eq!(who(&lists, "2026-11-20 09:00"), "c");
    // Two who swap with each other come for each other.
    let week = || between("2026-11-16 08:00", "2026-11-23 08:00");
    lists.swaps = vec![swap("s4", ("a", "b"), week()), swap("s5", ("b", "a"), week())];
    assert_eq!(who(&lists, "2026-11-20 09:00"), "b+c");
    assert_eq!(who(&lists, "2026-11-20 23:00"), "a");
}

#[test]
fn a_team_without_shifts_has_its_leads_and_who_left_is_gone() {
    let mut lists = lists(Vec::new());
    assert_eq!(who(&lists, "2026-11-20 03:00"), "lead");
    lists.people.retain(|person| person.code != "lead");
    lists.people.push(person("lead", between("2020-01-01 00:00", "2026-11-20 00:00")));
    assert_eq!(who(&lists, "2026-11-19 23:59"), "lead");
    assert_eq!(who(&lists, "2026-11-20 00:00"), "-");
    // Where a group hears there is no gap, though nobody has a name.
    lists.teams[0].group.push(crate::domain::alerting::Address {
        channel: "bot".to_owned(),
        to: String::new(),
        hours: None,
        least: None,
    });
    let duty = lists.on_duty(&lists.teams[0], moment("2026-11-20 00:00"), &shanghai());
    assert!(duty.people.is_empty() && !duty.is_gap);
    // Shifts that have ended are none; those that are to come do not leave gaps before them.
    lists.shifts = vec![shift("day", &EVERY_DAY, (8, 20), &["a"])];
    lists.shifts[0].times.until = Some(moment("2026-11-19 12:00"));
    assert_eq!(who(&lists, "2026-11-19 11:00"), "a");
    assert_eq!(who(&lists, "2026-11-19 13:00"), "lead");
}

#[test]
fn in_a_gap_the_default_team_of_the_same_side_is_called_then_the_leads() {
    let mut lists = desk();
    let gap = moment("2026-11-21 12:00");
    let called = |lists: &Alerting, team: usize, at: Timestamp| {
        let duty = lists.answering(&lists.teams[team], at, &shanghai());
        let codes: Vec<String> = duty.people.iter().map(|person| person.code.clone()).collect();
        (codes.join("+"), duty.is_gap)
    };
    assert_eq!(called(&lists, 0, gap), ("lead".to_owned(), true));
    let other = |code: &str, audience: Audience| Team {
        code: code.to_owned(),
        audience,
        is_default: true,
        ..team(&["c"])
    };
    lists.teams.push(other("platform", Audience::Platform));
    assert_eq!(called(&lists, 0, gap), ("lead".to_owned(), true), "another side is no stand-in");
    lists.teams.push(other("default", Audience::Bureau));
    assert_eq!(called(&lists, 0, gap), ("c".to_owned(), true));
    assert_eq!(called(&lists, 0, moment("2026-11-20 12:00")), ("a".to_owned(), false));
    // Enterprises do not see each other.
    for team in &mut lists.teams {
        team.audience = Audience::Enterprise;
        team.enterprise = Some(team.code.clone());
    }
    assert_eq!(called(&lists, 0, gap), ("lead".to_owned(), true));
}

#[test]
fn the_end_of_a_duty_is_when_somebody_else_comes() {
    let lists = lists(vec![
        shift("day", &EVERY_DAY, (8, 20), &["a"]),
        shift("evening", &EVERY_DAY, (20, 0), &["a"]),
        shift("night", &EVERY_DAY, (0, 8), &["b"]),
    ]);
    let end = |at: &str| lists.duty_end(&lists.teams[0], moment(at), &shanghai());
    assert_eq!(end("2026-11-20 09:00"), Some(moment("2026-11-21 00:00")), "the same person goes on at 20:00");
    assert_eq!(end("2026-11-21 00:00"), Some(moment("2026-11-21 08:00")));
    let mut still = self::lists(Vec::new());
    assert_eq!(still.duty_end(&still.teams[0], moment("2026-11-20 09:00"), &shanghai()), None);
    still.teams[0].times.until = Some(moment("2026-11-25 00:00"));
    let ends = still.duty_end(&still.teams[0], moment("2026-11-20 09:00"), &shanghai());
    assert_eq!(ends, Some(moment("2026-11-25 00:00")));
}

#[test]
fn gaps_and_overlaps_of_a_week() {
    let mut lists = desk();
    let week = (moment("2026-11-16 00:00"), moment("2026-11-23 00:00"));
    let hole = |day: u8| (moment(&format!("2026-11-{day} 08:00")), moment(&format!("2026-11-{day} 20:00")));
    assert_eq!(lists.gaps(&lists.teams[0], week, &shanghai()), [hole(21), hole(22)]);
    assert_eq!(lists.uncovered(&lists.teams[0], week, &shanghai()), [hole(21), hole(22)]);
    assert!(lists.overlaps(&lists.teams[0], week, &shanghai()).is_empty());
    // Somebody who has left leaves a gap, but the shifts are whole.
    lists.shifts.push(shift("weekend", &[Day::Restday], (8, 20), &["gone"]));
    assert_eq!(lists.gaps(&lists.teams[0], week, &shanghai()), [hole(21), hole(22)]);
    assert!(lists.uncovered(&lists.teams[0], week, &shanghai()).is_empty());
    lists.shifts.push(shift("saturday", &[Day::Saturday], (12, 21), &["c"]));
    let found = lists.overlaps(&lists.teams[0], week, &shanghai());
    let found: Vec<(Span, Vec<&str>)> =
        found.iter().map(|o| (o.span, o.shifts.iter().map(|shift| shift.code.as_str()).collect())).collect();
    let at = |hour: u8| moment(&format!("2026-11-21 {hour}:00"));
    assert_eq!(
        found,
        [((at(12), at(20)), vec!["weekend", "saturday"]), ((at(20), at(21)), vec!["night", "saturday"])]
    );
    assert!(lists.gaps(&lists.teams[0], (week.1, week.0), &shanghai()).is_empty());
}

#[test]
fn clocks_that_are_put_forward_or_back_leave_no_gap_and_no_overlap() {
    let hours = [(0, 1), (1, 2), (2, 3), (3, 8), (8, 0)];
    let shifts = hours.iter().enumerate().map(|(n, hours)| {
        let mut shift = shift(&format!("s{n}"), &EVERY_DAY, *hours, &[["a", "b", "c", "d", "lead"][n]]);
        if *hours == (2, 3) {
            // Within what is skipped.
            shift.hours.1 = Time::constant(2, 30, 0, 0);
        }
        shift
    });
    let mut shifts: Vec<Shift> = shifts.collect();
    let mut rest = shifts[2].clone();
    rest.hours = (Time::constant(2, 30, 0, 0), Time::constant(3, 0, 0, 0));
    rest.code = "rest".to_owned();
    shifts.push(rest);
    let lists = lists(shifts);
    let zone = TimeZone::get("America/New_York").unwrap();
    let on = |at: &str| {
        let duty = lists.on_duty(&lists.teams[0], moment(at), &zone);
        duty.people.iter().map(|person| person.code.clone()).collect::<Vec<_>>().join("+")
    };
    // 2026-03-08 at 02:00 the clock goes to 03:00; 2026-11-01 at 02:00 back to 01:00.
    for (at, expected) in [
        ("2026-03-08T06:59:59Z", "b"),
        ("2026-03-08T07:00:00Z", "d"),
        ("2026-11-01T05:00:00Z", "b"),
        ("2026-11-01T06:59:59Z", "b"),
        ("2026-11-01T07:00:00Z", "c"),
    ] {
        assert_eq!(on(at), expected, "{at}");
    }
    let year = (moment("2026-01-01T00:00:00Z"), moment("2027-01-01T00:00:00Z"));
    assert!(lists.gaps(&lists.teams[0], year, &zone).is_empty());
    assert!(lists.overlaps(&lists.teams[0], year, &zone).is_empty());
    // A day that a country skipped, and a clock that went back over midnight.
    for (zone, from, until) in [
        ("Pacific/Apia", "2011-12-28T00:00:00Z", "2012-01-02T00:00:00Z"),
        ("America/Sao_Paulo", "2018-02-10T00:00:00Z", "2018-02-25T00:00:00Z"),
        ("America/Sao_Paulo", "2018-11-01T00:00:00Z", "2018-11-10T00:00:00Z"),
    ] {
        let (zone, span) = (TimeZone::get(zone).unwrap(), (moment(from), moment(until)));
        assert!(lists.gaps(&lists.teams[0], span, &zone).is_empty());
        assert!(lists.overlaps(&lists.teams[0], span, &zone).is_empty());
    }
}

/// Minutes after the beginning of 2026-10-19 in UTC: DST ends in New York two weeks later.
fn minute(minutes: i64) -> Timestamp {
    moment("2026-10-19T00:00:00Z") + SignedDuration::from_mins(minutes)
}

const MINUTES: i64 = 21 * 24 * 60;

fn some_times() -> impl Strategy<Value = Times> {
    prop_oneof![
        3 => Just(always()),
        2 => (0..MINUTES, 1..MINUTES)
            .prop_map(|(from, long)| Times { from: minute(from), until: Some(minute(from + long)) }),
    ]
}

fn some_shift() -> impl Strategy<Value = Shift> {
    let days = prop::sample::subsequence(Day::ALL.to_vec(), 1..=9);
    let hours = prop::sample::subsequence((0_i8..24).collect::<Vec<i8>>(), 2).prop_shuffle();
    let people = prop::sample::subsequence(vec!["a", "b", "c", "d"], 1..=2);
    (days, hours, people, some_times()).prop_map(|(days, hours, people, times)| Shift {
        times,
        ..shift("s", &days, (hours[0], hours[1]), &people)
    })
}

fn some_lists() -> impl Strategy<Value = Alerting> {
    let shifts = prop::collection::vec(some_shift(), 0..4);
    let swaps = prop::collection::vec((0..4_usize, 0..4_usize, some_times()), 0..3);
    let holidays = prop::collection::vec((1_i8..31, any::<bool>()), 0..4);
    (shifts, swaps, holidays, some_times()).prop_map(|(mut shifts, swaps, holidays, left)| {
        for (number, shift) in shifts.iter_mut().enumerate() {
            shift.code = format!("s{number}");
        }
        let mut lists = lists(shifts);
        let name = |index: usize| ["a", "b", "c", "d"][index];
        lists.swaps = swaps
            .into_iter()
            .enumerate()
            .map(|(n, (out, stand_in, times))| swap(&n.to_string(), (name(out), name(stand_in)), times))
            .collect();
        lists.holidays = holidays
            .into_iter()
            .map(|(day, worked)| Holiday { date: date(2026, 10, day), name: "h".to_owned(), worked })
            .collect();
        lists.people[0].times = left;
        lists
    })
}

fn some_zone() -> impl Strategy<Value = TimeZone> {
    prop::sample::select(vec!["Asia/Shanghai", "America/New_York", "UTC", "Australia/Lord_Howe"])
        .prop_map(|name| TimeZone::get(name).unwrap())
}

proptest! {
    #[test]
    fn duty_changes_only_at_its_end(lists in some_lists(), zone in some_zone(), at in 0..MINUTES, later in 0..10_080_i64) {
        let team = &lists.teams[0];
        let codes = |at: Timestamp| {
            let duty = lists.on_duty(team, at, &zone);
            let codes: Vec<String> = duty.people.iter().map(|person| person.code.clone()).collect();
            (codes, duty.is_gap)
        };
        let (at, later) = (minute(at), minute(at + later));
        let end = lists.duty_end(team, at, &zone);
        prop_assert!(end.is_none_or(|end| end > at));
        if end.is_none_or(|end| later < end) {
            prop_assert_eq!(codes(later), codes(at));
        }
        if let Some(end) = end {
            prop_assert_ne!(codes(end), codes(at));
            let just_before = end - SignedDuration::from_nanos(1);
            prop_assert_eq!(codes(just_before), codes(at));
        }
    }

    #[test]
    fn gaps_are_exactly_where_nobody_is(lists in some_lists(), zone in some_zone(), from in 0..MINUTES, long in 1..20_000_i64, probe in 0.0..1.0_f64) {
        let team = &lists.teams[0];
        let span = (minute(from), minute(from + long));
        let gaps = lists.gaps(team, span, &zone);
        for pair in gaps.windows(2) {
            prop_assert!(pair[0].1 < pair[1].0, "by time, apart: {:?}", gaps);
        }
        prop_assert!(gaps.iter().all(|(from, until)| span.0 <= *from && from < until && *until <= span.1));
        // What is no gap is covered, and both together are the whole.
        let at = minute(from) + SignedDuration::from_secs((long as f64 * 60.0 * probe) as i64);
        let in_gap = gaps.iter().any(|(from, until)| *from <= at && at < *until);
        prop_assert_eq!(lists.on_duty(team, at, &zone).is_gap, in_gap);
        let overlaps = lists.overlaps(team, span, &zone);
        let alone = lists.shifts.iter().filter(|shift| {
            let only = Alerting { shifts: vec![(*shift).clone()], ..lists.clone() };
            !only.uncovered(team, (at, at + SignedDuration::from_nanos(1)), &zone).contains(&(at, at + SignedDuration::from_nanos(1)))
                && shift.times.holds(at)
        });
        let several = alone.count() > 1;
        prop_assert_eq!(overlaps.iter().any(|o| o.span.0 <= at && at < o.span.1), several);
    }

    #[test]
    fn whole_days_one_after_another_have_neither_gaps_nor_overlaps(zone in some_zone(), cuts in prop::sample::subsequence((0_i8..24).collect::<Vec<i8>>(), 1..6)) {
        let ends = cuts.iter().skip(1).chain(cuts.first());
        let shifts = cuts.iter().zip(ends).enumerate();
        let lists = lists(shifts.map(|(n, (from, until))| shift(&n.to_string(), &EVERY_DAY, (*from, *until), &["b"])).collect());
        let span = (minute(0), minute(MINUTES));
        prop_assert!(lists.gaps(&lists.teams[0], span, &zone).is_empty());
        prop_assert!(lists.overlaps(&lists.teams[0], span, &zone).is_empty());
        prop_assert_eq!(lists.duty_end(&lists.teams[0], minute(0), &zone), None, "the same person all along");
    }
}

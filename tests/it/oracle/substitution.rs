//! Random quarters through the domain's check calendar, capture rate and substitution and through tests/oracle/substitution.py:
//! times out of control, counts, rate, every substitute with all that it rests on, and both sums agree exactly.

use std::collections::HashMap;

use cems::domain::capture::HourClass;
use cems::domain::quality::{Cause, OutOfControl, out_at, out_of_control};
use cems::domain::share::{Percent, Share};
use cems::domain::substitution::{Around, HJ75_2017, HourMass, Quarter, Substitute, substitute};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::quarter::{ANALYSER, Case, Hour, case};
use super::{Oracle, setting};

type Met = HashMap<String, u64>;

#[test]
fn an_independent_oracle_agrees_on_substitution() {
    let Some(mut oracle) = Oracle::start() else { return };
    let target = setting("CEMS_ORACLE_WINDOWS", 60_000);
    let seed = setting("CEMS_ORACLE_SEED", 20_261_121);
    let mut hours = 0;
    let mut met = Met::new();
    for number in 0.. {
        if hours >= target {
            break;
        }
        let case = case(seed.wrapping_add(number), number);
        let answer = oracle.ask(number, &case.for_the_oracle);
        let place = format!("quarter {number} from {} in {}", case.window.start, case.zone);
        hours += agree(&place, &case, &answer, &mut met);
    }
    oracle.finish();
    println!("{hours} hours of quarters agree: {met:?}");
    for needed in NEEDED {
        assert!(met.contains_key(needed), "no quarter had {needed}; {met:?}");
    }
}

/// Every row of both tables from both sides, and what is easily forgotten.
const NEEDED: [&str; 34] = [
    "zone UTC",
    "zone Asia/Shanghai",
    "zone America/New_York",
    "zone Pacific/Apia",
    "rate of 90 %",
    "rate just below 90 %",
    "rate of 75 %",
    "rate just below 75 %",
    "table-5, good rate, up to 24 hours: 180",
    "table-5, good rate, more than 24 hours: 720",
    "table-5, fair rate, up to 24 hours: 2160",
    "table-5, fair rate, more than 24 hours: 2160",
    "table-6, good rate, up to 24 hours: 180",
    "table-6, good rate, more than 24 hours: 720",
    "table-6, fair rate, up to 24 hours: 2160",
    "table-6, fair rate, more than 24 hours: 2160",
    "table-5, poor rate: none",
    "table-6, poor rate: none",
    "gap of 24 hours, good rate",
    "gap of 25 hours, good rate",
    "gap of both tables",
    "gap from the quarter before",
    "hours not handed in",
    "valid without mass",
    "stopped while out of control",
    "nothing to look back on",
    "less to look back on than asked for",
    "all to look back on",
    "substitute before the quarter",
    "largest mass met twice",
    "out of control, never checked",
    "out of control, last good check",
    "span overdue",
    "span failed",
];

/// Compares a quarter; gives how many hours it had.
fn agree(place: &str, case: &Case, answer: &Value, met: &mut Met) -> u64 {
    let spans = out_of_control(&case.plans, &case.checks);
    assert_eq!(Value::Array(in_words(&spans)), answer["out_of_control"], "{place}: times out of control");
    let (within, before): (Vec<Hour>, Vec<Hour>) =
        case.hours.iter().partition(|hour| case.window.contains(hour.start));
    let masses = |hours: &[Hour]| hours.iter().map(|hour| mass(hour, &spans)).collect::<Vec<HourMass>>();
    let (within, before) = (masses(&within), masses(&before));
    let mut out: Vec<&HourMass> =
        within.iter().filter(|hour| hour.class == HourClass::OutOfControl).collect();
    out.sort_by_key(|hour| hour.start);
    let out: Vec<Value> = out
        .iter()
        .map(|hour| json!([hour.start.as_second(), hour.last_good.map(Timestamp::as_second)]))
        .collect();
    assert_eq!(Value::Array(out), answer["out"], "{place}: hours out of control");
    let found = substitute(&HJ75_2017, &within, Around { before: &before, after: &[] }, case.finality);
    assert_eq!(found.finality, case.finality, "{place}");

    let capture = found.capture;
    let counts = json!([capture.hours, capture.stopped, capture.invalid]);
    assert_eq!(counts, json!([answer["hours"], answer["stopped"], answer["invalid"]]), "{place}: hours");
    let percent = |hundredths: u64| format!("{}.{:02}", hundredths / 100, hundredths % 100);
    assert_eq!(json!(found.rate().hundredths().map(percent)), answer["rate"], "{place}: capture rate");
    let theirs = answer["substitutes"].as_array().unwrap();
    for (ours, theirs) in found.substitutes.iter().zip(theirs) {
        assert_eq!(substitute_in_words(ours), *theirs, "{place}: substitute");
    }
    assert_eq!(found.substitutes.len(), theirs.len(), "{place}: substitutes");
    let without: Vec<i64> = found.without.iter().map(|start| start.as_second()).collect();
    assert_eq!(json!(without), answer["without"], "{place}: hours without a substitute");
    let sums = json!([found.measured_mg.to_string(), found.substituted_mg.to_string()]);
    assert_eq!(sums, json!([answer["measured"], answer["substituted"]]), "{place}: sums");

    let mut tell = |what: String| *met.entry(what).or_default() += 1;
    tell(format!("zone {}", case.zone));
    told_by_spans(&spans, &mut tell);
    told_by_hours(case, (&within, &before), &spans, &mut tell);
    told_by_quarter(&found, (&within, &before), &mut tell);
    capture.hours
}

/// As a caller has it: the analyser's state at the beginning of the hour.
fn mass(hour: &Hour, spans: &[OutOfControl]) -> HourMass {
    let out = out_at(spans, ANALYSER, hour.start);
    HourMass {
        start: hour.start,
        class: HourClass::of(&hour.average, out),
        mass_mg: hour.average.mass_mg,
        last_good: out.and_then(|out| out.last_good),
    }
}

const fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Overdue => "overdue",
        Cause::Failed => "failed",
    }
}

/// One after the other is one: a plan that follows another does not part what is overdue by both.
fn in_words(spans: &[OutOfControl]) -> Vec<Value> {
    let mut sorted: Vec<&OutOfControl> = spans.iter().collect();
    // `overdue` goes first, as with the oracle.
    sorted.sort_by_key(|span| (&span.analyser, &span.kind, span.cause == Cause::Failed, span.times.from));
    let mut joined: Vec<OutOfControl> = Vec::new();
    for span in sorted {
        match joined.last_mut() {
            Some(last)
                if (&last.analyser, &last.kind, last.cause) == (&span.analyser, &span.kind, span.cause)
                    && last.times.until == Some(span.times.from) =>
            {
                last.times.until = span.times.until;
            }
            Some(_) | None => joined.push(span.clone()),
        }
    }
    let second = |at: Option<Timestamp>| at.map(Timestamp::as_second);
    let words = |span: &OutOfControl| {
        let (from, until) = (span.times.from.as_second(), second(span.times.until));
        json!([span.analyser, span.kind, cause(span.cause), from, until, second(span.last_good)])
    };
    joined.iter().map(words).collect()
}

fn substitute_in_words(one: &Substitute) -> Value {
    json!([
        one.start.as_second(),
        one.situation.name(),
        one.mass_mg,
        one.from_hour.as_second(),
        one.looked_back,
        one.look_back,
        one.gap_hours
    ])
}

fn told_by_spans(spans: &[OutOfControl], tell: &mut impl FnMut(String)) {
    for span in spans {
        tell(format!("span {}", cause(span.cause)));
    }
}

fn told_by_hours(
    case: &Case,
    (within, before): (&[HourMass], &[HourMass]),
    spans: &[OutOfControl],
    tell: &mut impl FnMut(String),
) {
    let first = case.hours.iter().map(|hour| hour.start).min();
    let last = case.hours.iter().map(|hour| hour.start).max();
    let reach = first.zip(last).map_or(0, |(first, last)| (last.as_second() - first.as_second()) / 3600 + 1);
    if usize::try_from(reach).unwrap() > within.len() + before.len() {
        tell("hours not handed in".to_owned());
    }
    for hour in within {
        match hour.class {
            HourClass::Valid if hour.mass_mg.is_none() => tell("valid without mass".to_owned()),
            HourClass::Stopped if out_at(spans, ANALYSER, hour.start).is_some() => {
                tell("stopped while out of control".to_owned());
            }
            HourClass::OutOfControl if hour.last_good.is_some() => {
                tell("out of control, last good check".to_owned());
            }
            HourClass::OutOfControl => tell("out of control, never checked".to_owned()),
            HourClass::Valid | HourClass::Stopped | HourClass::Invalid => {}
        }
    }
}

fn told_by_quarter(
    found: &Quarter,
    (within, before): (&[HourMass], &[HourMass]),
    tell: &mut impl FnMut(String),
) {
    let rate = found.rate();
    for line in [75, 90] {
        let with_one_more = Share { part: rate.part + 1, whole: rate.whole };
        if rate.part * 100 == rate.whole * u64::from(line) {
            tell(format!("rate of {line} %"));
        } else if reaches(with_one_more, line) && !reaches(rate, line) {
            tell(format!("rate just below {line} %"));
        }
    }
    let row = if reaches(rate, 90) {
        "good"
    } else if reaches(rate, 75) {
        "fair"
    } else {
        "poor"
    };
    let begin = within.iter().map(|hour| hour.start).min();
    let valid: HashMap<i64, usize> = within
        .iter()
        .chain(before)
        .filter(|hour| hour.class == HourClass::Valid)
        .filter_map(|hour| hour.mass_mg)
        .fold(HashMap::new(), |mut counts, mass| {
            *counts.entry(mass).or_default() += 1;
            counts
        });
    for one in &found.substitutes {
        let length = if one.gap_hours <= 24 { "up to 24 hours" } else { "more than 24 hours" };
        tell(format!("{}, {row} rate, {length}: {}", one.situation.name(), one.look_back));
        if (24..=25).contains(&one.gap_hours) {
            tell(format!("gap of {} hours, {row} rate", one.gap_hours));
        }
        let seldom = [
            (one.looked_back < one.look_back, "less to look back on than asked for"),
            (one.looked_back == one.look_back, "all to look back on"),
            (Some(one.from_hour) < begin, "substitute before the quarter"),
            (valid[&one.mass_mg] > 1, "largest mass met twice"),
        ];
        for (_, what) in seldom.iter().filter(|(is_so, _)| *is_so) {
            tell((*what).to_owned());
        }
    }
    let by_table = |start: &Timestamp| within.iter().find(|hour| hour.start == *start).map(|hour| hour.class);
    for start in &found.without {
        let is_out = by_table(start) == Some(HourClass::OutOfControl);
        match (row, is_out) {
            ("poor", true) => tell("table-5, poor rate: none".to_owned()),
            ("poor", false) => tell("table-6, poor rate: none".to_owned()),
            _ => tell("nothing to look back on".to_owned()),
        }
    }
    for pair in found.substitutes.windows(2) {
        let follows = pair[1].start.as_second() - pair[0].start.as_second() == 3600;
        if follows && pair[0].situation != pair[1].situation {
            tell("gap of both tables".to_owned());
        }
    }
    // The first gap of the quarter is longer than what of it lies in the quarter.
    if let Some(first) = found.substitutes.first().filter(|first| Some(first.start) == begin) {
        let within_it = found
            .substitutes
            .iter()
            .zip(0..)
            .take_while(|(one, index)| one.start.as_second() == first.start.as_second() + 3600 * index);
        if u32::try_from(within_it.count()).unwrap() < first.gap_hours {
            tell("gap from the quarter before".to_owned());
        }
    }
}

fn reaches(share: Share, line: u32) -> bool {
    share.reaches(Percent::whole(line)) == Some(true)
}

//! Random plants and readings through the domain code and through tests/oracle/oracle.py, which shares nothing with it:
//! figures agree to 1e-9, counts, statuses, flags, masses and verdicts exactly. `CEMS_ORACLE_WINDOWS=1000000` makes it long,
//! `CEMS_ORACLE_SEED` another run.

/// Random outlets, rules and readings, as the domain and as the oracle take them.
mod random;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use cems::domain::average::ChannelAverage;
use cems::domain::correction::Unwatched;
use cems::domain::exceedance::{judge, rules_for};
use cems::domain::limit::AveragingPeriod;
use cems::domain::regime::HJ75_2017;
use cems::domain::replay::Replay;
use cems::domain::window::Window;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use random::{Case, case};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn oracle() -> Option<Child> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/oracle.py");
    let child = Command::new("python3").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    match child {
        Ok(child) => Some(child),
        Err(error) => {
            println!("skipped: the oracle needs python3: {error}");
            None
        }
    }
}

#[test]
fn an_independent_oracle_agrees() {
    let Some(mut child) = oracle() else { return };
    let target = setting("CEMS_ORACLE_WINDOWS", 30_000);
    let seed = setting("CEMS_ORACLE_SEED", 20_261_121);
    let mut to = child.stdin.take().unwrap();
    let mut from = BufReader::new(child.stdout.take().unwrap());
    let mut windows = 0;
    let mut met: HashMap<String, u64> = HashMap::new();
    for number in 0.. {
        if windows >= target {
            break;
        }
        let case = case(seed.wrapping_add(number));
        writeln!(to, "{}", case.for_the_oracle).unwrap();
        to.flush().unwrap();
        let mut line = String::new();
        from.read_line(&mut line).unwrap();
        let answer: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("case {number}: {error}"));
        windows += agree(number, &case, &answer, &mut met);
    }
    drop(to);
    assert!(child.wait().unwrap().success());
    println!("{windows} windows agree: {met:?}");
    for needed in [
        "zone UTC",
        "zone Asia/Shanghai",
        "zone America/New_York",
        "zone Pacific/Apia",
        "met",
        "exceeded",
        "not-judged: not valid",
        "not-judged: not convertible",
        "status N",
        "status Md",
        "status C",
        "status M",
        "status D",
        "status T",
        "year",
        "month",
        "day",
        "hour",
        "valid day",
        "mass",
    ] {
        assert!(met.contains_key(needed), "no case had {needed}; {met:?}");
    }
}

/// Compares every window; gives how many there were.
fn agree(number: u64, case: &Case, answer: &Value, met: &mut HashMap<String, u64>) -> u64 {
    let zone = TimeZone::get(case.zone).unwrap();
    let mut windows = 0;
    let mut note = |what: &str| *met.entry(what.to_owned()).or_default() += 1;
    note(&format!("zone {}", case.zone));
    let mut sink = |window: Window, averages: &[ChannelAverage]| {
        windows += 1;
        note(window.period.name());
        let key = format!("{} {}", window.period.name(), window.start.as_second());
        for (position, average) in averages.iter().enumerate() {
            let place = || format!("case {number}, {} {key}, channel {position}", case.zone);
            let theirs = &answer[&key][position];
            assert!(theirs.is_array(), "{}: the oracle has no such window", place());
            let ours = [
                average.measured,
                average.standard,
                average.dry,
                average.corrected,
                average.min,
                average.max,
            ];
            for (index, ours) in ours.into_iter().enumerate() {
                assert!(
                    is_close(ours, &theirs[index]),
                    "{}, figure {index}: {ours:?} {}",
                    place(),
                    theirs[index]
                );
            }
            let ours = json!([
                average.n_valid,
                average.n_expected,
                average.status.code(),
                average.flag.letter().to_string(),
                average.valid,
                average.mass_mg
            ]);
            let theirs_exact: Vec<Value> = (6..12).map(|index| theirs[index].clone()).collect();
            assert_eq!(ours, Value::Array(theirs_exact), "{}", place());
            note(&format!("status {}", average.status.code()));
            if average.mass_mg.is_some() {
                note("mass");
            }
            if average.valid && window.period == AveragingPeriod::Day {
                note("valid day");
            }
            let ours: Vec<_> = rules_for(&case.outlet, position, window)
                .map(|rule| (rule, judge(rule, &case.outlet, (window, position), averages, &mut Unwatched)))
                .collect();
            let theirs = theirs[12].as_array().unwrap();
            assert_eq!(ours.len(), theirs.len(), "{}: verdicts {theirs:?}", place());
            for ((rule, ours), theirs) in ours.iter().zip(theirs) {
                assert_eq!(
                    (json!(rule.id), json!(ours.outcome.name())),
                    (theirs[0].clone(), theirs[1].clone()),
                    "{}",
                    place()
                );
                assert!(
                    is_close(ours.corrected, &theirs[2]) && is_close(ours.ratio_over, &theirs[3]),
                    "{}: {ours:?} {theirs}",
                    place()
                );
                note(ours.outcome.name());
            }
        }
    };
    let mut replay = Replay::new(&case.outlet, &case.periods, &zone, &HJ75_2017);
    for scan in &case.scans {
        assert!(replay.scan(scan.clone(), &mut sink));
    }
    replay.finish(&mut sink);
    assert_eq!(
        windows,
        answer.as_object().unwrap().len() as u64,
        "case {number}: the oracle has other windows"
    );
    windows
}

fn is_close(ours: Option<f64>, theirs: &Value) -> bool {
    match (ours, theirs.as_str()) {
        (None, None) => true,
        (Some(ours), Some(text)) => {
            let theirs: f64 = text.parse().unwrap();
            // Close to the limit a ratio is the small difference of two large numbers.
            (ours - theirs).abs() <= 1e-9 * ours.abs().max(theirs.abs()).max(1e-3)
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

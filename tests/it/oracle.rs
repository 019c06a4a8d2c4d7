//! Random plants and readings through the domain code and through tests/oracle/oracle.py, which shares nothing with it:
//! figures agree to 1e-9, counts, statuses, flags, masses and verdicts exactly, and so do substituted masses, and all that the
//! law's lists make of minutes, averages and verdicts.
//! `CEMS_ORACLE_WINDOWS=1000000` makes it long, `CEMS_ORACLE_SEED` another run.

/// Random outlets under the law, as the domain and as the oracle take them.
mod lawful;
/// Random lists of the law, likewise.
mod lists;
/// Random tests of states and demands of orders.
mod proofs;
/// Random quarters and check calendars, as the domain and as the oracle take them.
mod quarter;
/// Random outlets, rules and readings, as the domain and as the oracle take them.
mod random;
/// Capture rates, times out of control and substituted masses.
mod substitution;
/// States, averages under them, and verdicts of rules, orders, furnaces and assessments.
mod under_law;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use cems::domain::average::ChannelAverage;
use cems::domain::correction::Unwatched;
use cems::domain::exceedance::{judge, rules_for};
use cems::domain::judgement::Ground;
use cems::domain::law::OutletLaw;
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

/// The oracle's process; one question a line, one answer a line.
struct Oracle {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Oracle {
    /// `None` where there is no python3.
    fn start() -> Option<Oracle> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/oracle.py");
        let mut python = Command::new("python3");
        // Leaves no compiled files in the repository.
        python.args(["-B", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        match python.spawn() {
            Ok(mut child) => {
                let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
                Some(Oracle { child, to, from: BufReader::new(from) })
            }
            Err(error) => {
                println!("skipped: the oracle needs python3: {error}");
                None
            }
        }
    }

    fn ask(&mut self, number: u64, question: &Value) -> Value {
        writeln!(self.to, "{question}").unwrap();
        self.to.flush().unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("case {number}: {error}"))
    }

    fn finish(mut self) {
        drop(self.to);
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn an_independent_oracle_agrees() {
    let Some(mut oracle) = Oracle::start() else { return };
    let target = setting("CEMS_ORACLE_WINDOWS", 30_000);
    let seed = setting("CEMS_ORACLE_SEED", 20_261_121);
    let mut windows = 0;
    let mut met: HashMap<String, u64> = HashMap::new();
    for number in 0.. {
        if windows >= target {
            break;
        }
        let case = case(seed.wrapping_add(number));
        let answer = oracle.ask(number, &case.for_the_oracle);
        windows += agree(number, &case, &answer, &mut met);
    }
    oracle.finish();
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
    *met.entry(format!("zone {}", case.zone)).or_default() += 1;
    let mut sink = |window: Window, averages: &[ChannelAverage]| {
        // Hours come unasked where masses are substituted.
        if window.period != AveragingPeriod::Minute && !case.periods.contains(&window.period) {
            return;
        }
        windows += 1;
        *met.entry(window.period.name().to_owned()).or_default() += 1;
        let key = format!("{} {}", window.period.name(), window.start.as_second());
        for position in 0..averages.len() {
            let place = format!("case {number}, {} {key}, channel {position}", case.zone);
            let theirs = &answer[&key][position];
            assert!(theirs.is_array(), "{place}: the oracle has no such window");
            same_average(window, &averages[position], theirs, &place, met);
            same_verdicts(case, (window, position), averages, (&theirs[12], &place), met);
        }
    };
    let law = OutletLaw::default();
    let ground = Ground { outlet: &case.outlet, law: &law, regime: &HJ75_2017, zone: &zone };
    let mut replay = Replay::new(ground, &case.periods);
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

fn same_average(
    window: Window,
    ours: &ChannelAverage,
    theirs: &Value,
    place: &str,
    met: &mut HashMap<String, u64>,
) {
    let figures = [ours.measured, ours.standard, ours.dry, ours.corrected, ours.min, ours.max];
    for (index, figure) in figures.into_iter().enumerate() {
        assert!(is_close(figure, &theirs[index]), "{place}, figure {index}: {figure:?} {}", theirs[index]);
    }
    let (status, flag) = (ours.status.code(), ours.flag.letter().to_string());
    let exact = json!([ours.n_valid, ours.n_expected, status, flag, ours.valid, ours.mass_mg]);
    let theirs: Vec<Value> = (6..12).map(|index| theirs[index].clone()).collect();
    assert_eq!(exact, Value::Array(theirs), "{place}");
    *met.entry(format!("status {status}")).or_default() += 1;
    if ours.mass_mg.is_some() {
        *met.entry("mass".to_owned()).or_default() += 1;
    }
    if ours.valid && window.period == AveragingPeriod::Day {
        *met.entry("valid day".to_owned()).or_default() += 1;
    }
}

fn same_verdicts(
    case: &Case,
    (window, position): (Window, usize),
    averages: &[ChannelAverage],
    (theirs, place): (&Value, &str),
    met: &mut HashMap<String, u64>,
) {
    let ours: Vec<_> = rules_for(&case.outlet, position, window)
        .map(|rule| (rule, judge(rule, &case.outlet, (window, position), averages, &mut Unwatched)))
        .collect();
    let theirs = theirs.as_array().unwrap();
    assert_eq!(ours.len(), theirs.len(), "{place}: verdicts {theirs:?}");
    for ((rule, ours), theirs) in ours.iter().zip(theirs) {
        assert_eq!(
            (json!(rule.id), json!(ours.outcome.name())),
            (theirs[0].clone(), theirs[1].clone()),
            "{place}"
        );
        let close = is_close(ours.corrected, &theirs[2]) && is_close_ratio(ours.ratio_over, &theirs[3]);
        assert!(close, "{place}: {ours:?} {theirs}");
        *met.entry(ours.outcome.name().to_owned()).or_default() += 1;
    }
}

fn is_close(ours: Option<f64>, theirs: &Value) -> bool {
    match (ours, theirs.as_str()) {
        (None, None) => true,
        (Some(ours), Some(text)) => {
            let theirs: f64 = text.parse().unwrap();
            (ours - theirs).abs() <= 1e-9 * ours.abs().max(theirs.abs()).max(1e-3)
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Close to the limit C/limit - 1 is the small difference of two numbers near one: C/limit itself is compared to 1e-9.
fn is_close_ratio(ours: Option<f64>, theirs: &Value) -> bool {
    match (ours, theirs.as_str()) {
        (None, None) => true,
        (Some(ours), Some(text)) => {
            let theirs: f64 = text.parse().unwrap();
            (ours - theirs).abs() <= 1e-9 * (1.0 + ours.abs().max(theirs.abs()))
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

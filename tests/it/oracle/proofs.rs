//! What of the law's lists is about signals and rates: random states with their tests, random demands of orders.

use cems::domain::order::{Demand, Full, Measure, Threshold};
use cems::domain::share::Percent;
use cems::domain::source_state::{After, Side, SourceState, StateRule, Test};
use fastrand::Rng;
use serde_json::{Value, json};

use super::lists::{Site, code_of, pick};
use super::random::number;

/// Signals that tell a state: channel, side, line, release.
const TELLS: [(SourceState, &str, &str, &str, &str); 12] = [
    (SourceState::Stopped, "a19001", "above", "19.5", "18.4"),
    (SourceState::Stopped, "g10101", "is", "0", "0"),
    (SourceState::Stopped, "a01012", "below", "50", "65"),
    (SourceState::Stopped, "a01011", "below", "1", "2.5"),
    (SourceState::StartUp, "a01012", "below", "95", "105"),
    (SourceState::StartUp, "g10101", "is", "2", "2"),
    (SourceState::ShutDown, "g10101", "is", "3", "3"),
    (SourceState::ShutDown, "a19001", "above", "13.5", "12"),
    (SourceState::BankedFire, "a19001", "above", "17", "16.5"),
    (SourceState::BankedFire, "g10101", "is", "4", "4"),
    (SourceState::BankedFire, "a01012", "below", "80", "90"),
    // No outlet has this channel.
    (SourceState::StartUp, "a05999", "above", "1", "1"),
];

pub fn states(rng: &mut Rng, site: &Site<'_>) -> Vec<(StateRule, Value)> {
    let mut order = SourceState::ALL[2..4].to_vec();
    order.insert(rng.usize(0..3), SourceState::StartUp);
    order.retain(|_| rng.u8(0..5) > 0);
    // What others come after goes first.
    order.insert(0, SourceState::Stopped);
    let mut states = Vec::new();
    for state in order {
        let mut tells: Vec<_> = TELLS.iter().filter(|(tells, ..)| *tells == state).collect();
        rng.shuffle(&mut tells);
        tells.truncate(if rng.u8(0..3) == 0 { 2 } else { 1 });
        let mut tests = Vec::new();
        let mut tests_theirs = Vec::new();
        for (_, channel, kind, line, release) in tells {
            let minutes = if rng.u8(0..6) == 0 { 25 } else { rng.u32(1..5) };
            let release = if rng.u8(0..3) == 0 { line } else { release };
            let beyond = match *kind {
                "above" => Side::Above { line: number(line), release: number(release) },
                "below" => Side::Below { line: number(line), release: number(release) },
                _ => Side::Is { code: number(line) },
            };
            tests.push(Test { channel: code_of(channel), side: beyond, minutes });
            tests_theirs
                .push(json!({"channel": site.place(channel), "kind": kind, "line": line, "release": release,
                "minutes": minutes}));
        }
        let comes_after = state != SourceState::Stopped && rng.bool();
        let after = comes_after.then(|| After { state: SourceState::Stopped, minutes: rng.u32(1..120) });
        let theirs = json!({"state": state.name(), "tests": tests_theirs,
            "after": after.map(|after| json!([after.state.name(), after.minutes]))});
        states.push((StateRule { state, tests, after }, theirs));
    }
    states
}

fn measure(rng: &mut Rng, site: &Site<'_>) -> (Measure, Value, &'static str) {
    match rng.u8(0..3) {
        0 => (Measure::Flow, json!(["flow", null]), pick(rng, &["300000", "200000", "40000"])),
        1 => {
            (Measure::Mass("a21026".to_owned()), json!(["mass", "a21026"]), pick(rng, &["12.5", "7.5", "1"]))
        }
        _ => {
            let place = rng.usize(0..site.codes.len());
            let measure = Measure::Channel(code_of(site.codes[place]));
            (measure, json!(["channel", place]), pick(rng, &["0", "12", "35", "50", "60", "200", "1000"]))
        }
    }
}

pub fn demand(rng: &mut Rng, site: &Site<'_>) -> (Demand, Value) {
    match rng.u8(0..4) {
        0 => {
            let limit = pick(rng, &["20", "35.5", "60"]);
            let rounded = rng.bool();
            let oxygen = rng.bool().then_some("10");
            let demand = Demand::Limit {
                pollutant: "a21026".to_owned(),
                limit_mg_m3: number(limit),
                reference_oxygen_percent: oxygen.map(number),
                comparison: if rounded { Full::Rounded } else { Full::FullValue },
            };
            let reference = oxygen.map(|oxygen| json!({"oxygen": oxygen}));
            (
                demand,
                json!({"demand": "limit", "pollutant": "a21026", "limit": limit, "reference": reference, "rounded": rounded}),
            )
        }
        1 => {
            let (measure, theirs, reference) = measure(rng, site);
            let (percent, hundredths) = pick(rng, &[("30", 3000), ("12.5", 1250), ("100", 10_000), ("0", 0)]);
            let demand = Demand::Reduce {
                percent: Percent::hundredths(hundredths),
                measure,
                reference: number(reference),
            };
            (
                demand,
                json!({"demand": "reduce", "percent": percent, "measure": theirs, "reference": reference}),
            )
        }
        _ => {
            let mut thresholds = Vec::new();
            let mut theirs = Vec::new();
            for _one in 0..rng.u8(0..3) {
                let (measure, measure_theirs, above) = measure(rng, site);
                thresholds.push(Threshold { measure, above: number(above) });
                theirs.push(json!([measure_theirs, above]));
            }
            (Demand::Stop { thresholds }, json!({"demand": "stop", "thresholds": theirs}))
        }
    }
}

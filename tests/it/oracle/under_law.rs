//! Outlets under the law's lists through the domain code and through tests/oracle/lawful.py: the state of every minute with all of
//! its versions, every figure, and every verdict of rules, orders, furnaces and assessments.

use std::collections::HashMap;

use cems::domain::average::ChannelAverage;
use cems::domain::exceedance::Outcome;
use cems::domain::judgement::{By, Ground, Judged, Parts, signals};
use cems::domain::limit::AveragingPeriod;
use cems::domain::regime::HJ75_2017;
use cems::domain::replay::{Closed, ClosedQuarter, Replay, Sink};
use cems::domain::source_state::Basis;
use cems::domain::validity::source_state;
use cems::domain::window::Window;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::lawful::{Case, case};
use super::{Oracle, is_close, is_close_ratio, same_average, setting};

type Met = HashMap<String, u64>;

fn note(met: &mut Met, what: String) {
    *met.entry(what).or_default() += 1;
}

#[test]
fn the_oracle_agrees_under_the_law() {
    let Some(mut oracle) = Oracle::start() else { return };
    let target = setting("CEMS_ORACLE_WINDOWS", 20_000);
    let seed = setting("CEMS_ORACLE_SEED", 20_261_121);
    let mut windows = 0;
    let mut met = Met::new();
    for number in 0.. {
        if windows >= target {
            break;
        }
        let case = case(seed.wrapping_add(number));
        let answer = oracle.ask(number, &case.for_the_oracle);
        windows += agree(number, &case, &answer, &mut met);
    }
    oracle.finish();
    let mut found: Vec<_> = met.iter().collect();
    found.sort();
    println!("{windows} windows agree under the law: {found:?}");
    for needed in NEEDED {
        assert!(met.contains_key(*needed), "no case had {needed}; {found:?}");
    }
}

/// Branches that must have been met.
const NEEDED: &[&str] = &[
    "zone UTC",
    "zone Asia/Shanghai",
    "zone America/New_York",
    "zone Pacific/Apia",
    "state running",
    "state start-up",
    "state shut-down",
    "state banked-fire",
    "state stopped",
    "state by a mark",
    "state by signals",
    "state unknown",
    "contested",
    "contested before it counts",
    "stage in-force",
    "stage pending",
    "stage late",
    "stage accepted",
    "stage corrected",
    "stage rejected",
    "status N",
    "status F",
    "status St",
    "status Sd",
    "status B",
    "status C",
    "status M",
    "status Md",
    "status D",
    "hour in part stopped, weighed",
    "hour in part stopped, summed",
    "rule met",
    "rule exceeded",
    "rule not-judged: exempt",
    "rule not-judged: not valid",
    "rule not-judged: not convertible",
    "exemption exempt",
    "exemption contested",
    "exemption not marked",
    "exemption used up",
    "order stop met",
    "order stop exceeded",
    "order stop exceeded by a threshold",
    "order stop not-judged: not valid",
    "order reduce met",
    "order reduce exceeded",
    "order reduce not-judged: not valid",
    "order limit met",
    "order limit exceeded",
    "furnace met",
    "furnace not-met",
    "furnace not-judged: exempt",
    "furnace not-judged: not valid",
    "furnace day met",
    "furnace day exceeded",
    "assessment met",
    "assessment not-met",
    "assessment not-judged: not valid",
];

struct Comparison<'c> {
    number: u64,
    case: &'c Case,
    zone: &'c TimeZone,
    answer: &'c Value,
    /// Every minute so far: nothing is forgotten here, as the replay does.
    minutes: Parts,
    windows: u64,
    met: &'c mut Met,
}

/// Compares every window; gives how many there were.
fn agree(number: u64, case: &Case, answer: &Value, met: &mut Met) -> u64 {
    let zone = TimeZone::get(case.zone).unwrap();
    note(met, format!("zone {}", case.zone));
    for ruled in &case.law.marks {
        let stage = ruled.stage.name();
        assert_eq!(json!(stage), answer["stages"][&ruled.mark.code], "case {number}: {ruled:?}");
        note(met, format!("stage {stage}"));
    }
    let ground = Ground { outlet: &case.outlet, law: &case.law, regime: &HJ75_2017, zone: &zone };
    let mut comparison =
        Comparison { number, case, zone: &zone, answer, minutes: Parts::new(), windows: 0, met };
    let mut replay = Replay::new(ground, &AveragingPeriod::ALL);
    for scan in &case.scans {
        assert!(replay.scan(scan.clone(), &mut comparison));
    }
    replay.finish(&mut comparison);
    let theirs = answer["averages"].as_object().unwrap().len();
    assert_eq!(comparison.windows, theirs as u64, "case {number}: the oracle has other windows");
    comparison.windows
}

impl<'p> Sink<'p> for Comparison<'_> {
    fn closed(&mut self, Closed { window, averages, judged }: Closed<'_, 'p>) {
        self.windows += 1;
        let key = format!("{} {}", window.period.name(), window.start.as_second());
        let theirs = &self.answer["averages"][&key];
        for (position, ours) in averages.iter().enumerate() {
            let place = format!("case {}, {} {key}, channel {position}", self.number, self.case.zone);
            assert!(theirs[position].is_array(), "{place}: the oracle has no such window");
            same_average(window, ours, &theirs[position], &place, self.met);
        }
        if window.period == AveragingPeriod::Minute {
            self.minutes.insert(window.start, averages.to_vec());
        }
        if window.period == AveragingPeriod::Hour {
            self.same_minutes(window);
            self.partly_stopped(window, averages);
        }
        self.same_judged(window, judged, &key);
    }

    fn quarter(&mut self, _quarter: ClosedQuarter) {}
}

impl Comparison<'_> {
    fn same_minutes(&mut self, hour: Window) {
        let Case { outlet, law, .. } = self.case;
        let signals = signals(outlet, &self.minutes);
        let theirs = &self.answer["minutes"][hour.start.as_second().to_string()];
        for (index, minute) in (0..60_usize).zip(0..) {
            let at = hour.start + SignedDuration::from_mins(minute);
            let sourced = source_state(law, outlet, at, &signals);
            let heard = sourced.observed.basis == Basis::Signals;
            let mark = sourced.mark.map(|ruled| ruled.mark.code.as_str());
            let contesting = sourced.contested.and_then(|contest| outlet.position(contest.channel));
            let (state, observed) = (sourced.state.name(), sourced.observed.state.name());
            let ours = json!([state, observed, heard, mark, contesting]);
            assert_eq!(ours, theirs[index], "case {}, {}, minute {at}", self.number, self.case.zone);
            note(self.met, format!("state {state}"));
            let by = match (sourced.is_marked(), heard) {
                (true, _) => "by a mark",
                (false, true) => "by signals",
                (false, false) => "unknown",
            };
            note(self.met, format!("state {by}"));
            if contesting.is_some() {
                let counts = sourced.mark.is_some_and(cems::domain::mark::Ruled::in_effect);
                note(self.met, if counts { "contested" } else { "contested before it counts" }.to_owned());
            }
        }
    }

    /// Whether hours were met in which the source stood still for a part.
    fn partly_stopped(&mut self, window: Window, averages: &[ChannelAverage]) {
        let ground =
            Ground { outlet: &self.case.outlet, law: &self.case.law, regime: &HJ75_2017, zone: self.zone };
        let states = ground.overlay(window, &self.minutes).states();
        if states.contains_key(&cems::domain::source_state::SourceState::Stopped) {
            for average in averages.iter().filter(|average| average.mass_mg.is_some()) {
                let how = if average.valid { "weighed" } else { "summed" };
                note(self.met, format!("hour in part stopped, {how}"));
            }
        }
    }

    fn same_judged(&mut self, window: Window, judged: &[Judged<'_>], key: &str) {
        let mut ours: Vec<&Judged<'_>> = judged.iter().collect();
        ours.sort_by_key(|one| (by(one), one.by.code(), one.position));
        let theirs = self.answer["judged"][key].as_array().unwrap();
        let place = format!("case {}, {} {key}", self.number, self.case.zone);
        assert_eq!(ours.len(), theirs.len(), "{place}: {ours:#?} {theirs:#?}");
        for (ours, theirs) in ours.into_iter().zip(theirs) {
            let verdict = ours.verdict;
            let exact =
                json!([by(ours), ours.by.code(), ours.position, verdict.outcome.name(), exemption(ours)]);
            let expected = json!([theirs[0], theirs[1], theirs[2], theirs[3], theirs[7]]);
            assert_eq!(exact, expected, "{place}: {ours:?} {theirs}");
            let close = is_close(verdict.corrected, &theirs[4])
                && is_close(Some(verdict.limit), &theirs[5])
                && is_close_ratio(verdict.ratio_over, &theirs[6]);
            assert!(close, "{place}: {ours:?} {theirs}");
            self.meet(window, ours);
        }
    }

    fn meet(&mut self, window: Window, one: &Judged<'_>) {
        let outcome = one.verdict.outcome;
        let what = match one.by {
            By::Order(order) => format!("order {}", order.demand.name()),
            By::Furnace(_) if window.period == AveragingPeriod::Day => "furnace day".to_owned(),
            By::Rule(_) | By::Furnace(_) | By::Assessment(_) => by(one).to_owned(),
        };
        if what == "order stop" && outcome == Outcome::Exceeded && one.verdict.ratio_over.is_some() {
            note(self.met, "order stop exceeded by a threshold".to_owned());
        }
        note(self.met, format!("{what} {}", outcome.name()));
        if let Some(answer) = exemption(one) {
            note(self.met, format!("exemption {answer}"));
        }
    }
}

fn by(one: &Judged<'_>) -> &'static str {
    match one.by {
        By::Rule(_) => "rule",
        By::Order(_) => "order",
        By::Furnace(_) => "furnace",
        By::Assessment(_) => "assessment",
    }
}

/// What an exemption said, by the words of the remark.
fn exemption(one: &Judged<'_>) -> Option<&'static str> {
    let remark = one.remark.as_deref().unwrap_or_default();
    let words = [
        ("exempt by exemption-", "exempt"),
        ("does not apply: a mark of the hour is contested", "contested"),
        ("does not apply: the state is not marked", "not marked"),
        ("of the year claimed", "used up"),
    ];
    words.into_iter().find(|(said, _)| remark.contains(said)).map(|(_, answer)| answer)
}

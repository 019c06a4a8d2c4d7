//! Random lists of the law, each beside what the oracle takes for it. Times are whole seconds, numbers decimal text.

use cems::domain::assessment::{Assessment, Over};
use cems::domain::exemption::Exemption;
use cems::domain::furnace::FurnaceRule;
use cems::domain::law::Law;
use cems::domain::mark::{Claim, Decision, Effect, Mark, Marking, Review};
use cems::domain::order::{Line, Order, Scope};
use cems::domain::plant::ChannelCode;
use cems::domain::share::Percent;
use cems::domain::source_state::{SourceRule, SourceState, StateRule};
use cems::domain::times::Times;
use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::proofs::{demand, states};
use super::random::number;

pub const OUTLET: &str = "kiln";
pub const ENTERPRISE: &str = "91410800MA00000000";
pub const DIVISION: &str = "410800";
pub const INDUSTRY: &str = "C3011";
const HOUR: i64 = 3600;

/// What lists are drawn for.
pub struct Site<'s> {
    /// Channel codes by position.
    pub codes: &'s [&'static str],
    pub first: i64,
    pub last: i64,
    /// What the source did: state and seconds.
    pub phases: &'s [(SourceState, i64, i64)],
    /// Rules by code and period, in seconds of the shortest window.
    pub rules: &'s [(String, i64)],
    /// Marks count at once, and much is exempt.
    pub is_lenient: bool,
}

/// Both sides of all lists.
#[derive(Default)]
pub struct Lists {
    pub law: Law,
    theirs: serde_json::Map<String, Value>,
}

pub fn moment(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub fn times(from: i64, until: Option<i64>) -> Times {
    Times { from: moment(from), until: until.map(moment) }
}

pub fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(0..of.len())]
}

fn some<T: Copy>(rng: &mut Rng, of: &[T]) -> Vec<T> {
    let mut kept: Vec<T> = of.iter().copied().filter(|_| rng.bool()).collect();
    if kept.is_empty() {
        kept.push(pick(rng, of));
    }
    kept
}

impl Site<'_> {
    pub fn place(&self, code: &str) -> Option<usize> {
        self.codes.iter().position(|one| *one == code)
    }

    fn within(&self, rng: &mut Rng) -> i64 {
        rng.i64(self.first..self.last)
    }

    /// Since ever or from somewhere in the readings; for good or until somewhere in them.
    fn some_time(&self, rng: &mut Rng) -> (i64, Option<i64>) {
        let from = if rng.u8(0..4) == 0 { self.within(rng) } else { self.first - rng.i64(1..400) * 86_400 };
        let until = (rng.u8(0..4) == 0).then(|| self.within(rng)).filter(|until| *until > from);
        (from, until)
    }
}

pub fn code_of(code: &str) -> ChannelCode {
    ChannelCode::new(code).unwrap()
}

impl Lists {
    pub fn draw(rng: &mut Rng, site: &Site<'_>) -> Lists {
        let mut lists = Lists::default();
        lists.source_rules(rng, site);
        lists.markings(rng, site);
        lists.marks(rng, site);
        lists.exemptions(rng, site);
        lists.orders(rng, site);
        lists.furnaces(rng, site);
        lists.assessments(rng, site);
        lists
    }

    pub fn theirs(mut self) -> (Law, Value) {
        for name in
            "source_rules markings marks reviews exemptions lines orders furnaces assessments".split(' ')
        {
            self.theirs.entry(name).or_insert_with(|| json!([]));
        }
        (self.law, Value::Object(self.theirs))
    }

    fn add(&mut self, list: &str, theirs: Value) {
        let entries = self.theirs.entry(list).or_insert_with(|| json!([]));
        entries.as_array_mut().unwrap().push(theirs);
    }

    fn source_rules(&mut self, rng: &mut Rng, site: &Site<'_>) {
        let change = site.within(rng);
        let spans = match rng.u8(0..8) {
            0 => vec![],
            1 => vec![(0, Some(change)), (change + rng.i64(0..2) * 5400, None)],
            2 => vec![(change, None)],
            _ => vec![(0, None)],
        };
        for (from, until) in spans {
            let (states, theirs): (Vec<StateRule>, Vec<Value>) = states(rng, site).into_iter().unzip();
            self.add(
                "source_rules",
                json!({"outlet": OUTLET, "from": from, "until": until, "states": theirs}),
            );
            let document = "Permit".to_owned();
            self.law.source_rules.push(SourceRule {
                outlet: OUTLET.to_owned(),
                document,
                times: times(from, until),
                states,
            });
        }
    }

    fn markings(&mut self, rng: &mut Rng, site: &Site<'_>) {
        let change = site.within(rng);
        for (index, (from, until)) in [(0, Some(change)), (change, None), (0, None)].into_iter().enumerate() {
            // The first two are about the outlet, one after the other; the last one is about others.
            if rng.u8(0..4) == 0 && !site.is_lenient {
                continue;
            }
            let division = if index == 2 { "52" } else { pick(rng, &["", "41"]) };
            let industry = pick(rng, &["", "C30"]);
            let hours = rng.u32(1..48);
            let effect =
                if rng.u8(0..4) == 0 && !site.is_lenient { Effect::WhenAccepted } else { Effect::AtOnce };
            self.add(
                "markings",
                json!({"from": from, "until": until, "division": division, "industry": industry,
                    "deadline_hours": hours, "effect": effect.name()}),
            );
            self.law.markings.push(Marking {
                code: format!("marking-{index}"),
                document: String::new(),
                times: times(from, until),
                division: division.to_owned(),
                industry: industry.to_owned(),
                deadline_hours: hours,
                effect,
            });
        }
    }

    fn marks(&mut self, rng: &mut Rng, site: &Site<'_>) {
        for index in 0..rng.i64(0..16) {
            let code = format!("mark-{index}");
            let (claim, from, until) = claimed(rng, site);
            // The nth second of a minute: no two are made at once.
            let late = if rng.u8(0..3) == 0 { rng.i64(0..72) } else { rng.i64(-6..4) };
            let made_at = (until + late * HOUR) / 60 * 60 + index;
            let channel = match claim {
                Claim::Instrument(_) if rng.bool() => {
                    site.place(pick(rng, &["a19001", "a01011", "a00000", "a01012"]))
                }
                Claim::Instrument(_) => rng.bool().then(|| rng.usize(0..site.codes.len())),
                Claim::State(_) => None,
            };
            let outlet = if rng.u8(0..16) == 0 { "other" } else { OUTLET };
            self.add(
                "marks",
                json!({"code": code, "outlet": outlet, "channel": channel, "claim": claim.name(), "from": from,
                    "until": until, "made_at": made_at}),
            );
            self.law.marks.push(Mark {
                code: code.clone(),
                outlet: outlet.to_owned(),
                channel: channel.map(|place| code_of(site.codes[place])),
                claim,
                times: times(from, Some(until)),
                author: String::new(),
                reason: String::new(),
                made_at: moment(made_at),
                attachment: None,
            });
            for review in 0..rng.i64(0..5) - 2 {
                let at = made_at + rng.i64(1..100) * HOUR + review;
                self.review(rng, site, (&code, at));
            }
        }
    }

    fn review(&mut self, rng: &mut Rng, site: &Site<'_>, (mark, at): (&str, i64)) {
        let (claim, from, until) = claimed(rng, site);
        let decision = match rng.u8(0..4) {
            0 => Decision::Rejected,
            1 => Decision::Corrected { claim, times: times(from, Some(until)) },
            _ => Decision::Accepted,
        };
        self.add(
            "reviews",
            json!({"mark": mark, "at": at, "decision": decision.name(), "claim": claim.name(), "from": from,
                "until": until}),
        );
        let (by, reason) = (String::new(), String::new());
        self.law.reviews.push(Review { mark: mark.to_owned(), at: moment(at), by, reason, decision });
    }

    fn exemptions(&mut self, rng: &mut Rng, site: &Site<'_>) {
        for index in 0..rng.u8(1..6) {
            let (mut from, mut until) = site.some_time(rng);
            let industry = if rng.u8(0..3) == 0 { "C44" } else { "C30" };
            let mut pollutants = some(rng, &["a21026", "a21002", "a24088", "a01901"]);
            let mut states = some(rng, &SourceState::ALL[1..]);
            if site.is_lenient && index == 0 {
                (from, until) = (0, None);
                pollutants = vec!["a24088", "a01901", "a21026", "a21002"];
                states = SourceState::ALL[1..].to_vec();
            }
            let hours =
                if site.is_lenient { pick(rng, &[1, 1, 2, 3, 60]) } else { pick(rng, &[0, 2, 4, 60, 60]) };
            let names: Vec<&str> = states.iter().map(|state| state.name()).collect();
            self.add(
                "exemptions",
                json!({"from": from, "until": until, "division": "41", "industry": industry, "pollutants": pollutants,
                    "states": names, "hours": hours}),
            );
            self.law.exemptions.push(Exemption {
                code: format!("exemption-{index}"),
                document: String::new(),
                times: times(from, until),
                division: "41".to_owned(),
                industry: industry.to_owned(),
                pollutants: pollutants.into_iter().map(str::to_owned).collect(),
                states,
                hours_per_year: hours,
            });
        }
    }

    fn orders(&mut self, rng: &mut Rng, site: &Site<'_>) {
        for (code, outlets) in [("line-1", vec![OUTLET, "other"]), ("line-2", vec!["other"])] {
            self.add("lines", json!({"code": code, "outlets": outlets}));
            let outlets = outlets.into_iter().map(str::to_owned).collect();
            self.law.lines.push(Line { code: code.to_owned(), enterprise: ENTERPRISE.to_owned(), outlets });
        }
        for index in 0..rng.u8(0..5) {
            let (from, until) = site.some_time(rng);
            let (scope, whom) = match rng.u8(0..6) {
                0 => (Scope::Line("line-1".to_owned()), json!(["line", "line-1"])),
                1 => (Scope::Line("line-2".to_owned()), json!(["line", "line-2"])),
                2 => (Scope::Enterprise(ENTERPRISE.to_owned()), json!(["enterprise", ENTERPRISE])),
                _ => (Scope::Outlet(OUTLET.to_owned()), json!(["outlet", OUTLET])),
            };
            let code = format!("order-{index}");
            let (demand, mut theirs) = demand(rng, site);
            for (key, value) in
                [("code", json!(code)), ("scope", whom), ("from", json!(from)), ("until", json!(until))]
            {
                theirs[key] = value;
            }
            self.add("orders", theirs);
            let (name, document) = (String::new(), String::new());
            self.law.orders.push(Order { code, name, document, scope, times: times(from, until), demand });
        }
    }

    fn furnaces(&mut self, rng: &mut Rng, site: &Site<'_>) {
        let section =
            |codes: &[&str]| -> Vec<usize> { codes.iter().filter_map(|code| site.place(code)).collect() };
        let (upper, middle) =
            (section(&["a01901", "a01901-2", "a01901-3"]), section(&["a01901-4", "a01901-5"]));
        if upper.is_empty() {
            return;
        }
        for index in 0..rng.u8(1..3) {
            let (from, until) = site.some_time(rng);
            let (below, allowed) = (pick(rng, &["850", "849.5", "820", "860"]), pick(rng, &[5, 5, 0, 30]));
            let code = format!("furnace-{index}");
            self.add(
                "furnaces",
                json!({"code": code, "outlet": OUTLET, "from": from, "until": until, "upper": upper, "middle": middle,
                    "below": below, "allowed": allowed}),
            );
            let codes = |places: &[usize]| places.iter().map(|place| code_of(site.codes[*place])).collect();
            self.law.furnaces.push(FurnaceRule {
                code,
                outlet: OUTLET.to_owned(),
                document: String::new(),
                times: times(from, until),
                upper: codes(&upper),
                middle: codes(&middle),
                below_c: number(below),
                events_allowed: allowed,
            });
        }
    }

    fn assessments(&mut self, rng: &mut Rng, site: &Site<'_>) {
        for index in 0..rng.u8(0..6) {
            let (from, until) = site.some_time(rng);
            let (rule, length) = site.rules[rng.usize(0..site.rules.len())].clone();
            let over = pick(rng, &Over::ALL);
            // What is as long as the assessment is no part of it.
            if (length >= 86_400 && over == Over::Day) || (length > 86_400 && over == Over::Month) {
                continue;
            }
            let (share, hundredths) = pick(
                rng,
                &[("95", 9500), ("75", 7500), ("50", 5000), ("100", 10_000), ("66.66", 6666), ("20", 2000)],
            );
            let at_least = pick(rng, &[1, 1, 5, 20]);
            let (over_theirs, code) = (over.period().name(), format!("assessment-{index}"));
            self.add(
                "assessments",
                json!({"code": code, "rule": rule, "over": over_theirs, "from": from, "until": until, "share": share,
                    "at_least": at_least}),
            );
            let (document, share) = (String::new(), Percent::hundredths(hundredths));
            let assessment =
                Assessment { code, document, times: times(from, until), rule, over, share, at_least };
            self.law.assessments.push(assessment);
        }
    }
}

/// A claim and its time: mostly about what happened, more or less.
fn claimed(rng: &mut Rng, site: &Site<'_>) -> (Claim, i64, i64) {
    let idle: Vec<_> =
        site.phases.iter().filter(|(state, ..)| *state != SourceState::Running).copied().collect();
    let phases = if rng.u8(0..4) == 0 || idle.is_empty() { site.phases } else { &idle };
    let (state, begin, end) = pick(rng, phases);
    let claim = match rng.u8(0..6) {
        0 => pick(rng, &Claim::ALL),
        1 => pick(rng, &Claim::ALL[SourceState::ALL.len()..]),
        _ => Claim::State(state),
    };
    let (from, until) = claimed_time(rng, site, (begin, end));
    // In step with the windows, the hours of an exemption are used up by the second.
    if site.is_lenient { (claim, from / 300 * 300, (until + 299) / 300 * 300) } else { (claim, from, until) }
}

fn claimed_time(rng: &mut Rng, site: &Site<'_>, (begin, end): (i64, i64)) -> (i64, i64) {
    match rng.u8(0..8) {
        // Long ago, so that the hours of the year are used up.
        0 => {
            let from = site.first - rng.i64(2..200) * 86_400 + rng.i64(0..HOUR);
            let length = if rng.bool() { rng.i64(1..6) * HOUR } else { rng.i64(600..5 * HOUR) };
            (from, from + length)
        }
        1..=3 => {
            let from = site.within(rng);
            (from, from + rng.i64(60..2 * HOUR))
        }
        _ => {
            let around = |rng: &mut Rng| if rng.bool() { 0 } else { rng.i64(-1200..1200) };
            let from = begin + around(rng);
            (from, (end + around(rng)).max(from + 60))
        }
    }
}

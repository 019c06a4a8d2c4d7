//! Random quarters of one pollutant, with the hours before them and the calendar of checks of its analyser. What the tables tell
//! apart is aimed at: capture rates on and just below a line, gaps of 24 and 25 hours, nothing or little to look back on.

use std::collections::BTreeMap;

use cems::domain::average::ChannelAverage;
use cems::domain::flag::{Flag, Status};
use cems::domain::limit::AveragingPeriod;
use cems::domain::quality::{Check, CheckPlan, CheckResult};
use cems::domain::substitution::Finality;
use cems::domain::times::Times;
use cems::domain::window::Window;
use fastrand::Rng;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

const HOUR: i64 = 3600;
/// The analyser of the pollutant; another one has checks of its own.
pub const ANALYSER: &str = "gas";
const OTHER_ANALYSER: &str = "dust";
const KINDS: [&str; 3] = ["accuracy", "span-drift", "zero-drift"];

/// One quarter for both sides.
pub struct Case {
    pub zone: &'static str,
    pub window: Window,
    /// Of the quarter and before it, in any order.
    pub hours: Vec<Hour>,
    pub plans: Vec<CheckPlan>,
    pub checks: Vec<Check>,
    pub finality: Finality,
    pub for_the_oracle: Value,
}

/// One hour's average, as far as substitution goes.
#[derive(Clone, Copy)]
pub struct Hour {
    pub start: Timestamp,
    pub average: ChannelAverage,
}

/// What an hour is drawn as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Valid,
    /// Valid, and nothing to make a mass of.
    WithoutFlow,
    Invalid,
    Stopped,
    /// By checks that fail and pass around it; whatever its average shows.
    Out,
    NotHandedIn,
}

/// What a case is to hit.
#[derive(Clone, Copy)]
enum Aim {
    /// A capture rate on a line or as little below it as can be: per cent, and what twenties of hours leave over.
    Line(usize, usize),
    /// Few missing hours, many, or most; of a hundred runs so many are not valid.
    Share(u8),
    /// Out of control as plans and checks have it.
    Calendar(u8),
}

const AIMS: [Aim; 8] = [
    Aim::Line(90, 0),
    // Of 2209 hours 1988 are 89.9955 %, of 2203 hours 1652 are 74.9886 %.
    Aim::Line(90, 9),
    Aim::Line(75, 0),
    Aim::Line(75, 3),
    Aim::Share(10),
    Aim::Calendar(10),
    Aim::Share(60),
    Aim::Calendar(40),
];

fn moment(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn one_of<T: Copy>(rng: &mut Rng, things: &[T]) -> T {
    things[rng.usize(0..things.len())]
}

/// Runs of one kind, so that gaps have lengths and not only single hours are missing.
fn runs(rng: &mut Rng, count: usize, bad: u8, may_be_out: bool) -> Vec<Kind> {
    let mut kinds = Vec::with_capacity(count + 400);
    while kinds.len() < count {
        let (kind, length) = if rng.u8(0..100) < bad {
            let kind = one_of(
                rng,
                &[Kind::Invalid, Kind::Invalid, Kind::Out, Kind::Out, Kind::WithoutFlow, Kind::NotHandedIn],
            );
            (kind, gap_length(rng))
        } else if rng.u8(0..20) == 0 {
            (Kind::Stopped, rng.usize(1..100))
        } else {
            (Kind::Valid, if rng.bool() { rng.usize(1..60) } else { rng.usize(60..300) })
        };
        let kind = if kind == Kind::Out && !may_be_out { Kind::Invalid } else { kind };
        // An hour or a few without flow or not handed in, seldom days.
        let length =
            if matches!(kind, Kind::WithoutFlow | Kind::NotHandedIn) { length.min(9) } else { length };
        kinds.extend(std::iter::repeat_n(kind, length));
        // A gap of both tables.
        if kind == Kind::Invalid && may_be_out && rng.u8(0..4) == 0 {
            kinds.extend(std::iter::repeat_n(Kind::Out, gap_length(rng)));
        }
    }
    kinds.truncate(count);
    kinds
}

fn gap_length(rng: &mut Rng) -> usize {
    match rng.u8(0..6) {
        0 => 1,
        1 => 24,
        2 => 25,
        3 => rng.usize(26..90),
        _ => rng.usize(2..24),
    }
}

/// Makes hours one kind, as far as there are hours.
fn fill(kinds: &mut [Kind], begin: usize, length: usize, kind: Kind) {
    let end = kinds.len().min(begin + length);
    kinds[begin.min(end)..end].fill(kind);
}

/// Moves a quarter to a capture rate: hours become stopped until the rate can be met exactly, then valid or invalid.
fn move_to(rng: &mut Rng, kinds: &mut [Kind], (percent, left_over): (usize, usize)) {
    let count = |kinds: &[Kind], wanted: &[Kind]| kinds.iter().filter(|kind| wanted.contains(kind)).count();
    let missing = [Kind::Invalid, Kind::Out, Kind::WithoutFlow];
    let running = [Kind::Valid, Kind::Invalid, Kind::Out, Kind::WithoutFlow];
    let mut turn = |kinds: &mut [Kind], from: &[Kind], to: Kind| {
        let found: Vec<usize> = (0..kinds.len()).filter(|index| from.contains(&kinds[*index])).collect();
        let index = one_of(rng, &found);
        kinds[index] = to;
    };
    while count(kinds, &running) % 20 != left_over {
        let from = if count(kinds, &[Kind::Valid]) > 0 { &[Kind::Valid][..] } else { &running };
        turn(kinds, from, Kind::Stopped);
    }
    let target = (count(kinds, &running) * (100 - percent)).div_ceil(100);
    while count(kinds, &missing) < target {
        turn(kinds, &[Kind::Valid], Kind::Invalid);
    }
    while count(kinds, &missing) > target {
        turn(kinds, &missing, Kind::Valid);
    }
}

fn average(rng: &mut Rng, kind: Kind, few_masses: bool) -> ChannelAverage {
    let mass = if few_masses { rng.i64(0..6) * 1_000_000 } else { rng.i64(0..9_000_000_000) };
    let bad = [
        Status::NoData,
        Status::Calibration,
        Status::Maintenance,
        Status::Fault,
        Status::OverRange,
        Status::StartUp,
        Status::BankedFire,
    ];
    let shows_valid = match kind {
        Kind::Valid | Kind::WithoutFlow => true,
        Kind::Out => rng.bool(),
        Kind::Invalid | Kind::Stopped | Kind::NotHandedIn => false,
    };
    let (status, mass_mg) = match kind {
        Kind::Valid => (Status::Normal, Some(mass)),
        Kind::WithoutFlow => (Status::Normal, None),
        Kind::Stopped => (Status::SourceStopped, (rng.u8(0..4) == 0).then_some(mass)),
        Kind::Out | Kind::Invalid | Kind::NotHandedIn => {
            (if shows_valid { Status::Normal } else { one_of(rng, &bad) }, rng.bool().then_some(mass))
        }
    };
    ChannelAverage {
        measured: None,
        standard: None,
        dry: None,
        corrected: None,
        min: None,
        max: None,
        n_valid: 0,
        n_expected: 60,
        status,
        flag: Flag::Normal,
        valid: shows_valid,
        mass_mg,
    }
}

/// Who was checked, for what, and when; there is one result a moment.
type Made = BTreeMap<(&'static str, &'static str, i64), CheckResult>;

/// Checks that make exactly the hours drawn so begin out of control, and some good ones between.
fn checks_around(rng: &mut Rng, first: i64, kinds: &[Kind]) -> Made {
    let mut made = Made::new();
    let kind = one_of(rng, &KINDS);
    let is_out = |index: usize| kinds.get(index) == Some(&Kind::Out);
    let begin = |index: usize| first + HOUR * i64::try_from(index).unwrap();
    // Every second time on the hour.
    let mut up_to = |index: usize| begin(index) - if rng.bool() { 0 } else { rng.i64(0..HOUR) };
    for index in 0..=kinds.len() {
        match (index > 0 && is_out(index - 1), is_out(index)) {
            (false, true) => made.insert((ANALYSER, kind, up_to(index)), CheckResult::Failed),
            (true, false) => made.insert((ANALYSER, kind, up_to(index)), CheckResult::Passed),
            (true, true) | (false, false) => None,
        };
    }
    for _one in 0..rng.usize(0..12) {
        let index = rng.usize(0..kinds.len());
        if !is_out(index) && !is_out(index + 1) {
            made.entry((ANALYSER, kind, begin(index) + rng.i64(1..HOUR))).or_insert(CheckResult::Passed);
        }
    }
    made
}

/// Plans that follow one another, with gaps between them or at once, and checks at any time. At once only where the analyser
/// has one kind: whether what is overdue by two plans began with the first or with the second is not settled, and with more
/// kinds it decides which of them is asked for its last good check.
fn calendar(rng: &mut Rng, (first, end): (i64, i64)) -> (Vec<CheckPlan>, Made) {
    let (mut plans, mut made) = (Vec::new(), Made::new());
    let at = |rng: &mut Rng| {
        let second = rng.i64(first..end);
        if rng.bool() { second / HOUR * HOUR } else { second }
    };
    let at_once = rng.bool();
    let kinds = if at_once { &KINDS[..1] } else { &KINDS };
    let own = kinds.iter().map(|kind| (ANALYSER, *kind));
    for (analyser, kind) in own.chain([(OTHER_ANALYSER, KINDS[0])]) {
        let checks = rng.usize(0..40);
        for _one in 0..checks {
            let result = if rng.u8(0..6) == 0 { CheckResult::Failed } else { CheckResult::Passed };
            made.insert((analyser, kind, at(rng)), result);
        }
        if rng.u8(0..3) == 0 {
            continue;
        }
        let mut ends: Vec<i64> = (0..rng.usize(1..5)).map(|_| at(rng)).collect();
        ends.sort_unstable();
        ends.dedup();
        for (index, from) in ends.iter().enumerate() {
            let next = ends.get(index + 1).copied();
            let until = match next {
                Some(next) if !at_once || rng.u8(0..3) == 0 => Some((from + next) / 2),
                Some(next) => Some(next),
                None => None,
            };
            plans.push(CheckPlan {
                outlet: "kiln".to_owned(),
                analyser: analyser.to_owned(),
                kind: kind.to_owned(),
                every_hours: one_of(rng, &[24, 168, 360, 720, 2160]),
                times: Times { from: moment(*from), until: until.map(moment) },
                document: String::new(),
            });
        }
    }
    (plans, made)
}

fn check(((analyser, kind, at), result): ((&str, &str, i64), CheckResult)) -> Check {
    Check {
        outlet: "kiln".to_owned(),
        analyser: analyser.to_owned(),
        kind: kind.to_owned(),
        at: moment(at),
        result,
        by: String::new(),
        report: None,
    }
}

fn hours_before(rng: &mut Rng, number: u64) -> usize {
    match rng.u8(0..6) {
        _ if number.is_multiple_of(5) => 0,
        1 => rng.usize(1..200),
        2 => rng.usize(200..1000),
        _ => rng.usize(2400..3400),
    }
}

/// The case of a seed; `number` says what it is to hit.
pub fn case(seed: u64, number: u64) -> Case {
    let mut rng = Rng::with_seed(seed);
    let aim = AIMS[usize::try_from(number).unwrap() % AIMS.len()];
    let zone = one_of(&mut rng, &["UTC", "Asia/Shanghai", "America/New_York", "Pacific/Apia"]);
    let at = rng.i64(1_640_995_200..1_830_297_600);
    let window = Window::containing(AveragingPeriod::Quarter, moment(at), &TimeZone::get(zone).unwrap());
    let before = hours_before(&mut rng, number);
    let hours_of_quarter =
        usize::try_from((window.end.as_second() - window.start.as_second()) / HOUR).unwrap();
    let is_over = !matches!(aim, Aim::Share(_)) || rng.bool();
    let so_far = if is_over { hours_of_quarter } else { rng.usize(1..hours_of_quarter) };
    let bad = match aim {
        Aim::Line(percent, _) => {
            if percent == 90 {
                35
            } else {
                60
            }
        }
        Aim::Share(bad) | Aim::Calendar(bad) => bad,
    };
    let is_drawn = !matches!(aim, Aim::Calendar(_));
    let mut kinds = runs(&mut rng, before + so_far, bad, is_drawn);
    let gap = |rng: &mut Rng| if is_drawn && rng.bool() { Kind::Out } else { Kind::Invalid };
    for length in [24, 25] {
        let begin = rng.usize(before..before + so_far);
        fill(&mut kinds, begin, length + 2, Kind::Valid);
        fill(&mut kinds, begin + 1, length, gap(&mut rng));
    }
    // A gap with nothing before it, or one that goes on over the turn of the quarter.
    if before == 0 || rng.u8(0..3) == 0 {
        let length = 1 + gap_length(&mut rng);
        fill(&mut kinds, before.saturating_sub(1), length, gap(&mut rng));
    }
    if let Aim::Line(percent, left_over) = aim {
        move_to(&mut rng, &mut kinds[before..], (percent, left_over));
    }
    let first = window.start.as_second() - HOUR * i64::try_from(before).unwrap();
    let (plans, made) = if is_drawn {
        (Vec::new(), checks_around(&mut rng, first, &kinds))
    } else {
        calendar(&mut rng, (first - 30 * 24 * HOUR, window.end.as_second()))
    };
    let few_masses = rng.bool();
    let drawn = kinds.iter().zip((first..).step_by(3600)).filter(|(kind, _)| **kind != Kind::NotHandedIn);
    let mut hours: Vec<Hour> = drawn
        .map(|(kind, start)| Hour { start: moment(start), average: average(&mut rng, *kind, few_masses) })
        .collect();
    rng.shuffle(&mut hours);
    let mut checks: Vec<Check> = made.into_iter().map(check).collect();
    rng.shuffle(&mut checks);
    let for_the_oracle = json!({"kind": "quarter", "zone": zone, "at": at, "analyser": ANALYSER,
        "plans": plans.iter().map(plan_in_words).collect::<Vec<Value>>(),
        "checks": checks.iter().map(check_in_words).collect::<Vec<Value>>(),
        "hours": hours.iter().map(hour_in_words).collect::<Vec<Value>>()});
    let finality = if is_over { Finality::Final } else { Finality::Provisional };
    Case { zone, window, hours, plans, checks, finality, for_the_oracle }
}

fn plan_in_words(plan: &CheckPlan) -> Value {
    json!({"analyser": plan.analyser, "kind": plan.kind, "every_hours": plan.every_hours,
        "from": plan.times.from.as_second(), "until": plan.times.until.map(Timestamp::as_second)})
}

fn check_in_words(check: &Check) -> Value {
    json!({"analyser": check.analyser, "kind": check.kind, "at": check.at.as_second(), "result": check.result.name()})
}

fn hour_in_words(hour: &Hour) -> Value {
    let average = &hour.average;
    json!([hour.start.as_second(), average.status.code(), average.valid, average.mass_mg])
}

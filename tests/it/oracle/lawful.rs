//! Random outlets under the law, with readings a minute, as the domain and as the oracle take them.

use cems::domain::average::StoredScan;
use cems::domain::flag::Flag;
use cems::domain::history::{Dated, History};
use cems::domain::law::{Law, OutletLaw};
use cems::domain::limit::{AveragingPeriod, Comparison, Kind, Reference, Rule};
use cems::domain::plant::{Enterprise, Outlet, Unit};
use cems::domain::pollutant::Role;
use cems::domain::scan::Reading;
use cems::domain::source_state::SourceState;
use fastrand::Rng;
use serde_json::{Value, json};

use super::lists::{self, Lists, Site, moment, pick};
use super::random::{self, Drawn, Weather, number, tenths};

const ZONES: [&str; 4] = ["UTC", "Asia/Shanghai", "America/New_York", "Pacific/Apia"];

/// One outlet with its law and readings, for both sides.
pub struct Case {
    pub zone: &'static str,
    pub outlet: Outlet,
    pub law: OutletLaw,
    pub scans: Vec<StoredScan>,
    pub for_the_oracle: Value,
}

fn channel(code: &'static str, role: Role, unit: Unit, high: &'static str) -> Drawn {
    let (wet, actual, as_no, molar) = (false, false, false, None);
    Drawn { code, role, unit, wet, actual, as_no, molar, high, low: "-50", period_ms: 60_000, around: (0, 0) }
}

fn channels(rng: &mut Rng, burns_waste: bool) -> Vec<Drawn> {
    let pollutant = |code| channel(code, Role::Pollutant, Unit::MgPerM3, "400");
    let mut drawn = vec![Drawn { wet: rng.bool(), actual: rng.bool(), ..pollutant("a21026") }];
    if rng.u8(0..4) == 0 {
        drawn.push(pollutant("a21026-2"));
    }
    if rng.bool() {
        drawn.push(Drawn { as_no: rng.bool(), ..pollutant("a21002") });
    }
    if rng.u8(0..8) > 0 {
        drawn.push(Drawn { wet: rng.u8(0..4) == 0, ..channel("a19001", Role::Oxygen, Unit::Percent, "25") });
    }
    if rng.u8(0..8) > 0 {
        drawn.push(channel("a01012", Role::Temperature, Unit::Celsius, "400"));
    }
    if rng.u8(0..4) == 0 {
        drawn.push(channel("a01014", Role::Moisture, Unit::Percent, "40"));
    }
    let flow = rng.u8(0..8);
    if matches!(flow, 0..4) {
        drawn.push(channel("a01011", Role::Velocity, Unit::MetrePerSecond, "40"));
    }
    if matches!(flow, 1..6) {
        let flow = channel("a00000", Role::Flow, Unit::CubicMetrePerHour, "900000");
        drawn.push(Drawn { wet: rng.bool(), actual: rng.bool(), ..flow });
    }
    if rng.bool() {
        drawn.push(channel("g10101", Role::Other, Unit::Plain, "10"));
    }
    if burns_waste {
        let thermocouples = ["a01901", "a01901-2", "a01901-3", "a01901-4", "a01901-5"];
        let first = rng.usize(0..3);
        drawn.extend(
            thermocouples[first..].iter().map(|code| channel(code, Role::Other, Unit::Celsius, "1300")),
        );
    }
    if rng.u8(0..3) == 0 {
        let period_ms = pick(rng, &[120_000, 180_000, 300_000]);
        let nmhc = channel("a24088", Role::Pollutant, Unit::Ppm, "400");
        drawn.push(Drawn { molar: Some("12"), period_ms, ..nmhc });
    }
    drawn
}

/// Tenths of what a channel shows in a state, and how far it goes from there.
fn usual(code: &str, state: SourceState, cools: bool) -> (i64, i64) {
    let of = |running, start, shut, banked, stopped| match state {
        SourceState::Running => running,
        SourceState::StartUp => start,
        SourceState::ShutDown => shut,
        SourceState::BankedFire => banked,
        SourceState::Stopped => stopped,
    };
    match code {
        // Between line and release, for a while.
        "a19001" if cools => (190, 4),
        "a01012" if cools => (580, 50),
        "a01011" if cools => (18, 5),
        "a19001" => of((95, 25), (150, 25), (140, 15), (175, 12), (203, 6)),
        "a01012" => of((1200, 200), (900, 150), (1000, 100), (800, 60), (400, 120)),
        "a01014" => (90, 20),
        "a00000" => of(
            (2_500_000, 300_000),
            (1_500_000, 200_000),
            (900_000, 90_000),
            (300_000, 90_000),
            (90_000, 90_000),
        ),
        "a01011" => of((120, 20), (70, 15), (50, 10), (20, 8), (4, 4)),
        "g10101" => of((10, 4), (20, 5), (30, 4), (40, 4), (0, 5)),
        "a21026" | "a21026-2" | "a21002" | "a24088" => {
            of((350, 150), (900, 500), (500, 200), (300, 200), (20, 20))
        }
        _ => of((8600, 130), (8000, 500), (8300, 250), (7000, 500), (500, 300)),
    }
}

/// What the source does, in whole minutes.
fn phases(rng: &mut Rng, first: i64, minutes: i64) -> Vec<(SourceState, i64, i64)> {
    let mut phases = Vec::new();
    let in_step = first % 300 == 0;
    let mut at = 0;
    while at < minutes {
        let state = match rng.u8(0..10) {
            0..4 => SourceState::Running,
            4..7 => SourceState::Stopped,
            _ => pick(rng, &SourceState::ALL),
        };
        let length = if rng.u8(0..5) < 2 { rng.i64(2..30) } else { rng.i64(30..200) };
        // Often in step with the windows.
        let length = if in_step { (length + 4) / 5 * 5 } else { length };
        phases.push((state, first + at * 60, first + (at + length) * 60));
        at += length;
    }
    phases
}

/// Readings a minute, with gaps.
fn readings(rng: &mut Rng, drawn: &[Drawn], site: &Site<'_>) -> (Vec<StoredScan>, Vec<Value>) {
    let mut weather: Vec<Weather> = drawn.iter().map(|_| Weather { flag: Flag::Normal, left: 0 }).collect();
    let (mut scans, mut theirs) = (Vec::new(), Vec::new());
    let calm = rng.u8(0..4) > 0;
    let steady = rng.u8(0..4) == 0;
    let oddities = if steady || rng.bool() { 0 } else { 25 };
    let mut gap = 0;
    for at in (site.first..site.last).step_by(60) {
        if rng.u16(0..150) == 0 {
            gap = if rng.u8(0..4) == 0 { rng.i64(60..200) } else { rng.i64(1..30) };
        }
        gap -= 1;
        if gap > 0 && at > site.first {
            continue;
        }
        let (state, begin, _) =
            *site.phases.iter().find(|(_, from, until)| (*from..*until).contains(&at)).unwrap();
        let cools = state == SourceState::Stopped && begin % 120 == 0 && at > begin + 1500;
        let mut texts: Vec<(Option<String>, Flag)> = Vec::new();
        for (channel, weather) in drawn.iter().zip(&mut weather) {
            if channel.period_ms > 60_000 && at * 1000 % i64::from(channel.period_ms) != 0 {
                texts.push((None, Flag::Absent));
                continue;
            }
            let odd = rng.u16(0..1000) < oddities;
            let (middle, spread) =
                usual(channel.code, if odd { pick(rng, &SourceState::ALL) } else { state }, cools && !odd);
            let spread = if steady { 0 } else { spread };
            let text = tenths(middle + rng.i64(-spread..=spread));
            let flag = if calm { Flag::Normal } else { weather.next(rng) };
            texts.push((Some(text).filter(|_| flag != Flag::Communication), flag));
        }
        let reading = |(text, flag): &(Option<String>, Flag)| Reading {
            value: text.as_deref().map(number),
            flag: *flag,
        };
        scans.push(StoredScan { at: moment(at), readings: texts.iter().map(reading).collect() });
        let letters: Vec<Value> =
            texts.iter().map(|(text, flag)| json!([text, flag.letter().to_string()])).collect();
        theirs.push(json!([at * 1_000_000, letters]));
    }
    (scans, theirs)
}

fn seconds(period: AveragingPeriod) -> i64 {
    match period {
        AveragingPeriod::Day => 86_400,
        AveragingPeriod::Month | AveragingPeriod::Quarter | AveragingPeriod::Year => 28 * 86_400,
        AveragingPeriod::Minute
        | AveragingPeriod::FiveMinutes
        | AveragingPeriod::TenMinutes
        | AveragingPeriod::HalfHour
        | AveragingPeriod::Hour => 3600,
    }
}

/// Limits of a pollutant's windows; some in two versions of one code.
fn rules(rng: &mut Rng, drawn: &[Drawn], change: i64) -> Vec<(Rule, Value)> {
    let mut factors: Vec<&str> =
        drawn.iter().filter(|channel| channel.role == Role::Pollutant).map(Drawn::factor).collect();
    factors.dedup();
    let mut rules = Vec::new();
    for factor in factors {
        for number_of_it in 0..rng.u8(1..4) {
            let period = match rng.u8(0..3) {
                0 => AveragingPeriod::Hour,
                1 => AveragingPeriod::ALL[rng.usize(1..4)],
                _ => AveragingPeriod::ALL[rng.usize(0..7)],
            };
            let (reference, reference_theirs) = match rng.u8(0..3) {
                0 => (Reference::None, Value::Null),
                1 => (Reference::ExcessAir(1.7), json!({"alpha": "1.7"})),
                _ => (Reference::OxygenPercent(10.0), json!({"oxygen": "10"})),
            };
            let rounded = rng.bool();
            let spans =
                if rng.u8(0..4) == 0 { vec![(0, Some(change)), (change, None)] } else { vec![(0, None)] };
            for (from, until) in spans {
                let limit = pick(rng, &["20", "35", "35.5", "50", "100", "0.05", "60"]);
                let code = format!("rule-{factor}-{number_of_it}");
                let theirs = json!({"code": code, "factor": factor, "period": period.name(), "reference": reference_theirs,
                    "limit": limit, "rounded": rounded, "from": from, "until": until});
                let rule = Rule {
                    id: 0,
                    code,
                    name: String::new(),
                    document: String::new(),
                    kind: Kind::Violation,
                    mark: "V".to_owned(),
                    division: String::new(),
                    industry: String::new(),
                    process: "kiln".to_owned(),
                    factor: factor.to_owned(),
                    limit: Dated { from: moment(from), until: until.map(moment), value: number(limit) },
                    period,
                    reference,
                    comparison: if rounded { Comparison::Rounded } else { Comparison::FullValue },
                    early_warning_ratio: 1.0,
                };
                rules.push((rule, theirs));
            }
        }
    }
    rules
}

/// The case of a seed.
pub fn case(seed: u64) -> Case {
    let mut rng = Rng::with_seed(seed);
    let rng = &mut rng;
    let zone = ZONES[usize::try_from(seed % 4).unwrap()];
    // Some cases lie over the end of a year.
    let day = if rng.u8(0..4) == 0 { pick(rng, &[19_357, 19_722, 20_453]) } else { rng.i64(19_000..21_000) };
    let first = day * 86_400 + if rng.bool() { rng.i64(0..1440) * 60 } else { rng.i64(0..288) * 300 };
    let minutes = if rng.u8(0..12) == 0 { rng.i64(1200..3000) } else { rng.i64(100..500) };
    let drawn = channels(rng, seed % 6 < 2);
    let phases = phases(rng, first, minutes);
    let change = first + rng.i64(0..minutes) * 60;
    let (rules, rules_theirs): (Vec<Rule>, Vec<Value>) = rules(rng, &drawn, change).into_iter().unzip();
    let codes: Vec<&'static str> = drawn.iter().map(|channel| channel.code).collect();
    let of_rules: Vec<(String, i64)> =
        rules.iter().map(|rule| (rule.code.clone(), seconds(rule.period))).collect();
    let last = first + minutes * 60;
    let site = Site {
        codes: &codes,
        first,
        last,
        phases: &phases,
        rules: &of_rules,
        is_lenient: seed.is_multiple_of(3),
    };
    let (law, law_theirs) = Lists::draw(rng, &site).theirs();
    let (scans, scans_theirs) = readings(rng, &drawn, &site);
    let (settings, outlet_theirs) = random::outlet(rng);
    let periods: Vec<&str> = AveragingPeriod::ALL.iter().map(|period| period.name()).collect();
    let channels_theirs: Vec<Value> = drawn.iter().map(Drawn::theirs).collect();
    let enterprise =
        json!({"code": lists::ENTERPRISE, "division": lists::DIVISION, "industry": lists::INDUSTRY});
    let for_the_oracle = json!({"kind": "lawful", "zone": zone, "periods": periods, "code": lists::OUTLET,
        "enterprise": enterprise, "outlet": outlet_theirs, "channels": channels_theirs, "rules": rules_theirs,
        "law": law_theirs, "scans": scans_theirs});
    let outlet = Outlet {
        id: 1,
        code: lists::OUTLET.into(),
        name: String::new(),
        enterprise: std::sync::Arc::new(Enterprise {
            code: lists::ENTERPRISE.to_owned(),
            name: String::new(),
            industry: lists::INDUSTRY.to_owned(),
            division: lists::DIVISION.to_owned(),
            contact: String::new(),
        }),
        settings: History::always(settings),
        channels: drawn.iter().map(random::settings).collect(),
        gateways: Vec::new(),
        rules: rules.into_iter().map(std::sync::Arc::new).collect(),
    };
    let law = Law::of(&law, &outlet);
    Case { zone, outlet, law, scans, for_the_oracle }
}

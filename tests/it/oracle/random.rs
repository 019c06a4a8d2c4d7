//! Random outlets, rules and readings. Every number starts as decimal text, so that both sides get the same one.

use std::sync::Arc;

use cems::domain::average::StoredScan;
use cems::domain::flag::Flag;
use cems::domain::history::{Dated, History};
use cems::domain::limit::{AveragingPeriod, Comparison, Kind, Reference, Rule};
use cems::domain::plant::{
    Channel, ChannelCode, ChannelSettings, CutoffPolicy, Enterprise, Expression, MoistureBasis, Outlet,
    OutletSettings, StateBasis, Unit,
};
use cems::domain::pollutant::{Factor, Role};
use cems::domain::scan::Reading;
use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value, json};

/// One outlet with its readings, for both sides.
pub struct Case {
    pub zone: &'static str,
    pub outlet: Outlet,
    pub periods: Vec<AveragingPeriod>,
    pub scans: Vec<StoredScan>,
    pub for_the_oracle: Value,
}

/// One channel as it is drawn.
pub struct Drawn {
    pub code: &'static str,
    pub role: Role,
    pub unit: Unit,
    pub wet: bool,
    pub actual: bool,
    pub as_no: bool,
    pub molar: Option<&'static str>,
    pub high: &'static str,
    pub low: &'static str,
    pub period_ms: u32,
    /// Mean and spread, in tenths.
    pub around: (i64, i64),
}

impl Drawn {
    /// The code without what tells channels of one factor apart.
    pub fn factor(&self) -> &'static str {
        self.code.split_once('-').map_or(self.code, |(factor, _)| factor)
    }

    /// As the oracle takes it.
    pub fn theirs(&self) -> Value {
        json!({"factor": self.factor(), "role": self.role.name(), "unit": self.unit.name(), "wet": self.wet,
            "actual": self.actual, "as_no": self.as_no, "molar": self.molar, "low": self.low, "high": self.high,
            "period_ms": self.period_ms})
    }
}

pub fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

pub fn channel(
    code: &'static str,
    role: Role,
    unit: Unit,
    (low, high): (&'static str, &'static str),
    around: (i64, i64),
) -> Drawn {
    Drawn {
        code,
        role,
        unit,
        wet: false,
        actual: false,
        as_no: false,
        molar: None,
        high,
        low,
        period_ms: 0,
        around,
    }
}

/// A flow may be wet or dry, as it flows or at standard state.
fn take_flow_and_period(rng: &mut Rng, channel: &mut Drawn, period_ms: u32) {
    channel.period_ms = period_ms;
    if channel.role == Role::Flow {
        (channel.wet, channel.actual) = (rng.bool(), rng.bool());
    }
}

fn channels(rng: &mut Rng, period_ms: u32) -> Vec<Drawn> {
    let mg = ("0", "400");
    let mut drawn = Vec::new();
    let so2_unit = if rng.u8(0..3) == 0 { Unit::Ppm } else { Unit::MgPerM3 };
    drawn.push(Drawn {
        molar: Some("64.06"),
        wet: rng.bool(),
        actual: rng.bool(),
        ..channel("a21026", Role::Pollutant, so2_unit, mg, (350, 150))
    });
    if rng.bool() {
        let around = (600, 500);
        drawn.push(Drawn {
            as_no: rng.bool(),
            wet: rng.bool(),
            ..channel("a21002", Role::Pollutant, Unit::MgPerM3, mg, around)
        });
    }
    if rng.bool() {
        drawn.push(Drawn {
            wet: true,
            actual: true,
            ..channel("a34013", Role::Pollutant, Unit::MgPerM3, ("0", "12"), (80, 50))
        });
    }
    if rng.u8(0..8) > 0 {
        // Often near the cut-off of 19.
        let around = if rng.bool() { (95, 30) } else { (185, 12) };
        drawn.push(Drawn {
            wet: rng.bool(),
            ..channel("a19001", Role::Oxygen, Unit::Percent, ("0", "25"), around)
        });
    }
    if rng.u8(0..8) > 0 {
        drawn.push(channel("a01012", Role::Temperature, Unit::Celsius, ("-20", "400"), (1200, 300)));
    }
    if rng.bool() {
        drawn.push(channel("a01013", Role::StaticPressure, Unit::Kilopascal, ("-10", "10"), (-12, 5)));
    }
    if rng.u8(0..4) == 0 {
        drawn.push(channel(
            "a01006",
            Role::AmbientPressure,
            Unit::Pascal,
            ("50000", "120000"),
            (1_000_000, 20_000),
        ));
    }
    if rng.bool() {
        drawn.push(channel("a01014", Role::Moisture, Unit::Percent, ("0", "40"), (100, 60)));
    }
    match rng.u8(0..4) {
        0 => drawn.push(channel("a00000", Role::Flow, Unit::CubicMetrePerSecond, ("0", "300"), (700, 100))),
        1 => drawn.push(channel(
            "a00000",
            Role::Flow,
            Unit::CubicMetrePerHour,
            ("0", "900000"),
            (2_500_000, 90_000),
        )),
        2 => drawn.push(channel("a01011", Role::Velocity, Unit::MetrePerSecond, ("0", "40"), (120, 30))),
        _ => {}
    }
    for channel in &mut drawn {
        take_flow_and_period(rng, channel, period_ms);
    }
    if period_ms <= 60_000 && rng.u8(0..3) == 0 {
        let cycle = [120_000, 180_000, 300_000][rng.usize(0..3)];
        let nmhc = channel("a24088", Role::Pollutant, Unit::Ppm, mg, (300, 200));
        drawn.push(Drawn { molar: Some("12"), period_ms: cycle, ..nmhc });
    }
    drawn
}

pub fn tenths(value: i64) -> String {
    format!("{}{}.{}", if value < 0 { "-" } else { "" }, value.abs() / 10, value.abs() % 10)
}

/// Runs of one flag, so that hours lose whole quarters and not only single values.
pub struct Weather {
    pub flag: Flag,
    pub left: u32,
}

impl Weather {
    pub fn next(&mut self, rng: &mut Rng) -> Flag {
        if self.left == 0 {
            let bad = [
                Flag::Calibration,
                Flag::Maintenance,
                Flag::Fault,
                Flag::OverRange,
                Flag::Communication,
                Flag::SetByHand,
                Flag::InstrumentOff,
            ];
            let normal = rng.u8(0..3) > 0;
            self.flag = if normal { Flag::Normal } else { bad[rng.usize(0..bad.len())] };
            self.left = if normal { rng.u32(1..200) } else { rng.u32(1..40) };
        }
        self.left -= 1;
        self.flag
    }
}

type Texts = Vec<(Option<String>, Flag)>;

fn readings(rng: &mut Rng, drawn: &[Drawn], weather: &mut [Weather], at_s: i64) -> Texts {
    let draw = |(channel, weather): (&Drawn, &mut Weather)| {
        if channel.period_ms > 60_000
            && channel.period_ms < 3_600_000
            && at_s * 1000 % i64::from(channel.period_ms) != 0
        {
            return (None, Flag::Absent);
        }
        let flag = weather.next(rng);
        let value = channel.around.0 + rng.i64(-channel.around.1..=channel.around.1);
        let text = tenths(if rng.u16(0..500) == 0 { value * 20 } else { value });
        match flag {
            Flag::Communication => (None, flag),
            Flag::Normal
            | Flag::InstrumentOff
            | Flag::Maintenance
            | Flag::SetByHand
            | Flag::Fault
            | Flag::Calibration
            | Flag::OverRange
            | Flag::Absent => (Some(text), flag),
        }
    };
    drawn.iter().zip(weather).map(draw).collect()
}

/// Ticks: dense minutes from scans, a day or two of minutes, or years of hours; with gaps.
fn ticks(rng: &mut Rng) -> (u32, Vec<i64>, Vec<AveragingPeriod>) {
    let start = rng.i64(1_640_995_200 / 86_400..1_830_297_600 / 86_400) * 86_400 + rng.i64(0..24) * 3600;
    let up_to =
        |last: AveragingPeriod| AveragingPeriod::ALL.into_iter().filter(|period| *period <= last).collect();
    let gaps = |rng: &mut Rng, count: i64, step: i64, longest: i64| {
        let mut ticks = Vec::new();
        let mut index = 0;
        while index < count {
            if rng.u16(0..200) == 0 {
                index += rng.i64(1..longest);
            }
            ticks.push(start + index * step);
            index += 1;
        }
        ticks
    };
    match rng.u8(0..8) {
        0 => (5000, gaps(rng, 12 * 25, 5, 30), up_to(AveragingPeriod::Hour)),
        1 => (2000, gaps(rng, 30 * 8, 2, 60), up_to(AveragingPeriod::HalfHour)),
        2 => (20_000, gaps(rng, 3 * 50, 20, 30), up_to(AveragingPeriod::Hour)),
        3 => {
            let longest = if rng.u8(0..8) == 0 { 400 } else { 100 };
            let days = rng.i64(20..longest);
            let periods =
                AveragingPeriod::ALL.into_iter().filter(|period| *period >= AveragingPeriod::Hour).collect();
            (3_600_000, gaps(rng, 24 * days, 3600, 60), periods)
        }
        _ => {
            let longest = if rng.u8(0..4) == 0 { 40 } else { 8 };
            let hours = rng.i64(2..longest);
            (60_000, gaps(rng, 60 * hours, 60, 40), up_to(AveragingPeriod::Day))
        }
    }
}

fn rules(rng: &mut Rng, drawn: &[Drawn], first: i64, periods: &[AveragingPeriod]) -> Vec<(Rule, Value)> {
    let limits = ["20", "35", "35.5", "50", "100", "0.05", "60"];
    let mut rules = Vec::new();
    for (index, channel) in drawn.iter().enumerate().filter(|(_, channel)| channel.role == Role::Pollutant) {
        for _one in 0..rng.u8(1..4) {
            let limit = limits[rng.usize(0..limits.len())];
            let period = periods[rng.usize(0..periods.len())];
            let (reference, theirs) = match rng.u8(0..4) {
                0 => (Reference::None, Value::Null),
                1 => (Reference::ExcessAir(1.7), json!({"alpha": "1.7"})),
                2 => (Reference::OxygenPercent(10.0), json!({"oxygen": "10"})),
                _ => (Reference::OxygenPercent(3.5), json!({"oxygen": "3.5"})),
            };
            let rounded = rng.bool();
            let from = first - rng.i64(0..3) * 86_400 + rng.i64(0..20_000);
            let until = rng.bool().then(|| from + rng.i64(86_400..900_000));
            let id = i32::try_from(rules.len()).unwrap();
            let moment = |second: i64| Timestamp::from_second(second).unwrap();
            let limit_in_time = Dated { from: moment(from), until: until.map(moment), value: number(limit) };
            let rule = Rule {
                id,
                code: format!("rule-{id}"),
                name: String::new(),
                document: String::new(),
                kind: Kind::Violation,
                mark: "V".to_owned(),
                division: String::new(),
                industry: String::new(),
                process: "kiln".to_owned(),
                factor: channel.code.to_owned(),
                limit: limit_in_time,
                period,
                reference,
                comparison: if rounded { Comparison::Rounded } else { Comparison::FullValue },
                early_warning_ratio: 1.0,
            };
            let theirs = json!({"channel": index, "period": period.name(), "reference": theirs, "limit": limit,
                "rounded": rounded, "from": from, "until": until});
            rules.push((rule, theirs));
        }
    }
    rules
}

pub fn outlet(rng: &mut Rng) -> (OutletSettings, Value) {
    let policy = CutoffPolicy::ALL[rng.usize(0..3)];
    let air = if rng.bool() { "21" } else { "20.9" };
    let reference = rng.bool().then_some("10");
    let moisture = (rng.u8(0..4) > 0).then_some("0.08");
    let area = (rng.u8(0..4) > 0).then_some("7.5");
    let settings = OutletSettings {
        process: "kiln".to_owned(),
        reference_oxygen_percent: reference.map(number),
        oxygen_of_air_percent: number(air),
        oxygen_cutoff_percent: 19.0,
        cutoff_policy: policy,
        ambient_pressure_pa: 100_500.0,
        moisture_fraction: moisture.map(number),
        area_m2: area.map(number),
        velocity_coefficient: 0.98,
    };
    let theirs = json!({"reference": reference, "air": air, "cutoff": "19", "policy": policy.name(), "ambient_pa": "100500",
        "moisture": moisture, "area": area, "kv": "0.98"});
    (settings, theirs)
}

pub fn settings(drawn: &Drawn) -> Channel {
    Channel {
        code: ChannelCode::new(drawn.code).unwrap(),
        factor: std::sync::Arc::new(Factor {
            code: drawn.factor().to_owned(),
            symbol: drawn.code.to_owned(),
            role: drawn.role,
            molar_mass: drawn.molar.map(number),
        }),
        settings: History::always(ChannelSettings {
            analyser: "gas".into(),
            unit: drawn.unit,
            moisture_basis: if drawn.wet { MoistureBasis::Wet } else { MoistureBasis::Dry },
            state_basis: if drawn.actual { StateBasis::Actual } else { StateBasis::Standard },
            expression: if drawn.as_no { Expression::AsNo } else { Expression::AsNamed },
            range: (number(drawn.low), number(drawn.high)),
            period_ms: drawn.period_ms,
            decimals: 1,
        }),
    }
}

/// The case of a seed.
pub fn case(seed: u64) -> Case {
    let mut rng = Rng::with_seed(seed);
    let zone = ["UTC", "Asia/Shanghai", "America/New_York", "Pacific/Apia"][rng.usize(0..4)];
    let (period_ms, ticks, periods) = ticks(&mut rng);
    let drawn = channels(&mut rng, period_ms);
    let (outlet_settings, outlet_theirs) = outlet(&mut rng);
    let (rules, rules_theirs): (Vec<Rule>, Vec<Value>) =
        rules(&mut rng, &drawn, ticks[0], &periods).into_iter().unzip();
    let mut weather: Vec<Weather> = drawn.iter().map(|_| Weather { flag: Flag::Normal, left: 0 }).collect();
    let texts: Vec<(i64, Texts)> =
        ticks.iter().map(|at| (*at, readings(&mut rng, &drawn, &mut weather, *at))).collect();
    let scans = texts.iter().map(|(at, texts)| StoredScan {
        at: Timestamp::from_second(*at).unwrap(),
        readings: texts
            .iter()
            .map(|(text, flag)| Reading { value: text.as_deref().map(number), flag: *flag })
            .collect(),
    });
    let scans: Vec<StoredScan> = scans.collect();
    let scans_theirs: Vec<Value> = texts
        .iter()
        .map(|(at, texts)| {
            let readings: Vec<Value> =
                texts.iter().map(|(text, flag)| json!([text, flag.letter().to_string()])).collect();
            json!([at * 1_000_000, readings])
        })
        .collect();
    let channels_theirs: Vec<Value> = drawn.iter().map(Drawn::theirs).collect();
    let names: Vec<&str> = periods.iter().map(|period| period.name()).collect();
    let for_the_oracle = json!({"zone": zone, "periods": names, "outlet": outlet_theirs, "channels": channels_theirs,
        "rules": rules_theirs, "scans": scans_theirs});
    let nobody = Enterprise {
        code: String::new(),
        name: String::new(),
        industry: String::new(),
        division: String::new(),
        contact: String::new(),
    };
    let outlet = Outlet {
        id: 1,
        code: "kiln".into(),
        name: "Kiln".to_owned(),
        enterprise: Arc::new(nobody),
        settings: History::always(outlet_settings),
        channels: drawn.iter().map(settings).collect(),
        gateways: Vec::new(),
        rules: rules.into_iter().map(Arc::new).collect(),
    };
    Case { zone, outlet, periods, scans, for_the_oracle }
}

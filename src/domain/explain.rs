//! How a number came about: every step from the recorded reading to the verdict, worked out again from the stored scans by
//! the same functions that made the stored figures, and compared with them. Nothing here is stored.

/// Windows.
mod account;
/// What is stored.
mod evidence;
/// What the source was doing; substitutes.
mod source;
/// For people at a terminal.
mod text;
/// What is said of the hour.
mod verdicts;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::domain::correction::{Conditions, Step, Witness};
use crate::domain::evaluation::{ChannelValue, Evaluated, evaluate};
use crate::domain::flag::Flag;
use crate::domain::judgement::Ground;
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::{Channel, ChannelSettings, Outlet, Position};
use crate::domain::pollutant::Role;
use crate::domain::regime::Regime;
use crate::domain::scan::Reading;
use crate::domain::window::Window;

use source::substitute_account;

pub use account::WindowAccount;
pub use evidence::{
    Evidence, Provenance, RecordedScan, StoredSubstitute, StoredVerdict, StoredWindow, Submitted,
};
pub use source::{MarkAccount, SourceAccount, SubstituteAccount};
pub use verdicts::VerdictAccount;

/// Everything about one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    pub outlet: String,
    pub outlet_name: String,
    pub enterprise: String,
    pub process: Option<String>,
    pub asked: Timestamp,
    pub method: &'static str,
    pub scan: Option<ScanAccount>,
    /// What is missing, in words.
    pub notes: Vec<String>,
    /// What the source was doing in the hour, by signals and by marks.
    pub source: SourceAccount,
    pub submitted: Option<Submitted>,
    pub channels: Vec<ChannelAccount>,
    /// So many stored figures were compared with recomputed ones.
    pub compared: usize,
    /// Those that differ. Empty is as it should be.
    pub differences: Vec<Difference>,
}

/// The scan that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScanAccount {
    pub at: Timestamp,
    /// False: the nearest before `asked`.
    pub exact: bool,
    pub received_at: Timestamp,
    pub record: Provenance,
    pub conditions: Vec<Condition>,
}

/// One property of the gas at the scan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Condition {
    pub name: &'static str,
    pub value: Option<f64>,
    pub unit: &'static str,
    /// Which channel or constant gives it.
    pub source: String,
}

/// One channel from reading to verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChannelAccount {
    pub channel: String,
    pub symbol: String,
    pub unit: Option<&'static str>,
    pub analyser: Option<String>,
    pub reading: Option<ReadingAccount>,
    pub minute: WindowAccount,
    pub hour: WindowAccount,
    /// On the hour: rules, orders.
    pub verdicts: Vec<VerdictAccount>,
    /// Of the hour's mass, where it is missing.
    pub substitute: Option<SubstituteAccount>,
}

/// One reading.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReadingAccount {
    /// As recorded.
    pub measured: Option<f64>,
    pub device_flag: char,
    /// After validation.
    pub flag: char,
    pub counts: bool,
    pub validation: String,
    pub steps: Vec<Step>,
    pub standard: Option<f64>,
    pub dry: Option<f64>,
    pub corrected: Option<f64>,
}

/// A stored figure that does not come out again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is a figure of.
    pub of: String,
    pub figure: &'static str,
    pub stored: String,
    pub recomputed: String,
}

/// Keeps steps by channel.
#[derive(Debug, Default)]
struct ByChannel {
    now: Position,
    steps: BTreeMap<Position, Vec<Step>>,
}

impl ByChannel {
    fn take(&mut self, position: Position) -> Vec<Step> {
        self.steps.remove(&position).unwrap_or_default()
    }
}

impl Witness for ByChannel {
    fn step(&mut self, describe: impl FnOnce() -> Step) {
        self.steps.entry(self.now).or_default().push(describe());
    }

    fn turn_to(&mut self, position: Position) {
        self.now = position;
    }
}

/// Counts comparisons and keeps those that fail.
#[derive(Debug, Default)]
struct Comparison {
    compared: usize,
    differences: Vec<Difference>,
}

impl Comparison {
    fn compare(&mut self, of: &str, figure: &'static str, stored: &str, recomputed: &str) {
        self.compared += 1;
        if stored != recomputed {
            self.differences.push(Difference {
                of: of.to_owned(),
                figure,
                stored: stored.to_owned(),
                recomputed: recomputed.to_owned(),
            });
        }
    }

    /// Numbers are equal when their shortest forms are: the same double, with one zero.
    fn numbers(&mut self, of: &str, figure: &'static str, stored: Option<f64>, recomputed: Option<f64>) {
        self.compare(of, figure, &number(stored), &number(recomputed));
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or("none".to_owned(), |value| format!("{}", value + 0.0))
}

/// Explains the channels at `positions`.
pub fn explain(
    outlet: &Outlet,
    positions: &[Position],
    evidence: &Evidence,
    (regime, zone): (&Regime, &TimeZone),
) -> Explanation {
    let mut comparison = Comparison::default();
    let mut notes = Vec::new();
    let asked = evidence.asked;
    let mut witness = ByChannel::default();
    let evaluated = evidence
        .scan
        .as_ref()
        .map(|scan| (scan, evaluate(outlet, scan.at, &scan.readings, regime, &mut witness)));
    if evaluated.is_none() {
        notes.push(format!("no scan at {asked}, nor shortly before it"));
    }
    if outlet.settings.at(asked).is_none() {
        notes.push(format!("the outlet was not registered at {asked}: nothing can be converted or judged"));
    }
    let hour = Window::containing(AveragingPeriod::Hour, asked, zone);
    let ground = Ground { outlet, law: &evidence.law, regime, zone };
    let mut windows = account::Windows::recompute(&ground, evidence, hour);
    notes.append(&mut windows.notes);
    let judged = windows.judged(&ground);
    let mut channels = Vec::with_capacity(positions.len());
    for (position, channel) in outlet.channels.iter().enumerate().filter(|one| positions.contains(&one.0)) {
        let at = evidence.scan.as_ref().map_or(asked, |scan| scan.at);
        let settings = channel.settings.at(at);
        let reading = evaluated.as_ref().map(|(scan, evaluated)| {
            let steps = witness.take(position);
            compare_reading(scan, (position, channel), evaluated, &mut comparison);
            reading(scan, (position, channel), evaluated, steps)
        });
        windows.compare(position, channel, evidence, &mut comparison);
        channels.push(ChannelAccount {
            channel: channel.code.to_string(),
            symbol: channel.factor.symbol.clone(),
            unit: settings.map(|settings| settings.unit.name()),
            analyser: settings.map(|settings| settings.analyser.to_string()),
            reading,
            minute: windows.minute_account(position, evidence),
            hour: windows.hour_account(position, evidence),
            verdicts: judged.accounts(position, evidence, &mut comparison),
            substitute: substitute_account(position, evidence, &mut comparison),
        });
    }
    judged.compare(evidence, &mut comparison);
    Explanation {
        outlet: outlet.code.to_string(),
        outlet_name: outlet.name.clone(),
        enterprise: outlet.enterprise.name.clone(),
        process: outlet.settings.at(asked).map(|settings| settings.process.clone()),
        asked,
        method: regime.name,
        scan: evaluated.map(|(scan, evaluated)| scan_account(outlet, scan, asked, &evaluated.conditions)),
        notes,
        source: windows.source(&ground),
        submitted: evidence.submitted.clone(),
        channels,
        compared: comparison.compared,
        differences: comparison.differences,
    }
}

fn scan_account(outlet: &Outlet, scan: &RecordedScan, asked: Timestamp, gas: &Conditions) -> ScanAccount {
    let channel_of = |role: Role| {
        let mut in_use = outlet.channels.iter().filter(|channel| channel.settings.at(scan.at).is_some());
        in_use.find(|channel| channel.factor.role == role).map(|channel| channel.code.to_string())
    };
    let or_constant = |role: Role| channel_of(role).unwrap_or_else(|| "constant of the outlet".to_owned());
    let measured = |role: Role| channel_of(role).unwrap_or_else(|| "not measured".to_owned());
    let condition = |name, value, unit, source| Condition { name, value, unit, source };
    let pressure = format!(
        "ambient: {}; static: {}",
        or_constant(Role::AmbientPressure),
        channel_of(Role::StaticPressure).unwrap_or_else(|| "not measured, 0".to_owned())
    );
    ScanAccount {
        at: scan.at,
        exact: scan.at == asked,
        received_at: scan.received_at,
        record: scan.provenance.clone(),
        conditions: vec![
            condition("ts", gas.temperature_c, "C", measured(Role::Temperature)),
            condition("Ba+Ps", gas.pressure_pa, "Pa", pressure),
            condition("Xsw", gas.moisture_fraction, "fraction", or_constant(Role::Moisture)),
            condition("O2", gas.oxygen_percent, "%, dry", measured(Role::Oxygen)),
        ],
    }
}

fn value_of(evaluated: &Evaluated, position: Position) -> Option<&ChannelValue> {
    evaluated.channels.get(position)
}

fn compare_reading(
    scan: &RecordedScan,
    (position, channel): (Position, &Channel),
    evaluated: &Evaluated,
    comparison: &mut Comparison,
) {
    let Some(value) = value_of(evaluated, position) else { return };
    let of = format!("scan {} {}", scan.at, channel.code);
    let stored = scan.checked.chars().nth(position).unwrap_or('-');
    comparison.compare(&of, "flag after validation", &stored.to_string(), &value.flag.letter().to_string());
    let stored = scan.corrected.get(position).copied().flatten();
    comparison.numbers(&of, "corrected", stored, value.corrected);
}

fn reading(
    scan: &RecordedScan,
    (position, channel): (Position, &Channel),
    evaluated: &Evaluated,
    steps: Vec<Step>,
) -> ReadingAccount {
    let recorded = scan.readings.get(position).copied().unwrap_or(Reading::ABSENT);
    let value = value_of(evaluated, position);
    let flag = value.map_or(Flag::Absent, |value| value.flag);
    ReadingAccount {
        measured: recorded.value,
        device_flag: recorded.flag.letter(),
        flag: flag.letter(),
        counts: value.is_some_and(|value| value.counts(channel.factor.role)),
        validation: validation(recorded, flag, channel.settings.at(scan.at)),
        steps,
        standard: value.and_then(|value| value.bases.standard),
        dry: value.and_then(|value| value.bases.dry),
        corrected: value.and_then(|value| value.corrected),
    }
}

/// Why a reading counts or not, in words.
fn validation(recorded: Reading, flag: Flag, settings: Option<&ChannelSettings>) -> String {
    let Some(settings) = settings else { return "the channel was not in use: nothing counts".to_owned() };
    let (low, high) = settings.range;
    let range = format!("{low} to {high} {}", settings.unit.name());
    match (recorded.flag, flag) {
        (Flag::Absent, _) => "the record has no reading of this channel".to_owned(),
        (Flag::Normal, Flag::Normal) => format!("normal, possible and within the range {range}"),
        (Flag::Normal, Flag::OverRange) => format!("above the range {range}: flag T, does not count"),
        (Flag::Normal, _) => {
            format!("below the range {range}, or impossible: flag {}, does not count", flag.letter())
        }
        (device, _) => format!("the gateway recorded flag {}: does not count", device.letter()),
    }
}

#[cfg(test)]
mod tests;

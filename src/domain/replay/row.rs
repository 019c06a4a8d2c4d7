//! What is published of a window: one row a channel. The field names and their order are a public interface.

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::average::{ChannelAverage, kilograms};
use crate::domain::flag::{Flag, Status};
use crate::domain::judgement::Judged;
use crate::domain::plant::{Outlet, Position};
use crate::domain::quota::{Quota, Used};
use crate::domain::regime::Regime;
use crate::domain::replay::Closed;
use crate::domain::substitution::{Finality, Quarter, Substitute, Table};
use crate::domain::window::Window;

/// One channel in one window, as it is published.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row<'p> {
    pub outlet: &'p str,
    pub channel: &'p str,
    pub period: &'static str,
    /// Start of the window.
    pub start: Timestamp,
    /// `computed`: by us, from readings.
    pub origin: &'static str,
    pub measured: Option<f64>,
    pub standard: Option<f64>,
    pub dry: Option<f64>,
    pub corrected: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub n_valid: u32,
    pub n_expected: u32,
    pub status: &'static str,
    pub flag: char,
    pub valid: bool,
    pub mass_kg: Option<f64>,
    pub method: &'static str,
    pub revision: u32,
    pub verdicts: Vec<RowVerdict<'p>>,
    /// Of an hour whose mass is substituted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub substitute: Option<RowSubstitute>,
    /// Substituted in the hours of a day and longer, beside `mass_kg`; absent where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub substituted_kg: Option<f64>,
    /// Of a quarter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture: Option<RowCapture>,
}

/// What one rule says of a row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowVerdict<'p> {
    pub rule: &'p str,
    pub kind: &'static str,
    pub reference_oxygen: Option<f64>,
    pub corrected: Option<f64>,
    pub limit: f64,
    pub comparison: &'static str,
    pub verdict: &'static str,
    pub ratio_over: Option<f64>,
    /// What a court asks besides; absent where there is nothing to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// The mass that stands in for a missing one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowSubstitute {
    pub table: &'static str,
    /// `table-5` (out of control) or `table-6` (maintenance and other).
    pub situation: &'static str,
    pub mass_kg: f64,
    /// The hour whose mass it is.
    pub from_hour: Timestamp,
    pub look_back: usize,
    pub looked_back: usize,
    pub gap_hours: u32,
    /// The quarter's capture rate, the rest cut off.
    pub capture: String,
    pub provisional: bool,
}

/// A quarter's valid capture rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowCapture {
    pub hours: u64,
    pub stopped: u64,
    pub invalid: u64,
    pub rate: String,
    pub provisional: bool,
    /// Hours that need a substitute and have none.
    pub without_substitute: usize,
}

impl RowSubstitute {
    /// As published.
    pub fn of(table: &Table, quarter: &Quarter, substitute: &Substitute) -> RowSubstitute {
        RowSubstitute {
            table: table.name,
            situation: substitute.situation.name(),
            mass_kg: kilograms(substitute.mass_mg),
            from_hour: substitute.from_hour,
            look_back: substitute.look_back,
            looked_back: substitute.looked_back,
            gap_hours: substitute.gap_hours,
            capture: quarter.rate().to_string(),
            provisional: quarter.finality == Finality::Provisional,
        }
    }
}

impl RowCapture {
    /// As published.
    pub fn of(quarter: &Quarter) -> RowCapture {
        RowCapture {
            hours: quarter.capture.hours,
            stopped: quarter.capture.stopped,
            invalid: quarter.capture.invalid,
            rate: quarter.rate().to_string(),
            provisional: quarter.finality == Finality::Provisional,
            without_substitute: quarter.without.len(),
        }
    }
}

/// The rows of one window, by position, each with what is said of its channel and of the outlet as a whole.
pub fn rows<'c, 'p>(
    outlet: &'p Outlet,
    closed: &'c Closed<'c, 'p>,
    regime: &'c Regime,
) -> impl Iterator<Item = (Position, Row<'p>)> + 'c {
    let shown: Vec<(Vec<Position>, &Judged<'p>)> =
        closed.judged.iter().map(|one| (one.shown_at(outlet), one)).collect();
    closed.averages.iter().zip(&outlet.channels).enumerate().map(move |(position, (average, channel))| {
        let of_channel = shown.iter().filter(|(positions, _)| positions.contains(&position));
        let verdicts = of_channel.map(|(_, one)| verdict(one, closed.window)).collect();
        (position, row((&outlet.code, channel.code.as_str()), closed.window, average, (regime, verdicts)))
    })
}

/// The row of an hour in which nothing was read, so that its substitute has a place.
pub fn empty_row<'p>(
    outlet: &'p Outlet,
    (window, position): (Window, Position),
    n_expected: u32,
    regime: &Regime,
) -> Option<Row<'p>> {
    let channel = outlet.channels.get(position)?;
    let nothing = ChannelAverage {
        measured: None,
        standard: None,
        dry: None,
        corrected: None,
        min: None,
        max: None,
        n_valid: 0,
        n_expected,
        status: Status::NoData,
        flag: Flag::Fault,
        valid: false,
        mass_mg: None,
    };
    Some(row((&outlet.code, channel.code.as_str()), window, &nothing, (regime, Vec::new())))
}

fn row<'p>(
    (outlet, channel): (&'p str, &'p str),
    window: Window,
    average: &ChannelAverage,
    (regime, verdicts): (&Regime, Vec<RowVerdict<'p>>),
) -> Row<'p> {
    Row {
        outlet,
        channel,
        period: window.period.name(),
        start: window.start,
        origin: "computed",
        measured: average.measured,
        standard: average.standard,
        dry: average.dry,
        corrected: average.corrected,
        min: average.min,
        max: average.max,
        n_valid: average.n_valid,
        n_expected: average.n_expected,
        status: average.status.code(),
        flag: average.flag.letter(),
        valid: average.valid,
        mass_kg: average.mass_mg.map(kilograms),
        method: regime.name,
        revision: 1,
        verdicts,
        substitute: None,
        substituted_kg: None,
        capture: None,
    }
}

fn verdict<'p>(one: &Judged<'p>, window: Window) -> RowVerdict<'p> {
    RowVerdict {
        rule: one.by.code(),
        kind: one.by.kind().name(),
        reference_oxygen: one.by.reference_oxygen(),
        corrected: one.verdict.corrected,
        limit: one.verdict.limit,
        comparison: one.by.comparison(window),
        verdict: one.verdict.outcome.name(),
        ratio_over: one.verdict.ratio_over,
        remark: one.remark.clone(),
    }
}

/// What a quota says at the end of a day: tonnes used of tonnes permitted.
pub fn quota_verdict<'p>(quota: &'p Quota, used: &Used) -> RowVerdict<'p> {
    let verdict = used.verdict();
    RowVerdict {
        rule: &quota.code,
        kind: "violation",
        reference_oxygen: None,
        corrected: verdict.corrected,
        limit: verdict.limit,
        comparison: "full-value",
        verdict: verdict.outcome.name(),
        ratio_over: verdict.ratio_over,
        remark: Some(used.told()),
    }
}

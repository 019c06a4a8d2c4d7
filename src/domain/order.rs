//! Orders to stop, to reduce or to keep a temporary limit (heavy-pollution weather, staggered production), for an enterprise, a
//! production line or an outlet and for a time. An hour in which an outlet emits against an order is an exceedance of that
//! order, beside and apart from every other rule.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::average::snap;
use crate::domain::exceedance::Outcome;
use crate::domain::history::Dated;
use crate::domain::limit::{AveragingPeriod, Comparison, Kind, Reference, Rule};
use crate::domain::plant::ChannelCode;
use crate::domain::share::Percent;
use crate::domain::source_state::{Basis, SourceState};
use crate::domain::times::Times;
use crate::domain::validity::Sourced;

/// A production line with the outlets that it feeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub code: String,
    /// Credit code.
    pub enterprise: String,
    pub outlets: Vec<String>,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub code: String,
    pub name: String,
    pub document: String,
    pub scope: Scope,
    pub times: Times,
    pub demand: Demand,
}

/// Whom it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Credit code.
    Enterprise(String),
    /// Code of a line.
    Line(String),
    /// Code of an outlet.
    Outlet(String),
}

/// What it asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// Nothing is emitted. An hour above one of the thresholds emits, whatever its state.
    Stop { thresholds: Vec<Threshold> },
    /// At most (1 - percent) of a reference rate.
    Reduce { percent: Percent, measure: Measure, reference: f64 },
    /// A concentration is kept.
    Limit { pollutant: String, limit_mg_m3: f64, reference_oxygen_percent: Option<f64>, comparison: Full },
}

/// How a temporary limit is compared; as [`Comparison`], in a form that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Full {
    FullValue,
    Rounded,
}

impl Full {
    /// The same, as rules have it.
    pub const fn comparison(self) -> Comparison {
        match self {
            Full::FullValue => Comparison::FullValue,
            Full::Rounded => Comparison::Rounded,
        }
    }
}

impl Demand {
    /// As written in files and answers.
    pub const fn name(&self) -> &'static str {
        match self {
            Demand::Stop { .. } => "stop",
            Demand::Reduce { .. } => "reduce",
            Demand::Limit { .. } => "limit",
        }
    }
}

/// What is measured of an hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Dry standard flow, m3/h.
    Flow,
    /// Emission of a pollutant, kg/h.
    Mass(String),
    /// The hour's mean of a channel (load, feed), in its unit.
    Channel(ChannelCode),
}

/// An hour above this emits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    pub measure: Measure,
    pub above: f64,
}

/// One hour of one outlet, as orders look at it.
pub struct Hour<'h> {
    pub start: Timestamp,
    /// The states of its minutes.
    pub minutes: &'h [Sourced<'h>],
    /// What was measured: dry standard flow m3/h, kg/h, the mean of a channel; `None` where nothing valid was.
    pub measured: &'h dyn Fn(&Measure) -> Option<f64>,
}

/// What an order says of an hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OrderVerdict {
    pub outcome: Outcome,
    /// What was compared, in the unit of the measure; of a stop that was not kept by its state, the minutes it ran.
    pub value: Option<f64>,
    pub allowed: f64,
    /// value/allowed - 1, when exceeded and something is allowed.
    pub ratio_over: Option<f64>,
}

/// Judges one hour by an order in force at its start. `None` for a temporary limit, which is judged as a rule: see [`as_rule`].
pub fn judge_order(order: &Order, hour: &Hour<'_>) -> Option<OrderVerdict> {
    match &order.demand {
        Demand::Stop { thresholds } => Some(stopped(thresholds, hour)),
        Demand::Reduce { percent, measure, reference } => {
            let left = f64::from(10_000_u32.saturating_sub(percent.in_hundredths())) / 10_000.0;
            Some(kept((hour.measured)(measure), snap(reference * left)))
        }
        Demand::Limit { .. } => None,
    }
}

fn kept(value: Option<f64>, allowed: f64) -> OrderVerdict {
    let Some(value) = value.filter(|value| value.is_finite()).map(snap) else {
        return OrderVerdict { outcome: Outcome::NotValid, value: None, allowed, ratio_over: None };
    };
    let exceeded = value > allowed;
    let ratio = exceeded.then(|| snap(value / allowed - 1.0)).filter(|ratio| ratio.is_finite());
    let outcome = if exceeded { Outcome::Exceeded } else { Outcome::Met };
    OrderVerdict { outcome, value: Some(value), allowed, ratio_over: ratio }
}

/// An hour emits when a threshold is passed, or when signals (not merely the lack of them) say of some minute that the source
/// is not stopped. A mark alone keeps no order that signals contradict; where nothing is known, nothing is judged.
fn stopped(thresholds: &[Threshold], hour: &Hour<'_>) -> OrderVerdict {
    let mut seen = false;
    for threshold in thresholds {
        let verdict = kept((hour.measured)(&threshold.measure), threshold.above);
        match verdict.outcome {
            Outcome::Exceeded => return verdict,
            Outcome::Met => seen = true,
            Outcome::NotValid
            | Outcome::NotConvertible
            | Outcome::Exempt
            | Outcome::NotMet
            | Outcome::NotInForce => {}
        }
    }
    let known = |minute: &&Sourced<'_>| {
        minute.observed.basis == Basis::Signals || minute.is_marked() || minute.contested.is_some()
    };
    let runs = |minute: &&Sourced<'_>| known(minute) && minute.state != SourceState::Stopped;
    seen |= hour.minutes.iter().any(|minute| known(&minute));
    let running = hour.minutes.iter().filter(runs).count();
    let minutes = u32::try_from(running).map_or(f64::NAN, f64::from);
    let outcome = if running > 0 {
        Outcome::Exceeded
    } else if seen {
        Outcome::Met
    } else {
        Outcome::NotValid
    };
    OrderVerdict { outcome, value: seen.then_some(minutes), allowed: 0.0, ratio_over: None }
}

/// A temporary limit as a rule on hourly means, so that it is judged like every other. `None` for other demands.
pub fn as_rule(order: &Order, process: &str) -> Option<Rule> {
    let Demand::Limit { pollutant, limit_mg_m3, reference_oxygen_percent, comparison } = &order.demand else {
        return None;
    };
    Some(Rule {
        id: 0,
        code: order.code.clone(),
        name: order.name.clone(),
        document: order.document.clone(),
        kind: Kind::Order,
        mark: "V".to_owned(),
        division: String::new(),
        industry: String::new(),
        process: process.to_owned(),
        factor: pollutant.clone(),
        limit: Dated { from: order.times.from, until: order.times.until, value: *limit_mg_m3 },
        period: AveragingPeriod::Hour,
        reference: reference_oxygen_percent.map_or(Reference::None, Reference::OxygenPercent),
        comparison: comparison.comparison(),
        early_warning_ratio: 1.0,
    })
}

#[cfg(test)]
mod tests;

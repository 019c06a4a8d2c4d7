//! Who judges, and what each is called.

use crate::domain::assessment::Assessment;
use crate::domain::furnace::FurnaceRule;
use crate::domain::limit::{AveragingPeriod, Kind, Reference, Rule};
use crate::domain::order::{Demand, Measure, Order};
use crate::domain::window::Window;

/// Who judges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum By<'g> {
    Rule(&'g Rule),
    Order(&'g Order),
    Furnace(&'g FurnaceRule),
    Assessment(&'g Assessment),
}

impl<'g> By<'g> {
    /// Public code.
    pub fn code(&self) -> &'g str {
        match self {
            By::Rule(rule) => &rule.code,
            By::Order(order) => &order.code,
            By::Furnace(rule) => &rule.code,
            By::Assessment(assessment) => &assessment.code,
        }
    }

    /// What people call it.
    pub fn name(&self) -> &'g str {
        match self {
            By::Rule(rule) => &rule.name,
            By::Order(order) => &order.name,
            By::Furnace(rule) => &rule.code,
            By::Assessment(assessment) => &assessment.code,
        }
    }

    /// The document and the place in it.
    pub fn document(&self) -> &'g str {
        match self {
            By::Rule(rule) => &rule.document,
            By::Order(order) => &order.document,
            By::Furnace(rule) => &rule.document,
            By::Assessment(assessment) => &assessment.document,
        }
    }

    /// Whose rule it is.
    pub const fn kind(&self) -> Kind {
        match self {
            By::Rule(rule) => rule.kind,
            By::Order(_) => Kind::Order,
            By::Furnace(_) => Kind::Violation,
            By::Assessment(_) => Kind::Assessment,
        }
    }

    /// Per cent.
    pub const fn reference_oxygen(&self) -> Option<f64> {
        match self {
            By::Rule(Rule { reference: Reference::OxygenPercent(percent), .. }) => Some(*percent),
            By::Order(Order { demand: Demand::Limit { reference_oxygen_percent, .. }, .. }) => {
                *reference_oxygen_percent
            }
            By::Rule(_) | By::Order(_) | By::Furnace(_) | By::Assessment(_) => None,
        }
    }

    /// How the value is compared with the limit.
    pub fn comparison(&self, window: Window) -> &'static str {
        match self {
            By::Rule(rule) => rule.comparison.name(),
            By::Order(Order { demand: Demand::Limit { comparison, .. }, .. }) => {
                comparison.comparison().name()
            }
            By::Order(_) => "full-value",
            // So many events a day are allowed; a temperature must be reached.
            By::Furnace(_) if window.period == AveragingPeriod::Day => "full-value",
            By::Furnace(_) | By::Assessment(_) => "at-least",
        }
    }

    /// What value and limit are in.
    pub fn unit(&self, window: Window) -> &'static str {
        match self {
            By::Rule(_) | By::Order(Order { demand: Demand::Limit { .. }, .. }) => "mg/m3",
            By::Order(Order { demand: Demand::Stop { .. }, .. }) => {
                "minutes, m3/h, kg/h or the channel's unit"
            }
            By::Order(Order { demand: Demand::Reduce { measure, .. }, .. }) => match measure {
                Measure::Flow => "m3/h",
                Measure::Mass(_) => "kg/h",
                Measure::Channel(_) => "the channel's unit",
            },
            By::Furnace(_) if window.period == AveragingPeriod::FiveMinutes => "C",
            By::Furnace(_) => "events",
            By::Assessment(_) => "%",
        }
    }
}

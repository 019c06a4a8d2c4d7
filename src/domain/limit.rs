//! Rules: the law's numbers with everything that decides when they apply. Data from seeds/, never code.

use crate::domain::history::Dated;

/// One rule with one number for one pollutant.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Key in the store; 0 where there is no store.
    pub id: i32,
    /// Public code, unique with its start.
    pub code: String,
    /// What people call it.
    pub name: String,
    /// The document and the place in it.
    pub document: String,
    pub kind: Kind,
    /// How sure the source is: `V`, `V2`, `M` or `?` (regulation.md).
    pub mark: String,
    /// Prefix of the divisions it holds in; empty for everywhere.
    pub division: String,
    /// Prefix of the industries it is about (GB/T 4754, `C3011`); empty for every industry. Decided when the rules of an
    /// outlet are gathered, so that [`Rule::applies_to`] need not ask again.
    pub industry: String,
    /// The process it is about.
    pub process: String,
    /// Factor code.
    pub factor: String,
    /// The limit in the dated time, mg/m3.
    pub limit: Dated<f64>,
    pub period: AveragingPeriod,
    pub reference: Reference,
    pub comparison: Comparison,
    /// A single scan above this multiple of the limit is an early warning; 1 where the rule says nothing.
    pub early_warning_ratio: f64,
}

impl Rule {
    /// Whether both may be versions of one rule: only number, period, reference, comparison and document may change in time.
    pub fn is_about_the_same(&self, other: &Rule) -> bool {
        (&self.process, &self.factor, &self.division, &self.industry, self.kind)
            == (&other.process, &other.factor, &other.division, &other.industry, other.kind)
    }

    /// Whether the rule is about this factor of an outlet with this process in this division. (When it holds is in `limit`.)
    pub fn applies_to(&self, division: &str, process: &str, factor: &str) -> bool {
        division.starts_with(&self.division) && self.process == process && self.factor == factor
    }
}

/// Whose rule it is; each kind is judged by itself and never merged with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A national or local emission standard, or the outlet's permit.
    Violation,
    /// A policy line (ultra-low), a rating.
    Assessment,
    /// Heavy-pollution weather, staggered production.
    Order,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Violation, Kind::Assessment, Kind::Order];

    /// As written in files and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Violation => "violation",
            Kind::Assessment => "assessment",
            Kind::Order => "order",
        }
    }

    /// The reverse of [`Kind::name`].
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What a concentration is converted to before it is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reference {
    /// The rule names neither: the dry standard value is compared (HJ 212-2017 App. D note 4).
    None,
    /// Reference oxygen, percent.
    OxygenPercent(f64),
    /// Excess-air coefficient.
    ExcessAir(f64),
}

/// Which form of a value is compared with a limit (GB/T 8170).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// The value as calculated.
    FullValue,
    /// The value rounded to the digits of the limit.
    Rounded,
}

impl Comparison {
    pub const ALL: [Comparison; 2] = [Comparison::FullValue, Comparison::Rounded];

    /// As written in files and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Comparison::FullValue => "full-value",
            Comparison::Rounded => "rounded",
        }
    }
}

/// The length of a window. (Its bounds are in `window`.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AveragingPeriod {
    Minute,
    FiveMinutes,
    TenMinutes,
    HalfHour,
    Hour,
    Day,
    Month,
    Quarter,
    Year,
}

impl AveragingPeriod {
    pub const ALL: [AveragingPeriod; 9] = [
        AveragingPeriod::Minute,
        AveragingPeriod::FiveMinutes,
        AveragingPeriod::TenMinutes,
        AveragingPeriod::HalfHour,
        AveragingPeriod::Hour,
        AveragingPeriod::Day,
        AveragingPeriod::Month,
        AveragingPeriod::Quarter,
        AveragingPeriod::Year,
    ];

    /// As written in files and answers.
    pub const fn name(self) -> &'static str {
        match self {
            AveragingPeriod::Minute => "minute",
            AveragingPeriod::FiveMinutes => "5-minute",
            AveragingPeriod::TenMinutes => "10-minute",
            AveragingPeriod::HalfHour => "30-minute",
            AveragingPeriod::Hour => "hour",
            AveragingPeriod::Day => "day",
            AveragingPeriod::Month => "month",
            AveragingPeriod::Quarter => "quarter",
            AveragingPeriod::Year => "year",
        }
    }

    /// The reverse of [`AveragingPeriod::name`].
    pub fn from_name(name: &str) -> Option<AveragingPeriod> {
        AveragingPeriod::ALL.into_iter().find(|period| period.name() == name)
    }
}

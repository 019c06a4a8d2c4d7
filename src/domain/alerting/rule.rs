//! Rules of alerting: what is watched, from which level on, for how long, for whom. Rows, with defaults that every database has; an
//! enterprise or an outlet may have its own.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::domain::alert::{Alert, AlertKind, Severity};
use crate::domain::alerting::{Audience, Scoped};
use crate::domain::episode::Hysteresis;
use crate::domain::times::Times;

/// One rule of alerting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertRule {
    pub code: String,
    pub kind: AlertKind,
    #[serde(default)]
    pub scope: Scope,
    pub times: Times,
    pub enabled: bool,
    /// Lines of the levels 1, 2, 3 …, in the kind's own unit (docs/alerting.md); empty where the kind has none.
    #[serde(default)]
    pub levels: Vec<f64>,
    /// So long it must last before it is told, seconds.
    #[serde(default)]
    pub hold_s: u32,
    /// So long it must be over before the episode ends, seconds.
    #[serde(default)]
    pub clear_s: u32,
    /// Of windows above a limit one after another: so many are the levels 1, 2, 3 ….
    #[serde(default)]
    pub counts: Vec<u32>,
    /// The first is told at once,
    pub audiences: Vec<Audience>,
    /// the others so much later, seconds, unless it is acknowledged or over by then.
    #[serde(default)]
    pub others_after_s: u32,
    /// In place of the kind's own.
    #[serde(default)]
    pub severity: Option<Severity>,
}

/// What the levels of a kind are lines of: its unit, and whether they rise or fall from one level to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    Rising(&'static str),
    Falling(&'static str),
}

impl Lines {
    /// Of a kind; `None`: it has no lines.
    pub const fn of(kind: AlertKind) -> Option<Lines> {
        match kind {
            AlertKind::Exceedance => Some(Lines::Rising("times over the limit, C/limit - 1")),
            AlertKind::HourToDate | AlertKind::EarlyWarning => {
                Some(Lines::Rising("share of the limit, C/limit"))
            }
            AlertKind::GatewayClock | AlertKind::Backlog => Some(Lines::Rising("seconds")),
            AlertKind::GatewaySpool => Some(Lines::Rising("per cent of its room")),
            AlertKind::CaptureForecast => Some(Lines::Falling("per cent of the quarter's hours")),
            AlertKind::GatewayCertificate => Some(Lines::Falling("days that are left")),
            AlertKind::HourForecast
            | AlertKind::NotConvertible
            | AlertKind::AssessmentAtRisk
            | AlertKind::SilentAnalyser
            | AlertKind::SilentOutlet
            | AlertKind::SilentGateway
            | AlertKind::SilentGateways
            | AlertKind::LinkDown
            | AlertKind::AnalyserFault
            | AlertKind::CalibrationOverdue
            | AlertKind::EfficiencyAtRisk
            | AlertKind::Conflict
            | AlertKind::Quarantine
            | AlertKind::QuarantineFull
            | AlertKind::LostRange
            | AlertKind::Quota
            | AlertKind::Database
            | AlertKind::ChannelDown
            | AlertKind::DutyGap
            | AlertKind::SelfTest => None,
        }
    }

    pub const fn unit(self) -> &'static str {
        match self {
            Lines::Rising(unit) | Lines::Falling(unit) => unit,
        }
    }

    /// Whether each line is beyond the one before.
    pub fn in_order(self, levels: &[f64]) -> bool {
        match self {
            Lines::Rising(_) => levels.is_sorted_by(|a, b| a < b),
            Lines::Falling(_) => levels.is_sorted_by(|a, b| a > b),
        }
    }
}

impl AlertRule {
    /// The highest level whose line a value has reached; 0: none. Lines rise.
    pub fn level_of(&self, value: f64) -> u8 {
        let reached = self.levels.iter().take_while(|line| value >= **line).count();
        u8::try_from(reached).unwrap_or(u8::MAX)
    }

    /// How grave an alert of its kind is at a level.
    pub fn severity_at(&self, level: u8) -> Severity {
        self.severity.unwrap_or(self.kind.severity(level))
    }

    /// The highest level that so many windows one after another have reached; 0: none.
    pub fn level_of_count(&self, count: u32) -> u8 {
        let reached = self.counts.iter().take_while(|line| count >= **line).count();
        u8::try_from(reached).unwrap_or(u8::MAX)
    }

    /// So long it must last before it is told.
    pub fn hold(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.hold_s))
    }

    /// So long it must be over before the episode ends.
    pub fn clear(&self) -> Hysteresis {
        Hysteresis(SignedDuration::from_secs(i64::from(self.clear_s)))
    }

    /// The alert at a level, as grave as the rule has it.
    #[must_use]
    pub fn grade(&self, alert: Alert, level: u8) -> Alert {
        let graded = alert.at_level(level);
        let severity = self.severity.unwrap_or(graded.severity);
        Alert { severity, ..graded }
    }

    /// The same for lines that fall: a rate that must not be below.
    pub fn level_below(&self, value: f64) -> u8 {
        let reached = self.levels.iter().take_while(|line| value < **line).count();
        u8::try_from(reached).unwrap_or(u8::MAX)
    }
}

/// Where a rule holds: an outlet, an enterprise, a division, or everywhere. Of several the narrowest counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    #[serde(default)]
    pub outlet: Option<String>,
    /// Unified social credit code.
    #[serde(default)]
    pub enterprise: Option<String>,
    /// Prefix.
    #[serde(default)]
    pub division: String,
}

impl Scope {
    /// Whether a place lies in it.
    pub fn covers(&self, place: Scoped<'_>) -> bool {
        self.outlet.as_deref().is_none_or(|outlet| outlet == place.outlet)
            && self.enterprise.as_deref().is_none_or(|enterprise| enterprise == place.enterprise)
            && place.division.starts_with(&self.division)
    }

    /// Orders scopes: the higher, the narrower.
    pub fn narrowness(&self) -> (bool, bool, usize) {
        (self.outlet.is_some(), self.enterprise.is_some(), self.division.len())
    }
}

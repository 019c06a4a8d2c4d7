//! What standing an alert has: a violation, an assessment and an order are never mixed, and a warning is never taken for any of them.

use crate::domain::alert::{Alert, AlertKind};

/// What somebody may be charged with, and what not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    Violation,
    Assessment,
    Order,
    /// No verdict; and what kind of rule it is held against.
    Warning(Option<Against>),
    Quantity,
    /// Nothing about emissions: an instrument, a gateway, the platform.
    Operation,
}

/// The kinds of rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Against {
    Violation,
    Assessment,
    Order,
}

/// The kind of the alert's rule.
pub(super) fn against(alert: &Alert) -> Option<Against> {
    match alert.rule_kind.as_deref()? {
        "violation" => Some(Against::Violation),
        "assessment" => Some(Against::Assessment),
        "order" => Some(Against::Order),
        _ => None,
    }
}

/// `None`: a test, or a rule of a kind that is not known.
pub(super) fn nature(alert: &Alert) -> Option<Nature> {
    match alert.kind {
        AlertKind::Exceedance => against(alert).map(|against| match against {
            Against::Violation => Nature::Violation,
            Against::Assessment => Nature::Assessment,
            Against::Order => Nature::Order,
        }),
        AlertKind::HourForecast
        | AlertKind::HourToDate
        | AlertKind::EarlyWarning
        | AlertKind::AssessmentAtRisk
        | AlertKind::CaptureForecast
        | AlertKind::EfficiencyAtRisk => Some(Nature::Warning(against(alert))),
        AlertKind::Quota => Some(Nature::Quantity),
        AlertKind::SelfTest => None,
        AlertKind::NotConvertible
        | AlertKind::SilentAnalyser
        | AlertKind::SilentOutlet
        | AlertKind::SilentGateway
        | AlertKind::SilentGateways
        | AlertKind::LinkDown
        | AlertKind::AnalyserFault
        | AlertKind::CalibrationOverdue
        | AlertKind::Conflict
        | AlertKind::Quarantine
        | AlertKind::QuarantineFull
        | AlertKind::LostRange
        | AlertKind::GatewayClock
        | AlertKind::GatewaySpool
        | AlertKind::GatewayCertificate
        | AlertKind::Database
        | AlertKind::Backlog
        | AlertKind::ChannelDown
        | AlertKind::DutyGap => Some(Nature::Operation),
    }
}

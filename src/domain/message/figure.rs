//! What the numbers of an alert are, by its kind: the same field is a concentration of one and hours that are left of another.

use crate::domain::alert::{Alert, AlertKind};

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    Corrected,
    Mean,
    Scan,
    ScanCorrected,
    ToDate,
    Measured,
    Used,
    ClockOffset,
    Behind,
    Remaining,
    Value,
    Limit,
    Permitted,
    CutOff,
    Bound,
    ShareOfLimit,
    ShareUsed,
    ShareMet,
    Capture,
    Efficiency,
    Share,
    AtLeast,
    Reached,
}

/// What the fields of an alert are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    pub corrected: Figure,
    pub measured: Figure,
    pub limit: Figure,
    pub share: Figure,
    pub line: Figure,
}

impl Names {
    pub fn of(alert: &Alert) -> Names {
        let names =
            |corrected, measured, limit, (share, line)| Names { corrected, measured, limit, share, line };
        let of_limit = (Figure::ShareOfLimit, Figure::Reached);
        let plain = (Figure::Share, Figure::Reached);
        match alert.kind {
            AlertKind::Exceedance => {
                let limit = if is_share(alert) { Figure::AtLeast } else { Figure::Limit };
                names(mean(alert), Figure::Measured, limit, (Figure::ShareMet, Figure::AtLeast))
            }
            AlertKind::EarlyWarning | AlertKind::SelfTest => {
                let is_corrected = alert.reference_oxygen.is_some();
                let scan = if is_corrected { Figure::ScanCorrected } else { Figure::Scan };
                names(scan, Figure::Measured, Figure::Limit, of_limit)
            }
            AlertKind::HourToDate | AlertKind::HourForecast => {
                names(Figure::ToDate, Figure::Measured, Figure::Limit, of_limit)
            }
            AlertKind::NotConvertible => names(mean(alert), Figure::Measured, Figure::CutOff, plain),
            AlertKind::AssessmentAtRisk => {
                names(Figure::Value, Figure::Value, Figure::Bound, (Figure::ShareMet, Figure::AtLeast))
            }
            AlertKind::CaptureForecast => {
                names(Figure::Value, Figure::Value, Figure::Bound, (Figure::Capture, Figure::AtLeast))
            }
            AlertKind::EfficiencyAtRisk => {
                names(Figure::Value, Figure::Value, Figure::Bound, (Figure::Efficiency, Figure::AtLeast))
            }
            AlertKind::Quota => {
                names(Figure::Used, Figure::Value, Figure::Permitted, (Figure::ShareUsed, Figure::Reached))
            }
            AlertKind::GatewayClock => names(Figure::Value, Figure::ClockOffset, Figure::Bound, plain),
            AlertKind::Backlog => names(Figure::Value, Figure::Behind, Figure::Bound, plain),
            AlertKind::GatewaySpool => {
                names(Figure::Value, Figure::Remaining, Figure::Bound, (Figure::ShareUsed, Figure::Reached))
            }
            AlertKind::GatewayCertificate => names(Figure::Value, Figure::Remaining, Figure::Bound, plain),
            AlertKind::SilentAnalyser
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
            | AlertKind::Database
            | AlertKind::ChannelDown
            | AlertKind::DutyGap => names(mean(alert), Figure::Measured, Figure::Bound, plain),
        }
    }
}

/// Of an assessment: hours that were met, in per cent.
fn is_share(alert: &Alert) -> bool {
    alert.kind == AlertKind::Exceedance && alert.unit.as_deref() == Some("%")
}

/// A concentration that was brought to reference oxygen, one that was not, or no concentration.
fn mean(alert: &Alert) -> Figure {
    if alert.reference_oxygen.is_some() {
        Figure::Corrected
    } else if is_share(alert) {
        Figure::ShareMet
    } else if alert.unit.as_deref() == Some("mg/m3") {
        Figure::Mean
    } else {
        Figure::Value
    }
}

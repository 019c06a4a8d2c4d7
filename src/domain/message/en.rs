//! English words of a message. `zh` says the same.

use crate::domain::alert::{AlertKind, Phase};
use crate::domain::alerting::Audience;
use crate::domain::message::Reached;
use crate::domain::message::fact::Fact;
use crate::domain::message::figure::Figure;
use crate::domain::message::moment::{Clock, To};
use crate::domain::message::nature::{Against, Nature};

/// One fact.
pub(super) fn say(fact: &Fact, clock: &Clock<'_>) -> String {
    let minute = |at| clock.time(at, To::Minute);
    match fact {
        Fact::Withdrawn => "this alert is withdrawn, nothing is to be done".to_owned(),
        Fact::Revised => "its figures were corrected afterwards, this alert stands".to_owned(),
        Fact::Formerly => "told before:".to_owned(),
        Fact::SelfTest => AlertKind::SelfTest.advice().to_owned(),
        Fact::Test => "this is a test, nothing has happened, nothing is to be done".to_owned(),
        Fact::Window(from, until, period) => clock.span(*from, *until, period),
        Fact::At(at, to) => clock.time(*at, *to),
        Fact::AsOf(at) => format!("as of {}", minute(*at)),
        Fact::Since(at, to) => format!("since {}", clock.time(*at, *to)),
        Fact::Noticed(at) => format!("noticed at {}", minute(*at)),
        Fact::CountedFrom(at) => format!("counted from {}", clock.day(*at)),
        Fact::Until(at) => format!("until {}", minute(*at)),
        Fact::Expires(at) => format!("expires {}", minute(*at)),
        Fact::Figure(what, value, unit) => format!("{} {value}{}", figure(*what), unit_of(unit.as_deref())),
        Fact::Over(ratio) => format!("{ratio} times over"),
        Fact::BarelyOver => "less than 0.01 times over".to_owned(),
        Fact::Consecutive(count, period) => format!("{} {} in a row", ordinal(*count), counted(period)),
        Fact::Oxygen(oxygen, None) => format!("O₂ {oxygen}%"),
        Fact::Oxygen(oxygen, Some(reference)) => format!("O₂ {oxygen}% (reference {reference}%)"),
        Fact::ReferenceOxygen(reference) => format!("reference O₂ {reference}%"),
        Fact::Valid(valid, expected, part) => {
            let of = expected.map_or(String::new(), |expected| format!("/{expected}"));
            format!("{valid}{of} {}valid", part.as_deref().map_or("", counted_part))
        }
        Fact::MinutesOver(minutes) => format!("after {minutes} minutes"),
        Fact::Allowed(level, unit) => {
            format!("the mean of the rest must stay below {level}{}", unit_of(unit.as_deref()))
        }
        Fact::LostAt(at) => format!("as it goes on the hour is lost from {}", minute(*at)),
        Fact::Lost => "the hour's mean can no longer be kept below the limit".to_owned(),
        Fact::Gateway(name) => format!("gateway {name}"),
        Fact::Analyser(name) => format!("analyser {name}"),
        Fact::Trusted => "instrument in order".to_owned(),
        Fact::OutOfControl => "instrument out of control (check overdue or failed), data doubtful".to_owned(),
        Fact::Flagged(letter) => format!("instrument status: {}", flag(letter)),
        Fact::Checked(at, passed) => format!("check of {} {}", clock.day(*at), check(*passed)),
        Fact::Marked(mark) => format!("marked by the enterprise: {mark}"),
        Fact::Unmarked => "not marked by the enterprise".to_owned(),
        Fact::Reason(reason) => format!("reason: {}", clock.told(reason)),
        Fact::MayFail(may_fail, to_come) => format!("of {to_come} to come at most {may_fail} may fail"),
        Fact::OutOfReach(to_come) => format!("out of reach even if all {to_come} to come are good"),
        Fact::Subjects(names, total) => subjects(names, *total),
        Fact::WarnedAt(at) => format!("early warning at {}", minute(*at)),
        Fact::Contact(contact) => format!("on site: {contact}"),
        Fact::Nature(nature) => format!("nature: {}", nature_of(*nature)),
        Fact::Severity(severity) => format!("severity: {}", severity.name()),
        Fact::Advice(kind) => format!("what to do: {}", kind.advice()),
        Fact::AdviceWhenLost => {
            "what to do: The hour is lost. Lower the emission at once, so that the next one is kept; find and record cause and measures."
                .to_owned()
        }
        Fact::Has(audience, reached) => format!("{}: ({})", audience_of(*audience), reached_of(reached)),
        Fact::AcknowledgeBy(at) => format!("please acknowledge by {}", minute(*at)),
    }
}

const fn figure(what: Figure) -> &'static str {
    match what {
        Figure::Corrected => "corrected",
        Figure::Mean => "mean",
        Figure::Scan => "scan",
        Figure::ScanCorrected => "scan, corrected",
        Figure::ToDate => "mean of the hour so far",
        Figure::Measured => "measured",
        Figure::Used => "emitted",
        Figure::ClockOffset => "clock off by",
        Figure::Behind => "behind by",
        Figure::Remaining => "left",
        Figure::Value => "value",
        Figure::Limit => "limit",
        Figure::Permitted => "permitted",
        Figure::CutOff => "cut-off",
        Figure::Bound => "bound",
        Figure::ShareOfLimit => "share of the limit",
        Figure::ShareUsed => "used",
        Figure::ShareMet => "share of hours met",
        Figure::Capture => "capture rate forecast",
        Figure::Efficiency => "transmission efficiency forecast",
        Figure::Share => "share",
        Figure::AtLeast => "required at least",
        Figure::Reached => "line",
    }
}

/// What a unit is called after a number.
fn unit_of(unit: Option<&str>) -> String {
    match unit.unwrap_or_default() {
        "" => String::new(),
        "%" => "%".to_owned(),
        "mg/m3" => " mg/m³".to_owned(),
        "m3/h" => " m³/h".to_owned(),
        "C" => " °C".to_owned(),
        "d" => " days".to_owned(),
        other => format!(" {other}"),
    }
}

fn ordinal(count: u32) -> String {
    let ending = match (count % 10, count % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{count}{ending}")
}

fn counted(period: &str) -> &'static str {
    match period {
        "hour" => "hour",
        "day" => "day",
        "month" => "month",
        _ => "window",
    }
}

fn counted_part(part: &str) -> &'static str {
    match part {
        "minute" => "minutes ",
        "hour" => "hours ",
        "day" => "days ",
        _ => "",
    }
}

fn flag(letter: &str) -> String {
    match letter {
        "F" => "switched off".to_owned(),
        "M" => "maintenance".to_owned(),
        "S" => "set by hand".to_owned(),
        "D" => "fault".to_owned(),
        "C" => "calibration".to_owned(),
        "T" => "above its range".to_owned(),
        "B" => "communication failure".to_owned(),
        other => other.to_owned(),
    }
}

const fn check(passed: Option<bool>) -> &'static str {
    match passed {
        Some(true) => "passed",
        Some(false) => "failed",
        None => "done",
    }
}

fn subjects(names: &[String], total: u32) -> String {
    if names.is_empty() {
        return format!("concerns {total}");
    }
    let is_more = usize::try_from(total).is_ok_and(|total| total > names.len());
    format!("concerns {total}: {}{}", names.join(", "), if is_more { " and others" } else { "" })
}

const fn nature_of(nature: Nature) -> &'static str {
    match nature {
        Nature::Violation => "violation (above an emission standard or a permit's limit)",
        Nature::Assessment => "assessment (its demand is not met; no verdict of a violation)",
        Nature::Order => "order (it is not followed; no verdict against a limit)",
        Nature::Warning(None) => "early warning, no verdict",
        Nature::Warning(Some(Against::Violation)) => {
            "early warning, no verdict (against an emission standard or a permit's limit)"
        }
        Nature::Warning(Some(Against::Assessment)) => "early warning, no verdict (against an assessment)",
        Nature::Warning(Some(Against::Order)) => "early warning, no verdict (against an order)",
        Nature::Quantity => "reminder of a total quantity, no verdict",
        Nature::Operation => "operation, no verdict about emissions",
    }
}

const fn audience_of(audience: Audience) -> &'static str {
    match audience {
        Audience::Enterprise => "enterprise on duty",
        Audience::Bureau => "bureau on duty",
        Audience::Platform => "platform on duty",
    }
}

fn reached_of(reached: &Reached) -> String {
    match reached {
        Reached::NotTold => "not told".to_owned(),
        Reached::Unread => "told, unread".to_owned(),
        Reached::Seen => "told, read".to_owned(),
        Reached::Acknowledged { by } => format!("acknowledged by {by}"),
    }
}

/// What has become of an episode, before its name.
pub(super) const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Begun => "",
        Phase::Worsened => "worsened · ",
        Phase::Revised => "revised · ",
        Phase::Withdrawn => "WITHDRAWN · ",
    }
}

/// What an exceedance is called, by its period and the kind of its rule.
pub(super) fn exceedance(period: Option<&str>, against: Option<Against>) -> String {
    let period = match period.unwrap_or_default() {
        "minute" => "minute ",
        "5-minute" => "5-minute ",
        "10-minute" => "10-minute ",
        "30-minute" => "30-minute ",
        "hour" => "hourly ",
        "day" => "daily ",
        "month" => "monthly ",
        "quarter" => "quarterly ",
        "year" => "yearly ",
        _ => "",
    };
    match against {
        None | Some(Against::Violation) => format!("{period}exceedance"),
        Some(Against::Assessment) => format!("{period}assessment not met"),
        Some(Against::Order) => format!("{period}order violated"),
    }
}

/// What the rule is called where it has no name.
pub(super) const fn rule(against: Against) -> &'static str {
    match against {
        Against::Violation => "emission limit",
        Against::Assessment => "assessment",
        Against::Order => "order",
    }
}

/// What the other kinds are called.
pub(super) const fn kind(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Exceedance => "exceedance",
        AlertKind::HourForecast => "hour forecast above the limit · early warning",
        AlertKind::HourToDate => "hour to date · early warning",
        AlertKind::EarlyWarning => "scan · early warning",
        AlertKind::NotConvertible => "oxygen above the cut-off, not convertible",
        AlertKind::AssessmentAtRisk => "assessment at risk · early warning",
        AlertKind::SilentAnalyser => "analyser does not answer",
        AlertKind::SilentOutlet => "no data from the outlet",
        AlertKind::SilentGateway => "gateway silent",
        AlertKind::SilentGateways => "many gateways silent together",
        AlertKind::LinkDown => "centre cut off from the broker",
        AlertKind::AnalyserFault => "analyser fault",
        AlertKind::CalibrationOverdue => "calibration overdue",
        AlertKind::CaptureForecast => "capture rate · early warning",
        AlertKind::EfficiencyAtRisk => "transmission efficiency · early warning",
        AlertKind::Conflict => "conflicting records",
        AlertKind::Quarantine => "records in quarantine",
        AlertKind::QuarantineFull => "quarantine full",
        AlertKind::LostRange => "records lost",
        AlertKind::Quota => "permitted quantity",
        AlertKind::GatewayClock => "gateway clock off",
        AlertKind::GatewaySpool => "gateway spool filling up",
        AlertKind::GatewayCertificate => "gateway certificate ends soon",
        AlertKind::Database => "database failing",
        AlertKind::Backlog => "backlog",
        AlertKind::ChannelDown => "notification channel down",
        AlertKind::DutyGap => "gap in duty",
        AlertKind::SelfTest => "test of the way",
    }
}

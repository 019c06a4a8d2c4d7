//! What a message says, line by line, before a language finds the words: both languages are given the same facts, so they cannot say
//! different things. A fact that is not known makes no entry; nothing here is a placeholder.

use jiff::{SignedDuration, Timestamp};

use crate::domain::alert::{Alert, AlertKind, Instrument, Outlook, Phase, Severity};
use crate::domain::alerting::Audience;
use crate::domain::message::escape::{name, text};
use crate::domain::message::figure::{Figure, Names};
use crate::domain::message::moment::To;
use crate::domain::message::nature::{Nature, nature};
use crate::domain::message::{Context, Reached, number};

/// Names that a folded alert lists.
const NAMED: usize = 10;

/// One thing that is said.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fact {
    Withdrawn,
    /// What is said after it was told before.
    Formerly,
    Revised,
    Test,
    /// The alert is a test by its kind.
    SelfTest,
    /// From, to, and the period's name.
    Window(Timestamp, Timestamp, String),
    At(Timestamp, To),
    AsOf(Timestamp),
    Since(Timestamp, To),
    Noticed(Timestamp),
    /// A quantity is counted from this day.
    CountedFrom(Timestamp),
    Until(Timestamp),
    Expires(Timestamp),
    Figure(Figure, String, Option<String>),
    /// Times over the limit.
    Over(String),
    /// By less than two decimals show.
    BarelyOver,
    /// So many windows of a period one after another.
    Consecutive(u32, String),
    /// O₂ and the reference, per cent.
    Oxygen(String, Option<String>),
    ReferenceOxygen(String),
    /// Valid, expected, and what the parts are.
    Valid(u32, Option<u32>, Option<String>),
    MinutesOver(u32),
    /// The rest of the hour must stay below, and when that is no longer possible.
    Allowed(String, Option<String>),
    LostAt(Timestamp),
    Lost,
    Gateway(String),
    Analyser(String),
    Trusted,
    OutOfControl,
    /// The flag's letter.
    Flagged(String),
    Checked(Timestamp, Option<bool>),
    Marked(String),
    Unmarked,
    Reason(String),
    /// So many windows may still fail, of those to come.
    MayFail(u64, u64),
    /// Even if all windows to come are good.
    OutOfReach(u64),
    /// The first names, and how many there are.
    Subjects(Vec<String>, u32),
    WarnedAt(Timestamp),
    Contact(String),
    Nature(Nature),
    Severity(Severity),
    Advice(AlertKind),
    /// The hour of a forecast is lost.
    AdviceWhenLost,
    Has(Audience, Reached),
    AcknowledgeBy(Timestamp),
}

/// The lines, none of them empty. The first is the most important.
pub(super) fn lines(alert: &Alert, context: &Context) -> Vec<Vec<Fact>> {
    let mut lines = if alert.phase == Phase::Withdrawn {
        let formerly = [Fact::Formerly].into_iter().chain(amounts(alert)).collect();
        vec![head(alert), formerly, cause(alert)]
    } else {
        let outlook = outlook(alert).unwrap_or_default();
        let (basis, trust, cause) = (basis(alert), trust(alert), cause(alert));
        vec![head(alert), amounts(alert), outlook, basis, trust, cause, what(alert), who(context)]
    };
    lines.retain(|line| !line.is_empty());
    lines
}

/// Why. Where an alert of the operation gives no reason of its own, its summary is the one text that tells what was found.
fn reason(alert: &Alert) -> Option<Fact> {
    let tells_by_summary = matches!(
        alert.kind,
        AlertKind::Conflict
            | AlertKind::Quarantine
            | AlertKind::QuarantineFull
            | AlertKind::LostRange
            | AlertKind::Database
            | AlertKind::Backlog
            | AlertKind::ChannelDown
            | AlertKind::DutyGap
    );
    let summary = Some(alert.summary.as_str()).filter(|_| tells_by_summary && is_told_first(alert));
    let reason = alert.reason.as_deref().or(summary).map(text).filter(|reason| !reason.is_empty());
    reason.map(Fact::Reason)
}

/// Whether the alert tells what is so, not what has become of it.
const fn is_told_first(alert: &Alert) -> bool {
    matches!(alert.phase, Phase::Begun | Phase::Worsened)
}

/// What the reader must know before anything else: that it is a test, is taken back, or is corrected.
fn head(alert: &Alert) -> Vec<Fact> {
    let mut facts = Vec::new();
    if alert.kind == AlertKind::SelfTest {
        facts.push(Fact::SelfTest);
    } else if alert.test {
        facts.push(Fact::Test);
    }
    let phase = match alert.phase {
        Phase::Withdrawn => Some(Fact::Withdrawn),
        Phase::Revised => Some(Fact::Revised),
        Phase::Begun | Phase::Worsened => None,
    };
    if let Some(phase) = phase {
        facts.push(phase);
        facts.extend(reason(alert));
    }
    facts
}

/// Whether nothing has happened.
pub(super) fn is_test(alert: &Alert) -> bool {
    alert.test || alert.kind == AlertKind::SelfTest
}

/// When, how much, against what.
fn amounts(alert: &Alert) -> Vec<Fact> {
    let mut facts = times(alert);
    let names = Names::of(alert);
    let unit = unit(alert);
    let decimals = number::decimals(unit.as_deref());
    // The unit of a concentration stands once, after the limit.
    let stands_later = alert.limit.is_some() && unit.as_deref() == Some("mg/m3");
    let own_unit = unit.clone().filter(|_| !stands_later);
    let figure = |what, value| {
        let value = match unit.as_deref() {
            Some("%") => number::share(value)?,
            Some(_) | None => number::beside(value, alert.limit, decimals)?,
        };
        Some(Fact::Figure(what, value, own_unit.clone()))
    };
    if alert.kind == AlertKind::NotConvertible {
        facts.extend(oxygen(alert));
    }
    if let Some(outlook) = &alert.outlook {
        facts.push(Fact::MinutesOver(outlook.minutes_over));
        facts.extend(figure(Figure::ToDate, outlook.mean_mg_m3));
    } else if let Some(value) = alert.corrected {
        facts.extend(figure(names.corrected, value));
    }
    if names.measured != Figure::Measured {
        facts.extend(alert.measured.and_then(|value| figure(names.measured, value)));
    }
    if let Some(limit) = alert.limit.and_then(number::written) {
        facts.push(Fact::Figure(names.limit, limit, unit));
    }
    let percent = || Some("%".to_owned());
    let share = alert.share_percent.and_then(number::share);
    facts.extend(share.map(|share| Fact::Figure(names.share, share, percent())));
    let line = alert.line_percent.and_then(number::written);
    facts.extend(line.map(|line| Fact::Figure(names.line, line, percent())));
    let over = |ratio: String| if ratio == "0.00" { Fact::BarelyOver } else { Fact::Over(ratio) };
    facts.extend(alert.ratio_over.and_then(number::ratio).map(over));
    let count = alert.consecutive.filter(|count| *count > 1);
    let period = alert.period.as_deref().map(name).unwrap_or_default();
    facts.extend(count.map(|count| Fact::Consecutive(count, period)));
    facts
}

/// What is no unit, but words about one, is left out.
fn unit(alert: &Alert) -> Option<String> {
    let is_unit = |unit: &&str| !unit.is_empty() && unit.len() <= 12 && !unit.contains(char::is_whitespace);
    alert.unit.as_deref().filter(is_unit).map(text).filter(|unit| !unit.is_empty())
}

fn oxygen(alert: &Alert) -> Option<Fact> {
    let reference = alert.reference_oxygen.and_then(number::written);
    match (alert.oxygen.and_then(number::oxygen), reference) {
        (Some(oxygen), reference) => Some(Fact::Oxygen(oxygen, reference)),
        (None, reference) => reference.map(Fact::ReferenceOxygen),
    }
}

fn times(alert: &Alert) -> Vec<Fact> {
    let (at, since) = (alert.at, alert.started_at);
    if alert.kind == AlertKind::Quota {
        return vec![Fact::CountedFrom(since)];
    }
    let mut facts = Vec::new();
    match (alert.period.as_deref(), alert.until) {
        (Some(period), Some(until)) => {
            let hour = SignedDuration::from_hours(1);
            let from = if period == "hour" { until.checked_sub(hour).unwrap_or(at) } else { at };
            facts.push(Fact::Window(from, until, name(period)));
            if from < at && at < until {
                facts.push(Fact::AsOf(at));
            } else if since < from && alert.consecutive.is_none() {
                facts.push(Fact::Since(since, To::Minute));
            }
        }
        (_, Some(until)) if alert.kind == AlertKind::GatewayCertificate => facts.push(Fact::Expires(until)),
        (_, until) => {
            let is_of_scan = is_of_scan(alert.kind);
            let to = if is_of_scan { To::Second } else { To::Minute };
            if since >= at || is_of_scan {
                facts.push(Fact::At(at, to));
            }
            if since < at {
                facts.push(Fact::Since(since, to));
                facts.extend((!is_of_scan && alert.phase == Phase::Begun).then_some(Fact::Noticed(at)));
            }
            facts.extend(until.map(Fact::Until));
        }
    }
    facts
}

/// Whether a single scan is told, whose own time counts.
fn is_of_scan(kind: AlertKind) -> bool {
    matches!(
        kind,
        AlertKind::EarlyWarning
            | AlertKind::NotConvertible
            | AlertKind::HourForecast
            | AlertKind::HourToDate
            | AlertKind::SelfTest
    )
}

fn outlook(alert: &Alert) -> Option<Vec<Fact>> {
    let Outlook { allowed_mg_m3, lost_at, .. } = alert.outlook?;
    // Rounded down: at the level that is named the hour stays below.
    let allowed = allowed_mg_m3.filter(|level| *level > 0.0).and_then(number::down);
    let unit = Some("mg/m3".to_owned());
    let lost_at = lost_at.map(Fact::LostAt);
    Some(match (allowed, alert.kind) {
        (Some(allowed), _) => [Fact::Allowed(allowed, unit)].into_iter().chain(lost_at).collect(),
        (None, AlertKind::HourForecast) => vec![Fact::Lost],
        (None, _) => lost_at.into_iter().collect(),
    })
}

/// What the figure was made of.
fn basis(alert: &Alert) -> Vec<Fact> {
    let mut facts = Vec::new();
    let line = alert.limit.filter(|_| alert.corrected.is_none());
    let unit = unit(alert);
    let decimals = number::decimals(unit.as_deref());
    let measured = alert.measured.filter(|_| Names::of(alert).measured == Figure::Measured);
    if let Some(measured) = measured.and_then(|value| number::beside(value, line, decimals)) {
        let unit = unit.filter(|_| alert.limit.is_none() && alert.corrected.is_none());
        facts.push(Fact::Figure(Figure::Measured, measured, unit));
    }
    facts.extend(oxygen(alert).filter(|_| alert.kind != AlertKind::NotConvertible));
    let part = alert.part.as_deref().map(name);
    facts.extend(alert.valid.map(|valid| Fact::Valid(valid, alert.expected, part)));
    facts
}

/// Whether the instrument is to be trusted.
fn trust(alert: &Alert) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(instrument) = &alert.instrument {
        facts.extend(instrument_facts(instrument));
    }
    let marked = alert.marked.as_deref().map(text).filter(|marked| !marked.is_empty());
    match marked {
        Some(marked) => facts.push(Fact::Marked(marked)),
        // Where the instrument is known, somebody has looked for marks as well.
        None if alert.kind == AlertKind::Exceedance && alert.instrument.is_some() => {
            facts.push(Fact::Unmarked);
        }
        None => {}
    }
    facts
}

fn instrument_facts(instrument: &Instrument) -> Vec<Fact> {
    let flag = instrument.flag.as_deref().map(name).filter(|flag| !flag.is_empty() && flag != "N");
    let mut facts = Vec::new();
    if instrument.out_of_control {
        facts.push(Fact::OutOfControl);
    }
    match flag {
        Some(flag) => facts.push(Fact::Flagged(flag)),
        None if !instrument.out_of_control => facts.push(Fact::Trusted),
        None => {}
    }
    facts.extend(instrument.checked_at.map(|at| Fact::Checked(at, instrument.passed)));
    facts
}

/// Which device, why, whom else it concerns, what came before, whom to call.
fn cause(alert: &Alert) -> Vec<Fact> {
    let mut facts = Vec::new();
    let known = |text: &Option<String>| text.as_deref().map(name).filter(|name| !name.is_empty());
    if alert.outlet.is_some() {
        facts.extend(known(&alert.gateway).map(Fact::Gateway));
    }
    let instrument = alert.instrument.as_ref().map(|instrument| name(&instrument.analyser));
    let analyser = known(&alert.analyser).or(instrument.filter(|name| !name.is_empty()));
    facts.extend(analyser.map(Fact::Analyser));
    // The reason says the same in words.
    let prospect = alert.to_come.map(|to_come| match alert.may_fail {
        Some(may_fail) => Fact::MayFail(may_fail, to_come),
        None => Fact::OutOfReach(to_come),
    });
    if is_told_first(alert) {
        facts.extend(prospect.or_else(|| reason(alert)));
    }
    let names: Vec<String> = alert
        .subjects
        .iter()
        .take(NAMED)
        .map(|subject| name(subject))
        .filter(|name| !name.is_empty())
        .collect();
    let listed = u32::try_from(alert.subjects.len()).unwrap_or(u32::MAX);
    let total = alert.subjects_total.unwrap_or(listed).max(listed);
    if total > 0 {
        facts.push(Fact::Subjects(names, total));
    }
    facts.extend(alert.warned_at.map(Fact::WarnedAt));
    let contact = alert.outlet.as_ref().map(|place| name(&place.contact));
    facts.extend(contact.filter(|contact| !contact.is_empty()).map(Fact::Contact));
    facts
}

/// What standing it has, how grave it is, what to do.
fn what(alert: &Alert) -> Vec<Fact> {
    if is_test(alert) {
        return Vec::new();
    }
    let mut facts: Vec<Fact> = nature(alert).map(Fact::Nature).into_iter().collect();
    facts.push(Fact::Severity(alert.severity));
    let is_lost = outlook(alert).is_some_and(|facts| facts.contains(&Fact::Lost));
    facts.push(if is_lost { Fact::AdviceWhenLost } else { Fact::Advice(alert.kind) });
    facts
}

/// Who has it already, and by when it must be acknowledged.
fn who(context: &Context) -> Vec<Fact> {
    let reached = |reached: &Reached| match reached {
        Reached::Acknowledged { by } => Reached::Acknowledged { by: name(by) },
        Reached::NotTold | Reached::Unread | Reached::Seen => reached.clone(),
    };
    let others = context.others.iter().take(Audience::ALL.len());
    let mut facts: Vec<Fact> = others.map(|(who, how)| Fact::Has(*who, reached(how))).collect();
    facts.extend(context.acknowledge_by.map(Fact::AcknowledgeBy));
    facts
}

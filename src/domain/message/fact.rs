//! What a message says, line by line, before a language finds the words: both languages are given the same facts, so they cannot say
//! different things. A fact that is not known makes no entry; nothing here is a placeholder.

use jiff::{SignedDuration, Timestamp};

use crate::domain::alert::{Alert, AlertKind, Instrument, Outlook, Phase, Severity};
use crate::domain::alerting::Audience;
use crate::domain::message::escape::{name, text};
use crate::domain::message::figure::{Figure, Names};
use crate::domain::message::nature::{Nature, nature};
use crate::domain::message::{Context, Reached, number};

/// Names that a folded alert lists.
const NAMED: usize = 10;

/// One thing that is said.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fact {
    Withdrawn,
    Revised,
    Test,
    /// From, to, and the period's name.
    Window(Timestamp, Timestamp, String),
    At(Timestamp),
    AsOf(Timestamp),
    Since(Timestamp),
    /// A quantity is counted from this day.
    CountedFrom(Timestamp),
    Until(Timestamp),
    Expires(Timestamp),
    Figure(Figure, String, Option<String>),
    /// Times over the limit.
    Over(String),
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
    Has(Audience, Reached),
    AcknowledgeBy(Timestamp),
}

/// The lines, none of them empty. The first is the most important.
pub(super) fn lines(alert: &Alert, context: &Context) -> Vec<Vec<Fact>> {
    let is_withdrawn = alert.phase == Phase::Withdrawn;
    let mut lines = vec![head(alert), amounts(alert)];
    lines.extend(outlook(alert));
    lines.push(basis(alert));
    lines.push(trust(alert));
    lines.push(cause(alert));
    if !is_withdrawn {
        lines.push(what(alert));
        lines.push(who(context));
    }
    lines.retain(|line| !line.is_empty());
    lines
}

fn reason(alert: &Alert) -> Option<Fact> {
    let reason = alert.reason.as_deref().map(text).filter(|reason| !reason.is_empty());
    reason.map(Fact::Reason)
}

/// What the reader must know before anything else: that it is a test, is taken back, or is corrected.
fn head(alert: &Alert) -> Vec<Fact> {
    let mut facts = Vec::new();
    if is_test(alert) {
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
    let unit = alert.unit.as_deref();
    let decimals = number::decimals(unit);
    let figure = |what, value, unit: Option<&str>| {
        let value = number::beside(value, alert.limit, decimals)?;
        Some(Fact::Figure(what, value, unit.map(text)))
    };
    // The unit stands once, after the limit.
    let own_unit = unit.filter(|_| alert.limit.is_none());
    if let Some(outlook) = &alert.outlook {
        facts.push(Fact::MinutesOver(outlook.minutes_over));
        facts.extend(figure(Figure::ToDate, outlook.mean_mg_m3, own_unit));
    } else if let Some(value) = alert.corrected {
        facts.extend(figure(names.corrected, value, own_unit));
    }
    if names.measured != Figure::Measured {
        facts.extend(alert.measured.and_then(|value| figure(names.measured, value, own_unit)));
    }
    if let Some(limit) = alert.limit.and_then(number::written) {
        facts.push(Fact::Figure(names.limit, limit, unit.map(text)));
    }
    let percent = || Some("%".to_owned());
    let share = alert.share_percent.and_then(number::share);
    facts.extend(share.map(|share| Fact::Figure(names.share, share, percent())));
    let line = alert.line_percent.and_then(number::written);
    facts.extend(line.map(|line| Fact::Figure(names.line, line, percent())));
    facts.extend(alert.ratio_over.and_then(number::ratio).map(Fact::Over));
    let count = alert.consecutive.filter(|count| *count > 1);
    let period = alert.period.as_deref().map(name).unwrap_or_default();
    facts.extend(count.map(|count| Fact::Consecutive(count, period)));
    facts
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
                facts.push(Fact::Since(since));
            }
        }
        (_, Some(until)) if alert.kind == AlertKind::GatewayCertificate => facts.push(Fact::Expires(until)),
        (_, until) => {
            if since >= at || is_of_scan(alert.kind) {
                facts.push(Fact::At(at));
            }
            if since < at {
                facts.push(Fact::Since(since));
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
    let decimals = number::decimals(alert.unit.as_deref());
    let measured = alert.measured.filter(|_| Names::of(alert).measured == Figure::Measured);
    if let Some(measured) = measured.and_then(|value| number::beside(value, line, decimals)) {
        let unit = alert.unit.as_deref().filter(|_| alert.limit.is_none() && alert.corrected.is_none());
        facts.push(Fact::Figure(Figure::Measured, measured, unit.map(text)));
    }
    let reference = alert.reference_oxygen.and_then(number::written);
    match (alert.oxygen.and_then(number::oxygen), reference) {
        (Some(oxygen), reference) => facts.push(Fact::Oxygen(oxygen, reference)),
        (None, Some(reference)) => facts.push(Fact::ReferenceOxygen(reference)),
        (None, None) => {}
    }
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
    if matches!(alert.phase, Phase::Begun | Phase::Worsened) {
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
    let mut facts: Vec<Fact> = nature(alert).map(Fact::Nature).into_iter().collect();
    if alert.kind != AlertKind::SelfTest {
        facts.push(Fact::Severity(alert.severity));
    }
    facts.push(Fact::Advice(alert.kind));
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

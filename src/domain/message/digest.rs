//! One message for many alerts, where a channel may not send so many: folded, none dropped.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::alert::{Alert, AlertKind, Severity};
use crate::domain::alerting::Language;
use crate::domain::message::moment::{Clock, To};
use crate::domain::message::{Message, en, title, zh};

/// Alerts that are named one by one.
const NAMED: usize = 10;

/// One message for many alerts; `total` counts those as well that are not among `alerts`.
pub fn digest(
    alerts: &[&Alert],
    total: usize,
    language: Language,
    zone: &TimeZone,
    link: Option<String>,
) -> Message {
    let total = total.max(alerts.len());
    let title = match language {
        Language::Zh => format!("【告警汇总】共{total}条"),
        Language::En => format!("【digest of alerts】 {total} in all"),
    };
    let mut gravest: Vec<&&Alert> = alerts.iter().collect();
    gravest.sort_by_key(|alert| (Reverse(alert.severity), alert.kind, Reverse(alert.at)));
    let mut lines: Vec<String> = counts(alerts, language).into_iter().collect();
    lines.extend(span(alerts, language, zone));
    lines.extend(gravest.iter().take(NAMED).map(|alert| title::of(alert, language)));
    let left = total - gravest.len().min(NAMED);
    if left > 0 {
        lines.push(match language {
            Language::Zh => format!("另有{left}条"),
            Language::En => format!("and {left} more"),
        });
    }
    Message { language, title, lines, link }
}

/// How many of each kind, the gravest first.
fn counts(alerts: &[&Alert], language: Language) -> Option<String> {
    let mut by_kind: BTreeMap<(Reverse<Severity>, AlertKind), usize> = BTreeMap::new();
    for alert in alerts {
        *by_kind.entry((Reverse(alert.severity), alert.kind)).or_default() += 1;
    }
    let mut counts: Vec<(AlertKind, usize)> = Vec::new();
    for ((_, kind), count) in by_kind {
        match counts.iter_mut().find(|(seen, _)| *seen == kind) {
            Some((_, sum)) => *sum += count,
            None => counts.push((kind, count)),
        }
    }
    let each = counts.iter().map(|(kind, count)| match language {
        Language::Zh => format!("{}{count}条", zh::kind(*kind)),
        Language::En => format!("{count} × {}", en::kind(*kind)),
    });
    let each: Vec<String> = each.collect();
    let joint = if language == Language::Zh { ";" } else { "; " };
    (!each.is_empty()).then(|| each.join(joint))
}

fn span(alerts: &[&Alert], language: Language, zone: &TimeZone) -> Option<String> {
    let times = || alerts.iter().map(|alert| alert.at);
    let (first, last): (Timestamp, Timestamp) = (times().min()?, times().max()?);
    let clock = Clock { language, zone, today: zone.to_datetime(last).date() };
    let (from, to) = (clock.time(first, To::Minute), clock.time(last, To::Minute));
    Some(match (language, from == to) {
        (Language::Zh, true) => format!("时间{from}"),
        (Language::En, true) => format!("time {from}"),
        (Language::Zh, false) => format!("时间{from}–{to}"),
        (Language::En, false) => format!("time {from}–{to}"),
    })
}

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
    let mut titles: Vec<(String, usize)> = Vec::new();
    for title in gravest.iter().map(|alert| title::of(alert, language)) {
        if let Some((_, count)) = titles.iter_mut().find(|(seen, _)| *seen == title) {
            *count += 1;
        } else if titles.len() < NAMED {
            titles.push((title, 1));
        }
    }
    let left = total - titles.iter().map(|(_, count)| count).sum::<usize>();
    let mut lines: Vec<String> = counts(alerts, total, language).into_iter().collect();
    lines.extend(span(alerts, language, zone));
    lines.extend(titles.into_iter().map(|(title, count)| match count {
        1 => title,
        _ => format!("{title} ×{count}"),
    }));
    if left > 0 {
        lines.push(match language {
            Language::Zh => format!("另有{left}条"),
            Language::En => format!("and {left} more"),
        });
    }
    Message { language, title, lines, link }
}

/// How many of each kind, the gravest first.
fn counts(alerts: &[&Alert], total: usize, language: Language) -> Option<String> {
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
    let listed = match (alerts.len() < total, language) {
        (false, _) => String::new(),
        (true, Language::Zh) => format!("其中{}条:", alerts.len()),
        (true, Language::En) => format!("of {} of them: ", alerts.len()),
    };
    (!each.is_empty()).then(|| format!("{listed}{}", each.join(joint)))
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

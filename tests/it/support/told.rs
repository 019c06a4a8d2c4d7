//! What people are told, as text that a snapshot can hold: the newest alert of a kind and phase as it stands in the database, in both
//! languages, with a placeholder for every time.

use cems::domain::alert::Alert;
use cems::domain::alerting::Language;
use cems::domain::message::{Context, message, plain};
use jiff::tz::TimeZone;
use tokio_postgres::Client;

/// Stands for a date, a time, or a date with a time.
pub const TIME: &str = "<time>";

/// Dates and times as messages write them: `9` is a run of digits, `A` the name of a month. Longer ones first.
const TIMES: [&str; 14] = [
    "the year 9",
    "9年第9季度",
    "9年9月9日",
    "9年9月",
    "9月9日",
    "9年",
    "9日",
    "9:9:9",
    "9:9",
    "9-9-9",
    "9 A 9",
    "9 A",
    "Q9 9",
    "A 9",
];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The newest alert of a kind and phase, in zh and en, title first.
pub async fn told(client: &Client, kind: &str, phase: &str) -> (String, String) {
    let sql =
        "SELECT body FROM alert WHERE kind = $1 AND phase = $2 ORDER BY created_at DESC, id DESC LIMIT 1";
    let rows = client.query(sql, &[&kind, &phase]).await.unwrap();
    let row = rows.first().unwrap_or_else(|| panic!("nobody was told of {kind}, {phase}"));
    said(&serde_json::from_value(row.get(0)).unwrap())
}

/// One alert in zh and en.
pub fn said(alert: &Alert) -> (String, String) {
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let say = |language| without_times(&plain(&message(alert, language, &Context::default(), &zone)));
    (say(Language::Zh), say(Language::En))
}

/// The text with a placeholder for every time.
pub fn without_times(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        // The digits of a name are no time.
        let is_start = !kept.ends_with(|before: char| before.is_ascii_alphanumeric());
        let time = TIMES.iter().filter(|_| is_start).find_map(|pattern| {
            // What looks like a year is an hour when a minute follows.
            let is_hour = |length: &usize| pattern.ends_with(" 9") && rest[*length..].starts_with(':');
            length_of(pattern, rest).filter(|length| !is_hour(length))
        });
        if let Some(length) = time {
            // A date before a time is one time with it.
            if kept.trim_end_matches(' ').ends_with(TIME) {
                kept.truncate(kept.trim_end_matches(' ').len());
            } else {
                kept.push_str(TIME);
            }
            rest = &rest[length..];
        } else {
            kept.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    kept
}

/// How many bytes a pattern takes at the beginning of a text.
fn length_of(pattern: &str, text: &str) -> Option<usize> {
    let mut rest = text;
    for part in pattern.chars() {
        rest = match part {
            '9' => {
                let after = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
                (after.len() < rest.len()).then_some(after)?
            }
            'A' => {
                let after = MONTHS.iter().find_map(|month| rest.strip_prefix(month))?;
                let is_longer = after.starts_with(|letter: char| letter.is_ascii_alphabetic());
                (!is_longer).then_some(after)?
            }
            other => rest.strip_prefix(other)?,
        };
    }
    // What looks like a year may be the hour of a time.
    let mut after = rest.chars();
    let goes_on = after.next() == Some(':') && after.next().is_some_and(|next| next.is_ascii_digit());
    (!goes_on).then_some(text.len() - rest.len())
}

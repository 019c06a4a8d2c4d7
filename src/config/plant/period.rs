//! What the data documents share: codes, and the time in which an entry holds.

use std::ops::RangeInclusive;

use jiff::Timestamp;

use crate::config::check;
use crate::config::document::Section;
use crate::domain::history::Dated;

/// 1900 to 2199: years that a plant's history can reach.
const SECONDS: RangeInclusive<i64> = -2_208_988_800..=7_258_118_399;

/// `value` in the time that the section's `from` and `until` give; `None` after a problem.
pub(in crate::config) fn dated<T>(section: &mut Section<'_>, value: Option<T>) -> Option<Dated<T>> {
    let from = section.required("from", moment());
    let until = section.optional("until", moment());
    let (from, until) = (from?, until?);
    if let Some(until) = until.filter(|until| *until <= from) {
        section.problem("until", &until.to_string(), &format!("a time after `from`, {from}"));
        return None;
    }
    Some(Dated { from, until, value: value? })
}

/// A time to the second; finer ones would not survive the database unchanged.
pub(in crate::config) fn moment<'c>() -> check::Check<'c, Timestamp> {
    let allowed = "a time to the second with its offset, from 1900 to 2199, as \"2026-01-01T00:00:00+08:00\"";
    check::text(allowed, |text| {
        let time: Timestamp = text.parse().ok()?;
        (time.subsec_nanosecond() == 0 && SECONDS.contains(&time.as_second())).then_some(time)
    })
}

/// A code of ours: rules, processes.
pub(in crate::config) fn code<'c>() -> check::Check<'c, String> {
    check::text("a code of 1 to 64 characters: small letters, digits and \"-\"", |text| {
        let valid = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        valid.then(|| text.to_owned())
    })
}

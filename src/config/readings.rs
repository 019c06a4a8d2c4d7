//! `readings.csv`: `at,outlet,channel,value,flag`, one reading a line, in any order. Read once, line by line: every bad line is
//! told, and nothing is given out before all lines are good.
//!
//! ```csv
//! at,outlet,channel,value,flag
//! 2026-11-21T12:00:00+08:00,kiln,a21026,31.2,N
//! 2026-11-21T12:00:00+08:00,kiln,a19001,,B
//! ```
//! `at` is RFC 3339 with its offset; all channels of an outlet at one `at` are one scan. `value` is in the channel's unit and may
//! be empty unless the flag is `N`. `flag` is a letter of HJ 212-2017 table 8. The same reading twice counts once; two different
//! ones of one channel at one time are a problem.

/// Rows put in order with bounded memory.
mod order;

use std::io::{self, BufRead};

use jiff::Timestamp;

use crate::config::problem::{Problem, Problems};
use crate::domain::average::StoredScan;
use crate::domain::flag::Flag;
use crate::domain::plant::{ChannelCode, Outlet, Plant};
use crate::domain::scan::Reading;

use order::{Ordered, Row, Sorter};

const HEADER: [&str; 5] = ["at", "outlet", "channel", "value", "flag"];
/// No good line is longer.
const LONGEST: usize = 512;
/// So many problems are told one by one; the rest is counted.
const TOLD: usize = 1000;

/// Why readings could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadingsError {
    #[error("{0}")]
    Bad(Problems),
    /// The file, or the temporary one beside it.
    #[error("{file}: cannot be read: {source}")]
    Io { file: String, source: io::Error },
}

/// Good readings, in the order of outlet, time and channel.
pub struct Readings<'p> {
    plant: &'p Plant,
    rows: Ordered,
    file: String,
}

/// Reads all of `source`, which is called `file`.
///
/// # Errors
/// [`ReadingsError`]: with [`ReadingsError::Bad`] every bad line.
pub fn read<'p>(
    file: &str,
    source: &mut impl BufRead,
    plant: &'p Plant,
) -> Result<Readings<'p>, ReadingsError> {
    let failed = |source| ReadingsError::Io { file: file.to_owned(), source };
    let mut intake = Intake { file, plant, problems: Vec::new(), more: 0, last: Last::default() };
    let mut sorter = Sorter::default();
    let mut bytes = Vec::with_capacity(LONGEST);
    let mut line: u32 = 0;
    loop {
        bytes.clear();
        if next_line(source, &mut bytes).map_err(failed)? == 0 {
            break;
        }
        line = line.saturating_add(1);
        if let Some(row) = intake.line(line, &bytes) {
            sorter.add(row).map_err(failed)?;
        }
    }
    if line == 0 {
        intake.problem(1, "line", "nothing", &format!("the header \"{}\"", HEADER.join(",")));
    }
    let mut rows = sorter.finish().map_err(failed)?;
    if rows.may_repeat() {
        rows.contradictions(|first, second| intake.contradiction(first, second)).map_err(failed)?;
    }
    if intake.problems.is_empty() {
        Ok(Readings { plant, rows, file: file.to_owned() })
    } else {
        Err(ReadingsError::Bad(intake.finish()))
    }
}

/// One line without its end, at most a little longer than [`LONGEST`]; 0 at the end of the file.
fn next_line(source: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let mut taken = 0;
    loop {
        let buffer = source.fill_buf()?;
        if buffer.is_empty() {
            return Ok(taken);
        }
        let (part, end) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(end) => (buffer.get(..end).unwrap_or_default(), Some(end + 1)),
            None => (buffer, None),
        };
        let room = (LONGEST + 1).saturating_sub(bytes.len());
        bytes.extend_from_slice(part.get(..room).unwrap_or(part));
        let used = end.unwrap_or(buffer.len());
        taken += used;
        source.consume(used);
        if end.is_some() {
            return Ok(taken);
        }
    }
}

/// What the line before said: mostly the same.
#[derive(Default)]
struct Last {
    at: (String, i64),
    outlet: Option<usize>,
}

struct Intake<'a> {
    file: &'a str,
    plant: &'a Plant,
    problems: Vec<Problem>,
    more: usize,
    last: Last,
}

impl<'a> Intake<'a> {
    /// A row of a good line; nothing for the header, an empty line, and a bad one, which is noted.
    fn line(&mut self, line: u32, bytes: &[u8]) -> Option<Row> {
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= LONGEST) else {
            let allowed = format!("UTF-8 text of at most {LONGEST} bytes: {}", HEADER.join(","));
            self.problem(line, "line", "something else", &allowed);
            return None;
        };
        let text = if line == 1 { text.trim_start_matches('\u{feff}') } else { text };
        let mut parts = text.split(',').map(|part| part.trim().trim_matches('"'));
        let mut fields = [""; 5];
        for field in &mut fields {
            *field = parts.next().unwrap_or("\u{0}");
        }
        if line == 1 {
            if fields != HEADER || parts.next().is_some() {
                self.problem(
                    1,
                    "line",
                    &format!("{text:?}"),
                    &format!("the header \"{}\"", HEADER.join(",")),
                );
            }
            return None;
        }
        if text.trim().is_empty() {
            return None;
        }
        if fields.contains(&"\u{0}") || parts.next().is_some() {
            let found = format!("{} fields", text.split(',').count());
            self.problem(line, "line", &found, &format!("five: {}", HEADER.join(",")));
            return None;
        }
        self.fields(line, fields)
    }

    fn fields(&mut self, line: u32, [at, outlet, channel, value, flag]: [&str; 5]) -> Option<Row> {
        let moment = self.at(line, at);
        let outlet = self.outlet(line, outlet);
        let position = outlet.and_then(|(_, outlet)| self.channel(line, outlet, channel));
        let flag = self.flag(line, flag);
        let value = self.value(line, value, flag);
        let ((index, outlet), position, micros) = (outlet?, position?, moment?);
        let time = Timestamp::from_microsecond(micros).unwrap_or_default();
        if outlet.settings.at(time).is_none() {
            self.problem(line, "at", at, "a time at which the plant file has a setting for this outlet");
            return None;
        }
        let known = outlet.channels.get(position).is_some_and(|channel| channel.settings.at(time).is_some());
        if !known {
            self.problem(line, "at", at, "a time at which the plant file has this channel");
            return None;
        }
        Some(Row {
            outlet: u32::try_from(index).ok()?,
            at: micros,
            position: u16::try_from(position).ok()?,
            flag: flag?,
            value: value?,
            line,
        })
    }

    fn at(&mut self, line: u32, text: &str) -> Option<i64> {
        if self.last.at.0 == text {
            return Some(self.last.at.1);
        }
        let moment = text.parse::<Timestamp>().ok().filter(|at| at.subsec_nanosecond() % 1000 == 0);
        let Some(moment) = moment else {
            let allowed = "a time with its offset (RFC 3339), not finer than microseconds, as 2026-11-21T12:00:00+08:00";
            self.problem(line, "at", &format!("{text:?}"), allowed);
            return None;
        };
        self.last.at.0.clear();
        self.last.at.0.push_str(text);
        self.last.at.1 = moment.as_microsecond();
        Some(self.last.at.1)
    }

    fn outlet(&mut self, line: u32, code: &str) -> Option<(usize, &'a Outlet)> {
        let plant = self.plant;
        let is_last = |index: &usize| plant.outlets.get(*index).is_some_and(|outlet| &*outlet.code == code);
        let found = self
            .last
            .outlet
            .filter(is_last)
            .or_else(|| plant.outlets.binary_search_by(|outlet| (*outlet.code).cmp(code)).ok());
        self.last.outlet = found;
        let outlet = found.and_then(|index| Some((index, plant.outlets.get(index)?.as_ref())));
        if outlet.is_none() {
            self.problem(line, "outlet", &format!("{code:?}"), "an outlet of the plant file");
        }
        outlet
    }

    fn channel(&mut self, line: u32, outlet: &Outlet, code: &str) -> Option<usize> {
        let position = ChannelCode::new(code).and_then(|code| outlet.position(code));
        if position.is_none() {
            let known: Vec<&str> = outlet.channels.iter().map(|channel| channel.code.as_str()).collect();
            let allowed = format!("a channel of {}: {}", outlet.code, known.join(", "));
            self.problem(line, "channel", &format!("{code:?}"), &allowed);
        }
        position
    }

    fn flag(&mut self, line: u32, text: &str) -> Option<Flag> {
        let mut letters = text.chars();
        let flag = letters.next().and_then(Flag::from_letter).filter(|flag| Flag::ON_THE_WIRE.contains(flag));
        if flag.is_none() || letters.next().is_some() {
            let allowed = "a letter of HJ 212-2017 table 8: N, F, M, S, D, C, T or B";
            self.problem(line, "flag", &format!("{text:?}"), allowed);
            return None;
        }
        flag
    }

    /// NaN stands for no value.
    fn value(&mut self, line: u32, text: &str, flag: Option<Flag>) -> Option<f64> {
        if text.is_empty() {
            if flag == Some(Flag::Normal) {
                self.problem(
                    line,
                    "value",
                    "nothing",
                    "a number; without one the flag tells why and is not N",
                );
                return None;
            }
            return Some(f64::NAN);
        }
        let value = text.parse().ok().filter(|value: &f64| value.is_finite());
        if value.is_none() {
            self.problem(line, "value", &format!("{text:?}"), "a number in the channel's unit, or nothing");
        }
        value
    }

    fn contradiction(&mut self, first: &Row, second: &Row) {
        let shown = |row: &Row| {
            let value = if row.value.is_nan() { String::new() } else { row.value.to_string() };
            format!("{value},{}", row.flag.letter())
        };
        let allowed =
            format!("one reading of a channel at one time; line {} says {}", first.line, shown(first));
        self.problem(second.line, "value", &shown(second), &allowed);
    }

    fn problem(&mut self, line: u32, column: &str, found: &str, allowed: &str) {
        if self.problems.len() >= TOLD {
            self.more += 1;
            return;
        }
        self.problems.push(Problem {
            file: self.file.to_owned(),
            line: usize::try_from(line).ok(),
            key: column.to_owned(),
            found: found.to_owned(),
            allowed: allowed.to_owned(),
        });
    }

    fn finish(mut self) -> Problems {
        self.problems.sort();
        if self.more > 0 {
            self.problems.push(Problem {
                file: self.file.to_owned(),
                line: None,
                key: "line".to_owned(),
                found: format!("{} more problems", self.more),
                allowed: format!("the first {TOLD} are above"),
            });
        }
        Problems(self.problems)
    }
}

impl Readings<'_> {
    /// Gives every scan to `each`, outlet by outlet in the order of their codes, by time.
    ///
    /// # Errors
    /// [`ReadingsError::Io`] when the temporary file cannot be read.
    pub fn scans(self, mut each: impl FnMut(usize, StoredScan)) -> Result<(), ReadingsError> {
        let Readings { plant, mut rows, file } = self;
        let mut open: Option<(u32, i64, Vec<Reading>)> = None;
        let width = |outlet: u32| {
            let index = usize::try_from(outlet).unwrap_or(usize::MAX);
            plant.outlets.get(index).map_or(0, |outlet| outlet.channels.len())
        };
        let mut give = |open: &mut Option<(u32, i64, Vec<Reading>)>| {
            if let Some((outlet, at, readings)) = open.take() {
                let at = Timestamp::from_microsecond(at).unwrap_or_default();
                each(usize::try_from(outlet).unwrap_or(usize::MAX), StoredScan { at, readings });
            }
        };
        rows.each(|row| {
            if open.as_ref().is_none_or(|(outlet, at, _)| (*outlet, *at) != (row.outlet, row.at)) {
                give(&mut open);
                open = Some((row.outlet, row.at, vec![Reading::ABSENT; width(row.outlet)]));
            }
            let slot = open.as_mut().and_then(|(_, _, readings)| readings.get_mut(usize::from(row.position)));
            if let Some(slot) = slot {
                *slot = Reading { value: (!row.value.is_nan()).then_some(row.value), flag: row.flag };
            }
        })
        .map_err(|source| ReadingsError::Io { file, source })?;
        give(&mut open);
        Ok(())
    }
}

#[cfg(test)]
mod tests;

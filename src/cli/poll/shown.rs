//! What one scan came to: each channel with its raw words, each analyser with what is wrong.

use std::fmt;

use jiff::Timestamp;

use crate::config::gateway::{Conversion, Gateway, Measured, Outlet};
use crate::domain::flag::Flag;
use crate::domain::plant::ChannelCode;
use crate::domain::scan::Reading;
use crate::gateway::assemble::{Finding, Raw};
use crate::gateway::health::Board;
use crate::gateway::plan::Block;
use crate::gateway::probe::Form;

/// One scan of one outlet.
pub struct Polled<'p> {
    pub config: &'p Gateway,
    pub outlet: &'p Outlet,
    pub at: Timestamp,
    pub readings: &'p [(ChannelCode, Reading)],
    pub raw: Vec<Raw<'p>>,
    /// Indices of the analysers.
    pub asked: Vec<usize>,
    pub board: &'p Board,
    /// Checks that fail.
    pub failed: &'p [Finding],
}

/// What an analyser's health says here.
pub struct Doing {
    pub answered: u64,
    pub failed: u64,
    /// Median and slowest answer, milliseconds.
    pub times: Option<(f64, f64)>,
    pub fault: Option<String>,
    pub refused: Vec<String>,
}

/// How a channel's number is written.
pub const fn form(measured: &Measured) -> Form {
    Form { number: measured.place.number, order: measured.place.order }
}

impl Polled<'_> {
    /// What the scan has of a channel.
    pub fn reading(&self, code: ChannelCode) -> Option<Reading> {
        self.readings.iter().find(|(known, _)| *known == code).map(|(_, reading)| *reading)
    }

    /// How an analyser is doing.
    pub fn doing(&self, analyser: usize) -> Option<Doing> {
        let health = self.board.of(analyser)?;
        let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
        let times = health.answer_times();
        Some(Doing {
            answered: health.answered,
            failed: health.failed,
            times: times.map(|times| (milliseconds(times.median), milliseconds(times.p99))),
            fault: match (&health.fault, health.answered) {
                (None, 0) => Some("no answer within the period".to_owned()),
                (fault, _) => fault.clone(),
            },
            refused: health.refused.clone(),
        })
    }

    /// The analyser that a channel is asked from.
    pub fn name(&self, measured: &Measured) -> &str {
        self.config.analysers.get(measured.analyser).map_or("", |analyser| analyser.name.as_str())
    }
}

impl fmt::Display for Polled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\noutlet {}, {:.0}", self.outlet.code, self.at)?;
        let rows: Vec<[String; 9]> = self.raw.iter().map(|raw| self.row(raw)).collect();
        table(f, &rows)?;
        self.asked.iter().try_for_each(|index| self.analyser(f, *index))
    }
}

impl Polled<'_> {
    fn row(&self, raw: &Raw<'_>) -> [String; 9] {
        let reading = self.reading(raw.code);
        let value =
            reading.and_then(|reading| reading.value).map_or("-".to_owned(), |value| value.to_string());
        let flag = match reading {
            Some(reading) => format!("{} {}", reading.flag.letter(), meaning(reading.flag)),
            None => "- no new result yet".to_owned(),
        };
        let code = raw.code.as_str().to_owned();
        let Some(measured) = raw.measured else {
            let none = String::new;
            return [code, none(), none(), none(), none(), none(), value, none(), flag];
        };
        let words = raw.words.map_or("-".to_owned(), |words| {
            words.iter().map(|word| format!("{word:04x}")).collect::<Vec<_>>().join(" ")
        });
        let form = form(measured);
        let times = self.doing(measured.analyser).and_then(|doing| doing.times);
        [
            code,
            self.name(measured).to_owned(),
            text_of(Block::of(&measured.place)),
            format!("{} {}", form.type_name(), form.order_name()),
            words,
            raw.number.map_or("-".to_owned(), |number| number.to_string()) + &converted(&measured.conversion),
            value,
            times
                .filter(|_| raw.words.is_some())
                .map_or(String::new(), |(median, _)| format!("{median:.1} ms")),
            flag + &others(raw),
        ]
    }

    fn analyser(&self, f: &mut fmt::Formatter<'_>, index: usize) -> fmt::Result {
        let (Some(analyser), Some(doing)) = (self.config.analysers.get(index), self.doing(index)) else {
            return Ok(());
        };
        let line = self.config.lines.get(analyser.line).map_or("", |line| line.name.as_str());
        write!(
            f,
            "  {}: {line}, unit {}: {} requests answered",
            analyser.name, analyser.unit, doing.answered
        )?;
        if doing.failed > 0 {
            write!(f, ", {} not", doing.failed)?;
        }
        if let Some((median, slowest)) = doing.times {
            write!(f, ", in {median:.1} ms (slowest {slowest:.1} ms)")?;
        }
        match &doing.fault {
            Some(fault) => writeln!(f, "; fault: {fault}")?,
            None => writeln!(f)?,
        }
        for refused in &doing.refused {
            writeln!(f, "    it refuses {refused}: check table, address and type")?;
        }
        for finding in self.failed.iter().filter(|finding| finding.analyser == analyser.name) {
            let Finding { check, expected, found, .. } = finding;
            writeln!(f, "    check {check:?} fails: it must be {expected}, it is {found}")?;
        }
        Ok(())
    }
}

/// In columns as wide as they must be.
fn table(f: &mut fmt::Formatter<'_>, rows: &[[String; 9]]) -> fmt::Result {
    let head = ["channel", "analyser", "registers", "type", "words", "raw", "value", "answer", "flag"];
    let head = head.map(str::to_owned);
    let all = || std::iter::once(&head).chain(rows);
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    for row in all() {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(f, "  {}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn text_of(block: Block) -> String {
    let (table, first) = (block.table.name(), block.address);
    match block.count {
        1 => format!("{table} {first}"),
        count => format!("{table} {first}-{}", first.saturating_add(count - 1)),
    }
}

/// How the raw number becomes the value, where it is not the value.
fn converted(conversion: &Conversion) -> String {
    let (plain, unit) = (Conversion::NONE, conversion.unit);
    let same = |one: f64, other: f64| one.to_bits() == other.to_bits();
    let step = |sign: &str, factor: f64, none: f64| {
        if same(factor, none) { String::new() } else { format!(" {sign} {factor}") }
    };
    let own = step("x", conversion.scale, plain.scale) + &step("+", conversion.offset, plain.offset);
    let of_unit = step("x", unit.factor, plain.unit.factor) + &step("+", unit.shift, plain.unit.shift);
    if of_unit.is_empty() { own } else { format!("{own}, then{of_unit}") }
}

/// Status, quality and fresh registers.
fn others(raw: &Raw<'_>) -> String {
    let other = |(block, word): &(Block, Option<u16>)| {
        let word = word.map_or("-".to_owned(), |word| format!("{word:04x}"));
        format!("{} = {word}", text_of(*block))
    };
    let others: Vec<String> = raw.single.iter().map(other).collect();
    if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) }
}

const fn meaning(flag: Flag) -> &'static str {
    match flag {
        Flag::Normal => "normal",
        Flag::InstrumentOff => "switched off",
        Flag::Maintenance => "maintenance",
        Flag::SetByHand => "set by hand",
        Flag::Fault => "fault",
        Flag::Calibration => "calibration",
        Flag::OverRange => "above range",
        Flag::Communication => "no answer",
        Flag::Absent => "no reading",
    }
}

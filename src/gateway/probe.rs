//! What unknown registers could hold: every type and order, compared with a value that a person reads off the analyser's display.
//! Pure; what asks the analyser is in `survey`.

/// Which units are there and which registers they answer.
pub mod survey;

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::config::gateway::{Number, Order, Table};
use crate::gateway::register;

/// The words of one table that were read, by address.
pub type Words = BTreeMap<u16, u16>;

/// All orders, the usual ones first.
pub const ORDERS: [Order; 4] = [Order::Abcd, Order::Cdab, Order::Badc, Order::Dcba];
/// Types of numbers, the likely ones first.
const NUMBERS: [Number; 10] = [
    Number::F32,
    Number::F64,
    Number::U16,
    Number::I16,
    Number::U32,
    Number::I32,
    Number::Bcd16,
    Number::Bcd32,
    Number::U64,
    Number::I64,
];
/// Scales that analysers use, the likely ones first.
pub const SCALES: [f64; 7] = [1.0, 0.1, 0.01, 0.001, 10.0, 100.0, 1000.0];
/// The smallest and the largest number that looks like a measurement.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = 1e-3..=1e6;
/// A 32-bit float with more digits has the noise of a measurement, or of a word that does not belong to it.
const ROUND_DIGITS: usize = 7;
/// A text has at least so many letters or registers, and so many letters and digits for each other sign.
const TEXT: usize = 3;

/// A way to read a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    pub number: Number,
    pub order: Order,
}

impl Form {
    /// Every way, the likely ones first. One-register numbers know only two orders.
    pub fn all() -> impl Iterator<Item = Form> {
        let orders = |number: Number| {
            let twice = number.registers() > 1;
            ORDERS.into_iter().filter(move |order| twice || matches!(order, Order::Abcd | Order::Badc))
        };
        NUMBERS.into_iter().flat_map(move |number| orders(number).map(move |order| Form { number, order }))
    }

    /// The number from this address on; `None` where not all its registers were read, or where they hold none.
    pub fn read(self, words: &Words, address: u16) -> Option<f64> {
        register::raw(&taken(words, address, self.number.registers())?, self.number, self.order)
    }

    /// The type as the configuration has it.
    pub const fn type_name(self) -> &'static str {
        match self.number {
            Number::Bit => "bit",
            Number::U16 => "u16",
            Number::I16 => "i16",
            Number::U32 => "u32",
            Number::I32 => "i32",
            Number::U64 => "u64",
            Number::I64 => "i64",
            Number::F32 => "f32",
            Number::F64 => "f64",
            Number::Bcd16 => "bcd16",
            Number::Bcd32 => "bcd32",
            Number::Bits { .. } => "bits",
            Number::Ascii { .. } => "ascii",
        }
    }

    /// The order as the configuration has it.
    pub const fn order_name(self) -> &'static str {
        order_name(self.order)
    }
}

/// An order as the configuration has it.
pub const fn order_name(order: Order) -> &'static str {
    match order {
        Order::Abcd => "ABCD",
        Order::Cdab => "CDAB",
        Order::Badc => "BADC",
        Order::Dcba => "DCBA",
    }
}

fn taken(words: &Words, address: u16, count: u16) -> Option<Vec<u16>> {
    (0..count).map(|offset| words.get(&address.checked_add(offset)?).copied()).collect()
}

/// A value that must be somewhere in the registers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    pub value: f64,
    /// Half a unit of the last digit given: what the display may have rounded away.
    pub rounded: f64,
}

impl FromStr for Expected {
    type Err = String;

    fn from_str(text: &str) -> Result<Expected, String> {
        const RULE: &str = "an expected value is a number other than 0 as the display shows it, as 31.2";
        let value: f64 = text.parse().map_err(|_none| format!("{RULE}; found {text:?}"))?;
        if !value.is_finite() {
            return Err(format!("{RULE}; found {text:?}"));
        }
        if value == 0.0 {
            return Err(format!("{RULE}: 0 is in too many registers; wait until the analyser shows another"));
        }
        let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let decimals =
            digits.split_once('.').map_or(0, |(_, after)| i32::try_from(after.len()).unwrap_or(i32::MAX));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        Ok(Expected { value, rounded: 0.5 * 10_f64.powi(exponent.saturating_sub(decimals)) })
    }
}

/// Registers of one table, and which of them changed between two looks.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'s> {
    pub table: Table,
    pub words: &'s Words,
    pub moved: &'s BTreeSet<u16>,
}

/// Registers that hold the expected value under one form and scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    pub table: Table,
    /// Address of the first register.
    pub address: u16,
    pub form: Form,
    /// Other forms that read the same number from the same registers.
    pub also: Vec<Form>,
    pub scale: f64,
    /// The number scaled.
    pub value: f64,
    /// Points against it: how often registers that hold something else would match like this. 0 is the best.
    pub doubt: u8,
    /// Whether its registers changed between two looks.
    pub moved: bool,
    weight: Weight,
}

/// What decides between matches of the same doubt; smaller goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    /// 0: its least significant register moved, as a live value's does; 1: another one; 2: none.
    stillness: u8,
    /// Floats of the same form around it in an unbroken row.
    row: Reverse<usize>,
    /// Parts per million of the expected value.
    off_ppm: u64,
    registers: u16,
    address: u16,
}

impl Match {
    /// The better one is less.
    pub fn compare(&self, other: &Match) -> Ordering {
        (self.doubt, self.weight).cmp(&(other.doubt, other.weight))
    }

    /// Whether both use a register.
    pub fn overlaps(&self, other: &Match) -> bool {
        let end = |one: &Match| u32::from(one.address) + u32::from(one.form.number.registers());
        self.table == other.table
            && u32::from(self.address) < end(other)
            && u32::from(other.address) < end(self)
    }
}

/// All that equals the expected value within `tolerance` (a share of it), the best first.
pub fn matches(seen: Seen<'_>, expected: Expected, tolerance: f64) -> Vec<Match> {
    let mut found: Vec<Match> = Vec::new();
    for address in seen.words.keys().copied() {
        for form in Form::all() {
            let Some(raw) = form.read(seen.words, address) else { continue };
            for scale in SCALES {
                let value = raw * scale;
                let off = (value - expected.value).abs();
                if off > tolerance * expected.value.abs() {
                    continue;
                }
                let new = Match {
                    table: seen.table,
                    address,
                    form,
                    also: Vec::new(),
                    scale,
                    value,
                    doubt: doubt(form, scale, raw) + u8::from(off > expected.rounded),
                    moved: stillness(seen, address, form) < 2,
                    weight: weight(seen, address, form, off / expected.value.abs()),
                };
                add(&mut found, new);
            }
        }
    }
    found.sort_by(Match::compare);
    found
}

/// A match of the same number from the same registers is the same match in another form.
fn add(found: &mut Vec<Match>, mut new: Match) {
    let same = |old: &&mut Match| {
        old.address == new.address
            && old.form.number.registers() == new.form.number.registers()
            && old.scale.to_bits() == new.scale.to_bits()
            && old.value.to_bits() == new.value.to_bits()
    };
    let Some(old) = found.iter_mut().rev().find(same) else {
        found.push(new);
        return;
    };
    if new.doubt < old.doubt {
        std::mem::swap(old, &mut new);
        old.also.append(&mut new.also);
    }
    old.also.push(new.form);
}

/// Points against a form: a float's exponent hardly ever fits by chance, a small whole number often does.
fn doubt(form: Form, scale: f64, raw: f64) -> u8 {
    let plain = scale.to_bits() == 1.0_f64.to_bits();
    let usual_order = u8::from(!matches!(form.order, Order::Abcd | Order::Cdab));
    match form.number {
        Number::F32 => usual_order + if plain { 0 } else { 3 } + u8::from(digits(raw) > ROUND_DIGITS),
        Number::F64 => usual_order + if plain { 0 } else { 3 },
        Number::U16 | Number::I16 | Number::U32 | Number::I32 => 2 + 2 * usual_order + u8::from(scale > 1.0),
        Number::Bcd16 | Number::Bcd32 | Number::U64 | Number::I64 => {
            3 + 2 * usual_order + u8::from(scale > 1.0)
        }
        Number::Bit | Number::Bits { .. } | Number::Ascii { .. } => u8::MAX / 2,
    }
}

/// Decimal digits that a 32-bit float needs.
fn digits(raw: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "it was read as a 32-bit float")]
    let text = format!("{:e}", raw as f32);
    text.split('e').next().unwrap_or("").chars().filter(char::is_ascii_digit).count()
}

fn weight(seen: Seen<'_>, address: u16, form: Form, off: f64) -> Weight {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of at most the tolerance, and a cast saturates"
    )]
    let off_ppm = (off * 1e6).round() as u64;
    Weight {
        stillness: stillness(seen, address, form),
        row: Reverse(if form.number == Number::F32 { row(seen.words, address, form) } else { 0 }),
        off_ppm,
        registers: form.number.registers(),
        address,
    }
}

fn stillness(seen: Seen<'_>, address: u16, form: Form) -> u8 {
    let end = address.saturating_add(form.number.registers() - 1);
    let least = match form.order {
        Order::Abcd | Order::Badc => end,
        Order::Cdab | Order::Dcba => address,
    };
    if seen.moved.contains(&least) {
        0
    } else if seen.moved.range(address..=end).next().is_some() {
        1
    } else {
        2
    }
}

/// How many plausible floats of this form follow each other without a gap, with this one among them: an analyser writes many in
/// one form, and what begins in the middle of a number makes a shorter row.
fn row(words: &Words, address: u16, form: Form) -> usize {
    let plausible = |at: Option<u16>| at.and_then(|at| form.read(words, at)).is_some_and(is_plausible);
    let step = form.number.registers();
    let after = (0..).take_while(|index| {
        plausible(step.checked_mul(*index).and_then(|offset| address.checked_add(offset)))
    });
    let before = (1..).take_while(|index| {
        plausible(step.checked_mul(*index).and_then(|offset| address.checked_sub(offset)))
    });
    after.count() + before.count()
}

/// Whether a float looks like a measurement. Zero does not: nearly everything can be read as zero.
pub fn is_plausible(value: f64) -> bool {
    PLAUSIBLE.contains(&value.abs())
}

/// Text in registers, two characters each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub address: u16,
    pub registers: u16,
    pub text: String,
    /// The same with the bytes of each register exchanged.
    pub exchanged: String,
}

/// What looks like text: registers in a row that hold mostly letters and digits.
pub fn texts(words: &Words) -> Vec<Text> {
    let mut runs: Vec<(u16, Vec<u16>)> = Vec::new();
    for (address, word) in words {
        if !is_text(*word) {
            continue;
        }
        match runs.last_mut() {
            Some((first, run)) if usize::from(*address - *first) == run.len() => run.push(*word),
            Some(_) | None => runs.push((*address, vec![*word])),
        }
    }
    runs.into_iter().filter_map(|(address, run)| text(address, &run)).collect()
}

/// Two printable characters, or one and the end.
fn is_text(word: u16) -> bool {
    let printable = |byte: u8| (b' '..=b'~').contains(&byte);
    let [first, second] = word.to_be_bytes();
    (printable(first) && (printable(second) || second == 0)) || (first == 0 && printable(second))
}

fn text(address: u16, run: &[u16]) -> Option<Text> {
    let read = |order| {
        // A NUL that fills up one register is no end here: what follows would be lost.
        let filled: Vec<u16> = run.iter().map(|word| fill(*word)).collect();
        register::text(&filled, order)
    };
    let (text, exchanged) = (read(Order::Abcd)?, read(Order::Badc)?);
    let count = |kind: fn(&char) -> bool| text.chars().filter(kind).count();
    let (letters, known) = (count(char::is_ascii_alphabetic), count(char::is_ascii_alphanumeric));
    let signs = text.chars().count() - known;
    let enough = run.len() >= 2 && letters.max(run.len()) >= TEXT && known >= TEXT * signs.max(1);
    enough.then(|| Text { address, registers: u16::try_from(run.len()).unwrap_or(u16::MAX), text, exchanged })
}

fn fill(word: u16) -> u16 {
    let [first, second] = word.to_be_bytes();
    let blank = |byte: u8| if byte == 0 { b' ' } else { byte };
    u16::from_be_bytes([blank(first), blank(second)])
}

/// The numbers of the bits that are set, 0 the least significant, as `0-3,7`.
pub fn bits(word: u16) -> String {
    ranges((0..16_u16).filter(|bit| word >> bit & 1 == 1))
}

/// Ascending numbers as `0-3,7`.
pub fn ranges(numbers: impl Iterator<Item = u16>) -> String {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            Some(_) | None => ranges.push((number, number)),
        }
    }
    let text = |(first, last): &(u16, u16)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;

//! What a probe found, for people.

use std::fmt;

use crate::cli::probe::Holding;
use crate::config::gateway::{Number, Order};
use crate::gateway::probe::survey::{Registers, Survey, Unit};
use crate::gateway::probe::{Form, Match, ORDERS, Words, bits, is_plausible, order_name, ranges, texts};

/// Matches of one expected value that are shown.
const SHOWN: usize = 6;
/// Registers in a row that hold the same are drawn together from so many on.
const ALIKE: usize = 4;
/// Up to this many points against it, a match is called likely; up to the second, possible.
const LIKELY: u8 = 1;
const POSSIBLE: u8 = 3;

/// All of it.
pub struct Probe<'p> {
    pub link: &'p str,
    pub survey: &'p Survey,
    pub holding: &'p [Holding<'p>],
    /// Also the unusual orders and the longest numbers.
    pub all: bool,
    pub tolerance: f64,
}

impl fmt::Display for Probe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        units(f, self.link, self.survey)?;
        for (unit, alike) in self.survey.distinct() {
            if let Some(remark) = &unit.remark {
                writeln!(f, "\nunit {}: {remark}", unit.unit)?;
            }
            if !alike.is_empty() {
                let alike = list(&alike);
                writeln!(
                    f,
                    "\nunits {alike} hold the same as unit {}: this device seems to answer to any unit",
                    unit.unit
                )?;
            }
            for registers in &unit.tables {
                self.registers(f, unit, registers)?;
            }
        }
        self.holding.iter().try_for_each(|holding| self.holding(f, holding))
    }
}

fn units(f: &mut fmt::Formatter<'_>, link: &str, survey: &Survey) -> fmt::Result {
    writeln!(f, "{link}, after {:.1} s", survey.took.as_secs_f64())?;
    for unit in &survey.units {
        writeln!(f, "  unit {:3}  answers after {} ms", unit.unit, unit.answered_after.as_millis())?;
    }
    for (units, what) in [
        (&survey.silent, "silent"),
        (&survey.out_of_reach, "the converter cannot reach them"),
        (&survey.not_asked, "not asked: the time was over; ask for fewer (--unit)"),
    ] {
        if !units.is_empty() {
            writeln!(f, "  {what}: {}", list(units))?;
        }
    }
    if survey.units.is_empty() {
        writeln!(
            f,
            "no unit answers; try other units (--unit 1-247), more time (--timeout-ms 2000), another table (--table input) and, \
             on a serial line, another speed and parity"
        )?;
    }
    Ok(())
}

fn list(units: &[u8]) -> String {
    ranges(units.iter().copied().map(u16::from))
}

impl Probe<'_> {
    fn registers(&self, f: &mut fmt::Formatter<'_>, unit: &Unit, registers: &Registers) -> fmt::Result {
        let words = &registers.words;
        write!(f, "\nunit {}, {}: ", unit.unit, registers.table.name())?;
        let times = &registers.times;
        match (times.get(times.len() / 2), times.last()) {
            (Some(median), Some(slowest)) => write!(
                f,
                "{} answered, in {:.1} ms (slowest {:.1} ms)",
                ranges(words.keys().copied()),
                median.as_secs_f64() * 1000.0,
                slowest.as_secs_f64() * 1000.0
            )?,
            (None, _) | (_, None) => write!(f, "nothing answered")?,
        }
        for (addresses, what) in [(&registers.refused, "refused"), (&registers.unknown, "unknown")] {
            if !addresses.is_empty() {
                write!(f, "; {what}: {}", ranges(addresses.iter().copied()))?;
            }
        }
        if let Some(remark) = &registers.remark {
            write!(f, " ({remark})")?;
        }
        writeln!(f)?;
        if words.is_empty() {
            return Ok(());
        }
        match (registers.twice, registers.moved.is_empty()) {
            (true, true) => writeln!(f, "nothing moved within a second")?,
            (_, false) => writeln!(f, "moved within a second: {}", ranges(registers.moved.iter().copied()))?,
            (false, true) => writeln!(f, "there was no time to see what moves")?,
        }
        if registers.table.is_bits() {
            let on = ranges(words.iter().filter(|(_, word)| **word != 0).map(|(address, _)| *address));
            return writeln!(f, "on: {}", if on.is_empty() { "none" } else { &on });
        }
        for text in texts(words) {
            let last = text.address + (text.registers - 1);
            writeln!(
                f,
                "text {}-{last}: {:?} (bytes exchanged: {:?})",
                text.address, text.text, text.exchanged
            )?;
        }
        self.rows(f, registers)
    }

    fn rows(&self, f: &mut fmt::Formatter<'_>, registers: &Registers) -> fmt::Result {
        writeln!(
            f,
            "{:>8}  {:4} {:>6} {:>6} {:>11} {:>11} {:>12} {:>12} {:>13} {:>13} {:>5}  bits",
            "register",
            "hex",
            "u16",
            "i16",
            "u32 ABCD",
            "u32 CDAB",
            "i32 ABCD",
            "i32 CDAB",
            "f32 ABCD",
            "f32 CDAB",
            "bcd16"
        )?;
        for (first, last, word) in alike(&registers.words) {
            let count = usize::from(last - first) + 1;
            if count < ALIKE {
                (first..=last).try_for_each(|address| self.row(f, registers, address))?;
                continue;
            }
            // The last one makes other numbers with what follows it.
            let followed = last.checked_add(1).is_some_and(|next| registers.words.contains_key(&next));
            let from = if word == 0 { first } else { first + 1 };
            if word != 0 {
                self.row(f, registers, first)?;
            }
            writeln!(f, "{from:>8}  {word:04x}   and so on to {}", if followed { last - 1 } else { last })?;
            if followed {
                self.row(f, registers, last)?;
            }
        }
        writeln!(
            f,
            "~ moved; * looks like a measurement; i16 and i32 are shown where they are not u16 and u32"
        )
    }

    fn row(&self, f: &mut fmt::Formatter<'_>, registers: &Registers, address: u16) -> fmt::Result {
        let words = &registers.words;
        let Some(word) = words.get(&address).copied() else { return Ok(()) };
        let read = |number, order| Form { number, order }.read(words, address);
        let whole = |number, order| read(number, order).map_or(String::new(), |value| value.to_string());
        let negative = |number, order| {
            read(number, order).filter(|value| *value < 0.0).map_or(String::new(), |value| value.to_string())
        };
        let float = |order| read(Number::F32, order).map_or(String::new(), float);
        let moved = if registers.moved.contains(&address) { '~' } else { ' ' };
        let (abcd, cdab) = (Order::Abcd, Order::Cdab);
        let row = format!(
            "{address:>8}{moved} {word:04x} {word:>6} {:>6} {:>11} {:>11} {:>12} {:>12} {:>13} {:>13} {:>5}  {}",
            negative(Number::I16, abcd),
            whole(Number::U32, abcd),
            whole(Number::U32, cdab),
            negative(Number::I32, abcd),
            negative(Number::I32, cdab),
            float(abcd),
            float(cdab),
            whole(Number::Bcd16, abcd),
            bits(word)
        );
        writeln!(f, "{}", row.trim_end())?;
        if !self.all {
            return Ok(());
        }
        others(words, address).try_for_each(|line| writeln!(f, "          {line}"))
    }

    fn holding(&self, f: &mut fmt::Formatter<'_>, holding: &Holding<'_>) -> fmt::Result {
        let (value, percent) = (holding.expected.value, self.tolerance * 100.0);
        if holding.found.is_empty() {
            return writeln!(
                f,
                "\n{value}: no register holds it within {percent} %, in any type, order or scale from 0.001 to 1000; look in other \
                 registers (--registers), tables (--table) and units, or give it more room (--tolerance)"
            );
        }
        writeln!(f, "\n{value} within {percent} % is here, the best first:")?;
        let many = self.survey.units.len() > 1;
        for (unit, one) in holding.found.iter().take(SHOWN) {
            let of = if many { format!("unit {}, ", unit.unit) } else { String::new() };
            let moved = if one.moved { ", moves" } else { "" };
            let how = match one.doubt {
                doubt if doubt <= LIKELY => "likely",
                doubt if doubt <= POSSIBLE => "possible",
                _ => "doubtful",
            };
            writeln!(f, "  {:76} # {of}{how}: {}{moved}{}", line(one), short(one.value), also(one))?;
        }
        if holding.found.len() > SHOWN {
            writeln!(f, "  and {} more, with more doubt", holding.found.len() - SHOWN)?;
        }
        if let [(_, first), (_, second), ..] = holding.found.as_slice()
            && first.doubt == second.doubt
            && first.overlaps(second)
        {
            writeln!(
                f,
                "  the first two share a register: only one is right; compare when the value is another"
            )?;
        }
        Ok(())
    }
}

/// As it goes into the configuration.
pub fn line(one: &Match) -> String {
    format!(
        "register = {}  table = \"{}\"  type = \"{}\"  order = \"{}\"  scale = {:?}",
        one.address,
        one.table.name(),
        one.form.type_name(),
        one.form.order_name(),
        one.scale
    )
}

fn also(one: &Match) -> String {
    let names: Vec<String> =
        one.also.iter().map(|form| format!("{} {}", form.type_name(), form.order_name())).collect();
    if names.is_empty() { String::new() } else { format!("; the same as {}", names.join(", ")) }
}

/// The unusual orders, the longest numbers and decimal digits, where there are any.
fn others(words: &Words, address: u16) -> impl Iterator<Item = String> {
    let shown = move |form: Form| {
        let value = form.read(words, address)?;
        let shown = match form.number {
            Number::F32 | Number::F64 => float(value),
            Number::Bit
            | Number::U16
            | Number::I16
            | Number::U32
            | Number::I32
            | Number::U64
            | Number::I64
            | Number::Bcd16
            | Number::Bcd32
            | Number::Bits { .. }
            | Number::Ascii { .. } => short(value),
        };
        Some(format!("{} {shown}", form.type_name()))
    };
    let of_order = move |order: Order| {
        let usual = [Number::U32, Number::I32, Number::F32];
        let forms = Form::all().filter(|form| form.order == order && form.number.registers() > 1);
        let unusual = matches!(order, Order::Badc | Order::Dcba);
        let shown: Vec<String> =
            forms.filter(|form| unusual || !usual.contains(&form.number)).filter_map(shown).collect();
        (!shown.is_empty()).then(|| format!("{}: {}", order_name(order), shown.join(", ")))
    };
    ORDERS.into_iter().filter_map(of_order)
}

fn float(value: f64) -> String {
    format!("{}{}", short(value), if is_plausible(value) { "*" } else { " " })
}

/// Seven digits at most.
fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if !(1e-4..1e10).contains(&size) {
        return format!("{value:.3e}");
    }
    let places = if size >= 1e6 {
        0
    } else if size >= 1000.0 {
        2
    } else if size >= 1.0 {
        5
    } else {
        8
    };
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Runs of neighbouring registers that hold the same word: the first, the last, the word.
fn alike(words: &Words) -> Vec<(u16, u16, u16)> {
    let mut runs: Vec<(u16, u16, u16)> = Vec::new();
    for (address, word) in words {
        match runs.last_mut() {
            Some((_, last, same)) if last.checked_add(1) == Some(*address) && same == word => {
                *last = *address;
            }
            Some(_) | None => runs.push((*address, *address, *word)),
        }
    }
    runs
}

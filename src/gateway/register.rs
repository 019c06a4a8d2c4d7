//! Register words to readings. Pure: nothing here waits, logs or reads a clock.

use crate::config::gateway::{Conversion, Number, Order, Quality, StatusCondition, StatusRegister};
use crate::domain::flag::Flag;
use crate::domain::scan::Reading;

/// Whole numbers beyond this have no exact form as a 64-bit float.
const EXACT: u64 = 1 << 53;

/// A channel's reading from its raw number and what is said about it: the analyser's status, then the limits of the signal.
/// What cannot be a measurement (no number, no finite result) is a fault without a value.
pub fn reading(raw: Option<f64>, conversion: &Conversion, status: Flag) -> Reading {
    let broken = raw.zip(conversion.under).is_some_and(|(raw, under)| raw < under);
    let over = raw.zip(conversion.over).is_some_and(|(raw, over)| raw > over);
    let value = raw.filter(|_| !broken).and_then(|raw| engineering(raw, conversion));
    let flag = match (value, status) {
        (None, Flag::Normal) => Flag::Fault,
        (Some(_), Flag::Normal) if over => Flag::OverRange,
        (_, status) => status,
    };
    Reading { value, flag }
}

/// The value in the channel's unit; `None` when it is no finite number.
pub fn engineering(raw: f64, conversion: &Conversion) -> Option<f64> {
    let given = raw * conversion.scale + conversion.offset;
    let value = given * conversion.unit.factor + conversion.unit.shift;
    value.is_finite().then_some(value)
}

/// What a status word says: the flag of the first rule that applies.
pub fn status(word: u16, register: &StatusRegister) -> Option<Flag> {
    let applies = |when: StatusCondition| match when {
        StatusCondition::Bit(bit) => word.checked_shr(u32::from(bit)).is_some_and(|rest| rest & 1 == 1),
        StatusCondition::Mask { mask, value } => word & mask == value,
        StatusCondition::Value(value) => word == value,
    };
    register.rules.iter().find(|rule| applies(rule.when)).map(|rule| rule.flag)
}

/// What a quality word says about a channel's value: nothing, or its flag.
pub fn quality(word: u16, quality: &Quality) -> Option<Flag> {
    (!quality.good.contains(&(word & quality.mask))).then_some(quality.flag)
}

/// The number that these words hold. `None` when they are not as many as it needs, when they hold no finite number, no decimal
/// digits, or a whole number too large to be exact.
pub fn raw(words: &[u16], number: Number, order: Order) -> Option<f64> {
    match (number, words) {
        (Number::Bit, [word]) => Some(f64::from(word & 1)),
        (Number::U16, [word]) => Some(f64::from(u16::from_be_bytes(single(*word, order)))),
        (Number::I16, [word]) => Some(f64::from(i16::from_be_bytes(single(*word, order)))),
        (Number::Bcd16, [word]) => decimal(&single(*word, order)),
        (Number::Bits { low, count }, [word]) => Some(f64::from(bits(*word, order, low, count))),
        (Number::U32, [a, b]) => Some(f64::from(u32::from_be_bytes(double(*a, *b, order)))),
        (Number::I32, [a, b]) => Some(f64::from(i32::from_be_bytes(double(*a, *b, order)))),
        (Number::F32, [a, b]) => finite(f64::from(f32::from_be_bytes(double(*a, *b, order)))),
        (Number::Bcd32, [a, b]) => decimal(&double(*a, *b, order)),
        (Number::U64, [a, b, c, d]) => whole(u64::from_be_bytes(quadruple([*a, *b, *c, *d], order))),
        (Number::I64, [a, b, c, d]) => signed(i64::from_be_bytes(quadruple([*a, *b, *c, *d], order))),
        (Number::F64, [a, b, c, d]) => finite(f64::from_be_bytes(quadruple([*a, *b, *c, *d], order))),
        (
            Number::Bit
            | Number::U16
            | Number::I16
            | Number::U32
            | Number::I32
            | Number::U64
            | Number::I64
            | Number::F32
            | Number::F64
            | Number::Bcd16
            | Number::Bcd32
            | Number::Bits { .. }
            | Number::Ascii { .. },
            _,
        ) => None,
    }
}

/// The text that these words hold: two characters each, up to the first NUL, without blanks around it. `None` when it is not
/// printable ASCII.
pub fn text(words: &[u16], order: Order) -> Option<String> {
    let words: Vec<u16> = match order {
        Order::Abcd | Order::Badc => words.to_vec(),
        Order::Cdab | Order::Dcba => words.iter().rev().copied().collect(),
    };
    let bytes: Vec<u8> =
        words.iter().flat_map(|word| single(*word, order)).take_while(|byte| *byte != 0).collect();
    let printable = bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
    printable.then(|| bytes.iter().map(|byte| char::from(*byte)).collect::<String>().trim().to_owned())
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn whole(value: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    (value <= EXACT).then_some(value as f64)
}

fn signed(value: i64) -> Option<f64> {
    let magnitude = whole(value.unsigned_abs())?;
    Some(if value < 0 { -magnitude } else { magnitude })
}

/// Two decimal digits a byte.
fn decimal(bytes: &[u8]) -> Option<f64> {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
    let number = digits.into_iter().try_fold(0_u32, |number, digit| {
        if digit > 9 { None } else { number.checked_mul(10)?.checked_add(u32::from(digit)) }
    });
    number.map(f64::from)
}

fn bits(word: u16, order: Order, low: u8, count: u8) -> u16 {
    let word = u16::from_be_bytes(single(word, order));
    let mask = 1_u32.checked_shl(u32::from(count)).map_or(u32::MAX, |limit| limit - 1);
    let shifted = u32::from(word).checked_shr(u32::from(low)).unwrap_or(0);
    u16::try_from(shifted & mask).unwrap_or(u16::MAX)
}

/// The bytes of a one-register number, most significant first.
fn single(word: u16, order: Order) -> [u8; 2] {
    match order {
        Order::Abcd | Order::Cdab => word.to_be_bytes(),
        Order::Badc | Order::Dcba => word.to_le_bytes(),
    }
}

/// The bytes of a two-register number, most significant first.
fn double(first: u16, second: u16, order: Order) -> [u8; 4] {
    let (high, low) = match order {
        Order::Abcd | Order::Badc => (first, second),
        Order::Cdab | Order::Dcba => (second, first),
    };
    let [a, b] = single(high, order);
    let [c, d] = single(low, order);
    [a, b, c, d]
}

/// The bytes of a four-register number, most significant first.
fn quadruple([first, second, third, fourth]: [u16; 4], order: Order) -> [u8; 8] {
    let (high, low) = match order {
        Order::Abcd | Order::Badc => ((first, second), (third, fourth)),
        Order::Cdab | Order::Dcba => ((third, fourth), (first, second)),
    };
    let mut bytes = [0; 8];
    for (place, byte) in
        bytes.iter_mut().zip(double(high.0, high.1, order).into_iter().chain(double(low.0, low.1, order)))
    {
        *place = byte;
    }
    bytes
}

#[cfg(test)]
mod tests;

//! Any words as any number: never a panic, and what comes out is finite.
#![no_main]

use cems::config::gateway::{Conversion, Number, Order};
use cems::domain::flag::Flag;
use cems::domain::unit::UnitConversion;
use cems::gateway::register;
use libfuzzer_sys::fuzz_target;

const ORDERS: [Order; 4] = [Order::Abcd, Order::Cdab, Order::Badc, Order::Dcba];

fn number(kind: u8, low: u8, count: u8) -> Number {
    match kind % 13 {
        0 => Number::Bit,
        1 => Number::U16,
        2 => Number::I16,
        3 => Number::U32,
        4 => Number::I32,
        5 => Number::U64,
        6 => Number::I64,
        7 => Number::F32,
        8 => Number::F64,
        9 => Number::Bcd16,
        10 => Number::Bcd32,
        11 => Number::Bits { low, count },
        _ => Number::Ascii { registers: u16::from(count) },
    }
}

fuzz_target!(|data: &[u8]| {
    let [kind, order, low, count, flag, rest @ ..] = data else { return };
    let (bytes, factors) = rest.split_at(rest.len().min(16));
    let words: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    let order = ORDERS[usize::from(order & 3)];
    let number = number(*kind, *low, *count);
    let raw = register::raw(&words, number, order);
    assert!(raw.is_none_or(f64::is_finite));
    if let Some(text) = register::text(&words, order) {
        assert!(text.is_ascii() && text.len() <= 2 * words.len());
    }
    let mut factors = factors.chunks_exact(8).map(|eight| f64::from_be_bytes(eight.try_into().unwrap()));
    let mut next = || factors.next().unwrap_or(1.0);
    let conversion = Conversion {
        scale: next(),
        offset: next(),
        under: (low & 1 == 1).then(&mut next),
        over: (count & 1 == 1).then(&mut next),
        unit: UnitConversion { factor: next(), shift: next() },
    };
    let status = Flag::ON_THE_WIRE[usize::from(*flag) % Flag::ON_THE_WIRE.len()];
    let reading = register::reading(raw, &conversion, status);
    assert!(reading.value.is_none_or(f64::is_finite));
    assert!(reading.value.is_some() || reading.flag != Flag::Normal, "without a value it is never normal");
});

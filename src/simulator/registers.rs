//! Engineering values into register words, and what those words stand for after rounding. Written for the simulator alone.

use crate::config::scenario::{Analyser, Channel, Number, Order, Place, Table};
use crate::domain::flag::Flag;
use crate::domain::plant::ChannelCode;

/// What an analyser says of itself, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatusBits(pub u16);

impl StatusBits {
    pub const CALIBRATION: StatusBits = StatusBits(1);
    pub const MAINTENANCE: StatusBits = StatusBits(2);
    pub const FAULT: StatusBits = StatusBits(4);
    pub const OVER_RANGE: StatusBits = StatusBits(8);

    /// Both together.
    #[must_use]
    pub const fn with(self, other: StatusBits) -> StatusBits {
        StatusBits(self.0 | other.0)
    }

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: StatusBits) -> bool {
        self.0 & other.0 == other.0
    }

    /// The gravest thing said: fault, then maintenance, calibration, over range.
    pub const fn flag(self) -> Flag {
        if self.has(StatusBits::FAULT) {
            Flag::Fault
        } else if self.has(StatusBits::MAINTENANCE) {
            Flag::Maintenance
        } else if self.has(StatusBits::CALIBRATION) {
            Flag::Calibration
        } else if self.has(StatusBits::OVER_RANGE) {
            Flag::OverRange
        } else {
            Flag::Normal
        }
    }
}

/// All registers of one analyser at one moment, as served.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterImage {
    holding: Block,
    input: Block,
    served: Vec<Served>,
    /// As the status register says it; no bits for an analyser without one.
    pub status: StatusBits,
}

/// The registers of one table, from the first used one to the last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Block {
    first: u16,
    words: Vec<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Served {
    code: ChannelCode,
    place: Place,
    width: u16,
    value: f64,
}

impl RegisterImage {
    /// Lays values, in the order of the analyser's channels, into registers. What does not fit its registers or the
    /// channel's range is served as the nearest that does, with the over-range bit.
    pub fn new(analyser: &Analyser, values: &[f64], status: StatusBits) -> RegisterImage {
        let mut image = RegisterImage {
            holding: Block::empty(analyser, Table::Holding),
            input: Block::empty(analyser, Table::Input),
            served: Vec::with_capacity(analyser.channels.len()),
            status,
        };
        for (channel, value) in analyser.channels.iter().zip(values) {
            let encoded = encode(channel, *value);
            if encoded.over_range {
                image.status = image.status.with(StatusBits::OVER_RANGE);
            }
            image.put(channel.place, encoded.words());
            let width = channel.number.width();
            image.served.push(Served {
                code: channel.code,
                place: channel.place,
                width,
                value: encoded.value,
            });
        }
        match analyser.status {
            Some(place) => image.put(place, &[image.status.0]),
            None => image.status = StatusBits::default(),
        }
        image
    }

    fn put(&mut self, place: Place, words: &[u16]) {
        let block = match place.table {
            Table::Holding => &mut self.holding,
            Table::Input => &mut self.input,
        };
        let start = usize::from(place.register.saturating_sub(block.first));
        if let Some(target) = block.words.get_mut(start..start + words.len()) {
            target.copy_from_slice(words);
        }
    }

    /// `count` words from `address`; `None` when not all of them exist.
    pub fn words(&self, table: Table, address: u16, count: u16) -> Option<&[u16]> {
        let block = match table {
            Table::Holding => &self.holding,
            Table::Input => &self.input,
        };
        let start = usize::from(address.checked_sub(block.first)?);
        block.words.get(start..start + usize::from(count))
    }

    /// The channels that lie wholly within `count` registers from `address`, each with what its words stand for: `raw *
    /// scale + offset` in double precision, raw being the rounded integer or the single-precision number. NaN stays NaN.
    pub fn values(&self, table: Table, address: u16, count: u16) -> impl Iterator<Item = (ChannelCode, f64)> {
        let end = u32::from(address) + u32::from(count);
        self.served.iter().filter_map(move |served| {
            let (first, width) = (served.place.register, u32::from(served.width));
            let within = served.place.table == table && first >= address && u32::from(first) + width <= end;
            within.then_some((served.code, served.value))
        })
    }
}

impl Block {
    fn empty(analyser: &Analyser, table: Table) -> Block {
        let channels = analyser.channels.iter().map(|channel| (channel.place, channel.number.width()));
        let mut bounds: Option<(u16, u16)> = None;
        for (place, width) in channels.chain(analyser.status.map(|place| (place, 1))) {
            if place.table == table {
                let last = place.register + (width - 1);
                let (first, end) = bounds.unwrap_or((place.register, last));
                bounds = Some((first.min(place.register), end.max(last)));
            }
        }
        bounds.map_or_else(Block::default, |(first, last)| Block {
            first,
            words: vec![0; usize::from(last - first) + 1],
        })
    }
}

struct Encoded {
    words: [u16; 2],
    width: u16,
    /// What the words stand for.
    value: f64,
    over_range: bool,
}

impl Encoded {
    fn words(&self) -> &[u16] {
        self.words.get(..usize::from(self.width)).unwrap_or_default()
    }
}

fn encode(channel: &Channel, value: f64) -> Encoded {
    let (value, above) = match channel.range_max {
        Some(top) if value > top => (top, true),
        Some(_) | None => (value, false),
    };
    let wanted = (value - channel.offset) / channel.scale;
    let (words, raw, clipped) = match channel.number {
        Number::U16 => single(whole(wanted, 0, i64::from(u16::MAX))),
        Number::I16 => single(whole(wanted, i64::from(i16::MIN), i64::from(i16::MAX))),
        Number::U32(order) => double(order, whole(wanted, 0, i64::from(u32::MAX))),
        Number::I32(order) => double(order, whole(wanted, i64::from(i32::MIN), i64::from(i32::MAX))),
        Number::F32(order) => {
            let raw = single_precision(wanted);
            (ordered(order, raw.to_bits()), f64::from(raw), false)
        }
    };
    Encoded {
        words,
        width: channel.number.width(),
        value: raw * channel.scale + channel.offset,
        over_range: above || clipped,
    }
}

/// The nearest whole number between two bounds, and whether a bound cut it. NaN, which whole numbers lack, gives 0, cut.
fn whole(wanted: f64, least: i64, most: i64) -> (i64, bool) {
    if wanted.is_nan() {
        return (0, true);
    }
    #[expect(clippy::cast_possible_truncation, reason = "saturates; every bound is below 2^53")]
    let raw = wanted.round() as i64;
    (raw.clamp(least, most), raw < least || raw > most)
}

/// To single precision; adding zero makes a negative zero a plain one.
fn single_precision(wanted: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "rounding to the register's precision is the point")]
    let raw = wanted as f32;
    raw + 0.0
}

/// An integer's 32 low bits as two's complement, most significant byte first.
fn low_bytes(raw: i64) -> [u8; 4] {
    let [_, _, _, _, a, b, c, d] = raw.to_be_bytes();
    [a, b, c, d]
}

/// Every raw integer has 32 bits at most, so this is exact.
fn exact(raw: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "32 bits fit a double's 53")]
    let exact = raw as f64;
    exact
}

fn single((raw, clipped): (i64, bool)) -> ([u16; 2], f64, bool) {
    let [_, _, c, d] = low_bytes(raw);
    ([u16::from_be_bytes([c, d]), 0], exact(raw), clipped)
}

fn double(order: Order, (raw, clipped): (i64, bool)) -> ([u16; 2], f64, bool) {
    (ordered(order, u32::from_be_bytes(low_bytes(raw))), exact(raw), clipped)
}

fn ordered(order: Order, bits: u32) -> [u16; 2] {
    let [a, b, c, d] = bits.to_be_bytes();
    let word = |high, low| u16::from_be_bytes([high, low]);
    match order {
        Order::Abcd => [word(a, b), word(c, d)],
        Order::Cdab => [word(c, d), word(a, b)],
        Order::Badc => [word(b, a), word(d, c)],
        Order::Dcba => [word(d, c), word(b, a)],
    }
}

#[cfg(test)]
mod tests;

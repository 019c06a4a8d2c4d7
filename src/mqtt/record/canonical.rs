//! Reads a scan that is in canonical form, straight from its bytes. All that is fixed is compared as it is read, and each number is
//! written once more and compared; so what is read here encodes to the same bytes and need not be encoded as a whole. Whatever is
//! not exactly so is left to the slow way, which finds out what it is.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::domain::flag::Flag;
use crate::domain::plant::{ChannelCode, MAX_CHANNELS, is_gateway_name};
use crate::domain::scan::{Reading, Scan};
use crate::mqtt::record::{Body, Epoch, Hash, Record};

/// The record, when the line is a scan in canonical form and nothing about it is unusual.
pub(super) fn scan(line: &[u8]) -> Option<Record> {
    let mut rest = Rest(line);
    rest.word(br#"{"v":1,"kind":"scan","gateway":""#)?;
    let gateway = rest.text().filter(|name| is_gateway_name(name))?;
    rest.word(br#","epoch":""#)?;
    let epoch = Epoch::from_hex(rest.text()?)?;
    rest.word(br#","seq":"#)?;
    let seq = rest.whole_number()?;
    rest.word(br#","prev":""#)?;
    let prev = Hash::from_hex(rest.text()?)?;
    rest.word(br#","cfg":""#)?;
    let cfg = Hash::from_hex(rest.text()?)?;
    rest.word(br#","outlet":""#)?;
    let outlet = rest.text()?;
    rest.word(br#","at":""#)?;
    let at = time(rest.text()?)?;
    rest.word(br#","readings":{"#)?;
    let readings = readings(&mut rest)?;
    rest.word(b"}")?;
    if !rest.0.is_empty() {
        return None;
    }
    let body = Body::Scan(Scan { outlet: outlet.to_owned(), at, readings });
    Some(Record { gateway: gateway.to_owned(), epoch, seq, prev, cfg, body })
}

/// From behind the opening bracket to behind the closing one.
fn readings(rest: &mut Rest<'_>) -> Option<Vec<(ChannelCode, Reading)>> {
    let mut readings: Vec<(ChannelCode, Reading)> = Vec::with_capacity(16);
    let mut again = Vec::with_capacity(32);
    loop {
        rest.word(b"\"")?;
        let channel = ChannelCode::new(rest.text()?)?;
        rest.word(b":[")?;
        let value = match rest.until(b',')? {
            b"null" => None,
            digits => Some(number(digits, &mut again)?),
        };
        rest.word(b",\"")?;
        let mut letters = rest.text()?.chars();
        let flag = Flag::from_letter(letters.next()?).filter(|flag| *flag != Flag::Absent)?;
        rest.word(b"]")?;
        let is_last = letters.next().is_none();
        let in_order = readings.last().is_none_or(|(last, _)| *last < channel);
        if !is_last
            || !in_order
            || readings.len() == MAX_CHANNELS
            || (value.is_none() && flag == Flag::Normal)
        {
            return None;
        }
        readings.push((channel, Reading { value, flag }));
        if rest.word(b"}").is_some() {
            return Some(readings);
        }
        rest.word(b",")?;
    }
}

/// A finite number that is written in its one form. `again`: a place to write it once more.
fn number(digits: &[u8], again: &mut Vec<u8>) -> Option<f64> {
    let value: f64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    again.clear();
    serde_json::to_writer(&mut *again, &value).ok()?;
    (value.is_finite() && again == digits).then_some(value)
}

/// `2026-11-21T04:00:06.000Z`, each figure in its place.
fn time(text: &str) -> Option<Timestamp> {
    let bytes: &[u8; 24] = text.as_bytes().try_into().ok()?;
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
    if !marks.iter().all(|(place, mark)| bytes.get(*place) == Some(mark)) {
        return None;
    }
    let figure = |from: usize, to: usize| -> Option<i16> {
        let digits = bytes.get(from..to)?;
        digits
            .iter()
            .try_fold(0_i16, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i16::from(digit - b'0')))
    };
    let small = |from: usize| i8::try_from(figure(from, from + 2)?).ok();
    let nanoseconds = i32::from(figure(20, 23)?) * 1_000_000;
    let (year, month, day) = (figure(0, 4)?, small(5)?, small(8)?);
    let at = DateTime::new(year, month, day, small(11)?, small(14)?, small(17)?, nanoseconds).ok()?;
    TimeZone::UTC.to_timestamp(at).ok()
}

/// What is not read yet.
struct Rest<'l>(&'l [u8]);

impl<'l> Rest<'l> {
    /// Exactly these bytes.
    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(word)?;
        Some(())
    }

    /// What stands before the next such byte, which stays.
    fn until(&mut self, end: u8) -> Option<&'l [u8]> {
        let length = self.0.iter().position(|byte| *byte == end)?;
        let (found, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(found)
    }

    /// Plain text to the closing quotation mark and past it: nothing that could be written in two ways.
    fn text(&mut self) -> Option<&'l str> {
        let found = self.until(b'"')?;
        self.word(b"\"")?;
        let is_plain = found.iter().all(|byte| (b' '..=b'~').contains(byte) && *byte != b'\\');
        std::str::from_utf8(found).ok().filter(|_| is_plain)
    }

    /// Digits without a leading zero, below 2^63.
    fn whole_number(&mut self) -> Option<u64> {
        let digits = self.until(b',')?;
        let plain = digits.iter().all(u8::is_ascii_digit) && (digits.len() == 1 || !digits.starts_with(b"0"));
        let number: i64 = std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()?;
        u64::try_from(number).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mqtt::record::slowly;

    fn record(values: &[Option<f64>], millisecond: i64) -> Record {
        let readings = values.iter().zip(1_u32..).map(|(value, index)| {
            let flag = if value.is_some() { Flag::Normal } else { Flag::Communication };
            (ChannelCode::new(&format!("a{index:05}")).unwrap(), Reading { value: *value, flag })
        });
        let at = Timestamp::from_millisecond(millisecond).unwrap();
        let body = Body::Scan(Scan { outlet: "kiln-1".to_owned(), at, readings: readings.collect() });
        Record {
            gateway: "gw-1".to_owned(),
            epoch: Epoch::new(),
            seq: 4711,
            prev: Hash::of(b"a"),
            cfg: Hash::of(b"b"),
            body,
        }
    }

    #[test]
    fn what_is_unusual_is_left_to_the_slow_way() {
        let line = record(&[Some(1.5), None], 1_795_000_000_123).encode();
        assert_eq!(scan(&line).unwrap().encode(), line);
        let text = String::from_utf8(line).unwrap();
        for (from, to) in [
            ("1.5", "1.50"),
            ("1.5", "15e-1"),
            ("1.5", "NaN"),
            ("1.5", "inf"),
            ("1.5", "1e999"),
            ("1.5", "+1.5"),
            ("\"seq\":4711", "\"seq\":04711"),
            ("kiln-1", "kiln\\u002d1"),
            ("a00001", "a00003"),
            ("null,\"B\"", "null,\"N\""),
            ("\"B\"", "\"-\""),
            ("\"B\"", "\"BB\""),
            (".123Z", ".123z"),
            ("T", "t"),
            ("\"v\":1", "\"v\":2"),
            ("}}", "}} "),
            ("gw-1", "central"),
        ] {
            let other = text.replacen(from, to, 1);
            assert_ne!(other, text, "{from}");
            assert_eq!(scan(other.as_bytes()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn both_ways_agree(
            bits in proptest::collection::vec(proptest::option::of(any::<u64>()), 1..20),
            at in -62_135_596_800_000_i64..253_402_207_200_000,
            spoiled in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let finite = |bits: &Option<u64>| bits.map(f64::from_bits).filter(|value| value.is_finite());
            let values: Vec<Option<f64>> = bits.iter().map(finite).collect();
            let mut line = record(&values, at).encode();
            if let Some((place, byte)) = spoiled {
                let place = place.index(line.len());
                line[place] = byte;
            }
            let (fast, slow) = (scan(&line), slowly(&line));
            if let Some(fast) = &fast {
                prop_assert_eq!(Ok(fast.encode()), slow.as_ref().map(Record::encode).map_err(Clone::clone));
                prop_assert_eq!(fast.encode(), line);
            }
            if spoiled.is_none() {
                prop_assert!(fast.is_some() && slow.is_ok());
            }
        }
    }
}

//! Register words to readings. Pure: nothing here waits, logs or reads a clock.

use crate::config::gateway::{Channel, Number, Order, StatusCondition, StatusRegister};
use crate::domain::flag::Flag;
use crate::domain::scan::Reading;

/// The value that these words hold: raw x scale + offset, in the channel's unit. `None` when they are not as many as the
/// number needs, or when the result is no finite number.
pub fn value(words: &[u16], channel: &Channel) -> Option<f64> {
    let raw = raw(words, channel.number, channel.order)?;
    let value = raw * channel.scale + channel.offset;
    value.is_finite().then_some(value)
}

/// A channel's reading from its words and its analyser's status flag. What cannot be a measurement (NaN, infinity) is a
/// fault without a value.
pub fn reading(words: &[u16], channel: &Channel, status: Flag) -> Reading {
    match value(words, channel) {
        Some(value) => Reading { value: Some(value), flag: status },
        None if status == Flag::Normal => Reading { value: None, flag: Flag::Fault },
        None => Reading { value: None, flag: status },
    }
}

/// What a status word says: the flag of the first rule that applies.
pub fn status(word: u16, register: &StatusRegister) -> Flag {
    let applies = |when: StatusCondition| match when {
        StatusCondition::Bit(bit) => word.checked_shr(u32::from(bit)).is_some_and(|rest| rest & 1 == 1),
        StatusCondition::Value(value) => word == value,
    };
    register.rules.iter().find(|rule| applies(rule.when)).map_or(Flag::Normal, |rule| rule.flag)
}

fn raw(words: &[u16], number: Number, order: Order) -> Option<f64> {
    match (number, words) {
        (Number::U16, [word]) => Some(f64::from(u16::from_be_bytes(single(*word, order)))),
        (Number::I16, [word]) => Some(f64::from(i16::from_be_bytes(single(*word, order)))),
        (Number::U32, [first, second]) => Some(f64::from(u32::from_be_bytes(double(*first, *second, order)))),
        (Number::I32, [first, second]) => Some(f64::from(i32::from_be_bytes(double(*first, *second, order)))),
        (Number::F32, [first, second]) => Some(f64::from(f32::from_be_bytes(double(*first, *second, order)))),
        (Number::U16 | Number::I16 | Number::U32 | Number::I32 | Number::F32, _) => None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::gateway::{StatusRule, Table};
    use crate::domain::plant::ChannelCode;
    use proptest::prelude::*;

    fn channel(number: Number, order: Order) -> Channel {
        let code = ChannelCode::new("a21026").unwrap();
        Channel {
            code,
            analyser: 0,
            table: Table::Holding,
            address: 0,
            number,
            order,
            scale: 1.0,
            offset: 0.0,
        }
    }

    #[test]
    fn every_type_and_order_by_hand() {
        // 0x41C8_0000 is 25.0 as a 32-bit float; A = 0x41, B = 0xC8.
        let cases: [(Number, Order, &[u16], f64); 12] = [
            (Number::F32, Order::Abcd, &[0x41C8, 0x0000], 25.0),
            (Number::F32, Order::Cdab, &[0x0000, 0x41C8], 25.0),
            (Number::F32, Order::Badc, &[0xC841, 0x0000], 25.0),
            (Number::F32, Order::Dcba, &[0x0000, 0xC841], 25.0),
            (Number::U32, Order::Abcd, &[0x0102, 0x0304], 16_909_060.0),
            (Number::U32, Order::Cdab, &[0x0304, 0x0102], 16_909_060.0),
            (Number::U32, Order::Badc, &[0x0201, 0x0403], 16_909_060.0),
            (Number::U32, Order::Dcba, &[0x0403, 0x0201], 16_909_060.0),
            (Number::I32, Order::Abcd, &[0xFFFF, 0xFFFE], -2.0),
            (Number::U16, Order::Abcd, &[0xFFFE], 65_534.0),
            (Number::I16, Order::Cdab, &[0xFFFE], -2.0),
            (Number::I16, Order::Dcba, &[0xFEFF], -2.0),
        ];
        for (number, order, words, expected) in cases {
            assert_eq!(value(words, &channel(number, order)), Some(expected), "{number:?} {order:?}");
        }
    }

    #[test]
    fn scale_comes_before_offset() {
        let scaled = Channel { scale: 0.5, offset: -10.0, ..channel(Number::U16, Order::Abcd) };
        assert_eq!(value(&[100], &scaled), Some(40.0));
    }

    #[test]
    fn what_is_no_number_is_a_fault_without_a_value() {
        let float = channel(Number::F32, Order::Abcd);
        for words in [[0x7FC0, 0], [0x7F80, 0], [0xFF80, 0]] {
            let fault = Reading { value: None, flag: Flag::Fault };
            assert_eq!(reading(&words, &float, Flag::Normal), fault);
        }
        assert_eq!(reading(&[0x7FC0, 0], &float, Flag::Calibration).flag, Flag::Calibration);
        assert_eq!(value(&[1], &float), None, "too few words");
        assert_eq!(value(&[1, 2, 3], &float), None, "too many words");
        let steep = Channel { scale: 1e12, ..float };
        assert_eq!(
            value(&[0x7F7F, 0xFFFF], &steep).map(f64::is_finite),
            Some(true),
            "1e12 x 3.4e38 is finite"
        );
    }

    #[test]
    fn the_first_rule_that_applies_wins() {
        let rule = |when, flag| StatusRule { when, flag };
        let register = StatusRegister {
            table: Table::Holding,
            address: 9,
            rules: vec![
                rule(StatusCondition::Bit(15), Flag::Fault),
                rule(StatusCondition::Value(6), Flag::Maintenance),
                rule(StatusCondition::Bit(1), Flag::Calibration),
            ],
        };
        for (word, flag) in [
            (0, Flag::Normal),
            (1, Flag::Normal),
            (0x8002, Flag::Fault),
            (6, Flag::Maintenance),
            (2, Flag::Calibration),
        ] {
            assert_eq!(status(word, &register), flag, "{word:#x}");
        }
    }

    fn written(bytes: [u8; 4], order: Order) -> [u16; 2] {
        let [a, b, c, d] = bytes;
        let word = |high, low| u16::from_be_bytes([high, low]);
        match order {
            Order::Abcd => [word(a, b), word(c, d)],
            Order::Cdab => [word(c, d), word(a, b)],
            Order::Badc => [word(b, a), word(d, c)],
            Order::Dcba => [word(d, c), word(b, a)],
        }
    }

    proptest! {
        #[test]
        fn what_an_analyser_writes_is_read_back(bits in any::<u32>(), order in 0_usize..4) {
            let order = [Order::Abcd, Order::Cdab, Order::Badc, Order::Dcba][order];
            let words = written(bits.to_be_bytes(), order);
            prop_assert_eq!(value(&words, &channel(Number::U32, order)), Some(f64::from(bits)));
            prop_assert_eq!(value(&words, &channel(Number::I32, order)), Some(f64::from(bits.cast_signed())));
            let float = f64::from(f32::from_bits(bits));
            prop_assert_eq!(value(&words, &channel(Number::F32, order)), Some(float).filter(|float| float.is_finite()));
        }
    }
}

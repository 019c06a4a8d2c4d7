//! Each type and order by hand, and read back what was written.
use super::*;
use crate::config::gateway::{StatusRule, Table};
use proptest::prelude::*;

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
        assert_eq!(raw(words, number, order), Some(expected), "{number:?} {order:?}");
    }
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
        (0, None),
        (1, None),
        (0x8002, Some(Flag::Fault)),
        (6, Some(Flag::Maintenance)),
        (2, Some(Flag::Calibration)),
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
        prop_assert_eq!(raw(&words, Number::U32, order), Some(f64::from(bits)));
        prop_assert_eq!(raw(&words, Number::I32, order), Some(f64::from(bits.cast_signed())));
        let float = f64::from(f32::from_bits(bits));
        prop_assert_eq!(raw(&words, Number::F32, order), Some(float).filter(|float| float.is_finite()));
    }
}

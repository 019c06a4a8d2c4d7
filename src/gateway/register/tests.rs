//! Each type and order by hand, what is no number, and read back what was written.
use super::*;
use crate::config::gateway::{StatusRule, Table};
use proptest::prelude::*;

const ORDERS: [Order; 4] = [Order::Abcd, Order::Cdab, Order::Badc, Order::Dcba];

/// A number in the four orders ABCD, CDAB, BADC, DCBA: as a manual shows them.
fn in_all_orders(number: Number, words: [&[u16]; 4], expected: Option<f64>) {
    for (order, words) in ORDERS.into_iter().zip(words) {
        let found = raw(words, number, order);
        assert_eq!(
            found.map(f64::to_bits),
            expected.map(f64::to_bits),
            "{number:?} {order:?} {words:04X?}: {found:?}"
        );
    }
}

#[test]
fn one_register_in_every_order() {
    let plain = |word: u16| [[word], [word], [word.swap_bytes()], [word.swap_bytes()]];
    let cases: [(Number, u16, Option<f64>); 16] = [
        (Number::U16, 0x0102, Some(258.0)),
        (Number::U16, 0xFFFE, Some(65_534.0)),
        (Number::U16, 0x8000, Some(32_768.0)),
        (Number::I16, 0x0102, Some(258.0)),
        (Number::I16, 0xFFFE, Some(-2.0)),
        (Number::I16, 0x8000, Some(-32_768.0)),
        (Number::I16, 0x7FFF, Some(32_767.0)),
        (Number::Bcd16, 0x1234, Some(1234.0)),
        (Number::Bcd16, 0x0009, Some(9.0)),
        (Number::Bcd16, 0x9999, Some(9999.0)),
        (Number::Bcd16, 0x12A4, None),
        (Number::Bcd16, 0xF000, None),
        // 1011 0110 0101 1100
        (Number::Bits { low: 0, count: 4 }, 0xB65C, Some(12.0)),
        (Number::Bits { low: 4, count: 8 }, 0xB65C, Some(101.0)),
        (Number::Bits { low: 15, count: 1 }, 0xB65C, Some(1.0)),
        (Number::Bits { low: 0, count: 16 }, 0xB65C, Some(46_684.0)),
    ];
    for (number, word, expected) in cases {
        let words = plain(word);
        in_all_orders(number, [&words[0], &words[1], &words[2], &words[3]], expected);
    }
}

#[test]
fn a_coil_is_0_or_1() {
    for (word, expected) in [(0, 0.0), (1, 1.0)] {
        in_all_orders(Number::Bit, [&[word]; 4], Some(expected));
    }
}

#[test]
fn two_registers_in_every_order() {
    in_all_orders(
        Number::U32,
        [&[0x0102, 0x0304], &[0x0304, 0x0102], &[0x0201, 0x0403], &[0x0403, 0x0201]],
        Some(16_909_060.0),
    );
    in_all_orders(
        Number::U32,
        [&[0xFFFF, 0xFFFE], &[0xFFFE, 0xFFFF], &[0xFFFF, 0xFEFF], &[0xFEFF, 0xFFFF]],
        Some(4_294_967_294.0),
    );
    in_all_orders(
        Number::I32,
        [&[0xFFFF, 0xFFFE], &[0xFFFE, 0xFFFF], &[0xFFFF, 0xFEFF], &[0xFEFF, 0xFFFF]],
        Some(-2.0),
    );
    in_all_orders(
        Number::I32,
        [&[0x8000, 0x0000], &[0x0000, 0x8000], &[0x0080, 0x0000], &[0x0000, 0x0080]],
        Some(-2_147_483_648.0),
    );
    // 0x41C8_0000 is 25.0 as a 32-bit float; A = 0x41, B = 0xC8.
    in_all_orders(
        Number::F32,
        [&[0x41C8, 0x0000], &[0x0000, 0x41C8], &[0xC841, 0x0000], &[0x0000, 0xC841]],
        Some(25.0),
    );
    // -123.456 as the nearest 32-bit float.
    in_all_orders(
        Number::F32,
        [&[0xC2F6, 0xE979], &[0xE979, 0xC2F6], &[0xF6C2, 0x79E9], &[0x79E9, 0xF6C2]],
        Some(-123.456_001_281_738_28),
    );
    in_all_orders(
        Number::Bcd32,
        [&[0x1234, 0x5678], &[0x5678, 0x1234], &[0x3412, 0x7856], &[0x7856, 0x3412]],
        Some(12_345_678.0),
    );
    in_all_orders(
        Number::Bcd32,
        [&[0x9999, 0x9999], &[0x9999, 0x9999], &[0x9999, 0x9999], &[0x9999, 0x9999]],
        Some(99_999_999.0),
    );
    in_all_orders(
        Number::Bcd32,
        [&[0x1234, 0x567B], &[0x567B, 0x1234], &[0x3412, 0x7B56], &[0x7B56, 0x3412]],
        None,
    );
}

#[test]
fn four_registers_in_every_order() {
    in_all_orders(
        Number::U64,
        [
            &[0x0011, 0x2233, 0x4455, 0x6677],
            &[0x6677, 0x4455, 0x2233, 0x0011],
            &[0x1100, 0x3322, 0x5544, 0x7766],
            &[0x7766, 0x5544, 0x3322, 0x1100],
        ],
        Some(4_822_678_189_205_111.0),
    );
    in_all_orders(
        Number::I64,
        [
            &[0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE],
            &[0xFFFE, 0xFFFF, 0xFFFF, 0xFFFF],
            &[0xFFFF, 0xFFFF, 0xFFFF, 0xFEFF],
            &[0xFEFF, 0xFFFF, 0xFFFF, 0xFFFF],
        ],
        Some(-2.0),
    );
    // 0x3FB9_9999_9999_999A is 0.1 as a 64-bit float.
    in_all_orders(
        Number::F64,
        [
            &[0x3FB9, 0x9999, 0x9999, 0x999A],
            &[0x999A, 0x9999, 0x9999, 0x3FB9],
            &[0xB93F, 0x9999, 0x9999, 0x9A99],
            &[0x9A99, 0x9999, 0x9999, 0xB93F],
        ],
        Some(0.1),
    );
}

#[test]
fn a_whole_number_is_exact_or_none() {
    let limit = 1_u64 << 53;
    for (value, expected) in [
        (limit - 1, Some(9_007_199_254_740_991.0)),
        (limit, Some(9_007_199_254_740_992.0)),
        (limit + 1, None),
        (u64::MAX, None),
    ] {
        assert_eq!(
            raw(&written(&value.to_be_bytes(), Order::Abcd), Number::U64, Order::Abcd),
            expected,
            "{value}"
        );
    }
    let limit = 1_i64 << 53;
    for (value, expected) in [
        (-limit, Some(-9_007_199_254_740_992.0)),
        (-limit - 1, None),
        (limit, Some(9_007_199_254_740_992.0)),
        (limit + 1, None),
        (i64::MIN, None),
        (i64::MAX, None),
        (-1, Some(-1.0)),
    ] {
        assert_eq!(
            raw(&written(&value.to_be_bytes(), Order::Cdab), Number::I64, Order::Cdab),
            expected,
            "{value}"
        );
    }
}

#[test]
fn what_is_no_number_is_none() {
    for float in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for order in ORDERS {
            assert_eq!(raw(&written(&float.to_be_bytes(), order), Number::F32, order), None, "{float}");
            let float = f64::from(float);
            assert_eq!(raw(&written(&float.to_be_bytes(), order), Number::F64, order), None, "{float}");
        }
    }
    let all = [
        Number::Bit,
        Number::U16,
        Number::I16,
        Number::U32,
        Number::I32,
        Number::U64,
        Number::I64,
        Number::F32,
        Number::F64,
        Number::Bcd16,
        Number::Bcd32,
        Number::Bits { low: 0, count: 8 },
    ];
    for number in all {
        for count in 0..6 {
            let found = raw(&vec![0; count], number, Order::Abcd);
            let expected = (count == usize::from(number.registers())).then_some(0.0);
            assert_eq!(found, expected, "{number:?} of {count} words");
        }
    }
    assert_eq!(raw(&[0x4142], Number::Ascii { registers: 1 }, Order::Abcd), None, "a text is no number");
}

#[test]
fn texts_in_every_order() {
    let cases: [(&[u16], Order, Option<&str>); 12] = [
        (&[0x534E, 0x2D34, 0x3700], Order::Abcd, Some("SN-47")),
        (&[0x4E53, 0x342D, 0x0037], Order::Badc, Some("SN-47")),
        (&[0x3700, 0x2D34, 0x534E], Order::Cdab, Some("SN-47")),
        (&[0x0037, 0x342D, 0x4E53], Order::Dcba, Some("SN-47")),
        // The first NUL ends it, whatever stands behind.
        (&[0x534E, 0x0041, 0xFFFF], Order::Abcd, Some("SN")),
        // Blanks around it are no part of it, those within are.
        (&[0x2053, 0x204E, 0x2020], Order::Abcd, Some("S N")),
        (&[0x0000, 0x4142], Order::Abcd, Some("")),
        (&[], Order::Abcd, Some("")),
        (&[0x7E7E], Order::Abcd, Some("~~")),
        (&[0x5380], Order::Abcd, None),
        (&[0x5307], Order::Abcd, None),
        (&[0xFFFF], Order::Abcd, None),
    ];
    for (words, order, expected) in cases {
        assert_eq!(text(words, order).as_deref(), expected, "{words:04X?} {order:?}");
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
            rule(StatusCondition::Mask { mask: 0x0030, value: 0x0010 }, Flag::OverRange),
            rule(StatusCondition::Bit(1), Flag::Calibration),
        ],
    };
    for (word, flag) in [
        (0, None),
        (1, None),
        (0x8002, Some(Flag::Fault)),
        (6, Some(Flag::Maintenance)),
        (7, Some(Flag::Calibration)),
        (2, Some(Flag::Calibration)),
        (0x0012, Some(Flag::OverRange)),
        (0x0032, Some(Flag::Calibration)),
        (0x0030, None),
    ] {
        assert_eq!(status(word, &register), flag, "{word:#x}");
    }
}

#[test]
fn a_quality_word_is_good_or_gives_its_flag() {
    let quality =
        Quality { table: Table::Input, address: 4, mask: 0x00FF, good: vec![0, 192], flag: Flag::Fault };
    for (word, flag) in
        [(0, None), (192, None), (0xAB00, None), (64, Some(Flag::Fault)), (193, Some(Flag::Fault))]
    {
        assert_eq!(super::quality(word, &quality), flag, "{word}");
    }
}

/// As an analyser writes a number of any length, most significant byte first: the registers of `CDAB` and `DCBA` come the other way
/// round, the bytes of each register in `BADC` and `DCBA`.
fn written(bytes: &[u8], order: Order) -> Vec<u16> {
    let mut words: Vec<u16> = bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    if [Order::Cdab, Order::Dcba].contains(&order) {
        words.reverse();
    }
    if [Order::Badc, Order::Dcba].contains(&order) {
        words = words.into_iter().map(u16::swap_bytes).collect();
    }
    words
}

/// The digits of a number, two a byte.
fn digits(mut number: u32, bytes: usize) -> Vec<u8> {
    let mut packed = vec![0; bytes];
    for byte in packed.iter_mut().rev() {
        *byte = u8::try_from(number % 10 + number / 10 % 10 * 16).unwrap();
        number /= 100;
    }
    packed
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

proptest! {
    #[test]
    fn what_an_analyser_writes_is_read_back(bits in any::<u64>(), order in 0_usize..4) {
        let order = ORDERS[order];
        let [.., e, f, g, h] = bits.to_be_bytes();
        let (half, quarter) = (u32::from_be_bytes([e, f, g, h]), u16::from_be_bytes([g, h]));
        let read = |bytes: &[u8], number: Number| raw(&written(bytes, order), number, order);
        prop_assert_eq!(read(&[g, h], Number::U16), Some(f64::from(quarter)));
        prop_assert_eq!(read(&[g, h], Number::I16), Some(f64::from(quarter.cast_signed())));
        prop_assert_eq!(read(&[e, f, g, h], Number::U32), Some(f64::from(half)));
        prop_assert_eq!(read(&[e, f, g, h], Number::I32), Some(f64::from(half.cast_signed())));
        prop_assert_eq!(read(&[e, f, g, h], Number::F32), finite(f64::from(f32::from_bits(half))));
        prop_assert_eq!(read(&bits.to_be_bytes(), Number::F64), finite(f64::from_bits(bits)));
        let small = half % 10_000;
        prop_assert_eq!(read(&digits(small, 2), Number::Bcd16), Some(f64::from(small)));
        let large = half % 100_000_000;
        prop_assert_eq!(read(&digits(large, 4), Number::Bcd32), Some(f64::from(large)));
    }

    #[test]
    fn whole_numbers_of_64_bits_are_exact(whole in any::<i64>(), shift in 0_u32..64, order in 0_usize..4) {
        let (order, whole) = (ORDERS[order], whole >> shift);
        let exact = whole.unsigned_abs() <= 1 << 53;
        let found = raw(&written(&whole.to_be_bytes(), order), Number::I64, order);
        prop_assert_eq!(found.map(|found| format!("{found}")), exact.then(|| whole.to_string()));
        let whole = whole.unsigned_abs();
        let found = raw(&written(&whole.to_be_bytes(), order), Number::U64, order);
        prop_assert_eq!(found.map(|found| format!("{found}")), exact.then(|| whole.to_string()));
    }

    #[test]
    fn bits_are_those_of_the_word(word in any::<u16>(), low in 0_u8..16, count in 1_u8..=16, order in 0_usize..4) {
        let (order, count) = (ORDERS[order], count.min(16 - low));
        let found = raw(&written(&word.to_be_bytes(), order), Number::Bits { low, count }, order);
        let shown = format!("{word:016b}");
        let end = usize::from(16 - low);
        let expected = u16::from_str_radix(&shown[end - usize::from(count)..end], 2).unwrap();
        prop_assert_eq!(found, Some(f64::from(expected)));
    }

    #[test]
    fn texts_are_read_back(content in "[!-~]([ -~]{0,18}[!-~])?", spare in 0_usize..3, order in 0_usize..4) {
        let order = ORDERS[order];
        let mut bytes = content.clone().into_bytes();
        bytes.resize(bytes.len().next_multiple_of(2) + 2 * spare, 0);
        prop_assert_eq!(text(&written(&bytes, order), order), Some(content));
    }

    #[test]
    fn any_words_are_a_number_or_none(words in prop::collection::vec(any::<u16>(), 0..6), low in 0_u8..16, order in 0_usize..4) {
        let bits = Number::Bits { low, count: 16 - low };
        for number in [Number::Bit, Number::U16, Number::U64, Number::I64, Number::F32, Number::F64, Number::Bcd32, bits] {
            if let Some(found) = raw(&words, number, ORDERS[order]) {
                prop_assert!(found.is_finite());
            }
        }
    }
}

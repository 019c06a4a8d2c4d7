//! Worked examples, and that whatever is written is found.
use super::*;
use proptest::prelude::*;

fn words(first: u16, words: &[u16]) -> Words {
    (first..).zip(words.iter().copied()).collect()
}

fn found(words: &Words, moved: &BTreeSet<u16>, expected: &str, tolerance: f64) -> Vec<String> {
    let seen = Seen { table: Table::Input, words, moved };
    let shown = |one: &Match| {
        format!("{} {} {} x{}", one.address, one.form.type_name(), one.form.order_name(), one.scale)
    };
    matches(seen, expected.parse().unwrap(), tolerance).iter().map(shown).collect()
}

/// 31.25 is 0x41FA_0000, 31.2 is 0x41F9_999A.
#[test]
fn a_float_is_found_before_whole_numbers_that_happen_to_match() {
    let image = words(8, &[0, 312, 0x41FA, 0x0000, 31, 0x0312]);
    let found = found(&image, &BTreeSet::new(), "31.2", 0.01);
    assert_eq!(found[0], "10 f32 ABCD x1");
    // 312 as one register or as the low one of two; then the same in decimal digits; then 31, which the display would not show.
    for expected in ["9 u16 ABCD x0.1", "8 u32 ABCD x0.1", "13 bcd16 ABCD x0.1", "12 u16 ABCD x1"] {
        assert!(found.iter().any(|one| one == expected), "{expected} in {found:?}");
    }
    assert!(!found.iter().any(|one| one.contains("i16")), "the same number is told once: {found:?}");
}

#[test]
fn each_order_of_a_float() {
    for (image, order) in [
        ([0x41F9, 0x999A], "ABCD"),
        ([0x999A, 0x41F9], "CDAB"),
        ([0xF941, 0x9A99], "BADC"),
        ([0x9A99, 0xF941], "DCBA"),
    ] {
        let found = found(&words(12, &image), &BTreeSet::new(), "31.2", 0.01);
        assert_eq!(found[0], format!("12 f32 {order} x1"), "{found:?}");
    }
}

/// The high word of a float with the word before it makes nearly the same number in another order.
#[test]
fn a_float_shifted_by_one_register_comes_second() {
    let noise = 0x5A31;
    let clean = words(9, &[noise, 0x41FA, 0x0000]);
    assert_eq!(found(&clean, &BTreeSet::new(), "31.25", 0.01)[..2], ["10 f32 ABCD x1", "9 f32 CDAB x1"]);
    // Both have noise: the registers that move decide.
    let live = words(9, &[noise, 0x41FA, 0x1234]);
    assert_eq!(found(&live, &BTreeSet::from([11]), "31.25", 0.01)[0], "10 f32 ABCD x1");
    assert_eq!(found(&live, &BTreeSet::from([9]), "31.25", 0.01)[0], "9 f32 CDAB x1");
    // Nothing moves: the longer row of floats decides. 25.1, 31.25 and 40.3 with noise, low words first.
    let row = words(0, &[0xC37D, 0x41C8, 0x1234, 0x41FA, 0x3A71, 0x4221]);
    assert_eq!(found(&row, &BTreeSet::new(), "31.25", 0.01)[0], "2 f32 CDAB x1");
    let row = words(0, &[0x41C8, 0xC37D, 0x41FA, 0x1234, 0x4221, 0x3A71]);
    assert_eq!(found(&row, &BTreeSet::new(), "31.25", 0.01)[0], "2 f32 ABCD x1");
}

#[test]
fn a_signed_twin_is_told_with_it() {
    let image = words(5, &[312]);
    let none = BTreeSet::new();
    let seen = Seen { table: Table::Holding, words: &image, moved: &none };
    let best = &matches(seen, "31.2".parse().unwrap(), 0.01)[0];
    assert_eq!(best.also, [Form { number: Number::I16, order: Order::Abcd }]);
    assert_eq!(found(&words(5, &[0xFFFF - 311]), &none, "-31.2", 0.01)[0], "5 i16 ABCD x0.1");
}

#[test]
fn what_an_expected_value_may_be() {
    let rounded = |text: &str| text.parse::<Expected>().unwrap().rounded;
    assert_eq!([rounded("31.2"), rounded("31"), rounded("-1.5e3")], [0.05, 0.5, 50.0]);
    for wrong in ["0", "0.0", "NaN", "inf", "much", ""] {
        let told = wrong.parse::<Expected>().unwrap_err();
        assert!(told.starts_with("an expected value is a number other than 0"), "{told}");
    }
}

#[test]
fn text_is_seen_in_either_byte_order_and_numbers_are_no_text() {
    let image = words(20, &[0x5349, 0x434B, 0x4700, 0x0001, 0x41C8, 0x4142]);
    let expected =
        Text { address: 20, registers: 3, text: "SICKG".to_owned(), exchanged: "ISKC G".to_owned() };
    assert_eq!(texts(&image), [expected]);
    assert!(texts(&words(0, &[0x2020, 0x2D2D, 0x2E2E])).is_empty());
}

#[test]
fn bits_and_ranges() {
    assert_eq!(bits(0), "");
    assert_eq!(bits(0b1000_0000_0000_1011), "0-1,3,15");
    assert_eq!(bits(0xFFFF), "0-15");
    assert_eq!(ranges([1, 2, 3, 9].into_iter()), "1-3,9");
}

#[test]
fn plausible_is_what_could_be_measured() {
    for (value, plausible) in
        [(31.25, true), (-0.002, true), (0.0, false), (1e-9, false), (1e20, false), (f64::NAN, false)]
    {
        assert_eq!(is_plausible(value), plausible, "{value}");
    }
}

/// The registers of a number, most significant byte first, written without the code that reads them.
fn written(bytes: &[u8], order: Order) -> Vec<u16> {
    let mut image: Vec<u16> =
        bytes.chunks(2).map(|pair| u16::from(pair[0]) << 8 | u16::from(pair[1])).collect();
    if matches!(order, Order::Badc | Order::Dcba) {
        for word in &mut image {
            *word = word.swap_bytes();
        }
    }
    if matches!(order, Order::Cdab | Order::Dcba) {
        image.reverse();
    }
    image
}

/// A number that is not a short one in longer clothes, and its bytes.
fn number() -> impl Strategy<Value = (Number, f64, Vec<u8>)> {
    prop_oneof![
        (1_u16..).prop_map(|n| (Number::U16, f64::from(n), n.to_be_bytes().to_vec())),
        (i16::MIN..=-1).prop_map(|n| (Number::I16, f64::from(n), n.to_be_bytes().to_vec())),
        (0x1_0000_u32..).prop_map(|n| (Number::U32, f64::from(n), n.to_be_bytes().to_vec())),
        (i32::MIN..-0x1_0000).prop_map(|n| (Number::I32, f64::from(n), n.to_be_bytes().to_vec())),
        (-1e6_f32..1e6).prop_filter("0", |n| n.abs() > 1e-3).prop_map(|n| (
            Number::F32,
            f64::from(n),
            n.to_be_bytes().to_vec()
        )),
        (-1e6_f64..1e6).prop_filter("0", |n| n.abs() > 1e-3).prop_map(|n| (
            Number::F64,
            n,
            n.to_be_bytes().to_vec()
        )),
        (1_u64 << 33..1 << 53).prop_map(|n| (Number::U64, n as f64, n.to_be_bytes().to_vec())),
        (1000_u32..=9999).prop_map(|n| {
            let digits = u16::from_str_radix(&n.to_string(), 16).unwrap();
            (Number::Bcd16, f64::from(n), digits.to_be_bytes().to_vec())
        }),
        (10_000_000_u32..=99_999_999).prop_map(|n| {
            let digits = u32::from_str_radix(&n.to_string(), 16).unwrap();
            (Number::Bcd32, f64::from(n), digits.to_be_bytes().to_vec())
        }),
    ]
}

proptest! {
    /// Under every type, order and scale: what an analyser writes is found, and hardly anything is better than it. A few are: 4300 as
    /// BCD with its bytes exchanged is also 43 times a hundred, by a commoner order.
    #[test]
    fn what_is_written_is_found_among_the_best(
        (number, raw, bytes) in number(),
        order in 0_usize..4,
        scale in 0_usize..7,
    ) {
        let (order, scale) = (ORDERS[order], SCALES[scale]);
        let image = words(100, &written(&bytes, order));
        let none = BTreeSet::new();
        let seen = Seen { table: Table::Holding, words: &image, moved: &none };
        let expected = Expected { value: raw * scale, rounded: (raw * scale).abs() * 1e-9 };
        let found = matches(seen, expected, 1e-9);
        // Of one register only the order of its bytes counts.
        let alike = |order: Order| (
            number.registers() > 1 && matches!(order, Order::Cdab | Order::Dcba),
            matches!(order, Order::Badc | Order::Dcba),
        );
        let is_it = |form: &Form| form.number == number && alike(form.order) == alike(order);
        let it = found.iter().find(|one| {
            one.scale == scale && std::iter::once(&one.form).chain(&one.also).any(is_it)
        });
        prop_assert!(it.is_some(), "{:?}", found);
        prop_assert!(it.unwrap().doubt <= found[0].doubt + 2, "{:?}", found);
    }
}

//! Register words worked out by hand.
use super::*;

fn channel(code: &str, register: u16, number: Number) -> Channel {
    let code = ChannelCode::new(code).unwrap();
    Channel {
        code,
        quantity: crate::config::scenario::Quantity::of_factor(code.factor()).unwrap(),
        place: Place { table: Table::Holding, register },
        number,
        scale: 1.0,
        offset: 0.0,
        noise: 0.0,
        range_max: None,
    }
}

fn analyser(channels: Vec<Channel>, status: Option<Place>) -> Analyser {
    Analyser { name: "gas".to_owned(), listen: "127.0.0.1:0".parse().unwrap(), unit: 1, channels, status }
}

fn words(number: Number, value: f64) -> Vec<u16> {
    encode(&channel("a21026", 0, number), value).words().to_vec()
}

#[test]
fn every_type_and_order_has_the_words_of_the_book() {
    // 31.2 as single precision is 0x41F9999A
    assert_eq!(words(Number::F32(Order::Abcd), 31.2), [0x41f9, 0x999a]);
    assert_eq!(words(Number::F32(Order::Cdab), 31.2), [0x999a, 0x41f9]);
    assert_eq!(words(Number::F32(Order::Badc), 31.2), [0xf941, 0x9a99]);
    assert_eq!(words(Number::F32(Order::Dcba), 31.2), [0x9a99, 0xf941]);
    // 305419896 is 0x12345678
    assert_eq!(words(Number::U32(Order::Abcd), 305_419_896.0), [0x1234, 0x5678]);
    assert_eq!(words(Number::U32(Order::Cdab), 305_419_896.0), [0x5678, 0x1234]);
    assert_eq!(words(Number::U32(Order::Badc), 305_419_896.0), [0x3412, 0x7856]);
    assert_eq!(words(Number::U32(Order::Dcba), 305_419_896.0), [0x7856, 0x3412]);
    // -2 is 0xFFFFFFFE
    assert_eq!(words(Number::I32(Order::Abcd), -2.0), [0xffff, 0xfffe]);
    assert_eq!(words(Number::I32(Order::Cdab), -2.0), [0xfffe, 0xffff]);
    assert_eq!(words(Number::I32(Order::Badc), -2.0), [0xffff, 0xfeff]);
    assert_eq!(words(Number::I32(Order::Dcba), -2.0), [0xfeff, 0xffff]);
    assert_eq!(words(Number::U16, 40_000.0), [40_000]);
    assert_eq!(words(Number::I16, -350.0), [0xfea2]);
    assert_eq!(words(Number::F32(Order::Abcd), -0.0), [0, 0]);
}

#[test]
fn served_values_are_what_the_words_stand_for() {
    let mut pressure = channel("a01013", 0, Number::I16);
    pressure.scale = 0.001;
    let encoded = encode(&pressure, -0.350_4);
    assert_eq!((encoded.words(), encoded.value), (&[0xfea2][..], -350.0 * 0.001));
    let mut temperature = channel("a01012", 0, Number::U16);
    (temperature.scale, temperature.offset) = (0.1, -50.0);
    let encoded = encode(&temperature, 105.26);
    assert_eq!((encoded.words(), encoded.value), (&[1553][..], 1553.0 * 0.1 + -50.0));
    assert_eq!(encode(&channel("a21026", 0, Number::F32(Order::Abcd)), 31.2).value, 31.200_000_762_939_453);
}

#[test]
fn what_does_not_fit_is_cut_and_said() {
    let mut oxygen = channel("a19001", 3, Number::U16);
    oxygen.scale = 0.01;
    oxygen.range_max = Some(25.0);
    for (value, number, served) in [
        (30.0, Number::U16, 2500),
        (-1.0, Number::U16, 0),
        (f64::NAN, Number::U16, 0),
        (1e9, Number::I16, 2500),
    ] {
        oxygen.number = number;
        let device = analyser(vec![oxygen.clone()], Some(Place { table: Table::Holding, register: 5 }));
        let image = RegisterImage::new(&device, &[value], StatusBits::CALIBRATION);
        assert_eq!(image.words(Table::Holding, 3, 3), Some(&[served, 0, 9][..]), "{value}");
        assert_eq!(image.status.flag(), Flag::Calibration);
    }
    let nan = encode(&channel("a21026", 0, Number::F32(Order::Abcd)), f64::NAN);
    assert!(nan.value.is_nan() && !nan.over_range && f32::from_bits(0x7fc0_0000).is_nan());
    assert_eq!(nan.words()[0] & 0x7f80, 0x7f80);
}

#[test]
fn only_registers_that_exist_are_served_and_only_whole_channels_counted() {
    let device = analyser(
        vec![channel("a21026", 10, Number::F32(Order::Abcd)), channel("a19001", 13, Number::U16)],
        Some(Place { table: Table::Input, register: 0 }),
    );
    let image = RegisterImage::new(&device, &[31.2, 9.0], StatusBits::default());
    assert_eq!(image.words(Table::Holding, 10, 4), Some(&[0x41f9, 0x999a, 0, 9][..]));
    assert_eq!(image.words(Table::Input, 0, 1), Some(&[0][..]));
    for (table, address, count) in
        [(Table::Holding, 9, 2), (Table::Holding, 13, 2), (Table::Holding, 65535, 2), (Table::Input, 0, 2)]
    {
        assert_eq!(image.words(table, address, count), None, "{table:?} {address} {count}");
    }
    let codes = |address, count| -> Vec<String> {
        image.values(Table::Holding, address, count).map(|(code, _)| code.to_string()).collect()
    };
    assert_eq!(codes(10, 4), ["a21026", "a19001"]);
    assert_eq!(codes(11, 3), ["a19001"]);
    assert_eq!(codes(10, 1), [""; 0]);
    assert_eq!(image.values(Table::Input, 10, 4).count(), 0);
}

#[test]
fn the_gravest_bit_is_the_flag() {
    let all = StatusBits(15);
    assert_eq!(all.flag(), Flag::Fault);
    assert_eq!(StatusBits(11).flag(), Flag::Maintenance);
    assert_eq!(StatusBits(9).flag(), Flag::Calibration);
    assert_eq!(StatusBits(8).flag(), Flag::OverRange);
    assert_eq!(StatusBits(0).flag(), Flag::Normal);
}

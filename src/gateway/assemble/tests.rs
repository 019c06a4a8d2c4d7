//! What answers become: the example of the configuration, holes, checks, slow and fresh registers.
use super::*;
use crate::config::gateway::{
    Conversion, Expected, Number, Order, Place, Quality, StatusCondition, StatusRule, parse,
};
use crate::domain::unit::UnitConversion;
use std::time::Duration;

const EXAMPLE: &str = include_str!("../../../config/gateway-example.toml");

fn shown(scan: &Scan) -> Vec<String> {
    let readings = scan.readings.iter();
    readings.map(|(code, reading)| format!("{code} {:?} {}", reading.value, reading.flag.letter())).collect()
}

#[test]
fn a_channel_without_words_says_so_and_the_others_keep_theirs() {
    let config = parse("example", EXAMPLE).unwrap();
    let at = "2026-11-21T04:00:06Z".parse().unwrap();
    let image = |analyser: &str, table: Table, address: u16, count: u16| match (analyser, table, address) {
        ("gas", Table::Holding, 0) => Some(vec![0x41C8, 0, 987][..usize::from(count)].to_vec()),
        ("gas", Table::Holding, 100) => Some(vec![2]),
        _ => None,
    };
    let scan = decode_image(&config, "DA001", at, &image).unwrap();
    assert_eq!(shown(&scan), ["a19001 Some(9.870000000000001) C", "a21026 Some(25.0) C", "a34013 None B"]);
    let deaf = |_: &str, table: Table, address: u16, count: u16| {
        (table == Table::Holding && address < 100).then(|| vec![0; usize::from(count)])
    };
    let scan = decode_image(&config, "DA001", at, &deaf).unwrap();
    assert!(scan.readings.iter().all(|(_, reading)| *reading == Reading::NO_ANSWER), "no status, no trust");
    assert!(decode_image(&config, "DA003", at, &deaf).is_none());
}

#[test]
fn an_answer_of_another_length_is_no_answer() {
    let config = parse("example", EXAMPLE).unwrap();
    let at = "2026-11-21T04:00:06Z".parse().unwrap();
    for wrong in [0, 1, 7, 200] {
        let image = |_: &str, _: Table, _: u16, _: u16| Some(vec![0; wrong]);
        let scan = decode_image(&config, "DA001", at, &image).unwrap();
        let gas = scan.readings.iter().find(|(code, _)| code.as_str() == "a21026").unwrap();
        assert_eq!(gas.1, Reading::NO_ANSWER, "{wrong} words");
    }
}

/// The example's SO2 channel alone, changed.
fn one(change: impl FnOnce(&mut Gateway)) -> (Gateway, Assembly) {
    let mut config = parse("example", EXAMPLE).unwrap();
    config.outlets[0].channels.retain(|channel| channel.code.as_str() == "a21026");
    config.analysers[0].statuses.clear();
    change(&mut config);
    let assembly = Assembly::new(&config, &config.outlets[0]);
    (config, assembly)
}

fn measured(config: &mut Gateway) -> &mut Measured {
    match &mut config.outlets[0].channels[0].source {
        Source::Register(measured) => Arc::make_mut(measured),
        Source::Constant(_) => panic!("measured"),
    }
}

/// One scan of a plan of one block.
fn scan(
    assembly: &mut Assembly,
    at: &str,
    words: &[u16],
    holes: &[(usize, usize)],
) -> (Vec<String>, Vec<Finding>) {
    let answer = Answer { words: words.to_vec(), holes: holes.to_vec() };
    let (scan, findings) = assembly.scan(at.parse().unwrap(), &[Some(vec![Some(answer)])]);
    (shown(&scan), findings)
}

const T: &str = "2026-11-21T04:00:06Z";

#[test]
fn a_hole_takes_only_what_is_in_it() {
    let (_, mut assembly) = one(|config| measured(config).place.address = 2);
    let Origin::Measured(found) = &mut assembly.channels[0].1 else { panic!() };
    (found.value.offset, found.value.count) = (2, 2);
    let words = [1, 2, 0x41C8, 0, 5];
    for (hole, expected) in [
        ((0, 2), "a21026 Some(25.0) N"),
        ((4, 1), "a21026 Some(25.0) N"),
        ((3, 1), "a21026 None B"),
        ((0, 3), "a21026 None B"),
    ] {
        assert_eq!(scan(&mut assembly, T, &words, &[hole]).0, [expected], "{hole:?}");
    }
}

#[test]
fn a_check_that_fails_is_told_once_and_flags_its_channels() {
    let place = Place { table: Table::Holding, address: 2, number: Number::U16, order: Order::Abcd };
    let (_, mut assembly) = one(|config| {
        config.analysers[0].checks = vec![Check {
            name: "measuring range".to_owned(),
            place,
            expected: Expected::Number(200.0),
            channels: Vec::new(),
        }];
    });
    let mut at = |range: u16| scan(&mut assembly, T, &[0x41C8, 0, range], &[]);
    assert_eq!(at(200), (vec!["a21026 Some(25.0) N".to_owned()], vec![]));
    let (readings, findings) = at(1000);
    assert_eq!(readings, ["a21026 Some(25.0) D"]);
    assert_eq!((findings[0].found.as_str(), findings[0].agrees), ("1000", false));
    assert_eq!(at(1000), (vec!["a21026 Some(25.0) D".to_owned()], vec![]), "told once");
    let (readings, findings) = at(200);
    assert_eq!((readings, findings[0].agrees), (vec!["a21026 Some(25.0) N".to_owned()], true));
}

#[test]
fn a_text_that_must_be_there_is_compared() {
    let place = Place {
        table: Table::Holding,
        address: 2,
        number: Number::Ascii { registers: 3 },
        order: Order::Abcd,
    };
    let (_, mut assembly) = one(|config| {
        config.analysers[0].checks = vec![Check {
            name: "serial number".to_owned(),
            place,
            expected: Expected::Text("SN7".to_owned()),
            channels: vec![],
        }];
    });
    let text = |text: [u8; 6]| {
        [0x41C8, 0, u16::from_be_bytes([text[0], text[1]]), u16::from_be_bytes([text[2], text[3]]), 0]
    };
    assert_eq!(scan(&mut assembly, T, &text(*b"SN7\0\0\0"), &[]).0, ["a21026 Some(25.0) N"]);
    assert_eq!(scan(&mut assembly, T, &text(*b"SN8\0\0\0"), &[]).0, ["a21026 Some(25.0) D"]);
}

#[test]
fn a_register_that_changes_with_each_result_decides_what_is_new() {
    let (_, mut assembly) = one(|config| measured(config).fresh = Some((Table::Holding, 2)));
    let mut at = |count: u16| scan(&mut assembly, T, &[0x41C8, 0, count], &[]).0;
    assert!(at(7).is_empty(), "nobody knows how old the first one is");
    assert!(at(7).is_empty());
    assert_eq!(at(8), ["a21026 Some(25.0) N"]);
    assert!(at(8).is_empty(), "never a value twice");
    assert_eq!(at(0), ["a21026 Some(25.0) N"], "a counter that starts again");
}

#[test]
fn a_slow_channel_is_only_in_the_scans_of_its_own_period() {
    let (_, mut assembly) = one(|config| measured(config).period = Duration::from_mins(5));
    assert!(scan(&mut assembly, T, &[0x41C8, 0], &[]).0.is_empty());
    assert_eq!(scan(&mut assembly, "2026-11-21T04:05:00Z", &[0x41C8, 0], &[]).0, ["a21026 Some(25.0) N"]);
    let (nothing, _) = assembly.scan("2026-11-21T04:10:00Z".parse().unwrap(), &[None]);
    assert_eq!(shown(&nothing), ["a21026 None B"], "due and not answered");
}

#[test]
fn quality_and_status_of_a_channel_come_after_the_analysers_own() {
    let (_, mut assembly) = one(|config| {
        let measured = measured(config);
        measured.quality = Some(Box::new(Quality {
            table: Table::Holding,
            address: 2,
            mask: 0x00FF,
            good: vec![0, 192],
            flag: Flag::Fault,
        }));
        measured.statuses = vec![StatusRegister {
            table: Table::Holding,
            address: 3,
            rules: vec![StatusRule {
                when: StatusCondition::Mask { mask: 6, value: 2 },
                flag: Flag::Calibration,
            }],
        }];
    });
    for (quality, status, expected) in
        [(192, 0, 'N'), (0xFF00, 4, 'N'), (64, 0, 'D'), (64, 3, 'C'), (192, 2, 'C'), (192, 6, 'N')]
    {
        let readings = scan(&mut assembly, T, &[0x41C8, 0, quality, status], &[]).0;
        assert_eq!(readings, [format!("a21026 Some(25.0) {expected}")], "{quality} {status}");
    }
}

#[test]
fn a_constant_is_never_normal() {
    let (_, mut assembly) = one(|config| config.outlets[0].channels[0].source = Source::Constant(101.325));
    let (scan, _) = assembly.scan(T.parse().unwrap(), &[]);
    assert_eq!(shown(&scan), ["a21026 Some(101.325) S"]);
}

#[test]
fn current_loops_have_ends() {
    let conversion = Conversion {
        scale: 200.0 / 16_000.0,
        offset: -50.0,
        under: Some(3600.0),
        over: Some(20_500.0),
        unit: UnitConversion { factor: 64.0 / 22.4, shift: 0.0 },
    };
    for (raw, expected, flag) in [
        (4000.0, Some(0.0), Flag::Normal),
        (12_000.0, Some(100.0 * 64.0 / 22.4), Flag::Normal),
        (3599.0, None, Flag::Fault),
        (20_501.0, Some((20_501.0 * (200.0 / 16_000.0) - 50.0) * (64.0 / 22.4)), Flag::OverRange),
    ] {
        assert_eq!(
            register::reading(Some(raw), &conversion, Flag::Normal),
            Reading { value: expected, flag },
            "{raw}"
        );
    }
    assert_eq!(
        register::reading(Some(0.0), &conversion, Flag::Calibration),
        Reading { value: None, flag: Flag::Calibration }
    );
}

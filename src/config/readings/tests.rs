//! Every bad line is told; order and repetition do not matter.
use super::*;
use crate::config::catalogue;
use crate::config::seeds;

fn plant() -> Plant {
    catalogue::parse(&[seeds::rules(), seeds::demonstration()]).unwrap().into_plant().unwrap()
}

fn read_text(text: &str) -> Result<Vec<(usize, StoredScan)>, Vec<String>> {
    let plant = plant();
    match read("r.csv", &mut text.as_bytes(), &plant) {
        Ok(readings) => {
            let mut scans = Vec::new();
            readings.scans(|outlet, scan| scans.push((outlet, scan))).unwrap();
            Ok(scans)
        }
        Err(ReadingsError::Bad(problems)) => Err(problems.0.iter().map(ToString::to_string).collect()),
        Err(error @ ReadingsError::Io { .. }) => panic!("{error}"),
    }
}

const LINES: [&str; 5] = [
    "2026-11-21T12:00:00+08:00,demo-cement-kiln,a21026,31.2,N",
    "2026-11-21T04:00:00Z,demo-cement-kiln,a19001,9.8,N",
    "2026-11-21T04:01:00Z,demo-cement-kiln,a21026,,B",
    "2026-11-21T04:01:00Z,demo-cement-kiln,a19001,9.9,C",
    "2026-11-21T04:00:00Z,demo-carbon-roasting,a21026,7,N",
];

#[test]
fn one_time_is_one_scan_whatever_the_order() {
    let plant = plant();
    let outlet = plant.outlet("demo-cement-kiln").unwrap();
    let position = |code| outlet.position(ChannelCode::new(code).unwrap()).unwrap();
    let (so2, oxygen) = (position("a21026"), position("a19001"));
    let with_header = |lines: &[&str]| format!("at,outlet,channel,value,flag\r\n{}\n", lines.join("\r\n"));
    let expected = read_text(&with_header(&LINES[..4])).unwrap();
    assert_eq!(expected.len(), 2);
    assert_eq!(expected[0].1.at, "2026-11-21T04:00:00Z".parse().unwrap());
    assert_eq!(expected[0].1.readings[so2], Reading { value: Some(31.2), flag: Flag::Normal });
    assert_eq!(expected[0].1.readings[oxygen], Reading { value: Some(9.8), flag: Flag::Normal });
    assert_eq!(expected[1].1.readings[so2], Reading { value: None, flag: Flag::Communication });
    assert_eq!(expected[1].1.readings[oxygen], Reading { value: Some(9.9), flag: Flag::Calibration });
    let mut other = LINES[..4].to_vec();
    other.reverse();
    other.push(LINES[1]);
    assert_eq!(read_text(&with_header(&other)).unwrap(), expected);
}

#[test]
fn every_bad_line_is_told_with_line_column_value_and_what_is_allowed() {
    let text = "at,outlet,channel,value,flag\n\
        2026-11-21T12:00:00,demo-cement-kiln,a21026,31.2,N\n\
        2026-11-21T12:00:00Z,kiln,a21026,31.2,N\n\
        2026-11-21T12:00:00Z,demo-cement-kiln,a99999,31.2,N\n\
        2026-11-21T12:00:00Z,demo-cement-kiln,a21026,lots,n\n\
        2026-11-21T12:00:00Z,demo-cement-kiln,a21026,,N\n\
        2026-11-21T12:00:00Z,demo-cement-kiln,a21026,NaN,N\n\
        2026-11-21T12:00:00Z,demo-cement-kiln,a21026\n\
        2019-11-21T12:00:00Z,demo-cement-kiln,a21026,1,N\n\
        2026-11-21T12:01:00Z,demo-cement-kiln,a21026,1,N\n\
        \n\
        2026-11-21T12:01:00Z,demo-cement-kiln,a21026,2,N\n";
    let told = read_text(text).unwrap_err();
    let expected = [
        "r.csv:2: at: found \"2026-11-21T12:00:00\"; a time with its offset",
        "r.csv:3: outlet: found \"kiln\"; an outlet of the plant file",
        "r.csv:4: channel: found \"a99999\"; a channel of demo-cement-kiln: a34013, a21026,",
        "r.csv:5: flag: found \"n\"; a letter of HJ 212-2017 table 8",
        "r.csv:5: value: found \"lots\"; a number in the channel's unit, or nothing",
        "r.csv:6: value: found nothing; a number; without one",
        "r.csv:7: value: found \"NaN\"; a number",
        "r.csv:8: line: found 3 fields; five: at,outlet,channel,value,flag",
        "r.csv:9: at: found 2019-11-21T12:00:00Z; a time at which the plant file has a setting for this outlet",
        "r.csv:12: value: found 2,N; one reading of a channel at one time; line 10 says 1,N",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}\n{expected}");
    }
}

#[test]
fn what_is_no_readings_file_is_told() {
    assert!(read_text("").unwrap_err()[0].starts_with("r.csv:1: line: found nothing; the header"));
    assert!(
        read_text("at;outlet\n").unwrap_err()[0]
            .starts_with("r.csv:1: line: found \"at;outlet\"; the header")
    );
    let long = format!("at,outlet,channel,value,flag\n{}\n", "x".repeat(1_000_000));
    assert!(
        read_text(&long).unwrap_err()[0]
            .starts_with("r.csv:2: line: found something else; UTF-8 text of at most 512")
    );
    assert_eq!(read_text("at,outlet,channel,value,flag\n").unwrap(), []);
}

#[test]
fn thousands_of_problems_are_counted() {
    let text = format!("at,outlet,channel,value,flag\n{}", "x\n".repeat(1500));
    let told = read_text(&text).unwrap_err();
    assert_eq!(told.len(), 1001);
    assert!(told[1000].contains("found 500 more problems"), "{}", told[1000]);
}

//! The record's byte form: worked examples, refusals, and decode-of-encode for anything a gateway can make.
use super::*;
use crate::domain::flag::Flag;
use crate::domain::plant::ChannelCode;
use crate::domain::scan::Reading;
use proptest::prelude::*;

const SCAN: &str = r#"{"v":1,"kind":"scan","gateway":"gw-jz-017","epoch":"0192f0c1b2c37d2e8a4b5c6d7e8f9a0b","seq":4711,"prev":"0000000000000000000000000000000000000000000000000000000000000000","cfg":"0000000000000000000000000000000000000000000000000000000000000000","outlet":"jz-cement-01","at":"2026-11-21T04:00:06.000Z","readings":{"a19001":[9.8,"N"],"a21002":[84.0,"N"],"a21026":[31.2,"N"],"a34013":[null,"B"]}}"#;

#[test]
fn the_documented_scan_is_canonical() {
    let record = Record::decode(SCAN.as_bytes()).unwrap();
    assert_eq!(record.seq, 4711);
    let Body::Scan(scan) = &record.body else { panic!("a scan") };
    assert_eq!(scan.readings[2].1, Reading { value: Some(31.2), flag: Flag::Normal });
    assert_eq!(scan.readings[3].1, Reading::NO_ANSWER);
    assert_eq!(record.encode(), SCAN.as_bytes());
}

#[test]
fn an_event_goes_there_and_back() {
    let record = Record {
        gateway: "gw-1".to_owned(),
        epoch: Epoch::new(),
        seq: 0,
        prev: Hash::ZERO,
        cfg: Hash::of(b"cfg"),
        body: Body::Event(Event {
            at: "2026-11-21T04:00:06.123Z".parse().unwrap(),
            event: event::START.to_owned(),
            detail: BTreeMap::from([("note".to_owned(), "窑尾 \"quoted\"\n".to_owned())]),
        }),
    };
    assert_eq!(Record::decode(&record.encode()).unwrap(), record);
}

#[test]
fn what_is_not_a_record_is_refused_by_name() {
    let cases: [(&str, &str, &str); 14] = [
        (r#""v":1"#, r#""v":2"#, "version 2"),
        (r#""kind":"scan""#, r#""kind":"poem""#, "kind \"poem\""),
        (r#""gw-jz-017""#, r#""central""#, "gateway"),
        (r#""seq":4711"#, r#""seq":-1"#, "not a record"),
        (r#""seq":4711"#, r#""seq":9223372036854775808"#, "seq"),
        ("0192f0c1", "0192F0C1", "epoch"),
        ("04:00:06.000Z", "04:00:06Z", "at"),
        ("2026-11-21T04:00:06.000Z", "2026-11-21T12:00:06.000+08:00", "at"),
        ("[9.8,", "[9.80,", "canonical"),
        ("[84.0,", "[84,", "canonical"),
        (r#"[9.8,"N"]"#, r#"[NaN,"N"]"#, "not a record"),
        (r#"[9.8,"N"]"#, r#"[null,"N"]"#, "flag other than N"),
        (r#"[9.8,"N"]"#, r#"[9.8,"-"]"#, "flag is one of"),
        (r#""a19001":"#, r#""a99001":"#, "sorted"),
    ];
    for (from, to, says) in cases {
        let line = SCAN.replacen(from, to, 1);
        assert_ne!(line, SCAN, "{from}");
        let error = Record::decode(line.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(says), "{from} -> {to}: {error}");
    }
    assert!(Record::decode(b"").is_err());
    assert!(Record::decode(&SCAN.as_bytes()[..200]).is_err());
    assert!(Record::decode(format!("{SCAN} ").as_bytes()).is_err());
}

#[test]
fn numbers_beyond_doubles_are_refused() {
    let line = SCAN.replacen("[9.8,", "[1e999,", 1);
    assert!(Record::decode(line.as_bytes()).is_err());
}

fn any_reading() -> impl Strategy<Value = Reading> {
    let value = proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO;
    (proptest::option::of(value), 0_usize..8).prop_map(|(value, flag)| {
        let flag = Flag::ON_THE_WIRE[flag];
        let value = if flag == Flag::Normal { Some(value.unwrap_or(1.0)) } else { value };
        Reading { value, flag }
    })
}

proptest! {
    #[test]
    fn decode_of_encode_is_the_record(
        readings in proptest::collection::btree_map("a[0-9]{5}(-[a-z0-9]{1,8})?", any_reading(), 1..20),
        seq in 0_u64..(1 << 63),
        ms in 0_i64..4_000_000_000_000,
        outlet in "[a-z0-9-]{1,20}",
    ) {
        let readings = readings.into_iter().map(|(code, r)| (ChannelCode::new(&code).unwrap(), r)).collect();
        let scan = Scan { outlet, at: Timestamp::from_millisecond(ms).unwrap(), readings };
        let record = Record {
            gateway: "gw-1".to_owned(), epoch: Epoch::new(), seq, prev: Hash::of(b"a"), cfg: Hash::of(b"b"), body: Body::Scan(scan),
        };
        let bytes = record.encode();
        let back = Record::decode(&bytes).unwrap();
        prop_assert_eq!(back.encode(), bytes);
        prop_assert_eq!(back, record);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _any = Record::decode(&bytes);
    }
}

//! One case for each thing that can be wrong with a message.
use super::*;
use crate::domain::evaluation::tests::kiln;
use crate::domain::flag::Flag;
use crate::domain::history::History;
use crate::domain::plant::{ChannelCode, Gateway};
use crate::mqtt::record::Epoch;

fn plant() -> Plant {
    let mut outlet = kiln();
    outlet.gateways = vec![("gw-1".into(), History::always(()))];
    let gateways = ["gw-1", "gw-2"].map(|name| Arc::new(Gateway { id: 7, name: name.into() }));
    Plant::new(vec![Arc::new(outlet)], gateways.to_vec())
}

fn now() -> Timestamp {
    "2026-11-21T04:00:06.500Z".parse().unwrap()
}

fn record() -> Record {
    let reading = Reading { value: Some(31.2), flag: Flag::Normal };
    Record {
        gateway: "gw-1".to_owned(),
        epoch: Epoch::new(),
        seq: 10,
        prev: Hash::ZERO,
        cfg: Hash::ZERO,
        body: Body::Scan(Scan {
            outlet: "kiln".to_owned(),
            at: "2026-11-21T04:00:06Z".parse().unwrap(),
            readings: vec![(ChannelCode::new("a21026").unwrap(), reading)],
        }),
    }
}

fn arrival(topic: &str, payload: Vec<u8>) -> Arrival {
    let user_properties = vec![
        (property::EPOCH.to_owned(), "e".repeat(32)),
        (property::FIRST.to_owned(), "10".to_owned()),
        (property::LAST.to_owned(), "12".to_owned()),
    ];
    Arrival { topic: topic.into(), payload: payload.into(), user_properties, received_at: now() }
}

fn reason(taken: &Taken) -> &str {
    let Taken::Refused(kept) = taken else { panic!("not refused: {taken:?}") };
    &kept.reason
}

#[test]
fn a_good_record_is_taken_by_position() {
    let sent = record().encode();
    let taken = take(&arrival("cems/v1/gw-1/live", sent.clone()), &plant());
    let [Taken::Scan(scan)] = taken.as_slice() else { panic!("{taken:?}") };
    assert_eq!(scan.readings[0].value, Some(31.2));
    assert_eq!(scan.readings[1], Reading::ABSENT);
    assert_eq!(scan.record.hash, Hash::of(&sent));
}

#[test]
fn one_bad_line_stops_no_other_and_keeps_its_number() {
    let (good, other) = (record(), Record { seq: 12, ..record() });
    let payload = [good.encode(), b"{not json".to_vec(), other.encode()].join(&b'\n');
    let taken = take(&arrival("cems/v1/gw-1/backfill", payload), &plant());
    assert_eq!(taken.len(), 3);
    assert!(matches!(taken[0], Taken::Scan(_)) && matches!(taken[2], Taken::Scan(_)));
    let Taken::Refused(kept) = &taken[1] else { panic!("refused") };
    assert_eq!((kept.seqs, kept.payload.as_slice()), (Some((11, 11)), b"{not json".as_slice()));
    assert_eq!(kept.epoch.as_deref(), Some("e".repeat(32).as_str()));
}

#[test]
fn a_message_that_cannot_be_read_is_kept_whole_under_all_its_numbers() {
    let plant = plant();
    let seqs = |payload: &[u8]| {
        let taken = take(&arrival("cems/v1/gw-1/live", payload.to_vec()), &plant);
        let seqs = taken.iter().map(|taken| match taken {
            Taken::Refused(kept) => (kept.seqs, kept.payload.clone()),
            Taken::Scan(_) | Taken::Event(_) => panic!("{taken:?}"),
        });
        seqs.collect::<Vec<_>>()
    };
    for payload in [&b"\x1f\x8b\x08 packed"[..], b"half\nof it", b"", b"1\n2\n3\n4", b"{}\n"] {
        assert_eq!(seqs(payload), [(Some((10, 12)), payload.to_vec())]);
    }
    // As many lines as numbers: each keeps its own.
    for payload in [&b"10\n11\n12"[..], b"10\n11\n12\n"] {
        let each = |seq: u64| (Some((seq, seq)), seq.to_string().into_bytes());
        assert_eq!(seqs(payload), [each(10), each(11), each(12)]);
    }
    // One that says its number by itself is not told by its place.
    let one = record().encode();
    let text = String::from_utf8(one).unwrap().replace("\"seq\":10", "\"seq\":12").replace("31.2", "31.20");
    assert_eq!(seqs(text.as_bytes()), [(Some((12, 12)), text.clone().into_bytes())]);
}

#[test]
fn every_fault_has_its_own_words() {
    let change = |edit: fn(&mut Record)| {
        let mut changed = record();
        edit(&mut changed);
        changed.encode()
    };
    let scan = |record: &mut Record, edit: fn(&mut Scan)| {
        if let Body::Scan(scan) = &mut record.body {
            edit(scan);
        }
    };
    let unknown_outlet = {
        let mut r = record();
        scan(&mut r, |s| s.outlet = "nowhere".to_owned());
        r.encode()
    };
    let unknown_channel = {
        let mut r = record();
        scan(&mut r, |s| s.readings[0].0 = ChannelCode::new("a99999").unwrap());
        r.encode()
    };
    let future = {
        let mut r = record();
        scan(&mut r, |s| s.at = "2026-11-21T04:01:08Z".parse().unwrap());
        r.encode()
    };
    let ancient = {
        let mut r = record();
        scan(&mut r, |s| s.at = "2020-01-01T00:00:00Z".parse().unwrap());
        r.encode()
    };
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("cems/v1/gw-1/live", b"\xff\xfe".to_vec(), "not a record"),
        ("cems/v1/gw-2/live", record().encode(), "came under"),
        ("cems/v1/gw-9/live", change(|r| r.gateway = "gw-9".to_owned()), "not registered"),
        ("cems/v1/gw-2/live", change(|r| r.gateway = "gw-2".to_owned()), "does not speak for"),
        ("cems/v1/gw-1/live", unknown_outlet, "outlet \"nowhere\" is not registered"),
        ("cems/v1/gw-1/live", unknown_channel, "channel a99999"),
        ("cems/v1/gw-1/live", future, "ahead of the centre's clock"),
        ("cems/v1/gw-1/live", ancient, "older than the retention"),
    ];
    for (topic, payload, says) in cases {
        let taken = take(&arrival(topic, payload.clone()), &plant());
        assert!(reason(&taken[0]).contains(says), "{says}: {}", reason(&taken[0]));
        let Taken::Refused(kept) = &taken[0] else { unreachable!() };
        assert_eq!(kept.payload, payload, "the whole bytes are kept");
    }
    assert!(reason(&take(&arrival("cems/v1/gw-1/status", Vec::new()), &plant())[0]).contains("no records"));
}

//! The spool's promises, each with its fault.
use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write as _};

use super::*;
use crate::mqtt::record::Event;
use proptest::prelude::*;
use std::path::Path;

fn settings(folder: &Path) -> Settings {
    Settings {
        folder: folder.to_owned(),
        gateway: "gw-1".to_owned(),
        cfg: Hash::of(b"configuration"),
        cache_bytes: 1024 * 1024,
        capacity_bytes: 1024 * 1024,
        when_full: WhenFull::Thin,
        need: Need::of([(std::time::Duration::from_secs(2), 16)]),
    }
}

fn body(number: i64) -> Body {
    let detail = BTreeMap::from([("number".to_owned(), number.to_string())]);
    Body::Event(Event { at: Timestamp::from_second(number).unwrap(), event: "test".to_owned(), detail })
}

fn bodies(numbers: std::ops::Range<i64>) -> Vec<Body> {
    numbers.map(body).collect()
}

fn open(folder: &Path) -> Spool {
    Spool::open(&settings(folder), Hash::ZERO).unwrap()
}

fn all(spool: &Spool) -> Vec<Entry> {
    let ranges = spool.ranges().unwrap();
    ranges.iter().flat_map(|range| spool.newest(range, usize::MAX, usize::MAX).unwrap()).collect()
}

fn assert_chained(entries: &[Entry], mut prev: Hash) {
    for entry in entries {
        let record = Record::decode(&entry.bytes).unwrap();
        assert_eq!((record.seq, record.prev), (entry.seq, prev));
        prev = Hash::of(&entry.bytes);
    }
}

#[test]
fn what_was_committed_is_there_after_a_drop_and_the_chain_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path());
    let first = spool.commit(&bodies(0..3), &Ranges::default()).unwrap();
    let (epoch, head) = (spool.epoch(), spool.head());
    drop(spool);
    let mut spool = open(folder.path());
    assert_eq!((spool.epoch(), spool.head(), spool.next(), spool.records()), (epoch, head, 3, 3));
    assert!(!spool.is_new());
    assert_eq!(all(&spool), first);
    spool.commit(&bodies(3..5), &Ranges::default()).unwrap();
    assert_chained(&all(&spool), Hash::ZERO);
    assert_eq!(spool.oldest().unwrap(), Timestamp::from_second(0).ok());
}

#[test]
fn deleting_is_for_ever_and_numbers_are_not_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path());
    spool.commit(&bodies(0..10), &Ranges::default()).unwrap();
    spool.commit(&[], &Ranges::from_pairs([(0, 3), (6, 99)])).unwrap();
    assert_eq!(spool.records(), 2);
    drop(spool);
    let mut spool = open(folder.path());
    assert_eq!(spool.ranges().unwrap().iter().collect::<Vec<_>>(), [(4, 5)]);
    assert_eq!(spool.bytes(), all(&spool).iter().map(size).sum::<u64>());
    spool.commit(&[], &Ranges::from_pairs([(0, 99)])).unwrap();
    drop(spool);
    let mut spool = open(folder.path());
    assert_eq!((spool.records(), spool.bytes(), spool.next()), (0, 0, 10));
    assert_eq!(spool.commit(&[body(10)], &Ranges::default()).unwrap()[0].seq, 10);
}

#[test]
fn the_oldest_record_is_known_whatever_is_made_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path());
    // What is made, what is deleted with it, and what is then the oldest.
    let steps = [
        (0..0, (0, 0), None),
        (10..13, (0, 0), Some(10)),
        (13..14, (1, 2), Some(10)),
        (14..15, (0, 0), Some(13)),
        (15..17, (0, 99), Some(15)),
        (17..17, (0, 99), None),
        (17..18, (0, 99), Some(17)),
    ];
    for (made, deleted, oldest) in steps {
        spool.commit(&bodies(made.clone()), &Ranges::from_pairs([deleted])).unwrap();
        let oldest = oldest.map(|second| Timestamp::from_second(second).unwrap());
        assert_eq!(spool.oldest().unwrap(), oldest, "{made:?} {deleted:?}");
        drop(spool);
        spool = open(folder.path());
        assert_eq!(spool.oldest().unwrap(), oldest, "{made:?} {deleted:?}, opened again");
    }
}

#[test]
fn the_newest_run_comes_first_within_its_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path());
    spool.commit(&bodies(0..10), &Ranges::default()).unwrap();
    spool.commit(&[], &Ranges::of([6])).unwrap();
    let seqs = |within, most, bytes| -> Vec<u64> {
        spool.newest(within, most, bytes).unwrap().iter().map(|entry| entry.seq).collect()
    };
    assert_eq!(seqs((0, 9), 100, 100_000), [7, 8, 9]);
    assert_eq!(seqs((0, 9), 2, 100_000), [8, 9]);
    assert_eq!(seqs((0, 6), 3, 100_000), [3, 4, 5]);
    assert_eq!(seqs((0, 9), 100, 1), [9], "a single record goes whatever its size");
    assert_eq!(seqs((6, 6), 100, 100_000), [0; 0]);
}

#[test]
fn a_full_spool_refuses_keeps_all_and_takes_again_after_receipts() {
    let folder = tempfile::tempdir().unwrap();
    let mut small = settings(folder.path());
    small.capacity_bytes = 2000;
    let mut spool = Spool::open(&small, Hash::ZERO).unwrap();
    let mut made = 0;
    let error = loop {
        match spool.commit(&[body(made)], &Ranges::default()) {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SpoolError::Full { .. }), "{error}");
    assert_eq!(all(&spool).len(), usize::try_from(made).unwrap());
    spool.commit(&[body(made)], &Ranges::of([0])).unwrap();
    let kept = all(&spool);
    assert_chained(&kept, Record::decode(&kept[0].bytes).unwrap().prev);
}

#[test]
fn a_spool_is_one_gateways_and_one_processes() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    assert!(matches!(Spool::open(&settings(folder.path()), Hash::ZERO), Err(SpoolError::InUse(_))));
    drop(spool);
    let other = Settings { gateway: "gw-2".to_owned(), ..settings(folder.path()) };
    assert!(matches!(Spool::open(&other, Hash::ZERO), Err(SpoolError::OtherGateway { .. })));
}

#[test]
fn the_configuration_before_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(open(folder.path()).previous_cfg(), None);
    let other = Settings { cfg: Hash::of(b"another"), ..settings(folder.path()) };
    for _crash_before_the_first_commit in 0..2 {
        let before = Spool::open(&other, Hash::ZERO).unwrap().previous_cfg();
        assert_eq!(before, Some(Hash::of(b"configuration")));
    }
    Spool::open(&other, Hash::ZERO).unwrap().commit(&[body(0)], &Ranges::default()).unwrap();
    assert_eq!(open(folder.path()).previous_cfg(), Some(Hash::of(b"another")));
}

/// Opens a file that somebody has changed: it is damaged, or it gives exactly what was committed.
fn open_changed(folder: &Path, expected: &[Entry]) -> bool {
    match Spool::open(&settings(folder), Hash::ZERO) {
        Err(SpoolError::Damaged(_) | SpoolError::Disk(_)) => true,
        Err(other) => panic!("{other}"),
        Ok(spool) => {
            assert_eq!(all(&spool), expected);
            false
        }
    }
}

#[test]
fn a_flipped_byte_is_noticed_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let file = settings(folder.path()).file();
    let mut spool = open(folder.path());
    let committed = spool.commit(&bodies(0..40), &Ranges::default()).unwrap();
    drop(spool);
    let whole = std::fs::read(&file).unwrap();
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let mut noticed = 0;
    for at in used.iter().step_by(used.len() / 40) {
        let mut out = std::fs::OpenOptions::new().write(true).truncate(true).open(&file).unwrap();
        out.write_all(&whole).unwrap();
        out.seek(SeekFrom::Start(*at as u64)).unwrap();
        out.write_all(&[whole[*at] ^ 0x55]).unwrap();
        drop(out);
        noticed += u32::from(open_changed(folder.path(), &committed));
    }
    assert!(noticed > 0, "no flip was noticed");
}

#[test]
fn a_cut_file_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let file = settings(folder.path()).file();
    let mut spool = open(folder.path());
    let committed = spool.commit(&bodies(0..40), &Ranges::default()).unwrap();
    drop(spool);
    let whole = std::fs::read(&file).unwrap();
    let mut noticed = 0;
    for keep in [1, 100, 4096, 5000, whole.len() / 4, whole.len() / 2] {
        std::fs::write(&file, &whole[..keep]).unwrap();
        noticed += u32::from(open_changed(folder.path(), &committed));
    }
    assert!(noticed >= 4, "{noticed}");
    let aside = set_aside(&file, Timestamp::from_second(7).unwrap()).unwrap();
    assert!(aside.to_string_lossy().ends_with("spool.redb.damaged-7000") && !file.exists());
    let fresh = Spool::open(&settings(folder.path()), Hash::of(b"last known")).unwrap();
    assert!(fresh.is_new() && fresh.head() == Hash::of(b"last known"));
}

#[test]
fn the_witness_remembers() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(witness::Witness::read(folder.path()), None);
    let spool = open(folder.path());
    let witness = witness::Witness::of(&spool);
    witness.write(folder.path()).unwrap();
    assert_eq!(witness::Witness::read(folder.path()), Some(witness));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn it_holds_exactly_what_was_added_and_not_deleted(
        steps in proptest::collection::vec((0_i64..6, proptest::collection::vec(0_u64..30, 0..4), any::<bool>()), 1..12)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = open(folder.path());
        let mut model: BTreeMap<u64, Entry> = BTreeMap::new();
        for (count, delete, reopen) in steps {
            let delete = Ranges::of(delete);
            model.retain(|seq, _| !delete.contains(*seq));
            let made = spool.commit(&bodies(0..count), &delete).unwrap();
            model.extend(made.into_iter().map(|entry| (entry.seq, entry)));
            if reopen {
                drop(spool);
                spool = open(folder.path());
            }
            prop_assert_eq!(all(&spool), model.values().cloned().collect::<Vec<_>>());
            prop_assert_eq!(spool.records(), model.len() as u64);
            prop_assert_eq!(spool.bytes(), model.values().map(size).sum::<u64>());
        }
    }
}

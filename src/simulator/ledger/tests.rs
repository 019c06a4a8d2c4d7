//! The ledger's promises.
use super::*;

fn entry(words: &[u16]) -> Entry<'_> {
    Entry {
        at: "2026-11-21T04:00:06.003127Z".parse().unwrap(),
        outlet: "demo-cement-kiln",
        analyser: "gas",
        unit: 1,
        function: 4,
        address: 0,
        words,
        flag: 'N',
        values: BTreeMap::from([("a21026", f64::from(31.2_f32)), ("a19001", 9.0), ("a21002", f64::NAN)]),
    }
}

const LINE: &str = r#"{"at":"2026-11-21T04:00:06.003127Z","outlet":"demo-cement-kiln","analyser":"gas","unit":1,"function":4,"address":0,"words":[16889,39322,900],"flags":"N","values":{"a19001":9.0,"a21002":null,"a21026":31.200000762939453}}"#;

#[test]
fn a_line_is_as_described() {
    let line = entry(&[0x41f9, 0x999a, 900]).encode().unwrap();
    assert_eq!(String::from_utf8(line).unwrap(), format!("{LINE}\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_share_the_file_and_every_line_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let (ledger, writer) = Ledger::open(&path).unwrap();
    let mut tasks = Vec::new();
    for number in 0..50_u16 {
        let ledger = ledger.clone();
        tasks.push(tokio::spawn(async move { ledger.write(&entry(&[number])).await }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    drop(ledger);
    writer.await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut words: Vec<u64> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["words"][0].as_u64().unwrap())
        .collect();
    words.sort_unstable();
    assert_eq!(words, (0..50).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_torn_line_is_cut_off_and_whole_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    std::fs::write(&path, format!("{LINE}\n{{\"at\":\"2026")).unwrap();
    let (ledger, writer) = Ledger::open(&path).unwrap();
    ledger.write(&entry(&[0x41f9, 0x999a, 900])).await.unwrap();
    drop(ledger);
    writer.await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{LINE}\n{LINE}\n"));
}

#[tokio::test]
async fn what_is_no_ledger_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.bin");
    std::fs::write(&path, vec![7; 100_000]).unwrap();
    assert!(Ledger::open(&path).is_err());
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 100_000);
    assert!(Ledger::open(&folder.path().join("no/such/folder")).is_err());
}

#[tokio::test]
async fn a_full_disk_is_an_error_for_every_waiting_answer() {
    // Everything written to /dev/full fails for want of space; it cannot be cut either, like a disk that is gone.
    let writer = Writer {
        path: "/dev/full".into(),
        file: OpenOptions::new().write(true).open("/dev/full").unwrap(),
        durable: 0,
    };
    let (queue, waiting) = mpsc::channel(QUEUE);
    let handle = tokio::task::spawn_blocking(move || writer.run(waiting));
    let ledger = Ledger { queue };
    for _ in 0..2 {
        let error = ledger.write(&entry(&[1])).await.unwrap_err();
        assert!(matches!(error, LedgerError::Write(_)), "{error}");
    }
    drop(ledger);
    handle.await.unwrap();
}

//! What callers of the keeper are told, and what it does with faults.
use std::time::Duration;

use super::*;
use crate::config::gateway::WhenFull;
use crate::domain::flag::Flag;
use crate::domain::scan::{Reading, Scan};
use crate::gateway::event;
use crate::gateway::spool::Spool;
use crate::gateway::spool::room::Need;
use crate::gateway::spool::witness::Witness;
use crate::mqtt::record::{Hash, Record, time_text};

const LIMIT: Duration = Duration::from_secs(10);

fn settings(folder: &std::path::Path) -> Settings {
    Settings {
        folder: folder.to_owned(),
        gateway: "gw-1".to_owned(),
        cfg: Hash::ZERO,
        cache_bytes: 1024 * 1024,
        capacity_bytes: 20_000,
        when_full: WhenFull::Thin,
        need: Need::of([(std::time::Duration::from_secs(2), 16)]),
    }
}

fn begin(settings: Settings) -> (Keeper, JoinHandle<()>, mpsc::Receiver<Notice>) {
    let (sender, notices) = mpsc::channel(64);
    let (keeper, thread) = start(settings, Readiness::default(), sender).unwrap();
    (keeper, thread, notices)
}

fn marker(name: &str) -> Body {
    event::now("test", [("name", name.to_owned())])
}

async fn until(keeper: &Keeper, wanted: impl FnMut(&State) -> bool) {
    let mut state = keeper.state();
    tokio::time::timeout(LIMIT, state.wait_for(wanted)).await.expect("in time").expect("alive");
}

async fn events(keeper: &Keeper) -> Vec<String> {
    let entries = keeper.newest((0, u64::MAX), 1000, usize::MAX).await.unwrap();
    let name = |entry: &Entry| match Record::decode(&entry.bytes).unwrap().body {
        Body::Event(event) => event.event,
        Body::Scan(scan) => scan.outlet,
    };
    entries.iter().map(name).collect()
}

fn end(keeper: Keeper, thread: JoinHandle<()>) {
    drop(keeper);
    thread.join().unwrap();
}

#[tokio::test]
async fn a_start_a_changed_configuration_and_fresh_records_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (keeper, thread, mut notices) = begin(settings(folder.path()));
    keeper.keep(vec![marker("a")]);
    until(&keeper, |state| state.records == 2).await;
    assert_eq!(events(&keeper).await, ["start", "test"]);
    let first = tokio::time::timeout(LIMIT, notices.recv()).await.unwrap().unwrap();
    assert!(matches!(first, Notice::Fresh(_) | Notice::Opened { .. }), "{first:?}");
    end(keeper, thread);
    let changed = Settings { cfg: Hash::of(b"new"), ..settings(folder.path()) };
    let (keeper, thread, _notices) = begin(changed);
    until(&keeper, |state| state.records == 4).await;
    assert_eq!(events(&keeper).await, ["start", "test", "configuration", "start"]);
    end(keeper, thread);
}

#[tokio::test]
async fn receipted_records_go_with_the_next_ones_or_by_themselves_after_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let (keeper, thread, _notices) = begin(settings(folder.path()));
    keeper.keep(vec![marker("a")]);
    until(&keeper, |state| state.records == 2).await;
    assert!(keeper.delete(Ranges::from_pairs([(0, 1)])));
    until(&keeper, |state| state.records == 0).await;
    assert_eq!(events(&keeper).await, ["start", "test"], "nothing is committed for it alone");
    keeper.keep(vec![marker("b")]);
    until(&keeper, |state| state.records == 1).await;
    assert_eq!(events(&keeper).await, ["test"], "deleted by the commit that keeps the next");
    assert!(keeper.delete(Ranges::from_pairs([(2, 2)])));
    until(&keeper, |state| state.records == 0 && state.bytes == 0).await;
    assert!(events(&keeper).await.is_empty());
    end(keeper, thread);
}

#[tokio::test]
async fn a_full_spool_holds_alarms_and_recovers_without_loss() {
    let folder = tempfile::tempdir().unwrap();
    let (keeper, thread, _notices) = begin(settings(folder.path()));
    for number in 0..100 {
        keeper.keep(vec![marker(&number.to_string())]);
    }
    until(&keeper, |state| state.alarm.is_some()).await;
    assert!(matches!(keeper.keep_past(vec![marker("past")]).await, Err(NotKept::Later)));
    let mut names = Vec::new();
    let mut next = 0;
    while names.iter().filter(|name| **name == "test").count() < 100
        || !names.contains(&"spool-alarm".to_owned())
    {
        let held = keeper.newest((next, u64::MAX), usize::MAX, usize::MAX).await.unwrap();
        names.extend(events(&keeper).await);
        if let Some(last) = held.last() {
            next = last.seq + 1;
            assert!(keeper.delete(Ranges::from_pairs([(0, last.seq)])));
        }
        tokio::time::timeout(LIMIT, tokio::task::yield_now()).await.unwrap();
    }
    until(&keeper, |state| state.alarm.is_none()).await;
    assert!(!names.contains(&"lost-range".to_owned()));
    end(keeper, thread);
}

#[tokio::test]
async fn a_lost_and_a_damaged_spool_are_told_of_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (keeper, thread, _notices) = begin(settings(folder.path()));
    until(&keeper, |state| state.records == 1).await;
    end(keeper, thread);
    std::fs::remove_file(settings(folder.path()).file()).unwrap();
    let (keeper, thread, _notices) = begin(settings(folder.path()));
    until(&keeper, |state| state.records == 2).await;
    assert_eq!(events(&keeper).await, ["lost-range", "start"]);
    end(keeper, thread);
    std::fs::write(settings(folder.path()).file(), b"no database").unwrap();
    let (keeper, thread, _notices) = begin(settings(folder.path()));
    until(&keeper, |state| state.records == 2).await;
    assert_eq!(events(&keeper).await, ["lost-range", "start"]);
    let entry = keeper.newest((0, 0), 1, usize::MAX).await.unwrap();
    assert_ne!(Record::decode(&entry[0].bytes).unwrap().prev, Hash::ZERO, "the chain goes on");
    end(keeper, thread);
}

#[tokio::test]
async fn a_second_gateway_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (keeper, thread, _notices) = begin(settings(folder.path()));
    let (sender, _second) = mpsc::channel(64);
    let refused = start(settings(folder.path()), Readiness::default(), sender);
    assert!(matches!(refused, Err(SpoolError::InUse(_))));
    end(keeper, thread);
}

fn scan(second: i64) -> Body {
    let code = crate::domain::plant::ChannelCode::new("a21026").unwrap();
    let reading = Reading { value: Some(1.5), flag: Flag::Normal };
    let at = Timestamp::from_second(second).unwrap();
    Body::Scan(Scan { outlet: "kiln".to_owned(), at, readings: vec![(code, reading)] })
}

/// All records, oldest first.
async fn held(keeper: &Keeper) -> Vec<Record> {
    let entries = keeper.newest((0, u64::MAX), usize::MAX, usize::MAX).await.unwrap();
    entries.iter().map(|entry| Record::decode(&entry.bytes).unwrap()).collect()
}

fn details(records: &[Record], name: &str, key: &str) -> Vec<String> {
    let of = |record: &Record| match &record.body {
        Body::Event(event) if event.event == name => Some(event.detail[key].clone()),
        Body::Event(_) | Body::Scan(_) => None,
    };
    records.iter().filter_map(of).collect()
}

fn seconds(records: &[Record]) -> Vec<i64> {
    let of = |record: &Record| match &record.body {
        Body::Scan(scan) => Some(scan.at.as_second()),
        Body::Event(_) => None,
    };
    records.iter().filter_map(of).collect()
}

#[tokio::test]
async fn a_full_spool_keeps_the_oldest_thins_the_newest_and_takes_all_again_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let capacity = 200_000;
    let settings = Settings { capacity_bytes: capacity, ..settings(folder.path()) };
    let (keeper, thread, _notices) = begin(settings);
    let mut made = 0;
    while keeper.state().borrow().level < 100 {
        keeper.keep(vec![scan(made)]);
        made += 2;
        let before = keeper.state().borrow().clone();
        until(&keeper, |state| state.bytes > before.bytes || state.left_out > before.left_out).await;
        assert!(made < 10_000, "{before:?}");
    }
    // A few minutes more, of which only the minute scans are kept.
    let full_at = made;
    let left_out = |made: i64| move |state: &State| state.left_out >= (made - full_at) as u64 / 2 - 12;
    for _scan in 0..300 {
        keeper.keep(vec![scan(made)]);
        made += 2;
    }
    until(&keeper, left_out(made)).await;
    let state = keeper.state().borrow().clone();
    assert!(state.alarm.as_ref().unwrap().contains("begins a minute"), "{state:?}");
    assert!(state.hours_left.unwrap() < 0.05 && state.hours.unwrap() > 0.1, "{state:?}");
    assert!(state.scan_bytes > 300.0 && state.scan_bytes < 400.0, "{state:?}");
    let all = held(&keeper).await;
    assert_eq!(details(&all, "spool-alarm", "level"), ["80", "90", "95", "100"]);
    assert_eq!(details(&all, "thinning", "state"), ["begin"]);
    let kept = seconds(&all);
    let first_gap = kept.iter().zip((0..).step_by(2)).take_while(|(is, all)| **is == *all).count();
    assert!(kept[first_gap..].iter().all(|second| second % 60 == 0), "{kept:?}");
    assert!(kept.len() - first_gap >= 9, "minute scans are kept");
    assert_eq!(kept.len() as u64 + state.left_out, made as u64 / 2, "each scan is kept or counted");

    let half = all.iter().map(|record| record.seq).nth(all.len() / 2).unwrap();
    assert!(keeper.delete(Ranges::from_pairs([(0, half)])));
    keeper.keep(vec![scan(made), scan(made + 2)]);
    // What is left, two scans, and two events: the end of thinning and level 0.
    let wanted = all.iter().filter(|record| record.seq > half).count() as u64 + 4;
    until(&keeper, |state| state.records >= wanted && state.alarm.is_none() && state.level == 0).await;
    let all = held(&keeper).await;
    assert_eq!(seconds(&all)[seconds(&all).len() - 2..], [made, made + 2], "all scans again");
    let told = details(&all, "thinning", "left_out");
    assert_eq!(told.last().unwrap(), &state.left_out.to_string(), "how many were left out is told");
    assert_eq!(
        details(&all, "thinning", "to").last().unwrap(),
        &time_text(Timestamp::from_second(made - 2).unwrap())
    );
    assert_eq!(details(&all, "spool-alarm", "level").last().unwrap(), "0");
    end(keeper, thread);
}

#[tokio::test]
async fn what_was_left_out_is_told_before_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { capacity_bytes: 20_000, when_full: WhenFull::Stop, ..settings(folder.path()) };
    let (keeper, thread, _notices) = begin(settings.clone());
    keeper.keep((0..100).map(|number| scan(2 * number)).collect());
    until(&keeper, |state| state.left_out > 0).await;
    let (left_out, bytes) = (keeper.state().borrow().left_out, keeper.state().borrow().bytes);
    end(keeper, thread);
    let (keeper, thread, _notices) = begin(settings);
    until(&keeper, |state| state.bytes > bytes).await;
    let all = held(&keeper).await;
    assert_eq!(details(&all, "thinning", "state"), ["begin", "going-on"]);
    assert_eq!(details(&all, "thinning", "left_out"), ["0".to_owned(), left_out.to_string()]);
    assert_eq!(seconds(&all).len() as u64 + left_out, 100);
    end(keeper, thread);
}

#[tokio::test]
async fn one_poll_cycle_is_one_commit_and_a_new_epoch_is_told_before_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let (keeper, thread, mut notices) = begin(settings(folder.path()));
    keeper.keep(vec![scan(0), scan(2), scan(4)]);
    let mut told = Vec::new();
    while told.len() < 3 {
        let notice = tokio::time::timeout(LIMIT, notices.recv()).await.unwrap().unwrap();
        told.push(match notice {
            Notice::Opened { .. } => ("opened", 0),
            Notice::Fresh(entries) => ("fresh", entries.len()),
            Notice::Past(ranges) => ("past", ranges.iter().count()),
        });
        if told.last() == Some(&("fresh", 4)) {
            break;
        }
    }
    // The start and the three scans may have met in one commit.
    assert!(
        told == [("opened", 0), ("fresh", 1), ("fresh", 3)] || told == [("opened", 0), ("fresh", 4)],
        "{told:?}"
    );
    end(keeper, thread);
}

fn rounds() -> u64 {
    std::env::var("CEMS_TORTURE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// Flips bytes, cuts the file, or blanks a page.
fn damage(file: &std::path::Path, random: &mut fastrand::Rng) {
    let mut bytes = std::fs::read(file).unwrap();
    match random.u8(0..4) {
        0 => bytes.truncate(random.usize(0..bytes.len())),
        1 => {
            let page = random.usize(0..bytes.len() / 4096) * 4096;
            bytes[page..page + 4096].fill(0);
        }
        _flips => {
            // Somewhere in what is used, which is the beginning.
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
            for _flip in 0..random.usize(1..9) {
                bytes[random.usize(0..=used)] ^= random.u8(1..);
            }
        }
    }
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_spool_gives_no_wrong_record_and_says_that_it_is_replaced() {
    let (mut replaced, mut whole) = (0, 0);
    for seed in 0..rounds() * 6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { capacity_bytes: 1_000_000, ..settings(folder.path()) };
        let mut spool = Spool::open(&settings, Hash::ZERO).unwrap();
        Witness::of(&spool).write(folder.path()).unwrap();
        for number in 0..6 {
            let bodies: Vec<Body> = (10 * number..10 * number + 10).map(scan).collect();
            spool.commit(&bodies, &Ranges::default()).unwrap();
        }
        spool.commit(&[], &Ranges::from_pairs([(random.u64(0..60), random.u64(0..60))])).unwrap();
        let ranges = spool.ranges().unwrap();
        let runs = ranges.iter().map(|range| spool.newest(range, usize::MAX, usize::MAX).unwrap());
        let committed: Vec<Entry> = runs.flatten().collect();
        drop(spool);
        damage(&settings.file(), &mut random);
        let (keeper, thread, _notices) = begin(settings);
        until(&keeper, |state| state.records > 0 && state.alarm.is_none()).await;
        keeper.keep(vec![marker("after")]);
        let mut found = Vec::new();
        while found.last().is_none_or(|entry: &Entry| !entry.bytes.ends_with(br#""name":"after"}}"#)) {
            found.clear();
            // Runs from the newest on; a spool that turns out to be damaged when it is read is replaced meanwhile.
            let mut end = u64::MAX;
            while let Some(run) = keeper.newest((0, end), usize::MAX, usize::MAX).await {
                let Some(first) = run.first().map(|entry| entry.seq) else { break };
                found.splice(0..0, run);
                let Some(before) = first.checked_sub(1) else { break };
                end = before;
            }
            tokio::task::yield_now().await;
        }
        let aside = std::fs::read_dir(folder.path()).unwrap();
        let aside =
            aside.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().contains("damaged"));
        let records: Vec<Record> = found.iter().map(|entry| Record::decode(&entry.bytes).unwrap()).collect();
        if aside.count() == 0 {
            whole += 1;
            assert_eq!(found[..committed.len()], committed, "seed {seed}: all, to the bit");
        } else {
            replaced += 1;
            let lost = details(&records, "lost-range", "epoch");
            assert_eq!(lost, [Record::decode(&committed[0].bytes).unwrap().epoch.to_string()], "seed {seed}");
            assert!(seconds(&records).is_empty(), "seed {seed}: nothing of the damaged file");
        }
        end(keeper, thread);
    }
    println!("{replaced} replaced, {whole} whole");
    assert!(replaced > whole / 4, "{replaced} replaced, {whole} whole");
}

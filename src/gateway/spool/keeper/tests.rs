//! What callers of the keeper are told, and what it does with faults.
use std::time::Duration;

use super::*;
use crate::gateway::event;
use crate::mqtt::record::{Hash, Record};

const LIMIT: Duration = Duration::from_secs(10);

fn settings(folder: &std::path::Path) -> Settings {
    Settings {
        folder: folder.to_owned(),
        gateway: "gw-1".to_owned(),
        cfg: Hash::ZERO,
        cache_bytes: 1024 * 1024,
        capacity_bytes: 20_000,
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

//! The disk under a gateway: its power is cut, it fails and comes back, it is full. Real ext4 on a loop device;
//! `CEMS_TORTURE_ROUNDS` says how many power cuts (3 without it).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cems::config::gateway::WhenFull;
use cems::domain::flag::Flag;
use cems::domain::plant::ChannelCode;
use cems::domain::scan::{Reading, Scan};
use cems::gateway::spool::keeper::{self, Keeper, State};
use cems::gateway::spool::room::Need;
use cems::gateway::spool::{Settings, Spool, SpoolError};
use cems::mqtt::receipt::Ranges;
use cems::mqtt::record::{Body, Hash, Record};
use cems::telemetry::Readiness;
use jiff::Timestamp;

use crate::gateway::centre::Centre;
use crate::gateway::stub::Stub;
use crate::gateway::{all, assert_chain, config, events, records, until};
use crate::support::disk::Disk;
use crate::support::servers::{broker, folder};

const LIMIT: Duration = Duration::from_secs(30);

fn rounds() -> u64 {
    std::env::var("CEMS_TORTURE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

fn settings(disk: &Disk) -> Settings {
    Settings {
        folder: disk.path().join("spool"),
        gateway: "gw-test".to_owned(),
        cfg: Hash::ZERO,
        cache_bytes: 1024 * 1024,
        capacity_bytes: 1024 * 1024 * 1024,
        when_full: WhenFull::Thin,
        need: Need::of([(Duration::from_secs(2), 1)]),
    }
}

fn scan(number: i64) -> Body {
    let reading = Reading { value: Some(1.25), flag: Flag::Normal };
    let at = Timestamp::from_second(1_795_000_000 + 2 * number).unwrap();
    let readings = vec![(ChannelCode::new("a21026").unwrap(), reading)];
    Body::Scan(Scan { outlet: "kiln".to_owned(), at, readings })
}

/// One commit: what it made and deleted, and when it returned, in Unix microseconds.
#[derive(Clone)]
struct Commit {
    made: usize,
    lines: Vec<(u64, Vec<u8>)>,
    deleted: Vec<u64>,
    returned_at: Option<i64>,
}

/// Commits until the disk fails, a few records at a time, deleting now and then.
fn work(mut spool: Spool, log: &Mutex<Vec<Commit>>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let lock = || log.lock().unwrap_or_else(PoisonError::into_inner);
    let mut held: Vec<u64> = held(&spool).into_keys().collect();
    loop {
        let bodies: Vec<Body> =
            (0..random.i64(1..4)).map(|more| scan(more + i64::from(random.u16(..)))).collect();
        let from = random.usize(0..held.len().max(1));
        let until = (from + random.usize(1..9)).min(held.len());
        let deleted: Vec<u64> =
            if random.u8(0..4) == 0 { held.drain(from..until).collect() } else { Vec::new() };
        let delete = Ranges::of(deleted.iter().copied());
        lock().push(Commit { made: bodies.len(), lines: Vec::new(), deleted, returned_at: None });
        let Ok(entries) = spool.commit(&bodies, &delete) else { return };
        let returned_at = cems::clock::now().as_microsecond();
        held.extend(entries.iter().map(|entry| entry.seq));
        let mut log = lock();
        let commit = log.last_mut().unwrap();
        commit.returned_at = Some(returned_at);
        commit.lines = entries.iter().map(|entry| (entry.seq, entry.bytes.to_vec())).collect();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_takes_nothing_that_a_commit_had_returned() {
    for seed in 0..rounds() {
        let Some(disk) = Disk::new(64) else { return };
        let mut random = fastrand::Rng::with_seed(seed);
        // Several cuts of the same spool.
        for cut in 0..4 {
            let spool = Spool::open(&settings(&disk), Hash::ZERO).unwrap();
            let (before, next, epoch) = (held(&spool), spool.next(), spool.epoch());
            let log = Arc::new(Mutex::new(Vec::new()));
            let worker = std::thread::spawn({
                let log = Arc::clone(&log);
                move || work(spool, &log, seed * 100 + cut)
            });
            let commits = random.usize(0..200);
            until("commits", || log.lock().unwrap().len() > commits).await;
            let cut_at = disk.cut_power();
            worker.join().unwrap();
            disk.power_back().await;
            let spool = Spool::open(&settings(&disk), Hash::ZERO).unwrap();
            assert_eq!(spool.epoch(), epoch);
            let log = log.lock().unwrap().clone();
            keeps(&spool, (before, next), &log, cut_at);
            println!("seed {seed}, cut {cut}: {} commits, {} records held", log.len(), spool.records());
        }
    }
}

fn held(spool: &Spool) -> BTreeMap<u64, Vec<u8>> {
    let ranges = spool.ranges().unwrap();
    let runs = ranges.iter().map(|range| spool.newest(range, usize::MAX, usize::MAX).unwrap());
    runs.flatten().map(|entry| (entry.seq, entry.bytes.to_vec())).collect()
}

/// The spool holds what some whole number of commits made, to the bit: at least of all that had returned before the cut.
fn keeps(
    spool: &Spool,
    (mut expected, mut next): (BTreeMap<u64, Vec<u8>>, u64),
    log: &[Commit],
    cut_at: i64,
) {
    let found = held(spool);
    let mut commits = log.iter();
    while next < spool.next() {
        let commit = commits.next().expect("nothing is invented");
        expected.retain(|seq, _| !commit.deleted.contains(seq));
        let last = next + commit.made as u64;
        if commit.returned_at.is_some() {
            expected.extend(commit.lines.iter().cloned());
        } else {
            // It was under way; what it made is checked by its chain below.
            expected.extend(found.range(next..last).map(|(seq, line)| (*seq, line.clone())));
        }
        next = last;
    }
    assert_eq!(spool.next(), next, "a commit is whole");
    let missing: Vec<i64> = commits.filter_map(|commit| commit.returned_at).collect();
    assert!(missing.iter().all(|at| *at >= cut_at), "returned before {cut_at} and gone: {missing:?}");
    if !missing.is_empty() {
        println!("{} commits returned without power and are gone", missing.len());
    }
    assert!(found == expected, "other records than promised");
    let newest = found.last_key_value().filter(|(seq, _)| **seq + 1 == next);
    assert!(newest.is_none_or(|(_, line)| Hash::of(line) == spool.head()));
    for (seq, line) in &found {
        let record = Record::decode(line).unwrap();
        let before = seq.checked_sub(1).and_then(|before| found.get(&before));
        assert!(record.seq == *seq && before.is_none_or(|before| Hash::of(before) == record.prev));
    }
}

/// `cems gateway` in a process of its own, to be killed.
struct Process(Child);

impl Process {
    fn start(file: &Path) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cems"));
        Process(command.args(["gateway", "--config"]).arg(file).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _ended_already = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_whose_power_is_cut_has_everything_that_it_had_sent() {
    let Some(disk) = Disk::new(64) else { return };
    let (folder, broker, stub) = (folder(), broker().await, Stub::start().await);
    let centre = Centre::start(broker.port()).await;
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, config(&disk.path(), broker.port(), &[&stub])).unwrap();
    for cut in 0..rounds() {
        let before = centre.count("live");
        let gateway = Process::start(&file);
        until("it sends", || centre.count("live") >= before + 2 + usize::try_from(cut % 3).unwrap()).await;
        disk.cut_power();
        drop(gateway);
        disk.power_back().await;
    }
    let sent = records(&centre, "live");
    assert!(sent.len() as u64 >= 2 * rounds());
    centre.forget();
    centre.receipt_everything();
    let last = Process::start(&file);
    until("everything again", || sent.keys().all(|seq| all(&centre).contains_key(seq))).await;
    drop(last);
    let again = all(&centre);
    assert!(sent.iter().all(|(seq, line)| again.get(seq) == Some(line)), "bit-identical");
    assert_chain(&again);
    assert!(!events(&again).contains(&"lost-range".to_owned()));
}

async fn keeper_until(keeper: &Keeper, what: &str, wanted: impl FnMut(&State) -> bool) -> State {
    let mut state = keeper.state();
    let found = tokio::time::timeout(LIMIT, state.wait_for(wanted)).await.map(|found| found.unwrap().clone());
    found.unwrap_or_else(|_late| panic!("waited for {what}; last seen: {:?}", keeper.state().borrow()))
}

async fn kept(keeper: &Keeper) -> Vec<Record> {
    let entries = keeper.newest((0, u64::MAX), usize::MAX, usize::MAX).await.expect("readable");
    entries.iter().map(|entry| Record::decode(&entry.bytes).unwrap()).collect()
}

/// Numbers of the scans, and the reasons of alarms that are over.
fn told(records: &[Record]) -> (Vec<i64>, Vec<String>) {
    let (mut scans, mut alarms) = (Vec::new(), Vec::new());
    for record in records {
        match &record.body {
            Body::Scan(scan) => scans.push((scan.at.as_second() - 1_795_000_000) / 2),
            Body::Event(event) => alarms.extend(event.detail.get("reason").cloned()),
        }
    }
    (scans, alarms)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_and_comes_back_costs_nothing_and_needs_no_restart() {
    let Some(disk) = Disk::new(32) else { return };
    let (sender, _notices) = tokio::sync::mpsc::channel(1000);
    let readiness = Readiness::default();
    let (keeper, thread) = keeper::start(settings(&disk), readiness.clone(), sender).unwrap();
    keeper.keep((0..10).map(scan).collect());
    keeper_until(&keeper, "ten scans", |state| state.records == 11).await;
    disk.cut_power();
    keeper.keep(vec![scan(10)]);
    let state = keeper_until(&keeper, "the alarm", |state| state.alarm.is_some()).await;
    assert!(state.alarm.as_ref().unwrap().contains("disk"), "{state:?}");
    assert!(!readiness.all_ready());
    keeper.keep((11..20).map(scan).collect());
    disk.power_back().await;
    keeper.keep(vec![scan(20)]);
    keeper_until(&keeper, "its return", |state| state.alarm.is_none() && state.records >= 22).await;
    let records = kept(&keeper).await;
    let (scans, alarms) = told(&records);
    assert_eq!(scans, (0..21).collect::<Vec<_>>(), "none lost, none twice");
    assert_eq!(alarms.len(), 1, "the failure is told: {alarms:?}");
    assert!(records.windows(2).all(|pair| pair[1].prev == Hash::of(&pair[0].encode())), "one chain");
    drop(keeper);
    thread.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_alarms_and_goes_on_when_receipts_or_people_make_room() {
    let Some(disk) = Disk::new(16) else { return };
    let (sender, _notices) = tokio::sync::mpsc::channel(1000);
    let (keeper, thread) = keeper::start(settings(&disk), Readiness::default(), sender).unwrap();
    keeper.keep((0..1000).map(scan).collect());
    keeper_until(&keeper, "a thousand scans", |state| state.records > 1000).await;
    let filler = disk.path().join("filler");
    let mut hog = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut hog, &[1; 4096]).is_ok() {}
    drop(hog);
    let mut made = 1000;
    while keeper.state().borrow().alarm.is_none() {
        let before = keeper.state().borrow().records;
        keeper.keep((made..made + 200).map(scan).collect());
        made += 200;
        keeper_until(&keeper, "records or an alarm", |state| state.records > before || state.alarm.is_some())
            .await;
        assert!(made < 100_000, "the disk is full at some time");
    }
    println!("full with {} records", keeper.state().borrow().records);
    let reason = keeper.state().borrow().alarm.clone().unwrap();
    assert!(reason.contains("disk") && reason.contains("space"), "{reason}");
    // The disk stays full; receipts alone make room within the spool's file.
    until("a deletion and its effect", || {
        keeper.delete(Ranges::from_pairs([(0, 800)])) && keeper.state().borrow().alarm.is_none()
    })
    .await;
    let first = kept(&keeper).await;
    assert_eq!(told(&first).0, (800..made).collect::<Vec<_>>());
    std::fs::remove_file(&filler).unwrap();
    keeper.keep(vec![scan(made)]);
    let all = first.len() as u64 + 1;
    keeper_until(&keeper, "a scan more", |state| state.records >= all).await;
    let (scans, alarms) = told(&kept(&keeper).await);
    assert_eq!(scans, (800..=made).collect::<Vec<_>>(), "none lost, none twice");
    assert!(!alarms.is_empty());
    drop(keeper);
    thread.join().unwrap();
    assert!(!matches!(Spool::open(&settings(&disk), Hash::ZERO), Err(SpoolError::Damaged(_))));
}

//! The spool at its work: `cargo bench --bench spool`. One line a figure. Seven days of one outlet (16 channels every 2 s) are
//! put into a spool by a process that is then killed; another one opens it.
#![expect(clippy::unwrap_used, reason = "a bench that meets the unexpected is to fail loudly")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cems::clock::monotonic;
use cems::config::gateway::WhenFull;
use cems::domain::flag::Flag;
use cems::domain::plant::ChannelCode;
use cems::domain::scan::{Reading, Scan};
use cems::gateway::spool::room::Need;
use cems::gateway::spool::{Settings, Spool};
use cems::mqtt::receipt::Ranges;
use cems::mqtt::record::{Body, Hash};
use jiff::Timestamp;

#[path = "support/mod.rs"]
mod support;

use support::process::memory;

/// Seven days, a scan every 2 s.
const WEEK: i64 = 7 * 86_400 / 2;
const FIRST: i64 = 1_795_000_000;
const CHANNELS: [&str; 16] = [
    "a01006", "a01011", "a01012", "a01013", "a01014", "a19001", "a21001", "a21002", "a21003", "a21004",
    "a21005", "a21024", "a21026", "a21028", "a24088", "a34013",
];
const TASK: &str = "CEMS_BENCH_SPOOL_TASK";
const FOLDER: &str = "CEMS_BENCH_SPOOL_FOLDER";

fn settings(folder: &Path) -> Settings {
    Settings {
        folder: folder.to_owned(),
        gateway: "gw-bench".to_owned(),
        cfg: Hash::of(b"bench"),
        cache_bytes: 8 * 1024 * 1024,
        capacity_bytes: 1024 * 1024 * 1024,
        when_full: WhenFull::Thin,
        need: Need::of([(Duration::from_secs(2), CHANNELS.len())]),
    }
}

fn scan(number: i64) -> Body {
    let mut random = fastrand::Rng::with_seed(number.unsigned_abs());
    let mut reading = |code: &&str| {
        let value = (random.f64() * 1e4).round() / 100.0;
        (ChannelCode::new(code).unwrap(), Reading { value: Some(value), flag: Flag::Normal })
    };
    let readings = CHANNELS.iter().map(&mut reading).collect();
    let at = Timestamp::from_second(FIRST + 2 * number).unwrap();
    Body::Scan(Scan { outlet: "jz-cement-01".to_owned(), at, readings })
}

fn tell(name: &str, value: f64, unit: &str, goal: &str) {
    println!("{name:<28} {value:>10.2} {unit:<12} {goal}");
}

fn seconds(since: std::time::Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

fn thousand(count: i64) -> f64 {
    f64::from(i32::try_from(count).unwrap()) / 1000.0
}

fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    sorted.get((sorted.len() - 1) * percent / 100).unwrap().as_secs_f64() * 1000.0
}

/// One record a commit, as a gateway with one outlet does.
fn commits(spool: &mut Spool, from: i64, count: i64) -> Vec<Duration> {
    let commit = |number| {
        let start = monotonic();
        spool.commit(&[scan(number)], &Ranges::default()).unwrap();
        start.elapsed()
    };
    let mut times: Vec<Duration> = (from..from + count).map(commit).collect();
    times.sort_unstable();
    times
}

/// What the disk itself needs for a page and its fsync, in the same run.
fn page_and_fsync(file: &Path) -> Vec<Duration> {
    let mut out = std::fs::File::create(file).unwrap();
    let mut times: Vec<Duration> = (0..500)
        .map(|_| {
            let start = monotonic();
            out.write_all(&[1; 4096]).unwrap();
            out.sync_data().unwrap();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times
}

/// Fills a spool, says so, and waits to be killed.
fn fill(folder: &Path) {
    let mut spool = Spool::open(&settings(folder), Hash::ZERO).unwrap();
    let last = 500;
    let mut number = 0;
    while number < WEEK - last {
        let bodies: Vec<Body> = (number..(number + 500).min(WEEK - last)).map(scan).collect();
        spool.commit(&bodies, &Ranges::default()).unwrap();
        number += i64::try_from(bodies.len()).unwrap();
    }
    let times = commits(&mut spool, number, last);
    tell("commit_full_p50_ms", percentile(&times, 50), "ms", "");
    tell("commit_full_p99_ms", percentile(&times, 99), "ms", "");
    println!("filled");
    let _killed = std::io::stdin().lines().next();
}

/// Opens what another process left, as a start of the gateway does.
fn open(folder: &Path, warmth: &str) {
    let start = monotonic();
    let spool = Spool::open(&settings(folder), Hash::ZERO).unwrap();
    let held = spool.ranges().unwrap();
    let took = seconds(start);
    assert!(!spool.is_new() && held.iter().eq([(0, WEEK.unsigned_abs() - 1)]), "{held:?}");
    let goal = if warmth == "killed" { "goal 2" } else { "file not in the page cache, as after a boot" };
    tell(&format!("open_{warmth}_s"), took, "s", goal);
    tell(&format!("open_{warmth}_peak_rss_mib"), memory(std::process::id(), "VmHWM"), "MiB", "goal 60");
    println!("opened");
    // Killed like the one before, so that the file stays as a crash leaves it.
    let _killed = std::io::stdin().lines().next();
    drop(spool);
}

fn run_self(task: &str, folder: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(TASK, task).env(FOLDER, folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// Passes on what a child says until `mark`.
fn until(child: &mut Child, mark: &str) {
    let out = BufReader::new(child.stdout.take().unwrap());
    for line in out.lines().map(Result::unwrap).take_while(|line| line != mark) {
        println!("{line}");
    }
}

/// The whole `cems gateway` on that spool, with neither analyser nor broker: how soon it is at work, and its memory then.
fn gateway(folder: &Path) {
    let config = folder.with_extension("toml");
    let mut text = format!(
        "schema = \"gateway/1\"\n[gateway]\nname = \"gw-bench\"\ndata_dir = \"{}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:1\"\n\
         [[analyser]]\nname = \"gas\"\nlink = \"tcp://127.0.0.1:1\"\n[[outlet]]\ncode = \"jz-cement-01\"\n",
        folder.display()
    );
    for (register, code) in CHANNELS.iter().enumerate() {
        let channel = format!(
            "[[outlet.channel]]\ncode = \"{code}\"\nanalyser = \"gas\"\nregister = {register}\ntype = \"u16\"\n"
        );
        text.push_str(&channel);
    }
    std::fs::write(&config, text).unwrap();
    let start = monotonic();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cems"));
    command.args(["gateway", "--config"]).arg(&config).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    // Kept open: a gateway needs somebody to log to.
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map(Result::unwrap);
    let said = lines.by_ref().take(50).find(|line| line.contains("hours of scans")).unwrap();
    tell("gateway_start_s", seconds(start), "s", "goal 2");
    println!("  {said}");
    // Ten scans later it has told its publisher everything and settled.
    std::thread::sleep(Duration::from_secs(20));
    tell("gateway_rss_mib", memory(process.id(), "VmRSS"), "MiB", "goal 60");
    tell("gateway_peak_rss_mib", memory(process.id(), "VmHWM"), "MiB", "goal 60");
    process.kill().unwrap();
    process.wait().unwrap();
}

/// Takes a file out of the page cache.
fn cool(file: &Path) {
    let arguments = ["oflag=nocache", "conv=notrunc,fdatasync", "count=0", "status=none"];
    let of = format!("of={}", file.display());
    let status = Command::new("dd").arg("if=/dev/null").arg(of).args(arguments).status();
    assert!(status.unwrap().success());
}

/// Reads as backfill does and deletes as receipts do.
fn drain(folder: &Path) {
    let mut spool = Spool::open(&settings(folder), Hash::ZERO).unwrap();
    let start = monotonic();
    let mut end = u64::MAX;
    let mut count: i64 = 0;
    loop {
        let run = spool.newest((0, end), 500, 64 * 1024).unwrap();
        let (Some(first), Some(last)) = (run.first(), run.last()) else { break };
        count += i64::try_from(run.len()).unwrap();
        end = first.seq.saturating_sub(1);
        spool.commit(&[], &Ranges::from_pairs([(first.seq, last.seq)])).unwrap();
        if first.seq == 0 {
            break;
        }
    }
    assert_eq!((count, spool.records()), (WEEK, 0));
    tell("drain_records_per_s", thousand(count) / seconds(start), "k/s", "read and deleted, newest first");
}

fn main() {
    if let (Ok(task), Ok(folder)) = (std::env::var(TASK), std::env::var(FOLDER)) {
        let folder = PathBuf::from(folder);
        match task.as_str() {
            "fill" => fill(&folder),
            warmth => open(&folder, warmth),
        }
        return;
    }
    let at = std::env::var("CEMS_BENCH_FOLDER").unwrap_or_else(|_| "target".to_owned());
    let folder = tempfile::Builder::new().prefix("bench-spool-").tempdir_in(at).unwrap();
    let times = page_and_fsync(&folder.path().join("page"));
    tell("page_fsync_p50_ms", percentile(&times, 50), "ms", "the disk alone: 4 KiB appended and fsync");
    tell("page_fsync_p99_ms", percentile(&times, 99), "ms", "");
    let empty = folder.path().join("empty");
    let mut spool = Spool::open(&settings(&empty), Hash::ZERO).unwrap();
    let times = commits(&mut spool, 0, 500);
    drop(spool);
    tell("commit_p50_ms", percentile(&times, 50), "ms", "one record a commit, fsync");
    tell("commit_p99_ms", percentile(&times, 99), "ms", "");

    let week = folder.path().join("week");
    let start = monotonic();
    let mut filling = run_self("fill", &week);
    until(&mut filling, "filled");
    filling.kill().unwrap();
    filling.wait().unwrap();
    tell("fill_records_per_s", thousand(WEEK) / seconds(start), "k/s", "500 a commit");
    let file = std::fs::metadata(settings(&week).file()).unwrap().len();
    tell(
        "file_mib",
        thousand(i64::try_from(file / 1024).unwrap()) / 1.024,
        "MiB",
        "7 days, 16 channels, 2 s",
    );
    for warmth in ["killed", "cold"] {
        if warmth == "cold" {
            cool(&settings(&week).file());
        }
        let mut opening = run_self(warmth, &week);
        until(&mut opening, "opened");
        opening.kill().unwrap();
        opening.wait().unwrap();
    }
    let copy = folder.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(settings(&week).file(), settings(&copy).file()).unwrap();
    gateway(&copy);
    drain(&week);
}

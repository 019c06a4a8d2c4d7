//! The gateway between analysers that misbehave and a real mosquitto that is killed. The centre is played by the test: it
//! listens, and it receipts when the test says so.

/// Three analysers on one RTU line.
mod bus;
/// A listener that plays the centre.
pub mod centre;
/// An analyser that is not of our making.
mod pymodbus;
/// Another configuration while it runs, and what it says of itself.
mod running;
/// Sixteen analysers, three of which misbehave.
mod sixteen;
/// Modbus RTU slaves that misbehave on demand.
pub mod rtu_stub;
/// A Modbus TCP server that misbehaves on demand.
pub mod stub;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use cems::config::gateway::{Table, parse};
use cems::domain::flag::Flag;
use cems::domain::scan::{Reading, Scan};
use cems::gateway::modbus::{Asked, Client};
use cems::gateway::plan::Block;
use cems::gateway::{Running, start};
use cems::mqtt::record::{Body, Hash, Record};
use cems::shutdown::Shutdown;
use cems::telemetry::Reporting;
use jiff::SignedDuration;

use crate::gateway::centre::Centre;
use crate::gateway::stub::{Behaviour, Stub};
use crate::support::servers::broker;
use crate::support::wait::wait_until;

/// Longest wait for anything.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Waits until `condition` holds; says what did not happen otherwise.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_until(LIMIT, what, || {
        let holds = condition();
        async move { if holds { Ok(()) } else { Err("not yet") } }
    })
    .await;
}

/// A gateway with one outlet a stub: channels a21026 (register 0) and a21002 (register 50) of analyser `one`, and so on.
pub fn config(folder: &Path, broker: u16, stubs: &[&Stub]) -> String {
    let mut text = format!(
        "schema = \"gateway/1\"\n[gateway]\nname = \"gw-test\"\ndata_dir = \"{}\"\n\
         [mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\ninflight = 100\n[publish]\nreceipt_timeout_ms = 400\n",
        folder.join("spool").display()
    );
    for (index, stub) in stubs.iter().enumerate() {
        write!(
            text,
            "[[analyser]]\nname = \"a{index}\"\nlink = \"tcp://127.0.0.1:{}\"\nunit = 7\ntimeout_ms = 200\n\
             [[outlet]]\ncode = \"outlet-{index}\"\nperiod_ms = 500\n",
            stub.port()
        )
        .unwrap();
        for (code, register) in [("a21026", 0), ("a21002", 50)] {
            write!(
            text,
                "[[outlet.channel]]\ncode = \"{code}\"\nanalyser = \"a{index}\"\nregister = {register}\ntype = \"u16\"\n"
            )
        .unwrap();
        }
    }
    text
}

pub struct Gateway {
    running: Running,
    pub reporting: Reporting,
    shutdown: Shutdown,
}

impl Gateway {
    pub async fn start(text: &str) -> Gateway {
        let config = parse("test", text).unwrap_or_else(|problems| panic!("{problems}"));
        let shutdown = Shutdown::new();
        let reporting = Reporting::default();
        let running = start(config, reporting.clone(), shutdown.clone()).await.unwrap();
        Gateway { running, reporting, shutdown }
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(LIMIT, self.running.wait()).await.expect("stops in time").unwrap();
    }

    /// What Prometheus gets of this part.
    fn says_ready(&self, part: &str) -> bool {
        let text = self.reporting.metrics.render().unwrap();
        text.contains(&format!("cems_ready{{part=\"{part}\"}} 1\n"))
    }

    /// What Prometheus gets of the clock's offset and its error, seconds.
    pub fn clock_offset(&self) -> Option<(f64, f64)> {
        let text = self.reporting.metrics.render().unwrap();
        let figure = |name: &str| -> f64 {
            let name = format!("cems_gateway_clock_{name}_seconds{{");
            let line = text.lines().find(|line| line.starts_with(&name)).unwrap();
            line.rsplit_once(' ').unwrap().1.parse().unwrap()
        };
        let (offset, error) = (figure("offset"), figure("offset_error"));
        assert_eq!(offset.is_nan(), error.is_nan());
        (!offset.is_nan()).then_some((offset, error))
    }

    pub fn spooled(&self) -> u64 {
        self.running.spool().borrow().records
    }
}

/// Every record of every line: canonical, each sequence number with one content only. By sequence number.
pub fn records(centre: &Centre, lane: &str) -> BTreeMap<u64, Vec<u8>> {
    let mut records: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for message in centre.messages(lane) {
        let mut seqs = Vec::new();
        for line in message.payload.split(|byte| *byte == b'\n') {
            let record = Record::decode(line).unwrap_or_else(|defect| panic!("{defect}"));
            seqs.push(record.seq);
            let known = records.entry(record.seq).or_insert_with(|| line.to_vec());
            assert_eq!(known, line, "a resend is bit-identical");
        }
        let property = |name: &str| message.properties.iter().find(|(key, _)| key == name).unwrap().1.clone();
        assert_eq!(property("first"), seqs.first().unwrap().to_string());
        assert_eq!(property("last"), seqs.last().unwrap().to_string());
        assert_eq!(property("epoch").len(), 32);
        assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "an unbroken run: {seqs:?}");
    }
    records
}

/// All records from 0 on, without a gap, each naming the hash of the one before.
pub fn assert_chain(records: &BTreeMap<u64, Vec<u8>>) {
    let mut prev = Hash::ZERO;
    for (expected, (seq, line)) in records.iter().enumerate() {
        assert_eq!(*seq, expected as u64, "no gap");
        assert_eq!(Record::decode(line).unwrap().prev, prev);
        prev = Hash::of(line);
    }
}

fn scans(records: &BTreeMap<u64, Vec<u8>>, outlet: &str) -> Vec<Scan> {
    let decoded = records.values().map(|line| Record::decode(line).unwrap().body);
    let scans = decoded.filter_map(|body| match body {
        Body::Scan(scan) if scan.outlet == outlet => Some(scan),
        Body::Scan(_) | Body::Event(_) => None,
    });
    scans.collect()
}

pub fn events(records: &BTreeMap<u64, Vec<u8>>) -> Vec<String> {
    let decoded = records.values().map(|line| Record::decode(line).unwrap().body);
    let events = decoded.filter_map(|body| match body {
        Body::Event(event) => Some(event.event),
        Body::Scan(_) => None,
    });
    events.collect()
}

fn reading(scan: &Scan, code: &str) -> Reading {
    scan.readings.iter().find(|(channel, _)| channel.as_str() == code).unwrap().1
}

fn good(value: f64) -> Reading {
    Reading { value: Some(value), flag: Flag::Normal }
}

pub fn all(centre: &Centre) -> BTreeMap<u64, Vec<u8>> {
    let mut all = records(centre, "live");
    for (seq, line) in records(centre, "backfill") {
        assert_eq!(all.entry(seq).or_insert_with(|| line.clone()), &line, "both lanes carry the same bytes");
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_goes_live_comes_again_and_is_deleted_on_its_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, stub) = (broker().await, Stub::start().await);
    let centre = Centre::start(broker.port()).await;
    let gateway = Gateway::start(&config(folder.path(), broker.port(), &[&stub])).await;
    until("5 scans live", || scans(&records(&centre, "live"), "outlet-0").len() >= 5).await;
    let live = records(&centre, "live");
    for scan in scans(&live, "outlet-0") {
        assert_eq!(scan.at.as_millisecond() % 500, 0, "on a tick");
        assert_eq!(scan.readings.len(), 2);
        assert_eq!(reading(&scan, "a21026"), good(0.0));
        assert_eq!(reading(&scan, "a21002"), good(50.0));
    }
    until("unreceipted records come again", || {
        let again = records(&centre, "backfill");
        live.keys().all(|seq| again.contains_key(seq))
    })
    .await;
    assert_chain(&all(&centre));
    assert!(gateway.spooled() >= live.len() as u64, "nothing is deleted without a receipt");

    centre.receipt_everything();
    until("the spool is empty", || gateway.spooled() == 0).await;
    until("a status on its own topic", || {
        let statuses = centre.messages("status");
        let wanted = ["\"online\":true", "\"spool_hours\":", "\"spool_hours_left\":", "\"spool_level\":0"];
        statuses.iter().any(|status| wanted.iter().all(|part| status.text().contains(part)))
    })
    .await;
    gateway.stop().await;
    let first = events(&all(&centre))[0].clone();
    assert_eq!(first, "start");
    until("the last record and the goodbye", || {
        events(&all(&centre)).last().is_some_and(|last| last == "stop")
            && centre.messages("status").last().is_some_and(|m| m.text().contains("\"online\":false"))
    })
    .await;
    assert_chain(&all(&centre));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_of_the_centre_is_seen_in_its_receipts() {
    let folder = tempfile::tempdir().unwrap();
    let (mut broker, stub) = (broker().await, Stub::start().await);
    let centre = Centre::start(broker.port()).await;
    centre.receipt_everything();
    let gateway = Gateway::start(&config(folder.path(), broker.port(), &[&stub])).await;
    until("receipts of a centre that says no time", || centre.count("live") >= 3 && gateway.spooled() == 0)
        .await;
    assert_eq!(gateway.clock_offset(), None);
    let is_within = |truth: f64| {
        gateway.clock_offset().is_some_and(|(offset, error)| {
            assert!(error < 1.0, "{offset} s with an error of {error} s");
            (offset - truth).abs() <= error
        })
    };
    centre.clock_ahead(SignedDuration::from_secs(5));
    until("5 s behind the centre", || is_within(-5.0)).await;
    // The centre's clock is set: what was measured before is false.
    centre.clock_ahead(SignedDuration::from_secs(-70));
    until("70 s ahead of the centre", || is_within(70.0)).await;
    // It is in the status, which is said after each connect.
    broker.kill().await;
    broker.restart().await.unwrap();
    until("the offset in a status", || {
        centre.messages("status").iter().any(|status| {
            let status: serde_json::Value = serde_json::from_str(&status.text()).unwrap();
            let number = |key: &str| status[key].as_i64();
            number("clock_offset_ms")
                .zip(number("clock_offset_error_ms"))
                .is_some_and(|(offset, error)| (offset - 70_000).abs() <= error && error < 1000)
        })
    })
    .await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_broker_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut broker, stub) = (broker().await, Stub::start().await);
    let centre = Centre::start(broker.port()).await;
    centre.receipt_everything();
    let gateway = Gateway::start(&config(folder.path(), broker.port(), &[&stub])).await;
    for round in 0..2 {
        let before = centre.count("live") + centre.count("backfill");
        until("records arrive", || centre.count("live") + centre.count("backfill") >= before + 2).await;
        broker.kill().await;
        until("records pile up", || gateway.spooled() >= 4).await;
        until("it says so", || !gateway.says_ready("broker") && gateway.says_ready("spool")).await;
        broker.restart().await.unwrap();
        until("it says that it is back", || gateway.says_ready("broker")).await;
        until(&format!("round {round}: the spool is empty again"), || gateway.spooled() == 0).await;
    }
    gateway.stop().await;
    let all = all(&centre);
    assert_chain(&all);
    let ticks: Vec<i64> = scans(&all, "outlet-0").iter().map(|scan| scan.at.as_millisecond()).collect();
    assert!(ticks.windows(2).all(|pair| pair[1] > pair[0]), "each tick once, in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_analyser_is_flagged_and_the_other_keeps_its_period() {
    let folder = tempfile::tempdir().unwrap();
    let broker = broker().await;
    let (faulty, sound) = (Stub::start().await, Stub::start().await);
    let centre = Centre::start(broker.port()).await;
    centre.receipt_everything();
    let gateway = Gateway::start(&config(folder.path(), broker.port(), &[&faulty, &sound])).await;
    let latest = |outlet: &str| scans(&all(&centre), outlet).last().map(|scan| reading(scan, "a21026"));
    for behaviour in Behaviour::FAULTS {
        until("good before", || latest("outlet-0") == Some(good(0.0))).await;
        let before = scans(&all(&centre), "outlet-0").len();
        faulty.behave(behaviour);
        let since = cems::clock::now();
        until(&format!("{behaviour:?}: flagged"), || latest("outlet-0") == Some(Reading::NO_ANSWER)).await;
        let scans = scans(&all(&centre), "outlet-0");
        let flagged = scans.iter().skip(before).find(|scan| reading(scan, "a21026") == Reading::NO_ANSWER);
        let tick = flagged.unwrap().at;
        assert!(
            tick.duration_since(since).as_millis() <= 1500,
            "{behaviour:?}: within 3 periods, was {tick}"
        );
        faulty.behave(Behaviour::Serve);
    }
    gateway.stop().await;
    let all = all(&centre);
    let other = scans(&all, "outlet-1");
    assert!(
        other
            .iter()
            .all(|scan| reading(scan, "a21026") == good(0.0) && reading(scan, "a21002") == good(50.0))
    );
    let ticks: Vec<i64> = other.iter().map(|scan| scan.at.as_millisecond()).collect();
    let missed = ticks.windows(2).filter(|pair| pair[1] - pair[0] != 500).count();
    assert!(missed <= ticks.len() / 20, "{missed} of {} ticks missed beside a faulty neighbour", ticks.len());
    for scan in scans(&all, "outlet-0") {
        for (code, value) in [("a21026", 0.0), ("a21002", 50.0)] {
            let found = reading(&scan, code);
            assert!(found == good(value) || found == Reading::NO_ANSWER, "never another value: {found:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_is_never_taken_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let stub = Stub::start().await;
    stub.behave(Behaviour::OftenLate);
    let text = config(folder.path(), 1, &[&stub]).replace("timeout_ms = 200", "timeout_ms = 20");
    let line = parse("test", &text).unwrap().lines.remove(0);
    let (mut answered, mut unanswered) = (0, 0);
    // Clients of their own, so that the back-off of one does not stretch the test.
    for round in 0..60_u16 {
        let mut client = Client::new(line.clone());
        for step in 0..6_u16 {
            let block = Block { table: Table::Input, address: round * 10 + step, count: 1 };
            let timeout = Duration::from_millis(20);
            let asked = Asked { unit: 7, timeout, deadline: cems::clock::monotonic() + timeout };
            match client.read(block, asked).await {
                Ok(words) => {
                    assert_eq!(
                        words,
                        [block.address],
                        "the stub answers with the address that was asked for"
                    );
                    answered += 1;
                }
                Err(_) => unanswered += 1,
            }
        }
    }
    assert!(answered > 30 && unanswered > 30, "{answered} answered, {unanswered} not");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_without_a_broker_is_sent_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (mut broker, stub) = (broker().await, Stub::start().await);
    let text = config(folder.path(), broker.port(), &[&stub]);
    broker.kill().await;
    let gateway = Gateway::start(&text).await;
    until("records pile up", || gateway.spooled() >= 4).await;
    gateway.stop().await;
    broker.restart().await.unwrap();
    let centre = Centre::start(broker.port()).await;
    centre.receipt_everything();
    let gateway = Gateway::start(&format!("{text}\n# another configuration\n")).await;
    until("the spool is empty", || gateway.spooled() == 0 && centre.count("live") > 1).await;
    gateway.stop().await;
    let all = all(&centre);
    assert_chain(&all);
    assert_eq!(events(&all)[..4], ["start", "stop", "configuration", "start"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_goes_by_backfill_only_and_a_new_centre_gets_everything_again() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, stub) = (broker().await, Stub::start().await);
    let centre = Centre::start(broker.port()).await;
    let text = config(folder.path(), broker.port(), &[&stub])
        .replace("receipt_timeout_ms = 400", "receipt_timeout_ms = 60000");
    let config = parse("test", &text).unwrap();
    let gateway = Gateway::start(&text).await;
    let start: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let image = |_: &str, _, address: u16, count: u16| Some((address..address + count).collect());
    let past: Vec<Body> = (0..1200)
        .map(|second| start + jiff::SignedDuration::from_secs(second))
        .map(|at| Body::Scan(cems::gateway::decode_image(&config, "outlet-0", at, &image).unwrap()))
        .collect();
    gateway.running.append_past(past).await.unwrap();
    let of_the_past = |lane: &str| {
        let scans = scans(&records(&centre, lane), "outlet-0");
        scans.iter().filter(|scan| scan.at.duration_since(start).as_secs() < 1200).count()
    };
    until("all of the past", || of_the_past("backfill") == 1200).await;
    assert_eq!(of_the_past("live"), 0);
    assert!(centre.count("backfill") <= 40, "many records a message: {}", centre.count("backfill"));
    until("live beside it", || centre.count("live") >= 2).await;

    let spooled = gateway.spooled();
    centre.forget();
    centre.announce("start-1");
    until("everything again", || all(&centre).len() as u64 >= spooled).await;
    centre.receipt_everything();
    centre.announce("start-2");
    until("the spool is empty", || gateway.spooled() == 0).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gateway_loses_nothing_that_it_had_sent_or_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, stub) = (broker().await, Stub::start().await);
    let centre = Centre::start(broker.port()).await;
    let text = config(folder.path(), broker.port(), &[&stub]);
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, &text).unwrap();
    for _kill in 0..4 {
        let before = centre.count("live");
        let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_cems"))
            .args(["gateway", "--config"])
            .arg(&file)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("it sends", || centre.count("live") >= before + 2).await;
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let sent = records(&centre, "live");
    centre.receipt_everything();
    let gateway = Gateway::start(&text).await;
    until("the spool is empty", || gateway.spooled() == 0 && centre.count("backfill") > 0).await;
    gateway.stop().await;
    let all = all(&centre);
    assert!(sent.len() >= 8 && sent.keys().all(|seq| all.contains_key(seq)));
    assert_chain(&all);
    let starts = events(&all).iter().filter(|event| *event == "start").count();
    assert_eq!(starts, 5, "in one chain, in one epoch");
}

#[test]
fn a_wrong_configuration_is_refused_with_all_its_problems() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, "schema = \"gateway/1\"\n[gateway]\nname = \"GW\"\ndata_dir = \"x\"\n").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_cems"))
        .args(["gateway", "--config"])
        .arg(&file)
        .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    for part in [
        ":3: gateway.name: found \"GW\"",
        "mqtt: found nothing",
        "analyser: found nothing",
        "4 problems found",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!folder.path().join("x").exists(), "nothing was opened");
}

//! Lines to analysers: an independent slave read right over each of them, answers that come too late, and neighbours that misbehave.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cems::clock;
use cems::config::gateway::{Line, Link, Number, Order, Parity, SerialPort, Table};
use cems::gateway::modbus::{Asked, Client, Fault};
use cems::gateway::plan::Block;
use cems::gateway::register;
use tokio::task::JoinSet;

use crate::gateway::rtu_stub::{self, RtuStub};
use crate::gateway::stub::{self, Stub};
use crate::support::pymodbus;
use crate::support::register_image::{Entry, register_image};
use crate::support::serial_line::SerialLine;
use crate::support::wait::slowness;

const LIMIT: Duration = Duration::from_secs(30);

fn line(link: Link, slowest_answer: Duration) -> Line {
    Line {
        name: "line".to_owned(),
        link,
        turnaround: Duration::ZERO,
        usual_answer: Duration::from_millis(5),
        slowest_answer,
    }
}

fn tcp(port: u16) -> Link {
    Link::Tcp { address: format!("127.0.0.1:{port}") }
}

fn rtu_over_tcp(port: u16) -> Link {
    Link::RtuOverTcp { address: format!("127.0.0.1:{port}") }
}

fn serial(device: PathBuf) -> Link {
    Link::Serial(SerialPort { device, baud: 115_200, parity: Parity::None, stop_bits: 1 })
}

fn asked(unit: u8, timeout: Duration) -> Asked {
    Asked { unit, timeout, deadline: clock::monotonic() + Duration::from_mins(1) }
}

fn table(name: &str) -> Table {
    match name {
        "coil" => Table::Coil,
        "discrete" => Table::Discrete,
        "holding" => Table::Holding,
        "input" => Table::Input,
        other => panic!("{other}"),
    }
}

fn number(entry: &Entry) -> Number {
    match entry.number.as_str() {
        "bit" => Number::Bit,
        "u16" => Number::U16,
        "i16" => Number::I16,
        "u32" => Number::U32,
        "i32" => Number::I32,
        "u64" => Number::U64,
        "i64" => Number::I64,
        "f32" => Number::F32,
        "f64" => Number::F64,
        "bcd16" => Number::Bcd16,
        "bcd32" => Number::Bcd32,
        "bits" => Number::Bits { low: entry.low.unwrap(), count: entry.count.unwrap() },
        "ascii" => Number::Ascii { registers: entry.words.len() as u16 },
        other => panic!("{other}"),
    }
}

fn order(entry: &Entry) -> Order {
    match entry.order.as_str() {
        "ABCD" | "" => Order::Abcd,
        "CDAB" => Order::Cdab,
        "BADC" => Order::Badc,
        "DCBA" => Order::Dcba,
        other => panic!("{other}"),
    }
}

/// Reads everything that the slaves hold, each value by a request of its own, and compares.
async fn read_all(link: Link) {
    let mut client = Client::new(line(link, Duration::from_secs(2)));
    let image = register_image();
    // The slave may not listen yet.
    let first = Block::new(Table::Holding, 0, 1);
    let answers = async { while client.read(first, asked(1, LIMIT)).await.is_err() {} };
    tokio::time::timeout(LIMIT, answers).await.expect("the slave answers");
    for entry in &image {
        let block = Block::new(table(&entry.table), entry.address, entry.words.len() as u16);
        let words = client
            .read(block, asked(entry.unit, LIMIT))
            .await
            .unwrap_or_else(|fault| panic!("{entry:?}: {fault}"));
        assert_eq!(words, entry.words, "{entry:?}");
        if entry.number == "ascii" {
            let expected = entry.value.as_str().unwrap();
            assert_eq!(register::text(&words, order(entry)).as_deref(), Some(expected), "{entry:?}");
            continue;
        }
        let found = register::raw(&words, number(entry), order(entry));
        // What a 64-bit float cannot hold exactly is no value.
        let exact = entry.value.as_i64().is_none_or(|whole| whole.unsigned_abs() <= 1 << 53)
            && entry.value.as_u64().is_none_or(|whole| whole <= 1 << 53);
        assert_eq!(found, entry.value.as_f64().filter(|_| exact), "{entry:?}");
    }
    println!("{} values of every type and order read right", image.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pymodbus_is_read_right_over_tcp() {
    let Some((_server, port)) = pymodbus::start() else { return };
    read_all(tcp(port)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pymodbus_is_read_right_as_rtu_over_tcp() {
    let Some((_server, port)) = pymodbus::start_rtu_over_tcp() else { return };
    read_all(rtu_over_tcp(port)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pymodbus_is_read_right_on_a_serial_line() {
    let Some(cable) = SerialLine::lay().await else { return };
    let Some(_server) = pymodbus::start_rtu(&cable.slave()).await else { return };
    read_all(serial(cable.master())).await;
}

/// How many polls: few in the suite, as many as `make test-long` says there.
fn polls(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// What came of many polls.
#[derive(Default)]
struct Count {
    right: AtomicU64,
    wrong: AtomicU64,
    none: AtomicU64,
    read_away: AtomicU64,
}

/// Polls registers that hold their own address, all blocks of equal length, so that only attribution tells them apart.
async fn poll(link: Link, slowest: Duration, expect: fn(u16) -> u16, (polls, count): (u64, Arc<Count>)) {
    let timeout = Duration::from_millis(20);
    let mut client = Client::new(line(link, slowest));
    let mut made = 0;
    while made < polls {
        let block = Block::new(Table::Holding, fastrand::u16(0..1000), 2);
        match client.read(block, asked(1, timeout)).await {
            Ok(words) => {
                let right = words == [expect(block.address), expect(block.address + 1)];
                (if right { &count.right } else { &count.wrong }).fetch_add(1, Ordering::Relaxed);
            }
            // Asked again until its back-off is over.
            Err(Fault::Resting) => {
                slowness(Duration::from_millis(5)).await;
                continue;
            }
            Err(_) => {
                count.none.fetch_add(1, Ordering::Relaxed);
            }
        }
        made += 1;
    }
    count.read_away.fetch_add(client.late_answers(), Ordering::Relaxed);
}

fn told(what: &str, count: &Count, late: u64) -> (u64, u64) {
    let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
    let (right, wrong, none) = (load(&count.right), load(&count.wrong), load(&count.none));
    println!(
        "{what}: {} polls, {right} right, {wrong} wrong, {none} without an answer; {late} late answers were written, {} bursts read away",
        right + wrong + none,
        load(&count.read_away)
    );
    assert_eq!(wrong, 0, "a value of another register");
    (right, none)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_answers_over_tcp_are_attributed_to_nobody() {
    const CLIENTS: u64 = 40;
    let polls = polls("CEMS_LATE_POLLS_TCP", 20_000);
    let count = Arc::new(Count::default());
    let stub = Stub::start().await;
    let (from, to) = (Duration::from_millis(10), Duration::from_millis(60));
    stub.behave(stub::Behaviour::SomeLate { percent: 5, from, to });
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let work = (polls / CLIENTS, Arc::clone(&count));
        clients.spawn(poll(tcp(stub.port()), Duration::from_secs(1), |address| address, work));
    }
    clients.join_all().await;
    let (right, none) = told("Modbus TCP", &count, stub.late_answers());
    assert!(right > polls / 2 && none > polls / 100, "{right} right, {none} not");
    assert!(stub.late_answers() > polls / 100, "late answers really were sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_answers_on_rtu_lines_are_attributed_to_nobody() {
    const LINES: u64 = 12;
    let polls = polls("CEMS_LATE_POLLS_RTU", 2400);
    let count = Arc::new(Count::default());
    // Later than the time-out, and well before the slowest answer that the line allows: also on a busy machine.
    let (from, to, slowest) =
        (Duration::from_millis(10), Duration::from_millis(60), Duration::from_millis(400));
    let late = rtu_stub::Behaviour::Late { percent: 5, from, to };
    let (mut clients, mut stubs, mut cables) = (JoinSet::new(), Vec::new(), Vec::new());
    for index in 0..LINES {
        let (stub, link) = if index % 2 == 0 {
            let Some(cable) = SerialLine::lay().await else { return };
            let stub = RtuStub::at(&cable.slave(), &[1]);
            let link = serial(cable.master());
            cables.push(cable);
            (stub, link)
        } else {
            let stub = RtuStub::behind_a_port(&[1]).await;
            let link = rtu_over_tcp(stub.port());
            (stub, link)
        };
        stub.behave(1, late);
        stubs.push(stub);
        let work = (polls / LINES, Arc::clone(&count));
        clients.spawn(poll(link, slowest, |address| rtu_stub::held(1, address), work));
    }
    clients.join_all().await;
    let late: u64 = stubs.iter().map(RtuStub::late_answers).sum();
    let (right, none) = told("RTU", &count, late);
    assert!(right > polls / 2 && none > polls / 100, "{right} right, {none} not");
    assert!(count.read_away.load(Ordering::Relaxed) > none / 2, "late answers really arrived");
}

/// The test above can fail: on a line whose analysers answer later than its operator says, answers cannot be told apart. That is the
/// bound which the documentation names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_slowest_answer_rtu_tells_nobody_apart() {
    let count = Arc::new(Count::default());
    let stub = RtuStub::behind_a_port(&[1]).await;
    let (from, to) = (Duration::from_millis(21), Duration::from_millis(45));
    stub.behave(1, rtu_stub::Behaviour::Late { percent: 50, from, to });
    let work = (60, Arc::clone(&count));
    poll(rtu_over_tcp(stub.port()), Duration::ZERO, |address| rtu_stub::held(1, address), work).await;
    assert!(count.wrong.load(Ordering::Relaxed) > 0, "answers are mixed up when the promise is broken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_slave_on_an_rtu_line_does_its_neighbour_is_read_right() {
    let Some(cable) = SerialLine::lay().await else { return };
    let stub = RtuStub::at(&cable.slave(), &[1, 2]);
    let timeout = Duration::from_millis(100);
    for fault in rtu_stub::Behaviour::FAULTS {
        let mut client = Client::new(line(serial(cable.master()), Duration::from_millis(150)));
        stub.behave(1, fault);
        for step in 0..4_u16 {
            let block = Block::new(Table::Input, 10 * step, 3);
            let answer = client.read(block, asked(1, timeout)).await;
            assert!(answer.is_err(), "{fault:?}: never a value, was {answer:?}");
            let words = client.read(block, asked(2, Duration::from_secs(5))).await;
            let expected: Vec<u16> = (0..3).map(|offset| rtu_stub::held(2, 10 * step + offset)).collect();
            assert_eq!(words.unwrap_or_else(|other| panic!("{fault:?}: the neighbour: {other}")), expected);
        }
        stub.behave(1, rtu_stub::Behaviour::Serve);
        let well_again =
            async { while client.read(Block::new(Table::Coil, 5, 9), asked(1, timeout)).await.is_err() {} };
        tokio::time::timeout(LIMIT, well_again).await.expect("it comes back by itself");
        let bits = client.read(Block::new(Table::Discrete, 5, 9), asked(1, timeout)).await.unwrap();
        let expected: Vec<u16> = (5..14).map(|address| u16::from(rtu_stub::held_bit(1, address))).collect();
        assert_eq!(bits, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_serial_line_that_is_pulled_out_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let device = folder.path().join("device");
    let Some(mut cable) = SerialLine::lay().await else { return };
    std::os::unix::fs::symlink(cable.master(), &device).unwrap();
    let stub = RtuStub::at(&cable.slave(), &[1]);
    let mut client = Client::new(line(serial(device.clone()), Duration::from_millis(150)));
    let (block, timeout) = (Block::new(Table::Holding, 0, 1), Duration::from_millis(200));
    client.read(block, asked(1, LIMIT)).await.unwrap();
    cable.cut();
    drop(stub);
    for _ in 0..3 {
        let fault = client.read(block, asked(1, timeout)).await.unwrap_err();
        assert!(matches!(fault, Fault::Link(_) | Fault::Timeout | Fault::Resting), "{fault}");
    }
    // Another adapter under the same name.
    let Some(cable) = SerialLine::lay().await else { return };
    std::fs::remove_file(&device).unwrap();
    std::os::unix::fs::symlink(cable.master(), &device).unwrap();
    let _stub = RtuStub::at(&cable.slave(), &[1]);
    let words = async {
        loop {
            if let Ok(words) = client.read(block, asked(1, timeout)).await {
                return words;
            }
            slowness(Duration::from_millis(5)).await;
        }
    };
    let words = tokio::time::timeout(LIMIT, words).await.expect("it comes back by itself");
    assert_eq!(words, [rtu_stub::held(1, 0)]);
}

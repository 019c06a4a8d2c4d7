//! The simulator over real TCP, asked by tokio-modbus as a client. Words are decoded by hand here.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use cems::config::scenario;
use cems::shutdown::Shutdown;
use cems::simulator::server;
use cems::simulator::server::{Error, Options, Running};
use serde_json::Value;
use tokio_modbus::ExceptionCode;
use tokio_modbus::client::{Context, Reader as _, Writer as _, tcp};
use tokio_modbus::slave::Slave;

const KILN: &str = "demo-cement-kiln";
/// Longer than any answer takes here, short enough to wait for.
const LONG: Duration = Duration::from_secs(10);
/// How long an analyser has to stay silent before we believe it.
const SILENCE: Duration = Duration::from_millis(300);

async fn start(ledger: Option<&Path>, shutdown: &Shutdown) -> Running {
    let text = include_str!("../../config/scenario-demo.toml");
    let scenario = scenario::parse("scenario-demo.toml", text).unwrap();
    let options = Options { ledger: ledger.map(Path::to_owned) };
    server::start(scenario, options, shutdown.clone()).await.unwrap()
}

async fn connect(address: SocketAddr, unit: u8) -> Context {
    tokio::time::timeout(LONG, tcp::connect_slave(address, Slave(unit))).await.unwrap().unwrap()
}

async fn gas(running: &Running) -> Context {
    connect(running.address(KILN, "gas").unwrap(), 1).await
}

async fn input(client: &mut Context, address: u16, count: u16) -> Result<Vec<u16>, ExceptionCode> {
    tokio::time::timeout(LONG, client.read_input_registers(address, count)).await.unwrap().unwrap()
}

fn single(words: &[u16]) -> f32 {
    f32::from_bits((u32::from(words[0]) << 16) | u32::from(words[1]))
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn end(running: Running, shutdown: &Shutdown) {
    shutdown.cancel();
    tokio::time::timeout(LONG, running.ended()).await.expect("the simulator is to end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_value_is_answered_and_in_the_ledger_before_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let shutdown = Shutdown::new();
    let running = start(Some(&path), &shutdown).await;
    let mut client = gas(&running).await;

    let before = input(&mut client, 0, 7).await.unwrap();
    assert!((1.0..35.0).contains(&single(&before)), "{before:?}");
    assert_eq!(lines(&path).len(), 1);

    let changed = running.control().hold(KILN, "a21026", 31.2).unwrap();
    let after = input(&mut client, 0, 7).await.unwrap();
    assert_eq!(after[..2], [0x41f9, 0x999a]);
    let all = lines(&path);
    let line = &all[1];
    assert_eq!(line["values"]["a21026"], 31.200_000_762_939_453);
    assert_eq!(line["values"]["a19001"], f64::from(single(&after[4..6])));
    assert_eq!(line["words"].as_array().unwrap().len(), 7);
    assert_eq!((&line["outlet"], &line["analyser"]), (&Value::from(KILN), &Value::from("gas")));
    assert_eq!((&line["function"], &line["flags"]), (&Value::from(4), &Value::from("N")));
    let at = |line: &Value| line["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(at(&all[0]) <= changed && changed <= at(line), "{} {changed} {}", at(&all[0]), at(line));

    // The status register alone measures nothing.
    assert_eq!(input(&mut client, 6, 1).await.unwrap(), [0]);
    assert_eq!(lines(&path).len(), 2);
    // Half a channel is none: the line names O2 only.
    input(&mut client, 3, 3).await.unwrap();
    let values = lines(&path)[2]["values"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(values, ["a19001"]);

    running.control().release(KILN, "a21026").unwrap();
    assert_ne!(input(&mut client, 0, 2).await.unwrap(), [0x41f9, 0x999a]);
    end(running, &shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_analyser_answers_with_what_its_ledger_line_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let shutdown = Shutdown::new();
    let running = start(Some(&path), &shutdown).await;
    let blocks: [(&str, &str, bool, u16, u16); 8] = [
        (KILN, "gas", true, 0, 7),
        (KILN, "dust", false, 100, 2),
        (KILN, "flow", false, 0, 10),
        ("demo-glass-furnace", "gas", false, 20, 21),
        ("demo-glass-furnace", "stack", true, 0, 13),
        ("demo-carbon-roasting", "gas", false, 0, 4),
        ("demo-carbon-roasting", "dust", true, 1000, 3),
        ("demo-carbon-roasting", "flow", true, 0, 9),
    ];
    assert_eq!(running.endpoints().len(), blocks.len());
    let mut channels = 0;
    for (index, (outlet, analyser, is_input, address, count)) in blocks.into_iter().enumerate() {
        let endpoint = running.endpoints()[index].clone();
        assert_eq!((endpoint.outlet.as_str(), endpoint.analyser.as_str()), (outlet, analyser));
        let mut client = connect(endpoint.address, endpoint.unit).await;
        let words = if is_input {
            client.read_input_registers(address, count).await.unwrap().unwrap()
        } else {
            client.read_holding_registers(address, count).await.unwrap().unwrap()
        };
        let line = &lines(&path)[index];
        assert_eq!(line["words"], Value::from(words), "{outlet}/{analyser}");
        channels += line["values"].as_object().unwrap().len();
    }
    assert_eq!(channels, 24);
    // The kiln's static pressure: i16 in thousandths of a kPa, by hand.
    let flow = &lines(&path)[2];
    let word = u16::try_from(flow["words"][1].as_u64().unwrap()).unwrap();
    assert_eq!(flow["values"]["a01013"], f64::from(word.cast_signed()) * 0.001);
    assert!(flow["values"]["a01013"].as_f64().unwrap() < 0.0);
    end(running, &shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_is_an_exception_and_no_ledger_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let shutdown = Shutdown::new();
    let running = start(Some(&path), &shutdown).await;
    let mut client = gas(&running).await;
    assert_eq!(input(&mut client, 0, 8).await, Err(ExceptionCode::IllegalDataAddress));
    assert_eq!(input(&mut client, 65535, 2).await, Err(ExceptionCode::IllegalDataAddress));
    assert_eq!(input(&mut client, 0, 0).await, Err(ExceptionCode::IllegalDataValue));
    assert_eq!(input(&mut client, 0, 126).await, Err(ExceptionCode::IllegalDataValue));
    let holding = client.read_holding_registers(0, 1).await.unwrap();
    assert_eq!(holding, Err(ExceptionCode::IllegalDataAddress));
    let written = client.write_single_register(0, 1).await.unwrap();
    assert_eq!(written, Err(ExceptionCode::IllegalFunction));
    let mut stranger = connect(running.address(KILN, "gas").unwrap(), 9).await;
    assert_eq!(input(&mut stranger, 0, 2).await, Err(ExceptionCode::GatewayTargetDevice));
    assert_eq!(lines(&path).len(), 0);
    // The connection has survived all of it.
    assert!(input(&mut client, 0, 7).await.is_ok());
    end(running, &shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silenced_analyser_accepts_and_never_answers_and_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let shutdown = Shutdown::new();
    let running = start(Some(&path), &shutdown).await;
    let control = running.control();
    let mut known = gas(&running).await;
    assert!(input(&mut known, 0, 7).await.is_ok());

    control.silence(KILN, Some("gas")).unwrap();
    assert!(tokio::time::timeout(SILENCE, known.read_input_registers(0, 7)).await.is_err());
    let mut fresh = gas(&running).await;
    assert!(tokio::time::timeout(SILENCE, fresh.read_input_registers(0, 7)).await.is_err());
    let mut dust = connect(running.address(KILN, "dust").unwrap(), 2).await;
    assert!(dust.read_holding_registers(100, 2).await.unwrap().is_ok());
    assert_eq!(lines(&path).len(), 2);

    control.silence(KILN, None).unwrap();
    assert!(tokio::time::timeout(SILENCE, dust.read_holding_registers(100, 2)).await.is_err());
    control.unsilence(KILN, None).unwrap();
    let mut again = gas(&running).await;
    assert!(input(&mut again, 0, 7).await.is_ok());

    let unknown = control.silence(KILN, Some("fluw")).unwrap_err().to_string();
    assert!(unknown.contains("fluw"), "{unknown}");
    assert!(control.hold("nowhere", "a21026", 1.0).is_err() && control.hold(KILN, "a21003", 1.0).is_err());
    end(running, &shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_closes_ports_and_connections() {
    let shutdown = Shutdown::new();
    let running = start(None, &shutdown).await;
    let address = running.address(KILN, "gas").unwrap();
    let mut client = gas(&running).await;
    assert!(input(&mut client, 0, 7).await.is_ok());
    end(running, &shutdown).await;
    let answer = tokio::time::timeout(LONG, client.read_input_registers(0, 7)).await.unwrap();
    assert!(answer.is_err(), "{answer:?}");
    assert!(tcp::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_with_the_remedy() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = include_str!("../../config/scenario-demo.toml");
    let text = text.replacen("127.0.0.1:0", &address.to_string(), 1);
    let scenario = scenario::parse("scenario-demo.toml", &text).unwrap();
    let error = server::start(scenario, Options::default(), Shutdown::new()).await.unwrap_err();
    assert!(matches!(error, Error::Listen { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains(&address.to_string()) && message.contains("listen"), "{message}");
    assert_eq!(message.lines().count(), 1);
}

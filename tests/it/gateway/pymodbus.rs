//! An independent Modbus slave in place of an analyser, by configuration alone.
use std::fmt::Write as _;
use std::time::Duration;

use cems::domain::flag::Flag;
use cems::domain::scan::Scan;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::gateway::centre::Centre;
use crate::gateway::rtu_stub::{ask, framed};
use crate::gateway::{Gateway, LIMIT, all, scans, until};
use crate::support::pymodbus;
use crate::support::register_image::register_image;
use crate::support::serial_line::{self, SerialLine};
use crate::support::servers::broker;
use crate::support::wait::wait_until;

/// A register image of all types and orders, served by an implementation that is not ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pymodbus_is_read_right() {
    let Some((_server, port)) = pymodbus::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let broker = broker().await;
    let centre = Centre::start(broker.port()).await;
    centre.receipt_everything();
    let mut text = format!(
        "schema = \"gateway/1\"\n[gateway]\nname = \"gw-test\"\ndata_dir = \"{}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n\
         [[analyser]]\nname = \"slave\"\nlink = \"tcp://127.0.0.1:{port}\"\nunit = 1\ntimeout_ms = 700\n\
         [analyser.status]\nregister = 90\nrules = [{{ bit = 3, flag = \"C\" }}]\n[[outlet]]\ncode = \"o\"\nperiod_ms = 1000\n",
        folder.path().join("spool").display(),
        broker.port()
    );
    // Address, type, order, table, and what the script wrote there.
    let image: [(u16, &str, &str, &str, f64); 12] = [
        (0, "u16", "ABCD", "holding", 65_000.0),
        (1, "i16", "ABCD", "holding", -1234.0),
        (2, "u32", "ABCD", "holding", 4_000_000_001.0),
        (4, "u32", "CDAB", "holding", 4_000_000_001.0),
        (6, "i32", "BADC", "holding", -2_000_000_001.0),
        (8, "i32", "DCBA", "holding", -2_000_000_001.0),
        (10, "f32", "ABCD", "holding", 31.25),
        (12, "f32", "CDAB", "holding", -0.15625),
        (14, "f32", "BADC", "holding", f64::from(1.5e-3_f32)),
        (16, "f32", "DCBA", "holding", f64::from(1.0e20_f32)),
        (18, "u16", "DCBA", "holding", f64::from(0x1234)),
        (0, "f32", "ABCD", "input", 9.5),
    ];
    for (index, (address, number, order, table, _)) in image.iter().enumerate() {
        write!(
            text,
            "[[outlet.channel]]\ncode = \"a{index:05}\"\nanalyser = \"slave\"\nregister = {address}\ntype = \"{number}\"\n\
             order = \"{order}\"\ntable = \"{table}\"\n"
        )
        .unwrap();
    }
    let gateway = Gateway::start(&text).await;
    let answered = |scan: &Scan| scan.readings.iter().all(|(_, reading)| reading.value.is_some());
    until("a scan with all values", || scans(&all(&centre), "o").iter().any(answered)).await;
    let scan = scans(&all(&centre), "o").into_iter().find(answered).unwrap();
    for ((code, found), (.., expected)) in scan.readings.iter().zip(image) {
        assert_eq!(found.value, Some(expected), "{code}");
        assert_eq!(found.flag, Flag::Calibration, "the status word has bit 3 set");
    }
    gateway.stop().await;
}

/// Asks for each entry of the image, alone, and for a unit that is not there.
async fn assert_image_is_served<S: AsyncRead + AsyncWrite + Unpin>(line: &mut S) {
    for entry in register_image() {
        let function = match entry.table.as_str() {
            "coil" => 1,
            "discrete" => 2,
            "holding" => 3,
            "input" => 4,
            other => panic!("{other}"),
        };
        let data: Vec<u8> = if function < 3 {
            vec![entry.words[0] as u8]
        } else {
            entry.words.iter().flat_map(|word| word.to_be_bytes()).collect()
        };
        let expected = framed(entry.unit, &[&[function, data.len() as u8], data.as_slice()].concat());
        let ([high, low], count) = (entry.address.to_be_bytes(), entry.words.len() as u8);
        let request = [entry.unit, function, high, low, 0, count];
        assert_eq!(ask(line, request, expected.len(), LIMIT).await, expected, "{entry:?}");
    }
    let silence = ask(line, [99, 3, 0, 0, 0, 1], 1, Duration::from_millis(100)).await;
    assert_eq!(silence, b"", "there is no unit 99");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pymodbus_serves_the_image_as_rtu_over_tcp() {
    let Some((_server, port)) = pymodbus::start_rtu_over_tcp() else { return };
    let mut line =
        wait_until(LIMIT, "it listens", || async { TcpStream::connect(("127.0.0.1", port)).await }).await;
    assert_image_is_served(&mut line).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pymodbus_serves_the_image_on_a_serial_line() {
    let Some(wire) = SerialLine::lay().await else { return };
    let Some(_server) = pymodbus::start_rtu(&wire.slave()).await else { return };
    let (input, output) = serial_line::open(&wire.master()).unwrap();
    let mut line = tokio::io::join(input, output);
    let request = [1, 3, 0, 0, 0, 1];
    let mut heard = Vec::new();
    for _try in 0..100 {
        heard = ask(&mut line, request, 7, Duration::from_millis(200)).await;
        if !heard.is_empty() {
            break;
        }
    }
    assert_eq!(heard, framed(1, &[3, 2, 0xFD, 0xE8]), "65000");
    // Tries that it answers late.
    while !ask(&mut line, [99, 3, 0, 0, 0, 1], usize::MAX, Duration::from_millis(200)).await.is_empty() {}
    assert_image_is_served(&mut line).await;
}

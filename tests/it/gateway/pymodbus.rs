//! An independent Modbus slave in place of an analyser, by configuration alone.
use std::fmt::Write as _;

use cems::domain::flag::Flag;
use cems::domain::scan::Scan;

use crate::gateway::centre::Centre;
use crate::gateway::{Gateway, all, scans, until};
use crate::support::pymodbus;
use crate::support::servers::broker;

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

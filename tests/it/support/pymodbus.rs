//! Independent Modbus slaves, of pymodbus: three units with a register image of every type and order (`register_image`).

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::servers::free_port;
use crate::support::wait::wait_until;

/// The slaves; they end when this is dropped.
pub struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _ended_already = self.0.wait();
    }
}

/// Starts them behind Modbus TCP and gives the port; `None`, with a note, where python3 has no pymodbus. A unit that is not there
/// answers as unit 1.
pub fn start() -> Option<(Server, u16)> {
    let port = free_port();
    Some((serve("import pymodbus.server", &[&port.to_string()])?, port))
}

/// Starts them behind a port that carries RTU frames. A unit that is not there keeps silent.
pub fn start_rtu_over_tcp() -> Option<(Server, u16)> {
    let port = free_port();
    let server = serve("from pymodbus import server, FramerType", &["rtu-over-tcp", &port.to_string()])?;
    Some((server, port))
}

/// Starts them at a serial device: RTU, 19200 8N1; they have it open, but may not listen yet. A unit that is not there keeps silent.
pub async fn start_rtu(device: &Path) -> Option<Server> {
    let server =
        serve("import serial; from pymodbus import server, FramerType", &["rtu", device.to_str().unwrap()])?;
    let (device, files) = (device.canonicalize().unwrap(), format!("/proc/{}/fd", server.0.id()));
    wait_until(Duration::from_secs(30), "pymodbus has the device open", || {
        let mut open = std::fs::read_dir(&files).into_iter().flatten().flatten();
        let found = open.any(|file| file.path().read_link().is_ok_and(|target| target == device));
        async move { found.then_some(()).ok_or("not yet") }
    })
    .await;
    Some(server)
}

fn serve(imports: &str, arguments: &[&str]) -> Option<Server> {
    let python = || Command::new("python3");
    let importable = python().args(["-c", imports]).stderr(Stdio::null()).status();
    if !importable.is_ok_and(|status| status.success()) {
        println!(
            "skipped: python3 with pymodbus 3.7 or later is not installed (pip install 'pymodbus[serial]')"
        );
        return None;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/pymodbus_server.py");
    Some(Server(python().arg(script).args(arguments).spawn().unwrap()))
}

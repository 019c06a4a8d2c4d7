//! An independent Modbus slave, of pymodbus, with a register image of every type and order.

use std::process::{Child, Command, Stdio};

use crate::support::servers::free_port;

/// The slave; it ends when this is dropped.
pub struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _ended_already = self.0.wait();
    }
}

/// Starts one and gives its port; `None`, with a note, where python3 has no pymodbus.
pub fn start() -> Option<(Server, u16)> {
    let python = || Command::new("python3");
    let importable = python().args(["-c", "import pymodbus.server"]).stderr(Stdio::null()).status();
    if !importable.is_ok_and(|status| status.success()) {
        println!("skipped: python3 with pymodbus is not installed (pip install pymodbus)");
        return None;
    }
    let port = free_port();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/pymodbus_server.py");
    Some((Server(python().arg(script).arg(port.to_string()).spawn().unwrap()), port))
}

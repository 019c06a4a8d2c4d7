//! Real analysers, simulated behind Modbus TCP, and a real `cems gateway` that polls them: what an alert takes from the register on.

use std::fmt::Write as _;
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cems::config::scenario;
use cems::shutdown::Shutdown;
use cems::simulator::server::{self, Options, Running as Simulator};

use crate::GATEWAYS;
use crate::OUTLETS;
use crate::REGISTERS;
use crate::support::plant;
use crate::world::World;

/// The analysers and their gateway; they end with this.
pub struct Registers {
    simulator: Simulator,
    gateway: Child,
    shutdown: Shutdown,
}

impl Registers {
    /// Starts them; their scans arrive when this returns.
    pub async fn start(world: &World) -> Registers {
        let mut text = "schema = \"scenario/1\"\nseed = 1\n".to_owned();
        for number in OUTLETS..OUTLETS + REGISTERS {
            write!(
                text,
                "[[outlet]]\ncode = \"{}\"\nprocess = \"cement-kiln\"\n[[outlet.analyser]]\nname = \"gas\"\n\
                 listen = \"127.0.0.1:0\"\nunit = 1\nchannel = [\n\
                 {{ code = \"a21026\", register = 0, table = \"input\", type = \"f32\", order = \"ABCD\", noise = 0.3 }},\n\
                 {{ code = \"a19001\", register = 2, table = \"input\", type = \"f32\", order = \"ABCD\", noise = 0.03 }},\n]\n",
                plant::outlet(number)
            )
            .unwrap();
        }
        let scenario =
            scenario::parse("registers.toml", &text).unwrap_or_else(|problems| panic!("{problems}"));
        let shutdown = Shutdown::new();
        let simulator = server::start(scenario, Options { ledger: None }, shutdown.clone()).await.unwrap();
        let file = world.folder.path().join("registers.toml");
        std::fs::write(&file, configuration(world, &simulator)).unwrap();
        let before = world.metric("cems_central_scans_stored_total").await;
        let mut command = Command::new(env!("CARGO_BIN_EXE_cems"));
        let gateway = command.args(["gateway", "--config"]).arg(&file).stderr(Stdio::null()).spawn().unwrap();
        let started = cems::clock::monotonic();
        while world.metric("cems_central_scans_stored_total").await < before + 2.0 * REGISTERS as f64 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(started.elapsed() < Duration::from_mins(1), "no scans of the registers");
        }
        Registers { simulator, gateway, shutdown }
    }

    /// Raises sulphur dioxide of these above its limit, one after the other, spread over a time.
    pub async fn raise(&self, outlets: Range<usize>, over: Duration) {
        let step = over.div_f64(outlets.len() as f64);
        for number in outlets {
            // A little off the step, so that they do not all meet the same moment of the poll.
            tokio::time::sleep(step.mul_f64(0.5 + fastrand::f64())).await;
            self.simulator.control().hold(&plant::outlet(OUTLETS + number), "a21026", 900.0).unwrap();
        }
    }

    /// Ends them.
    pub fn stop(mut self) {
        self.shutdown.cancel();
        self.gateway.kill().unwrap();
        self.gateway.wait().unwrap();
    }
}

fn configuration(world: &World, simulator: &Simulator) -> String {
    let mut text = format!(
        "schema = \"gateway/1\"\n[gateway]\nname = \"{}\"\ndata_dir = \"{}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n",
        plant::gateway(GATEWAYS),
        world.folder.path().join("registers").display(),
        world.broker()
    );
    let mut outlets = String::new();
    for endpoint in simulator.endpoints() {
        let name = format!("{}.gas", endpoint.outlet);
        write!(text, "[[analyser]]\nname = \"{name}\"\nlink = \"tcp://{}\"\nunit = 1\n", endpoint.address)
            .unwrap();
        write!(outlets, "[[outlet]]\ncode = \"{}\"\nperiod_ms = 2000\n", endpoint.outlet).unwrap();
        for (code, register) in [("a21026", 0), ("a19001", 2)] {
            write!(
                outlets,
                "[[outlet.channel]]\ncode = \"{code}\"\nanalyser = \"{name}\"\nregister = {register}\ntable = \"input\"\n\
                 type = \"f32\"\norder = \"ABCD\"\n"
            )
            .unwrap();
        }
    }
    text + &outlets
}

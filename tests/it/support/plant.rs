//! The demonstration plant, simulated, with its gateway: what stands before the broker. Nothing happens in it but what the
//! test's hand does.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use cems::config::{gateway, scenario};
use cems::gateway::Running as Gateway;
use cems::shutdown::Shutdown;
use cems::simulator::control::Control;
use cems::simulator::server::{self, Options, Running as Simulator};
use cems::telemetry::Reporting;

use crate::support::ledger::{self, Served};
use crate::support::servers::{Folder, folder};
use crate::support::wait::wait_until;

pub const GATEWAY: &str = "gw-demo";
const LIMIT: Duration = Duration::from_secs(30);

/// A running plant; it ends when this is dropped.
pub struct Plant {
    simulator: Simulator,
    gateway: Option<(Gateway, Shutdown)>,
    configuration: String,
    shutdown: Shutdown,
    folder: Folder,
}

impl Plant {
    /// All three outlets at one scan a second, without the timeline's events.
    pub async fn start(broker: u16) -> Plant {
        let text = include_str!("../../../config/scenario-demo.toml");
        let (text, _events) = text.split_once("[[event]]").unwrap();
        let folder = folder();
        let shutdown = Shutdown::new();
        let options = Options { ledger: Some(folder.path().join("ledger.jsonl")) };
        let scenario = scenario::parse("scenario.toml", text).unwrap_or_else(|problems| panic!("{problems}"));
        let simulator = server::start(scenario, options, shutdown.clone()).await.unwrap();
        let spool = folder.path().join("spool").display().to_string();
        let configuration = configuration(GATEWAY, text, &simulator, (&spool, broker));
        let mut plant = Plant { simulator, gateway: None, configuration, shutdown, folder };
        plant.start_gateway().await;
        plant
    }

    /// On the spool of before.
    pub async fn start_gateway(&mut self) {
        let config = gateway::parse("gateway.toml", &self.configuration);
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        let shutdown = Shutdown::new();
        let running = cems::gateway::start(config, Reporting::default(), shutdown.clone()).await.unwrap();
        self.gateway = Some((running, shutdown));
    }

    /// Cleanly; returns when it has ended.
    pub async fn stop_gateway(&mut self) {
        let (running, shutdown) = self.gateway.take().expect("it runs");
        shutdown.cancel();
        tokio::time::timeout(LIMIT, running.wait()).await.expect("the gateway is to end").unwrap();
    }

    /// The gateway's configuration, as its file would be.
    pub fn configuration(&self) -> &str {
        &self.configuration
    }

    /// Another configuration, from the gateway's next start on.
    pub fn configure(&mut self, text: String) {
        self.configuration = text;
    }

    /// Deletes the spool, as a card that is exchanged; what the gateway notes beside it stays. The gateway must not run.
    pub fn lose_spool(&self) {
        assert!(self.gateway.is_none());
        std::fs::remove_file(self.folder.path().join("spool").join("spool.redb")).unwrap();
    }

    /// A hand on the analysers.
    pub fn control(&self) -> Control {
        self.simulator.control()
    }

    /// Records in the gateway's spool.
    pub fn spooled(&self) -> u64 {
        self.gateway.as_ref().map_or(0, |(running, _)| running.spool().borrow().records)
    }

    /// Waits until the spool is empty.
    pub async fn all_receipted(&self, limit: Duration) {
        wait_until(limit, "an empty spool", || async {
            let spooled = self.spooled();
            if spooled == 0 { Ok(()) } else { Err(spooled) }
        })
        .await;
    }

    fn ledger_file(&self) -> PathBuf {
        self.folder.path().join("ledger.jsonl")
    }

    /// Every answer with values, so far.
    pub fn served(&self) -> Vec<Served> {
        ledger::read(&std::fs::read_to_string(self.ledger_file()).unwrap())
    }

    /// Waits until the analysers have served for so many more seconds.
    pub async fn runs_for(&self, seconds: i64) {
        let last = || self.served().last().map_or(0, Served::second);
        let from = cems::clock::now().as_second();
        let limit = Duration::from_secs(seconds.unsigned_abs()) + LIMIT;
        wait_until(limit, "the ledger to go on", || async {
            let last = last();
            if last >= from + seconds { Ok(()) } else { Err((from, last)) }
        })
        .await;
    }
}

impl Drop for Plant {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some((_, shutdown)) = &self.gateway {
            shutdown.cancel();
        }
    }
}

/// A gateway's configuration for the analysers of a scenario, where they listen.
pub fn configuration(
    gateway: &str,
    scenario: &str,
    simulator: &Simulator,
    (spool, broker): (&str, u16),
) -> String {
    let scenario: toml::Table = scenario.parse().unwrap();
    let mut text = format!(
        "schema = \"gateway/1\"\n[gateway]\nname = \"{gateway}\"\ndata_dir = \"{spool}\"\n\
         [mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\n"
    );
    let mut outlets = String::new();
    for outlet in scenario["outlet"].as_array().unwrap() {
        let code = outlet["code"].as_str().unwrap();
        write!(outlets, "[[outlet]]\ncode = \"{code}\"\nperiod_ms = 1000\n").unwrap();
        for analyser in outlet["analyser"].as_array().unwrap() {
            let name = analyser["name"].as_str().unwrap();
            let address = simulator.address(code, name).unwrap();
            let unit = &analyser["unit"];
            writeln!(
                text,
                "[[analyser]]\nname = \"{code}.{name}\"\nlink = \"tcp://{address}\"\nunit = {unit}\ntimeout_ms = 700"
            )
            .unwrap();
            if let Some(status) = analyser.get("status") {
                writeln!(
                    text,
                    "[analyser.status]\n{}rules = [{{ bit = 2, flag = \"D\" }}, {{ bit = 1, flag = \"M\" }}, \
                     {{ bit = 0, flag = \"C\" }}, {{ bit = 3, flag = \"T\" }}]",
                    keys(status, &["register", "table"])
                )
                .unwrap();
            }
            for channel in analyser["channel"].as_array().unwrap() {
                let kept = keys(channel, &["code", "register", "table", "type", "order", "scale", "offset"]);
                writeln!(outlets, "[[outlet.channel]]\nanalyser = \"{code}.{name}\"\n{kept}").unwrap();
            }
        }
    }
    text + &outlets
}

/// Those keys that are there, a line each.
fn keys(table: &toml::Value, names: &[&str]) -> String {
    let line = |name: &&str| table.get(*name).map(|value| format!("{name} = {value}\n"));
    names.iter().filter_map(line).collect()
}

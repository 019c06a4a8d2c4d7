//! A real `cems gateway` with seven days of one outlet in its spool: 16 channels every 2 s.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cems::config::gateway::WhenFull;
use cems::domain::scan::Scan;
use cems::gateway::spool::room::Need;
use cems::gateway::spool::{Settings, Spool};
use cems::mqtt::receipt::Ranges;
use cems::mqtt::record::{Body, Hash};
use jiff::{SignedDuration, Timestamp};

use crate::OUTLETS;
use crate::REGISTERS;
use crate::readings::ticks;
use crate::support::plant;
use crate::world::World;

/// Scans of seven days.
pub const SCANS: f64 = 302_400.0;
const WEEK: usize = 302_400;

/// One that is not started yet.
pub struct Gateway {
    config: PathBuf,
}

/// A running one; it ends with this.
pub struct Running(Child);

impl Running {
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Gateway {
    /// Fills its spool with a week that ended a while ago, another one each time.
    pub fn fill(world: &World, name: &str, which: usize) -> Gateway {
        let folder = tempfile::Builder::new().prefix("week-").tempdir_in(world.folder.path()).unwrap().keep();
        let settings = Settings {
            folder: folder.join("spool"),
            gateway: name.to_owned(),
            cfg: Hash::of(b"bench"),
            cache_bytes: 8 << 20,
            capacity_bytes: 1 << 30,
            when_full: WhenFull::Thin,
            need: Need::of([(Duration::from_secs(2), 16)]),
        };
        let mut spool = Spool::open(&settings, Hash::ZERO).unwrap();
        // Each week is of another outlet.
        let number = OUTLETS + REGISTERS - 1 - which;
        let second = cems::clock::now().as_second() / 86_400 * 86_400 - 7 * 86_400 - 3600;
        let from = Timestamp::from_second(second).unwrap();
        for (index, chunk) in ticks(1, from, WEEK, 60).chunks(500).enumerate() {
            let scan = |(at, tick): (usize, &crate::crowd::Tick)| {
                let tick_at = from + SignedDuration::from_secs(2 * i64::try_from(index * 500 + at).unwrap());
                Body::Scan(Scan {
                    outlet: plant::outlet(number),
                    at: tick_at,
                    readings: tick.readings.clone(),
                })
            };
            let bodies: Vec<Body> = chunk.iter().enumerate().map(scan).collect();
            spool.commit(&bodies, &Ranges::default()).unwrap();
        }
        drop(spool);
        let config = folder.join("gateway.toml");
        let text = format!(
            "schema = \"gateway/1\"\n[gateway]\nname = \"{name}\"\ndata_dir = \"{}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n\
             [publish]\nbackfill_records_per_s = 50000\nwindow = 6000\n[[analyser]]\nname = \"gas\"\nlink = \"tcp://127.0.0.1:1\"\n\
             [[outlet]]\ncode = \"{}\"\nperiod_ms = 60000\n[[outlet.channel]]\ncode = \"a21026\"\nanalyser = \"gas\"\nregister = 0\n\
             type = \"u16\"\n",
            folder.join("spool").display(),
            world.broker(),
            plant::outlet(number)
        );
        std::fs::write(&config, text).unwrap();
        Gateway { config }
    }

    /// Starts it.
    pub fn start(&self) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cems"));
        command.args(["gateway", "--config"]).arg(&self.config).stderr(Stdio::null());
        Running(command.spawn().unwrap())
    }
}

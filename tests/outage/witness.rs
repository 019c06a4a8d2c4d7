//! The analysers and their ledger, read as it grows.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use cems::config::scenario;
use cems::shutdown::Shutdown;
use cems::simulator::control::Control;
use cems::simulator::server::{self, Options, Running};

use crate::support::ledger::{self, Served};

pub struct Witness {
    simulator: Running,
    shutdown: Shutdown,
    file: PathBuf,
    read: Mutex<(u64, Vec<Served>)>,
}

impl Witness {
    pub async fn start(scenario: &str, folder: &Path) -> Witness {
        let (file, shutdown) = (folder.join("ledger.jsonl"), Shutdown::new());
        let scenario =
            scenario::parse("scenario.toml", scenario).unwrap_or_else(|problems| panic!("{problems}"));
        let options = Options { ledger: Some(file.clone()) };
        let simulator = server::start(scenario, options, shutdown.clone()).await.unwrap();
        Witness { simulator, shutdown, file, read: Mutex::default() }
    }

    pub fn simulator(&self) -> &Running {
        &self.simulator
    }

    /// A hand on the analysers.
    pub fn control(&self) -> Control {
        self.simulator.control()
    }

    /// Every answer with values in these seconds, so far.
    pub fn served(&self, from: i64, before: i64) -> Vec<Served> {
        let mut read = self.read.lock().unwrap();
        let (offset, served) = &mut *read;
        let mut text = String::new();
        let mut file = File::open(&self.file).unwrap();
        file.seek(SeekFrom::Start(*offset)).unwrap();
        // Half a character at the end cannot be: the ledger is ASCII.
        file.read_to_string(&mut text).unwrap();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        served.extend(ledger::read(&text[..whole]));
        *offset += whole as u64;
        served.iter().filter(|answer| (from..before).contains(&answer.second())).cloned().collect()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

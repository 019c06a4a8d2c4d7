//! What the gateway says of itself on the spot: analysers, last scans, spool, broker. As JSON from a socket in its data folder (no
//! port), and, where a page is configured, as a small web page.

/// The page for people.
mod page;
/// The socket, and the page's server.
mod serve;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::clock;
use crate::config::gateway::{Analyser, Gateway};
use crate::gateway::health::Board;
use crate::gateway::metrics::Metrics;
use crate::gateway::spool::keeper::{Keeper, State};
use crate::mqtt::record::{Hash, time_text};
use crate::telemetry::Reporting;

pub use crate::gateway::status::page::text;
pub use crate::gateway::status::serve::{NoStatus, ask, serve};

/// Version of the JSON.
const VERSION: u32 = 1;

/// Looks at a running gateway. Clones look at the same one.
#[derive(Clone)]
pub struct View {
    started: Timestamp,
    state: watch::Receiver<State>,
    metrics: Metrics,
    reporting: Reporting,
    current: Current,
}

/// Configuration and health of what is at work now.
type Current = Arc<Mutex<Option<(Arc<Gateway>, Board)>>>;

/// `cems gateway status --json`, version 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub v: u32,
    pub gateway: String,
    pub version: String,
    /// Hash of the configuration in force.
    pub cfg: String,
    pub started: String,
    /// When this was said.
    pub at: String,
    /// What must work, and whether it does.
    pub parts: BTreeMap<String, PartStatus>,
    pub spool: SpoolStatus,
    /// When the centre last confirmed records.
    pub last_receipt: Option<String>,
    pub analysers: Vec<AnalyserStatus>,
    pub outlets: Vec<OutletStatus>,
}

/// One part that must work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartStatus {
    pub ready: bool,
    pub detail: String,
    pub since: String,
}

/// The spool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpoolStatus {
    /// Without a receipt.
    pub records: u64,
    pub bytes: u64,
    /// Time that the oldest of them is about.
    pub oldest: Option<String>,
    /// Highest of 80, 90, 95, 100 percent reached; 0 for none.
    pub level_percent: u8,
    /// Until it is full when nothing is receipted.
    pub hours_left: Option<f64>,
    pub alarm: Option<String>,
}

/// One analyser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnalyserStatus {
    pub name: String,
    pub line: String,
    pub unit: u8,
    /// What is wrong, while something is.
    pub fault: Option<String>,
    /// Registers that it refuses.
    pub refused: Vec<String>,
    pub last_answer: Option<String>,
    pub answered: u64,
    pub failed: u64,
    /// Share of the scans of the last hour, and since the start, that it served whole.
    pub capture_last_hour: Option<f64>,
    pub capture: Option<f64>,
    /// Of the last answers, in milliseconds.
    pub answer_ms_median: Option<f64>,
    pub answer_ms_p99: Option<f64>,
}

/// One outlet and its newest scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutletStatus {
    pub code: String,
    pub period_ms: u64,
    pub last_scan: Option<String>,
    pub readings: Vec<ReadingStatus>,
}

/// One reading of the newest scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadingStatus {
    pub channel: String,
    pub value: Option<f64>,
    pub flag: char,
}

impl View {
    pub(super) fn new(keeper: &Keeper, metrics: &Metrics, reporting: &Reporting) -> View {
        View {
            started: clock::now(),
            state: keeper.state(),
            metrics: metrics.clone(),
            reporting: reporting.clone(),
            current: Arc::default(),
        }
    }

    /// From now on this configuration is what is looked at.
    pub(super) fn show(&self, config: &Arc<Gateway>, board: &Board) {
        let current = (Arc::clone(config), board.clone());
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(current);
    }

    /// How everything is at this moment; `None` before anything was started.
    pub fn status(&self) -> Option<Status> {
        let (config, board) = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let analysers = config.analysers.iter().enumerate();
        Some(Status {
            v: VERSION,
            gateway: config.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cfg: Hash(config.hash).to_string(),
            started: time_text(self.started),
            at: time_text(clock::now()),
            parts: self.parts(),
            spool: self.spool(),
            last_receipt: self.last_receipt(),
            analysers: analysers.map(|(index, one)| analyser(&config, one, &board, index)).collect(),
            outlets: outlets(&config, &board),
        })
    }

    fn parts(&self) -> BTreeMap<String, PartStatus> {
        let parts = self.reporting.readiness.parts().into_iter();
        let status = |(name, part): (&str, crate::telemetry::Part)| {
            let since = time_text(part.since);
            (name.to_owned(), PartStatus { ready: part.ready, detail: part.detail, since })
        };
        parts.map(status).collect()
    }

    fn spool(&self) -> SpoolStatus {
        let state = self.state.borrow();
        SpoolStatus {
            records: state.records,
            bytes: state.bytes,
            oldest: state.oldest.map(time_text),
            level_percent: state.level,
            hours_left: state.hours_left,
            alarm: state.alarm.clone(),
        }
    }

    fn last_receipt(&self) -> Option<String> {
        let seconds = self.metrics.last_receipt.get();
        (seconds > 0).then(|| Timestamp::from_second(seconds).ok().map(time_text)).flatten()
    }
}

fn analyser(config: &Gateway, analyser: &Analyser, board: &Board, index: usize) -> AnalyserStatus {
    let line = config.lines.get(analyser.line).map_or(String::new(), |line| line.name.clone());
    // Cloned, so that no poll waits for what is computed here.
    let health = board.of(index).map(|health| health.clone()).unwrap_or_default();
    let times = health.answer_times();
    let ms = |time: std::time::Duration| (time.as_secs_f64() * 100_000.0).round() / 100.0;
    AnalyserStatus {
        name: analyser.name.clone(),
        line,
        unit: analyser.unit,
        fault: health.fault.clone(),
        refused: health.refused.clone(),
        last_answer: health.last_answer.map(time_text),
        answered: health.answered,
        failed: health.failed,
        capture_last_hour: health.recent_capture(),
        capture: health.capture(),
        answer_ms_median: times.map(|times| ms(times.median)),
        answer_ms_p99: times.map(|times| ms(times.p99)),
    }
}

fn outlets(config: &Gateway, board: &Board) -> Vec<OutletStatus> {
    let outlet = |outlet: &crate::config::gateway::Outlet| {
        let scan = board.last_scan(&outlet.code);
        let readings = scan.iter().flat_map(|scan| &scan.readings).map(|(code, reading)| ReadingStatus {
            channel: code.to_string(),
            value: reading.value,
            flag: reading.flag.letter(),
        });
        OutletStatus {
            code: outlet.code.clone(),
            period_ms: u64::try_from(outlet.period.as_millis()).unwrap_or(u64::MAX),
            readings: readings.collect(),
            last_scan: scan.as_ref().map(|scan| time_text(scan.at)),
        }
    };
    config.outlets.iter().map(outlet).collect()
}

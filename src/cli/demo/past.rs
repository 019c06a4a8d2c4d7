//! A day of simulated past: register images of every tick, through the gateway's own decoding, into its spool, and from there
//! by backfill. Exactly the way of a gateway that was cut off for a day.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};

use crate::cli::demo::setting::{PAST_PERIOD_MS, analyser_name};
use crate::config::gateway::{Gateway, Table};
use crate::config::scenario;
use crate::gateway::{Past, decode_image};
use crate::mqtt::record::Body;
use crate::shutdown::Shutdown;
use crate::simulator::simulation::Simulation;

/// Ticks that are decoded and spooled together.
const CHUNK: usize = 300;

/// How far the past is; shared with the screen.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<Scans>);

#[derive(Debug, Default)]
struct Scans {
    done: AtomicU64,
    all: AtomicU64,
}

impl Progress {
    /// Scans in the spool and scans in all; `None` when there is no past to make.
    pub(super) fn get(&self) -> Option<(u64, u64)> {
        let all = self.0.all.load(Ordering::Relaxed);
        (all > 0).then(|| (self.0.done.load(Ordering::Relaxed), all))
    }

    fn expect(&self, scans: u64) {
        self.0.all.store(scans, Ordering::Relaxed);
    }

    fn add(&self, scans: u64) {
        self.0.done.fetch_add(scans, Ordering::Relaxed);
    }
}

/// What makes the past.
pub(super) struct Feed {
    pub(super) config: Gateway,
    pub(super) simulation: Arc<Simulation>,
    pub(super) progress: Progress,
}

impl Feed {
    /// Feeds the hours before the simulation's start, newest first as people want to see them.
    pub(super) async fn run(self, past: Past, hours: u16, shutdown: Shutdown) {
        let feed = Arc::new(self);
        let period = i64::from(PAST_PERIOD_MS);
        let end = feed.simulation.started().as_millisecond().div_euclid(period) * period;
        let count = i64::from(hours) * 3_600_000 / period;
        let outlets = feed.config.outlets.len();
        let scans = u64::try_from(count).unwrap_or(0) * u64::try_from(outlets).unwrap_or(0);
        feed.progress.expect(scans);
        let ticks: Vec<i64> = (1..=count).map(|back| end - back * period).collect();
        for chunk in ticks.chunks(CHUNK) {
            let (feed_here, chunk) = (Arc::clone(&feed), chunk.to_vec());
            let decoded = tokio::task::spawn_blocking(move || feed_here.decode(&chunk)).await;
            let Ok(bodies) = decoded else { return };
            let made = u64::try_from(bodies.len()).unwrap_or(0);
            tokio::select! {
                kept = past.append(bodies) => if let Err(error) = kept {
                    tracing::warn!(%error, "the rest of the past is left out");
                    return;
                },
                () = shutdown.cancelled() => return,
            }
            feed.progress.add(made);
        }
    }

    fn decode(&self, ticks: &[i64]) -> Vec<Body> {
        let mut bodies = Vec::with_capacity(ticks.len() * self.config.outlets.len());
        for tick in ticks {
            let Ok(at) = Timestamp::from_millisecond(*tick) else { continue };
            // As in a live poll, the answer comes a moment after the tick.
            let answered = at + SignedDuration::from_millis(5);
            for outlet in &self.config.outlets {
                bodies.extend(self.scan(&outlet.code, at, answered).map(Body::Scan));
            }
        }
        bodies
    }

    fn scan(&self, outlet: &str, at: Timestamp, answered: Timestamp) -> Option<crate::domain::scan::Scan> {
        let scenario = self.simulation.scenario().outlets.iter().find(|one| one.code == outlet)?;
        let images: Vec<(String, crate::simulator::registers::RegisterImage)> = scenario
            .analysers
            .iter()
            .filter_map(|analyser| {
                let image = self.simulation.image(outlet, &analyser.name, answered)?;
                Some((analyser_name(outlet, &analyser.name), image))
            })
            .collect();
        decode_image(&self.config, outlet, at, &|analyser, table, address, count| {
            let (_, image) = images.iter().find(|(name, _)| name == analyser)?;
            let table = match table {
                Table::Holding => scenario::Table::Holding,
                Table::Input => scenario::Table::Input,
                // No simulated analyser has any.
                Table::Coil | Table::Discrete => return None,
            };
            image.words(table, address, count).map(<[u16]>::to_vec)
        })
    }
}

//! The field gateway, in the order in which a reading passes: schedule, poll, plan and register make a scan, the spool keeps
//! its record, publish sends it until the centre has receipted it.

/// Event records: what happened at the gateway itself.
pub mod event;
/// Figures for Prometheus.
pub mod metrics;
/// From the answers of one tick to the scan of an outlet.
pub mod assemble;
/// How each analyser is doing.
pub mod health;
/// One task a line, which asks the analysers on it.
pub mod line;
/// The Modbus client of one line.
pub mod modbus;
/// Which blocks of registers to ask for.
pub mod plan;
/// One task an outlet, which makes its scans.
pub mod poll;
/// What unknown registers could hold, and which are there.
pub mod probe;
/// Sends records until they are receipted.
pub mod publish;
/// Register words to readings.
pub mod register;
/// Another configuration while it runs.
pub mod reload;
/// When to scan: ticks on the wall clock's whole periods.
pub mod schedule;
/// Records on disk until the centre has receipted them.
pub mod spool;
/// What the gateway says of itself on the spot.
pub mod status;
/// The bytes of one line.
mod wire;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::clock;
use crate::config::gateway::Gateway;
use crate::gateway::health::Board;
use crate::gateway::line::Report;
use crate::gateway::metrics::Metrics;
use crate::gateway::reload::Reloader;
use crate::gateway::spool::keeper::{self, Keeper, NotKept, Notice, State};
use crate::gateway::spool::room::Need;
use crate::gateway::spool::{Settings, SpoolError};
use crate::gateway::status::View;
use crate::mqtt::record::{Body, Hash, event as name};
use crate::shutdown::Shutdown;
use crate::telemetry::{Readiness, Reporting};

pub use crate::gateway::assemble::decode_image;

/// Commits that the publisher may be behind before it is told the whole content again.
const NOTICES: usize = 1024;
/// Records of the past go into the spool while it holds fewer than this.
const PAST_ROOM: u64 = 20_000;
/// Records of the past in one commit.
const PAST_COMMIT: usize = 500;
/// Without any room for so long, the past is given up.
const PAST_PATIENCE: Duration = Duration::from_mins(5);

/// Why a gateway did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("a part of the gateway ended by itself: {0}; this is a defect, please report it")]
    Ended(String),
}

/// A gateway at work.
pub struct Running {
    parts: Parts,
    thread: JoinHandle<()>,
    work: Work,
    clock: tokio::task::JoinHandle<()>,
    reloads: mpsc::Receiver<reload::Wish>,
    reloader: Reloader,
    shutdown: Shutdown,
}

/// What stays when the configuration changes.
struct Parts {
    keeper: Keeper,
    metrics: Metrics,
    readiness: Readiness,
    view: View,
}

/// What is done under one configuration.
struct Work {
    /// Without its channels.
    config: Arc<Gateway>,
    pollers: JoinSet<()>,
    polling: Shutdown,
    publisher: tokio::task::JoinHandle<mpsc::Receiver<Notice>>,
    publishing: Shutdown,
}

/// Takes records of the past for a running gateway. Clones serve the same gateway.
#[derive(Debug, Clone)]
pub struct Past(Keeper);

impl Past {
    /// Puts records about the past into the spool; they go out by backfill only. All are on disk when this returns. It waits
    /// while the spool holds many records.
    ///
    /// # Errors
    /// [`NotKept`] when the gateway has stopped, or found no room for them in five minutes; the first ones may be kept.
    pub async fn append(&self, bodies: Vec<Body>) -> Result<(), NotKept> {
        let mut state = self.0.state();
        let mut patience = clock::monotonic() + PAST_PATIENCE;
        for chunk in bodies.chunks(PAST_COMMIT) {
            loop {
                let left = patience.saturating_duration_since(clock::monotonic());
                let room = state.wait_for(|state| state.records < PAST_ROOM && state.alarm.is_none());
                match tokio::time::timeout(left, room).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(_closed)) => return Err(NotKept::Stopped),
                    Err(_elapsed) => return Err(NotKept::Later),
                }
                match tokio::time::timeout(PAST_PATIENCE, self.0.keep_past(chunk.to_vec())).await {
                    Ok(Ok(())) => break,
                    Ok(Err(NotKept::Stopped)) => return Err(NotKept::Stopped),
                    Ok(Err(NotKept::Later)) => tokio::time::sleep(Duration::from_millis(50)).await,
                    // A disk that hangs: what was asked for may still be kept.
                    Err(_elapsed) => return Err(NotKept::Later),
                }
                if clock::monotonic() > patience {
                    return Err(NotKept::Later);
                }
            }
            patience = clock::monotonic() + PAST_PATIENCE;
        }
        Ok(())
    }
}

/// Opens the spool and starts polling and publishing.
///
/// # Errors
/// [`Error::Spool`] when another gateway uses the folder. A broker or an analyser that cannot be reached is no error: it
/// is waited for.
pub async fn start(config: Gateway, reporting: Reporting, shutdown: Shutdown) -> Result<Running, Error> {
    let metrics = Metrics::default();
    metrics.register(&reporting.metrics, &config.name);
    let settings = Settings {
        folder: config.data_dir.clone(),
        gateway: config.name.clone(),
        cfg: Hash(config.hash),
        cache_bytes: config.spool.cache_bytes,
        capacity_bytes: config.spool.capacity_bytes,
        when_full: config.spool.when_full,
        need: need(&config),
    };
    let (sender, notices) = mpsc::channel(NOTICES);
    let readiness = reporting.readiness.clone();
    let opening = tokio::task::spawn_blocking(move || keeper::start(settings, readiness, sender));
    let (keeper, thread) = opening.await.map_err(|error| Error::Ended(error.to_string()))??;

    let view = View::new(&keeper, &metrics, &reporting);
    status::serve((&config.data_dir, config.status), &view, &shutdown).await;
    let clock = tokio::spawn(poll::watch_clock(keeper.clone(), shutdown.clone()));
    let parts = Parts { keeper, metrics, readiness: reporting.readiness, view };
    let work = parts.start(config, notices, &shutdown);
    let (reloader, reloads) = Reloader::new();
    Ok(Running { parts, thread, work, clock, reloads, reloader, shutdown })
}

/// What the scans of all outlets need.
fn need(config: &Gateway) -> Need {
    Need::of(config.outlets.iter().map(|outlet| (outlet.period, outlet.channels.len())))
}

impl Parts {
    /// Starts polling and publishing.
    fn start(&self, mut config: Gateway, notices: mpsc::Receiver<Notice>, shutdown: &Shutdown) -> Work {
        let board = Board::new(config.analysers.len());
        let (polling, publishing) = (shutdown.child_token(), Shutdown::new());
        let report =
            Report { metrics: self.metrics.clone(), board: board.clone(), keeper: Some(self.keeper.clone()) };
        let pollers = poll::start(&config, &self.keeper, &report, &polling);
        // Who polls has all of them; on a small box a hundred thousand are not held twice.
        for outlet in &mut config.outlets {
            let channels = std::mem::take(&mut outlet.channels).len();
            // Just as large as what has become free.
            board.expect(&outlet.code, channels);
        }
        let config = Arc::new(config);
        self.view.show(&config, &board);
        let parts = publish::Parts {
            config: Arc::clone(&config),
            keeper: self.keeper.clone(),
            metrics: self.metrics.clone(),
            readiness: self.readiness.clone(),
        };
        let publisher = tokio::spawn(publish::run(parts, notices, publishing.clone()));
        Work { config, pollers, polling, publisher, publishing }
    }
}

impl Running {
    /// The way in for records of the past, also while [`Running::wait`] waits.
    pub fn past(&self) -> Past {
        Past(self.parts.keeper.clone())
    }

    /// See [`Past::append`].
    ///
    /// # Errors
    /// See [`Past::append`].
    pub async fn append_past(&self, bodies: Vec<Body>) -> Result<(), NotKept> {
        self.past().append(bodies).await
    }

    /// What the spool holds, and notice of changes.
    pub fn spool(&self) -> watch::Receiver<State> {
        self.parts.keeper.state()
    }

    /// The way to another configuration, while [`Running::wait`] waits.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Waits for the shutdown, then ends in order: polling, a last record, publishing, the spool.
    ///
    /// # Errors
    /// [`Error::Ended`] when a part ended before it was asked to.
    pub async fn wait(mut self) -> Result<(), Error> {
        let mut outcome = Ok(());
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => break,
                Some(ended) = self.work.pollers.join_next() => {
                    if !self.shutdown.is_cancelled() {
                        outcome = Err(Error::Ended(ended.err().map_or("polling".to_owned(), |error| error.to_string())));
                    }
                    break;
                }
                ended = &mut self.work.publisher => {
                    outcome = Err(Error::Ended(ended.err().map_or("publishing".to_owned(), |error| error.to_string())));
                    break;
                }
                Some(wish) = self.reloads.recv() => match self.reload(wish).await {
                    Ok(going_on) => self = going_on,
                    Err(ended) => return Err(ended),
                },
            }
        }
        self.end().await;
        outcome
    }

    async fn end(mut self) {
        self.shutdown.cancel();
        while self.work.pollers.join_next().await.is_some() {}
        // It ends by itself.
        let _ended = self.clock.await;
        self.parts.keeper.keep(vec![event::now(name::STOP, [])]);
        self.work.publishing.cancel();
        if !self.work.publisher.is_finished() {
            let _ended = tokio::time::timeout(Duration::from_secs(10), &mut self.work.publisher).await;
        }
        self.parts.keeper.close();
        let closing = tokio::task::spawn_blocking(move || self.thread.join().is_ok());
        let _hung_disk = tokio::time::timeout(Duration::from_secs(10), closing).await;
    }
}

/// Starts a gateway and waits until it has ended.
///
/// # Errors
/// See [`start`] and [`Running::wait`].
pub async fn run(config: Gateway, reporting: Reporting, shutdown: Shutdown) -> Result<(), Error> {
    start(config, reporting, shutdown).await?.wait().await
}

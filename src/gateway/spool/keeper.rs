//! The thread that owns the spool. It takes what is to be kept, commits all that is waiting at once (one commit a poll
//! cycle), and tells the publisher what is new. At 80, 90, 95 and 100 % it says so; when it is full, `thinning` decides which
//! scans become records. When the disk fails it says so, holds a bounded number of records in memory, tries again every
//! second, and goes on without a restart; what it had to let go becomes a `lost-range` record. A damaged spool is set
//! aside and replaced. It never blocks its callers.

/// Disk space held back for the time when the disk is full.
mod reserve;
/// What becomes of scans when the spool is full.
mod thinning;
/// The thread's work.
mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use crate::gateway::spool::keeper::work::Work;
use crate::gateway::spool::room::Need;
use crate::gateway::spool::{Entry, Settings, SpoolError};
use crate::mqtt::receipt::Ranges;
use crate::mqtt::record::{Body, Epoch, Hash};
use crate::telemetry::Readiness;

/// Commands waiting at most; one is one scan, one deletion or one read.
const QUEUE: usize = 4096;

/// A disk that hangs holds up nobody for longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What happened to the spool, for the publisher.
#[derive(Debug)]
pub enum Notice {
    /// It was opened, or the publisher was too slow to be told of everything: this is what it holds.
    Opened { epoch: Epoch, held: Ranges },
    /// New records, to be sent at once.
    Fresh(Vec<Entry>),
    /// New records that are about the past.
    Past(Ranges),
}

/// The spool as others see it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub records: u64,
    pub bytes: u64,
    /// Time that the oldest record is about.
    pub oldest: Option<Timestamp>,
    /// What is wrong, while something is.
    pub alarm: Option<String>,
    /// How full: the highest of 80, 90, 95 and 100 percent that was reached, 0 for none.
    pub level: u8,
    /// Bytes of one scan's record, measured; an estimate before there are any.
    pub scan_bytes: f64,
    /// How long scans at their full rate take to fill an empty spool, and what is left of it.
    pub hours: Option<f64>,
    pub hours_left: Option<f64>,
    /// Scans that were not kept because the spool was full, since the start.
    pub left_out: u64,
}

/// Records of the past were not kept.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    #[error("the spool has no room or no disk at the moment; try again later")]
    Later,
    #[error("the gateway has stopped")]
    Stopped,
}

/// Records of the past, and who waits for them to be kept.
struct KeepPast {
    bodies: Vec<Body>,
    reply: oneshot::Sender<Result<(), NotKept>>,
}

/// A wish for records, and who waits for them.
struct Newest {
    within: (u64, u64),
    most: usize,
    most_bytes: usize,
    reply: oneshot::Sender<Option<Vec<Entry>>>,
}

/// Another configuration, and who waits for it to hold.
struct Reconfigure {
    cfg: Hash,
    need: Need,
    reply: oneshot::Sender<Result<(), NotKept>>,
}

enum Command {
    Keep(Vec<Body>),
    Reconfigure(Reconfigure),
    KeepPast(KeepPast),
    Delete(Ranges),
    Newest(Newest),
    Close,
}

/// Gives work to the spool's thread.
#[derive(Debug, Clone)]
pub struct Keeper {
    commands: SyncSender<Command>,
    /// Records that did not even fit into the queue.
    turned_away: Arc<AtomicU64>,
    state: watch::Receiver<State>,
}

impl Keeper {
    /// Has these records kept; never waits.
    pub fn keep(&self, bodies: Vec<Body>) {
        let count = u64::try_from(bodies.len()).unwrap_or(u64::MAX);
        if self.commands.try_send(Command::Keep(bodies)).is_err() {
            self.turned_away.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Has records of the past kept; they are on disk when this returns. It takes as long as the disk does.
    ///
    /// # Errors
    /// [`NotKept`]; then none of them is.
    pub async fn keep_past(&self, bodies: Vec<Body>) -> Result<(), NotKept> {
        let (reply, answer) = oneshot::channel();
        self.commands.try_send(Command::KeepPast(KeepPast { bodies, reply })).map_err(
            |error| match error {
                std::sync::mpsc::TrySendError::Full(_) => NotKept::Later,
                std::sync::mpsc::TrySendError::Disconnected(_) => NotKept::Stopped,
            },
        )?;
        answer.await.unwrap_or(Err(NotKept::Stopped))
    }

    /// From now on records are made under another configuration; a record tells of the change. All that was kept before is on disk
    /// under the old one when this returns. The publisher is told the whole content again.
    ///
    /// # Errors
    /// [`NotKept`]; then the old one holds.
    pub async fn reconfigure(&self, cfg: Hash, need: Need) -> Result<(), NotKept> {
        let (reply, answer) = oneshot::channel();
        let asking = self.commands.try_send(Command::Reconfigure(Reconfigure { cfg, need, reply }));
        asking.map_err(|_full_or_closed| NotKept::Later)?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(answer) => answer.unwrap_or(Err(NotKept::Stopped)),
            Err(_elapsed) => Err(NotKept::Later),
        }
    }

    /// Has these deleted; `false` when the queue is full and the caller has to ask again.
    #[must_use]
    pub fn delete(&self, ranges: Ranges) -> bool {
        self.commands.try_send(Command::Delete(ranges)).is_ok()
    }

    /// The newest unbroken run within a range, oldest first. `None`: the spool is busy or fails, ask again later.
    pub async fn newest(&self, within: (u64, u64), most: usize, most_bytes: usize) -> Option<Vec<Entry>> {
        let (reply, answer) = oneshot::channel();
        self.commands.try_send(Command::Newest(Newest { within, most, most_bytes, reply })).ok()?;
        tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()?
    }

    /// The spool as it is, and notice of changes.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Lets the thread end after what is waiting.
    pub fn close(&self) {
        // A full queue means that it is busy; it also ends when the last `Keeper` is gone.
        let _full = self.commands.try_send(Command::Close);
    }
}

/// Opens the spool and starts its thread. A damaged spool is replaced; a failing disk is waited for.
///
/// # Errors
/// `InUse` and `OtherGateway`; or `Disk` when the system refuses a thread.
pub fn start(
    settings: Settings,
    readiness: Readiness,
    notices: mpsc::Sender<Notice>,
) -> Result<(Keeper, JoinHandle<()>), SpoolError> {
    let (commands, receiver) = sync_channel(QUEUE);
    let (state_sender, state) = watch::channel(State::default());
    let turned_away = Arc::new(AtomicU64::new(0));
    let report =
        work::Report { readiness, notices, state: state_sender, turned_away: Arc::clone(&turned_away) };
    let work = Work::new(settings, report)?;
    let thread = std::thread::Builder::new().name("spool".to_owned()).spawn(move || work.run(&receiver));
    let thread = thread.map_err(|error| SpoolError::Disk(format!("no thread for the spool: {error}")))?;
    Ok((Keeper { commands, turned_away, state }, thread))
}

#[cfg(test)]
mod tests;

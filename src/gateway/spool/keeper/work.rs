//! The thread's work: one round a handful of commands.

/// What goes into a commit.
mod commit;
/// What may be deleted and waits for it.
mod receipted;
/// Another configuration.
mod reconfigure;
/// What is said of it.
mod told;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use crate::clock;
use crate::gateway::event;
use crate::gateway::spool::keeper::reserve::Reserve;
use crate::gateway::spool::keeper::thinning::{Thinning, begins_a_minute};
use crate::gateway::spool::keeper::work::receipted::Receipted;
use crate::gateway::spool::keeper::{Command, KeepPast, Newest, NotKept, Notice, Reconfigure, State};
use crate::gateway::spool::witness::Witness;
use crate::gateway::spool::{Entry, Settings, Spool, SpoolError, set_aside};
use crate::mqtt::receipt::Ranges;
use crate::mqtt::record::{Body, Hash};
use crate::telemetry::Readiness;

/// Records held in memory at most while the disk fails. The second half is for minute scans and events.
const HELD_MAX: usize = 10_000;
/// Scans of several outlets come at the same tick, one soon after the other: the first waits so long for the others, and one commit is
/// for all.
const GATHER: Duration = Duration::from_millis(5);
/// Records of one commit at most.
const COMMIT_MAX: usize = 1000;
const RETRY: Duration = Duration::from_secs(1);
const WITNESS_EVERY: Duration = Duration::from_mins(1);

/// Whom the work reports to.
pub struct Report {
    pub readiness: Readiness,
    pub notices: mpsc::Sender<Notice>,
    pub state: watch::Sender<State>,
    /// Records that did not fit into the queue.
    pub turned_away: Arc<AtomicU64>,
}

/// The spool, and what is not in it yet.
pub struct Work {
    settings: Settings,
    report: Report,
    spool: Option<Spool>,
    /// Not yet on disk, oldest first.
    held: VecDeque<Body>,
    /// Receipted, to be deleted by the next commit.
    receipted: Receipted,
    lost: Option<Lost>,
    trouble: Option<Trouble>,
    thinning: Thinning,
    /// How full, as it was told last.
    level: u8,
    /// A damaged spool that was set aside and is not told of yet, with the reason.
    aside: Option<(PathBuf, String)>,
    retry_at: Instant,
    /// A commit failed half-way: the head it would have given, and how many of `held` it was about.
    doubtful: Option<(Hash, usize)>,
    /// The publisher has to be told the whole content.
    resync: bool,
    started: bool,
    witness_at: Instant,
    reserve: Reserve,
    compaction: Compaction,
    /// This run has written the witness.
    witnessed: bool,
}

/// Records that could not be kept.
struct Lost {
    records: u64,
    from: Timestamp,
    until: Timestamp,
}

struct Trouble {
    since: Timestamp,
    reason: String,
}

/// Whether deletions have made room within the file of a full disk, and when the file may be made smaller.
struct Compaction {
    wanted: bool,
    not_before: Instant,
}

/// Compacting a large file takes seconds; it is not done more often.
const COMPACT_EVERY: Duration = Duration::from_secs(20);

/// What waits in the queue, by kind.
#[derive(Default)]
struct Batch {
    delete: Vec<(u64, u64)>,
    past: Vec<KeepPast>,
    reads: Vec<Newest>,
    reconfigure: Option<Reconfigure>,
    fresh: usize,
    close: bool,
}

impl Work {
    /// Opens the spool. A damaged one is replaced; a failing disk is waited for.
    pub fn new(settings: Settings, report: Report) -> Result<Work, SpoolError> {
        let thinning = Thinning::new(settings.capacity_bytes, settings.when_full);
        let reserve = Reserve::new(&settings.folder);
        let mut work = Work {
            reserve,
            compaction: Compaction { wanted: false, not_before: clock::monotonic() },
            thinning,
            level: 0,
            aside: None,
            settings,
            report,
            spool: None,
            held: VecDeque::new(),
            receipted: Receipted::default(),
            lost: None,
            trouble: None,
            retry_at: clock::monotonic(),
            doubtful: None,
            resync: true,
            started: false,
            witness_at: clock::monotonic(),
            witnessed: false,
        };
        match work.open() {
            Ok(()) => {}
            Err(refused @ (SpoolError::InUse(_) | SpoolError::OtherGateway { .. })) => return Err(refused),
            Err(other) => work.fail(&other),
        }
        work.tell();
        work.show_room();
        Ok(work)
    }

    /// Until it is told to close, or nobody can tell it anything any more.
    pub fn run(mut self, commands: &Receiver<Command>) {
        loop {
            let mut batch = Batch::default();
            match commands.recv_timeout(RETRY) {
                Ok(command) => {
                    if matches!(command, Command::Keep(_)) && self.settings.need.outlets() > 1 {
                        std::thread::sleep(GATHER);
                    }
                    self.sort(command, &mut batch);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => batch.close = true,
            }
            while batch.fresh < COMMIT_MAX
                && batch.past.len() < 4
                && !batch.close
                && batch.reconfigure.is_none()
            {
                let Ok(command) = commands.try_recv() else { break };
                self.sort(command, &mut batch);
            }
            let close = batch.close;
            self.turn(batch);
            if close {
                self.held.extend(self.thinning.tell(clock::monotonic()));
                self.commit_held(&Ranges::default());
                self.remember();
                return;
            }
        }
    }

    fn sort(&mut self, command: Command, batch: &mut Batch) {
        match command {
            Command::Keep(bodies) => {
                batch.fresh += bodies.len();
                self.hold(bodies);
            }
            Command::KeepPast(wish) => batch.past.push(wish),
            Command::Reconfigure(wish) => batch.reconfigure = Some(wish),
            Command::Delete(ranges) => batch.delete.extend(ranges.iter()),
            Command::Newest(wish) => batch.reads.push(wish),
            Command::Close => batch.close = true,
        }
    }

    fn hold(&mut self, bodies: Vec<Body>) {
        for body in bodies {
            let most = match &body {
                Body::Scan(scan) if !begins_a_minute(scan.at) => HELD_MAX / 2,
                Body::Scan(_) | Body::Event(_) => HELD_MAX,
            };
            if self.held.len() < most {
                self.held.push_back(body);
            } else {
                self.lose(1, body.at());
            }
        }
    }

    fn lose(&mut self, records: u64, at: Timestamp) {
        let lost = self.lost.get_or_insert(Lost { records: 0, from: at, until: at });
        lost.records += records;
        lost.from = lost.from.min(at);
        lost.until = lost.until.max(at);
    }

    /// One round: open if need be, commit, answer reads, tell.
    fn turn(&mut self, batch: Batch) {
        let turned_away = self.report.turned_away.swap(0, Ordering::Relaxed);
        if turned_away > 0 {
            self.lose(turned_away, clock::now());
        }
        if self.spool.is_none()
            && clock::monotonic() >= self.retry_at
            && let Err(error) = self.open()
        {
            self.fail(&error);
        }
        self.make_room();
        // A new epoch is told before its records are.
        self.resynchronise();
        self.receipted.add(batch.delete, clock::monotonic());
        let in_need = self.trouble.is_some() || self.level > 0 || self.reserve.is_given_up();
        let goes =
            batch.close || in_need || !self.held.is_empty() || self.receipted.presses(clock::monotonic());
        let delete = if goes { std::mem::take(&mut self.receipted) } else { Receipted::default() };
        self.commit_held(&delete.ranges());
        for KeepPast { bodies, reply } in batch.past {
            // Nobody waits for the answer of a caller that went away.
            let _gone = reply.send(self.keep_past(&bodies));
        }
        for Newest { within, most, most_bytes, reply } in batch.reads {
            let _gone = reply.send(self.newest(within, most, most_bytes));
        }
        if let Some(Reconfigure { cfg, need, reply }) = batch.reconfigure {
            let _gone = reply.send(self.reconfigure(cfg, need));
        }
        self.resynchronise();
        if clock::monotonic() >= self.witness_at {
            self.remember();
        }
        self.tell();
    }

    /// Opens the spool; replaces a damaged or lost one.
    fn open(&mut self) -> Result<(), SpoolError> {
        let before = Witness::read(&self.settings.folder);
        if self.witnessed && !Witness::is_in(&self.settings.folder) {
            // As a mount point whose disk is gone; a new spool there would be hidden when the disk comes back.
            let gone = format!("nothing of the spool is in {} any more", self.settings.folder.display());
            return Err(SpoolError::Disk(format!(
                "{gone}; mount its disk, or restart the gateway for a new spool"
            )));
        }
        let head = before.as_ref().map_or(Hash::ZERO, Witness::head);
        let spool = match Spool::open(&self.settings, head) {
            Err(SpoolError::Damaged(reason)) => {
                let aside = set_aside(&self.settings.file(), clock::now())?;
                tracing::error!(reason, file = %aside.display(), "the spool was damaged and is set aside");
                self.aside = Some((aside, reason));
                Spool::open(&self.settings, head)?
            }
            other => other?,
        };
        if let Some((hash, count)) = self.doubtful.take()
            && hash == spool.head()
        {
            self.held.drain(..count.min(self.held.len()));
        }
        let mut first = Vec::new();
        let aside = self.aside.take();
        if spool.is_new() && (before.is_some() || aside.is_some()) {
            first.push(event::lost_spool(before.as_ref(), aside));
        }
        if !self.started {
            first.extend(event::start(self.settings.cfg, spool.previous_cfg()));
            self.started = true;
        }
        for body in first.into_iter().rev() {
            self.held.push_front(body);
        }
        self.settings.need.start_from(spool.records(), spool.bytes());
        // What was receipted may be of another epoch; the publisher is told the whole content, and is receipted it again.
        self.receipted = Receipted::default();
        self.spool = Some(spool);
        self.resync = true;
        self.remember();
        Ok(())
    }

    fn keep_past(&mut self, bodies: &[Body]) -> Result<(), NotKept> {
        if self.trouble.is_some() {
            return Err(NotKept::Later);
        }
        let Some(spool) = self.spool.as_mut() else { return Err(NotKept::Later) };
        // The past never takes the room of what is measured now.
        if spool.bytes() > self.settings.capacity_bytes / 2 {
            return Err(NotKept::Later);
        }
        match spool.commit(bodies, &Ranges::default()) {
            Ok(entries) => {
                self.send(Notice::Past(Ranges::of(entries.iter().map(|entry| entry.seq))));
                Ok(())
            }
            // Not the gateway's trouble: it is the past that does not fit.
            Err(SpoolError::Full { .. }) => Err(NotKept::Later),
            Err(error) => {
                self.fail(&error);
                Err(NotKept::Later)
            }
        }
    }

    fn newest(&mut self, within: (u64, u64), most: usize, most_bytes: usize) -> Option<Vec<Entry>> {
        let found = self.spool.as_ref()?.newest(within, most, most_bytes);
        found.inspect_err(|error| self.fail(error)).ok()
    }

    /// What waited for the disk to recover is no longer fresh.
    fn tell_publisher(&mut self, entries: Vec<Entry>) {
        let notice = match self.trouble {
            Some(_) => Notice::Past(Ranges::of(entries.iter().map(|entry| entry.seq))),
            None => Notice::Fresh(entries),
        };
        self.send(notice);
    }

    fn send(&mut self, notice: Notice) {
        // What is told as a whole a moment later is not told before.
        if self.resync || self.report.notices.try_send(notice).is_err() {
            self.resync = true;
        }
    }

    fn resynchronise(&mut self) {
        let Some(spool) = self.spool.as_ref().filter(|_| self.resync) else { return };
        match spool.ranges() {
            Ok(held) => {
                let opened = Notice::Opened { epoch: spool.epoch(), held };
                self.resync = self.report.notices.try_send(opened).is_err();
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Notes trouble. After all but a full spool, the file is closed and opened again later.
    fn fail(&mut self, error: &SpoolError) {
        if self.trouble.is_none() {
            tracing::error!(%error, "the spool takes no records; they are held in memory");
            self.trouble = Some(Trouble { since: clock::now(), reason: error.to_string() });
        }
        if matches!(error, SpoolError::NoSpace(_)) {
            self.reserve.give_up();
        }
        if !matches!(error, SpoolError::Full { .. }) {
            self.remember();
            self.spool = None;
            self.retry_at = clock::monotonic() + RETRY;
        }
    }

    /// Holds the reserve, if it can be had. When deletions have made room within the file and the disk has none, the file is
    /// made smaller first.
    fn make_room(&mut self) {
        let now = clock::monotonic();
        if self.reserve.is_held() || now < self.retry_at || self.spool.is_none() {
            return;
        }
        self.retry_at = now + RETRY;
        if !self.reserve.hold() && self.compaction.wanted && now >= self.compaction.not_before {
            self.compaction = Compaction { wanted: false, not_before: now + COMPACT_EVERY };
            let compacted = self.spool.as_mut().map_or(Ok(()), Spool::compact);
            match compacted {
                Ok(()) => tracing::info!(room = self.reserve.hold(), "the spool's file was made smaller"),
                Err(error) => self.fail(&error),
            }
        }
    }

    /// Writes the witness.
    fn remember(&mut self) {
        let Some(spool) = &self.spool else { return };
        self.witness_at = clock::monotonic() + WITNESS_EVERY;
        match Witness::of(spool).write(&self.settings.folder) {
            Ok(()) => self.witnessed = true,
            Err(error) => tracing::warn!(%error, "the spool's witness cannot be written"),
        }
    }
}

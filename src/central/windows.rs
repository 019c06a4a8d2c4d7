//! Windows: from due rows to averages, verdicts, episodes and alerts. Normal closing, late data, restart and recomputation
//! are this one path: take what is due, compute it from the next lower level under the law in force, write a revision if a figure
//! changed, judge it.

/// From lower windows to figures and what is said of them.
mod compute;
/// What running hours show.
mod running;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::central::judging::judge_all;
use crate::central::pipeline::Shared;
use crate::clock;
use crate::domain::law::OutletLaw;
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::Outlet;
use crate::domain::window::{Window, built_on};
use crate::shutdown::Shutdown;
use crate::store::average::{self, Averages};
use crate::store::due::{self, Claim, Due, LANES};
use crate::store::episode::observe;
use crate::store::frame::Frames;
use crate::store::partition::{Partitioned, Partitions};
use crate::store::session::{Failure, Session, Trouble, bounded};
use crate::store::{frame, lock, reckoning};

pub(super) use compute::Computed;
use compute::{Basis, Subject, coarser, compare, minutes};

/// About so many windows are computed in one transaction; fewer after a failure.
const CLAIM: i64 = 400;
/// Windows of one time are taken together while they are no more than so many of these.
const TOGETHER: i64 = 4;
/// Windows that wait longer than this are a trouble of their own.
const OVERDUE: SignedDuration = SignedDuration::from_mins(5);

/// Computes windows.
pub struct Closer {
    shared: Shared,
    session: Session,
    partitions: Partitions,
    /// Waiting time for more finer windows before a coarser one is computed.
    settle: SignedDuration,
    /// Windows to claim of each lane.
    claims: [i64; LANES as usize],
    failing_since: Option<Timestamp>,
}

impl Closer {
    /// Nothing is opened yet.
    pub fn new(shared: Shared, session: Session, settle: SignedDuration) -> Closer {
        Closer {
            shared,
            session,
            partitions: Partitions::default(),
            settle,
            claims: [CLAIM; LANES as usize],
            failing_since: None,
        }
    }

    /// Computes windows as they become due, until shutdown.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut wait = Duration::from_millis(200);
        let mut trouble = Trouble::default();
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = shutdown.cancelled() => return,
            }
            wait = match self.on_due(clock::now()).await {
                Ok(more) => {
                    trouble.over();
                    if more { Duration::ZERO } else { Duration::from_millis(200) }
                }
                Err(failure) => {
                    if trouble.is_new(&failure.to_string()) {
                        tracing::warn!(%failure, "windows wait for the database");
                    }
                    self.session.discard();
                    self.partitions = Partitions::default();
                    Duration::from_secs(1)
                }
            };
        }
    }

    /// Computes what is due of one outlet, and what follows from it, until nothing is left that is over. Gives the number of
    /// windows computed and of revisions made.
    ///
    /// # Errors
    /// [`Failure`] when the database does not answer; what is left stays due.
    pub async fn settle_outlet(&mut self, outlet_id: i32) -> Result<(usize, usize), Failure> {
        let before = self.shared.meters.totals();
        loop {
            let now = clock::now();
            if !self.on_lane(due::lane(outlet_id), now, CLAIM).await? {
                // Another closer has the lane, or nothing is due.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let client = self.session.client().await?;
            let newest = crate::store::plant::revision(client).await;
            if newest.is_ok_and(|newest| newest != self.shared.frames.borrow().revision) {
                let reason =
                    "the plant was changed while its windows were computed; they stay due: run it again";
                return Err(Failure::Unavailable(reason.to_owned()));
            }
            if !due::waits(client, outlet_id, now).await? {
                let after = self.shared.meters.totals();
                return Ok((after.0.saturating_sub(before.0), after.1.saturating_sub(before.1)));
            }
        }
    }

    /// Works through all lanes once. True when there may be more.
    async fn on_due(&mut self, now: Timestamp) -> Result<bool, Failure> {
        self.partitions.ensure_ahead(&mut self.session, now).await?;
        let (mut more, mut failed) = (false, None);
        for lane in 0..LANES {
            let claim = self.claims.get(usize::try_from(lane).unwrap_or_default()).copied().unwrap_or(CLAIM);
            let (next, outcome) = match self.on_lane(lane, now, claim).await {
                Ok(some) => {
                    more |= some;
                    ((claim * 2).min(CLAIM), None)
                }
                // The other lanes need not wait for this one, and it may succeed with less.
                Err(failure) => {
                    self.session.discard();
                    ((claim / 2).max(1), Some(failure))
                }
            };
            failed = failed.or(outcome);
            if let Some(slot) = self.claims.get_mut(usize::try_from(lane).unwrap_or_default()) {
                *slot = next;
            }
        }
        if let Some(failure) = failed {
            // A database that is away says so by itself; what only the windows suffer from shows after a while.
            if now.duration_since(*self.failing_since.get_or_insert(now)) > OVERDUE {
                self.shared.readiness.set("windows", false, &failure.to_string());
            }
            return Err(failure);
        }
        self.failing_since = None;
        let client = self.session.client().await?;
        let (waiting, oldest) = due::backlog(client, now).await?;
        self.shared.meters.backlog(waiting);
        let late = oldest.map(|oldest| now.duration_since(oldest)).filter(|late| *late > OVERDUE);
        let detail = late.map_or("ok".to_owned(), |late| {
            format!(
                "{waiting} windows wait, the oldest for {} s; look at the database's load",
                late.as_secs()
            )
        });
        self.shared.readiness.set("windows", late.is_none(), &detail);
        Ok(more)
    }

    /// One transaction: claim, compute, write, settle.
    async fn on_lane(&mut self, lane: i16, now: Timestamp, most: i64) -> Result<bool, Failure> {
        let client = self.session.client().await?;
        bounded(client.batch_execute("BEGIN")).await?;
        let claim = due::claim(client, lane, (now, self.shared.debounce), most).await?;
        let Some(claim) = claim.filter(|claim| !claim.rows.is_empty()) else {
            bounded(client.batch_execute("COMMIT")).await?;
            return Ok(false);
        };
        // Partitions for old windows are made outside this transaction, or they would wait for it.
        let starts: Vec<Timestamp> = claim.rows.iter().map(|row| row.start).collect();
        if claim.rows.first().is_some_and(|row| average::is_wide(row.period)) {
            bounded(client.batch_execute("COMMIT")).await?;
            self.partitions.ensure(&mut self.session, Partitioned::AverageWide, starts.into_iter()).await?;
            let client = self.session.client().await?;
            bounded(client.batch_execute("BEGIN")).await?;
            let Some(claim) = due::claim(client, lane, (now, self.shared.debounce), most).await? else {
                bounded(client.batch_execute("COMMIT")).await?;
                return Ok(true);
            };
            return self.on_window(&claim, most, now).await;
        }
        self.on_window(&claim, most, now).await
    }

    /// The windows of one claim, to the end of its transaction. True when something was computed.
    async fn on_window(&mut self, claim: &Claim, most: i64, now: Timestamp) -> Result<bool, Failure> {
        let frames = Arc::clone(&self.shared.frames.borrow());
        let plant = Arc::clone(&self.shared.plant.borrow());
        let client = self.session.client().await?;
        if claim.revision > frames.revision {
            // Whoever saved it may have made just these windows due: they wait for the plant that they are to be computed by.
            bounded(client.batch_execute("COMMIT")).await?;
            return Ok(false);
        }
        let by_id: HashMap<i32, &Arc<Outlet>> =
            plant.outlets.iter().map(|outlet| (outlet.id, outlet)).collect();
        let most = if most < CLAIM { most } else { CLAIM * TOGETHER };
        let windows = claim.windows(usize::try_from(most).unwrap_or(1));
        let subjects = subjects(claim, &windows, (&by_id, &self.shared));
        let law = laws(client, &frames, &subjects).await?;
        let basis = Basis { client, shared: &self.shared, frames: &frames, laws: &law };
        let mut computed = match subjects.first().map(|subject| subject.window.period) {
            None => Vec::new(),
            Some(AveragingPeriod::Minute) => minutes(&basis, &subjects).await?,
            Some(period) => coarser(&basis, &subjects, period).await?,
        };
        compare(client, &mut computed).await?;
        hold_locked(client, &mut computed, now).await?;
        let rows: Vec<Averages> =
            computed.iter().filter(|one| one.is_news).map(|one| one.row.clone()).collect();
        self.shared.meters.windows(subjects.len(), rows.len());
        average::store(client, &rows, now).await?;
        let mut told = judge_all(client, &computed, (&frames, &law, &self.shared.zone), now).await?;
        let seen = match subjects.first().map(|subject| subject.window.period) {
            Some(AveragingPeriod::Minute) => running::sightings(&basis, (&subjects, &computed), now).await?,
            Some(AveragingPeriod::Hour) => running::over(client, &computed).await?,
            Some(_) | None => Vec::new(),
        };
        told.alerts += observe(client, seen, now).await?.alerts;
        let mut dues = dues(&computed, (&self.shared, &frames), self.settle, now);
        dues.extend(assessed_by(&told.changed, &law, (&self.shared, self.settle), now));
        due::append_in(client, &dues).await?;
        reckoning::append(client, &to_reckon(&computed), now + self.shared.debounce).await?;
        // An outlet that this centre does not know yet, but another does, stays due.
        due::settle(client, claim, |start, outlet_id, source_id| {
            by_id.contains_key(&outlet_id) && windows.contains(&(start, outlet_id, source_id))
        })
        .await?;
        bounded(client.batch_execute("COMMIT")).await?;
        if told.alerts > 0 {
            self.shared.outbox.notify_waiters();
        }
        Ok(!subjects.is_empty())
    }
}

/// The windows of a claim of outlets that are known, by outlet and time.
fn subjects(
    claim: &Claim,
    windows: &BTreeSet<(Timestamp, i32, i16)>,
    (by_id, shared): (&HashMap<i32, &Arc<Outlet>>, &Shared),
) -> Vec<Subject> {
    let Some(period) = claim.rows.first().map(|row| row.period) else { return Vec::new() };
    let mut subjects: Vec<Subject> = windows
        .iter()
        .filter_map(|(start, outlet_id, source_id)| {
            let outlet = Arc::clone(by_id.get(outlet_id)?);
            let window = Window::containing(period, *start, &shared.zone);
            Some(Subject { outlet, of: (*outlet_id, *source_id), window })
        })
        .collect();
    subjects.sort_by_key(|subject| (subject.of, subject.window.start));
    subjects
}

/// The law of the subjects' outlets; a minute needs none, since nothing lies over scans.
async fn laws(
    client: &tokio_postgres::Client,
    frames: &Frames,
    subjects: &[Subject],
) -> Result<BTreeMap<String, OutletLaw>, Failure> {
    let windows = || subjects.iter().map(|subject| subject.window);
    let (Some(from), Some(until)) =
        (windows().map(|window| window.start).min(), windows().map(|window| window.end).max())
    else {
        return Ok(BTreeMap::new());
    };
    if windows().all(|window| window.period == AveragingPeriod::Minute) {
        return Ok(BTreeMap::new());
    }
    frame::laws(client, frames, subjects.iter().map(|subject| &*subject.outlet.code), (from, until)).await
}

/// Windows of submitted periods stay as they are; what they would be now is kept beside them.
async fn hold_locked(
    client: &tokio_postgres::Client,
    computed: &mut [Computed<'_>],
    now: Timestamp,
) -> Result<(), Failure> {
    let windows =
        || computed.iter().map(|one| one.row.window).filter(|window| window.period >= AveragingPeriod::Hour);
    let (Some(from), Some(until)) =
        (windows().map(|window| window.start).min(), windows().map(|window| window.end).max())
    else {
        return Ok(());
    };
    let outlets: Vec<i32> = computed.iter().map(|one| one.row.of.0).collect();
    let locks = lock::of_outlets(client, &outlets, (from, until)).await?;
    if locks.is_empty() {
        return Ok(());
    }
    let (mut differ, mut agree) = (Vec::new(), Vec::new());
    for one in computed {
        let locked = locks.get(&one.row.of.0).into_iter().flatten();
        // A year that begins with a locked quarter is not locked: only what lies wholly inside.
        let window = one.row.window;
        one.is_locked = locked.into_iter().any(|times| times.covers(window.start, window.end));
        if one.is_locked {
            if std::mem::take(&mut one.is_news) { &mut differ } else { &mut agree }.push(one.row.clone());
        }
    }
    lock::agree(client, &agree).await?;
    lock::differ(client, &differ, now).await
}

/// The coarser windows that changed ones belong to, and those that look back on a changed minute. `settle`: how long after its end a
/// window waits for its last part.
fn dues(
    computed: &[Computed<'_>],
    (shared, frames): (&Shared, &Frames),
    settle: SignedDuration,
    now: Timestamp,
) -> Vec<Due> {
    let mut dues: BTreeMap<(average::Of, AveragingPeriod, Timestamp), Timestamp> = BTreeMap::new();
    for Computed { outlet, row, .. } in computed.iter().filter(|one| one.is_news) {
        let is_minute = row.window.period == AveragingPeriod::Minute;
        let looked_back = if is_minute { frames.look_back_minutes(&outlet.code) } else { 0 };
        let last = row.window.start + SignedDuration::from_mins(i64::from(looked_back));
        for period in built_on(row.window.period) {
            let mut window = Window::containing(period, row.window.start, &shared.zone);
            // What has no parts yet is computed when it gets some.
            while window.start <= last.min(now) {
                let due_at = (window.end + settle).max(now + shared.debounce);
                dues.insert((row.of, period, window.start), due_at);
                window = Window::containing(period, window.end, &shared.zone);
            }
        }
    }
    dues.into_iter()
        .map(|(((outlet_id, source_id), period, start), due_at)| Due {
            outlet_id,
            source_id,
            period,
            start,
            due_at,
        })
        .collect()
}

/// The windows whose assessments count a verdict that changed.
fn assessed_by(
    changed: &BTreeSet<(String, average::Of, Window)>,
    laws: &BTreeMap<String, OutletLaw>,
    (shared, settle): (&Shared, SignedDuration),
    now: Timestamp,
) -> Vec<Due> {
    let mut dues: BTreeSet<Due> = BTreeSet::new();
    for (outlet, (outlet_id, source_id), window) in changed {
        let Some(law) = laws.get(outlet) else { continue };
        let over = law.assessments.iter().map(|assessment| assessment.over.period());
        let furnace = (!law.furnaces.is_empty() && window.period == AveragingPeriod::FiveMinutes)
            .then_some(AveragingPeriod::Day);
        for period in over.chain(furnace).filter(|period| *period > window.period) {
            let whole = Window::containing(period, window.start, &shared.zone);
            let due_at = (whole.end + settle).max(now + shared.debounce);
            let (outlet_id, source_id) = (*outlet_id, *source_id);
            dues.insert(Due { outlet_id, source_id, period, start: whole.start, due_at });
        }
    }
    dues.into_iter().collect()
}

/// Outlets whose quarter must be reckoned again, and from when on: a day of it changed, or it is over.
fn to_reckon(computed: &[Computed<'_>]) -> BTreeMap<i32, Timestamp> {
    let mut since: BTreeMap<i32, Timestamp> = BTreeMap::new();
    for one in computed {
        let window = one.row.window;
        let changed = window.period == AveragingPeriod::Day && one.is_news;
        if changed || window.period == AveragingPeriod::Quarter {
            let earliest = since.entry(one.row.of.0).or_insert(window.start);
            *earliest = window.start.min(*earliest);
        }
    }
    since
}

//! Windows: from due rows to averages, verdicts, episodes and alerts. Normal closing, late data, restart and recomputation
//! are this one path: take what is due, compute it from the next lower level, write a revision if a figure changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::central::judging::judge_all;
use crate::central::pipeline::Shared;
use crate::clock;
use crate::domain::average::{ChannelAverage, StoredScan, average_scans, average_windows};
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::Outlet;
use crate::domain::window::{Window, built_on, lower};
use crate::shutdown::Shutdown;
use crate::store::average::{self, Averages};
use crate::store::due::{self, Claim, Due, LANES};
use crate::store::partition::{Partitioned, Partitions};
use crate::store::scan;
use crate::store::session::{Failure, Session, Trouble, bounded, query};

/// So many windows are computed in one transaction; fewer after a failure.
const CLAIM: i64 = 400;
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

/// One window of one outlet with its averages.
pub(super) struct Computed {
    pub(super) outlet: Arc<Outlet>,
    pub(super) row: Averages,
    /// The figures differ from those stored, or none are.
    is_news: bool,
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
        let claim = due::claim(client, lane, now, most).await?;
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
            let Some(claim) = due::claim(client, lane, now, most).await? else {
                bounded(client.batch_execute("COMMIT")).await?;
                return Ok(true);
            };
            return self.on_window(&claim, now).await;
        }
        self.on_window(&claim, now).await
    }

    /// The windows of one claim, to the end of its transaction. True when something was computed.
    async fn on_window(&mut self, claim: &Claim, now: Timestamp) -> Result<bool, Failure> {
        let plant = Arc::clone(&self.shared.plant.borrow());
        let by_id: HashMap<i32, &Arc<Outlet>> =
            plant.outlets.iter().map(|outlet| (outlet.id, outlet)).collect();
        let client = self.session.client().await?;
        // An outlet that this centre does not know yet, but another does, stays due.
        let known = |row: &&due::Row| by_id.contains_key(&row.outlet_id);
        let ids: Vec<i64> = claim.rows.iter().filter(known).map(|row| row.id).collect();
        let windows: BTreeSet<(i32, i16, AveragingPeriod, Timestamp)> =
            claim.rows.iter().map(|row| (row.outlet_id, row.source_id, row.period, row.start)).collect();
        let windows: Vec<Subject> = windows
            .into_iter()
            .filter_map(|(outlet_id, source_id, period, start)| {
                let window = Window::containing(period, start, &self.shared.zone);
                Some((Arc::clone(by_id.get(&outlet_id)?), (outlet_id, source_id), window))
            })
            .collect();
        let mut computed = match windows.first().map(|window| window.2.period) {
            None => Vec::new(),
            Some(AveragingPeriod::Minute) => minutes(client, &windows, &self.shared).await?,
            Some(period) => coarser(client, &windows, period, &self.shared).await?,
        };
        compare(client, &mut computed).await?;
        let rows: Vec<Averages> =
            computed.iter().filter(|one| one.is_news).map(|one| one.row.clone()).collect();
        self.shared.meters.windows(windows.len(), rows.len());
        average::store(client, &rows, now).await?;
        let alerts = judge_all(client, &computed, now).await?;
        due::append_in(client, &dues(&computed, &self.shared, self.settle, now)).await?;
        due::settle(client, &ids).await?;
        bounded(client.batch_execute("COMMIT")).await?;
        if alerts > 0 {
            self.shared.outbox.notify_waiters();
        }
        Ok(!ids.is_empty())
    }
}

/// What is to be computed.
type Subject = (Arc<Outlet>, average::Of, Window);

/// The coarser windows that changed ones belong to. `settle`: how long after its end a window waits for its last part.
fn dues(computed: &[Computed], shared: &Shared, settle: SignedDuration, now: Timestamp) -> Vec<Due> {
    let mut dues: BTreeMap<(average::Of, AveragingPeriod, Timestamp), Timestamp> = BTreeMap::new();
    for Computed { row, .. } in computed.iter().filter(|one| one.is_news) {
        for period in built_on(row.window.period) {
            let window = Window::containing(period, row.window.start, &shared.zone);
            let due_at = (window.end + settle).max(now + shared.debounce);
            dues.insert((row.of, period, window.start), due_at);
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

/// Minutes, from scans.
async fn minutes(
    client: &tokio_postgres::Client,
    windows: &[Subject],
    shared: &Shared,
) -> Result<Vec<Computed>, Failure> {
    let outlets: Vec<i32> = windows.iter().map(|window| window.1.0).collect();
    let sources: Vec<i16> = windows.iter().map(|window| window.1.1).collect();
    let low: Vec<Timestamp> = windows.iter().map(|window| window.2.start).collect();
    let high: Vec<Timestamp> = windows.iter().map(|window| window.2.end).collect();
    let earliest = low.iter().min().copied().unwrap_or(Timestamp::UNIX_EPOCH);
    let latest = high.iter().max().copied().unwrap_or(Timestamp::UNIX_EPOCH);
    let query = query(client, scan::OF_WINDOWS, &[&outlets, &sources, &low, &high, &earliest, &latest]).await;
    let mut scans: HashMap<(average::Of, Timestamp), Vec<StoredScan>> = HashMap::new();
    for row in query? {
        let (of, scan) = scan::of_row(&row);
        let start = Window::containing(AveragingPeriod::Minute, scan.at, &shared.zone).start;
        scans.entry((of, start)).or_default().push(scan);
    }
    Ok(windows
        .iter()
        .filter_map(|(outlet, of, window)| {
            // Without scans there is nothing to compute from: retention may have dropped them, and what was made of them stands.
            let scans = scans.get(&(*of, window.start))?;
            let channels = average_scans(*window, outlet, scans, shared.regime);
            Some(Computed {
                outlet: Arc::clone(outlet),
                row: Averages { of: *of, window: *window, revision: 1, channels },
                is_news: true,
            })
        })
        .collect())
}

/// Hours and longer, from the latest revisions of the next lower level.
async fn coarser(
    client: &tokio_postgres::Client,
    windows: &[Subject],
    period: AveragingPeriod,
    shared: &Shared,
) -> Result<Vec<Computed>, Failure> {
    let Some(level) = lower(period) else { return Ok(Vec::new()) };
    let spans: Vec<(average::Of, Timestamp, Timestamp)> =
        windows.iter().map(|(_, of, window)| (*of, window.start, window.end)).collect();
    let latest = average::latest(client, level, &spans).await?;
    let none = BTreeMap::new();
    Ok(windows
        .iter()
        .filter_map(|(outlet, of, window)| {
            let parts: BTreeMap<Timestamp, Vec<ChannelAverage>> = latest
                .get(of)
                .unwrap_or(&none)
                .range(window.start..window.end)
                .map(|(start, (_, channels))| (*start, channels.clone()))
                .collect();
            // As above: what has no parts any more is not computed again.
            if parts.is_empty() {
                return None;
            }
            let expected = u32::try_from(window.parts(&shared.zone).len()).unwrap_or(0);
            let channels = average_windows(*window, outlet, &parts, (shared.regime, expected));
            Some(Computed {
                outlet: Arc::clone(outlet),
                row: Averages { of: *of, window: *window, revision: 1, channels },
                is_news: true,
            })
        })
        .collect())
}

/// Marks those whose figures differ from the latest stored revision, and numbers them as the next one.
async fn compare(client: &tokio_postgres::Client, computed: &mut [Computed]) -> Result<(), Failure> {
    let Some(period) = computed.first().map(|computed| computed.row.window.period) else { return Ok(()) };
    let spans: Vec<(average::Of, Timestamp, Timestamp)> =
        computed.iter().map(|one| (one.row.of, one.row.window.start, one.row.window.end)).collect();
    let latest = average::latest(client, period, &spans).await?;
    for one in computed {
        let stored = latest.get(&one.row.of).and_then(|starts| starts.get(&one.row.window.start));
        if let Some((revision, channels)) = stored {
            one.is_news = *channels != one.row.channels;
            one.row.revision = revision + i32::from(one.is_news);
        }
    }
    Ok(())
}

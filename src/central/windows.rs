//! Windows: from due rows to averages, verdicts, episodes and alerts. Normal closing, late data, restart and recomputation
//! are this one path: take what is due, compute it from the next lower level, write a revision if a figure changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::central::pipeline::{SOURCE, Shared};
use crate::central::warning::describe;
use crate::clock;
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::average::{ChannelAverage, StoredScan, average_scans, average_windows, oxygen_of};
use crate::domain::correction::Unwatched;
use crate::domain::episode::{Observation, WINDOW};
use crate::domain::exceedance::{Outcome, Verdict, judge, rules_for};
use crate::domain::limit::{AveragingPeriod, Rule};
use crate::domain::plant::Outlet;
use crate::domain::window::{Window, built_on, lower};
use crate::shutdown::Shutdown;
use crate::store::average::{self, Averages, NewVerdict};
use crate::store::due::{self, Claim, Due, LANES};
use crate::store::episode::{Key, Sighting, observe, record_historical};
use crate::store::partition::{Partitioned, Partitions};
use crate::store::scan;
use crate::store::session::{Failure, Session, Trouble, bounded, query};

/// So many due rows are taken at a time.
const CLAIM: i64 = 4000;
/// A window that ended longer ago is history: recorded, but nobody is paged for it.
pub const HISTORY: SignedDuration = SignedDuration::from_mins(15);
/// Minute to day; what is longer is made of days by the same code.
pub const PERIODS: [AveragingPeriod; 3] =
    [AveragingPeriod::Minute, AveragingPeriod::Hour, AveragingPeriod::Day];

/// Computes windows.
pub struct Closer {
    shared: Shared,
    session: Session,
    partitions: Partitions,
    /// Waiting time for more finer windows before a coarser one is computed.
    settle: SignedDuration,
}

/// One window of one outlet with its averages and whether they are news.
struct Computed {
    outlet: Arc<Outlet>,
    row: Averages,
}

impl Closer {
    /// Nothing is opened yet.
    pub fn new(shared: Shared, session: Session, settle: SignedDuration) -> Closer {
        Closer { shared, session, partitions: Partitions::default(), settle }
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

    /// Works through all lanes once. True when there may be more.
    async fn on_due(&mut self, now: Timestamp) -> Result<bool, Failure> {
        self.partitions.ensure_ahead(&mut self.session, now).await?;
        let mut more = false;
        for lane in 0..LANES {
            more |= self.on_lane(lane, now).await?;
        }
        let client = self.session.client().await?;
        let (waiting, _oldest) = due::backlog(client, now).await?;
        self.shared.meters.backlog(waiting);
        Ok(more)
    }

    /// One transaction: claim, compute, write, settle.
    async fn on_lane(&mut self, lane: i16, now: Timestamp) -> Result<bool, Failure> {
        let client = self.session.client().await?;
        bounded(client.batch_execute("BEGIN")).await?;
        let claim = due::claim(client, lane, now, CLAIM).await?;
        let Some(claim) = claim.filter(|claim| !claim.ids.is_empty()) else {
            bounded(client.batch_execute("COMMIT")).await?;
            return Ok(false);
        };
        // Partitions for old windows are made outside this transaction, or they would wait for it.
        let starts: Vec<Timestamp> = claim.windows.iter().map(|window| window.3).collect();
        if claim.windows.first().is_some_and(|window| average::is_wide(window.2)) {
            bounded(client.batch_execute("COMMIT")).await?;
            self.partitions.ensure(&mut self.session, Partitioned::AverageWide, starts.into_iter()).await?;
            let client = self.session.client().await?;
            bounded(client.batch_execute("BEGIN")).await?;
            let Some(claim) = due::claim(client, lane, now, CLAIM).await? else {
                bounded(client.batch_execute("COMMIT")).await?;
                return Ok(true);
            };
            return self.on_window(&claim, now).await;
        }
        self.on_window(&claim, now).await
    }

    /// The windows of one claim, to the end of its transaction.
    async fn on_window(&mut self, claim: &Claim, now: Timestamp) -> Result<bool, Failure> {
        let plant = Arc::clone(&self.shared.plant.borrow());
        let by_id: HashMap<i32, &Arc<Outlet>> =
            plant.outlets.iter().map(|outlet| (outlet.id, outlet)).collect();
        let client = self.session.client().await?;
        let windows: Vec<(Arc<Outlet>, average::Of, Window)> = claim
            .windows
            .iter()
            .filter_map(|(outlet_id, source_id, period, start)| {
                let outlet = Arc::clone(by_id.get(outlet_id)?);
                Some((
                    outlet,
                    (*outlet_id, *source_id),
                    Window::containing(*period, *start, &self.shared.zone),
                ))
            })
            .collect();
        let computed = match windows.first().map(|window| window.2.period) {
            None => Vec::new(),
            Some(AveragingPeriod::Minute) => minutes(client, &windows, &self.shared).await?,
            Some(period) => coarser(client, &windows, period, &self.shared).await?,
        };
        let changed = news(client, computed).await?;
        self.shared.meters.windows(windows.len(), changed.len());
        let rows: Vec<Averages> = changed.iter().map(|computed| computed.row.clone()).collect();
        average::store(client, &rows, now).await?;
        let alerts = verdicts(client, &changed, &self.shared, now).await?;
        due::append_in(client, &dues(&changed, &self.shared, self.settle, now)).await?;
        due::settle(client, claim).await?;
        bounded(client.batch_execute("COMMIT")).await?;
        if alerts > 0 {
            self.shared.outbox.notify_waiters();
        }
        Ok(true)
    }
}

/// The coarser windows that changed ones belong to. `settle`: how long after its end a window waits for its last part.
fn dues(changed: &[Computed], shared: &Shared, settle: SignedDuration, now: Timestamp) -> Vec<Due> {
    let mut dues: BTreeMap<(average::Of, AveragingPeriod, Timestamp), Timestamp> = BTreeMap::new();
    for Computed { row, .. } in changed {
        for period in built_on(row.window.period).filter(|period| PERIODS.contains(period)) {
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
    windows: &[(Arc<Outlet>, average::Of, Window)],
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
        .map(|(outlet, of, window)| {
            let scans = scans.get(&(*of, window.start)).map_or(&[] as &[StoredScan], Vec::as_slice);
            let channels = average_scans(*window, outlet, scans, shared.regime);
            Computed {
                outlet: Arc::clone(outlet),
                row: Averages { of: *of, window: *window, revision: 1, channels },
            }
        })
        .collect())
}

/// Hours and longer, from the latest revisions of the next lower level.
async fn coarser(
    client: &tokio_postgres::Client,
    windows: &[(Arc<Outlet>, average::Of, Window)],
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
        .map(|(outlet, of, window)| {
            let parts: BTreeMap<Timestamp, Vec<ChannelAverage>> = latest
                .get(of)
                .unwrap_or(&none)
                .range(window.start..window.end)
                .map(|(start, (_, channels))| (*start, channels.clone()))
                .collect();
            let expected = u32::try_from(window.parts(&shared.zone).len()).unwrap_or(0);
            let channels = average_windows(*window, outlet, &parts, (shared.regime, expected));
            Computed {
                outlet: Arc::clone(outlet),
                row: Averages { of: *of, window: *window, revision: 1, channels },
            }
        })
        .collect())
}

/// Those whose figures differ from the latest stored revision, numbered as the next one.
async fn news(client: &tokio_postgres::Client, computed: Vec<Computed>) -> Result<Vec<Computed>, Failure> {
    let Some(period) = computed.first().map(|computed| computed.row.window.period) else {
        return Ok(computed);
    };
    let spans: Vec<(average::Of, Timestamp, Timestamp)> =
        computed.iter().map(|one| (one.row.of, one.row.window.start, one.row.window.end)).collect();
    let latest = average::latest(client, period, &spans).await?;
    Ok(computed
        .into_iter()
        .filter_map(|mut one| {
            let stored = latest.get(&one.row.of).and_then(|starts| starts.get(&one.row.window.start));
            if let Some((revision, channels)) = stored {
                if *channels == one.row.channels {
                    return None;
                }
                one.row.revision = revision + 1;
            }
            Some(one)
        })
        .collect())
}

/// Judges changed windows by every rule in force; moves episodes; gives the number of alerts.
async fn verdicts(
    client: &tokio_postgres::Client,
    changed: &[Computed],
    shared: &Shared,
    now: Timestamp,
) -> Result<usize, Failure> {
    let mut rows = Vec::new();
    let mut seen = Vec::new();
    for one in changed.iter().filter(|one| one.row.of.1 == SOURCE) {
        let window = one.row.window;
        for position in 0..one.outlet.channels.len() {
            for rule in rules_for(&one.outlet, position, window) {
                let verdict = judge(rule, &one.outlet, (window, position), &one.row.channels, &mut Unwatched);
                let revision = one.row.revision;
                rows.push(NewVerdict {
                    of: one.row.of,
                    position,
                    window,
                    revision,
                    rule_id: rule.id,
                    verdict,
                });
                seen.extend(sighting(one, position, rule, &verdict));
            }
        }
    }
    average::store_verdicts(client, &rows).await?;
    let (old, live): (Vec<(Window, Sighting)>, Vec<(Window, Sighting)>) =
        seen.into_iter().partition(|(window, _)| now.duration_since(window.end) > HISTORY);
    for (window, sighting) in old.iter().filter(|(_, sighting)| sighting.observation.above) {
        record_historical(client, sighting, window.end, now).await?;
    }
    let live = live.into_iter().map(|(_, sighting)| sighting).collect();
    let moved = observe(client, live, WINDOW, now).await?;
    shared.open.moved(&[], &moved.ended);
    Ok(moved.alerts)
}

/// What a verdict says to episodes; a window that was not judged says nothing.
fn sighting(one: &Computed, position: usize, rule: &Rule, verdict: &Verdict) -> Option<(Window, Sighting)> {
    let above = match verdict.outcome {
        Outcome::Exceeded => true,
        Outcome::Met => false,
        Outcome::NotValid | Outcome::NotConvertible => return None,
    };
    let window = one.row.window;
    let average = one.row.channels.get(position)?;
    let mut alert = Alert::new(AlertKind::Exceedance, window.start, window.start);
    describe(&mut alert, &one.outlet, position, rule);
    alert.measured = average.measured;
    alert.oxygen = oxygen_of(&one.outlet, &one.row.channels);
    alert.corrected = verdict.corrected;
    alert.ratio_over = verdict.ratio_over;
    alert.summary = format!("{} mean: {}", window.period.name(), alert.value_summary());
    let key = Key {
        outlet_id: one.outlet.id,
        position: i16::try_from(position).ok()?,
        rule_id: rule.id,
        kind: AlertKind::Exceedance,
        subject: String::new(),
    };
    let observation = Observation { at: window.start, value: verdict.corrected?, above };
    Some((window, Sighting { key, observation, limit: Some(verdict.limit), alert }))
}

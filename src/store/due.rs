//! Windows that are to be (re)computed. Ingest only appends, in the transaction of what it stores; a closer reads rows that
//! are due and deletes exactly those that it read. So a scan that commits after a closer's claim is named by a row of its own.
//!
//! A row names all outlets of a lane whose windows of one time a transaction has touched: at full speed thirty rows instead of two
//! thousand.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use tokio_postgres::{Client, GenericClient, Statement};

use crate::domain::limit::AveragingPeriod;
use crate::store::session::{Failure, bounded, execute, query, query_one};

/// Outlets are spread over lanes; one closer at a time works on a lane.
pub const LANES: i16 = 16;

/// One window of one outlet that is to be computed at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Due {
    pub outlet_id: i32,
    pub source_id: i16,
    pub period: AveragingPeriod,
    pub start: Timestamp,
    pub due_at: Timestamp,
}

/// A period's number in tables.
pub const fn period_id(period: AveragingPeriod) -> i16 {
    match period {
        AveragingPeriod::Minute => 0,
        AveragingPeriod::FiveMinutes => 1,
        AveragingPeriod::TenMinutes => 2,
        AveragingPeriod::HalfHour => 3,
        AveragingPeriod::Hour => 4,
        AveragingPeriod::Day => 5,
        AveragingPeriod::Month => 6,
        AveragingPeriod::Quarter => 7,
        AveragingPeriod::Year => 8,
    }
}

/// The reverse of [`period_id`].
pub fn period_of(id: i16) -> Option<AveragingPeriod> {
    AveragingPeriod::ALL.into_iter().find(|period| period_id(*period) == id)
}

/// The lane of an outlet.
pub fn lane(outlet_id: i32) -> i16 {
    i16::try_from(outlet_id.rem_euclid(i32::from(LANES))).unwrap_or(0)
}

pub(super) const APPEND: &str = "INSERT INTO due (lane, source_id, period, start, due_at, outlets) \
    SELECT t.lane, t.source_id, t.period, t.start, t.due_at, ($6::int[])[t.low:t.high] \
    FROM unnest($1::smallint[], $2::smallint[], $3::smallint[], $4::timestamptz[], $5::timestamptz[], $7::int[], $8::int[]) \
    AS t (lane, source_id, period, start, due_at, low, high)";

const APPEND_NEW: &str = "INSERT INTO due (lane, source_id, period, start, due_at, outlets) \
    SELECT n.* FROM unnest($1::smallint[], $2::smallint[], $3::smallint[], $4::timestamptz[], $5::timestamptz[], $7::int[], $8::int[]) \
    AS t (lane, source_id, period, start, due_at, low, high) CROSS JOIN LATERAL (SELECT t.lane, t.source_id, t.period, t.start, t.due_at, \
    ARRAY(SELECT unnest(($6::int[])[t.low:t.high]) EXCEPT SELECT unnest(d.outlets) FROM due d WHERE d.lane = t.lane AND d.period = t.period \
    AND d.due_at = t.due_at AND d.source_id = t.source_id AND d.start = t.start) AS outlets) n WHERE n.outlets <> '{}'";

/// Lane, source, period, start, time: what the outlets of a row share.
type Shared = (i16, i16, i16, Timestamp, Timestamp);

/// Appends due rows; nothing is sent for none.
pub(super) async fn append(
    client: &Client,
    statement: &Statement,
    dues: &[Due],
) -> Result<(), tokio_postgres::Error> {
    if dues.is_empty() {
        return Ok(());
    }
    let mut rows: BTreeMap<Shared, BTreeSet<i32>> = BTreeMap::new();
    for due in dues {
        let shared = (lane(due.outlet_id), due.source_id, period_id(due.period), due.start, due.due_at);
        rows.entry(shared).or_default().insert(due.outlet_id);
    }
    let lanes: Vec<i16> = rows.keys().map(|row| row.0).collect();
    let sources: Vec<i16> = rows.keys().map(|row| row.1).collect();
    let periods: Vec<i16> = rows.keys().map(|row| row.2).collect();
    let starts: Vec<Timestamp> = rows.keys().map(|row| row.3).collect();
    let due_at: Vec<Timestamp> = rows.keys().map(|row| row.4).collect();
    let outlets: Vec<i32> = rows.values().flatten().copied().collect();
    let ends = rows.values().scan(0_i32, |end, outlets| {
        *end = end.saturating_add(i32::try_from(outlets.len()).unwrap_or(0));
        Some(*end)
    });
    let high: Vec<i32> = ends.collect();
    let low: Vec<i32> = std::iter::once(1).chain(high.iter().map(|end| end + 1)).take(high.len()).collect();
    client
        .execute(statement, &[&lanes, &sources, &periods, &starts, &due_at, &outlets, &low, &high])
        .await
        .map(|_rows| ())
}

/// Appends due rows, whoever works on the lanes: what is named once more is computed once more.
///
/// # Errors
/// [`Failure`] when the database does not take them.
pub async fn append_all(client: &Client, dues: &[Due]) -> Result<(), Failure> {
    let statement = bounded(client.prepare(APPEND)).await?;
    bounded(append(client, &statement, dues)).await
}

/// Appends due rows within the caller's transaction, which holds the lanes' locks: so no closer works on them, and a window
/// that waits for the same moment need not be named twice.
///
/// # Errors
/// [`Failure`] when the database does not take them.
pub async fn append_in(client: &Client, dues: &[Due]) -> Result<(), Failure> {
    let statement = bounded(client.prepare(APPEND_NEW)).await?;
    bounded(append(client, &statement, dues)).await
}

/// One due row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub id: i64,
    pub outlets: Vec<i32>,
    pub source_id: i16,
    pub period: AveragingPeriod,
    pub start: Timestamp,
}

/// What one claim took: rows of one period.
#[derive(Debug, Default)]
pub struct Claim {
    pub rows: Vec<Row>,
    /// The plant's revision at the claim: by an older plant nothing of it may be computed.
    pub revision: i64,
}

impl Claim {
    /// The windows that the rows name, each once, at most so many.
    pub fn windows(&self, most: usize) -> BTreeSet<(Timestamp, i32, i16)> {
        let all = self
            .rows
            .iter()
            .flat_map(|row| row.outlets.iter().map(|outlet_id| (row.start, *outlet_id, row.source_id)));
        let all: BTreeSet<(Timestamp, i32, i16)> = all.collect();
        if all.len() > most { all.into_iter().take(most).collect() } else { all }
    }
}

/// Of the shortest period that has any, the oldest times that are due, with all their rows that are due: a window is computed once, however
/// often it was named. So many times that their rows name about so many windows, and one at least. A time of which more has just come
/// waits until nothing more does ($4: rows due by then are such), but not when something of it has waited since $5.
///
/// One pass over the rows, without a join: at the worst a lane has a week of minutes of one outlet. No more than 20,000 are looked at.
const CLAIM: &str = "WITH d AS (SELECT id, outlets, source_id, period, start, due_at FROM due WHERE lane = $1 \
    AND period = (SELECT period FROM due WHERE lane = $1 AND due_at <= $2 ORDER BY period LIMIT 1) \
    AND due_at <= greatest($2, $4) ORDER BY due_at LIMIT 20000), \
    g AS (SELECT d.*, min(due_at) OVER w AS oldest, max(due_at) OVER w AS newest FROM d WINDOW w AS (PARTITION BY source_id, start)), \
    r AS (SELECT g.*, sum(cardinality(outlets)) OVER (ORDER BY start, source_id) - sum(cardinality(outlets)) OVER (PARTITION BY start, source_id) \
    AS before FROM g WHERE due_at <= $2 AND (newest <= $2 OR oldest <= $5)) \
    SELECT id, outlets, source_id, period, start FROM r WHERE before < $3";

/// No window waits longer for more of the same time.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(30);

const LOCK: &str = "SELECT pg_try_advisory_xact_lock(826401, $1::int)";

/// Within the caller's transaction: locks the lane against other closers until its end and reads the rows of one period
/// (the shortest that has any) that are due. Times of which more came within the last `debounce` wait a little. `None` when another
/// closer has the lane.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn claim(
    client: &Client,
    lane: i16,
    (now, debounce): (Timestamp, SignedDuration),
    most: i64,
) -> Result<Option<Claim>, Failure> {
    let lock = query_one(client, LOCK, &[&i32::from(lane)]).await?;
    if !lock.get::<_, bool>(0) {
        return Ok(None);
    }
    let query = query(client, CLAIM, &[&lane, &now, &most, &(now + debounce), &(now - LONGEST_WAIT)]).await;
    let row = |row: &tokio_postgres::Row| {
        let period = period_of(row.get(3))?;
        Some(Row { id: row.get(0), outlets: row.get(1), source_id: row.get(2), period, start: row.get(4) })
    };
    let rows: Vec<Row> = query?.iter().filter_map(row).collect();
    if rows.is_empty() {
        return Ok(Some(Claim::default()));
    }
    // After the rows: whatever saved a row that was read has its revision here.
    let revision = query_one(client, "SELECT revision FROM plant_revision", &[]).await?.get(0);
    Ok(Some(Claim { rows, revision }))
}

/// Within the caller's transaction: waits until no closer works on any outlet, and keeps them from it until the end. Whoever changes what
/// windows are computed by, and names those that stand, must not overlap one that is being computed.
///
/// # Errors
/// [`Failure`] when the database does not answer, or a closer works for longer than the session's time-outs.
pub async fn hold_lanes(client: &impl GenericClient) -> Result<(), Failure> {
    let sql =
        "SELECT pg_advisory_xact_lock(826401, lane) FROM generate_series(0, $1::int - 1) lane ORDER BY lane";
    bounded(client.query(sql, &[&i32::from(LANES)])).await.map(|_rows| ())
}

/// Takes what was computed out of the rows that a claim read, within the same transaction: a row that names nothing else is deleted.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn settle(
    client: &Client,
    claim: &Claim,
    is_done: impl Fn(Timestamp, i32, i16) -> bool,
) -> Result<(), Failure> {
    let mut whole: Vec<i64> = Vec::new();
    for row in &claim.rows {
        let (done, left): (Vec<i32>, Vec<i32>) =
            row.outlets.iter().partition(|outlet_id| is_done(row.start, **outlet_id, row.source_id));
        if left.is_empty() {
            whole.push(row.id);
        } else if !done.is_empty() {
            execute(client, "UPDATE due SET outlets = $2 WHERE id = $1", &[&row.id, &left]).await?;
        }
    }
    execute(client, "DELETE FROM due WHERE id = ANY ($1)", &[&whole]).await.map(|_rows| ())
}

/// Whether anything of an outlet is due.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn waits(client: &Client, outlet_id: i32, now: Timestamp) -> Result<bool, Failure> {
    let sql = "SELECT EXISTS (SELECT 1 FROM due WHERE lane = $1 AND $2 = ANY (outlets) AND due_at <= $3)";
    query_one(client, sql, &[&lane(outlet_id), &outlet_id, &now]).await.map(|row| row.get(0))
}

/// Makes every minute of `[from, to)` due that still has scans. What retention has dropped is never computed again. Gives the
/// number of minutes.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn again(
    client: &Client,
    outlet_id: i32,
    (from, to): (Timestamp, Timestamp),
) -> Result<u64, Failure> {
    let sql = "INSERT INTO due (lane, outlets, source_id, period, start, due_at) \
        SELECT DISTINCT $1::smallint, ARRAY[outlet_id], source_id, 0::smallint, date_trunc('minute', measured_at), now() FROM scan \
        WHERE outlet_id = $2 AND measured_at >= $3 AND measured_at < $4";
    execute(client, sql, &[&lane(outlet_id), &outlet_id, &from, &to]).await
}

/// How many windows wait, counted as often as they were named, and since when the oldest is overdue.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn backlog(client: &Client, now: Timestamp) -> Result<(i64, Option<Timestamp>), Failure> {
    let query = query_one(
        client,
        "SELECT coalesce(sum(cardinality(outlets)), 0), min(due_at) FROM due WHERE due_at <= $1",
        &[&now],
    )
    .await;
    query.map(|row| (row.get(0), row.get(1)))
}

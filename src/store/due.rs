//! Windows that are to be (re)computed. Ingest only appends, in the transaction of what it stores; a closer reads rows that
//! are due and deletes exactly those that it read. So a scan that commits after a closer's claim has a row of its own.

use jiff::Timestamp;
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

pub(super) const APPEND: &str = "INSERT INTO due (lane, outlet_id, source_id, period, start, due_at) \
    SELECT * FROM unnest($1::smallint[], $2::int[], $3::smallint[], $4::smallint[], $5::timestamptz[], $6::timestamptz[])";

const APPEND_NEW: &str = "INSERT INTO due (lane, outlet_id, source_id, period, start, due_at) \
    SELECT * FROM unnest($1::smallint[], $2::int[], $3::smallint[], $4::smallint[], $5::timestamptz[], $6::timestamptz[]) \
    AS t (lane, outlet_id, source_id, period, start, due_at) WHERE NOT EXISTS (SELECT 1 FROM due d WHERE d.lane = t.lane \
    AND d.period = t.period AND d.due_at = t.due_at AND d.outlet_id = t.outlet_id AND d.source_id = t.source_id AND d.start = t.start)";

/// Appends due rows; nothing is sent for none.
pub(super) async fn append(
    client: &Client,
    statement: &Statement,
    dues: &[Due],
) -> Result<(), tokio_postgres::Error> {
    if dues.is_empty() {
        return Ok(());
    }
    let lanes: Vec<i16> = dues.iter().map(|due| lane(due.outlet_id)).collect();
    let outlets: Vec<i32> = dues.iter().map(|due| due.outlet_id).collect();
    let sources: Vec<i16> = dues.iter().map(|due| due.source_id).collect();
    let periods: Vec<i16> = dues.iter().map(|due| period_id(due.period)).collect();
    let starts: Vec<Timestamp> = dues.iter().map(|due| due.start).collect();
    let due_at: Vec<Timestamp> = dues.iter().map(|due| due.due_at).collect();
    client.execute(statement, &[&lanes, &outlets, &sources, &periods, &starts, &due_at]).await.map(|_rows| ())
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub id: i64,
    pub outlet_id: i32,
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

/// The windows that are due of the shortest period that has any, and all their rows that are due: a window is computed once, however
/// often it was named.
const CLAIM: &str = "WITH p AS (SELECT period FROM due WHERE lane = $1 AND due_at <= $2 ORDER BY period LIMIT 1), \
    w AS (SELECT DISTINCT d.outlet_id, d.source_id, d.start FROM due d JOIN p USING (period) WHERE d.lane = $1 AND d.due_at <= $2 LIMIT $3) \
    SELECT d.id, d.outlet_id, d.source_id, d.period, d.start FROM due d JOIN p USING (period) JOIN w USING (outlet_id, source_id, start) \
    WHERE d.lane = $1 AND d.due_at <= $2";

const LOCK: &str = "SELECT pg_try_advisory_xact_lock(826401, $1::int)";

/// Within the caller's transaction: locks the lane against other closers until its end and reads the rows of one period
/// (the shortest that has any) that are due. `None` when another closer has the lane.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn claim(client: &Client, lane: i16, now: Timestamp, most: i64) -> Result<Option<Claim>, Failure> {
    let lock = query_one(client, LOCK, &[&i32::from(lane)]).await?;
    if !lock.get::<_, bool>(0) {
        return Ok(None);
    }
    let query = query(client, CLAIM, &[&lane, &now, &most]).await;
    let row = |row: &tokio_postgres::Row| {
        let period = period_of(row.get(3))?;
        Some(Row { id: row.get(0), outlet_id: row.get(1), source_id: row.get(2), period, start: row.get(4) })
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

/// Deletes rows that a claim read, within the same transaction.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn settle(client: &Client, ids: &[i64]) -> Result<(), Failure> {
    execute(client, "DELETE FROM due WHERE id = ANY ($1)", &[&ids]).await.map(|_rows| ())
}

/// Whether anything of an outlet is due.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn waits(client: &Client, outlet_id: i32, now: Timestamp) -> Result<bool, Failure> {
    let sql = "SELECT EXISTS (SELECT 1 FROM due WHERE lane = $1 AND outlet_id = $2 AND due_at <= $3)";
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
    let sql = "INSERT INTO due (lane, outlet_id, source_id, period, start, due_at) \
        SELECT DISTINCT $1::smallint, outlet_id, source_id, 0::smallint, date_trunc('minute', measured_at), now() FROM scan \
        WHERE outlet_id = $2 AND measured_at >= $3 AND measured_at < $4";
    execute(client, sql, &[&lane(outlet_id), &outlet_id, &from, &to]).await
}

/// How many rows wait, and since when the oldest is overdue.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn backlog(client: &Client, now: Timestamp) -> Result<(i64, Option<Timestamp>), Failure> {
    let query = query_one(client, "SELECT count(*), min(due_at) FROM due WHERE due_at <= $1", &[&now]).await;
    query.map(|row| (row.get(0), row.get(1)))
}

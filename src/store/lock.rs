//! Submitted periods: hours and longer that begin in one do not change until it is reopened. What they would be now is kept beside
//! them, so that the difference is seen.

use std::collections::HashMap;

use jiff::Timestamp;
use tokio_postgres::{Client, GenericClient, Transaction};

use crate::domain::times::Times;
use crate::store::average::Averages;
use crate::store::due::{hold_lanes, period_id};
use crate::store::session::{Failure, bounded, execute, query};

/// One period of one outlet that was submitted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Lock {
    pub id: i64,
    pub outlet: String,
    pub from: Timestamp,
    pub until: Timestamp,
    pub locked_at: Timestamp,
    pub locked_by: String,
    pub reason: String,
    pub reopened_at: Option<Timestamp>,
    pub reopened_by: Option<String>,
    pub reopen_reason: Option<String>,
}

/// The submitted times of some outlets that touch `[from, until)` and are not reopened.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn of_outlets(
    client: &Client,
    outlets: &[i32],
    (from, until): (Timestamp, Timestamp),
) -> Result<HashMap<i32, Vec<Times>>, Failure> {
    let sql = "SELECT outlet_id, locked_from, locked_until FROM period_lock WHERE outlet_id = ANY ($1) AND reopened_at IS NULL \
        AND locked_from < $3 AND locked_until > $2";
    let mut found: HashMap<i32, Vec<Times>> = HashMap::new();
    for row in query(client, sql, &[&outlets, &from, &until]).await? {
        let times = Times { from: row.get(1), until: Some(row.get(2)) };
        found.entry(row.get(0)).or_default().push(times);
    }
    Ok(found)
}

/// Keeps what locked windows would be now; replaces what was kept of them before.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn differ(client: &Client, rows: &[Averages], now: Timestamp) -> Result<(), Failure> {
    agree(client, rows).await?;
    let sql = "INSERT INTO locked_row (outlet_id, source_id, position, period, start, seen_at, status, flag, valid, n_valid, n_expected, \
        measured, standard, dry, corrected, minimum, maximum, mass_mg) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
        $15, $16, $17, $18)";
    for row in rows {
        for (position, average) in row.channels.iter().enumerate() {
            let count = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
            let params: [&(dyn tokio_postgres::types::ToSql + Sync); 18] = [
                &row.of.0,
                &row.of.1,
                &i16::try_from(position).unwrap_or(i16::MAX),
                &period_id(row.window.period),
                &row.window.start,
                &now,
                &average.status.letter().to_string(),
                &average.flag.letter().to_string(),
                &average.valid,
                &count(average.n_valid),
                &count(average.n_expected),
                &average.measured,
                &average.standard,
                &average.dry,
                &average.corrected,
                &average.min,
                &average.max,
                &average.mass_mg,
            ];
            execute(client, sql, &params).await?;
        }
    }
    Ok(())
}

/// These windows are as they were submitted.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn agree(client: &Client, rows: &[Averages]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql = "DELETE FROM locked_row d USING unnest($1::int[], $2::smallint[], $3::smallint[], $4::timestamptz[]) \
        AS t (outlet_id, source_id, period, start) WHERE (d.outlet_id, d.source_id, d.period, d.start) = (t.outlet_id, t.source_id, t.period, t.start)";
    let outlets: Vec<i32> = rows.iter().map(|row| row.of.0).collect();
    let sources: Vec<i16> = rows.iter().map(|row| row.of.1).collect();
    let periods: Vec<i16> = rows.iter().map(|row| period_id(row.window.period)).collect();
    let starts: Vec<Timestamp> = rows.iter().map(|row| row.window.start).collect();
    execute(client, sql, &[&outlets, &sources, &periods, &starts]).await.map(|_rows| ())
}

/// Who does it and why.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    pub by: &'a str,
    pub reason: &'a str,
    pub at: Timestamp,
}

/// Locks a period. `None` when part of it is locked already, or the outlet is not known; nothing is locked then.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn lock(
    client: &mut Client,
    outlet: &str,
    (from, until): (Timestamp, Timestamp),
    act: Act<'_>,
) -> Result<Option<i64>, Failure> {
    let transaction = bounded(client.transaction()).await?;
    exclusively(&transaction).await?;
    let sql = "INSERT INTO period_lock (outlet_id, locked_from, locked_until, locked_at, locked_by, reason) \
        SELECT o.id, $2, $3, $4, $5, $6 FROM outlet o WHERE o.code = $1 AND NOT EXISTS (SELECT 1 FROM period_lock l \
        WHERE l.outlet_id = o.id AND l.reopened_at IS NULL AND l.locked_from < $3 AND l.locked_until > $2) RETURNING id";
    let row =
        bounded(transaction.query_opt(sql, &[&outlet, &from, &until, &act.at, &act.by, &act.reason])).await?;
    bounded(transaction.commit()).await?;
    Ok(row.map(|row| row.get(0)))
}

/// Reopens a locked period and makes every window of it due. False when there is no such open lock.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn reopen(client: &mut Client, id: i64, act: Act<'_>) -> Result<bool, Failure> {
    let transaction = bounded(client.transaction()).await?;
    exclusively(&transaction).await?;
    let sql = "UPDATE period_lock SET reopened_at = $2, reopened_by = $3, reopen_reason = $4 WHERE id = $1 AND reopened_at IS NULL \
        RETURNING outlet_id, locked_from, locked_until";
    let Some(row) = bounded(transaction.query_opt(sql, &[&id, &act.at, &act.by, &act.reason])).await? else {
        return Ok(false);
    };
    let (outlet_id, from, until): (i32, Timestamp, Timestamp) = (row.get(0), row.get(1), row.get(2));
    // All that stands in it, and what would stand in it had it not been locked.
    let due = "INSERT INTO due (lane, outlets, source_id, period, start, due_at) \
        SELECT DISTINCT (outlet_id % 16)::smallint, ARRAY[outlet_id], source_id, period, start, $4::timestamptz FROM (\
        SELECT outlet_id, source_id, period, start FROM average_long WHERE outlet_id = $1 AND source_id = 1 AND start >= $2 AND start < $3 \
        UNION SELECT outlet_id, source_id, period, start FROM locked_row WHERE outlet_id = $1 AND start >= $2 AND start < $3) w";
    bounded(transaction.execute(due, &[&outlet_id, &from, &until, &act.at])).await?;
    let forget = "DELETE FROM locked_row WHERE outlet_id = $1 AND start >= $2 AND start < $3";
    bounded(transaction.execute(forget, &[&outlet_id, &from, &until])).await?;
    let reckon = "INSERT INTO reckoning_due (outlet_id, since, due_at) VALUES ($1, $2, $3)";
    bounded(transaction.execute(reckon, &[&outlet_id, &from, &act.at])).await?;
    bounded(transaction.commit()).await?;
    Ok(true)
}

async fn exclusively(transaction: &Transaction<'_>) -> Result<(), Failure> {
    let alone = "SET LOCAL lock_timeout = '10s'; LOCK TABLE period_lock IN SHARE ROW EXCLUSIVE MODE";
    bounded(transaction.batch_execute(alone)).await?;
    hold_lanes(transaction).await
}

/// Every lock, newest first, of one outlet or of all.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn list(client: &impl GenericClient, outlet: Option<&str>) -> Result<Vec<Lock>, Failure> {
    let sql = "SELECT l.id, o.code, l.locked_from, l.locked_until, l.locked_at, l.locked_by, l.reason, l.reopened_at, l.reopened_by, \
        l.reopen_reason FROM period_lock l JOIN outlet o ON o.id = l.outlet_id WHERE $1::text IS NULL OR o.code = $1 ORDER BY l.id DESC LIMIT 1000";
    let rows = bounded(client.query(sql, &[&outlet])).await?;
    Ok(rows
        .iter()
        .map(|row| Lock {
            id: row.get(0),
            outlet: row.get(1),
            from: row.get(2),
            until: row.get(3),
            locked_at: row.get(4),
            locked_by: row.get(5),
            reason: row.get(6),
            reopened_at: row.get(7),
            reopened_by: row.get(8),
            reopen_reason: row.get(9),
        })
        .collect())
}

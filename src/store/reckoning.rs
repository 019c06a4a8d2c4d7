//! Quarters of outlets: what a reckoning reads (hours, deliveries) and what it stores (substitutes, capture rates, efficiency), each
//! change as a new revision.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::domain::average::ChannelAverage;
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::Position;
use crate::domain::substitution::{Finality, Quarter, Substitute, Table};
use crate::store::average::channel_of_long;
use crate::store::due::period_id;
use crate::store::session::{Failure, execute, query};

/// Appends outlets whose quarters from a time on must be reckoned again; within the caller's transaction.
///
/// # Errors
/// [`Failure`] when the database does not take them.
pub async fn append(
    client: &Client,
    since: &BTreeMap<i32, Timestamp>,
    due_at: Timestamp,
) -> Result<(), Failure> {
    if since.is_empty() {
        return Ok(());
    }
    let outlets: Vec<i32> = since.keys().copied().collect();
    let from: Vec<Timestamp> = since.values().copied().collect();
    let sql = "INSERT INTO reckoning_due (outlet_id, since, due_at) SELECT o, s, $3 FROM unnest($1::int[], $2::timestamptz[]) AS t (o, s)";
    execute(client, sql, &[&outlets, &from, &due_at]).await.map(|_rows| ())
}

/// Names outlets whose last reckoning is older than today, and those whose quarter before this one is not final: they may have had nothing
/// that changed.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn append_silent(
    client: &Client,
    (before, quarter): (Timestamp, Timestamp),
    today: Timestamp,
    now: Timestamp,
) -> Result<(), Failure> {
    let sql = "INSERT INTO reckoning_due (outlet_id, since, due_at) SELECT o.id, CASE WHEN b.final THEN $2 ELSE $1 END, $4 FROM outlet o \
        CROSS JOIN LATERAL (SELECT coalesce(bool_and(NOT r.provisional), false) AS final FROM (SELECT DISTINCT ON (position) provisional \
        FROM capture_row c WHERE c.outlet_id = o.id AND c.start = $1 ORDER BY position, revision DESC) r) b \
        WHERE EXISTS (SELECT 1 FROM average_long a WHERE a.outlet_id = o.id AND a.source_id = 1 AND a.period = 4) \
        AND NOT EXISTS (SELECT 1 FROM reckoning_due d WHERE d.outlet_id = o.id) \
        AND NOT EXISTS (SELECT 1 FROM reckoned k WHERE k.outlet_id = o.id AND k.at >= $3)";
    execute(client, sql, &[&before, &quarter, &today, &now]).await.map(|_rows| ())
}

/// One outlet's claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub outlet_id: i32,
    pub since: Timestamp,
    ids: Vec<i64>,
    /// The plant's revision at the claim.
    pub revision: i64,
}

/// Within the caller's transaction: locks one outlet that is due against other reckoners and reads its rows.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn claim(client: &Client, now: Timestamp) -> Result<Option<Claim>, Failure> {
    let sql = "SELECT outlet_id FROM (SELECT DISTINCT outlet_id FROM reckoning_due WHERE due_at <= $1) d \
        WHERE pg_try_advisory_xact_lock(826402, outlet_id) LIMIT 1";
    let Some(outlet_id) = query(client, sql, &[&now]).await?.first().map(|row| row.get::<_, i32>(0)) else {
        return Ok(None);
    };
    let sql = "SELECT id, since, (SELECT revision FROM plant_revision) FROM reckoning_due WHERE outlet_id = $1 AND due_at <= $2";
    let rows = query(client, sql, &[&outlet_id, &now]).await?;
    let Some(since) = rows.iter().map(|row| row.get::<_, Timestamp>(1)).min() else { return Ok(None) };
    let revision = rows.iter().map(|row| row.get::<_, i64>(2)).max().unwrap_or(0);
    Ok(Some(Claim { outlet_id, since, ids: rows.iter().map(|row| row.get(0)).collect(), revision }))
}

/// Puts a claim off that could not be reckoned.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn postpone(client: &Client, claim: &Claim, due_at: Timestamp) -> Result<(), Failure> {
    let sql = "UPDATE reckoning_due SET due_at = $2 WHERE id = ANY ($1)";
    execute(client, sql, &[&claim.ids, &due_at]).await.map(|_rows| ())
}

/// Deletes the rows of a claim, within the same transaction, and notes that the outlet was reckoned.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn settle(client: &Client, claim: &Claim, now: Timestamp) -> Result<(), Failure> {
    let note = "INSERT INTO reckoned (outlet_id, at) VALUES ($1, $2) ON CONFLICT (outlet_id) DO UPDATE SET at = excluded.at";
    execute(client, note, &[&claim.outlet_id, &now]).await?;
    execute(client, "DELETE FROM reckoning_due WHERE id = ANY ($1)", &[&claim.ids]).await.map(|_rows| ())
}

/// The latest hours of some channels within `[from, until)`, by channel and start.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn hours(
    client: &Client,
    outlet_id: i32,
    positions: &[Position],
    (from, until): (Timestamp, Timestamp),
) -> Result<BTreeMap<(Position, Timestamp), ChannelAverage>, Failure> {
    let sql = "SELECT DISTINCT ON (position, start) outlet_id, source_id, start, revision, position, measured, standard, dry, corrected, \
        minimum, maximum, n_valid, n_expected, status, flag, valid, mass_mg FROM average_long WHERE outlet_id = $1 AND source_id = 1 \
        AND position = ANY ($2) AND period = $3 AND start >= $4 AND start < $5 ORDER BY position, start, revision DESC";
    let numbers: Vec<i16> = positions.iter().filter_map(|position| i16::try_from(*position).ok()).collect();
    let rows =
        query(client, sql, &[&outlet_id, &numbers, &period_id(AveragingPeriod::Hour), &from, &until]).await?;
    let of = |row: &tokio_postgres::Row| {
        let position = usize::try_from(row.get::<_, i16>(4)).unwrap_or_default();
        ((position, row.get(2)), channel_of_long(row))
    };
    Ok(rows.iter().map(of).collect())
}

/// When the first revision of each hour was made, that is when it had arrived, and when the first valid one was.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn arrivals(
    client: &Client,
    outlet_id: i32,
    positions: &[Position],
    (from, until): (Timestamp, Timestamp),
) -> Result<HashMap<(Position, Timestamp), Arrival>, Failure> {
    let sql = "SELECT position, start, min(made_at), min(made_at) FILTER (WHERE valid) FROM average_long WHERE outlet_id = $1 AND source_id = 1 AND position = ANY ($2) \
        AND period = $3 AND start >= $4 AND start < $5 GROUP BY position, start";
    let numbers: Vec<i16> = positions.iter().filter_map(|position| i16::try_from(*position).ok()).collect();
    let rows =
        query(client, sql, &[&outlet_id, &numbers, &period_id(AveragingPeriod::Hour), &from, &until]).await?;
    let of = |row: &tokio_postgres::Row| {
        let position = usize::try_from(row.get::<_, i16>(0)).unwrap_or_default();
        ((position, row.get(1)), Arrival { first: row.get(2), valid: row.get(3) })
    };
    Ok(rows.iter().map(of).collect())
}

/// When an hour had arrived, and when enough of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    pub first: Timestamp,
    pub valid: Option<Timestamp>,
}

/// Stores what changed of one channel's quarter: substitutes of the hours that `may_change` lets change, and the capture rate.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn store(
    client: &Client,
    (outlet_id, position): (i32, Position),
    (start, end): (Timestamp, Timestamp),
    (table, quarter): (&Table, &Quarter),
    (may_change, now): (impl Fn(Timestamp) -> bool, Timestamp),
) -> Result<(), Failure> {
    let position = i16::try_from(position).unwrap_or(i16::MAX);
    let provisional = quarter.finality == Finality::Provisional;
    let sql = "SELECT DISTINCT ON (start) start, revision, mass_mg, situation, from_hour, look_back, looked_back, gap_hours, provisional, method \
        FROM substitute_row WHERE outlet_id = $1 AND position = $2 AND start >= $3 AND start < $4 ORDER BY start, revision DESC";
    let mut stored: BTreeMap<Timestamp, (i32, Option<Written>)> = BTreeMap::new();
    for row in query(client, sql, &[&outlet_id, &position, &start, &end]).await? {
        stored.insert(row.get(0), (row.get(1), Written::of_row(&row)));
    }
    let mut wanted: BTreeMap<Timestamp, Option<Written>> =
        stored.keys().map(|start| (*start, None)).collect();
    for one in &quarter.substitutes {
        wanted.insert(one.start, Some(Written::of(one, table, provisional)));
    }
    let insert = "INSERT INTO substitute_row (outlet_id, position, start, revision, made_at, method, situation, mass_mg, from_hour, look_back, \
        looked_back, gap_hours, provisional) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    for (start, written) in wanted.into_iter().filter(|(start, _)| may_change(*start)) {
        let before = stored.get(&start);
        if before.map(|(_, written)| written) == Some(&written) || (before.is_none() && written.is_none()) {
            continue;
        }
        let revision = before.map_or(1, |(revision, _)| revision + 1);
        let written = written.as_ref();
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 13] = [
            &outlet_id,
            &position,
            &start,
            &revision,
            &now,
            &table.name,
            &written.map(|one| one.situation.as_str()),
            &written.map(|one| one.mass_mg),
            &written.map(|one| one.from_hour),
            &written.map(|one| one.look_back),
            &written.map(|one| one.looked_back),
            &written.map(|one| one.gap_hours),
            &written.map_or(provisional, |one| one.provisional),
        ];
        execute(client, insert, &params).await?;
    }
    if may_change(start) || may_change(end - jiff::SignedDuration::from_hours(1)) {
        store_capture(client, (outlet_id, position), start, quarter, now).await
    } else {
        Ok(())
    }
}

/// A substitute as its row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    mass_mg: i64,
    situation: String,
    from_hour: Timestamp,
    look_back: i32,
    looked_back: i32,
    gap_hours: i32,
    provisional: bool,
    method: String,
}

impl Written {
    fn of(one: &Substitute, table: &Table, provisional: bool) -> Written {
        Written {
            mass_mg: one.mass_mg,
            situation: one.situation.name().to_owned(),
            from_hour: one.from_hour,
            look_back: i32::try_from(one.look_back).unwrap_or(i32::MAX),
            looked_back: i32::try_from(one.looked_back).unwrap_or(i32::MAX),
            gap_hours: i32::try_from(one.gap_hours).unwrap_or(i32::MAX),
            provisional,
            method: table.name.to_owned(),
        }
    }

    fn of_row(row: &tokio_postgres::Row) -> Option<Written> {
        Some(Written {
            mass_mg: row.get::<_, Option<i64>>(2)?,
            situation: row.get::<_, Option<String>>(3)?,
            from_hour: row.get::<_, Option<Timestamp>>(4)?,
            look_back: row.get::<_, Option<i32>>(5)?,
            looked_back: row.get::<_, Option<i32>>(6)?,
            gap_hours: row.get::<_, Option<i32>>(7)?,
            provisional: row.get(8),
            method: row.get(9),
        })
    }
}

async fn store_capture(
    client: &Client,
    (outlet_id, position): (i32, i16),
    start: Timestamp,
    quarter: &Quarter,
    now: Timestamp,
) -> Result<(), Failure> {
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let capture = quarter.capture;
    let sql = "INSERT INTO capture_row (outlet_id, position, start, revision, made_at, hours, stopped, invalid, without_substitute, provisional) \
        SELECT $1, $2, $3, coalesce(l.revision, 0) + 1, $4, $5, $6, $7, $8, $9 FROM (SELECT 1) one LEFT JOIN LATERAL (SELECT * FROM capture_row c \
        WHERE c.outlet_id = $1 AND c.position = $2 AND c.start = $3 ORDER BY c.revision DESC LIMIT 1) l ON true \
        WHERE (l.hours, l.stopped, l.invalid, l.without_substitute, l.provisional) IS DISTINCT FROM ($5::bigint, $6::bigint, $7::bigint, $8::bigint, $9::boolean)";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 9] = [
        &outlet_id,
        &position,
        &start,
        &now,
        &signed(capture.hours),
        &signed(capture.stopped),
        &signed(capture.invalid),
        &i64::try_from(quarter.without.len()).unwrap_or(i64::MAX),
        &(quarter.finality == Finality::Provisional),
    ];
    execute(client, sql, &params).await.map(|_rows| ())
}

/// A month's or quarter's transmission efficiency, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EfficiencyRow {
    pub outlet_id: i32,
    /// Minus the number of the rule's entry.
    pub rule_id: i32,
    pub period: AveragingPeriod,
    pub start: Timestamp,
    pub expected: u64,
    pub transmitted: u64,
    pub valid: u64,
    pub passes: Option<bool>,
    pub provisional: bool,
}

/// Stores it as a new revision, when it differs from the latest.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn store_efficiency(client: &Client, row: &EfficiencyRow, now: Timestamp) -> Result<(), Failure> {
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let sql = "INSERT INTO efficiency_row (outlet_id, rule_id, period, start, revision, made_at, expected, transmitted, valid, passes, provisional) \
        SELECT $1, $2, $3, $4, coalesce(l.revision, 0) + 1, $5, $6, $7, $8, $9, $10 FROM (SELECT 1) one LEFT JOIN LATERAL (SELECT * FROM efficiency_row e \
        WHERE e.outlet_id = $1 AND e.rule_id = $2 AND e.period = $3 AND e.start = $4 ORDER BY e.revision DESC LIMIT 1) l ON true \
        WHERE (l.expected, l.transmitted, l.valid, l.passes, l.provisional) IS DISTINCT FROM ($6::bigint, $7::bigint, $8::bigint, $9::boolean, $10::boolean)";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 10] = [
        &row.outlet_id,
        &row.rule_id,
        &period_id(row.period),
        &row.start,
        &now,
        &signed(row.expected),
        &signed(row.transmitted),
        &signed(row.valid),
        &row.passes,
        &row.provisional,
    ];
    execute(client, sql, &params).await.map(|_rows| ())
}

//! How far months and quarters have come: verdicts that assessments count, capture rates, transmission efficiency. Of many outlets at
//! once; reading only.

use std::collections::HashMap;

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::domain::assessment::Counted;
use crate::domain::capture::Capture;
use crate::domain::exceedance::Outcome;
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::Position;
use crate::store::due::period_id;
use crate::store::session::{Failure, query};

/// Verdicts of one rule on windows of one period within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub outlet_id: i32,
    /// Versions of a rule are wanted one by one.
    pub rule_id: i32,
    pub period: AveragingPeriod,
    pub from: Timestamp,
    pub until: Timestamp,
    /// What began from then on is counted apart as well.
    pub lately: Timestamp,
}

/// What was counted so far, and of it lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Judged {
    pub so_far: Counted,
    pub lately: Counted,
}

/// The latest verdicts counted, by the index of what is wanted and the channel's position.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn judged(
    client: &Client,
    wanted: &[Wanted],
) -> Result<HashMap<(usize, Position), Judged>, Failure> {
    let mut found: HashMap<(usize, Position), Judged> = HashMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let sql = "SELECT t.number, v.position, v.outcome, count(*), count(*) FILTER (WHERE v.start >= t.lately) \
        FROM unnest($1::int[], $2::int[], $3::smallint[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[]) WITH ORDINALITY \
        AS t (outlet_id, rule_id, period, low, high, lately, number) CROSS JOIN LATERAL (SELECT DISTINCT ON (w.position, w.start) w.* \
        FROM verdict_row w WHERE w.outlet_id = t.outlet_id AND w.source_id = 1 AND w.rule_id = t.rule_id AND w.period = t.period \
        AND w.start >= t.low AND w.start < t.high ORDER BY w.position, w.start, w.revision DESC OFFSET 0) v GROUP BY 1, 2, 3";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 6] = [
        &wanted.iter().map(|one| one.outlet_id).collect::<Vec<i32>>(),
        &wanted.iter().map(|one| one.rule_id).collect::<Vec<i32>>(),
        &wanted.iter().map(|one| period_id(one.period)).collect::<Vec<i16>>(),
        &wanted.iter().map(|one| one.from).collect::<Vec<Timestamp>>(),
        &wanted.iter().map(|one| one.until).collect::<Vec<Timestamp>>(),
        &wanted.iter().map(|one| one.lately).collect::<Vec<Timestamp>>(),
    ];
    for row in query(client, sql, &params).await? {
        let Some(outcome) = Outcome::from_name(row.get(2)) else { continue };
        let Ok(index) = usize::try_from(row.get::<_, i64>(0) - 1) else { continue };
        let Ok(position) = Position::try_from(row.get::<_, i16>(1)) else { continue };
        let judged = found.entry((index, position)).or_default();
        judged.so_far.add(outcome, counted(&row, 3));
        judged.lately.add(outcome, counted(&row, 4));
    }
    Ok(found)
}

fn counted(row: &tokio_postgres::Row, column: usize) -> u64 {
    u64::try_from(row.get::<_, i64>(column)).unwrap_or(0)
}

/// The latest capture rates of a quarter that goes on, by outlet and channel.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn captures(
    client: &Client,
    outlets: &[i32],
    quarter: Timestamp,
) -> Result<HashMap<(i32, Position), Capture>, Failure> {
    let sql = "SELECT * FROM (SELECT DISTINCT ON (outlet_id, position) outlet_id, position, hours, stopped, invalid, provisional FROM capture_row \
        WHERE outlet_id = ANY ($1) AND start = $2 ORDER BY outlet_id, position, revision DESC) l WHERE provisional";
    let of = |row: &tokio_postgres::Row| {
        let position = Position::try_from(row.get::<_, i16>(1)).ok()?;
        let capture = Capture { hours: counted(row, 2), stopped: counted(row, 3), invalid: counted(row, 4) };
        Some(((row.get(0), position), capture))
    };
    Ok(query(client, sql, &[&outlets, &quarter]).await?.iter().filter_map(of).collect())
}

/// Hours of a month or quarter that were expected, and those of them that were transmitted in time and valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transmitted {
    pub expected: u64,
    pub valid: u64,
}

/// The latest efficiencies of a window that goes on, by outlet and number of the rule's entry (negative).
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn transmitted(
    client: &Client,
    outlets: &[i32],
    (period, start): (AveragingPeriod, Timestamp),
) -> Result<HashMap<(i32, i32), Transmitted>, Failure> {
    let sql = "SELECT * FROM (SELECT DISTINCT ON (outlet_id, rule_id) outlet_id, rule_id, expected, valid, provisional FROM efficiency_row \
        WHERE outlet_id = ANY ($1) AND period = $2 AND start = $3 ORDER BY outlet_id, rule_id, revision DESC) l WHERE provisional";
    let of = |row: &tokio_postgres::Row| {
        let found = Transmitted { expected: counted(row, 2), valid: counted(row, 3) };
        ((row.get(0), row.get(1)), found)
    };
    Ok(query(client, sql, &[&outlets, &period_id(period), &start]).await?.iter().map(of).collect())
}

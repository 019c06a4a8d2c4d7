//! Verdicts: one row for each window, channel and rule, and a new revision for each change.

use std::collections::HashMap;

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::domain::assessment::Counted;
use crate::domain::exceedance::{Outcome, Verdict};
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::Position;
use crate::domain::window::Window;
use crate::store::average::Of;
use crate::store::due::period_id;
use crate::store::session::{Failure, execute, query};

/// What a verdict is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerdictKey {
    pub of: Of,
    /// -1: the outlet as a whole.
    pub position: i16,
    pub window: Window,
    /// Negative: an entry of the law's lists.
    pub rule_id: i32,
}

impl VerdictKey {
    /// A position as tables have it.
    pub fn position_of(position: Option<Position>) -> i16 {
        position.map_or(-1, |position| i16::try_from(position).unwrap_or(i16::MAX))
    }
}

/// One verdict ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewVerdict {
    pub key: VerdictKey,
    pub revision: i32,
    pub verdict: Verdict,
    pub remark: Option<String>,
}

/// A stored verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub revision: i32,
    pub verdict: Verdict,
    pub remark: Option<String>,
}

/// The latest stored verdicts of these windows, with their revision.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn latest(
    client: &Client,
    windows: &[(Of, Window)],
) -> Result<HashMap<VerdictKey, Stored>, Failure> {
    let outlets: Vec<i32> = windows.iter().map(|(of, _)| of.0).collect();
    let sources: Vec<i16> = windows.iter().map(|(of, _)| of.1).collect();
    let periods: Vec<i16> = windows.iter().map(|(_, window)| period_id(window.period)).collect();
    let starts: Vec<Timestamp> = windows.iter().map(|(_, window)| window.start).collect();
    let sql = "SELECT t.number, v.position, v.rule_id, v.revision, v.outcome, v.corrected, v.limit_mg_m3, v.ratio_over, v.remark \
        FROM unnest($1::int[], $2::smallint[], $3::smallint[], $4::timestamptz[]) WITH ORDINALITY \
        AS t (outlet_id, source_id, period, start, number) CROSS JOIN LATERAL (SELECT DISTINCT ON (w.position, w.rule_id) w.* \
        FROM verdict_row w WHERE w.outlet_id = t.outlet_id AND w.source_id = t.source_id AND w.period = t.period AND w.start = t.start \
        ORDER BY w.position, w.rule_id, w.revision DESC OFFSET 0) v";
    let mut found = HashMap::new();
    for row in query(client, sql, &[&outlets, &sources, &periods, &starts]).await? {
        let number = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX);
        let (Some((of, window)), Some(outcome)) = (windows.get(number), Outcome::from_name(row.get(4)))
        else {
            continue;
        };
        let key = VerdictKey { of: *of, position: row.get(1), window: *window, rule_id: row.get(2) };
        let verdict = Verdict { outcome, corrected: row.get(5), limit: row.get(6), ratio_over: row.get(7) };
        found.insert(key, Stored { revision: row.get(3), verdict, remark: row.get(8) });
    }
    Ok(found)
}

/// Stores verdicts, within the caller's transaction.
///
/// # Errors
/// [`Failure`] when the database does not take them.
pub async fn store(client: &Client, rows: &[NewVerdict]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO verdict_row (outlet_id, source_id, position, period, revision, rule_id, start, outcome, corrected, limit_mg_m3, ratio_over, remark) \
        SELECT * FROM unnest($1::int[], $2::smallint[], $3::smallint[], $4::smallint[], $5::int[], $6::int[], $7::timestamptz[], $8::text[], \
        $9::float8[], $10::float8[], $11::float8[], $12::text[])";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 12] = [
        &rows.iter().map(|row| row.key.of.0).collect::<Vec<i32>>(),
        &rows.iter().map(|row| row.key.of.1).collect::<Vec<i16>>(),
        &rows.iter().map(|row| row.key.position).collect::<Vec<i16>>(),
        &rows.iter().map(|row| period_id(row.key.window.period)).collect::<Vec<i16>>(),
        &rows.iter().map(|row| row.revision).collect::<Vec<i32>>(),
        &rows.iter().map(|row| row.key.rule_id).collect::<Vec<i32>>(),
        &rows.iter().map(|row| row.key.window.start).collect::<Vec<Timestamp>>(),
        &rows.iter().map(|row| row.verdict.outcome.name()).collect::<Vec<&str>>(),
        &rows.iter().map(|row| row.verdict.corrected).collect::<Vec<Option<f64>>>(),
        &rows.iter().map(|row| row.verdict.limit).collect::<Vec<f64>>(),
        &rows.iter().map(|row| row.verdict.ratio_over).collect::<Vec<Option<f64>>>(),
        &rows.iter().map(|row| row.remark.as_deref()).collect::<Vec<Option<&str>>>(),
    ];
    execute(client, sql, &params).await.map(|_rows| ())
}

/// Of each key the windows before it, from a time on, whose latest verdict is adverse; the newest first.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn adverse_before(
    client: &Client,
    keys: &[(VerdictKey, Timestamp)],
) -> Result<Vec<Vec<Timestamp>>, Failure> {
    let sql = "SELECT t.number, v.start, v.outcome FROM unnest($1::int[], $2::smallint[], $3::smallint[], $4::smallint[], $5::int[], \
        $6::timestamptz[], $7::timestamptz[]) WITH ORDINALITY AS t (outlet_id, source_id, position, period, rule_id, low, high, number) \
        CROSS JOIN LATERAL (SELECT DISTINCT ON (w.start) w.start, w.outcome FROM verdict_row w WHERE w.outlet_id = t.outlet_id \
        AND w.source_id = t.source_id AND w.position = t.position AND w.period = t.period AND w.rule_id = t.rule_id \
        AND w.start >= t.low AND w.start < t.high ORDER BY w.start DESC, w.revision DESC OFFSET 0) v ORDER BY t.number, v.start DESC";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 7] = [
        &keys.iter().map(|(key, _)| key.of.0).collect::<Vec<i32>>(),
        &keys.iter().map(|(key, _)| key.of.1).collect::<Vec<i16>>(),
        &keys.iter().map(|(key, _)| key.position).collect::<Vec<i16>>(),
        &keys.iter().map(|(key, _)| period_id(key.window.period)).collect::<Vec<i16>>(),
        &keys.iter().map(|(key, _)| key.rule_id).collect::<Vec<i32>>(),
        &keys.iter().map(|(_, low)| *low).collect::<Vec<Timestamp>>(),
        &keys.iter().map(|(key, _)| key.window.start).collect::<Vec<Timestamp>>(),
    ];
    let mut found = vec![Vec::new(); keys.len()];
    for row in query(client, sql, &params).await? {
        let number = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX);
        let is_adverse = Outcome::from_name(row.get(2)).is_some_and(Outcome::is_adverse);
        if let Some(of) = found.get_mut(number).filter(|_| is_adverse) {
            of.push(row.get(1));
        }
    }
    Ok(found)
}

/// How often each outcome stands in the latest verdicts of some rules, by position, on windows of one period within `[from, to)`.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn counted(
    client: &Client,
    of: Of,
    (rules, positions): (&[i32], &[i16]),
    (period, from, to): (AveragingPeriod, Timestamp, Timestamp),
) -> Result<HashMap<i16, Counted>, Failure> {
    let sql = "SELECT v.position, v.outcome, count(*) FROM (SELECT DISTINCT ON (position, start, rule_id) position, outcome FROM verdict_row \
        WHERE outlet_id = $1 AND source_id = $2 AND position = ANY ($3) AND period = $4 AND start >= $5 AND start < $6 AND rule_id = ANY ($7) \
        ORDER BY position, start, rule_id, revision DESC) v GROUP BY v.position, v.outcome";
    let mut found: HashMap<i16, Counted> = HashMap::new();
    for row in query(client, sql, &[&of.0, &of.1, &positions, &period_id(period), &from, &to, &rules]).await?
    {
        if let Some(outcome) = Outcome::from_name(row.get(1)) {
            let times = u64::try_from(row.get::<_, i64>(2)).unwrap_or(0);
            found.entry(row.get(0)).or_default().add(outcome, times);
        }
    }
    Ok(found)
}

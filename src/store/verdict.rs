//! Verdicts: one row for each window, channel and rule, and a new revision for each change.

use std::collections::HashMap;

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::domain::exceedance::{Outcome, Verdict};
use crate::domain::window::Window;
use crate::store::average::Of;
use crate::store::due::period_id;
use crate::store::session::{Failure, execute, query};

/// What a verdict is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerdictKey {
    pub of: Of,
    pub position: usize,
    pub window: Window,
    pub rule_id: i32,
}

/// One verdict ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewVerdict {
    pub key: VerdictKey,
    pub revision: i32,
    pub verdict: Verdict,
}

/// The latest stored verdicts of these windows, with their revision.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn latest(
    client: &Client,
    windows: &[(Of, Window)],
) -> Result<HashMap<VerdictKey, (i32, Verdict)>, Failure> {
    let outlets: Vec<i32> = windows.iter().map(|(of, _)| of.0).collect();
    let sources: Vec<i16> = windows.iter().map(|(of, _)| of.1).collect();
    let periods: Vec<i16> = windows.iter().map(|(_, window)| period_id(window.period)).collect();
    let starts: Vec<Timestamp> = windows.iter().map(|(_, window)| window.start).collect();
    let sql = "SELECT DISTINCT ON (t.number, v.position, v.rule_id) t.number, v.position, v.rule_id, v.revision, v.outcome, v.corrected, \
        v.limit_mg_m3, v.ratio_over FROM unnest($1::int[], $2::smallint[], $3::smallint[], $4::timestamptz[]) WITH ORDINALITY \
        AS t (outlet_id, source_id, period, start, number) JOIN verdict_row v USING (outlet_id, source_id, period, start) \
        ORDER BY t.number, v.position, v.rule_id, v.revision DESC";
    let mut found = HashMap::new();
    for row in query(client, sql, &[&outlets, &sources, &periods, &starts]).await? {
        let number = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX);
        let (Some((of, window)), Some(outcome)) = (windows.get(number), Outcome::from_name(row.get(4)))
        else {
            continue;
        };
        let position = usize::try_from(row.get::<_, i16>(1)).unwrap_or(usize::MAX);
        let key = VerdictKey { of: *of, position, window: *window, rule_id: row.get(2) };
        let verdict = Verdict { outcome, corrected: row.get(5), limit: row.get(6), ratio_over: row.get(7) };
        found.insert(key, (row.get(3), verdict));
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
    let sql = "INSERT INTO verdict_row (outlet_id, source_id, position, period, revision, rule_id, start, outcome, corrected, limit_mg_m3, ratio_over) \
        SELECT * FROM unnest($1::int[], $2::smallint[], $3::smallint[], $4::smallint[], $5::int[], $6::int[], $7::timestamptz[], $8::text[], \
        $9::float8[], $10::float8[], $11::float8[])";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 11] = [
        &rows.iter().map(|row| row.key.of.0).collect::<Vec<i32>>(),
        &rows.iter().map(|row| row.key.of.1).collect::<Vec<i16>>(),
        &rows.iter().map(|row| i16::try_from(row.key.position).unwrap_or(i16::MAX)).collect::<Vec<i16>>(),
        &rows.iter().map(|row| period_id(row.key.window.period)).collect::<Vec<i16>>(),
        &rows.iter().map(|row| row.revision).collect::<Vec<i32>>(),
        &rows.iter().map(|row| row.key.rule_id).collect::<Vec<i32>>(),
        &rows.iter().map(|row| row.key.window.start).collect::<Vec<Timestamp>>(),
        &rows.iter().map(|row| row.verdict.outcome.name()).collect::<Vec<&str>>(),
        &rows.iter().map(|row| row.verdict.corrected).collect::<Vec<Option<f64>>>(),
        &rows.iter().map(|row| row.verdict.limit).collect::<Vec<f64>>(),
        &rows.iter().map(|row| row.verdict.ratio_over).collect::<Vec<Option<f64>>>(),
    ];
    execute(client, sql, &params).await.map(|_rows| ())
}

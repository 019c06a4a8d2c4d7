//! The newest scan of outlets, and what is open there.

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::store::read::REGISTERS;
use crate::store::session::{Failure, query};

/// The newest scan of one outlet, by position.
#[derive(Debug, Clone, PartialEq)]
pub struct Newest {
    pub outlet_id: i32,
    pub at: Timestamp,
    /// Letters after validation.
    pub flags: String,
    pub measured: Vec<Option<f64>>,
    pub corrected: Vec<Option<f64>>,
}

/// The newest scans of these outlets within `[from, to)`; those that have none are left out.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn newest(
    client: &Client,
    outlets: &[i32],
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<Newest>, Failure> {
    let rows = query(
        client,
        "SELECT t.id, x.measured_at, coalesce(x.checked, x.flag), x.measured, x.corrected \
         FROM unnest($1::int[]) AS t (id) CROSS JOIN LATERAL (SELECT s.measured_at, s.checked, s.flag, s.measured, s.corrected \
         FROM scan s WHERE s.outlet_id = t.id AND s.source_id = $2 AND s.measured_at >= $3 AND s.measured_at < $4 \
         ORDER BY s.measured_at DESC LIMIT 1) x",
        &[&outlets, &REGISTERS, &from, &to],
    )
    .await?;
    Ok(rows
        .iter()
        .map(|row| Newest {
            outlet_id: row.get(0),
            at: row.get(1),
            flags: row.get(2),
            measured: row.get(3),
            corrected: row.get(4),
        })
        .collect())
}

/// An episode that goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    pub outlet_id: i32,
    pub id: i64,
    pub kind: String,
    /// Channel and rule code, where it is about one.
    pub channel: Option<String>,
    pub rule: Option<String>,
    /// Analyser or gateway; else empty.
    pub subject: String,
    pub opened_at: Timestamp,
}

/// The open episodes of these outlets, oldest first, at most `most`.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn open(client: &Client, outlets: &[i32], most: i64) -> Result<Vec<Open>, Failure> {
    let rows = query(
        client,
        "SELECT e.outlet_id, e.id, e.kind, c.code, r.code, e.subject, e.opened_at FROM episode_row e \
         LEFT JOIN channel c ON c.outlet_id = e.outlet_id AND c.position = e.position LEFT JOIN rule r ON r.id = e.rule_id \
         WHERE e.closed_at IS NULL AND e.outlet_id = ANY($1) ORDER BY e.opened_at, e.id LIMIT $2",
        &[&outlets, &most],
    )
    .await?;
    Ok(rows
        .iter()
        .map(|row| Open {
            outlet_id: row.get(0),
            id: row.get(1),
            kind: row.get(2),
            channel: row.get(3),
            rule: row.get(4),
            subject: row.get(5),
            opened_at: row.get(6),
        })
        .collect())
}

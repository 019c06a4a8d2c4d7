//! Episodes of a time.

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::Client;

use crate::store::session::{Failure, query};

/// One episode: when something began and ended. Fields that do not apply are null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EpisodeRow {
    pub id: i64,
    pub outlet: Option<String>,
    pub channel: Option<String>,
    pub rule: Option<String>,
    pub kind: String,
    /// Analyser or gateway.
    pub subject: Option<String>,
    pub opened_at: Timestamp,
    pub closed_at: Option<Timestamp>,
    pub peak: Option<f64>,
    pub limit: Option<f64>,
    /// `open`, `closed`, `historical` or `withdrawn`.
    pub state: String,
}

/// Which episodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub from: Timestamp,
    pub to: Timestamp,
    pub kind: Option<&'static str>,
    pub state: Option<&'static str>,
    /// Only those after this one in the order of the answer: a later page.
    pub after: Option<i64>,
    pub most: i64,
}

/// Episodes that went on at some time in `[from, to)`, the last opened first.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn episodes(client: &Client, wanted: &Wanted) -> Result<Vec<EpisodeRow>, Failure> {
    let rows = query(
        client,
        "SELECT e.id, o.code, c.code, r.code, e.kind, nullif(e.subject, ''), e.opened_at, e.closed_at, e.peak, e.limit_mg_m3, e.state \
         FROM episode_row e LEFT JOIN outlet o ON o.id = e.outlet_id \
         LEFT JOIN channel c ON c.outlet_id = e.outlet_id AND c.position = e.position LEFT JOIN rule r ON r.id = e.rule_id \
         WHERE e.opened_at < $2 AND (e.closed_at IS NULL OR e.closed_at >= $1) \
         AND ($3::text IS NULL OR e.kind = $3) AND ($4::text IS NULL OR e.state = $4) \
         AND ($5::bigint IS NULL OR (e.opened_at, e.id) < (SELECT l.opened_at, l.id FROM episode_row l WHERE l.id = $5)) \
         ORDER BY e.opened_at DESC, e.id DESC LIMIT $6",
        &[&wanted.from, &wanted.to, &wanted.kind, &wanted.state, &wanted.after, &wanted.most],
    )
    .await?;
    Ok(rows
        .iter()
        .map(|row| EpisodeRow {
            id: row.get(0),
            outlet: row.get(1),
            channel: row.get(2),
            rule: row.get(3),
            kind: row.get(4),
            subject: row.get(5),
            opened_at: row.get(6),
            closed_at: row.get(7),
            peak: row.get(8),
            limit: row.get(9),
            state: row.get(10),
        })
        .collect())
}

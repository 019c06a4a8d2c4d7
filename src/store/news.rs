//! What happened to alerts, in the order of commits: whoever has seen a number has seen everything below it.

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::Client;

use crate::store::session::{Failure, execute, query, query_one};

/// One piece of news. Fields that do not apply are null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct News {
    pub id: i64,
    pub at: Timestamp,
    pub what: String,
    pub episode: Option<i64>,
    pub outlet: Option<String>,
    /// Of the alert or episode.
    pub kind: Option<String>,
    pub audience: Option<String>,
    pub alert: Option<String>,
    pub phase: Option<String>,
    pub summary: Option<String>,
    pub silence: Option<i64>,
    pub by: Option<String>,
    /// Whose it is, for those who may not see everything.
    #[serde(skip)]
    pub enterprise: String,
    #[serde(skip)]
    pub division: String,
}

/// The newest number; 0: there is none yet.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn newest(client: &Client) -> Result<i64, Failure> {
    query_one(client, "SELECT coalesce(max(id), 0) FROM alert_news", &[]).await.map(|row| row.get(0))
}

/// What is newer than a number, in order.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn after(client: &Client, id: i64, most: i64) -> Result<Vec<News>, Failure> {
    // Of an episode without an outlet, a gateway's, its alert says whose it is.
    let sql = "SELECT w.id, w.at, w.what, w.episode_id, o.code, coalesce(a.kind, e.kind), w.audience, a.id::text, a.phase, a.body->>'summary', \
        w.silence_id, w.by_whom, coalesce(n.code, a.body #>> '{outlet,enterprise_code}', t.body #>> '{outlet,enterprise_code}', s.enterprise, ''), \
        coalesce(n.division, a.body #>> '{outlet,division}', t.body #>> '{outlet,division}', s.division, m.division, '') \
        FROM alert_news w LEFT JOIN alert a ON a.id = w.alert_id LEFT JOIN episode_row e ON e.outlet_id = w.outlet_id AND e.id = w.episode_id \
        LEFT JOIN silence s ON s.id = w.silence_id LEFT JOIN enterprise m ON m.code = s.enterprise \
        LEFT JOIN LATERAL (SELECT b.body FROM alert b WHERE w.outlet_id = 0 AND b.outlet_id = 0 AND b.episode_id = w.episode_id LIMIT 1) t ON true \
        LEFT JOIN outlet o ON o.id = w.outlet_id OR o.code = s.outlet LEFT JOIN enterprise n ON n.id = o.enterprise_id \
        WHERE w.id > $1 ORDER BY w.id LIMIT $2";
    let rows = query(client, sql, &[&id, &most]).await?;
    Ok(rows
        .iter()
        .map(|row| News {
            id: row.get(0),
            at: row.get(1),
            what: row.get(2),
            episode: row.get(3),
            outlet: row.get(4),
            kind: row.get(5),
            audience: row.get(6),
            alert: row.get(7),
            phase: row.get(8),
            summary: row.get(9),
            silence: row.get(10),
            by: row.get(11),
            enterprise: row.get(12),
            division: row.get(13),
        })
        .collect())
}

/// Forgets what is older.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn forget(client: &Client, before: Timestamp) -> Result<u64, Failure> {
    execute(client, "DELETE FROM alert_news WHERE at < $1", &[&before]).await
}

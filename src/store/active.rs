//! What is active: open episodes with the newest alert of each, for who keeps no outbox but is told the state again and again.

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::store::session::{Failure, execute, query, query_one};

/// An open episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Active {
    pub outlet_id: i32,
    pub episode_id: i64,
    pub opened_at: Timestamp,
    /// The newest alert of it, as the webhook has it.
    pub body: serde_json::Value,
}

/// Changes whenever an episode begins, worsens, is revised or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(Option<Timestamp>, i64, String);

/// Reads the mark: one row of an index, and the open episodes counted.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn mark(client: &Client) -> Result<Mark, Failure> {
    let sql = "SELECT (SELECT max(created_at) FROM alert), count(*), coalesce(sum(id), 0)::text FROM episode_row WHERE closed_at IS NULL";
    query_one(client, sql, &[]).await.map(|row| Mark(row.get(0), row.get(1), row.get(2)))
}

/// The newest `most` open episodes.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn active(client: &Client, most: i64) -> Result<Vec<Active>, Failure> {
    let sql = "SELECT e.outlet_id, e.id, e.opened_at, a.body FROM episode_row e CROSS JOIN LATERAL \
         (SELECT body FROM alert a WHERE a.outlet_id = e.outlet_id AND a.episode_id = e.id ORDER BY a.created_at DESC, a.id DESC LIMIT 1) a \
         WHERE e.closed_at IS NULL AND e.state = 'open' ORDER BY e.opened_at DESC, e.id DESC LIMIT $1";
    let rows = query(client, sql, &[&most]).await?;
    let active = |row: &tokio_postgres::Row| Active {
        outlet_id: row.get(0),
        episode_id: row.get(1),
        opened_at: row.get(2),
        body: row.get(3),
    };
    Ok(rows.iter().map(active).collect())
}

/// A channel that is told what is active.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    pub id: i32,
    pub name: String,
    pub url: Option<String>,
    pub settings: serde_json::Value,
}

/// The enabled channels of kind `alertmanager`.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn listeners(client: &Client) -> Result<Vec<Listener>, Failure> {
    let sql = "SELECT id, name, url, settings FROM notify_channel WHERE enabled AND kind = 'alertmanager' ORDER BY id";
    let rows = query(client, sql, &[]).await?;
    let listener = |row: &tokio_postgres::Row| Listener {
        id: row.get(0),
        name: row.get(1),
        url: row.get(2),
        settings: row.get(3),
    };
    Ok(rows.iter().map(listener).collect())
}

/// Notes that a channel fails, since when and why; or, with `None`, that it works.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn note(
    client: &Client,
    channel: i32,
    failure: Option<&str>,
    now: Timestamp,
) -> Result<(), Failure> {
    let sql = "INSERT INTO channel_state (channel_id, failing_since, failure) VALUES ($1, CASE WHEN $2::text IS NULL THEN NULL ELSE $3::timestamptz END, $2) \
         ON CONFLICT (channel_id) DO UPDATE SET failing_since = CASE WHEN $2 IS NULL THEN NULL ELSE coalesce(channel_state.failing_since, $3) END, failure = $2";
    execute(client, sql, &[&channel, &failure, &now]).await.map(|_rows| ())
}

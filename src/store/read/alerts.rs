//! Alerts with what became of them.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::Client;

use crate::store::session::{Failure, query};

/// So many attempts of a delivery are shown, the newest.
const ATTEMPTS: i64 = 20;

/// One alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertRow {
    pub id: String,
    pub kind: String,
    pub created_at: Timestamp,
    /// As it is delivered.
    pub body: serde_json::Value,
    pub deliveries: Vec<Delivery>,
}

/// What became of an alert on one notification channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    pub channel: String,
    /// `webhook` or `log`.
    pub kind: String,
    /// `waiting`, `delivered` or `dead`.
    pub state: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it is tried next; null when no more.
    pub next_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    /// The newest attempts, oldest of them first.
    pub tried: Vec<Attempt>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    pub at: Timestamp,
    pub took_ms: i32,
    pub outcome: String,
}

/// Which alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub from: Timestamp,
    pub to: Timestamp,
    /// All kinds when there is none.
    pub kind: Option<&'static str>,
    /// Only those after this one in the order of the answer: a later page.
    pub after: Option<String>,
    pub most: i64,
}

/// Alerts made in `[from, to)`, newest first.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn alerts(client: &Client, wanted: &Wanted) -> Result<Vec<AlertRow>, Failure> {
    let rows = query(
        client,
        "SELECT a.id::text, a.kind, a.created_at, a.body FROM alert a \
         WHERE a.created_at >= $1 AND a.created_at < $2 AND ($3::text IS NULL OR a.kind = $3) \
         AND ($4::text IS NULL OR (a.created_at, a.id) < (SELECT l.created_at, l.id FROM alert l WHERE l.id = $4::text::uuid)) \
         ORDER BY a.created_at DESC, a.id DESC LIMIT $5",
        &[&wanted.from, &wanted.to, &wanted.kind, &wanted.after, &wanted.most],
    )
    .await?;
    let ids: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let mut deliveries = deliveries(client, &ids).await?;
    Ok(rows
        .iter()
        .zip(ids)
        .map(|(row, id)| AlertRow {
            deliveries: deliveries.remove(&id).unwrap_or_default(),
            id,
            kind: row.get(1),
            created_at: row.get(2),
            body: row.get(3),
        })
        .collect())
}

async fn deliveries(client: &Client, ids: &[String]) -> Result<HashMap<String, Vec<Delivery>>, Failure> {
    let rows = query(
        client,
        "SELECT d.alert_id::text, n.name, n.kind, d.state, d.attempts, d.next_at, d.delivered_at, d.channel_id FROM delivery d \
         JOIN notify_channel n ON n.id = d.channel_id WHERE d.alert_id = ANY($1::text[]::uuid[]) ORDER BY n.name",
        &[&ids],
    )
    .await?;
    let mut attempts = attempts(client, ids).await?;
    let mut found: HashMap<String, Vec<Delivery>> = HashMap::new();
    for row in rows {
        let (alert, state): (String, String) = (row.get(0), row.get(3));
        let tried = attempts.remove(&(alert.clone(), row.get(7))).unwrap_or_default();
        let next_at = (state == "waiting").then(|| row.get(5));
        found.entry(alert).or_default().push(Delivery {
            channel: row.get(1),
            kind: row.get(2),
            state,
            attempts: row.get(4),
            next_at,
            delivered_at: row.get(6),
            tried,
        });
    }
    Ok(found)
}

async fn attempts(client: &Client, ids: &[String]) -> Result<HashMap<(String, i32), Vec<Attempt>>, Failure> {
    let rows = query(
        client,
        "SELECT t.alert_id::text, t.channel_id, t.at, t.took_ms, t.outcome FROM (SELECT a.*, row_number() OVER \
         (PARTITION BY a.alert_id, a.channel_id ORDER BY a.at DESC) AS place FROM delivery_attempt a \
         WHERE a.alert_id = ANY($1::text[]::uuid[])) t WHERE t.place <= $2 ORDER BY t.at",
        &[&ids, &ATTEMPTS],
    )
    .await?;
    let mut found: HashMap<(String, i32), Vec<Attempt>> = HashMap::new();
    for row in rows {
        let attempt = Attempt { at: row.get(2), took_ms: row.get(3), outcome: row.get(4) };
        found.entry((row.get(0), row.get(1))).or_default().push(attempt);
    }
    Ok(found)
}

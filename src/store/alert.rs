//! The outbox: alerts, what is still to be delivered where, and every attempt.

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::domain::alert::Alert;
use crate::store::session::{Failure, execute, query, query_one};

/// Puts an alert into the outbox of every enabled channel, within the caller's transaction. Gives its id.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn put(
    client: &Client,
    alert: &Alert,
    episode: (i32, i64),
    now: Timestamp,
) -> Result<String, Failure> {
    let id = uuid::Uuid::now_v7().to_string();
    let mut body = alert.clone();
    body.id.clone_from(&id);
    body.episode = episode.1;
    let body = serde_json::to_value(&body).map_err(|error| Failure::Refused(format!("alert: {error}")))?;
    let insert = execute(client, "INSERT INTO alert (id, outlet_id, episode_id, kind, created_at, body, phase) VALUES ($1::text::uuid, $2, $3, $4, $5, $6, $7)",
        &[&id, &episode.0, &episode.1, &alert.kind.name(), &now, &body, &alert.phase.name()],
    ).await;
    insert?;
    let deliver = execute(client, "INSERT INTO delivery (alert_id, channel_id, next_at, created_at) SELECT $1::text::uuid, id, $2, $2 FROM notify_channel WHERE enabled AND broadcast AND kind <> 'alertmanager'",
        &[&id, &now],
    ).await;
    deliver?;
    Ok(id)
}

/// One delivery that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    pub alert_id: String,
    pub channel_id: i32,
    pub channel: String,
    /// `webhook` or `log`.
    pub kind: String,
    pub url: Option<String>,
    pub attempts: i32,
    pub created_at: Timestamp,
    pub body: serde_json::Value,
}

/// Claims deliveries that are due, of each channel the oldest `most`: until `again_at` no other worker takes them, and if this one dies they
/// come up again then.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn claim(
    client: &Client,
    now: Timestamp,
    again_at: Timestamp,
    most: i64,
) -> Result<Vec<Waiting>, Failure> {
    let query = query(client, "WITH due AS (SELECT x.alert_id, x.channel_id FROM notify_channel c CROSS JOIN LATERAL \
         (SELECT d.alert_id, d.channel_id FROM delivery d WHERE d.channel_id = c.id AND d.state = 'waiting' AND d.next_at <= $1 \
         ORDER BY d.next_at LIMIT $3 FOR UPDATE SKIP LOCKED) x), \
         taken AS (UPDATE delivery d SET next_at = $2, attempts = d.attempts + 1 FROM due \
         WHERE d.alert_id = due.alert_id AND d.channel_id = due.channel_id RETURNING d.alert_id, d.channel_id, d.attempts) \
         SELECT t.alert_id::text, t.channel_id, n.name, n.kind, n.url, t.attempts, a.created_at, a.body FROM taken t \
         JOIN alert a ON a.id = t.alert_id JOIN notify_channel n ON n.id = t.channel_id ORDER BY a.created_at",
        &[&now, &again_at, &most],
    ).await;
    let rows = query?;
    Ok(rows
        .iter()
        .map(|row| Waiting {
            alert_id: row.get(0),
            channel_id: row.get(1),
            channel: row.get(2),
            kind: row.get(3),
            url: row.get(4),
            attempts: row.get(5),
            created_at: row.get(6),
            body: row.get(7),
        })
        .collect())
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Delivered,
    /// Try again at this time.
    Again(Timestamp, String),
    /// Never again.
    Dead(String),
}

/// Records an attempt and what follows from it.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn attempted(
    client: &Client,
    waiting: &Waiting,
    (at, took_ms): (Timestamp, i32),
    outcome: &Outcome,
) -> Result<(), Failure> {
    let (state, delivered_at, next_at, text) = match outcome {
        Outcome::Delivered => ("delivered", Some(at), None, "delivered"),
        Outcome::Again(next_at, text) => ("waiting", None, Some(*next_at), text.as_str()),
        Outcome::Dead(text) => ("dead", None, None, text.as_str()),
    };
    let update = execute(
        client,
        "UPDATE delivery SET state = $3, delivered_at = $4, next_at = coalesce($5, next_at) \
         WHERE alert_id = $1::text::uuid AND channel_id = $2 AND state = 'waiting'",
        &[&waiting.alert_id, &waiting.channel_id, &state, &delivered_at, &next_at],
    )
    .await;
    update?;
    let insert = execute(client, "INSERT INTO delivery_attempt (alert_id, channel_id, at, took_ms, outcome) VALUES ($1::text::uuid, $2, $3, $4, $5)",
        &[&waiting.alert_id, &waiting.channel_id, &at, &took_ms, &text],
    ).await;
    insert.map(|_rows| ())
}

/// When the next delivery is due, if any waits.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn next_due(client: &Client) -> Result<Option<Timestamp>, Failure> {
    query_one(client, "SELECT min(next_at) FROM delivery WHERE state = 'waiting'", &[])
        .await
        .map(|row| row.get(0))
}

//! Tests of the way to people: a marked synthetic exceedance, from the outbox on like any other alert, to those it is sent to and to
//! nobody else.

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::domain::alert::Alert;
use crate::domain::alerting::Told;
use crate::store::session::{Failure, execute, query, query_one, query_opt};

/// Puts a test into the outbox. Gives the alert's id and how many deliveries it makes.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn put(
    client: &Client,
    alert: &Alert,
    to: &[Told],
    now: Timestamp,
) -> Result<(String, i64), Failure> {
    let episode = "INSERT INTO episode_row (outlet_id, position, rule_id, kind, subject, opened_at, last_above_at, closed_at, state, noticed_at) \
         VALUES (0, -1, 0, $1, '', $2, $2, $2, 'closed', $2) RETURNING id";
    let episode: i64 = query_one(client, episode, &[&alert.kind.name(), &now]).await?.get(0);
    let id = uuid::Uuid::now_v7().to_string();
    let mut body = alert.clone();
    (body.id, body.episode) = (id.clone(), episode);
    let body = serde_json::to_value(&body).map_err(|error| Failure::Refused(format!("alert: {error}")))?;
    let insert = "INSERT INTO alert (id, outlet_id, episode_id, kind, created_at, body, phase, routed_at) \
         VALUES ($1::text::uuid, 0, $2, $3, $4, $5, 'begun', $4)";
    execute(client, insert, &[&id, &episode, &alert.kind.name(), &now, &body]).await?;
    let rows: Vec<Value> = to
        .iter()
        .map(|told| {
            json!({"channel": told.channel, "recipient": told.to, "team": told.team, "person": told.person,
                "language": told.language.name()})
        })
        .collect();
    // The gravest urgency: behind a queue of others it would measure the queue.
    let deliver = "INSERT INTO delivery (alert_id, channel_id, recipient, team, person, language, urgency, next_at, created_at) \
         SELECT $1::text::uuid, n.id, r.recipient, r.team, r.person, r.language, 3, $3, $3 \
         FROM jsonb_to_recordset($2) AS r (channel text, recipient text, team text, person text, language text) \
         JOIN notify_channel n ON n.name = r.channel AND n.enabled ON CONFLICT DO NOTHING";
    let made = execute(client, deliver, &[&id, &Value::Array(rows), &now]).await?;
    Ok((id, i64::try_from(made).unwrap_or(i64::MAX)))
}

/// What became of one delivery of a test.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Tested {
    pub channel: String,
    pub recipient: String,
    pub state: String,
    pub attempts: i32,
    /// From the test's beginning to its delivery.
    pub took_ms: Option<i64>,
    /// What the channel said last.
    pub said: Option<String>,
}

/// What became of a test so far.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn results(client: &Client, id: &str) -> Result<Vec<Tested>, Failure> {
    let sql = "SELECT n.name, d.recipient, d.state, d.attempts, \
         (extract(epoch FROM d.delivered_at - d.created_at) * 1000)::bigint, \
         (SELECT t.outcome FROM delivery_attempt t WHERE t.alert_id = d.alert_id AND t.channel_id = d.channel_id \
             AND t.recipient = d.recipient ORDER BY t.at DESC LIMIT 1) \
         FROM delivery d JOIN notify_channel n ON n.id = d.channel_id WHERE d.alert_id = $1::text::uuid ORDER BY n.name, d.recipient";
    let rows = query(client, sql, &[&id]).await?;
    Ok(rows
        .iter()
        .map(|row| Tested {
            channel: row.get(0),
            recipient: row.get(1),
            state: row.get(2),
            attempts: row.get(3),
            took_ms: row.get(4),
            said: row.get(5),
        })
        .collect())
}

/// By channel, how long the newest test that got through took, seconds.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn newest(client: &Client) -> Result<Vec<(String, f64)>, Failure> {
    let sql = "SELECT DISTINCT ON (n.name) n.name, extract(epoch FROM d.delivered_at - d.created_at)::float8 \
         FROM (SELECT id FROM alert WHERE kind = 'self-test' ORDER BY created_at DESC LIMIT 100) a JOIN delivery d ON d.alert_id = a.id \
         JOIN notify_channel n ON n.id = d.channel_id WHERE d.state = 'delivered' ORDER BY n.name, d.delivered_at DESC";
    Ok(query(client, sql, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Whether a periodic test is due, and it is ours to make: in a transaction, so that of several centres one makes it.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn claim(client: &Client, since: Timestamp) -> Result<bool, Failure> {
    let sql = "SELECT pg_try_advisory_xact_lock(x'73656c66'::int) AND NOT EXISTS \
         (SELECT 1 FROM alert WHERE kind = 'self-test' AND created_at > $1 AND created_at > now() - interval '400 days')";
    Ok(query_opt(client, sql, &[&since]).await?.is_some_and(|row| row.get(0)))
}

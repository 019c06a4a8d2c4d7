//! What became of alerts on their way to people: to whom, by which channel, and every attempt.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::Client;

use crate::domain::alerting::Audience;
use crate::domain::recipient::masked;
use crate::store::session::{Failure, query};

/// So many attempts of a delivery are shown, the newest.
const ATTEMPTS: i64 = 20;

/// What became of an alert on one notification channel, for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    pub channel: String,
    /// `webhook`, `log`, `smtp` ….
    pub kind: String,
    /// `waiting`, `delivered`, `dead`, `failed-over` or `cancelled`.
    pub state: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it is tried next; null when no more.
    pub next_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    /// Whom it reaches, the middle hidden; null: the channel itself.
    pub recipient: Option<String>,
    pub audience: Option<String>,
    pub team: Option<String>,
    pub person: Option<String>,
    /// Of the ladder, from 0.
    pub step: i32,
    /// The newest attempts, oldest of them first.
    pub tried: Vec<Attempt>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    pub at: Timestamp,
    pub took_ms: i32,
    pub outcome: String,
    /// HTTP or SMTP status, where there was one.
    pub status: Option<i32>,
}

/// Of one alert, channel, recipient and step.
type Key = (String, i32, String, i32);

/// The deliveries of alerts, by alert. Only those of an audience, where one is given.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn deliveries(
    client: &Client,
    ids: &[String],
    only: Option<Audience>,
) -> Result<HashMap<String, Vec<Delivery>>, Failure> {
    let rows = query(
        client,
        "SELECT d.alert_id::text, d.channel_id, d.recipient, d.step, n.name, n.kind, d.state, d.attempts, d.next_at, d.delivered_at, \
         d.audience, d.team, d.person FROM delivery d JOIN notify_channel n ON n.id = d.channel_id \
         WHERE d.alert_id = ANY($1::text[]::uuid[]) AND ($2::text IS NULL OR d.audience = $2) ORDER BY d.step, n.name, d.recipient",
        &[&ids, &only.map(Audience::name)],
    )
    .await?;
    let mut attempts = attempts(client, ids).await?;
    let mut found: HashMap<String, Vec<Delivery>> = HashMap::new();
    for row in rows {
        let key: Key = (row.get(0), row.get(1), row.get(2), row.get(3));
        let tried = attempts.remove(&key).unwrap_or_default();
        let (alert, _, recipient, step) = key;
        let state: String = row.get(6);
        let next_at = (state == "waiting").then(|| row.get(8));
        found.entry(alert).or_default().push(Delivery {
            channel: row.get(4),
            kind: row.get(5),
            state,
            attempts: row.get(7),
            next_at,
            delivered_at: row.get(9),
            recipient: Some(recipient).filter(|to| !to.is_empty()).map(|to| masked(&to)),
            audience: row.get(10),
            team: row.get(11),
            person: row.get(12),
            step,
            tried,
        });
    }
    Ok(found)
}

async fn attempts(client: &Client, ids: &[String]) -> Result<HashMap<Key, Vec<Attempt>>, Failure> {
    let rows = query(
        client,
        "SELECT t.alert_id::text, t.channel_id, t.recipient, t.step, t.at, t.took_ms, t.outcome, t.status FROM (SELECT a.*, row_number() OVER \
         (PARTITION BY a.alert_id, a.channel_id, a.recipient, a.step ORDER BY a.at DESC) AS place FROM delivery_attempt a \
         WHERE a.alert_id = ANY($1::text[]::uuid[])) t WHERE t.place <= $2 ORDER BY t.at",
        &[&ids, &ATTEMPTS],
    )
    .await?;
    let mut found: HashMap<Key, Vec<Attempt>> = HashMap::new();
    for row in rows {
        let attempt =
            Attempt { at: row.get(4), took_ms: row.get(5), outcome: row.get(6), status: row.get(7) };
        found.entry((row.get(0), row.get(1), row.get(2), row.get(3))).or_default().push(attempt);
    }
    Ok(found)
}

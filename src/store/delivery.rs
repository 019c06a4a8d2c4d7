//! Deliveries on their way: which are due on which channel, and every attempt. A claim is a lease: if the worker dies, what it had comes
//! up again. Channels with a limit are served by one centre at a time, which holds the channel's row.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio_postgres::{Client, Row};

use crate::store::session::{Failure, execute, query, query_opt};

/// A channel of notification.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelRow {
    pub id: i32,
    pub name: String,
    pub kind: String,
    pub url: Option<String>,
    pub settings: Value,
}

/// All that are enabled.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn channels(client: &Client) -> Result<Vec<ChannelRow>, Failure> {
    let sql = "SELECT id, name, kind, url, settings FROM notify_channel WHERE enabled ORDER BY id";
    let channel = |row: &Row| ChannelRow {
        id: row.get(0),
        name: row.get(1),
        kind: row.get(2),
        url: row.get(3),
        settings: row.get(4),
    };
    Ok(query(client, sql, &[]).await?.iter().map(channel).collect())
}

/// One delivery that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    pub alert_id: String,
    pub channel_id: i32,
    pub recipient: String,
    pub step: i32,
    /// Of the audience of its line; `None`: a broadcast.
    pub audience: Option<String>,
    pub language: String,
    pub attempts: i32,
    pub created_at: Timestamp,
    /// The moment that it is all about: the scan, the window's end, the noticing.
    pub alert_at: Timestamp,
    pub body: Value,
    /// Id and end of its link.
    pub link: Option<(String, Timestamp)>,
    /// When the next step of its line is due, if nobody acknowledges.
    pub acknowledge_by: Option<Timestamp>,
    /// Audience, whether told, seen, and by whom acknowledged, of the episode's lines.
    pub lines: Vec<(String, bool, bool, Option<String>)>,
}

/// Claims deliveries that are due, of each channel the gravest and then the oldest, so many: until `again_at` no other worker takes them.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn claim(
    client: &Client,
    wanted: &[(i32, i64)],
    (now, again_at): (Timestamp, Timestamp),
) -> Result<Vec<Waiting>, Failure> {
    let channels: Vec<i32> = wanted.iter().map(|(channel, _)| *channel).collect();
    let most: Vec<i64> = wanted.iter().map(|(_, most)| *most).collect();
    let sql = "WITH due AS (SELECT x.* FROM unnest($1::int[], $2::bigint[]) AS c (id, most) CROSS JOIN LATERAL \
         (SELECT d.alert_id, d.channel_id, d.recipient, d.step FROM delivery d WHERE d.channel_id = c.id AND d.state = 'waiting' \
         AND d.next_at <= $3 ORDER BY d.urgency DESC, d.next_at LIMIT c.most FOR UPDATE SKIP LOCKED) x), \
         t AS (UPDATE delivery d SET next_at = $4, attempts = d.attempts + 1 FROM due WHERE d.alert_id = due.alert_id \
         AND d.channel_id = due.channel_id AND d.recipient = due.recipient AND d.step = due.step RETURNING d.*) \
         SELECT t.alert_id::text, t.channel_id, t.recipient, t.step, t.audience, t.language, t.attempts, t.created_at, a.created_at, a.body, \
         k.id::text, k.expires_at, h.next_at, \
         (SELECT jsonb_agg(jsonb_build_array(o.audience, EXISTS (SELECT 1 FROM delivery x WHERE x.alert_id = o.alert_id \
            AND x.audience = o.audience AND x.state = 'delivered'), EXISTS (SELECT 1 FROM alert_link s WHERE s.outlet_id = o.outlet_id \
            AND s.episode_id = o.episode_id AND s.audience = o.audience AND s.seen_at IS NOT NULL), o.acknowledged_by)) \
            FROM handling o WHERE o.outlet_id = a.outlet_id AND o.episode_id = a.episode_id) \
         FROM t JOIN alert a ON a.id = t.alert_id LEFT JOIN alert_link k ON k.id = t.link_id \
         LEFT JOIN handling h ON h.outlet_id = a.outlet_id AND h.episode_id = a.episode_id AND h.audience = t.audience \
         ORDER BY t.urgency DESC, a.created_at";
    let rows = query(client, sql, &[&channels, &most, &now, &again_at]).await?;
    Ok(rows.iter().map(waiting).collect())
}

fn waiting(row: &Row) -> Waiting {
    let lines: Option<Value> = row.get(13);
    let link: Option<String> = row.get(10);
    Waiting {
        alert_id: row.get(0),
        channel_id: row.get(1),
        recipient: row.get(2),
        step: row.get(3),
        audience: row.get(4),
        language: row.get(5),
        attempts: row.get(6),
        created_at: row.get(7),
        alert_at: row.get(8),
        body: row.get(9),
        link: link.zip(row.get::<_, Option<Timestamp>>(11)),
        acknowledge_by: row.get(12),
        lines: lines.and_then(|lines| serde_json::from_value(lines).ok()).unwrap_or_default(),
    }
}

/// How many wait on a channel and are due.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn due(client: &Client, channel_id: i32, now: Timestamp) -> Result<i64, Failure> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM delivery WHERE channel_id = $1 AND state = 'waiting' AND next_at <= $2 LIMIT 100000) d";
    Ok(query_opt(client, sql, &[&channel_id, &now]).await?.map_or(0, |row| row.get(0)))
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

/// An attempt at some deliveries: one message may carry many.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt<'a> {
    pub of: &'a [&'a Waiting],
    pub at: Timestamp,
    pub took_ms: i32,
    pub status: Option<u16>,
    pub outcome: Outcome,
    /// Besides the outcome: which digest carried them.
    pub note: Option<String>,
}

/// Records attempts and what follows from them.
///
/// # Errors
/// [`Failure`] when the database does not take them.
pub async fn attempted(client: &Client, attempts: &[Attempt<'_>]) -> Result<(), Failure> {
    let rows: Vec<Value> =
        attempts.iter().flat_map(|attempt| attempt.of.iter().map(|of| row(attempt, of))).collect();
    let sql = "WITH o AS (SELECT * FROM jsonb_to_recordset($1) AS o (alert_id uuid, channel_id int, recipient text, step int, state text, \
         delivered_at timestamptz, next_at timestamptz, at timestamptz, took_ms int, status int, outcome text)), \
         u AS (UPDATE delivery d SET state = o.state, delivered_at = o.delivered_at, next_at = coalesce(o.next_at, d.next_at), \
         fail_over_at = CASE WHEN o.state = 'delivered' THEN NULL WHEN o.state = 'dead' AND d.fail_over_at IS NOT NULL THEN o.at \
         ELSE d.fail_over_at END \
         FROM o WHERE (d.alert_id, d.channel_id, d.recipient, d.step) = (o.alert_id, o.channel_id, o.recipient, o.step) AND d.state = 'waiting') \
         INSERT INTO delivery_attempt (alert_id, channel_id, recipient, step, at, took_ms, status, outcome) \
         SELECT o.alert_id, o.channel_id, o.recipient, o.step, o.at, o.took_ms, o.status, o.outcome FROM o";
    execute(client, sql, &[&Value::Array(rows)]).await.map(|_rows| ())
}

fn row(attempt: &Attempt<'_>, of: &Waiting) -> Value {
    let (state, delivered_at, next_at, text) = match &attempt.outcome {
        Outcome::Delivered => ("delivered", Some(attempt.at), None, "delivered"),
        Outcome::Again(next_at, text) => ("waiting", None, Some(*next_at), text.as_str()),
        Outcome::Dead(text) => ("dead", None, None, text.as_str()),
    };
    let outcome = attempt.note.as_ref().map_or(text.to_owned(), |note| format!("{text}; {note}"));
    json!({
        "alert_id": of.alert_id, "channel_id": of.channel_id, "recipient": of.recipient, "step": of.step, "state": state,
        "delivered_at": delivered_at, "next_at": next_at, "at": attempt.at, "took_ms": attempt.took_ms,
        "status": attempt.status, "outcome": outcome,
    })
}

/// What was claimed and is not sent now comes up again at once.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn put_back(client: &Client, of: &[&Waiting], now: Timestamp) -> Result<(), Failure> {
    let alerts: Vec<&str> = of.iter().map(|one| one.alert_id.as_str()).collect();
    let channels: Vec<i32> = of.iter().map(|one| one.channel_id).collect();
    let recipients: Vec<&str> = of.iter().map(|one| one.recipient.as_str()).collect();
    let steps: Vec<i32> = of.iter().map(|one| one.step).collect();
    let sql = "UPDATE delivery d SET next_at = $5, attempts = d.attempts - 1 \
         FROM unnest($1::text[]::uuid[], $2::int[], $3::text[], $4::int[]) AS o (alert_id, channel_id, recipient, step) \
         WHERE (d.alert_id, d.channel_id, d.recipient, d.step) = (o.alert_id, o.channel_id, o.recipient, o.step) AND d.state = 'waiting'";
    execute(client, sql, &[&alerts, &channels, &recipients, &steps, &now]).await.map(|_rows| ())
}

/// Takes a channel with a limit for this centre, or goes on holding it; `None`: another one has it. Gives when it sent lately.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn hold(
    client: &Client,
    channel_id: i32,
    (owner, lease): (&str, SignedDuration),
    now: Timestamp,
) -> Result<Option<Vec<Timestamp>>, Failure> {
    let make = "INSERT INTO channel_state (channel_id) VALUES ($1) ON CONFLICT DO NOTHING";
    execute(client, make, &[&channel_id]).await?;
    let sql = "UPDATE channel_state SET owner = $2::text::uuid, leased_until = $4 WHERE channel_id = $1 \
         AND (owner IS NULL OR owner = $2::text::uuid OR leased_until < $3) RETURNING sent";
    let held = query_opt(client, sql, &[&channel_id, &owner, &now, &(now + lease)]).await?;
    Ok(held.map(|row| row.get(0)))
}

/// Notes that a held channel sends now, before it does: after a crash it is rather sent less.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn spend(client: &Client, channel_id: i32, sent: &[Timestamp]) -> Result<(), Failure> {
    let sql = "UPDATE channel_state SET sent = $2 WHERE channel_id = $1";
    execute(client, sql, &[&channel_id, &sent]).await.map(|_rows| ())
}

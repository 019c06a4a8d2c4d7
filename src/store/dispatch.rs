//! From alerts to deliveries: what is still to be routed, how far each ladder has been walked, and whom each step tells. All of it in the
//! caller's transaction; rows are claimed with SKIP LOCKED, so that several centres share the work and do nothing twice.

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_postgres::{Client, Row};

use crate::domain::alert::{Alert, Phase};
use crate::domain::alerting::Audience;
use crate::domain::alerting::Told;
use crate::store::session::{Failure, execute, query};

/// An alert with its place in the tables.
#[derive(Debug, Clone, PartialEq)]
pub struct Filed {
    pub id: String,
    /// Outlet and episode.
    pub episode: (i32, i64),
    pub alert: Alert,
}

fn filed(row: &Row) -> Result<Filed, Failure> {
    let body: Value = row.get(3);
    let alert = serde_json::from_value(body).map_err(|error| {
        Failure::Refused(format!("a stored alert is unreadable ({error}); run the version that wrote it"))
    })?;
    Ok(Filed { id: row.get(0), episode: (row.get(1), row.get(2)), alert })
}

/// Claims alerts whose teams are still to be found, the oldest first.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn unrouted(client: &Client, most: i64) -> Result<Vec<Filed>, Failure> {
    let sql = "SELECT id::text, outlet_id, episode_id, body FROM alert WHERE routed_at IS NULL \
         ORDER BY created_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED";
    query(client, sql, &[&most]).await?.iter().map(filed).collect()
}

/// Their teams are found.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn routed(client: &Client, ids: &[&str], now: Timestamp) -> Result<(), Failure> {
    let sql = "UPDATE alert SET routed_at = $2 WHERE id = ANY ($1::text[]::uuid[])";
    execute(client, sql, &[&ids, &now]).await.map(|_rows| ())
}

/// A ladder that begins, or begins anew.
#[derive(Debug, Clone, PartialEq)]
pub struct NewLine {
    pub alert_id: String,
    pub episode: (i32, i64),
    pub audience: Audience,
    pub since: Timestamp,
    /// When its first step is due.
    pub next_at: Timestamp,
}

/// Begins ladders. One that was there begins anew for the worse that has come; who has acknowledged it keeps it, and one that was closed is
/// nobody's again: whoever closed it did not know of this.
///
/// # Errors
/// [`Failure`] when the database does not take them.
pub async fn begin(client: &Client, lines: &[NewLine]) -> Result<(), Failure> {
    if lines.is_empty() {
        return Ok(());
    }
    let rows: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!({"a": line.alert_id, "o": line.episode.0, "e": line.episode.1, "w": line.audience.name(),
                "s": line.since, "n": line.next_at})
        })
        .collect();
    let sql = "INSERT INTO handling AS h (outlet_id, episode_id, audience, alert_id, since, next_at) \
         SELECT r.o, r.e, r.w, r.a, r.s, r.n FROM jsonb_to_recordset($1) AS r(a uuid, o int, e bigint, w text, s timestamptz, n timestamptz) \
         ON CONFLICT (outlet_id, episode_id, audience) DO UPDATE SET alert_id = excluded.alert_id, since = excluded.since, step = 0, \
         next_at = excluded.next_at, closed_at = NULL, closed_by = NULL, reason_code = NULL, action_code = NULL, \
         acknowledged_at = CASE WHEN h.closed_at IS NULL THEN h.acknowledged_at END, \
         acknowledged_by = CASE WHEN h.closed_at IS NULL THEN h.acknowledged_by END";
    execute(client, sql, &[&Value::Array(rows)]).await.map(|_rows| ())
}

/// How far an audience is with an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub acknowledged: bool,
    /// Somebody was told of it already.
    pub was_told: bool,
    /// The first step was put off: by the rule for this audience, or by a silence.
    pub is_put_off: bool,
}

/// A ladder whose next step is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub filed: Filed,
    pub audience: Audience,
    pub since: Timestamp,
    pub step: usize,
    pub standing: Standing,
    /// The episode has ended or was withdrawn.
    pub is_over: bool,
    /// Another audience has acknowledged it.
    pub is_held_elsewhere: bool,
}

/// Claims ladders whose next step is due, the longest due first.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn due(client: &Client, now: Timestamp, most: i64) -> Result<Vec<Line>, Failure> {
    let sql = "SELECT h.alert_id::text, h.outlet_id, h.episode_id, a.body, h.audience, h.since, h.step, h.acknowledged_at IS NOT NULL, \
         e.closed_at IS NOT NULL OR e.state = 'withdrawn', \
         EXISTS (SELECT 1 FROM alert b JOIN delivery d ON d.alert_id = b.id AND d.audience = h.audience \
             WHERE b.outlet_id = h.outlet_id AND b.episode_id = h.episode_id), h.next_at > h.since, \
         EXISTS (SELECT 1 FROM handling o WHERE o.outlet_id = h.outlet_id AND o.episode_id = h.episode_id AND o.acknowledged_at IS NOT NULL) \
         FROM handling h JOIN alert a ON a.id = h.alert_id \
         JOIN episode_row e ON e.outlet_id = h.outlet_id AND e.id = h.episode_id \
         WHERE h.next_at <= $1 ORDER BY h.next_at LIMIT $2 FOR UPDATE OF h SKIP LOCKED";
    let line = |row: &Row| {
        let audience = Audience::from_name(row.get(4)).unwrap_or(Audience::Bureau);
        Ok(Line {
            filed: filed(row)?,
            audience,
            since: row.get(5),
            step: usize::try_from(row.get::<_, i32>(6)).unwrap_or_default(),
            standing: Standing { acknowledged: row.get(7), was_told: row.get(9), is_put_off: row.get(10) },
            is_over: row.get(8),
            is_held_elsewhere: row.get(11),
        })
    };
    query(client, sql, &[&now, &most]).await?.iter().map(line).collect()
}

/// A line's step is done; `next_at` is when the one after it is due.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn go_on(
    client: &Client,
    line: &Line,
    (step, next_at): (usize, Option<Timestamp>),
    now: Timestamp,
) -> Result<(), Failure> {
    // The steps are counted from the first telling.
    let since = if line.step == 0 && step == 1 { now } else { line.since };
    let step = i32::try_from(step).unwrap_or(i32::MAX);
    let sql = "UPDATE handling SET step = $4, next_at = $5, since = $6 WHERE outlet_id = $1 AND episode_id = $2 AND audience = $3";
    let (outlet_id, episode_id) = line.filed.episode;
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
        [&outlet_id, &episode_id, &line.audience.name(), &step, &next_at, &since];
    execute(client, sql, &params).await.map(|_rows| ())
}

/// One way that a step tells somebody by.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDelivery<'a> {
    pub filed: &'a Filed,
    pub audience: Audience,
    pub step: usize,
    pub told: &'a Told,
    /// When the person's next address is tried instead.
    pub fail_over_at: Option<Timestamp>,
    /// How long its link is good.
    pub link_until: Timestamp,
}

/// Puts deliveries into the outbox, each with a link of its own: of the person, or of the team whose group it is. Gives their number.
///
/// # Errors
/// [`Failure`] when the database does not take them.
pub async fn deliver(client: &Client, new: &[NewDelivery<'_>], now: Timestamp) -> Result<u64, Failure> {
    if new.is_empty() {
        return Ok(0);
    }
    let rows: Vec<Value> = new.iter().map(row).collect();
    let sql = "WITH r AS (SELECT r.*, n.id AS channel_id FROM jsonb_to_recordset($1) AS r(alert uuid, outlet int, episode bigint, channel text, \
         recipient text, audience text, team text, person text, language text, step int, address int, fail_over_at timestamptz, \
         urgency smallint, link uuid, link_until timestamptz) JOIN notify_channel n ON n.name = r.channel AND n.enabled), \
         d AS (INSERT INTO delivery (alert_id, channel_id, recipient, audience, team, person, language, step, address, fail_over_at, urgency, \
         link_id, next_at, created_at) SELECT alert, channel_id, recipient, audience, team, person, language, step, address, fail_over_at, \
         urgency, link, $2, $2 FROM r ON CONFLICT DO NOTHING RETURNING link_id), \
         l AS (INSERT INTO alert_link (id, outlet_id, episode_id, alert_id, audience, person, made_at, expires_at) \
         SELECT r.link, r.outlet, r.episode, r.alert, r.audience, coalesce(r.person, r.team), $2, r.link_until FROM r JOIN d ON d.link_id = r.link) \
         SELECT count(*) FROM d";
    let told: i64 =
        query(client, sql, &[&Value::Array(rows), &now]).await?.first().map_or(0, |row| row.get(0));
    Ok(u64::try_from(told).unwrap_or(0))
}

fn row(new: &NewDelivery<'_>) -> Value {
    let (filed, told) = (new.filed, new.told);
    let link = uuid::Uuid::now_v7().to_string();
    json!({
        "alert": filed.id, "outlet": filed.episode.0, "episode": filed.episode.1, "channel": told.channel,
        "recipient": told.to, "audience": new.audience.name(), "team": told.team, "person": told.person,
        "language": told.language.name(), "step": new.step, "address": told.address,
        "fail_over_at": new.fail_over_at, "urgency": urgency(&filed.alert), "link": link, "link_until": new.link_until,
    })
}

/// As a number: the gravest go first.
pub(super) const fn urgency(alert: &Alert) -> i16 {
    use crate::domain::alert::Severity;
    match alert.severity {
        Severity::Notice => 0,
        Severity::Warning => 1,
        Severity::Serious => 2,
        Severity::Critical => 3,
    }
}

/// Whoever was told of an episode hears that it was revised or withdrawn, by the same ways. After a withdrawal nobody more is told, and
/// what still waits is cancelled.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn correct(client: &Client, filed: &Filed, now: Timestamp) -> Result<(), Failure> {
    let (outlet_id, episode_id) = filed.episode;
    let told = "INSERT INTO delivery (alert_id, channel_id, recipient, audience, team, person, language, urgency, next_at, created_at) \
         SELECT DISTINCT ON (d.channel_id, d.recipient) $1::text::uuid, d.channel_id, d.recipient, d.audience, d.team, d.person, d.language, \
         d.urgency, $4, $4 FROM delivery d JOIN alert a ON a.id = d.alert_id WHERE a.outlet_id = $2 AND a.episode_id = $3 \
         AND a.id <> $1::text::uuid AND d.team IS NOT NULL AND d.state = 'delivered' ORDER BY d.channel_id, d.recipient, d.created_at \
         ON CONFLICT DO NOTHING";
    execute(client, told, &[&filed.id, &outlet_id, &episode_id, &now]).await?;
    if filed.alert.phase != Phase::Withdrawn {
        return Ok(());
    }
    let cancel = "UPDATE delivery d SET state = 'cancelled' FROM alert a WHERE a.id = d.alert_id AND a.outlet_id = $2 AND a.episode_id = $3 \
         AND a.id <> $1::text::uuid AND d.state = 'waiting' AND d.team IS NOT NULL";
    execute(client, cancel, &[&filed.id, &outlet_id, &episode_id]).await?;
    let stop = "UPDATE handling SET next_at = NULL WHERE outlet_id = $1 AND episode_id = $2";
    execute(client, stop, &[&outlet_id, &episode_id]).await.map(|_rows| ())
}

/// Bots of groups that hear everything hear of these too.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn broadcast(client: &Client, ids: &[&str], now: Timestamp) -> Result<(), Failure> {
    let sql = "INSERT INTO delivery (alert_id, channel_id, next_at, created_at) SELECT a.id, n.id, $2, $2 \
         FROM unnest($1::text[]::uuid[]) AS a (id), notify_channel n WHERE n.enabled AND n.broadcast \
         AND n.kind IN ('dingtalk', 'wecom', 'feishu') ON CONFLICT DO NOTHING";
    execute(client, sql, &[&ids, &now]).await.map(|_rows| ())
}

/// A delivery to a person that is to be tried by their next address.
#[derive(Debug, Clone, PartialEq)]
pub struct Stuck {
    pub filed: Filed,
    pub channel_id: i32,
    pub recipient: String,
    pub step: usize,
    pub audience: Audience,
    pub team: String,
    pub person: String,
    pub address: usize,
}

/// Claims deliveries that have not got through in time.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn stuck(client: &Client, now: Timestamp, most: i64) -> Result<Vec<Stuck>, Failure> {
    let sql = "SELECT d.alert_id::text, a.outlet_id, a.episode_id, a.body, d.channel_id, d.recipient, d.step, d.audience, d.team, d.person, \
         d.address FROM delivery d JOIN alert a ON a.id = d.alert_id WHERE d.state IN ('waiting', 'dead') AND d.fail_over_at <= $1 \
         AND d.person IS NOT NULL ORDER BY d.fail_over_at LIMIT $2 FOR UPDATE OF d SKIP LOCKED";
    let stuck = |row: &Row| {
        let number = |index: usize| usize::try_from(row.get::<_, i32>(index)).unwrap_or_default();
        Ok(Stuck {
            filed: filed(row)?,
            channel_id: row.get(4),
            recipient: row.get(5),
            step: number(6),
            audience: Audience::from_name(row.get(7)).unwrap_or(Audience::Bureau),
            team: row.get(8),
            person: row.get(9),
            address: number(10),
        })
    };
    query(client, sql, &[&now, &most]).await?.iter().map(stuck).collect()
}

/// What a delivery is after its person's next address was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// The next address has it.
    FailedOver,
    /// There is none: this one goes on being tried, and the ladder goes on at once.
    Last,
}

/// Notes what became of a stuck delivery.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn unstick(client: &Client, stuck: &Stuck, after: After, now: Timestamp) -> Result<(), Failure> {
    let step = i32::try_from(stuck.step).unwrap_or(i32::MAX);
    let state = match after {
        After::FailedOver => "failed-over",
        After::Last => "waiting",
    };
    let sql = "UPDATE delivery SET fail_over_at = NULL, state = CASE WHEN state = 'dead' THEN state ELSE $5 END \
         WHERE alert_id = $1::text::uuid AND channel_id = $2 AND recipient = $3 AND step = $4";
    execute(client, sql, &[&stuck.filed.id, &stuck.channel_id, &stuck.recipient, &step, &state]).await?;
    if after == After::FailedOver {
        return Ok(());
    }
    let (outlet_id, episode_id) = stuck.filed.episode;
    let hurry = "UPDATE handling SET next_at = least(next_at, $4) WHERE outlet_id = $1 AND episode_id = $2 AND audience = $3 \
         AND next_at IS NOT NULL AND acknowledged_at IS NULL";
    execute(client, hurry, &[&outlet_id, &episode_id, &stuck.audience.name(), &now]).await.map(|_rows| ())
}

//! One episode with everything about it: who has it, what people did, what changed, who was told.

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::Client;

use crate::domain::alerting::Audience;
use crate::domain::token::Reach;
use crate::store::read::alerts::{AlertRow, of_episode, shown_to};
use crate::store::read::episodes::{EpisodeRow, find};
use crate::store::session::{Failure, query};

/// One episode.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Whole {
    #[serde(flatten)]
    pub episode: EpisodeRow,
    pub handling: Vec<Line>,
    pub actions: Vec<ActionRow>,
    pub changes: Vec<Change>,
    pub alerts: Vec<AlertRow>,
}

/// How far it is with an audience. Fields that do not apply yet are null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub audience: String,
    pub since: Timestamp,
    /// Of the ladder: the last that was taken, from 0.
    pub step: i32,
    /// When more people are told.
    pub next_at: Option<Timestamp>,
    pub acknowledged_at: Option<Timestamp>,
    pub acknowledged_by: Option<String>,
    pub assigned_to: Option<String>,
    pub closed_at: Option<Timestamp>,
    pub closed_by: Option<String>,
    pub reason: Option<String>,
    pub action: Option<String>,
}

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActionRow {
    pub id: i64,
    pub audience: String,
    pub at: Timestamp,
    pub what: String,
    pub by: String,
    pub via: String,
    pub detail: serde_json::Value,
}

/// What became of it when figures changed later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub at: Timestamp,
    pub what: String,
    pub reason: String,
    pub opened_at: Timestamp,
    pub closed_at: Option<Timestamp>,
}

/// The episode of a number, as far as it lies within the caller's reach.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn whole(client: &Client, id: i64, reach: &Reach) -> Result<Option<Whole>, Failure> {
    let Some((outlet_id, episode)) = find(client, id, reach).await? else { return Ok(None) };
    let key = (outlet_id, id);
    let only = shown_to(reach);
    Ok(Some(Whole {
        episode,
        handling: lines(client, key, only).await?,
        actions: actions(client, key, only).await?,
        changes: changes(client, key).await?,
        alerts: of_episode(client, key, reach).await?,
    }))
}

/// How far an episode is with each audience.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn lines(
    client: &Client,
    (outlet_id, id): (i32, i64),
    only: Option<Audience>,
) -> Result<Vec<Line>, Failure> {
    let sql = "SELECT audience, since, step, next_at, acknowledged_at, acknowledged_by, assigned_to, closed_at, closed_by, reason_code, \
               action_code FROM handling WHERE outlet_id = $1 AND episode_id = $2 AND ($3::text IS NULL OR audience = $3) ORDER BY audience";
    let rows = query(client, sql, &[&outlet_id, &id, &only.map(Audience::name)]).await?;
    Ok(rows
        .iter()
        .map(|row| Line {
            audience: row.get(0),
            since: row.get(1),
            step: row.get(2),
            next_at: row.get(3),
            acknowledged_at: row.get(4),
            acknowledged_by: row.get(5),
            assigned_to: row.get(6),
            closed_at: row.get(7),
            closed_by: row.get(8),
            reason: row.get(9),
            action: row.get(10),
        })
        .collect())
}

/// What people did about an episode, oldest first; the newest 500.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn actions(
    client: &Client,
    (outlet_id, id): (i32, i64),
    only: Option<Audience>,
) -> Result<Vec<ActionRow>, Failure> {
    let sql = "SELECT * FROM (SELECT id, audience, at, what, by_whom, via, detail FROM episode_action WHERE outlet_id = $1 AND episode_id = $2 \
               AND ($3::text IS NULL OR audience = $3) ORDER BY id DESC LIMIT 500) t ORDER BY id";
    let rows = query(client, sql, &[&outlet_id, &id, &only.map(Audience::name)]).await?;
    Ok(rows
        .iter()
        .map(|row| ActionRow {
            id: row.get(0),
            audience: row.get(1),
            at: row.get(2),
            what: row.get(3),
            by: row.get(4),
            via: row.get(5),
            detail: row.get(6),
        })
        .collect())
}

async fn changes(client: &Client, (outlet_id, id): (i32, i64)) -> Result<Vec<Change>, Failure> {
    let sql = "SELECT at, what, reason, opened_at, closed_at FROM episode_change WHERE outlet_id = $1 AND episode_id = $2 \
               ORDER BY at DESC LIMIT 500";
    let rows = query(client, sql, &[&outlet_id, &id]).await?;
    Ok(rows
        .iter()
        .rev()
        .map(|row| Change {
            at: row.get(0),
            what: row.get(1),
            reason: row.get(2),
            opened_at: row.get(3),
            closed_at: row.get(4),
        })
        .collect())
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    pub episode: i64,
    pub kind: String,
    pub outlet: Option<String>,
    pub channel: Option<String>,
    pub rule: Option<String>,
    pub subject: Option<String>,
    pub state: String,
    pub opened_at: Timestamp,
    /// Null: nobody was told.
    pub audience: Option<String>,
    pub next_at: Option<Timestamp>,
    pub acknowledged_at: Option<Timestamp>,
    pub acknowledged_by: Option<String>,
    pub assigned_to: Option<String>,
    pub closed_at: Option<Timestamp>,
    pub closed_by: Option<String>,
    pub reason: Option<String>,
}

/// Which lines are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub from: Timestamp,
    /// Also what is over and closed.
    pub all: bool,
    pub kind: Option<String>,
    pub outlet: Option<String>,
    pub audience: Option<String>,
    pub most: i64,
}

/// Episodes that opened since `from`, each audience's line, the newest first.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn listed(client: &Client, wanted: &Wanted) -> Result<Vec<Listed>, Failure> {
    let sql = "SELECT e.id, e.kind, o.code, c.code, r.code, nullif(e.subject, ''), e.state, e.opened_at, h.audience, h.next_at, \
        h.acknowledged_at, h.acknowledged_by, h.assigned_to, h.closed_at, h.closed_by, h.reason_code \
        FROM episode_row e LEFT JOIN handling h ON h.outlet_id = e.outlet_id AND h.episode_id = e.id LEFT JOIN outlet o ON o.id = e.outlet_id \
        LEFT JOIN channel c ON c.outlet_id = e.outlet_id AND c.position = e.position LEFT JOIN rule r ON r.id = e.rule_id \
        WHERE e.opened_at >= $1 AND ($2 OR e.state = 'open' OR (h.audience IS NOT NULL AND h.closed_at IS NULL)) \
        AND ($3::text IS NULL OR e.kind = $3) AND ($4::text IS NULL OR o.code = $4) AND ($5::text IS NULL OR h.audience = $5) \
        ORDER BY e.opened_at DESC, e.id DESC, h.audience LIMIT $6";
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&wanted.from, &wanted.all, &wanted.kind, &wanted.outlet, &wanted.audience, &wanted.most];
    let rows = query(client, sql, params).await?;
    Ok(rows
        .iter()
        .map(|row| Listed {
            episode: row.get(0),
            kind: row.get(1),
            outlet: row.get(2),
            channel: row.get(3),
            rule: row.get(4),
            subject: row.get(5),
            state: row.get(6),
            opened_at: row.get(7),
            audience: row.get(8),
            next_at: row.get(9),
            acknowledged_at: row.get(10),
            acknowledged_by: row.get(11),
            assigned_to: row.get(12),
            closed_at: row.get(13),
            closed_by: row.get(14),
            reason: row.get(15),
        })
        .collect())
}

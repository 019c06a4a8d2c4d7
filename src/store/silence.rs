//! Silences and planned maintenance. A row is never changed but to end early, with a name.

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::{Client, Row};

use crate::domain::alert::AlertKind;
use crate::domain::alerting::Audience;
use crate::domain::silence::{Covers, Kind, Silence};
use crate::domain::token::Reach;
use crate::store::session::{Failure, bounded, execute, query, query_one, query_opt};

/// A silence as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SilenceRow {
    pub id: i64,
    pub kind: Kind,
    pub covers: Covers,
    /// Only these are not told; null: nobody is.
    pub audience: Option<Audience>,
    pub from: Timestamp,
    pub until: Timestamp,
    pub author: String,
    pub reason: String,
    pub made_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub ended_by: Option<String>,
}

impl SilenceRow {
    /// The silence itself.
    pub fn silence(&self) -> Silence {
        Silence {
            kind: self.kind,
            covers: self.covers.clone(),
            audience: self.audience,
            from: self.from,
            until: self.ended_at.map_or(self.until, |ended_at| ended_at.min(self.until)),
            author: self.author.clone(),
            reason: self.reason.clone(),
        }
    }
}

const COLUMNS: &str = "s.id, s.kind, s.outlet, s.enterprise, s.division, s.alert_kind, s.rule, s.gateway, s.audience, \
    s.silent_from, s.silent_until, s.author, s.reason, s.made_at, s.ended_at, s.ended_by";

fn row(row: &Row) -> SilenceRow {
    let kind: Option<&str> = row.get(5);
    SilenceRow {
        id: row.get(0),
        kind: Kind::from_name(row.get(1)).unwrap_or(Kind::Silence),
        covers: Covers {
            outlet: row.get(2),
            enterprise: row.get(3),
            division: row.get(4),
            kind: kind.and_then(AlertKind::from_name),
            rule: row.get(6),
            gateway: row.get(7),
        },
        audience: row.get::<_, Option<&str>>(8).and_then(Audience::from_name),
        from: row.get(9),
        until: row.get(10),
        author: row.get(11),
        reason: row.get(12),
        made_at: row.get(13),
        ended_at: row.get(14),
        ended_by: row.get(15),
    }
}

/// Makes one that was checked. Gives its number.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn make(client: &Client, silence: &Silence, now: Timestamp) -> Result<i64, Failure> {
    let sql = "INSERT INTO silence (kind, outlet, enterprise, division, alert_kind, rule, gateway, audience, silent_from, silent_until, \
               author, reason, made_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id";
    let covers = &silence.covers;
    let row = query_one(
        client,
        sql,
        &[
            &silence.kind.name(),
            &covers.outlet,
            &covers.enterprise,
            &covers.division,
            &covers.kind.map(AlertKind::name),
            &covers.rule,
            &covers.gateway,
            &silence.audience.map(Audience::name),
            &silence.from,
            &silence.until,
            &silence.author,
            &silence.reason,
            &now,
        ],
    )
    .await?;
    Ok(row.get(0))
}

/// Those that quiet something at a moment.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn in_force(client: &Client, at: Timestamp) -> Result<Vec<SilenceRow>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM silence s WHERE s.silent_from <= $1 AND s.silent_until > $1 AND (s.ended_at IS NULL OR s.ended_at > $1) ORDER BY s.id"
    );
    Ok(query(client, &sql, &[&at]).await?.iter().map(row).collect())
}

/// Which silences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub reach: Reach,
    /// Only those that are not over then; `None`: all.
    pub not_over_at: Option<Timestamp>,
    /// Only older ones: a later page.
    pub before: Option<i64>,
    pub most: i64,
}

/// Silences, the newest first. An enterprise sees its own, a division those of its enterprises and places.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn list(client: &Client, wanted: &Wanted) -> Result<Vec<SilenceRow>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM silence s LEFT JOIN outlet o ON o.code = s.outlet LEFT JOIN enterprise n ON n.id = o.enterprise_id \
         LEFT JOIN enterprise m ON m.code = s.enterprise \
         WHERE ($1::text IS NULL OR (s.enterprise = $1 AND s.audience = 'enterprise')) \
         AND ($2 = '' OR starts_with(coalesce(s.division, n.division, m.division, ''), $2)) \
         AND ($3::timestamptz IS NULL OR (s.silent_until > $3 AND s.ended_at IS NULL)) AND ($4::bigint IS NULL OR s.id < $4) \
         ORDER BY s.id DESC LIMIT $5"
    );
    let reach = &wanted.reach;
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&reach.enterprise, &reach.division, &wanted.not_over_at, &wanted.before, &wanted.most];
    Ok(query(client, &sql, params).await?.iter().map(row).collect())
}

/// What came of ending one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Done(SilenceRow),
    /// It was over already; nothing changed.
    Over(SilenceRow),
    /// There is none of this number that the caller may end.
    Unknown,
}

/// Ends one early.
///
/// # Errors
/// [`Failure`] when the database does not take it; the session is then to be discarded.
pub async fn end(
    client: &Client,
    id: i64,
    reach: &Reach,
    (by, now): (&str, Timestamp),
) -> Result<Ended, Failure> {
    let select = format!("SELECT {COLUMNS} FROM silence s WHERE s.id = $1 FOR UPDATE");
    bounded(client.batch_execute("BEGIN")).await?;
    let found = query_opt(client, &select, &[&id]).await?.as_ref().map(row);
    let ended = match found.filter(|found| found.silence().is_within(reach)) {
        None => Ended::Unknown,
        Some(found) if found.ended_at.is_some() || found.until <= now => Ended::Over(found),
        Some(found) => {
            let update = "UPDATE silence SET ended_at = $2, ended_by = $3 WHERE id = $1";
            execute(client, update, &[&id, &now, &by]).await?;
            Ended::Done(SilenceRow { ended_at: Some(now), ended_by: Some(by.to_owned()), ..found })
        }
    };
    bounded(client.batch_execute("COMMIT")).await?;
    Ok(ended)
}

//! Who has an episode, and what people did about it. A deed and its row in `episode_action` are one transaction.

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::domain::alert::AlertKind;
use crate::domain::alerting::{Alerting, Audience, Scoped};
use crate::domain::closing::{Closing, Reason};
use crate::domain::handling::{Deed, Outcome, Taken, Via};
use crate::store::link::Stored;
use crate::store::session::{Failure, bounded, execute, query, query_opt};

/// Comments that one link may add.
const COMMENTS: i64 = 20;

/// Who does it, how and when.
#[derive(Debug, Clone, Copy)]
pub struct Doer<'d> {
    pub by: &'d str,
    pub via: Via,
    pub at: Timestamp,
    /// Number of the link by which it is done.
    pub link: Option<&'d str>,
}

/// The line of an audience, locked.
struct Line {
    outlet_id: i32,
    episode: i64,
    audience: Audience,
    acknowledged: Option<Taken>,
    closed: Option<Taken>,
}

/// Does it, in a transaction of its own. What was done already is not done again; the outcome says by whom.
///
/// # Errors
/// [`Failure`] when the database does not take it; the session is then to be discarded.
pub async fn act(
    client: &Client,
    (episode, audience): (i64, Audience),
    deed: &Deed,
    doer: Doer<'_>,
) -> Result<Outcome, Failure> {
    bounded(client.batch_execute("BEGIN")).await?;
    let outcome = match line(client, episode, audience).await? {
        Some(line) => within(client, &line, deed, doer).await?,
        None => Outcome::NotHandled,
    };
    bounded(client.batch_execute("COMMIT")).await?;
    Ok(outcome)
}

/// What came of a deed by a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByLink {
    Outcome(Outcome),
    /// This link has done it before: it does not do it twice.
    Reused(Timestamp),
}

/// Does it for who has a link, which may do each thing once.
///
/// # Errors
/// As [`act`].
pub async fn act_by_link(
    client: &Client,
    link: &Stored,
    deed: &Deed,
    doer: Doer<'_>,
) -> Result<ByLink, Failure> {
    let doer = Doer { link: Some(&link.id), ..doer };
    bounded(client.batch_execute("BEGIN")).await?;
    // The line first: whoever acts otherwise holds nothing else.
    let outcome = match line(client, link.episode, link.audience).await? {
        Some(line) => match spent(client, link, deed).await? {
            Some(at) => ByLink::Reused(at),
            None => ByLink::Outcome(within(client, &line, deed, doer).await?),
        },
        None => ByLink::Outcome(Outcome::NotHandled),
    };
    if outcome == ByLink::Outcome(Outcome::Done) {
        let column = if *deed == Deed::Seen {
            "seen_at = coalesce(seen_at, $2)"
        } else {
            "used_at = $2, used_for = $3"
        };
        let sql = format!("UPDATE alert_link SET {column} WHERE id = $1::text::uuid");
        let what = deed.what();
        if *deed == Deed::Seen {
            execute(client, &sql, &[&link.id, &doer.at]).await?;
        } else if !matches!(deed, Deed::Comment { .. }) {
            execute(client, &sql, &[&link.id, &doer.at, &what]).await?;
        }
    }
    if let ByLink::Reused(_) = outcome {
        refuse(client, link, "reused", doer.at).await?;
    }
    bounded(client.batch_execute("COMMIT")).await?;
    Ok(outcome)
}

/// When a link was used up for a deed, if it is.
async fn spent(client: &Client, link: &Stored, deed: &Deed) -> Result<Option<Timestamp>, Failure> {
    let sql = "SELECT used_at, used_for, (SELECT count(*) FROM episode_action a WHERE a.outlet_id = l.outlet_id \
               AND a.episode_id = l.episode_id AND a.what = 'commented' AND a.detail->>'link' = l.id::text) \
               FROM alert_link l WHERE id = $1::text::uuid FOR UPDATE";
    let Some(row) = query_opt(client, sql, &[&link.id]).await? else { return Ok(None) };
    let (used_at, used_for): (Option<Timestamp>, Option<String>) = (row.get(0), row.get(1));
    let is_spent = match deed {
        Deed::Acknowledge | Deed::Assign { .. } => used_for.is_some(),
        Deed::Close { .. } => used_for.as_deref() == Some("closed"),
        Deed::Comment { .. } => row.get::<_, i64>(2) >= COMMENTS,
        Deed::Seen => false,
    };
    Ok(is_spent.then(|| used_at.unwrap_or(link.made_at)))
}

/// Notes that a link was refused, at most once a minute for each reason.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn refuse(client: &Client, link: &Stored, why: &str, now: Timestamp) -> Result<(), Failure> {
    let sql = "INSERT INTO episode_action (outlet_id, episode_id, audience, at, what, by_whom, via, detail) \
        SELECT $1, $2, $3, $4, 'link-refused', $5, 'link', $6 WHERE NOT EXISTS (SELECT 1 FROM episode_action \
        WHERE outlet_id = $1 AND episode_id = $2 AND what = 'link-refused' AND detail = $6 AND at > $4 - interval '1 minute')";
    let detail = json!({ "link": link.id, "why": why });
    let by = if link.person.is_empty() { "?" } else { link.person.as_str() };
    execute(client, sql, &[&link.outlet_id, &link.episode, &link.audience.name(), &now, &by, &detail])
        .await
        .map(|_rows| ())
}

async fn line(client: &Client, episode: i64, audience: Audience) -> Result<Option<Line>, Failure> {
    let sql = "SELECT h.outlet_id, h.acknowledged_at, h.acknowledged_by, h.closed_at, h.closed_by FROM handling h \
               WHERE h.outlet_id = (SELECT outlet_id FROM episode_row WHERE id = $1) AND h.episode_id = $1 AND h.audience = $2 \
               FOR UPDATE";
    let row = query_opt(client, sql, &[&episode, &audience.name()]).await?;
    let taken = |at: Option<Timestamp>, by: Option<String>| {
        at.map(|at| Taken { at, by: by.unwrap_or_else(|| "?".to_owned()) })
    };
    Ok(row.map(|row| Line {
        outlet_id: row.get(0),
        episode,
        audience,
        acknowledged: taken(row.get(1), row.get(2)),
        closed: taken(row.get(3), row.get(4)),
    }))
}

async fn within(client: &Client, line: &Line, deed: &Deed, doer: Doer<'_>) -> Result<Outcome, Failure> {
    let key = (line.outlet_id, line.episode, line.audience.name());
    match (deed, &line.closed, &line.acknowledged) {
        (Deed::Close { .. }, Some(taken), _) => return Ok(Outcome::Already(taken.clone())),
        (Deed::Acknowledge | Deed::Assign { .. }, Some(taken), _) => {
            return Ok(Outcome::Closed(taken.clone()));
        }
        (Deed::Acknowledge, None, Some(taken)) => return Ok(Outcome::Already(taken.clone())),
        (Deed::Seen, _, _) if seen(client, line, doer.by).await? => {
            return Ok(Outcome::Already(Taken { by: doer.by.to_owned(), at: doer.at }));
        }
        _ => {}
    }
    match deed {
        Deed::Acknowledge => {
            // Without a next step the ladder ends here.
            let sql = "UPDATE handling SET acknowledged_at = $4, acknowledged_by = $5, next_at = NULL \
                       WHERE outlet_id = $1 AND episode_id = $2 AND audience = $3";
            execute(client, sql, &[&key.0, &key.1, &key.2, &doer.at, &doer.by]).await?;
        }
        Deed::Assign { to } => {
            let sql = "UPDATE handling SET assigned_to = $4 WHERE outlet_id = $1 AND episode_id = $2 AND audience = $3";
            execute(client, sql, &[&key.0, &key.1, &key.2, to]).await?;
        }
        Deed::Close { reason, action, .. } => {
            let sql = "UPDATE handling SET closed_at = $4, closed_by = $5, reason_code = $6, action_code = $7, next_at = NULL, \
                       acknowledged_at = coalesce(acknowledged_at, $4), acknowledged_by = coalesce(acknowledged_by, $5) \
                       WHERE outlet_id = $1 AND episode_id = $2 AND audience = $3";
            let codes = (reason.name(), action.name());
            execute(client, sql, &[&key.0, &key.1, &key.2, &doer.at, &doer.by, &codes.0, &codes.1]).await?;
        }
        Deed::Comment { .. } | Deed::Seen => {}
    }
    note(client, line, deed, doer).await?;
    Ok(Outcome::Done)
}

async fn seen(client: &Client, line: &Line, by: &str) -> Result<bool, Failure> {
    let sql = "SELECT 1 FROM episode_action WHERE outlet_id = $1 AND episode_id = $2 AND audience = $3 AND what = 'seen' AND by_whom = $4 LIMIT 1";
    let row = query_opt(client, sql, &[&line.outlet_id, &line.episode, &line.audience.name(), &by]).await?;
    Ok(row.is_some())
}

fn detail(deed: &Deed, link: Option<&str>) -> Value {
    let mut detail = match deed {
        Deed::Acknowledge | Deed::Seen => json!({}),
        Deed::Assign { to } => json!({ "to": to }),
        Deed::Comment { text } => json!({ "text": text }),
        Deed::Close { reason, action, text } => {
            json!({ "reason": reason.name(), "action": action.name(), "text": text })
        }
    };
    if let (Some(link), Value::Object(fields)) = (link, &mut detail) {
        fields.insert("link".to_owned(), json!(link));
    }
    detail
}

async fn note(client: &Client, line: &Line, deed: &Deed, doer: Doer<'_>) -> Result<(), Failure> {
    let detail = detail(deed, doer.link);
    let sql = "INSERT INTO episode_action (outlet_id, episode_id, audience, at, what, by_whom, via, detail) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let (audience, what, via) = (line.audience.name(), deed.what(), doer.via.name());
    execute(
        client,
        sql,
        &[&line.outlet_id, &line.episode, &audience, &doer.at, &what, &doer.by, &via, &detail],
    )
    .await
    .map(|_rows| ())
}

/// The closings of `[from, until)`, each with the rule of alerting that it counts for. Tests of the path to people count for nothing.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn closings(
    client: &Client,
    alerting: &Alerting,
    (from, until): (Timestamp, Timestamp),
) -> Result<Vec<Closing>, Failure> {
    let sql = "SELECT h.episode_id, h.audience, h.reason_code, h.closed_at, e.kind, coalesce(o.code, ''), coalesce(n.code, ''), \
               coalesce(n.division, '') FROM handling h JOIN episode_row e ON e.outlet_id = h.outlet_id AND e.id = h.episode_id \
               LEFT JOIN outlet o ON o.id = e.outlet_id LEFT JOIN enterprise n ON n.id = o.enterprise_id \
               WHERE h.closed_at >= $1 AND h.closed_at < $2";
    let rows = query(client, sql, &[&from, &until]).await?;
    let closing = |row: &tokio_postgres::Row| {
        let kind = AlertKind::from_name(row.get(4)).filter(|kind| *kind != AlertKind::SelfTest)?;
        let place = Scoped { outlet: row.get(5), enterprise: row.get(6), division: row.get(7) };
        let rule = alerting.rule(kind, place, row.get(3)).map_or(kind.name(), |rule| rule.code.as_str());
        Some(Closing {
            episode: row.get(0),
            rule: rule.to_owned(),
            kind,
            audience: Audience::from_name(row.get(1))?,
            reason: Reason::from_name(row.get::<_, Option<&str>>(2)?)?,
        })
    };
    Ok(rows.iter().filter_map(closing).collect())
}

//! Episodes of the past: found in late data, revised or withdrawn when figures change. Nobody is paged for them, and no change
//! is silent.

use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Client;

use crate::domain::alert::{Alert, Phase};
use crate::domain::episode::{Retraction, Span, retract};
use crate::domain::window::Window;
use crate::store::episode::{Key, Sighting, lock};
use crate::store::session::{Failure, execute, query, query_one, query_opt};
use crate::store::{alert, foretold};

/// Who hears of an exceedance that is found late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tell {
    /// It is history: nobody is paged.
    Nobody,
    /// It is recent: it is told like one that was found in time.
    Duty,
}

/// Whether an observation is newer than all that was seen of its key: then it moves the episode as usual.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn is_newest(client: &Client, sighting: &Sighting) -> Result<bool, Failure> {
    let states = lock(client, vec![&sighting.key]).await?;
    let last_at = states.get(&sighting.key).and_then(|state| state.last_at);
    Ok(last_at.is_none_or(|last_at| sighting.observation.at > last_at))
}

/// Records an exceedance that is found late, `[opened_at, closed_at)`. One that touches another of the same key extends it (and
/// joins two that it lies between), which tells nobody again; one that is known changes nothing. Gives the number of alerts.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn record(
    client: &Client,
    sighting: &Sighting,
    closed_at: Timestamp,
    tell: Tell,
    now: Timestamp,
) -> Result<usize, Failure> {
    let (key, seen) = (&sighting.key, sighting.observation);
    let peak = Some(seen.value).filter(|value| value.is_finite());
    // Holding the state row makes two closers take turns.
    lock(client, vec![&sighting.key]).await?;
    let extend = query(client, "UPDATE episode_row SET opened_at = least(opened_at, $6), last_above_at = greatest(last_above_at, $6), \
         closed_at = CASE WHEN closed_at IS NULL THEN NULL ELSE greatest(closed_at, $7) END, peak = greatest(peak, $8) \
         WHERE outlet_id = $1 AND position = $2 AND rule_id = $3 AND kind = $4 AND subject = $5 \
         AND state <> 'withdrawn' AND opened_at <= $7 AND (closed_at IS NULL OR closed_at >= $6) RETURNING id",
        &[&key.outlet_id, &key.position, &key.rule_id, &key.kind.name(), &key.subject, &seen.at, &closed_at, &peak],
    ).await;
    let extended: Vec<i64> = extend?.iter().map(|row| row.get(0)).collect();
    if !extended.is_empty() {
        return join(client, key, &extended, now).await;
    }
    let state = if tell == Tell::Nobody { "historical" } else { "closed" };
    let insert = query_one(client, "INSERT INTO episode_row (outlet_id, position, rule_id, kind, subject, opened_at, last_above_at, closed_at, peak, limit_mg_m3, state, noticed_at, level) \
         VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $11, $10, $12) RETURNING id",
        &[
            &key.outlet_id,
            &key.position,
            &key.rule_id,
            &key.kind.name(),
            &key.subject,
            &seen.at,
            &closed_at,
            &peak,
            &sighting.limit,
            &now,
            &state,
            &i16::from(seen.level.max(1)),
        ],
    ).await;
    let id: i64 = insert?.get(0);
    let warned_at = foretold::come_true(client, (sighting, id), now).await?;
    if tell == Tell::Nobody {
        return Ok(0);
    }
    let alert = Alert { warned_at, ..sighting.alert.clone() };
    alert::put(client, &alert, (key.outlet_id, id), now).await?;
    Ok(1)
}

/// Episodes that now touch each other become the first of them; the others are withdrawn, with the reason. Gives the number of alerts.
async fn join(client: &Client, key: &Key, ids: &[i64], now: Timestamp) -> Result<usize, Failure> {
    if ids.len() < 2 {
        return Ok(0);
    }
    let sql = "SELECT id, closed_at, last_above_at, peak, opened_at FROM episode_row WHERE outlet_id = $1 AND id = ANY ($2) ORDER BY opened_at, id";
    let rows = query(client, sql, &[&key.outlet_id, &ids]).await?;
    let Some((first, others)) = rows.split_first() else { return Ok(0) };
    let id: i64 = first.get(0);
    let mut alerts = 0;
    for other in others {
        let other_id: i64 = other.get(0);
        let reason = format!("a window found late joins it to episode {id}");
        let withdraw = "UPDATE episode_row SET state = 'withdrawn', closed_at = coalesce(closed_at, last_above_at), reason = $3 \
            WHERE outlet_id = $1 AND id = $2";
        execute(client, withdraw, &[&key.outlet_id, &other_id, &reason]).await?;
        let span = Span { opened_at: other.get(4), closed_at: other.get(1), last_above_at: other.get(2) };
        let told = (Phase::Withdrawn, reason.as_str(), span);
        change(client, (key.outlet_id, other_id), (told.0, told.1), span, now).await?;
        if let Some(last) =
            last_told(client, (key.outlet_id, other_id)).await?.filter(|_| is_remembered(span, now))
        {
            alerts += tell(client, (key.outlet_id, other_id), last, told, now).await?;
        }
    }
    // The last one's end is the whole's: open, when it was open.
    let Some(last) = rows.last() else { return Ok(0) };
    let (closed_at, last_above_at): (Option<Timestamp>, Timestamp) = (last.get(1), last.get(2));
    let peak = rows.iter().filter_map(|row| row.get::<_, Option<f64>>(3)).max_by(f64::total_cmp);
    let sql = "UPDATE episode_row SET closed_at = $3, last_above_at = $4, peak = $5, \
        state = CASE WHEN $3::timestamptz IS NULL THEN 'open' ELSE state END WHERE outlet_id = $1 AND id = $2";
    execute(client, sql, &[&key.outlet_id, &id, &closed_at, &last_above_at, &peak]).await?;
    Ok(alerts)
}

/// A window that was part of an episode is not above the limit after all: the episode is withdrawn or revised, with the reason;
/// whoever was told of it is told that. Gives the number of alerts.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn withdraw(
    client: &Client,
    key: &Key,
    window: Window,
    reason: &str,
    now: Timestamp,
) -> Result<usize, Failure> {
    lock(client, vec![key]).await?;
    let mut alerts = 0;
    let sql = "SELECT id, opened_at, closed_at, last_above_at FROM episode_row WHERE outlet_id = $1 AND position = $2 AND rule_id = $3 \
        AND kind = $4 AND subject = $5 AND state <> 'withdrawn' AND opened_at < $7 AND (closed_at IS NULL OR closed_at > $6)";
    let found = query(
        client,
        sql,
        &[
            &key.outlet_id,
            &key.position,
            &key.rule_id,
            &key.kind.name(),
            &key.subject,
            &window.start,
            &window.end,
        ],
    )
    .await?;
    for row in found {
        let id: i64 = row.get(0);
        let span = Span { opened_at: row.get(1), closed_at: row.get(2), last_above_at: row.get(3) };
        let (what, after) = match retract(span, window) {
            Retraction::Withdraw => {
                let sql = "UPDATE episode_row SET state = 'withdrawn', closed_at = coalesce(closed_at, $3), reason = $4 \
                    WHERE outlet_id = $1 AND id = $2";
                execute(client, sql, &[&key.outlet_id, &id, &window.end, &reason]).await?;
                (Phase::Withdrawn, span)
            }
            Retraction::Revise(after) => {
                let sql = "UPDATE episode_row SET opened_at = $3, closed_at = $4, last_above_at = $5, reason = $6, \
                    state = CASE WHEN $4::timestamptz IS NOT NULL AND state = 'open' THEN 'closed' ELSE state END \
                    WHERE outlet_id = $1 AND id = $2";
                let (opened, closed, above) = (after.opened_at, after.closed_at, after.last_above_at);
                execute(client, sql, &[&key.outlet_id, &id, &opened, &closed, &above, &reason]).await?;
                (Phase::Revised, after)
            }
        };
        change(client, (key.outlet_id, id), (what, reason), after, now).await?;
        let last = last_told(client, (key.outlet_id, id)).await?;
        if let Some(last) = last.filter(|_| is_remembered(after, now)) {
            alerts += tell(client, (key.outlet_id, id), last, (what, reason, after), now).await?;
        }
    }
    Ok(alerts)
}

/// An exceedance stands, but with quite other figures: its episode says so, and whoever was told of it is told the new ones. Gives the
/// number of alerts.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn restate(
    client: &Client,
    sighting: &Sighting,
    window: Window,
    reason: &str,
    now: Timestamp,
) -> Result<usize, Failure> {
    let key = &sighting.key;
    let sql = "UPDATE episode_row SET reason = $8 WHERE outlet_id = $1 AND position = $2 AND rule_id = $3 AND kind = $4 AND subject = $5 \
        AND state <> 'withdrawn' AND opened_at < $7 AND (closed_at IS NULL OR closed_at > $6) \
        RETURNING id, opened_at, closed_at, last_above_at";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 8] = [
        &key.outlet_id,
        &key.position,
        &key.rule_id,
        &key.kind.name(),
        &key.subject,
        &window.start,
        &window.end,
        &reason,
    ];
    let mut alerts = 0;
    for row in query(client, sql, &params).await? {
        let episode = (key.outlet_id, row.get(0));
        let span = Span { opened_at: row.get(1), closed_at: row.get(2), last_above_at: row.get(3) };
        change(client, episode, (Phase::Revised, reason), span, now).await?;
        if is_remembered(span, now) && last_told(client, episode).await?.is_some() {
            let told = (Phase::Revised, reason, span);
            alerts += tell(client, episode, sighting.alert.clone(), told, now).await?;
        }
    }
    Ok(alerts)
}

/// Of an episode that ended longer ago nobody is told anything more.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(7 * 24);

fn is_remembered(span: Span, now: Timestamp) -> bool {
    now.duration_since(span.closed_at.unwrap_or(now)) <= REMEMBERED
}

/// Notes what became of an episode.
async fn change(
    client: &Client,
    (outlet_id, id): (i32, i64),
    (what, reason): (Phase, &str),
    span: Span,
    now: Timestamp,
) -> Result<(), Failure> {
    let sql = "INSERT INTO episode_change (outlet_id, episode_id, at, what, reason, opened_at, closed_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
        [&outlet_id, &id, &now, &what.name(), &reason, &span.opened_at, &span.closed_at];
    execute(client, sql, &params).await.map(|_rows| ())
}

/// What was told last of an episode; `None`: nobody was told.
async fn last_told(client: &Client, (outlet_id, id): (i32, i64)) -> Result<Option<Alert>, Failure> {
    let sql = "SELECT body FROM alert WHERE outlet_id = $1 AND episode_id = $2 ORDER BY created_at DESC, id DESC LIMIT 1";
    let Some(row) = query_opt(client, sql, &[&outlet_id, &id]).await? else { return Ok(None) };
    let alert = serde_json::from_value(row.get(0));
    alert.map(Some).map_err(|error| Failure::Refused(format!("a stored alert is unreadable: {error}")))
}

/// Tells those who were told of an episode what became of it.
async fn tell(
    client: &Client,
    episode: (i32, i64),
    last: Alert,
    (phase, reason, span): (Phase, &str, Span),
    now: Timestamp,
) -> Result<usize, Failure> {
    let said = Phase::ALL.iter().find_map(|phase| last.summary.strip_prefix(&format!("{}: ", phase.name())));
    let summary = format!("{}: {}", phase.name(), said.unwrap_or(&last.summary));
    let reason = Some(reason.to_owned());
    let alert = Alert { phase, summary, reason, started_at: span.opened_at, ..last };
    alert::put(client, &alert, episode, now).await.map(|_id| 1)
}

//! Episodes of the past: found in late data, revised or withdrawn when figures change. Nobody is paged for them, and no change
//! is silent.

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::domain::episode::{Retraction, Span, retract};
use crate::domain::window::Window;
use crate::store::episode::{Key, Sighting, lock};
use crate::store::session::{Failure, execute, query};

/// Records an exceedance of the past, `[opened_at, closed_at)`: nobody is paged. One that touches another of the same key
/// extends it; one that is known changes nothing.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn record(
    client: &Client,
    sighting: &Sighting,
    closed_at: Timestamp,
    now: Timestamp,
) -> Result<(), Failure> {
    let (key, seen) = (&sighting.key, sighting.observation);
    let peak = Some(seen.value).filter(|value| value.is_finite());
    // Holding the state row makes two closers take turns.
    lock(client, vec![&sighting.key]).await?;
    let extend = query(client, "UPDATE episode_row SET opened_at = least(opened_at, $6), last_above_at = greatest(last_above_at, $6), \
         closed_at = greatest(closed_at, $7), peak = greatest(peak, $8) \
         WHERE outlet_id = $1 AND position = $2 AND rule_id = $3 AND kind = $4 AND subject = $5 \
         AND state <> 'withdrawn' AND opened_at <= $7 AND (closed_at IS NULL OR closed_at >= $6) RETURNING id",
        &[&key.outlet_id, &key.position, &key.rule_id, &key.kind.name(), &key.subject, &seen.at, &closed_at, &peak],
    ).await;
    if !extend?.is_empty() {
        return Ok(());
    }
    let insert = execute(client, "INSERT INTO episode_row (outlet_id, position, rule_id, kind, subject, opened_at, last_above_at, closed_at, peak, limit_mg_m3, state, noticed_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, 'historical', $10)",
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
        ],
    ).await;
    insert.map(|_rows| ())
}

/// A window that was part of an episode is not above the limit after all: the episode is withdrawn or revised, with the reason.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn withdraw(
    client: &Client,
    key: &Key,
    window: Window,
    reason: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    lock(client, vec![key]).await?;
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
                ("withdrawn", span)
            }
            Retraction::Revise(after) => {
                let sql = "UPDATE episode_row SET opened_at = $3, closed_at = $4, last_above_at = $5, reason = $6, \
                    state = CASE WHEN $4::timestamptz IS NOT NULL AND state = 'open' THEN 'closed' ELSE state END \
                    WHERE outlet_id = $1 AND id = $2";
                let (opened, closed, above) = (after.opened_at, after.closed_at, after.last_above_at);
                execute(client, sql, &[&key.outlet_id, &id, &opened, &closed, &above, &reason]).await?;
                ("revised", after)
            }
        };
        let sql = "INSERT INTO episode_change (outlet_id, episode_id, at, what, reason, opened_at, closed_at) \
            VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
            [&key.outlet_id, &id, &now, &what, &reason, &after.opened_at, &after.closed_at];
        execute(client, sql, &params).await?;
    }
    Ok(())
}

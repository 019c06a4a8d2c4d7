//! Warnings and forecasts of an exceedance: when it comes true they are its history, and while it lasts they tell nobody anything new.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::domain::alert::AlertKind;
use crate::store::episode::{Columns, Key, Locked, Sighting, key_of, lock};
use crate::store::session::{Failure, execute, query};

/// What foretells an exceedance of the same outlet, channel and rule.
const FORETELLING: [AlertKind; 3] = [AlertKind::EarlyWarning, AlertKind::HourToDate, AlertKind::HourForecast];

/// Notes which warnings may begin although the exceedance itself is open: whoever was told of that is not told less.
pub(super) async fn quieten(client: &Client, states: &mut BTreeMap<Key, Locked>) -> Result<(), Failure> {
    let foretelling = |key: &&Key| FORETELLING.contains(&key.kind);
    if !states.keys().any(|key| foretelling(&key)) {
        return Ok(());
    }
    let columns = Columns::of(states.keys().filter(foretelling));
    let sql = "SELECT e.outlet_id, e.position, e.rule_id FROM unnest($1::int[], $2::smallint[], $3::int[]) AS t (outlet_id, position, rule_id) \
        JOIN episode_row e USING (outlet_id, position, rule_id) WHERE e.kind = 'exceedance' AND e.closed_at IS NULL";
    let rows = query(client, sql, &[&columns.outlets, &columns.positions, &columns.rules]).await?;
    let told: HashSet<(i32, i16, i32)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    for (key, state) in states.iter_mut().filter(|(key, _)| foretelling(key)) {
        state.is_known = told.contains(&(key.outlet_id, key.position, key.rule_id));
    }
    Ok(())
}

/// An exceedance begins: the warnings of it that lay over its first window become its history, and those still open end by it. Gives
/// when the earliest began.
pub(super) async fn come_true(
    client: &Client,
    (sighting, id): (&Sighting, i64),
    now: Timestamp,
) -> Result<Option<Timestamp>, Failure> {
    let (key, from) = (&sighting.key, sighting.observation.at);
    let Some(until) = sighting.alert.until.filter(|_| key.kind == AlertKind::Exceedance) else {
        return Ok(None);
    };
    let kinds: Vec<&str> = FORETELLING.iter().map(|kind| kind.name()).collect();
    let sql = "SELECT outlet_id, position, rule_id, kind, subject, id, opened_at, closed_at FROM episode_row WHERE outlet_id = $1 \
        AND position = $2 AND rule_id = $3 AND kind = ANY ($4) AND state <> 'withdrawn' AND opened_at < $6 \
        AND (closed_at IS NULL OR closed_at > $5) ORDER BY opened_at, id";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
        [&key.outlet_id, &key.position, &key.rule_id, &kinds, &from, &until];
    let rows = query(client, sql, &params).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let open: Vec<Key> =
        rows.iter().filter(|row| row.get::<_, Option<Timestamp>>(7).is_none()).filter_map(key_of).collect();
    // A writer that sees the next scan waits, and then finds it ended.
    if !open.is_empty() {
        lock(client, open.iter().collect()).await?;
    }
    let ids: Vec<i64> = rows.iter().map(|row| row.get(5)).collect();
    let reason = format!("the {} from {from} is above the limit: episode {id}", period(sighting));
    let end = "UPDATE episode_row SET closed_at = greatest(last_above_at, $3), state = 'closed' \
        WHERE outlet_id = $1 AND id = ANY ($2) AND closed_at IS NULL";
    execute(client, end, &[&key.outlet_id, &ids, &until]).await?;
    let note = "INSERT INTO episode_change (outlet_id, episode_id, at, what, reason, opened_at, closed_at) \
        SELECT outlet_id, id, $3, 'came-true', $4, opened_at, closed_at FROM episode_row WHERE outlet_id = $1 AND id = ANY ($2)";
    execute(client, note, &[&key.outlet_id, &ids, &now, &reason]).await?;
    let follow = "UPDATE episode_row SET follows = $3 WHERE outlet_id = $1 AND id = $2";
    execute(client, follow, &[&key.outlet_id, &id, &first.get::<_, i64>(5)]).await?;
    Ok(Some(first.get(6)))
}

fn period(sighting: &Sighting) -> &str {
    sighting.alert.period.as_deref().unwrap_or("window")
}

//! Episodes and the alerts they cause, in the caller's transaction. The state rows are locked in key order, so that two
//! centres that see the same thing wait for each other instead of telling it twice.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Client;

use crate::domain::alert::{Alert, AlertKind, Phase};
use crate::domain::episode::{Hold, Hysteresis, Move, Observation, Open, State, next};
use crate::store::session::{Failure, execute, query, query_one};
use crate::store::{alert, foretold};

/// What an episode is of. 0, -1 and empty text where something does not apply.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub outlet_id: i32,
    pub position: i16,
    pub rule_id: i32,
    pub kind: AlertKind,
    /// Analyser or gateway.
    pub subject: String,
}

/// One observation with what a person would be told if it begins an episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    pub key: Key,
    pub observation: Observation,
    pub limit: Option<f64>,
    /// So long it must be above before an episode begins.
    pub hold: SignedDuration,
    /// So long it must be below before the episode ends.
    pub clear: Hysteresis,
    /// Its id is given when it is stored. A higher level than the open episode's is told again.
    pub alert: Alert,
}

/// What the sightings of a transaction did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Moved {
    pub begun: Vec<Key>,
    pub ended: Vec<Key>,
    /// Alerts written to the outbox.
    pub alerts: usize,
}

/// Moves the episodes of these sightings.
///
/// # Errors
/// [`Failure`] when the database does not answer; the transaction is then to be given up.
pub async fn observe(
    client: &Client,
    mut sightings: Vec<Sighting>,
    now: Timestamp,
) -> Result<Moved, Failure> {
    let mut moved = Moved::default();
    if sightings.is_empty() {
        return Ok(moved);
    }
    sightings.sort_by(|a, b| (&a.key, a.observation.at).cmp(&(&b.key, b.observation.at)));
    let mut states = lock(client, sightings.iter().map(|sighting| &sighting.key).collect()).await?;
    foretold::quieten(client, &mut states).await?;
    for sighting in &sightings {
        let state = states.entry(sighting.key.clone()).or_default();
        step(client, (sighting, state), now, &mut moved).await?;
        let seen = sighting.observation;
        if state.last_at.is_none_or(|last_at| seen.at > last_at) {
            state.last_at = Some(seen.at);
        }
    }
    keep(client, &states).await?;
    Ok(moved)
}

/// One sighting's move.
async fn step(
    client: &Client,
    (sighting, state): (&Sighting, &mut Locked),
    now: Timestamp,
    moved: &mut Moved,
) -> Result<(), Failure> {
    let (key, seen) = (&sighting.key, sighting.observation);
    let known =
        state.last_at.map(|last_at| State { last_at, open: state.open, above_since: state.above_since });
    let step = next(known.as_ref(), seen, (Hold(sighting.hold), sighting.clear));
    match step {
        Move::Stay if known.is_some_and(|known| seen.at <= known.last_at) => return Ok(()),
        Move::Stay => {}
        Move::Wait => {
            state.above_since = Some(state.above_since.unwrap_or(seen.at));
            // Whoever looks only at what is open must look at this as well.
            moved.begun.push(key.clone());
            return Ok(());
        }
        Move::Begin => {
            let id = begin(client, sighting, now).await?;
            let warned_at = foretold::come_true(client, (sighting, id), now).await?;
            if !state.is_known {
                let alert = Alert { warned_at, ..sighting.alert.clone() };
                alert::put(client, &alert, (key.outlet_id, id), now).await?;
                moved.alerts += 1;
            }
            moved.begun.push(key.clone());
            let (opened_at, level) = (seen.at, seen.level);
            state.open = Some(Open { id, opened_at, last_above_at: opened_at, peak: seen.value, level });
        }
        Move::Worsen { peak } => {
            if let Some(open) = &mut state.open {
                (open.last_above_at, open.peak, open.level) = (seen.at, peak, seen.level);
                state.touched = true;
                moved.alerts += worsen(client, (sighting, open), state.is_known, now).await?;
            }
        }
        Move::Continue { peak } => {
            if let Some(open) = &mut state.open {
                (open.last_above_at, open.peak) = (seen.at, peak);
                state.touched = true;
            }
        }
        Move::End => {
            if let Some(open) = state.open.take() {
                end(client, key.outlet_id, &open, seen.at).await?;
                moved.ended.push(key.clone());
            }
        }
    }
    // Also of what another centre, or the exceedance it foretold, has ended meanwhile.
    if step == Move::Stay && state.open.is_none() {
        moved.ended.push(key.clone());
    }
    state.above_since = None;
    Ok(())
}

/// The open episode has reached a higher level: it is told as the same episode.
async fn worsen(
    client: &Client,
    (sighting, open): (&Sighting, &Open),
    is_known: bool,
    now: Timestamp,
) -> Result<usize, Failure> {
    let outlet_id = sighting.key.outlet_id;
    let level = i16::from(open.level);
    execute(
        client,
        "UPDATE episode_row SET level = $3 WHERE outlet_id = $1 AND id = $2",
        &[&outlet_id, &open.id, &level],
    )
    .await?;
    let note = "INSERT INTO episode_change (outlet_id, episode_id, at, what, reason, opened_at) VALUES ($1, $2, $3, 'worsened', $4, $5)";
    execute(client, note, &[&outlet_id, &open.id, &now, &sighting.alert.summary, &open.opened_at]).await?;
    if is_known {
        return Ok(0);
    }
    let mut alert = sighting.alert.clone();
    (alert.phase, alert.started_at) = (Phase::Worsened, open.opened_at);
    alert::put(client, &alert, (outlet_id, open.id), now).await.map(|_id| 1)
}

#[derive(Debug, Default)]
pub(super) struct Locked {
    pub(super) last_at: Option<Timestamp>,
    pub(super) above_since: Option<Timestamp>,
    pub(super) open: Option<Open>,
    /// It foretells what is told already: it is recorded, and nobody is told once more.
    pub(super) is_known: bool,
    /// The open episode's figures changed.
    touched: bool,
}

const KEYS: &str = "unnest($1::int[], $2::smallint[], $3::int[], $4::text[], $5::text[]) AS t (outlet_id, position, rule_id, kind, subject)";

/// A set of keys as columns.
pub(super) struct Columns<'k> {
    pub(super) outlets: Vec<i32>,
    pub(super) positions: Vec<i16>,
    pub(super) rules: Vec<i32>,
    kinds: Vec<&'static str>,
    subjects: Vec<&'k str>,
}

impl<'k> Columns<'k> {
    pub(super) fn of(keys: impl Iterator<Item = &'k Key> + Clone) -> Columns<'k> {
        Columns {
            outlets: keys.clone().map(|key| key.outlet_id).collect(),
            positions: keys.clone().map(|key| key.position).collect(),
            rules: keys.clone().map(|key| key.rule_id).collect(),
            kinds: keys.clone().map(|key| key.kind.name()).collect(),
            subjects: keys.map(|key| key.subject.as_str()).collect(),
        }
    }
}

/// Makes and locks the state rows, in key order, and reads the open episodes.
pub(super) async fn lock(client: &Client, mut keys: Vec<&Key>) -> Result<BTreeMap<Key, Locked>, Failure> {
    keys.dedup();
    let columns = Columns::of(keys.iter().copied());
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
        [&columns.outlets, &columns.positions, &columns.rules, &columns.kinds, &columns.subjects];
    let make = format!(
        "INSERT INTO episode_state (outlet_id, position, rule_id, kind, subject) SELECT t.* FROM {KEYS} \
         ORDER BY 1, 2, 3, 4, 5 ON CONFLICT DO NOTHING"
    );
    execute(client, &make, &params).await?;
    let lock = format!(
        "SELECT s.outlet_id, s.position, s.rule_id, s.kind, s.subject, s.last_at, s.above_since FROM {KEYS} \
         JOIN episode_state s USING (outlet_id, position, rule_id, kind, subject) ORDER BY 1, 2, 3, 4, 5 FOR UPDATE OF s"
    );
    let mut states: BTreeMap<Key, Locked> = BTreeMap::new();
    for row in query(client, &lock, &params).await? {
        if let Some(key) = key_of(&row) {
            states.insert(key, Locked { last_at: row.get(5), above_since: row.get(6), ..Locked::default() });
        }
    }
    let open = format!(
        "SELECT e.outlet_id, e.position, e.rule_id, e.kind, e.subject, e.id, e.opened_at, e.last_above_at, e.peak, e.level FROM {KEYS} \
         JOIN episode_row e USING (outlet_id, position, rule_id, kind, subject) WHERE e.closed_at IS NULL"
    );
    for row in query(client, &open, &params).await? {
        let Some(state) = key_of(&row).and_then(|key| states.get_mut(&key)) else { continue };
        let peak: Option<f64> = row.get(8);
        state.open = Some(Open {
            id: row.get(5),
            opened_at: row.get(6),
            last_above_at: row.get(7),
            peak: peak.unwrap_or(f64::NEG_INFINITY),
            level: u8::try_from(row.get::<_, i16>(9)).unwrap_or(1),
        });
    }
    Ok(states)
}

pub(super) fn key_of(row: &tokio_postgres::Row) -> Option<Key> {
    let kind = AlertKind::from_name(row.get(3))?;
    Some(Key { outlet_id: row.get(0), position: row.get(1), rule_id: row.get(2), kind, subject: row.get(4) })
}

async fn begin(client: &Client, sighting: &Sighting, now: Timestamp) -> Result<i64, Failure> {
    let (key, seen) = (&sighting.key, sighting.observation);
    let insert = query_one(client, "INSERT INTO episode_row (outlet_id, position, rule_id, kind, subject, opened_at, last_above_at, peak, limit_mg_m3, state, noticed_at, level) \
         VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, 'open', $9, $10) RETURNING id",
        &[
            &key.outlet_id,
            &key.position,
            &key.rule_id,
            &key.kind.name(),
            &key.subject,
            &seen.at,
            &Some(seen.value).filter(|value| value.is_finite()),
            &sighting.limit,
            &now,
            &i16::from(seen.level.max(1)),
        ],
    ).await;
    insert.map(|row| row.get(0))
}

async fn end(client: &Client, outlet_id: i32, open: &Open, at: Timestamp) -> Result<(), Failure> {
    let update = execute(client, "UPDATE episode_row SET closed_at = $3, state = 'closed', last_above_at = $4, peak = $5 WHERE outlet_id = $1 AND id = $2",
        &[&outlet_id, &open.id, &at, &open.last_above_at, &Some(open.peak).filter(|peak| peak.is_finite())],
    ).await;
    update.map(|_rows| ())
}

/// Writes back what the sightings changed.
async fn keep(client: &Client, states: &BTreeMap<Key, Locked>) -> Result<(), Failure> {
    let columns = Columns::of(states.keys());
    let times: Vec<Option<Timestamp>> = states.values().map(|state| state.last_at).collect();
    let waits: Vec<Option<Timestamp>> = states.values().map(|state| state.above_since).collect();
    let update = execute(client, "UPDATE episode_state s SET last_at = t.last_at, above_since = t.above_since FROM unnest($1::int[], $2::smallint[], \
         $3::int[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[]) AS t (outlet_id, position, rule_id, kind, subject, last_at, above_since) \
         WHERE s.outlet_id = t.outlet_id AND s.position = t.position AND s.rule_id = t.rule_id AND s.kind = t.kind AND s.subject = t.subject",
        &[&columns.outlets, &columns.positions, &columns.rules, &columns.kinds, &columns.subjects, &times, &waits],
    ).await;
    update?;
    let touched: Vec<(i32, &Open)> = states
        .iter()
        .filter(|(_, state)| state.touched)
        .filter_map(|(key, state)| state.open.as_ref().map(|open| (key.outlet_id, open)))
        .collect();
    if touched.is_empty() {
        return Ok(());
    }
    let update = execute(client, "UPDATE episode_row e SET last_above_at = t.at, peak = t.peak FROM unnest($1::int[], $2::bigint[], $3::timestamptz[], $4::float8[]) \
         AS t (outlet_id, id, at, peak) WHERE e.outlet_id = t.outlet_id AND e.id = t.id",
        &[
            &touched.iter().map(|(outlet_id, _)| *outlet_id).collect::<Vec<i32>>(),
            &touched.iter().map(|(_, open)| open.id).collect::<Vec<i64>>(),
            &touched.iter().map(|(_, open)| open.last_above_at).collect::<Vec<Timestamp>>(),
            &touched.iter().map(|(_, open)| Some(open.peak).filter(|peak| peak.is_finite())).collect::<Vec<Option<f64>>>(),
        ],
    ).await;
    update.map(|_rows| ())
}

/// The keys of all open episodes of one kind.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn open_of_kind(client: &Client, kind: AlertKind) -> Result<Vec<Key>, Failure> {
    let query = query(client, "SELECT outlet_id, position, rule_id, kind, subject FROM episode_row WHERE closed_at IS NULL AND kind = $1",
        &[&kind.name()],
    ).await;
    Ok(query?.iter().filter_map(key_of).collect())
}

/// The keys of some kinds that a value below may move: those with an open episode, and those that wait for their hold.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn movable(client: &Client, kinds: &[AlertKind]) -> Result<Vec<Key>, Failure> {
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let sql = "SELECT outlet_id, position, rule_id, kind, subject FROM episode_row WHERE closed_at IS NULL AND kind = ANY ($1) \
        UNION SELECT outlet_id, position, rule_id, kind, subject FROM episode_state WHERE above_since IS NOT NULL AND kind = ANY ($1)";
    Ok(query(client, sql, &[&kinds]).await?.iter().filter_map(key_of).collect())
}

/// The same of some outlets, with the time when each was last seen above.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn movable_at(
    client: &Client,
    outlets: &[i32],
    kinds: &[AlertKind],
) -> Result<Vec<(Key, Timestamp)>, Failure> {
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let sql = "SELECT outlet_id, position, rule_id, kind, subject, last_above_at FROM episode_row \
        WHERE closed_at IS NULL AND outlet_id = ANY ($1) AND kind = ANY ($2) \
        UNION SELECT outlet_id, position, rule_id, kind, subject, last_at FROM episode_state \
        WHERE above_since IS NOT NULL AND outlet_id = ANY ($1) AND kind = ANY ($2)";
    let rows = query(client, sql, &[&outlets, &kinds]).await?;
    Ok(rows.iter().filter_map(|row| Some((key_of(row)?, row.get(5)))).collect())
}

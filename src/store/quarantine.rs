//! What could not be accepted: whole bytes and the reason. The same bytes again add no row. How much is kept of each gateway
//! is a row of `quarantine_level`, which a trigger keeps right.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio_postgres::{Client, Row};

use crate::store::session::{Failure, bounded, execute, query, query_opt};

/// Something to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub received_at: Timestamp,
    pub topic: String,
    pub gateway: String,
    /// As it was told, by the record or the message's properties.
    pub epoch: Option<String>,
    pub seqs: Option<(u64, u64)>,
    pub reason: String,
    pub payload: Vec<u8>,
}

impl Kept {
    fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.payload).into()
    }
}

/// Keeps it, whole. True when it is new.
///
/// # Errors
/// [`Failure`] when the database does not take it.
pub async fn keep(client: &Client, kept: &Kept) -> Result<bool, Failure> {
    let number = |seq: u64| i64::try_from(seq).ok();
    let first = kept.seqs.and_then(|(first, _)| number(first));
    let last = kept.seqs.and_then(|(_, last)| number(last));
    let insert = query(client, "INSERT INTO quarantine (received_at, topic, gateway, epoch, seq_first, seq_last, reason, payload, digest) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING id",
        &[
            &kept.received_at,
            &without_nul(&kept.topic),
            &without_nul(&kept.gateway),
            &kept.epoch.as_deref().map(without_nul),
            &first,
            &last,
            &without_nul(&kept.reason),
            &kept.payload,
            &kept.digest().as_slice(),
        ],
    ).await;
    insert.map(|rows| !rows.is_empty())
}

/// PostgreSQL's text cannot hold NUL; the payload keeps it.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// How much of a gateway is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Level {
    pub records: u64,
    pub bytes: u64,
}

/// How much is kept of the gateways of these, locked in the order of their names until the transaction ends: the cap holds
/// for several writers and centres together.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn lock_levels(client: &Client, kept: &[Kept]) -> Result<BTreeMap<String, Level>, Failure> {
    let gateways: BTreeSet<&str> = kept.iter().map(|kept| kept.gateway.as_str()).collect();
    let gateways: Vec<&str> = gateways.into_iter().collect();
    let make = "INSERT INTO quarantine_level (gateway, records, bytes) SELECT g, 0, 0 FROM unnest($1::text[]) AS t (g) \
        ORDER BY g COLLATE \"C\" ON CONFLICT DO NOTHING";
    execute(client, make, &[&gateways]).await?;
    let lock = "SELECT gateway, records, bytes FROM quarantine_level WHERE gateway = ANY ($1) ORDER BY gateway COLLATE \"C\" FOR UPDATE";
    let number = |row: &Row, column: usize| u64::try_from(row.get::<_, i64>(column)).unwrap_or(0);
    let rows = query(client, lock, &[&gateways]).await?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0), Level { records: number(row, 1), bytes: number(row, 2) }))
        .collect())
}

/// Which of these are in quarantine already, whatever became of them.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn known(client: &Client, kept: &[Kept]) -> Result<Vec<bool>, Failure> {
    let gateways: Vec<&str> = kept.iter().map(|kept| kept.gateway.as_str()).collect();
    let digests: Vec<[u8; 32]> = kept.iter().map(Kept::digest).collect();
    let digests: Vec<&[u8]> = digests.iter().map(<[u8; 32]>::as_slice).collect();
    let sql = "SELECT EXISTS (SELECT 1 FROM quarantine q WHERE q.gateway = t.gateway AND q.digest = t.digest) \
        FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS t (gateway, digest, place) ORDER BY t.place";
    let rows = query(client, sql, &[&gateways, &digests]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// One row, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    pub id: i64,
    pub received_at: Timestamp,
    pub gateway: String,
    pub epoch: Option<String>,
    pub seq_first: Option<i64>,
    pub seq_last: Option<i64>,
    pub bytes: i64,
    /// `kept`, `stored` or `discarded`.
    pub state: String,
    pub topic: String,
    pub reason: String,
}

/// Which rows are meant. Everything that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    pub ids: Option<Vec<i64>>,
    pub gateway: Option<String>,
    /// Part of the reason.
    pub reason: Option<String>,
    pub state: Option<String>,
}

const WHERE: &str = "FROM quarantine WHERE ($1::bigint[] IS NULL OR id = ANY ($1)) AND ($2::text IS NULL OR gateway = $2) \
    AND ($3::text IS NULL OR strpos(reason, $3) > 0) AND ($4::text IS NULL OR state = $4)";

/// The oldest rows of a selection whose id is above `after`, at most `most`.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn entries(
    client: &Client,
    of: &Selection,
    (after, most): (i64, i64),
) -> Result<Vec<Entry>, Failure> {
    let sql = format!(
        "SELECT id, received_at, gateway, epoch, seq_first, seq_last, length(payload)::bigint, state, topic, reason {WHERE} \
         AND id > $5 ORDER BY id LIMIT $6"
    );
    let rows = query(client, &sql, &[&of.ids, &of.gateway, &of.reason, &of.state, &after, &most]).await?;
    Ok(rows.iter().map(entry).collect())
}

fn entry(row: &Row) -> Entry {
    Entry {
        id: row.get(0),
        received_at: row.get(1),
        gateway: row.get(2),
        epoch: row.get(3),
        seq_first: row.get(4),
        seq_last: row.get(5),
        bytes: row.get(6),
        state: row.get(7),
        topic: row.get(8),
        reason: row.get(9),
    }
}

/// How many rows of a gateway have a reason and a state.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Count {
    pub gateway: String,
    pub state: String,
    pub reason: String,
    pub records: i64,
    pub bytes: i64,
}

/// The rows of a selection by gateway, state and reason; the most frequent first, at most a thousand.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn counts(client: &Client, of: &Selection) -> Result<Vec<Count>, Failure> {
    let sql = format!(
        "SELECT gateway, state, reason, count(*), sum(length(payload))::bigint {WHERE} GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT 1000"
    );
    let rows = query(client, &sql, &[&of.ids, &of.gateway, &of.reason, &of.state]).await?;
    let count = |row: &Row| Count {
        gateway: row.get(0),
        state: row.get(1),
        reason: row.get(2),
        records: row.get(3),
        bytes: row.get(4),
    };
    Ok(rows.iter().map(count).collect())
}

/// What somebody did with a row.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    pub at: Timestamp,
    /// `stored`, `refused` or `discarded`.
    pub what: String,
    pub by: String,
    pub reason: String,
}

/// One row with its bytes and its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    pub entry: Entry,
    pub payload: Vec<u8>,
    /// SHA-256 of the bytes, as it was computed when they came.
    pub digest: Vec<u8>,
    pub changes: Vec<Change>,
}

const WHOLE: &str = "SELECT id, received_at, gateway, epoch, seq_first, seq_last, length(payload)::bigint, state, topic, reason, payload, digest \
    FROM quarantine";

fn of_row(row: &Row, changes: Vec<Change>) -> Whole {
    Whole { entry: entry(row), payload: row.get(10), digest: row.get(11), changes }
}

/// Rows of a gateway whose id is above `after`, at most `most`, without their history.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn wholes(
    client: &Client,
    gateway: &str,
    (after, most): (i64, i64),
) -> Result<Vec<Whole>, Failure> {
    let sql = format!("{WHOLE} WHERE gateway = $1 AND id > $2 ORDER BY id LIMIT $3");
    let rows = query(client, &sql, &[&gateway, &after, &most]).await?;
    Ok(rows.iter().map(|row| of_row(row, Vec::new())).collect())
}

/// One row, whole; `None` when there is none.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn whole(client: &Client, id: i64) -> Result<Option<Whole>, Failure> {
    let sql = format!("{WHOLE} WHERE id = $1");
    let Some(row) = query_opt(client, &sql, &[&id]).await? else { return Ok(None) };
    let sql = "SELECT at, what, by_whom, reason FROM quarantine_change WHERE quarantine_id = $1 ORDER BY id";
    let changes = query(client, sql, &[&id]).await?;
    let change = |row: &Row| Change { at: row.get(0), what: row.get(1), by: row.get(2), reason: row.get(3) };
    Ok(Some(of_row(&row, changes.iter().map(change).collect())))
}

/// What becomes of a kept row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Becomes {
    /// A retry stored it.
    Stored,
    /// A retry was refused, for this reason: it stays.
    Refused(String),
    /// It is worth nothing, for this reason.
    Discarded(String),
}

/// Moves a kept row and notes who did it, in one transaction. False, and nothing is changed, when it is not kept (any more).
///
/// # Errors
/// [`Failure`] when the database does not take it; the session is then to be discarded.
pub async fn change(
    client: &Client,
    id: i64,
    becomes: &Becomes,
    (by, now): (&str, Timestamp),
) -> Result<bool, Failure> {
    let (state, what, reason) = match becomes {
        Becomes::Stored => ("stored", "stored", "retried"),
        Becomes::Refused(reason) => ("kept", "refused", reason.as_str()),
        Becomes::Discarded(reason) => ("discarded", "discarded", reason.as_str()),
    };
    let (reason, by) = (without_nul(reason), without_nul(by));
    let fresh = matches!(becomes, Becomes::Refused(_)).then_some(&reason);
    bounded(client.batch_execute("BEGIN")).await?;
    let update =
        "UPDATE quarantine SET state = $2, reason = coalesce($3, reason) WHERE id = $1 AND state = 'kept'";
    let moved = execute(client, update, &[&id, &state, &fresh]).await? == 1;
    if moved {
        let insert = "INSERT INTO quarantine_change (quarantine_id, at, what, by_whom, reason) VALUES ($1, $2, $3, $4, $5)";
        execute(client, insert, &[&id, &now, &what, &by, &reason]).await?;
    }
    bounded(client.batch_execute("COMMIT")).await?;
    Ok(moved)
}

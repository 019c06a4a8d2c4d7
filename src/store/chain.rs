//! The rows of a gateway's chain, streamed for verification, and how far each chain has come.

use std::collections::HashMap;
use std::pin::Pin;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, RowStream};

use crate::store::session::{Failure, bounded, execute, query, query_opt};

/// The stored record with the highest number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub seq: i64,
    pub hash: [u8; 32],
    pub at: Timestamp,
}

/// What was newly stored of one chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Noted {
    pub records: i64,
    /// In quarantine.
    pub kept: i64,
    pub head: Option<Head>,
}

/// Adds to what is noted of chains, named by gateway and epoch.
///
/// # Errors
/// [`Failure`]; whether it was added is then unknown.
pub async fn note(
    client: &Client,
    rows: &[((i32, uuid::Uuid), Noted)],
    now: Timestamp,
) -> Result<(), Failure> {
    let gateways: Vec<i32> = rows.iter().map(|(key, _)| key.0).collect();
    let epochs: Vec<String> = rows.iter().map(|(key, _)| key.1.to_string()).collect();
    let records: Vec<i64> = rows.iter().map(|(_, noted)| noted.records).collect();
    let kept: Vec<i64> = rows.iter().map(|(_, noted)| noted.kept).collect();
    let seqs: Vec<Option<i64>> = rows.iter().map(|(_, noted)| noted.head.map(|head| head.seq)).collect();
    let hashes: Vec<Option<&[u8]>> =
        rows.iter().map(|(_, noted)| noted.head.as_ref().map(|head| head.hash.as_slice())).collect();
    let times: Vec<Option<Timestamp>> =
        rows.iter().map(|(_, noted)| noted.head.map(|head| head.at)).collect();
    let sql = "INSERT INTO chain_head AS h (gateway_id, epoch, records, kept, last_seq, head, last_at, noted_at) \
        SELECT t.g, t.e::uuid, t.n, t.k, t.s, t.h, t.a, $8 \
        FROM unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::timestamptz[]) \
        AS t (g, e, n, k, s, h, a) ORDER BY 1, 2 \
        ON CONFLICT (gateway_id, epoch) DO UPDATE SET records = h.records + excluded.records, kept = h.kept + excluded.kept, \
        last_seq = CASE WHEN excluded.last_seq > coalesce(h.last_seq, -1) THEN excluded.last_seq ELSE h.last_seq END, \
        head = CASE WHEN excluded.last_seq > coalesce(h.last_seq, -1) THEN excluded.head ELSE h.head END, \
        last_at = CASE WHEN excluded.last_seq > coalesce(h.last_seq, -1) THEN excluded.last_at ELSE h.last_at END, \
        noted_at = excluded.noted_at";
    execute(client, sql, &[&gateways, &epochs, &records, &kept, &seqs, &hashes, &times, &now])
        .await
        .map(|_rows| ())
}

/// Begins to look at one moment of the database.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn begin(client: &Client) -> Result<(), Failure> {
    bounded(client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off"))
        .await
}

/// Ends it.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn end(client: &Client) -> Result<(), Failure> {
    bounded(client.batch_execute("COMMIT")).await
}

/// Where the rows of a provenance number say they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub gateway_id: i32,
    /// 32 hexadecimal digits.
    pub epoch: String,
    pub cfg: Vec<u8>,
}

/// All provenance numbers.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn origins(client: &Client) -> Result<HashMap<i32, Origin>, Failure> {
    let sql = "SELECT id, gateway_id, replace(epoch::text, '-', ''), cfg FROM provenance";
    let rows = query(client, sql, &[]).await?;
    let origin = |row: &Row| Origin { gateway_id: row.get(1), epoch: row.get(2), cfg: row.get(3) };
    Ok(rows.iter().map(|row| (row.get(0), origin(row))).collect())
}

/// What was noted of one chain; see [`Noted`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub epoch: String,
    pub records: i64,
    pub kept: i64,
    /// Number, hash and time of the newest record.
    pub head: Option<(i64, Vec<u8>, Timestamp)>,
}

/// What is noted of a gateway's chains.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn heads(client: &Client, gateway_id: i32) -> Result<Vec<Known>, Failure> {
    let sql = "SELECT replace(epoch::text, '-', ''), records, kept, last_seq, head, last_at FROM chain_head \
        WHERE gateway_id = $1 ORDER BY epoch";
    let rows = query(client, sql, &[&gateway_id]).await?;
    let head = |row: &Row| {
        let seq: Option<i64> = row.get(3);
        Some((seq?, row.get::<_, Option<Vec<u8>>>(4)?, row.get::<_, Option<Timestamp>>(5)?))
    };
    let known =
        |row: &Row| Known { epoch: row.get(0), records: row.get(1), kept: row.get(2), head: head(row) };
    Ok(rows.iter().map(known).collect())
}

/// What a gateway last said of itself: its status as JSON.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn status(client: &Client, gateway_id: i32) -> Result<Option<serde_json::Value>, Failure> {
    let sql = "SELECT status FROM gateway_heard WHERE gateway_id = $1";
    Ok(query_opt(client, sql, &[&gateway_id]).await?.and_then(|row| row.get(0)))
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    pub provenance_id: i32,
    pub epoch: String,
    pub seq: i64,
    pub at: Timestamp,
    pub received_at: Timestamp,
    pub event: String,
    pub detail: String,
    pub hash: Vec<u8>,
    pub prev: Vec<u8>,
}

/// A gateway's events behind this one (epoch and number), in order, at most `most`.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn events(
    client: &Client,
    gateway_id: i32,
    after: Option<(&str, i64)>,
    most: i64,
) -> Result<Vec<EventRow>, Failure> {
    let (epoch, seq) = after.unwrap_or(("00000000000000000000000000000000", i64::MIN));
    let sql = "SELECT provenance_id, replace(epoch::text, '-', ''), seq, at, received_at, event, detail, hash, prev FROM event \
        WHERE gateway_id = $1 AND (epoch, seq) > ($2::text::uuid, $3) ORDER BY epoch, seq LIMIT $4";
    let rows = query(client, sql, &[&gateway_id, &epoch, &seq, &most]).await?;
    let event = |row: &Row| EventRow {
        provenance_id: row.get(0),
        epoch: row.get(1),
        seq: row.get(2),
        at: row.get(3),
        received_at: row.get(4),
        event: row.get(5),
        detail: row.get(6),
        hash: row.get(7),
        prev: row.get(8),
    };
    Ok(rows.iter().map(event).collect())
}

/// The times of the first and the last scan of outlets, whatever source they name; `None` when there is none.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn extent(client: &Client, outlets: &[i32]) -> Result<Option<(Timestamp, Timestamp)>, Failure> {
    let first = "SELECT source_id, measured_at FROM scan WHERE outlet_id = $1 AND source_id > $2 ORDER BY source_id, measured_at LIMIT 1";
    let last = "SELECT measured_at FROM scan WHERE outlet_id = $1 AND source_id = $2 ORDER BY measured_at DESC LIMIT 1";
    let mut extent: Option<(Timestamp, Timestamp)> = None;
    for outlet in outlets {
        let mut source = i16::MIN;
        // From source to source through the index, each by its first and last row.
        while let Some(row) = query_opt(client, first, &[outlet, &source]).await? {
            source = row.get(0);
            let from: Timestamp = row.get(1);
            let to = query_opt(client, last, &[outlet, &source]).await?.map_or(from, |row| row.get(0));
            extent = Some(extent.map_or((from, to), |(low, high)| (low.min(from), high.max(to))));
        }
    }
    Ok(extent)
}

/// A scan as it is stored, as far as its record made it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanRow {
    pub outlet_id: i32,
    pub source_id: i16,
    pub at: Timestamp,
    pub received_at: Timestamp,
    pub seq: i64,
    pub provenance_id: i32,
    pub flag: String,
    pub hash: Vec<u8>,
    pub prev: Vec<u8>,
    pub measured: Vec<Option<f64>>,
}

/// Scans on their way from the server, which sends no faster than they are taken.
pub struct Scans(Pin<Box<RowStream>>);

/// The scans of outlets in `[from, to)` with numbers of `first..=last`, by number.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn scans(
    client: &Client,
    outlets: &[i32],
    (from, to): (Timestamp, Timestamp),
    (first, last): (i64, i64),
) -> Result<Scans, Failure> {
    let sql = "SELECT outlet_id, source_id, measured_at, received_at, seq, provenance_id, flag, hash, prev, measured FROM scan \
        WHERE outlet_id = ANY ($1) AND measured_at >= $2 AND measured_at < $3 AND seq >= $4 AND seq <= $5 ORDER BY seq";
    let params: [&(dyn ToSql + Sync); 5] = [&outlets, &from, &to, &first, &last];
    bounded(client.query_raw(sql, params)).await.map(|rows| Scans(Box::pin(rows)))
}

impl Scans {
    /// The next one; `None` after the last.
    ///
    /// # Errors
    /// [`Failure`] when the database does not answer.
    pub async fn next(&mut self) -> Result<Option<ScanRow>, Failure> {
        let row = bounded(self.0.try_next()).await?;
        Ok(row.map(|row| ScanRow {
            outlet_id: row.get(0),
            source_id: row.get(1),
            at: row.get(2),
            received_at: row.get(3),
            seq: row.get(4),
            provenance_id: row.get(5),
            flag: row.get(6),
            hash: row.get(7),
            prev: row.get(8),
            measured: row.get(9),
        }))
    }
}

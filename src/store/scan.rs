//! Scans: written in batches, many rows a statement, and read back by time.
//!
//! Arrays of all rows travel flattened in one parameter and are cut into slices by the server. A flat array that holds
//! NULLs makes slicing quadratic, so NaN stands for "no value" on the way and is replaced in the statement; a CHECK keeps
//! NaN and infinities out of the table.

use futures_util::try_join;
use jiff::Timestamp;
use tokio_postgres::Client;

use crate::domain::average::StoredScan;
use crate::domain::flag::Flag;
use crate::domain::scan::Reading;
use crate::store::due::{self, Due};
use crate::store::session::{Failure, Session, bounded, query};

/// A scan ready to be stored. Vectors by position, all equally long; NaN: no value.
#[derive(Debug, Clone, PartialEq)]
pub struct NewScan {
    pub outlet_id: i32,
    pub source_id: i16,
    pub method: i16,
    pub measured_at: Timestamp,
    pub received_at: Timestamp,
    pub provenance_id: i32,
    pub seq: i64,
    pub hash: [u8; 32],
    pub prev: [u8; 32],
    pub flag: String,
    /// `None` when validation changed nothing.
    pub checked: Option<String>,
    pub measured: Vec<f64>,
    pub corrected: Vec<f64>,
}

impl NewScan {
    /// The row's key.
    pub fn key(&self) -> (i32, i16, Timestamp) {
        (self.outlet_id, self.source_id, self.measured_at)
    }
}

const INSERT: &str = "INSERT INTO scan (outlet_id, source_id, method, measured_at, received_at, seq, provenance_id, flag, \
    checked, hash, prev, measured, corrected) \
    SELECT t.outlet_id, t.source_id, t.method, t.measured_at, t.received_at, t.seq, t.provenance_id, t.flag, t.checked, t.hash, t.prev, \
    CASE WHEN t.gaps THEN array_replace(($12::float8[])[t.low:t.high], 'NaN', NULL) ELSE ($12::float8[])[t.low:t.high] END, \
    array_replace(($13::float8[])[t.low:t.high], 'NaN', NULL) \
    FROM unnest($1::int[], $2::smallint[], $3::smallint[], $4::timestamptz[], $5::timestamptz[], $6::bigint[], $7::int[], $8::text[], \
    $9::text[], $10::bytea[], $11::bytea[], $14::int[], $15::int[], $16::bool[]) \
    AS t (outlet_id, source_id, method, measured_at, received_at, seq, provenance_id, flag, checked, hash, prev, low, high, gaps) \
    ON CONFLICT DO NOTHING RETURNING outlet_id, source_id, measured_at";

/// The columns of a batch, as the statement takes them.
#[derive(Default)]
struct Columns<'s> {
    outlet_id: Vec<i32>,
    source_id: Vec<i16>,
    method: Vec<i16>,
    measured_at: Vec<Timestamp>,
    received_at: Vec<Timestamp>,
    seq: Vec<i64>,
    provenance_id: Vec<i32>,
    flag: Vec<&'s str>,
    checked: Vec<Option<&'s str>>,
    hash: Vec<&'s [u8]>,
    prev: Vec<&'s [u8]>,
    measured: Vec<f64>,
    corrected: Vec<f64>,
    low: Vec<i32>,
    high: Vec<i32>,
    gaps: Vec<bool>,
}

impl<'s> Columns<'s> {
    fn of(scans: &[&'s NewScan]) -> Columns<'s> {
        let mut columns = Columns::default();
        let mut filled = 0_i32;
        for scan in scans {
            columns.outlet_id.push(scan.outlet_id);
            columns.source_id.push(scan.source_id);
            columns.method.push(scan.method);
            columns.measured_at.push(scan.measured_at);
            columns.received_at.push(scan.received_at);
            columns.seq.push(scan.seq);
            columns.provenance_id.push(scan.provenance_id);
            columns.flag.push(&scan.flag);
            columns.checked.push(scan.checked.as_deref());
            columns.hash.push(&scan.hash);
            columns.prev.push(&scan.prev);
            columns.measured.extend_from_slice(&scan.measured);
            columns.corrected.extend_from_slice(&scan.corrected);
            columns.low.push(filled + 1);
            filled += i32::try_from(scan.measured.len()).unwrap_or(0);
            columns.high.push(filled);
            columns.gaps.push(scan.measured.iter().any(|value| value.is_nan()));
        }
        columns
    }
}

/// Whether the transaction is to end with the batch or goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Commit,
    /// The caller does more in the transaction and commits it.
    Stay,
}

/// Opens a transaction, stores scans and their due windows in it, all in one flight to the server. Gives the keys that
/// were new; the others were stored before. Scans are to be sorted by key, each key once.
///
/// # Errors
/// [`Failure`]; the session is then to be discarded, and nothing was stored.
pub async fn store(
    session: &mut Session,
    scans: &[&NewScan],
    dues: &[Due],
    then: Then,
) -> Result<Option<Vec<(i32, i16, Timestamp)>>, Failure> {
    let (client, [insert, append]) = session.prepared([INSERT, due::APPEND]).await?;
    let columns = Columns::of(scans);
    let rows = async {
        client
            .query(
                &insert,
                &[
                    &columns.outlet_id,
                    &columns.source_id,
                    &columns.method,
                    &columns.measured_at,
                    &columns.received_at,
                    &columns.seq,
                    &columns.provenance_id,
                    &columns.flag,
                    &columns.checked,
                    &columns.hash,
                    &columns.prev,
                    &columns.measured,
                    &columns.corrected,
                    &columns.low,
                    &columns.high,
                    &columns.gaps,
                ],
            )
            .await
    };
    let end = async {
        match then {
            Then::Commit => client.batch_execute("COMMIT").await,
            Then::Stay => Ok(()),
        }
    };
    let flight =
        async { try_join!(client.batch_execute("BEGIN"), rows, due::append(client, &append, dues), end) };
    let ((), rows, (), ()) = bounded(flight).await?;
    if rows.len() == scans.len() {
        return Ok(None);
    }
    Ok(Some(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()))
}

/// The stored hashes of rows, for those that were there already.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn hashes(
    client: &Client,
    keys: &[(i32, i16, Timestamp)],
) -> Result<Vec<((i32, i16, Timestamp), Vec<u8>)>, Failure> {
    let outlets: Vec<i32> = keys.iter().map(|key| key.0).collect();
    let sources: Vec<i16> = keys.iter().map(|key| key.1).collect();
    let times: Vec<Timestamp> = keys.iter().map(|key| key.2).collect();
    let query = query(client, "SELECT x.outlet_id, x.source_id, x.measured_at, x.hash FROM unnest($1::int[], $2::smallint[], $3::timestamptz[]) \
         AS t (outlet_id, source_id, measured_at) JOIN scan x USING (outlet_id, source_id, measured_at)",
        &[&outlets, &sources, &times],
    ).await;
    let rows = query?;
    Ok(rows.iter().map(|row| ((row.get(0), row.get(1), row.get(2)), row.get(3))).collect())
}

/// The scans of many windows at once: (outlet, source, start, end) in, (outlet, source, scan) out.
pub const OF_WINDOWS: &str = "SELECT x.outlet_id, x.source_id, x.measured_at, x.measured, x.flag \
    FROM unnest($1::int[], $2::smallint[], $3::timestamptz[], $4::timestamptz[]) AS t (outlet_id, source_id, low, high) \
    CROSS JOIN LATERAL (SELECT s.outlet_id, s.source_id, s.measured_at, s.measured, s.flag FROM scan s WHERE s.outlet_id = t.outlet_id \
    AND s.source_id = t.source_id AND s.measured_at >= t.low AND s.measured_at < t.high AND s.measured_at >= $5 AND s.measured_at < $6 \
    OFFSET 0) x";

/// A stored row's readings, by position.
pub fn readings(measured: &[Option<f64>], flags: &str) -> Vec<Reading> {
    flags
        .chars()
        .zip(measured.iter().copied().chain(std::iter::repeat(None)))
        .map(|(letter, value)| Reading { value, flag: Flag::from_letter(letter).unwrap_or(Flag::Absent) })
        .collect()
}

/// One row of [`OF_WINDOWS`].
pub fn of_row(row: &tokio_postgres::Row) -> ((i32, i16), StoredScan) {
    let measured: Vec<Option<f64>> = row.get(3);
    let flags: &str = row.get(4);
    ((row.get(0), row.get(1)), StoredScan { at: row.get(2), readings: readings(&measured, flags) })
}

//! Scans: written in batches, many rows a statement, and read back by time.

use std::error::Error;

use bytes::{BufMut as _, BytesMut};
use futures_util::try_join;
use jiff::Timestamp;
use tokio_postgres::Client;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};

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

/// Rows travel as one array of the table's own row type: each is read by the server as COPY reads it, and no array is cut or mended there.
const INSERT: &str = "INSERT INTO scan SELECT t.* FROM unnest($1::scan[]) AS t ON CONFLICT DO NOTHING \
    RETURNING outlet_id, source_id, measured_at";

/// The table's columns in their order, as [`NewScan`] fills them.
const COLUMNS: [(&str, Type); 13] = [
    ("outlet_id", Type::INT4),
    ("source_id", Type::INT2),
    ("method", Type::INT2),
    ("measured_at", Type::TIMESTAMPTZ),
    ("received_at", Type::TIMESTAMPTZ),
    ("seq", Type::INT8),
    ("provenance_id", Type::INT4),
    ("flag", Type::TEXT),
    ("checked", Type::TEXT),
    ("hash", Type::BYTEA),
    ("prev", Type::BYTEA),
    ("measured", Type::FLOAT8_ARRAY),
    ("corrected", Type::FLOAT8_ARRAY),
];

/// A batch as the statement takes it: a one-dimensional array of rows in PostgreSQL's binary form.
#[derive(Debug)]
struct Batch<'s>(&'s [&'s NewScan]);

impl ToSql for Batch<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Kind::Array(row) = ty.kind() else { return Err("not an array of rows".into()) };
        out.reserve(self.0.len() * 512);
        // One dimension, no row is NULL.
        out.put_i32(1);
        out.put_i32(0);
        out.put_u32(row.oid());
        out.put_i32(i32::try_from(self.0.len())?);
        out.put_i32(1);
        for scan in self.0 {
            sized(out, |out| row_of(scan, out))?;
        }
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        let Kind::Array(row) = ty.kind() else { return false };
        let Kind::Composite(fields) = row.kind() else { return false };
        let expected = COLUMNS.iter().map(|(name, ty)| (*name, ty));
        fields.iter().map(|field| (field.name(), field.type_())).eq(expected)
    }

    to_sql_checked!();
}

type Written = Result<IsNull, Box<dyn Error + Sync + Send>>;

/// What `write` writes, after its length; NULL has the length -1 and nothing after it.
fn sized(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut) -> Written) -> Written {
    let start = out.len();
    out.put_i32(-1);
    let is_null = write(out)?;
    if let IsNull::No = is_null {
        let length = i32::try_from(out.len() - start - 4)?;
        if let Some(place) = out.get_mut(start..start + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }
    Ok(is_null)
}

/// One row: the number of its columns, then type and value of each.
fn row_of(scan: &NewScan, out: &mut BytesMut) -> Written {
    out.put_i32(i32::try_from(COLUMNS.len())?);
    let (hash, prev): (&[u8], &[u8]) = (&scan.hash, &scan.prev);
    let values: [&(dyn ToSql + Sync); COLUMNS.len()] = [
        &scan.outlet_id,
        &scan.source_id,
        &scan.method,
        &scan.measured_at,
        &scan.received_at,
        &scan.seq,
        &scan.provenance_id,
        &scan.flag,
        &scan.checked,
        &hash,
        &prev,
        &Values(&scan.measured),
        &Values(&scan.corrected),
    ];
    for ((_, ty), value) in COLUMNS.iter().zip(values) {
        out.put_u32(ty.oid());
        sized(out, |out| value.to_sql_checked(ty, out))?;
    }
    Ok(IsNull::No)
}

/// Values of which NaN stands for NULL.
#[derive(Debug)]
struct Values<'v>(&'v [f64]);

impl ToSql for Values<'_> {
    fn to_sql(&self, _ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        if self.0.is_empty() {
            // No dimension at all.
            out.put_i32(0);
            out.put_i32(0);
            out.put_u32(Type::FLOAT8.oid());
            return Ok(IsNull::No);
        }
        out.put_i32(1);
        out.put_i32(i32::from(self.0.iter().any(|value| value.is_nan())));
        out.put_u32(Type::FLOAT8.oid());
        out.put_i32(i32::try_from(self.0.len())?);
        out.put_i32(1);
        for value in self.0 {
            if value.is_nan() {
                out.put_i32(-1);
            } else {
                out.put_i32(8);
                out.put_f64(*value);
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::FLOAT8_ARRAY
    }

    to_sql_checked!();
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
    let batch = Batch(scans);
    let rows = async { client.query(&insert, &[&batch]).await };
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

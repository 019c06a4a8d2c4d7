//! Scans of a time, with where they come from.

use jiff::Timestamp;
use tokio_postgres::{Client, Row};

use crate::store::session::{Failure, query};

/// One stored scan. Vectors and flags by position; a vector may be shorter than the outlet's channels.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanRow {
    pub at: Timestamp,
    pub received_at: Timestamp,
    pub gateway: String,
    /// 32 hexadecimal digits.
    pub epoch: String,
    pub seq: i64,
    /// SHA-256 of the record's bytes, of the one before it, of the gateway's configuration.
    pub hash: Vec<u8>,
    pub prev: Vec<u8>,
    pub cfg: Vec<u8>,
    pub method: String,
    /// Letters as recorded.
    pub flag: String,
    /// Letters after validation, where they differ.
    pub checked: Option<String>,
    pub measured: Vec<Option<f64>>,
    /// mg/m3 at the outlet's own reference, as judged on arrival.
    pub corrected: Vec<Option<f64>>,
}

impl ScanRow {
    /// Measured value, corrected value, letter after validation, letter as recorded.
    pub fn reading(&self, position: usize) -> (Option<f64>, Option<f64>, char, char) {
        let of = |values: &[Option<f64>]| values.get(position).copied().flatten();
        let letter = |letters: &str| letters.chars().nth(position).unwrap_or('-');
        let recorded = letter(&self.flag);
        let checked = self.checked.as_deref().map_or(recorded, letter);
        (of(&self.measured), of(&self.corrected), checked, recorded)
    }
}

const OLDEST_FIRST: &str = "SELECT x.measured_at, x.received_at, g.name, p.epoch::text, x.seq, x.hash, x.prev, p.cfg, m.name, \
    x.flag, x.checked, x.measured, x.corrected \
    FROM scan x JOIN provenance p ON p.id = x.provenance_id JOIN gateway g ON g.id = p.gateway_id JOIN method m ON m.id = x.method \
    WHERE x.outlet_id = $1 AND x.source_id = $2 AND x.measured_at >= $3 AND x.measured_at < $4 ORDER BY x.measured_at LIMIT $5";

const NEWEST_FIRST: &str = "SELECT x.measured_at, x.received_at, g.name, p.epoch::text, x.seq, x.hash, x.prev, p.cfg, m.name, \
    x.flag, x.checked, x.measured, x.corrected \
    FROM scan x JOIN provenance p ON p.id = x.provenance_id JOIN gateway g ON g.id = p.gateway_id JOIN method m ON m.id = x.method \
    WHERE x.outlet_id = $1 AND x.source_id = $2 AND x.measured_at >= $3 AND x.measured_at <= $4 ORDER BY x.measured_at DESC LIMIT $5";

/// Scans of `(outlet, source)` in `[from, to)`, oldest first, at most `most`.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn scans(
    client: &Client,
    of: (i32, i16),
    (from, to): (Timestamp, Timestamp),
    most: i64,
) -> Result<Vec<ScanRow>, Failure> {
    let rows = query(client, OLDEST_FIRST, &[&of.0, &of.1, &from, &to, &most]).await?;
    Ok(rows.iter().map(scan).collect())
}

/// The newest scan of `(outlet, source)` in `[earliest, at]`.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn newest(
    client: &Client,
    of: (i32, i16),
    (earliest, at): (Timestamp, Timestamp),
) -> Result<Option<ScanRow>, Failure> {
    let rows = query(client, NEWEST_FIRST, &[&of.0, &of.1, &earliest, &at, &1_i64]).await?;
    Ok(rows.first().map(scan))
}

fn scan(row: &Row) -> ScanRow {
    let epoch: String = row.get(3);
    ScanRow {
        at: row.get(0),
        received_at: row.get(1),
        gateway: row.get(2),
        epoch: epoch.replace('-', ""),
        seq: row.get(4),
        hash: row.get(5),
        prev: row.get(6),
        cfg: row.get(7),
        method: row.get(8),
        flag: row.get(9),
        checked: row.get(10),
        measured: row.get(11),
        corrected: row.get(12),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_beyond_the_arrays_is_absent() {
        let row = ScanRow {
            at: Timestamp::UNIX_EPOCH,
            received_at: Timestamp::UNIX_EPOCH,
            gateway: String::new(),
            epoch: String::new(),
            seq: 1,
            hash: Vec::new(),
            prev: Vec::new(),
            cfg: Vec::new(),
            method: String::new(),
            flag: "NN".to_owned(),
            checked: Some("NT".to_owned()),
            measured: vec![Some(1.0), Some(900.0)],
            corrected: vec![Some(1.5), None],
        };
        assert_eq!(row.reading(0), (Some(1.0), Some(1.5), 'N', 'N'));
        assert_eq!(row.reading(1), (Some(900.0), None, 'T', 'N'));
        assert_eq!(row.reading(2), (None, None, '-', '-'));
    }
}

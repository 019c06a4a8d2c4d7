//! The newest scan of each outlet, for people who watch.

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::domain::scan::Reading;
use crate::store::scan::readings;
use crate::store::session::{Failure, query};

/// An outlet's newest scan.
#[derive(Debug, Clone, PartialEq)]
pub struct Latest {
    pub outlet_id: i32,
    pub at: Timestamp,
    /// By position, after validation.
    pub readings: Vec<Reading>,
    /// By position, mg/m3.
    pub corrected: Vec<Option<f64>>,
}

/// The newest scan of every outlet that has one since `since`.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn latest(client: &Client, since: Timestamp) -> Result<Vec<Latest>, Failure> {
    let sql = "SELECT o.id, x.measured_at, x.measured, coalesce(x.checked, x.flag), x.corrected FROM outlet o CROSS JOIN LATERAL \
        (SELECT * FROM scan s WHERE s.outlet_id = o.id AND s.measured_at >= $1 ORDER BY s.measured_at DESC LIMIT 1) x ORDER BY o.code";
    let rows = query(client, sql, &[&since]).await?;
    Ok(rows
        .iter()
        .map(|row| Latest {
            outlet_id: row.get(0),
            at: row.get(1),
            readings: readings(&row.get::<_, Vec<Option<f64>>>(2), row.get(3)),
            corrected: row.get(4),
        })
        .collect())
}

/// Whether any scan is stored.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn any_scan(client: &Client) -> Result<bool, Failure> {
    let rows = query(client, "SELECT 1 FROM scan LIMIT 1", &[]).await?;
    Ok(!rows.is_empty())
}

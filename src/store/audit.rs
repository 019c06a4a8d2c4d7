//! Served against stored: what the analysers' ledger says, compared with the tables by SQL. Shares nothing with the pipeline
//! that it checks but the tables.

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::store::session::{Failure, bounded, execute, query_one};

/// One reading that an analyser served, by the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Served {
    pub outlet: String,
    pub channel: String,
    /// The tick that it was served in.
    pub tick: Timestamp,
    pub value: f64,
}

/// What the comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audit {
    /// Readings served: each (outlet, channel, tick) once.
    pub served: i64,
    /// Of them those that stand in the table, bit for bit.
    pub stored: i64,
    /// Of them those that are missing or altered, and that no flagged reading explains.
    pub lost: i64,
    /// Readings that stand in the table more often than they were served, or with a value that nobody served.
    pub duplicated: i64,
}

/// Compares. Only ticks in `[from, until)` are looked at on both sides.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn compare(
    client: &Client,
    served: &[Served],
    (from, until): (Timestamp, Timestamp),
) -> Result<Audit, Failure> {
    let create = "DROP TABLE IF EXISTS pg_temp.served; \
        CREATE TEMP TABLE served (outlet text, channel text, tick timestamptz, value float8)";
    bounded(client.batch_execute(create)).await?;
    for chunk in served.chunks(20_000) {
        let outlets: Vec<&str> = chunk.iter().map(|one| one.outlet.as_str()).collect();
        let channels: Vec<&str> = chunk.iter().map(|one| one.channel.as_str()).collect();
        let ticks: Vec<Timestamp> = chunk.iter().map(|one| one.tick).collect();
        let values: Vec<f64> = chunk.iter().map(|one| one.value).collect();
        let insert = "INSERT INTO served SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::float8[])";
        execute(client, insert, &[&outlets, &channels, &ticks, &values]).await?;
    }
    let row = query_one(client, COMPARE, &[&from, &until]).await?;
    Ok(Audit { served: row.get(0), stored: row.get(1), lost: row.get(2), duplicated: row.get(3) })
}

/// A retried poll serves a tick twice; any of its answers may have been the one that counted.
const COMPARE: &str = "WITH ledger AS (SELECT DISTINCT outlet, channel, tick, value FROM served WHERE tick >= $1 AND tick < $2), \
    keys AS (SELECT DISTINCT outlet, channel, tick FROM ledger), \
    rows AS (SELECT outlet, channel, measured_at AS tick, measured AS value, device_flag AS flag FROM reading \
        WHERE measured_at >= $1 AND measured_at < $2 AND device_flag <> '-'), \
    found AS (SELECT k.outlet, k.channel, k.tick, \
        EXISTS (SELECT 1 FROM rows r JOIN ledger l USING (outlet, channel, tick) \
            WHERE (r.outlet, r.channel, r.tick) = (k.outlet, k.channel, k.tick) AND r.value = l.value) AS same, \
        EXISTS (SELECT 1 FROM rows r WHERE (r.outlet, r.channel, r.tick) = (k.outlet, k.channel, k.tick) \
            AND r.value IS NULL AND r.flag <> 'N') AS explained FROM keys k), \
    twice AS (SELECT count(*) - 1 AS more FROM rows GROUP BY outlet, channel, tick HAVING count(*) > 1), \
    invented AS (SELECT 1 FROM rows r LEFT JOIN keys k USING (outlet, channel, tick) WHERE r.value IS NOT NULL AND k.tick IS NULL) \
    SELECT (SELECT count(*) FROM keys), (SELECT count(*) FROM found WHERE same), \
        (SELECT count(*) FROM found WHERE NOT same AND NOT explained), \
        coalesce((SELECT sum(more) FROM twice), 0)::bigint + (SELECT count(*) FROM invented)";

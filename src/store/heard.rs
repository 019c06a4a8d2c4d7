//! Signs of life: when each outlet, analyser and gateway was last heard.

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::store::session::{Failure, execute, query};

/// Notes live readings: (outlet, analyser or "" for the outlet itself, time). A time never goes back.
///
/// # Errors
/// [`Failure`] when the database does not take them.
pub async fn note(client: &Client, heard: &[(i32, String, Timestamp)]) -> Result<(), Failure> {
    let outlets: Vec<i32> = heard.iter().map(|row| row.0).collect();
    let analysers: Vec<&str> = heard.iter().map(|row| row.1.as_str()).collect();
    let times: Vec<Timestamp> = heard.iter().map(|row| row.2).collect();
    let upsert = execute(client, "INSERT INTO heard AS h (outlet_id, analyser, at) SELECT * FROM unnest($1::int[], $2::text[], $3::timestamptz[]) AS t (o, a, at) \
         ORDER BY 1, 2 ON CONFLICT (outlet_id, analyser) DO UPDATE SET at = greatest(h.at, excluded.at)",
        &[&outlets, &analysers, &times],
    ).await;
    upsert.map(|_rows| ())
}

/// Notes signs of life of gateways: (key, time, status as JSON text when it said one).
///
/// # Errors
/// [`Failure`] when the database does not take them.
pub async fn note_gateways(
    client: &Client,
    heard: &[(i32, Timestamp, Option<String>)],
) -> Result<(), Failure> {
    let gateways: Vec<i32> = heard.iter().map(|row| row.0).collect();
    let times: Vec<Timestamp> = heard.iter().map(|row| row.1).collect();
    let statuses: Vec<Option<&str>> = heard.iter().map(|row| row.2.as_deref()).collect();
    let upsert = execute(client, "INSERT INTO gateway_heard AS h (gateway_id, at, status) \
         SELECT t.g, t.at, t.s::jsonb FROM unnest($1::int[], $2::timestamptz[], $3::text[]) AS t (g, at, s) ORDER BY 1 \
         ON CONFLICT (gateway_id) DO UPDATE SET at = greatest(h.at, excluded.at), status = coalesce(excluded.status, h.status)",
        &[&gateways, &times, &statuses],
    ).await;
    upsert.map(|_rows| ())
}

/// All that was heard: of outlets and analysers, and of gateways.
#[derive(Debug, Default)]
pub struct Heard {
    pub outlets: Vec<(i32, String, Timestamp)>,
    pub gateways: Vec<(i32, Timestamp)>,
}

/// Reads all signs of life.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn all(client: &Client) -> Result<Heard, Failure> {
    let outlets = query(client, "SELECT outlet_id, analyser, at FROM heard", &[]).await?;
    let gateways = query(client, "SELECT gateway_id, at FROM gateway_heard", &[]).await?;
    Ok(Heard {
        outlets: outlets.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect(),
        gateways: gateways.iter().map(|row| (row.get(0), row.get(1))).collect(),
    })
}

/// What gateways that were heard after `since` last said of themselves, as JSON text.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn statuses(client: &Client, since: Timestamp) -> Result<Vec<(i32, String)>, Failure> {
    let sql = "SELECT gateway_id, status::text FROM gateway_heard WHERE at > $1 AND status IS NOT NULL";
    let rows = query(client, sql, &[&since]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

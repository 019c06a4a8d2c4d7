//! Chunks that are old enough are compressed by a policy of TimescaleDB, whose workers run it: at province size a day takes an hour,
//! which no statement of ours may. Nothing is decompressed for late rows: they go beside, and the policy takes them in later.

use tokio_postgres::Client;

use super::{Edition, Storage};
use crate::store::session::{Failure, Session, bounded, query, query_one};

/// What separates and what orders the rows of a compressed batch: the key, so that a late row finds its batches by the index.
const TABLES: [(&str, &str, &str); 2] = [
    ("scan", "outlet_id, source_id", "measured_at"),
    ("average_wide", "outlet_id, source_id, period", "start, revision"),
];

/// Makes the policies of both tables say `days`; 0: none. Does nothing when they do already, nor where there is nothing to compress.
/// Gives what is in force, for people.
///
/// # Errors
/// [`Failure`] when the database does not do it.
pub async fn see_to(session: &mut Session, days: u32) -> Result<String, Failure> {
    let client = session.client().await?;
    let storage = Storage::of(client).await?;
    match &storage {
        Storage::Partitions | Storage::Hypertables { edition: Edition::Apache, .. } => {
            return Ok(storage.to_string());
        }
        Storage::Hypertables { edition: Edition::Community, .. } => {}
    }
    let after = i32::try_from(days).unwrap_or(i32::MAX);
    if !all_as_wished(client, after).await? {
        let arranged = arrange(client, after).await;
        if arranged.is_err() {
            session.discard();
        }
        arranged?;
    }
    Ok(match days {
        0 => format!("{storage}, never compressed"),
        days => format!("{storage}, chunks compressed after {days} days"),
    })
}

/// Where the extension's functions are.
pub(super) async fn schema(client: &Client) -> Result<String, Failure> {
    let sql = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'timescaledb'";
    Ok(query_one(client, sql, &[]).await?.get(0))
}

async fn all_as_wished(client: &Client, after: i32) -> Result<bool, Failure> {
    let sql = "SELECT config ->> 'compress_after' IS NOT NULL AND (config ->> 'compress_after')::interval = make_interval(days => $1) \
        FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression' \
        AND (hypertable_schema, hypertable_name) IN (SELECT n.nspname, c.relname FROM pg_class c \
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid IN ('scan'::regclass, 'average_wide'::regclass))";
    let rows = query(client, sql, &[&after]).await?;
    Ok(if after == 0 {
        rows.is_empty()
    } else {
        rows.len() == TABLES.len() && rows.iter().all(|row| row.get(0))
    })
}

async fn arrange(client: &Client, after: i32) -> Result<(), Failure> {
    let schema = schema(client).await?;
    // Centres wait for each other; who comes second finds it done, and does it again to the same effect.
    bounded(client.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(826402)")).await?;
    for (table, apart, order) in TABLES {
        let remove = format!("SELECT {schema}.remove_compression_policy('{table}', if_exists => true)");
        bounded(client.batch_execute(&remove)).await?;
        if after == 0 {
            continue;
        }
        let sql = "SELECT compression_enabled FROM timescaledb_information.hypertables \
            WHERE (hypertable_schema, hypertable_name) = (SELECT n.nspname, c.relname FROM pg_class c \
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::text::regclass)";
        if !query_one(client, sql, &[&table]).await?.get::<_, bool>(0) {
            let enable = format!(
                "ALTER TABLE {table} SET (timescaledb.compress, timescaledb.compress_segmentby = '{apart}', \
                 timescaledb.compress_orderby = '{order}')"
            );
            bounded(client.batch_execute(&enable)).await?;
        }
        let add = format!(
            "SELECT {schema}.add_compression_policy('{table}', compress_after => interval '{after} days')"
        );
        bounded(client.batch_execute(&add)).await?;
    }
    bounded(client.batch_execute("COMMIT")).await
}

//! Brings the tables to the version of this program: `migrations/V{n}__{name}.sql`, in order, each in a transaction of its
//! own. Running again changes nothing; a run that was killed goes on where it stopped. A migration that has been
//! released is never edited: refinery refuses a database whose history differs. Afterwards the tables that grow are brought to the
//! storage that is wished (`storage.rs`), while they are empty.

use refinery::{Migration, Runner};
use tokio_postgres::Client;

use crate::config::central::Timescale;
use crate::store::session::{Failure, bounded};
use crate::store::storage::{self, Storage, StorageError};

/// Name and text of every migration. Listed by hand, so that a new file cannot be missed by an incremental build; a test
/// compares the list with the folder.
const MIGRATIONS: [(&str, &str); 8] = [
    ("V1__plant", include_str!("migrations/V1__plant.sql")),
    ("V2__scans_and_what_follows", include_str!("migrations/V2__scans_and_what_follows.sql")),
    ("V3__law", include_str!("migrations/V3__law.sql")),
    ("V4__law_in_use", include_str!("migrations/V4__law_in_use.sql")),
    ("V5__chain_head_and_quarantine", include_str!("migrations/V5__chain_head_and_quarantine.sql")),
    ("V6__due_names_many_outlets", include_str!("migrations/V6__due_names_many_outlets.sql")),
    ("V7__storage", include_str!("migrations/V7__storage.sql")),
    ("V8__alerting", include_str!("migrations/V8__alerting.sql")),
];

/// Key of the advisory lock that lets one migrator work at a time: "cems" as a number.
const LOCK: i64 = 0x6365_6d73;

/// Why the tables are not at the version of this program.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error(
        "another migration holds the lock for longer than the time-out; wait for it or end it, then run again"
    )]
    Busy { source: Failure },
    #[error("the migration stopped; what was applied stays, correct the cause and run again")]
    Stopped { source: refinery::Error },
    /// How the tables are kept is not as asked; what is at fault says the source.
    #[error(transparent)]
    Storage(StorageError),
    #[error("the database failed during the migration; run it again")]
    Database { source: Failure },
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Migrated {
    /// Names of the migrations that this run applied; empty when all were there.
    pub applied: Vec<String>,
    /// Version of the tables now.
    pub version: i32,
    /// How the tables that grow are kept.
    pub storage: Storage,
}

/// Applies what is missing and leaves the tables that grow as they are kept: partitions, when they are new. The client's own
/// time-outs hold for the lock, none for the migrations (one may rewrite a large table); afterwards they are as before.
///
/// # Errors
/// [`MigrateError`]
pub async fn migrate(client: &mut Client) -> Result<Migrated, MigrateError> {
    locked(client, None).await
}

/// The same, and keeps the tables that grow as wished. A wish that cannot be met is refused before anything is changed.
///
/// # Errors
/// [`MigrateError`]
pub async fn migrate_to(client: &mut Client, wish: Timescale) -> Result<Migrated, MigrateError> {
    locked(client, Some(wish)).await
}

async fn locked(client: &mut Client, wish: Option<Timescale>) -> Result<Migrated, MigrateError> {
    let database = |source| MigrateError::Database { source };
    let before = bounded(client.query_one("SHOW statement_timeout", &[])).await.map_err(database)?;
    let before: String = before.try_get(0).map_err(|error| database(error.into()))?;
    bounded(client.batch_execute("SET statement_timeout = 0")).await.map_err(database)?;
    bounded(client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]))
        .await
        .map_err(|source| MigrateError::Busy { source })?;
    let outcome = apply(client, wish).await;
    let release = bounded(client.execute("SELECT pg_advisory_unlock($1)", &[&LOCK])).await;
    let restore =
        bounded(client.execute("SELECT set_config('statement_timeout', $1, false)", &[&before])).await;
    let migrated = outcome?;
    release.map_err(database)?;
    restore.map_err(database)?;
    Ok(migrated)
}

async fn apply(client: &mut Client, wish: Option<Timescale>) -> Result<Migrated, MigrateError> {
    if let Some(wish) = wish {
        storage::foresee(client, wish).await.map_err(MigrateError::Storage)?;
    }
    let stopped = |source| MigrateError::Stopped { source };
    let migrations: Result<Vec<Migration>, refinery::Error> =
        MIGRATIONS.iter().map(|(name, sql)| Migration::unapplied(name, sql)).collect();
    let report = Runner::new(&migrations.map_err(stopped)?)
        .set_migration_table_name("migration")
        .run_async(client)
        .await
        .map_err(stopped)?;
    let applied = report.applied_migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let newest = bounded(client.query_one("SELECT max(version)::int4 FROM migration", &[])).await;
    let version = newest
        .and_then(|row| row.try_get(0).map_err(Failure::from))
        .map_err(|source| MigrateError::Database { source })?;
    let storage = match wish {
        Some(wish) => storage::settle(client, wish).await,
        None => Storage::of(client).await,
    };
    Ok(Migrated { applied, version, storage: storage.map_err(MigrateError::Storage)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_listed_in_order() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort_by_key(|file| file[1..].split("__").next().unwrap().parse::<u32>().unwrap());
        let listed: Vec<String> = MIGRATIONS.iter().map(|(name, _)| format!("{name}.sql")).collect();
        assert_eq!(files, listed);
    }
}

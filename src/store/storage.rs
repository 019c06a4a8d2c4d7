//! How the tables that grow are kept: partitions of PostgreSQL's own, or hypertables of TimescaleDB. Decided when the tables are
//! made, since rows cannot move from one to the other; told by the database alone, never by the configuration.

/// Old chunks compressed, by a policy of TimescaleDB.
pub mod compression;
/// The other kind, while the tables are empty.
mod change;

use tokio_postgres::Client;

use crate::config::central::Timescale;
use crate::store::session::{Failure, bounded, query_one};

/// Older versions cannot take late rows into compressed chunks as we need it.
const OLDEST: (u32, u32) = (2, 18);

/// How the tables that grow are kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub enum Storage {
    /// Partitions of PostgreSQL's own, made ahead and on demand.
    Partitions,
    /// Hypertables, whose chunks TimescaleDB makes.
    Hypertables { version: String, edition: Edition },
}

/// What TimescaleDB's licence setting allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Edition {
    /// No compression, no policies.
    Apache,
    Community,
}

impl std::fmt::Display for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Storage::Partitions => f.write_str("plain partitions"),
            Storage::Hypertables { version, edition: Edition::Community } => {
                write!(f, "hypertables of TimescaleDB {version}")
            }
            Storage::Hypertables { version, edition: Edition::Apache } => {
                write!(f, "hypertables of TimescaleDB {version}, Apache edition (no compression)")
            }
        }
    }
}

/// Why the tables are not kept as asked, or why nobody can tell how they are kept.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Whose fault: configuration, or the server's set-up. Nothing was changed.
    #[error(
        "database.timescale is \"on\", but {found}; {remedy}, or set database.timescale to \"auto\" or \"off\""
    )]
    NotOffered { found: String, remedy: &'static str },
    /// Whose fault: configuration. Nothing was changed.
    #[error(
        "database.timescale is {wish:?}, but this database keeps its rows in {found}, and a table with rows stays what it is; \
         set database.timescale to {set:?} or \"auto\", or begin with an empty database"
    )]
    HasRows { wish: &'static str, found: &'static str, set: &'static str },
    /// Whose fault: somebody else's objects in the database. Nothing was changed.
    #[error(
        "scan and average_wide cannot be made again, since something that is not ours hangs on them: {found}; drop it, migrate, \
         and make it again"
    )]
    InUse { found: String },
    /// Whose fault: whoever restored or changed the tables by hand.
    #[error(
        "table storage says that scan and average_wide are {noted}, but they are not; restore the database completely (of \
         TimescaleDB as its documentation on backups says), or begin with an empty one"
    )]
    Unclear { noted: String },
    #[error(transparent)]
    Database(#[from] Failure),
}

impl StorageError {
    /// Whether the wish is at fault, and not the database.
    pub const fn is_wish(&self) -> bool {
        match self {
            StorageError::NotOffered { .. } | StorageError::HasRows { .. } | StorageError::InUse { .. } => {
                true
            }
            StorageError::Unclear { .. } | StorageError::Database(_) => false,
        }
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Failure {
        match error {
            StorageError::Database(failure) => failure,
            StorageError::Unclear { .. }
            | StorageError::NotOffered { .. }
            | StorageError::HasRows { .. }
            | StorageError::InUse { .. } => Failure::Unavailable(error.to_string()),
        }
    }
}

impl Storage {
    /// How this database keeps its tables: what is noted and what the tables are must agree.
    ///
    /// # Errors
    /// [`StorageError::Unclear`] when they do not; [`StorageError::Database`].
    pub async fn of(client: &Client) -> Result<Storage, StorageError> {
        let sql = "SELECT (SELECT kind FROM storage), (SELECT bool_and(relkind = 'p') FROM pg_class \
            WHERE oid IN ('scan'::regclass, 'average_wide'::regclass)), \
            (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'), \
            coalesce(current_setting('timescaledb.license', true), '') = 'timescale'";
        let row = query_one(client, sql, &[]).await?;
        let noted: Option<String> = row.get(0);
        let (partitioned, version): (bool, Option<String>) = (row.get(1), row.get(2));
        let noted = noted.unwrap_or_else(|| "nothing".to_owned());
        match version {
            _ if noted == "partitions" && partitioned => Ok(Storage::Partitions),
            Some(version) if noted == "hypertables" && both_are_hypertables(client).await? => {
                let edition = if row.get(3) { Edition::Community } else { Edition::Apache };
                Ok(Storage::Hypertables { version, edition })
            }
            _ => Err(StorageError::Unclear { noted }),
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Storage::Partitions => "plain partitions",
            Storage::Hypertables { .. } => "hypertables",
        }
    }
}

async fn both_are_hypertables(client: &Client) -> Result<bool, Failure> {
    let sql = "SELECT count(*) = 2 FROM timescaledb_information.hypertables \
        WHERE (hypertable_schema, hypertable_name) IN (SELECT n.nspname, c.relname FROM pg_class c \
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid IN ('scan'::regclass, 'average_wide'::regclass))";
    Ok(query_one(client, sql, &[]).await?.get(0))
}

/// What the server has for us.
enum Offer {
    /// The extension is there, or can be created.
    Usable,
    Not {
        found: String,
        remedy: &'static str,
    },
}

async fn offer(client: &Client) -> Result<Offer, Failure> {
    // Its loader's setting is there only where the library is preloaded; `shared_preload_libraries` itself is for superusers.
    let sql = "SELECT (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'), \
        (SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'), \
        current_setting('timescaledb.max_background_workers', true) IS NOT NULL, \
        (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR (has_database_privilege(current_database(), 'CREATE') \
        AND EXISTS (SELECT FROM pg_available_extension_versions WHERE name = 'timescaledb' AND trusted))";
    let row = query_one(client, sql, &[]).await?;
    let (created, available): (Option<String>, Option<String>) = (row.get(0), row.get(1));
    let (preloaded, may_create): (bool, bool) = (row.get(2), row.get(3));
    let not = |found: String, remedy| Offer::Not { found, remedy };
    Ok(match (created, available) {
        (None, None) => not(
            "this server has no extension timescaledb".to_owned(),
            "install TimescaleDB and add it to shared_preload_libraries",
        ),
        (created, available) if !preloaded => not(
            format!(
                "extension timescaledb {} is not loaded by this server",
                created.or(available).unwrap_or_default()
            ),
            "add timescaledb to shared_preload_libraries and restart PostgreSQL",
        ),
        (Some(version), _) | (None, Some(version)) if is_too_old(&version) => {
            not(format!("extension timescaledb has version {version}"), "update it to 2.18 or later")
        }
        (None, Some(version)) if !may_create => not(
            format!("this user may not create extension timescaledb {version}"),
            "let a superuser do it in this database (CREATE EXTENSION timescaledb)",
        ),
        (Some(_) | None, _) => Offer::Usable,
    })
}

fn is_too_old(version: &str) -> bool {
    let mut parts =
        version.split(|letter: char| !letter.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < OLDEST
}

/// Refuses a wish that cannot be met, before anything is changed. The tables need not exist yet.
///
/// # Errors
/// [`StorageError`]
pub(super) async fn foresee(client: &Client, wish: Timescale) -> Result<(), StorageError> {
    let sql = "SELECT to_regclass('scan') IS NOT NULL AND to_regclass('average_wide') IS NOT NULL, to_regclass('storage') IS NOT NULL";
    let row = query_one(client, sql, &[]).await?;
    let (made, noted): (bool, bool) = (row.get(0), row.get(1));
    // Tables of before the note are partitioned.
    let have = if noted { Storage::of(client).await? } else { Storage::Partitions };
    if made {
        decide(client, &have, wish).await.map(|_change| ())
    } else if wish == Timescale::On {
        offered(client).await
    } else {
        Ok(())
    }
}

/// Brings the tables to what is wished, if they are not yet and nothing is in them. They must exist.
///
/// # Errors
/// [`StorageError`]; nothing was changed.
pub(super) async fn settle(client: &Client, wish: Timescale) -> Result<Storage, StorageError> {
    let have = Storage::of(client).await?;
    let Some(to) = decide(client, &have, wish).await? else { return Ok(have) };
    let changed = change::change(client, to).await;
    if changed.is_err() {
        // The first error is the one that counts.
        let _aborted = bounded(client.batch_execute("ROLLBACK")).await;
    }
    match changed {
        Ok(()) => Storage::of(client).await,
        // Nobody asked for it.
        Err(StorageError::InUse { .. } | StorageError::HasRows { .. }) if wish == Timescale::Auto => Ok(have),
        Err(error) => Err(error),
    }
}

/// What the tables are to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Partitions,
    Hypertables,
}

/// `None`: they stay what they are.
async fn decide(client: &Client, have: &Storage, wish: Timescale) -> Result<Option<To>, StorageError> {
    let to = match (wish, have) {
        (Timescale::On, Storage::Hypertables { .. }) | (Timescale::Off, Storage::Partitions) => {
            return Ok(None);
        }
        (Timescale::Auto, Storage::Hypertables { .. }) => return Ok(None),
        (Timescale::On | Timescale::Auto, Storage::Partitions) => To::Hypertables,
        (Timescale::Off, Storage::Hypertables { .. }) => To::Partitions,
    };
    if has_rows(client).await? {
        return match wish {
            Timescale::Auto => Ok(None),
            Timescale::On => Err(StorageError::HasRows { wish: "on", found: have.name(), set: "off" }),
            Timescale::Off => Err(StorageError::HasRows { wish: "off", found: have.name(), set: "on" }),
        };
    }
    if to == To::Partitions {
        return Ok(Some(to));
    }
    if wish == Timescale::Auto {
        return Ok(matches!(offer(client).await?, Offer::Usable).then_some(to));
    }
    offered(client).await.map(|()| Some(to))
}

async fn offered(client: &Client) -> Result<(), StorageError> {
    match offer(client).await? {
        Offer::Usable => Ok(()),
        Offer::Not { found, remedy } => Err(StorageError::NotOffered { found, remedy }),
    }
}

async fn has_rows(client: &Client) -> Result<bool, Failure> {
    let sql = "SELECT EXISTS (SELECT FROM scan) OR EXISTS (SELECT FROM average_wide)";
    Ok(query_one(client, sql, &[]).await?.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        assert!(is_too_old("2.9.3") && is_too_old("2.17.2") && is_too_old("1.99") && is_too_old(""));
        assert!(
            !is_too_old("2.18.0") && !is_too_old("2.28.3") && !is_too_old("2.28.3-dev") && !is_too_old("3.0")
        );
    }

    #[test]
    fn a_refusal_says_what_was_found_and_what_to_do() {
        let told = StorageError::NotOffered { found: "FOUND".to_owned(), remedy: "REMEDY" }.to_string();
        assert_eq!(
            told,
            "database.timescale is \"on\", but FOUND; REMEDY, or set database.timescale to \"auto\" or \"off\""
        );
    }
}

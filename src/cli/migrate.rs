//! `cems migrate`: the tables brought to this version.

use std::process::ExitCode;

use crate::cli::database::{Database, Failure, finish};
use crate::config::central::Timescale;
use crate::store::migrate::{self, MigrateError};

/// Arguments of `cems migrate`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    database: Database,
    /// Whether tables that are still empty become hypertables of TimescaleDB: auto (where the server preloads it), on or off;
    /// without it database.timescale of the configuration, or auto
    #[arg(long, value_name = "WORD", value_parser = Timescale::WORDS.map(|(word, _)| word))]
    timescale: Option<String>,
}

/// Runs it.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    finish(async move {
        let wish = arguments.database.timescale(arguments.timescale.as_deref())?;
        let mut client = arguments.database.connect("cems migrate").await?;
        let migrated = migrate::migrate_to(&mut client, wish).await.map_err(|error| failure(&error))?;
        for name in &migrated.applied {
            println!("applied {name}");
        }
        println!("tables are at version {}, kept in {}", migrated.version, migrated.storage);
        Ok(())
    })
}

fn failure(error: &MigrateError) -> Failure {
    match error {
        MigrateError::Storage(storage) if storage.is_wish() => Failure::input(error.to_string()),
        MigrateError::Storage(_)
        | MigrateError::Busy { .. }
        | MigrateError::Stopped { .. }
        | MigrateError::Database { .. } => Failure::work(error),
    }
}

//! `cems migrate`: the tables brought to this version.

use std::process::ExitCode;

use crate::cli::database::{Database, Failure, finish};
use crate::store::migrate;

/// Arguments of `cems migrate`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    database: Database,
}

/// Runs it.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    finish(async move {
        let mut client = arguments.database.connect("cems migrate").await?;
        let migrated = migrate::migrate(&mut client).await.map_err(|error| Failure::work(&error))?;
        for name in &migrated.applied {
            println!("applied {name}");
        }
        println!("tables are at version {}", migrated.version);
        Ok(())
    })
}

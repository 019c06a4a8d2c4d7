//! `cems recompute`: the windows of one outlet, computed again from the stored scans by the plant and rules of their time.

use std::process::ExitCode;

use jiff::Timestamp;

use crate::central::recompute::recompute;
use crate::cli::database::{Database, Failure, finish};
use crate::store::plant;

/// Arguments of `cems recompute`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Public code of the outlet
    #[arg(long)]
    outlet: String,
    /// First moment, as 2026-11-21T00:00:00+08:00
    #[arg(long)]
    from: Timestamp,
    /// The moment after the last one
    #[arg(long)]
    to: Timestamp,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: Database,
}

/// Runs it.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    finish(async move {
        if arguments.from >= arguments.to {
            return Err(Failure::input(format!(
                "--from {} is not before --to {}; give the earlier moment first",
                arguments.from, arguments.to
            )));
        }
        let zone = arguments.database.zone()?;
        let client = arguments.database.connect("cems recompute").await?;
        let plant = plant::load(&client).await.map_err(|error| Failure::work(&error))?;
        let outlet_id = plant.outlet(&arguments.outlet).map(|outlet| outlet.id).ok_or_else(|| {
            let known: Vec<&str> = plant.outlets.iter().take(20).map(|outlet| &*outlet.code).collect();
            Failure::input(format!(
                "outlet {:?} is not registered; some that are: {}",
                arguments.outlet,
                known.join(", ")
            ))
        })?;
        let span = (outlet_id, arguments.from, arguments.to);
        let done =
            recompute(&arguments.database.url()?, zone, span).await.map_err(|error| Failure::work(&error))?;
        if arguments.json {
            println!("{}", serde_json::to_string(&done).map_err(|error| Failure::work(&error))?);
        } else {
            println!(
                "{} minutes, {} windows computed, {} figures new or changed",
                done.minutes, done.windows, done.revisions
            );
        }
        Ok(())
    })
}

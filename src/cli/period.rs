//! `cems period`: submitted periods. What is submitted does not change until it is reopened with a reason.

use std::process::ExitCode;

use jiff::Timestamp;

use crate::cli::database::{Database, Failure, finish};
use crate::clock;
use crate::store::lock::{self, Act, Lock};

/// Arguments of `cems period`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lock a submitted period of an outlet: its hours and longer no longer change
    Lock {
        /// Public code of the outlet
        #[arg(long)]
        outlet: String,
        /// First moment, as 2026-10-01T00:00:00+08:00
        #[arg(long)]
        from: Timestamp,
        /// The moment after the last one
        #[arg(long)]
        to: Timestamp,
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        database: Database,
    },
    /// Reopen a locked period: what would be other now is computed
    Reopen {
        /// Number of the lock, as `cems period list` shows it
        #[arg(long)]
        id: i64,
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        database: Database,
    },
    /// Show every lock, newest first; the view `locked_difference` shows what would change
    List {
        /// Public code of an outlet; all when it is left out
        #[arg(long)]
        outlet: Option<String>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: Database,
    },
}

#[derive(Debug, clap::Args)]
struct Who {
    /// Who does it
    #[arg(long, value_name = "NAME", value_parser = words)]
    by: String,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = words)]
    reason: String,
}

fn words(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 1000 {
        return Err("a text of 1 to 1000 characters".to_owned());
    }
    Ok(text.to_owned())
}

/// Runs it.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    finish(async move {
        match arguments.action {
            Action::Lock { outlet, from, to, who, database } => {
                if from >= to {
                    return Err(Failure::input(format!(
                        "--from {from} is not before --to {to}; give the earlier moment first"
                    )));
                }
                let now = clock::now();
                if to > now {
                    return Err(Failure::input(format!(
                        "--to {to} is still to come: only a period that is over can be submitted; give a moment up to {now}"
                    )));
                }
                let mut client = database.connect("cems period").await?;
                let act = Act { by: &who.by, reason: &who.reason, at: now };
                let locked = lock::lock(&mut client, &outlet, (from, to), act).await;
                let id = locked.map_err(|error| Failure::work(&error))?.ok_or_else(|| {
                    Failure::input(format!(
                        "{outlet:?} from {from} to {to}: no such outlet, or part of it is locked already; see `cems period list`"
                    ))
                })?;
                println!(
                    "locked as {id}: hours and longer of {outlet} that begin from {from} to {to} no longer change"
                );
                Ok(())
            }
            Action::Reopen { id, who, database } => {
                let mut client = database.connect("cems period").await?;
                let act = Act { by: &who.by, reason: &who.reason, at: clock::now() };
                let reopened =
                    lock::reopen(&mut client, id, act).await.map_err(|error| Failure::work(&error))?;
                if !reopened {
                    return Err(Failure::input(format!(
                        "--id {id}: no such lock, or it is reopened already; see `cems period list`"
                    )));
                }
                println!(
                    "reopened {id}: its windows are due; a running centre computes them, or `cems recompute`"
                );
                Ok(())
            }
            Action::List { outlet, json, database } => {
                let client = database.connect("cems period").await?;
                let locks =
                    lock::list(&client, outlet.as_deref()).await.map_err(|error| Failure::work(&error))?;
                show(&locks, json)
            }
        }
    })
}

fn show(locks: &[Lock], json: bool) -> Result<(), Failure> {
    if json {
        println!("{}", serde_json::to_string_pretty(locks).map_err(|error| Failure::work(&error))?);
        return Ok(());
    }
    for lock in locks {
        println!(
            "{} {} {} to {}, locked {} by {}: {}",
            lock.id, lock.outlet, lock.from, lock.until, lock.locked_at, lock.locked_by, lock.reason
        );
        if let (Some(at), Some(by), Some(reason)) =
            (&lock.reopened_at, &lock.reopened_by, &lock.reopen_reason)
        {
            println!("  reopened {at} by {by}: {reason}");
        }
    }
    if locks.is_empty() {
        println!("nothing is locked");
    }
    Ok(())
}

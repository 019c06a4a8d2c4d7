//! `cems seed`: pollutants, rules and plant into the database.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::database::{Database, Failure, finish};
use crate::cli::sources::read_all;
use crate::clock;
use crate::config::kind::Source;
use crate::config::{catalogue, seeds};
use crate::store::{migrate, plant};

/// Arguments of `cems seed`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Files of pollutants/1, rules/1 and plant/1, or folders of them; without any the built-in ones
    #[arg(value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// Of the built-in files leave out the demonstration plant
    #[arg(long, conflicts_with = "files")]
    without_demo: bool,
    /// Print what changed as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: Database,
}

/// Runs it. Nothing is connected before all files are clean.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    finish(async move {
        let sources = sources(&arguments)?;
        let catalogue =
            catalogue::parse(&sources).map_err(|problems| Failure::input(problems.to_string()))?;
        let mut client = arguments.database.connect("cems seed").await?;
        migrate::migrate(&mut client).await.map_err(|error| Failure::work(&error))?;
        let saved = plant::save(&mut client, &catalogue).await.map_err(|error| {
            if let plant::Error::Refused(refusals) = &error {
                Failure::input(refusals.to_string())
            } else {
                Failure::work(&error)
            }
        })?;
        if arguments.json {
            let text = serde_json::to_string(&saved).map_err(|error| Failure::work(&error))?;
            println!("{text}");
        } else {
            println!("{saved}");
        }
        let stored = plant::load_catalogue(&client).await.map_err(|error| Failure::work(&error))?;
        for outlet in stored.outlets_without_rules(clock::now()) {
            eprintln!(
                "outlet {outlet}: no rule is about its process, so it will not be judged; seed rules for it"
            );
        }
        Ok(())
    })
}

fn sources(arguments: &Arguments) -> Result<Vec<Source>, Failure> {
    if !arguments.files.is_empty() {
        return read_all(&arguments.files);
    }
    let mut sources = vec![seeds::pollutants(), seeds::rules(), seeds::sectors(), seeds::targets()];
    if !arguments.without_demo {
        sources.push(seeds::demonstration());
    }
    Ok(sources)
}

//! `cems check-config`: every problem of every file.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::exit_code;
use crate::cli::sources::read_all;
use crate::config::check_files;
use crate::config::kind::Summary;
use crate::config::problem::Problems;

/// Arguments of `cems check-config`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Files of any kind, or folders; pollutants, rules and plants are checked together
    #[arg(value_name = "FILE|DIR", required = true)]
    files: Vec<PathBuf>,
    /// Print {"files": […], "problems": […]} as JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let sources = match read_all(&arguments.files) {
        Ok(sources) => sources,
        Err(failure) => {
            eprintln!("{}", failure.text);
            return ExitCode::from(failure.code);
        }
    };
    let (summaries, problems) = match check_files(&sources) {
        Ok(summaries) => (summaries, Problems::default()),
        Err(problems) => (Vec::new(), problems),
    };
    let clean = problems.0.is_empty();
    if arguments.json {
        println!("{}", json!({"files": summaries, "problems": problems.0}));
    } else if clean {
        for Summary { file, schema, holds } in summaries {
            println!("{file}: {schema}: {holds}");
        }
    } else {
        eprintln!("{problems}");
    }
    if clean { exit_code::OK } else { ExitCode::from(exit_code::WRONG_INPUT) }
}

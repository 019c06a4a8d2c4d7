//! `cems check-config`: every problem of every file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use crate::cli::exit_code;
use crate::cli::gateway::late_lines;
use crate::cli::sources::read_all;
use crate::config::check_files;
use crate::config::gateway;
use crate::config::kind::Summary;
use crate::config::problem::{Problem, Problems};

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
    let checked = check_files(&sources).and_then(|summaries| {
        let late: Vec<Problem> = summaries.iter().flat_map(late).collect();
        if late.is_empty() { Ok(summaries) } else { Err(Problems(late)) }
    });
    let (summaries, problems) = match checked {
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

/// What shows only when a gateway's requests are planned: lines that cannot do their work in time.
fn late(summary: &Summary) -> Vec<Problem> {
    if summary.schema != "gateway/1" {
        return Vec::new();
    }
    let path = Path::new(&summary.file);
    match gateway::load(path) {
        Ok(config) => late_lines(path, &config),
        Err(problems) => problems.0,
    }
}

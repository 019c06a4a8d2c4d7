//! `cems gateway`: polls analysers and publishes their readings until it is stopped.
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::exit_code;
use crate::config::gateway::{Gateway, line_of_text, load};
use crate::config::problem::{Problem, Problems};
use crate::gateway;
use crate::gateway::plan::bus_time;
use crate::shutdown;
use crate::telemetry::{LogFormat, Reporting, start_logging};

/// Poll analysers over Modbus TCP and publish their readings by MQTT.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to do.
    #[arg(value_enum, default_value = "run")]
    action: Action,
    /// The gateway's configuration; config/gateway-example.toml shows every key.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// What `cems gateway` can do.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Action {
    /// Poll and publish until Ctrl-C or SIGTERM.
    Run,
}

/// Runs the gateway.
pub fn run(arguments: &Arguments) -> ExitCode {
    start_logging(LogFormat::Text);
    let config = match load(&arguments.config) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(exit_code::WRONG_INPUT);
        }
    };
    let late = late_lines(&arguments.config, &config);
    if !late.is_empty() {
        eprintln!("{}", Problems(late));
        return ExitCode::from(exit_code::WRONG_INPUT);
    }
    let outcome = match arguments.action {
        Action::Run => work(config),
    };
    match outcome {
        Ok(()) => exit_code::OK,
        Err(error) => {
            eprintln!("cems gateway: {error:#}");
            ExitCode::from(exit_code::FAILED)
        }
    }
}

/// A problem for each line that cannot do its work in time, with the place where the configuration speaks of the line.
pub(super) fn late_lines(path: &Path, config: &Gateway) -> Vec<Problem> {
    let mut problems = bus_time::problems(&path.display().to_string(), config);
    if let (false, Ok(text)) = (problems.is_empty(), std::fs::read_to_string(path)) {
        for problem in &mut problems {
            let name = config
                .lines
                .iter()
                .map(|line| line.name.as_str())
                .find(|name| problem.key == format!("line {name:?}"));
            problem.line = name.and_then(|name| line_of_text(&text, name));
        }
    }
    problems
}

fn work(config: Gateway) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("the system gives no threads")?;
    runtime.block_on(async {
        let shutdown = shutdown::on_signals().context("the system refuses signal handlers")?;
        gateway::run(config, Reporting::default(), shutdown).await.context("the gateway ended")
    })
}

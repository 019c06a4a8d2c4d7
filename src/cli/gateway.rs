//! `cems gateway`: polls analysers and publishes their readings until it is stopped.
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::exit_code;
use crate::clock;
use crate::config::gateway::{Gateway, parse};
use crate::gateway;
use crate::mqtt::tls;
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
    let file = arguments.config.display().to_string();
    let text = match std::fs::read_to_string(&arguments.config) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{file} cannot be read: {error}");
            return ExitCode::from(exit_code::WRONG_INPUT);
        }
    };
    let config = match parse(&file, &text) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(exit_code::WRONG_INPUT);
        }
    };
    if let Err(problems) = tls::check(config.mqtt.tls.as_ref(), clock::now()) {
        eprintln!("{problems}");
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

fn work(config: Gateway) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("the system gives no threads")?;
    runtime.block_on(async {
        let shutdown = shutdown::on_signals().context("the system refuses signal handlers")?;
        gateway::run(config, Reporting::default(), shutdown).await.context("the gateway ended")
    })
}

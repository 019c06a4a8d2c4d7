//! `cems gateway`: polls analysers and publishes their readings until it is stopped; shows how it is doing.

/// What each line is asked.
mod plan;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, mpsc};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::exit_code;
use crate::config::gateway::{Gateway, line_of_text, load};
use crate::config::problem::{Problem, Problems};
use crate::gateway;
use crate::gateway::plan::bus_time;
use crate::gateway::reload::{Reloaded, Reloader};
use crate::gateway::status;
use crate::mqtt::tls;
use crate::shutdown;
use crate::telemetry::{LogFormat, Reporting, start_logging};

/// Poll analysers over Modbus and publish their readings by MQTT.
///
/// SIGHUP has a running gateway read its configuration again: a right one holds from the next scan on, a wrong one is refused
/// whole, with every problem in the log, and the old one stays.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to do.
    #[arg(value_enum, default_value = "run")]
    action: Action,
    /// The gateway's configuration; config/gateway-example.toml shows every key.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// With `status` (version 1) and `plan`: one JSON object.
    #[arg(long)]
    json: bool,
}

/// What `cems gateway` can do.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Action {
    /// Poll and publish until Ctrl-C or SIGTERM.
    Run,
    /// Show how the gateway that runs with this configuration is doing: analysers, last scans, spool, broker.
    Status,
    /// Show which registers are asked for in which requests, and how long they keep each line busy. Asks nobody.
    Plan,
}

/// Runs the gateway, or asks a running one.
pub fn run(arguments: &Arguments) -> ExitCode {
    start_logging(LogFormat::Text);
    // A plan that cannot be kept is what one wants to see.
    let loaded = match arguments.action {
        Action::Plan => load(&arguments.config),
        Action::Run | Action::Status => checked(&arguments.config),
    };
    let config = match loaded {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(exit_code::WRONG_INPUT);
        }
    };
    let outcome = match arguments.action {
        Action::Run => match tls::check(config.mqtt.tls.as_ref()) {
            Ok(()) => work(config, arguments.config.clone()),
            Err(problems) => {
                eprintln!("{problems}");
                return ExitCode::from(exit_code::WRONG_INPUT);
            }
        },
        Action::Status => show(&config, arguments.json),
        Action::Plan => return planned(&config, arguments),
    };
    match outcome {
        Ok(()) => exit_code::OK,
        Err(error) => {
            eprintln!("cems gateway: {error:#}");
            ExitCode::from(exit_code::FAILED)
        }
    }
}

/// The configuration, or everything that is wrong with it.
///
/// Reading it takes many times the memory that it needs afterwards. It is read by a thread of its own and copied from there, so that all that
/// memory goes back to the system with the thread.
fn checked(path: &Path) -> Result<Gateway, Problems> {
    let (give, read) = mpsc::sync_channel(0);
    let (done, copied) = mpsc::channel::<()>();
    let read = std::thread::scope(|scope| {
        scope.spawn(move || {
            let read = Arc::new(load(path));
            if give.send(Arc::clone(&read)).is_ok() {
                // Until it is copied: what a thread has taken is given back whole only when the same thread lets it go.
                let _copied = copied.recv();
            }
        });
        let read: Arc<Result<Gateway, Problems>> = read.recv().ok()?;
        let copy = match read.as_ref() {
            Ok(config) => Ok(config.compacted()),
            Err(problems) => Err(problems.clone()),
        };
        drop(read);
        drop(done);
        Some(copy)
    });
    // Nothing comes only from a thread that panicked, and then the scope has done so too.
    let config = read.unwrap_or_else(|| Err(Problems::default()))?;
    let late = late_lines(path, &config);
    if late.is_empty() { Ok(config) } else { Err(Problems(late)) }
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

/// The plan, and a problem for each line that cannot do its work in time.
fn planned(config: &Gateway, arguments: &Arguments) -> ExitCode {
    let plan = plan::Plan::of(config);
    if arguments.json {
        println!("{}", plan.json());
    } else {
        print!("{plan}");
    }
    let late = late_lines(&arguments.config, config);
    for problem in &late {
        eprintln!("{problem}");
    }
    if late.is_empty() { exit_code::OK } else { ExitCode::from(exit_code::WRONG_INPUT) }
}

fn work(config: Gateway, file: PathBuf) -> anyhow::Result<()> {
    // One is plenty, and each more takes memory of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.context("the system gives no threads")?.block_on(async {
        let shutdown = shutdown::on_signals().context("the system refuses signal handlers")?;
        let hangups = signal(SignalKind::hangup()).context("the system refuses signal handlers")?;
        let running = gateway::start(config, Reporting::default(), shutdown)
            .await
            .context("the gateway did not start")?;
        let reloading = tokio::spawn(reload(hangups, running.reloader(), file));
        let ended = running.wait().await.context("the gateway ended");
        reloading.abort();
        ended
    })
}

/// Reads the configuration again at each SIGHUP.
async fn reload(mut hangups: Signal, reloader: Reloader, file: PathBuf) {
    while hangups.recv().await.is_some() {
        let path = file.clone();
        let loaded = tokio::task::spawn_blocking(move || checked(&path)).await;
        let config = match loaded {
            Ok(Ok(config)) => config,
            Ok(Err(problems)) => {
                tracing::error!("the configuration is refused, the old one stays:\n{problems}");
                continue;
            }
            Err(error) => {
                tracing::error!(%error, "the configuration could not be read, the old one stays");
                continue;
            }
        };
        match reloader.apply(config).await {
            Ok(Reloaded::Unchanged) => tracing::info!("the configuration has not changed"),
            Ok(Reloaded::Changed { previous, current }) => {
                tracing::info!(%previous, %current, "another configuration holds from now on");
            }
            Err(error) => tracing::error!(%error, "the configuration is not taken, the old one stays"),
        }
    }
}

fn show(config: &Gateway, json: bool) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(status::ask(&config.data_dir))?;
    if json {
        println!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        print!("{}", status::text(&status));
    }
    Ok(())
}

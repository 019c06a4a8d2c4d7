//! `cems central`: the centre, until Ctrl-C.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::central::{self, Links};
use crate::cli::exit_code::{FAILED, OK, WRONG_INPUT};
use crate::config;
use crate::config::central::Timescale;
use crate::embedded::{Access, Mosquitto, Postgres};
use crate::mqtt::tls;
use crate::shutdown;
use crate::store;
use crate::store::migrate::MigrateError;
use crate::telemetry::{LogFormat, Reporting, start_logging};

/// Receives, validates, corrects, stores, averages, judges and alerts.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The centre's configuration (`central/1`).
    #[arg(long)]
    config: PathBuf,
    /// Log one JSON object a line.
    #[arg(long)]
    log_json: bool,
}

/// Runs the centre.
pub fn run(arguments: &Arguments) -> ExitCode {
    let text = match std::fs::read_to_string(&arguments.config) {
        Ok(text) => text,
        Err(error) => {
            eprintln!(
                "{}: {error}; name a readable central/1 file with --config",
                arguments.config.display()
            );
            return ExitCode::from(WRONG_INPUT);
        }
    };
    let config = match config::central::parse(&arguments.config.display().to_string(), &text) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(WRONG_INPUT);
        }
    };
    if let Err(problems) = tls::check(config.mqtt.tls.as_ref()) {
        eprintln!("{problems}");
        return ExitCode::from(WRONG_INPUT);
    }
    start_logging(if arguments.log_json { LogFormat::Json } else { LogFormat::Text });
    let work = async {
        let shutdown = shutdown::on_signals()?;
        serve(config, shutdown).await
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no threads to work with: {error}");
            return ExitCode::from(FAILED);
        }
    };
    match runtime.block_on(work) {
        Ok(()) => OK,
        Err(error) => {
            eprintln!("{error:#}");
            let cause = error.downcast_ref::<MigrateError>();
            let is_wish = matches!(cause, Some(MigrateError::Storage(storage)) if storage.is_wish());
            ExitCode::from(if is_wish { WRONG_INPUT } else { FAILED })
        }
    }
}

async fn serve(config: config::central::Central, shutdown: shutdown::Shutdown) -> anyhow::Result<()> {
    let mut postgres = None;
    let mut mosquitto = None;
    let database = if let Some(url) = &config.database {
        url.clone()
    } else {
        let server = postgres.insert(Postgres::start(&config.data_dir).await?);
        server.create_database("cems").await?
    };
    let broker = if let Some(broker) = &config.mqtt.broker {
        broker.clone()
    } else {
        let server = mosquitto.insert(Mosquitto::start(&config.data_dir, Access::Open).await?);
        tracing::warn!(
            url = server.url(),
            "embedded broker: loopback only, and every program of this machine may use it"
        );
        ("127.0.0.1".to_owned(), server.port())
    };
    let Some(()) = prepare(&database, config.timescale, &shutdown).await? else { return Ok(()) };
    let reporting = Reporting::default();
    let mut running =
        central::start(&config, &Links { database, broker }, reporting, shutdown.clone()).await?;
    tracing::info!("the centre listens on http://{}", running.address);
    let mut outcome = Ok(());
    tokio::select! {
        () = shutdown.cancelled() => {}
        reason = running.broken() => {
            if !shutdown.is_cancelled() {
                outcome = Err(anyhow::anyhow!("a part of the centre ended by itself ({reason}); this is a defect, please report it"));
            }
            shutdown.cancel();
        }
    }
    running.ended().await;
    if let Some(server) = &mut mosquitto {
        server.stop().await;
    }
    if let Some(server) = &mut postgres {
        server.stop().await;
    }
    outcome
}

/// Waits for the database as long as waiting can help, and brings its tables to this version. `None` at shutdown.
async fn prepare(
    database: &str,
    wish: Timescale,
    shutdown: &shutdown::Shutdown,
) -> anyhow::Result<Option<()>> {
    let mut said = String::new();
    loop {
        match store::connect::connect(database, "cems migrate").await {
            Ok(mut client) => {
                let migrated = store::migrate::migrate_to(&mut client, wish).await?;
                tracing::info!(version = migrated.version, "tables are kept in {}", migrated.storage);
                return Ok(Some(()));
            }
            Err(error) if error.retry_helps() => {
                let text = error.to_string();
                if said != text {
                    tracing::warn!("{text}; trying again until it is there");
                    said = text;
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
            () = shutdown.cancelled() => return Ok(None),
        }
    }
}

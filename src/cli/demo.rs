//! `cems demo`: the whole platform in one command. Private PostgreSQL and mosquitto, simulated analysers behind Modbus TCP, a
//! gateway, the centre, and a webhook that plays the person who is told.

/// Tables, plant and gateway configuration of the demonstration.
mod setting;
/// A day of simulated past, through the gateway's own decoding and spool.
mod past;
/// The webhook that receives the alerts.
mod receiver;
/// What the terminal shows.
mod screen;
/// The ledger compared with the database.
mod proof;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;

use crate::central;
use crate::cli::demo::receiver::Receiver;
use crate::cli::demo::screen::Screen;
use crate::cli::exit_code::{FAILED, OK};
use crate::clock;
use crate::embedded::{self, Access, Account, Servers};
use crate::gateway;
use crate::shutdown::{self, Shutdown};
use crate::simulator::server;
use crate::store::session::Session;
use crate::telemetry::{LogFormat, Reporting, start_logging};

/// The longest that `--once` waits for its alert.
const ONCE_LIMIT: Duration = Duration::from_secs(110);

/// Watch the platform do its main job: analysers, gateway, broker, centre, database and an alert, in one command.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where everything is kept between runs [default: demo-data; with --once an empty folder that goes afterwards]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Empty that folder first
    #[arg(long)]
    fresh: bool,
    /// End after the first delivered exceedance alert; the last line printed is one JSON object
    #[arg(long)]
    once: bool,
    /// Where HTTP listens; when it is taken, a free port
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: std::net::SocketAddr,
    /// Hours of simulated past
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(0..=240))]
    past_hours: u16,
}

/// Runs the demonstration.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    if std::env::var_os("CEMS_LOG").is_some() {
        start_logging(LogFormat::Text);
    }
    let work = async {
        let shutdown = shutdown::on_signals()?;
        play(arguments, &shutdown).await
    };
    let outcome = tokio::runtime::Runtime::new()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(work));
    match outcome {
        Ok(true) => OK,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => {
            eprintln!("cems demo: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

/// Everything that runs.
struct Stage {
    servers: Servers,
    simulator: server::Running,
    gateway: Option<tokio::task::JoinHandle<Result<(), gateway::Error>>>,
    centre: central::Running,
    /// Ends the gateway before the rest.
    gateway_shutdown: Shutdown,
    rest_shutdown: Shutdown,
    ledger: PathBuf,
    database: String,
    /// From here on the gateway has polled live.
    live_since: Timestamp,
}

async fn play(arguments: &Arguments, shutdown: &Shutdown) -> anyhow::Result<bool> {
    let (folder, _gone_afterwards) = folder(arguments)?;
    println!("data folder: {}", folder.display());
    println!("starting a private PostgreSQL and mosquitto ...");
    let accounts = (Account::central()?, Account::gateway(setting::GATEWAY)?);
    let access = Access::Accounts(vec![accounts.0.clone(), accounts.1.clone()]);
    let servers = Servers::start(&folder, access).await?;
    let receiver = Receiver::listen().await?;
    let (stage, screen) = set_up(arguments, &folder, (servers, accounts), &receiver).await?;
    let limit = if arguments.once { ONCE_LIMIT } else { Duration::MAX };
    let deadline = clock::monotonic().checked_add(limit);
    let mut seen = 0;
    let mut told = None;
    loop {
        for alert in receiver.since(seen) {
            seen += 1;
            let line = Screen::alert(&alert, &stage.simulator);
            if told.is_none() && line.is_the_rise {
                told = Some(line.clone());
            }
            screen.say(&line.text);
        }
        screen.draw(clock::now()).await;
        let late = deadline.is_some_and(|deadline| clock::monotonic() > deadline);
        if shutdown.is_cancelled() || (arguments.once && (told.is_some() || late)) {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(if arguments.once { Duration::from_millis(100) } else { Duration::from_secs(1) }) => {}
            () = receiver.rung() => {}
            () = shutdown.cancelled() => {}
        }
    }
    screen.close();
    println!("stopping ...");
    let audit = stage.end().await?;
    if !arguments.once {
        println!(
            "readings served {}, stored {}, lost {}, duplicated {}",
            audit.served, audit.stored, audit.lost, audit.duplicated
        );
        return Ok(audit.lost == 0 && audit.duplicated == 0);
    }
    let report = serde_json::json!({
        "readings_served": audit.served, "readings_stored": audit.stored, "lost": audit.lost, "duplicated": audit.duplicated,
        "register_to_alert_ms": told.as_ref().map(|told| told.latency_ms), "alert": told.as_ref().map(|told| told.body.clone()),
    });
    println!("{report}");
    if told.is_none() {
        eprintln!("cems demo: no exceedance alert within {} s", ONCE_LIMIT.as_secs());
    }
    Ok(told.is_some() && audit.lost == 0 && audit.duplicated == 0)
}

/// The data folder, made if need be, emptied if asked. The second part removes a folder that nobody named when it is dropped.
fn folder(arguments: &Arguments) -> anyhow::Result<(PathBuf, Option<Gone>)> {
    let (data, gone) = match &arguments.data {
        Some(data) => (data.clone(), None),
        None if arguments.once => {
            let data = std::env::temp_dir().join(format!("cems-demo-{}", std::process::id()));
            (data.clone(), Some(Gone(data)))
        }
        None => (PathBuf::from("demo-data"), None),
    };
    if arguments.fresh && data.exists() {
        setting::empty(&data)?;
        embedded::erase(&data)?;
    }
    std::fs::create_dir_all(&data).with_context(|| format!("{} cannot be made", data.display()))?;
    Ok((std::path::absolute(&data)?, gone))
}

/// A folder that is removed with what the servers kept for it.
struct Gone(PathBuf);

impl Drop for Gone {
    fn drop(&mut self) {
        let _left = embedded::erase(&self.0);
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

async fn set_up(
    arguments: &Arguments,
    folder: &Path,
    (servers, (central_account, gateway_account)): (Servers, (Account, Account)),
    receiver: &Receiver,
) -> anyhow::Result<(Stage, Screen)> {
    let database = servers.postgres.create_database("cems").await?;
    let scenario = setting::scenario()?;
    // The simulation's clock starts with the plant; a whole second, so that its first second is one tick.
    let fresh = setting::seed(&database, &receiver.url(), clock::now()).await?;
    let (rest_shutdown, gateway_shutdown) = (Shutdown::new(), Shutdown::new());
    let ledger = folder.join("ledger.jsonl");
    let options = server::Options { ledger: Some(ledger.clone()) };
    let simulator = server::start(scenario.clone(), options, rest_shutdown.clone()).await?;
    let broker = servers.mosquitto.port();
    let config = setting::central(&database, broker, (arguments.listen, &central_account), folder)?;
    let links = central::Links { database: database.clone(), broker: ("127.0.0.1".to_owned(), broker) };
    let reporting = Reporting::default();
    let centre = start_centre(config, &links, &reporting, &rest_shutdown).await?;
    let gateway_config =
        setting::gateway(&scenario, simulator.endpoints(), (broker, &gateway_account), folder)?;
    let gateway =
        gateway::start(gateway_config.clone(), Reporting::default(), gateway_shutdown.clone()).await?;
    let live_since = Timestamp::from_second(clock::now().as_second() + 2)?;
    let progress = past::Progress::default();
    if fresh && arguments.past_hours > 0 {
        let hours = arguments.past_hours;
        let feed = past::Feed {
            config: gateway_config,
            simulation: simulator.simulation(),
            progress: progress.clone(),
        };
        tokio::spawn(feed.run(gateway.past(), hours, gateway_shutdown.clone()));
    }
    let screen = Screen::new(Session::new(&database), centre.address, folder, progress, gateway.spool());
    let gateway = tokio::spawn(gateway.wait());
    let stage = Stage {
        servers,
        simulator,
        gateway: Some(gateway),
        centre,
        gateway_shutdown,
        rest_shutdown,
        ledger,
        database,
        live_since,
    };
    Ok((stage, screen))
}

/// The centre, on a free port when the wanted one is taken.
async fn start_centre(
    mut config: crate::config::central::Central,
    links: &central::Links,
    reporting: &Reporting,
    shutdown: &Shutdown,
) -> anyhow::Result<central::Running> {
    match central::start(&config, links, reporting.clone(), shutdown.clone()).await {
        Err(central::Error::Web(error)) if config.listen.port() != 0 => {
            println!("{error}; a free port is taken instead");
            config.listen.set_port(0);
            Ok(central::start(&config, links, Reporting::default(), shutdown.clone()).await?)
        }
        started => Ok(started?),
    }
}

impl Stage {
    /// Ends everything in the order of the data's way, and compares what was served with what is stored.
    async fn end(mut self) -> anyhow::Result<crate::store::audit::Audit> {
        // The tick that is under way may be cut off; everything before it must be there.
        let until = Timestamp::from_second(clock::now().as_second() - 1)?;
        let audit = proof::settled(&self.database, &self.ledger, (self.live_since, until)).await;
        self.gateway_shutdown.cancel();
        if let Some(gateway) = self.gateway.take() {
            gateway.await??;
        }
        self.rest_shutdown.cancel();
        self.centre.ended().await;
        self.simulator.ended().await;
        self.servers.stop().await;
        audit
    }
}

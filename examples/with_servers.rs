//! Runs a command with a private PostgreSQL and a private mosquitto beside it, and stops them when it ends:
//! `with_servers [--] COMMAND [ARGUMENT…]`. The command finds them by `CEMS_TEST_DATABASE` (a connection string of the superuser) and
//! `CEMS_TEST_MQTT` (the broker's url); its exit code is ours. So test programs that are many processes share one server.

use std::process::ExitCode;
use std::time::Duration;

use cems::embedded::{self, Access, Servers};
use cems::shutdown;

#[tokio::main]
async fn main() -> ExitCode {
    // `cargo run` takes the first `--` for itself.
    let mut words = std::env::args_os().skip(1).skip_while(|word| word == "--");
    let Some(program) = words.next() else {
        eprintln!("with_servers: no command given; use: with_servers [--] COMMAND [ARGUMENT...]");
        return ExitCode::from(2);
    };
    let mut command = tokio::process::Command::new(program);
    match run(command.args(words)).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("with_servers: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: &mut tokio::process::Command) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let stop = shutdown::on_signals()?;
    let folder = tempfile::Builder::new().prefix("cems-servers-").tempdir()?;
    let mut servers = Servers::start(folder.path(), Access::Open).await?;
    let database = servers.postgres.url();
    command
        .env("CEMS_TEST_DATABASE", database)
        .env("CEMS_TEST_MQTT", servers.mosquitto.url())
        .kill_on_drop(true);
    let code = match command.spawn() {
        Ok(mut child) => tokio::select! {
            status = child.wait() => status.map(|status| status.code()),
            // From a terminal, Ctrl-C reaches the command too: it may end in order while its servers still run.
            () = stop.cancelled() => {
                let ended = tokio::time::timeout(Duration::from_secs(10), child.wait()).await;
                ended.map_or(Ok(None), |status| status.map(|status| status.code()))
            }
        },
        Err(error) => Err(error),
    };
    servers.stop().await;
    drop(servers);
    // They may be in a place that stands in for the folder.
    embedded::erase(folder.path())?;
    let code = code?.and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

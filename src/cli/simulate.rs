//! `cems simulate`: stack analysers without stacks, behind Modbus TCP.

use std::io;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::exit_code;
use crate::config::scenario;
use crate::config::scenario::{Analyser, Channel, Number, Order, Place, Scenario, Table};
use crate::shutdown;
use crate::simulator::server;
use crate::simulator::server::{Options, Running};
use crate::telemetry;
use crate::telemetry::LogFormat;

/// Serve a simulated plant over Modbus TCP until Ctrl-C.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The plant and its timeline of events (schema "scenario/1"), for example config/scenario-demo.toml.
    #[arg(long, value_name = "FILE")]
    scenario: PathBuf,
    /// Write every answer to this file before it is sent, one JSON line each.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
}

/// Runs until Ctrl-C or SIGTERM.
pub fn run(arguments: Arguments) -> ExitCode {
    telemetry::start_logging(LogFormat::Text);
    let file = arguments.scenario.display().to_string();
    let text = match std::fs::read_to_string(&arguments.scenario) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("cannot read the scenario {file} ({error}); name a file that exists and is readable");
            return ExitCode::from(exit_code::WRONG_INPUT);
        }
    };
    let scenario = match scenario::parse(&file, &text) {
        Ok(scenario) => scenario,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(exit_code::WRONG_INPUT);
        }
    };
    match serve(scenario, Options { ledger: arguments.ledger }) {
        Ok(()) => exit_code::OK,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(exit_code::FAILED)
        }
    }
}

fn serve(scenario: Scenario, options: Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = shutdown::on_signals()?;
        let running = server::start(scenario, options, shutdown.clone()).await?;
        describe(&running, &mut io::stdout().lock())?;
        running.ended().await;
        Ok(())
    })
}

fn describe(running: &Running, out: &mut impl Write) -> io::Result<()> {
    let simulation = running.simulation();
    for ((_, outlet, analyser), endpoint) in simulation.analysers().zip(running.endpoints()) {
        writeln!(out, "{}  unit {}  {}/{}", endpoint.address, endpoint.unit, outlet.code, analyser.name)?;
        for line in registers(analyser) {
            writeln!(out, "    {line}")?;
        }
    }
    writeln!(out, "serving; Ctrl-C ends it")?;
    out.flush()
}

/// What a person needs to poll the analyser, a line a value.
fn registers(analyser: &Analyser) -> Vec<String> {
    let channels = analyser.channels.iter().map(channel);
    let status = analyser.status.map(|place| {
        format!("{}  u16       bits: 0 calibration, 1 maintenance, 2 fault, 3 over range", at(place))
    });
    channels.chain(status).collect()
}

fn channel(channel: &Channel) -> String {
    let (name, order) = match channel.number {
        Number::U16 => ("u16", None),
        Number::I16 => ("i16", None),
        Number::U32(order) => ("u32", Some(order)),
        Number::I32(order) => ("i32", Some(order)),
        Number::F32(order) => ("f32", Some(order)),
    };
    let order = match order {
        Some(Order::Abcd) => "ABCD",
        Some(Order::Cdab) => "CDAB",
        Some(Order::Badc) => "BADC",
        Some(Order::Dcba) => "DCBA",
        None => "",
    };
    format!(
        "{}  {name:3} {order:4}  {:9} = raw * {} + {}",
        at(channel.place),
        channel.code,
        channel.scale,
        channel.offset
    )
}

fn at(place: Place) -> String {
    let table = match place.table {
        Table::Holding => "holding",
        Table::Input => "input",
    };
    format!("{table:7} {:5}", place.register)
}

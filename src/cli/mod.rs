//! Subcommands: one file each, wiring only. Exit codes are named in `exit_code`.

/// `cems simulate`: stack analysers without stacks.
mod simulate;
/// `cems demo`: all of it in one command.
mod demo;
/// `cems gateway`: a field gateway.
mod gateway;
/// `cems probe`: what an unknown analyser says.
mod probe;
/// `cems poll`: what each channel reads, now.
mod poll;
/// `cems central`: the centre.
mod central;
/// `cems watch`: notices from outside that the platform is dead.
mod watch;
/// `cems recompute`: averages and verdicts again from the stored scans.
mod recompute;
/// `cems verify`: the evidence, row by row and link by link.
mod verify;
/// `cems quarantine`: what could not be accepted.
mod quarantine;
/// `cems alert`: what was told, who has it, and what to do about it.
mod alert;
/// `cems token`: tokens of the API.
mod token;
/// `cems seed`: pollutants, rules and plant into the database.
mod seed;
/// `cems migrate`: the tables brought to this version.
mod migrate;
/// `cems check-config`: every problem of every file.
mod check_config;
/// `cems explain`: how a number came about.
mod explain;
/// `cems calc`: one number by hand.
mod calc;
/// `cems replay`: every average and verdict from a file of readings.
mod replay;
/// `cems ledger`: what was emitted by whom.
mod ledger;
/// `cems period`: submitted periods.
mod period;
/// Who does something.
mod who;
/// Which database a subcommand works on.
mod database;
/// Files and folders named on the command line, read.
mod sources;
/// What the process returns.
pub mod exit_code;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Continuous emissions monitoring: from the stack analyser's register to the alert, with evidence that proves itself.
#[derive(Debug, Parser)]
#[command(name = "cems", version, about, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// One variant a subcommand; its arguments and its `run` are in the file of the same name.
#[derive(Debug, Subcommand)]
enum Command {
    /// Watch all of it work: analysers, gateway, broker, centre, database and an alert, in one command
    Demo(demo::Arguments),
    /// Poll stack analysers and send what they say, until the centre has receipted it
    Gateway(gateway::Arguments),
    /// Find out what an unknown analyser says: units, registers, and what each could mean
    Probe(probe::Arguments),
    /// Show what each channel of a gateway's configuration reads: raw words, value, flag, answer time
    Poll(poll::Arguments),
    /// Receive, validate, correct, store, average, judge and alert
    Central(central::Arguments),
    /// Hear the centre's heartbeats on another machine, and tell when they stop
    Watch(watch::Arguments),
    /// Compute averages and verdicts of one outlet again from its stored scans
    Recompute(recompute::Arguments),
    /// Rebuild every record of a gateway from the stored rows, check its hash and its place in the chain
    Verify(verify::Arguments),
    /// Look at what could not be accepted, try it again, or give it up with a reason
    Quarantine(quarantine::Arguments),
    /// See what is open and who has it, take it, close it with a reason, or silence it
    Alert(alert::Arguments),
    /// Make, list and revoke tokens of the API
    Token(token::Arguments),
    /// Serve a plant of simulated stack analysers over Modbus TCP
    Simulate(simulate::Arguments),
    /// Bring the tables of a database to the version of this program
    Migrate(migrate::Arguments),
    /// Save pollutants, rules and plant in a database; saving again changes nothing
    Seed(seed::Arguments),
    /// Check configuration and data files: every problem at once, nothing started
    CheckConfig(check_config::Arguments),
    /// Show every step from a measured value to its verdict, recomputed and compared with what is stored
    Explain(explain::Arguments),
    /// Work out one number by hand: each step with its clause, formula and inputs
    Calc(calc::Arguments),
    /// Work out all averages, verdicts and masses of a file of readings, without a database
    Replay(replay::Arguments),
    /// Sum up what was emitted, by outlet, enterprise, county and city, and how far permitted quantities are used
    Ledger(ledger::Arguments),
    /// Lock submitted periods, reopen them with a reason, show them
    Period(period::Arguments),
}

/// Reads the command line, runs the subcommand, gives its exit code.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Gateway(arguments) => gateway::run(&arguments),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Poll(arguments) => poll::run(&arguments),
        Command::Central(arguments) => central::run(&arguments),
        Command::Watch(arguments) => watch::run(&arguments),
        Command::Recompute(arguments) => recompute::run(arguments),
        Command::Verify(arguments) => verify::run(arguments),
        Command::Quarantine(arguments) => quarantine::run(arguments),
        Command::Alert(arguments) => alert::run(arguments),
        Command::Token(arguments) => token::run(arguments),
        Command::Simulate(arguments) => simulate::run(arguments),
        Command::Migrate(arguments) => migrate::run(arguments),
        Command::Seed(arguments) => seed::run(arguments),
        Command::CheckConfig(arguments) => check_config::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Calc(arguments) => calc::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Ledger(arguments) => ledger::run(arguments),
        Command::Period(arguments) => period::run(arguments),
    }
}

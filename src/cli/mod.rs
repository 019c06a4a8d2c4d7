//! Subcommands: one file each, wiring only. Exit codes are named in `exit_code`.

/// `cems gateway`.
mod gateway;

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
    Gateway(gateway::Arguments),
}

/// Reads the command line, runs the subcommand, gives its exit code.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        Command::Gateway(arguments) => gateway::run(&arguments),
    }
}

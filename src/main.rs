//! Subcommand in, exit code out; the work is in `cems::cli`.
use std::process::ExitCode;

fn main() -> ExitCode {
    cems::cli::run()
}

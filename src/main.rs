//! Subcommand in, exit code out; the work is in `cems::cli`.
use std::process::ExitCode;

/// Gives memory that is no longer used back to the system: a configuration is read once and a storm passes, but a process stays for years.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cems::cli::run()
}

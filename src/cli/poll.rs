//! `cems poll`: what each channel of a configuration reads, without spool or broker. The same plan, line, client and decoding as in
//! the gateway.

/// What a scan came to, for programs.
mod json;
/// The same, for people.
mod shown;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

use futures_util::future::join_all;
use jiff::Timestamp;

use crate::cli::exit_code;
use crate::clock;
use crate::config::gateway::{Gateway, Outlet, load};
use crate::gateway::assemble::{Answers, Assembly, Finding};
use crate::gateway::health::Board;
use crate::gateway::line::Report;
use crate::gateway::metrics::Metrics;
use crate::gateway::poll::{Ways, collect, lines};
use crate::gateway::schedule::{Next, Ticks};
use crate::shutdown::{self, Shutdown};

use shown::Polled;

const MORE: &str = "\
Every analyser is asked as the gateway would ask it. Nothing is kept and nothing is sent; no broker is needed. A gateway that runs on
the same lines must be stopped first: two masters disturb each other.

Exit code of --once: 0 when every channel gave a value, whatever its flag; 3 when one gave none; 2 when the configuration is wrong.
Without --once it goes on, every period, until Ctrl-C.";

/// Show what each channel of a gateway's configuration reads.
#[derive(Debug, clap::Args)]
#[command(after_help = MORE)]
pub(super) struct Arguments {
    /// The gateway's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// One scan of every outlet, also of slow channels, and then end
    #[arg(long)]
    once: bool,
    /// Print one JSON object a scan, as docs/gateway.md describes it
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let config = match load(&arguments.config) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(exit_code::WRONG_INPUT);
        }
    };
    let Ok(runtime) = tokio::runtime::Runtime::new() else {
        eprintln!("cems poll: the system gives no threads");
        return ExitCode::from(exit_code::FAILED);
    };
    runtime.block_on(async {
        let Ok(stop) = shutdown::on_signals() else {
            eprintln!("cems poll: the system refuses signal handlers");
            return ExitCode::from(exit_code::FAILED);
        };
        let board = Board::new(config.analysers.len());
        let report = Report { metrics: Metrics::default(), board: board.clone(), keeper: None };
        let ways = lines(&config, &report);
        let poll =
            Poll { config: &config, ways, board, stop, json: arguments.json, printing: Mutex::new(()) };
        if arguments.once {
            let whole = join_all(config.outlets.iter().map(|outlet| poll.once(outlet))).await;
            let all = whole.into_iter().all(|whole| whole);
            return if all { exit_code::OK } else { ExitCode::from(exit_code::FOUND) };
        }
        join_all(config.outlets.iter().map(|outlet| poll.watch(outlet))).await;
        exit_code::OK
    })
}

struct Poll<'p> {
    config: &'p Gateway,
    ways: Ways,
    board: Board,
    stop: Shutdown,
    json: bool,
    /// Scans are printed one after the other.
    printing: Mutex<()>,
}

impl Poll<'_> {
    /// One scan at which all channels are due; whether each gave a value.
    async fn once(&self, outlet: &Outlet) -> bool {
        let mut assembly = Assembly::new(self.config, outlet);
        let (now, moment) = clock::both();
        // Every period is due at this tick.
        let tick = Timestamp::UNIX_EPOCH;
        let asked = (&assembly.inquiries[..], &self.ways);
        let answered = collect(asked, (tick, moment + outlet.period), &self.stop).await;
        self.print(outlet, &mut assembly, (now, tick), (&answered, &mut Vec::new()))
    }

    /// The scans of an outlet until Ctrl-C, at the ticks of the gateway.
    async fn watch(&self, outlet: &Outlet) {
        let mut assembly = Assembly::new(self.config, outlet);
        let mut ticks = Ticks::new(outlet.period, clock::now());
        let mut failed: Vec<Finding> = Vec::new();
        while !self.stop.is_cancelled() {
            let (now, moment) = clock::both();
            match ticks.next(now) {
                Next::Wait(time) => {
                    tokio::select! {
                        () = tokio::time::sleep(time) => {}
                        () = self.stop.cancelled() => {}
                    }
                }
                Next::Scan(at) => {
                    let deadline = moment + ticks.time_left(at, now);
                    let asked = (&assembly.inquiries[..], &self.ways);
                    let answered = collect(asked, (at, deadline), &self.stop).await;
                    self.print(outlet, &mut assembly, (at, at), (&answered, &mut failed));
                }
            }
        }
    }

    /// Whether each channel gave a value.
    fn print(
        &self,
        outlet: &Outlet,
        assembly: &mut Assembly,
        (at, tick): (Timestamp, Timestamp),
        (answered, failed): (&[Option<Answers>], &mut Vec<Finding>),
    ) -> bool {
        let (scan, findings) = assembly.scan(tick, answered);
        for finding in findings {
            failed.retain(|known| (&known.analyser, &known.check) != (&finding.analyser, &finding.check));
            if !finding.agrees {
                failed.push(finding);
            }
        }
        let polled = Polled {
            config: self.config,
            outlet,
            at,
            readings: &scan.readings,
            raw: assembly.raw(answered).collect(),
            asked: assembly.inquiries.iter().map(|inquiry| inquiry.analyser).collect(),
            board: &self.board,
            failed: failed.as_slice(),
        };
        let _one_by_one = self.printing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.json {
            println!("{}", json::of(&polled));
        } else {
            print!("{polled}");
        }
        scan.readings.iter().all(|(_, reading)| reading.value.is_some())
    }
}

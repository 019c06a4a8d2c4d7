//! `cems verify`: the evidence of one gateway checked, row by row and link by link.

use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;

use crate::central::verify::{Question, verify};
use crate::cli::database::{Database, Failure, finish};
use crate::cli::exit_code;
use crate::clock;
use crate::mqtt::record::{Epoch, Hash};
use crate::store::plant;

/// How often progress is shown.
const SHOWN: Duration = Duration::from_secs(2);

/// Arguments of `cems verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Name of the gateway
    #[arg(long, value_name = "NAME")]
    gateway: String,
    /// First moment, as 2026-11-21T00:00:00+08:00; everything is verified when it is left out
    #[arg(long, value_name = "TIME", requires = "to")]
    from: Option<Timestamp>,
    /// The moment after the last one
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<Timestamp>,
    /// A head of an earlier report, kept elsewhere, as EPOCH:SEQ:HASH: it must still be there; may be given several times
    #[arg(long = "head", value_name = "EPOCH:SEQ:HASH", value_parser = head, conflicts_with = "from")]
    heads: Vec<(Epoch, u64, Hash)>,
    /// One JSON object, as docs/verify.md describes it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: Database,
}

fn head(text: &str) -> Result<(Epoch, u64, Hash), String> {
    let mut parts = text.splitn(3, ':');
    let mut part = || parts.next().unwrap_or_default();
    let (epoch, seq, hash) = (part(), part(), part());
    Epoch::from_hex(epoch)
        .zip(seq.parse().ok())
        .zip(Hash::from_hex(hash))
        .map(|((epoch, seq), hash)| (epoch, seq, hash))
        .ok_or_else(|| {
            "a head is EPOCH:SEQ:HASH of a report: 32 hexadecimal digits, a number, 64 hexadecimal digits"
                .to_owned()
        })
}

/// Runs it.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    finish(async move {
        let range = arguments.from.zip(arguments.to);
        if let Some((from, to)) = range.filter(|(from, to)| from >= to) {
            return Err(Failure::input(format!(
                "--from {from} is not before --to {to}; give the earlier moment first"
            )));
        }
        let client = arguments.database.connect("cems verify").await?;
        let plant = plant::load(&client).await.map_err(|error| Failure::work(&error))?;
        if plant.gateway(&arguments.gateway).is_none() {
            let known: Vec<&str> = plant.gateways.iter().take(20).map(|gateway| &*gateway.name).collect();
            return Err(Failure::input(format!(
                "gateway {:?} is not registered; some that are: {}",
                arguments.gateway,
                known.join(", ")
            )));
        }
        let (gateway, heads) = (arguments.gateway.as_str(), arguments.heads.as_slice());
        let question = Question { plant: &plant, gateway, range, heads, now: clock::now() };
        let (started, mut shown) = (clock::monotonic(), clock::monotonic());
        let mut progress = |records: u64, until: Timestamp| {
            if shown.elapsed() >= SHOWN {
                shown = clock::monotonic();
                eprintln!("{records} records rebuilt, up to {until}");
            }
        };
        let report = verify(&client, &question, &mut progress).await;
        let report = report.map_err(|failure| Failure::work(&failure))?;
        if arguments.json {
            println!("{}", serde_json::to_string(&report).map_err(|error| Failure::work(&error))?);
        } else {
            print!("{report}");
        }
        eprintln!("{} records in {:.1} s", report.records, started.elapsed().as_secs_f64());
        if report.clean {
            return Ok(());
        }
        let text = format!("{} findings: what is stored is not what was recorded", report.findings_total);
        Err(Failure { code: exit_code::FOUND, text })
    })
}

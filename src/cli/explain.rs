//! `cems explain`: every step from a measured value to its verdict, recomputed and compared with what is stored.

use std::process::ExitCode;

use jiff::Timestamp;

use crate::cli::database::{Database, Failure, finish};
use crate::clock;
use crate::domain::explain::{Explanation, RecordedScan, explain};
use crate::domain::plant::{ChannelCode, Outlet, Plant, Position};
use crate::domain::regime::HJ75_2017;
use crate::mqtt::rebuild::{Head, Layout};
use crate::mqtt::record::{Epoch, Hash};
use crate::store;
use crate::store::read::evidence::evidence;

/// Most codes in a message.
const LISTED: usize = 30;

/// Show how a number came about.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Public code of the outlet.
    #[arg(long, value_name = "CODE")]
    outlet: String,
    /// The moment, RFC 3339, as 2026-11-21T12:00:06+08:00; a scan up to 10 s older is taken.
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Timestamp,
    /// One channel, as a21026; all when it is left out.
    #[arg(long, value_name = "CODE")]
    channel: Option<String>,
    /// One JSON object, as docs/explain.md describes it.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: Database,
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|error| {
        format!("a moment is an RFC 3339 time with its offset, as 2026-11-21T12:00:06+08:00 ({error})")
    })
}

/// Explains one moment.
pub fn run(arguments: &Arguments) -> ExitCode {
    finish(async {
        let explanation = explained(arguments).await?;
        let text = if arguments.json {
            serde_json::to_string_pretty(&explanation).map_err(|error| Failure::work(&error))?
        } else {
            explanation.to_string().trim_end().to_owned()
        };
        println!("{text}");
        Ok(())
    })
}

async fn explained(arguments: &Arguments) -> Result<Explanation, Failure> {
    let zone = arguments.database.zone()?;
    let client = arguments.database.connect("cems explain").await?;
    let (plant, frames) = store::frame::load(&client).await.map_err(|error| Failure::work(&error))?;
    let outlet = plant.outlet(&arguments.outlet).ok_or_else(|| unknown_outlet(&plant, &arguments.outlet))?;
    let positions = positions(outlet, arguments.channel.as_deref())?;
    let now = clock::now();
    let evidence = evidence(&client, (outlet, &frames), (arguments.at, now), &zone).await;
    let mut evidence = evidence.map_err(|error| Failure::work(&error))?;
    if let Some(scan) = &mut evidence.scan {
        scan.provenance.hash_agrees = agrees(outlet, scan);
    }
    Ok(explain(outlet, &positions, &evidence, (&HJ75_2017, &zone)))
}

fn unknown_outlet(plant: &Plant, code: &str) -> Failure {
    let known: Vec<&str> = plant.outlets.iter().take(LISTED).map(|outlet| &*outlet.code).collect();
    let more = if plant.outlets.len() > LISTED { ", …" } else { "" };
    Failure::input(format!("--outlet: no outlet has the code {code:?}; known: {}{more}", known.join(", ")))
}

fn positions(outlet: &Outlet, channel: Option<&str>) -> Result<Vec<Position>, Failure> {
    let Some(code) = channel else { return Ok((0..outlet.channels.len()).collect()) };
    let found = ChannelCode::new(code).and_then(|code| outlet.position(code));
    found.map(|position| vec![position]).ok_or_else(|| {
        let known: Vec<&str> = outlet.channels.iter().map(|channel| channel.code.as_str()).collect();
        Failure::input(format!(
            "--channel: {} has no channel {code:?}; known: {}",
            outlet.code,
            known.join(", ")
        ))
    })
}

/// Whether the record's bytes, made again from the row, have its hash. `None`: the row does not say whose record it is.
fn agrees(outlet: &Outlet, scan: &RecordedScan) -> Option<bool> {
    let provenance = &scan.provenance;
    let head = Head {
        gateway: &provenance.gateway,
        epoch: Epoch::from_hex(&provenance.epoch)?,
        cfg: Hash::from_hex(&provenance.cfg)?,
        seq: u64::try_from(provenance.seq).ok()?,
        prev: Hash::from_hex(&provenance.prev)?,
        at: scan.at,
    };
    let measured: Vec<Option<f64>> = scan.readings.iter().map(|reading| reading.value).collect();
    let letters: String = scan.readings.iter().map(|reading| reading.flag.letter()).collect();
    let bytes = Layout::of(outlet).scan(&head, &measured, &letters);
    // What no record can have stood for has nobody's hash.
    Some(bytes.is_ok_and(|bytes| Hash::of(&bytes).to_string() == provenance.hash))
}

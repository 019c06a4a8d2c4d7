//! `cems ledger`: what was emitted, by account, pollutant and period, measured and substituted apart; how far permitted quantities are
//! used, and how far targets are reached. The sums are exact.

use std::fmt::Write as _;
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio_postgres::Client;

use crate::cli::database::{Database, Failure, finish};
use crate::cli::replay::ledger::{QuotaEntry, Whole, quota_entry, whole};
use crate::clock;
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::{Outlet, Plant};
use crate::domain::pollutant::Role;
use crate::domain::quota::{Emitted, Target, used};
use crate::domain::window::Window;
use crate::store::frame::Frames;
use crate::store::{frame, ledger};

/// Arguments of `cems ledger`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// First moment; the beginning of this year when it is left out
    #[arg(long)]
    from: Option<Timestamp>,
    /// The moment after the last one; now when it is left out
    #[arg(long)]
    to: Option<Timestamp>,
    /// Public code of one outlet; all when it is left out
    #[arg(long)]
    outlet: Option<String>,
    /// Print one JSON object, as docs/replay.md describes it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: Database,
}

/// Runs it.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    finish(async move {
        let zone = arguments.database.zone()?;
        let client = arguments.database.connect("cems ledger").await?;
        let now = clock::now();
        let to = arguments.to.unwrap_or(now).min(now);
        let year = Window::containing(AveragingPeriod::Year, to, &zone);
        let from = arguments.from.unwrap_or(year.start);
        if from >= to {
            return Err(Failure::input(format!(
                "--from {from} is not before --to {to}; give the earlier moment first"
            )));
        }
        let (plant, frames) = frame::load(&client).await.map_err(|error| Failure::work(&error))?;
        let outlets = outlets(&plant, arguments.outlet.as_deref())?;
        let days = days(&client, &outlets, (from, to), &zone).await?;
        // A target of a year that is not wholly in the time, or of one outlet alone, would be judged by a part.
        let whole_year = |target: &&Target| {
            let first = jiff::civil::date(target.year, 1, 1).to_zoned(zone.clone());
            arguments.outlet.is_none() && first.is_ok_and(|first| from <= first.timestamp())
        };
        let targets: Vec<Target> = frames.targets.iter().filter(whole_year).cloned().collect();
        let mut ledger = whole(&days, (&[], &targets), &zone);
        ledger.quotas = quotas(&client, (&plant, &frames), &outlets, (now, &zone)).await?;
        if arguments.json {
            println!("{}", serde_json::to_string_pretty(&ledger).map_err(|error| Failure::work(&error))?);
        } else {
            print!("{}", table(&ledger, &zone).map_err(|error| Failure::work(&error))?);
        }
        Ok(())
    })
}

/// Every quota that is about one of these outlets, over its own time and all outlets of its account.
async fn quotas<'f>(
    client: &Client,
    (plant, frames): (&Plant, &'f Frames),
    asked: &[&Outlet],
    (now, zone): (Timestamp, &TimeZone),
) -> Result<Vec<QuotaEntry<'f>>, Failure> {
    let mut entries = Vec::new();
    for quota in
        frames.quotas.iter().filter(|quota| asked.iter().any(|outlet| quota.account.concerns(outlet)))
    {
        let all = plant.outlets.iter().map(AsRef::as_ref);
        let outlets: Vec<&Outlet> = all.filter(|outlet| quota.account.concerns(outlet)).collect();
        let emitted = ledger::emitted(client, quota, &outlets, (now, zone)).await;
        let emitted = emitted.map_err(|error| Failure::work(&error))?;
        let at = now.min(quota.times.until.unwrap_or(now));
        entries.push(quota_entry(quota, &used(quota, &emitted, at, zone)));
    }
    Ok(entries)
}

fn outlets<'p>(plant: &'p Plant, code: Option<&str>) -> Result<Vec<&'p Outlet>, Failure> {
    let all = plant.outlets.iter().map(AsRef::as_ref);
    let Some(code) = code else { return Ok(all.collect()) };
    let found: Vec<&Outlet> = all.filter(|outlet| &*outlet.code == code).collect();
    if found.is_empty() {
        return Err(Failure::input(format!(
            "--outlet: no outlet has the code {code:?}; see `cems seed` or the API's /outlets"
        )));
    }
    Ok(found)
}

/// Everything that was emitted, summed to days.
async fn days(
    client: &Client,
    outlets: &[&Outlet],
    span: (Timestamp, Timestamp),
    zone: &TimeZone,
) -> Result<Vec<Emitted>, Failure> {
    let mut all = Vec::new();
    for outlet in outlets {
        let is_pollutant = |factor: &str| {
            outlet
                .channels
                .iter()
                .any(|channel| channel.factor.code == factor && channel.factor.role == Role::Pollutant)
        };
        let emitted = ledger::of_pollutants(client, &[outlet], is_pollutant, span, zone).await;
        all.extend(emitted.map_err(|error| Failure::work(&error))?);
    }
    Ok(all)
}

/// For people: years by account, then quotas and targets.
fn table(ledger: &Whole<'_>, zone: &TimeZone) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let titles = ["level", "account", "channel", "year from", "measured t", "substituted t", "total t"];
    let [level, account, channel, year, measured, substituted, total] = titles;
    writeln!(
        text,
        "{level:<11} {account:<22} {channel:<8} {year:<10} {measured:>16} {substituted:>16} {total:>16}"
    )?;
    for entry in ledger.amounts.iter().filter(|entry| entry.period == "year") {
        let day = zone.to_datetime(entry.start).date();
        let (level, account, pollutant) = (entry.level, &entry.account, &entry.pollutant);
        let (measured, substituted, total) = (entry.measured_t, entry.substituted_t, entry.total_t);
        write!(text, "{level:<11} {account:<22} {pollutant:<8} {:<10} ", day.to_string())?;
        writeln!(text, "{measured:>16.9} {substituted:>16.9} {total:>16.9}")?;
    }
    for quota in &ledger.quotas {
        let (code, account, pollutant) = (quota.quota, &quota.account, quota.pollutant);
        let (used, permitted, verdict, document) =
            (&quota.used, quota.permitted_t, quota.verdict, quota.document);
        write!(text, "quota {code} {account} {pollutant}: {used} of {permitted} t, {verdict} ({document})")?;
        match &quota.used_up_on {
            Some(day) => writeln!(text, ", used up on {day}")?,
            None => writeln!(text)?,
        }
    }
    for target in &ledger.targets {
        let tonnes =
            |tonnes: Option<f64>| tonnes.map_or("not known here".to_owned(), |tonnes| format!("{tonnes} t"));
        let (code, division, substance, year) =
            (target.target, target.division, target.substance, target.year);
        let reached =
            target.reached.map_or("open", |reached| if reached { "reached" } else { "not reached" });
        let (emitted, allowed) = (tonnes(target.emitted_t), tonnes(target.allowed_t));
        write!(
            text,
            "target {code} {division} {substance} {year}: emitted {emitted}, allowed {allowed}: {reached}"
        )?;
        writeln!(text, " ({})", target.document)?;
    }
    Ok(text)
}

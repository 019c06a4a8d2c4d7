//! `cems replay`: every average, verdict, mass and substitute of a file of readings, without a database, by the engine of the centre.

/// What was emitted by whom, and quotas.
pub(super) mod ledger;
/// The rows as JSON or CSV.
mod output;
/// The rows of one outlet.
mod print;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::cli::database::Failure;
use crate::cli::exit_code;
use crate::cli::sources::{read_all, read_file};
use crate::config::catalogue::{self, Catalogue};
use crate::config::readings::{self, Readings, ReadingsError};
use crate::config::seeds;
use crate::domain::judgement::Ground;
use crate::domain::law::{Law, OutletLaw};
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::{Outlet, Plant};
use crate::domain::regime::HJ75_2017;
use crate::domain::replay::Replay;

use output::{Format, Rows};
use print::{Print, To};

/// Arguments of `cems replay`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// plant/1: outlets, channels and, if it has any, rules; a file or a folder
    #[arg(long, value_name = "FILE|DIR", required = true)]
    plant: Vec<PathBuf>,
    /// Readings as CSV: at,outlet,channel,value,flag
    #[arg(long, value_name = "FILE")]
    readings: PathBuf,
    /// rules/1 to judge by, instead of all others; its lists (assessments, exemptions, markings, targets) too, where it has them
    #[arg(long, value_name = "FILE|DIR")]
    rules: Vec<PathBuf>,
    /// pollutants/1, instead of the built-in ones
    #[arg(long, value_name = "FILE")]
    pollutants: Option<PathBuf>,
    /// Form of the result
    #[arg(long, value_enum, default_value = "json")]
    out: Format,
    /// Periods to print: minute, 5-minute, 10-minute, 30-minute, hour, day, month, quarter, year. Without: hour and longer, what a
    /// rule judges, and the finer ones for outlets that are scanned more often than once a minute
    #[arg(long, value_name = "PERIOD", value_delimiter = ',', value_parser = period)]
    period: Vec<AveragingPeriod>,
    /// The jurisdiction's time zone, which bounds hours and days
    #[arg(long, value_name = "ZONE", default_value = "Asia/Shanghai")]
    zone: String,
    /// Write here instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write here, as JSON, what was emitted by outlet, enterprise, county and city, and how far each quota is used
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
}

fn period(name: &str) -> Result<AveragingPeriod, String> {
    AveragingPeriod::from_name(name).ok_or_else(|| {
        let names = AveragingPeriod::ALL.map(AveragingPeriod::name);
        format!("one of {}", names.join(", "))
    })
}

/// Runs it. Nothing is printed before plant, rules and every reading are good.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match replay(arguments) {
        Ok(()) => exit_code::OK,
        Err(Failure { code, text }) => {
            eprintln!("{text}");
            ExitCode::from(code)
        }
    }
}

fn replay(arguments: &Arguments) -> Result<(), Failure> {
    let zone = TimeZone::get(&arguments.zone).map_err(|error| {
        Failure::input(format!("--zone: found {:?}: {error}; give a name as Asia/Shanghai", arguments.zone))
    })?;
    let known = known(arguments)?;
    let plant = &known.plant;
    let file = arguments.readings.display().to_string();
    let unreadable = |error: io::Error| {
        Failure::input(format!("{file}: cannot be read: {error}; name a readable CSV file"))
    };
    let source = File::open(&arguments.readings).map_err(unreadable)?;
    let mut source = BufReader::with_capacity(1024 * 1024, source);
    let readings = readings::read(&file, &mut source, plant).map_err(of_readings)?;
    let failed = |error: io::Error| Failure::work(&error);
    match &arguments.output {
        None => {
            let to = BufWriter::with_capacity(1024 * 1024, io::stdout().lock());
            write(arguments, &known, &zone, readings, to)
        }
        Some(path) => {
            // Whole or not at all: the name appears when the last byte is written.
            let mut part = path.clone().into_os_string();
            part.push(".part");
            let to = BufWriter::with_capacity(1024 * 1024, File::create(&part).map_err(failed)?);
            write(arguments, &known, &zone, readings, to)?;
            std::fs::rename(&part, path).map_err(failed)
        }
    }
}

fn of_readings(error: ReadingsError) -> Failure {
    match error {
        ReadingsError::Bad(problems) => Failure::input(problems.to_string()),
        ReadingsError::Io { .. } => Failure::work(&error),
    }
}

/// What readings are judged by.
struct Known {
    plant: Plant,
    law: Law,
    /// By outlet code.
    of_outlets: BTreeMap<Arc<str>, OutletLaw>,
}

/// The plant with its rules and lists. Rules: those of `--rules`; else those in the plant's files; else the built-in ones.
fn known(arguments: &Arguments) -> Result<Known, Failure> {
    let parse =
        |sources: &[_]| catalogue::parse(sources).map_err(|problems| Failure::input(problems.to_string()));
    let pollutants =
        arguments.pollutants.iter().map(|file| read_file(file)).collect::<Result<Vec<_>, _>>()?;
    let with_pollutants = |mut sources: Vec<_>| {
        sources.extend(pollutants.iter().cloned());
        sources
    };
    let mut known: Catalogue = parse(&with_pollutants(read_all(&arguments.plant)?))?;
    let other = if !arguments.rules.is_empty() {
        Some(parse(&with_pollutants(read_all(&arguments.rules)?))?)
    } else if known.rules.is_empty() {
        Some(parse(&with_pollutants(vec![seeds::rules(), seeds::sectors()]))?)
    } else {
        None
    };
    if let Some(other) = other {
        known.rules = other.rules;
        known.law.judge_by(other.law);
    }
    let law = std::mem::take(&mut known.law);
    let plant = known.into_plant().map_err(|dangling| Failure::input(dangling.to_string()))?;
    let of_outlets = law.by_outlet(&plant);
    Ok(Known { plant, law, of_outlets })
}

/// All outlets, one after the other.
fn write(
    arguments: &Arguments,
    known: &Known,
    zone: &TimeZone,
    readings: Readings<'_>,
    to: impl Write,
) -> Result<(), Failure> {
    let to = RefCell::new(To { printed: Rows::new(to, arguments.out), days: Vec::new() });
    let none = OutletLaw::default();
    let begin = |index: usize| {
        let outlet = known.plant.outlets.get(index)?;
        let law = known.of_outlets.get(&outlet.code).unwrap_or(&none);
        let wanted = (periods(&arguments.period, outlet), known.law.quotas.as_slice());
        let print = Print::new(outlet, zone, wanted, &to);
        let replay = Replay::new(Ground { outlet, law, regime: &HJ75_2017, zone }, &print.wanted());
        Some((index, replay, print))
    };
    let mut current: Option<(usize, Replay<'_>, Print<'_, '_, _>)> = None;
    let scanned = readings.scans(|index, scan| {
        if current.as_ref().is_none_or(|(open, _, _)| *open != index) {
            finish(current.take());
            current = begin(index);
        }
        if let Some((_, replay, print)) = &mut current {
            let in_order = replay.scan(scan, print);
            debug_assert!(in_order, "readings come in the order of time");
        }
    });
    scanned.map_err(of_readings)?;
    finish(current);
    let To { printed, days } = to.into_inner();
    printed.finish().map_err(|error| Failure::work(&error))?;
    let written = arguments.ledger.as_ref().map(|path| ledger::write(path, &days, &known.law, zone));
    written.transpose().map(drop).map_err(|error| Failure::work(&error))
}

fn finish<'p, W: Write>(open: Option<(usize, Replay<'p>, Print<'_, 'p, W>)>) {
    if let Some((_, replay, mut print)) = open {
        replay.finish(&mut print);
        print.hint();
    }
}

/// What is printed of an outlet when nothing is asked for: see `--period`.
fn periods(asked: &[AveragingPeriod], outlet: &Outlet) -> BTreeSet<AveragingPeriod> {
    if !asked.is_empty() {
        return asked.iter().copied().collect();
    }
    let mut settings = outlet.channels.iter().flat_map(|channel| channel.settings.iter());
    let is_scanned = settings.any(|dated| dated.value.period_ms < 60_000);
    let judged: BTreeSet<AveragingPeriod> = outlet.rules.iter().map(|rule| rule.period).collect();
    let by_default =
        |period: &AveragingPeriod| is_scanned || *period >= AveragingPeriod::Hour || judged.contains(period);
    AveragingPeriod::ALL.into_iter().filter(by_default).collect()
}

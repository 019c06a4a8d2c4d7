//! `cems replay`: every average, verdict and mass of a file of readings, without a database, by the engine of the centre.

/// The rows as JSON or CSV.
mod output;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::tz::TimeZone;

use crate::cli::database::Failure;
use crate::cli::exit_code;
use crate::cli::sources::{read_all, read_file};
use crate::config::catalogue::{self, Catalogue};
use crate::config::readings::{self, Readings, ReadingsError};
use crate::config::seeds;
use crate::domain::average::ChannelAverage;
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::{Outlet, Plant};
use crate::domain::regime::HJ75_2017;
use crate::domain::replay::{Replay, rows};
use crate::domain::window::Window;

use output::{Format, Rows};

/// Arguments of `cems replay`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// plant/1: outlets, channels and, if it has any, rules; a file or a folder
    #[arg(long, value_name = "FILE|DIR", required = true)]
    plant: Vec<PathBuf>,
    /// Readings as CSV: at,outlet,channel,value,flag
    #[arg(long, value_name = "FILE")]
    readings: PathBuf,
    /// rules/1 to judge by, instead of all others
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
    let plant = plant(arguments)?;
    let file = arguments.readings.display().to_string();
    let unreadable = |error: io::Error| {
        Failure::input(format!("{file}: cannot be read: {error}; name a readable CSV file"))
    };
    let source = File::open(&arguments.readings).map_err(unreadable)?;
    let mut source = BufReader::with_capacity(1024 * 1024, source);
    let readings = readings::read(&file, &mut source, &plant).map_err(of_readings)?;
    let failed = |error: io::Error| Failure::work(&error);
    match &arguments.output {
        None => {
            let to = BufWriter::with_capacity(1024 * 1024, io::stdout().lock());
            write(arguments, &plant, &zone, readings, to)
        }
        Some(path) => {
            // Whole or not at all: the name appears when the last byte is written.
            let mut part = path.clone().into_os_string();
            part.push(".part");
            let to = BufWriter::with_capacity(1024 * 1024, File::create(&part).map_err(failed)?);
            write(arguments, &plant, &zone, readings, to)?;
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

/// The plant with its rules: those of `--rules`; else those in the plant's files; else the built-in ones.
fn plant(arguments: &Arguments) -> Result<Plant, Failure> {
    let parse =
        |sources: &[_]| catalogue::parse(sources).map_err(|problems| Failure::input(problems.to_string()));
    let pollutants =
        arguments.pollutants.iter().map(|file| read_file(file)).collect::<Result<Vec<_>, _>>()?;
    let with_pollutants = |mut sources: Vec<_>| {
        sources.extend(pollutants.iter().cloned());
        sources
    };
    let mut known: Catalogue = parse(&with_pollutants(read_all(&arguments.plant)?))?;
    if !arguments.rules.is_empty() {
        known.rules = parse(&with_pollutants(read_all(&arguments.rules)?))?.rules;
    } else if known.rules.is_empty() {
        known.rules = parse(&with_pollutants(vec![seeds::rules()]))?.rules;
    }
    known.into_plant().map_err(|dangling| Failure::input(dangling.to_string()))
}

/// All outlets, one after the other.
fn write(
    arguments: &Arguments,
    plant: &Plant,
    zone: &TimeZone,
    readings: Readings<'_>,
    to: impl Write,
) -> Result<(), Failure> {
    let mut printed = Rows::new(to, arguments.out);
    let mut current: Option<(usize, Replay<'_>, Print<'_>)> = None;
    let scanned = readings.scans(|index, scan| {
        if current.as_ref().is_none_or(|(open, _, _)| *open != index) {
            finish(current.take(), &mut printed);
            current = plant.outlets.get(index).map(|outlet| {
                let print = Print::new(outlet, periods(&arguments.period, outlet));
                let wanted: Vec<AveragingPeriod> = print.periods.iter().copied().collect();
                (index, Replay::new(outlet, &wanted, zone, &HJ75_2017), print)
            });
        }
        if let Some((_, replay, print)) = &mut current {
            let in_order = replay.scan(scan, &mut |window: Window, averages: &[ChannelAverage]| {
                print.closed(window, averages, &mut printed);
            });
            debug_assert!(in_order, "readings come in the order of time");
        }
    });
    scanned.map_err(of_readings)?;
    finish(current, &mut printed);
    printed.finish().map_err(|error| Failure::work(&error))
}

fn finish(open: Option<(usize, Replay<'_>, Print<'_>)>, printed: &mut Rows<impl Write>) {
    let Some((_, replay, mut print)) = open else { return };
    replay.finish(&mut |window: Window, averages: &[ChannelAverage]| print.closed(window, averages, printed));
    print.hint();
}

/// What is printed of one outlet.
struct Print<'p> {
    outlet: &'p Outlet,
    periods: BTreeSet<AveragingPeriod>,
    /// By position: minutes that had one reading where at least twelve are needed, and minutes that had more.
    minutes: Vec<(u64, u64)>,
}

impl<'p> Print<'p> {
    fn new(outlet: &'p Outlet, periods: BTreeSet<AveragingPeriod>) -> Print<'p> {
        Print { outlet, periods, minutes: vec![(0, 0); outlet.channels.len()] }
    }

    fn closed(&mut self, window: Window, averages: &[ChannelAverage], printed: &mut Rows<impl Write>) {
        if window.period == AveragingPeriod::Minute {
            for (count, average) in self.minutes.iter_mut().zip(averages) {
                count.0 += u64::from(average.n_valid == 1 && average.n_expected >= 12);
                count.1 += u64::from(average.n_valid > 1);
            }
        }
        if self.periods.contains(&window.period) {
            rows(self.outlet, window, averages, &HJ75_2017).for_each(|row| printed.put(&row));
        }
    }

    /// The likeliest mistake: minute values beside a plant file that tells of scans.
    fn hint(&self) {
        let sparse =
            self.outlet.channels.iter().zip(&self.minutes).filter(|(_, (one, more))| *one > 0 && *more == 0);
        let codes: Vec<&str> = sparse.map(|(channel, _)| channel.code.as_str()).collect();
        if !codes.is_empty() {
            eprintln!(
                "note: {}: {} never have more than one reading a minute, but period_ms in the plant file promises at least \
                 twelve, so no minute is valid; for 1-minute data period_ms is 60000",
                self.outlet.code,
                codes.join(", ")
            );
        }
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

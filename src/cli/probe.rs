//! `cems probe`: which units a line has, and what their registers could mean.

/// The form for programs.
mod json;
/// The form for people.
mod shown;

use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::cli::exit_code;
use crate::clock;
use crate::config::gateway::{Line, Link, Parity, SerialPort, Table};
use crate::gateway::probe::survey::{CONNECTIONS, Progress, Survey, Unit, Wanted, survey};
use crate::gateway::probe::{Expected, Match, matches};

/// Least time between two lines about silent units.
const TELL_AGAIN: Duration = Duration::from_secs(1);

const MORE: &str = "\
Only the functions 1 to 4 are ever used (read coils, discrete inputs, holding registers, input registers): nothing is written to any
device. No other Modbus master may use the line meanwhile, also no gateway of ours.

Give the value that the analyser's display shows (--expect 31.2): what holds it, in any type, order and decimal scale, is told with a
line for the configuration, the best first.

With the default ranges it ends within 10 s; the first line tells the bound for others. A silent unit costs one time-out: on TCP many
are asked at once, on RTU lines one after the other.

Exit code 0: a unit answered and every expected value was found; 1: no link; 2: wrong arguments; 3: no unit answered, or an expected
value was nowhere. docs/gateway.md shows a session and the JSON form.";

/// Find out what an analyser says: units, registers, and what each could mean.
#[derive(Debug, clap::Args)]
#[command(after_help = MORE)]
pub(super) struct Arguments {
    /// The line: tcp://HOST:PORT, rtu+tcp://HOST:PORT (RTU frames through TCP) or rtu:///dev/ttyUSB0
    #[arg(value_name = "LINK", value_parser = link)]
    link: Link,
    /// Units to look for, as 1-10 or 1,3,20-25; RTU lines have 1 to 247
    #[arg(long, value_name = "UNITS", default_value = "1-10", value_parser = units)]
    unit: Units,
    /// Registers to read, as on the wire (0-based), as 0-200 or 1000
    #[arg(long, value_name = "RANGE", default_value = "0-200", value_parser = range::<u16>)]
    registers: (u16, u16),
    /// Tables to read: holding, input, coil, discrete; can be given several times. Units are looked for in the first one
    #[arg(long, value_name = "TABLE", default_values = ["holding", "input"], value_parser = table)]
    table: Vec<Table>,
    /// A value that must be somewhere, as the display shows it; can be given several times
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    expect: Vec<Expected>,
    /// How far from it a register may be: a share of the value, as 1% or 0.01
    #[arg(long, value_name = "SHARE", default_value = "1%", value_parser = share)]
    tolerance: f64,
    /// How long to wait for an answer; a silent unit costs as much. Converters to RTU lines need 2000 or more
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    timeout_ms: u64,
    /// Registers in one request, at most; what is refused is asked for in smaller parts
    #[arg(long, value_name = "COUNT", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=125))]
    max_registers: u16,
    /// Look for units over this many TCP connections at the same time; 1 for converters to RTU lines
    #[arg(long, value_name = "COUNT", default_value_t = CONNECTIONS)]
    connections: usize,
    /// Show the orders BADC and DCBA and numbers of four registers too
    #[arg(long)]
    all: bool,
    /// Print one JSON object, as docs/gateway.md describes it
    #[arg(long)]
    json: bool,
    /// Of rtu:///dev/...: bits per second
    #[arg(long, value_name = "BAUD", default_value_t = 9600, value_parser = clap::value_parser!(u32).range(300..=1_000_000))]
    baud: u32,
    /// Of rtu:///dev/...: none, even or odd
    #[arg(long, value_name = "PARITY", default_value = "none", value_parser = parity)]
    parity: Parity,
    /// Of rtu:///dev/...: 1 or 2
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    stop_bits: u8,
}

/// Ascending, each once.
#[derive(Debug, Clone)]
struct Units(Vec<u8>);

fn link(text: &str) -> Result<Link, String> {
    let rule =
        || format!("a line is tcp://HOST:PORT, rtu+tcp://HOST:PORT or rtu:///dev/DEVICE; found {text:?}");
    Link::from_text(text).ok_or_else(rule)
}

fn range<N: std::str::FromStr + PartialOrd + Copy>(text: &str) -> Result<(N, N), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let numbers = first.trim().parse().ok().zip(last.trim().parse().ok());
    numbers
        .filter(|(first, last): &(N, N)| first <= last)
        .ok_or_else(|| format!("a range is FIRST-LAST or one number; found {text:?}"))
}

fn units(text: &str) -> Result<Units, String> {
    let mut units = Vec::new();
    for part in text.split(',') {
        let (first, last) = range::<u8>(part).map_err(|rule| format!("{rule}; units are 0 to 255"))?;
        units.extend(first..=last);
    }
    units.sort_unstable();
    units.dedup();
    Ok(Units(units))
}

fn table(text: &str) -> Result<Table, String> {
    let tables = [Table::Holding, Table::Input, Table::Coil, Table::Discrete];
    let found = tables.into_iter().find(|table| table.name() == text);
    found.ok_or_else(|| format!("a table is holding, input, coil or discrete; found {text:?}"))
}

fn parity(text: &str) -> Result<Parity, String> {
    match text {
        "none" => Ok(Parity::None),
        "even" => Ok(Parity::Even),
        "odd" => Ok(Parity::Odd),
        other => Err(format!("parity is none, even or odd; found {other:?}")),
    }
}

fn share(text: &str) -> Result<f64, String> {
    let (number, of) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let share = number.trim().parse::<f64>().ok().map(|number| number / of);
    share
        .filter(|share| (0.0..=0.5).contains(share))
        .ok_or_else(|| format!("a tolerance is a share from 0 to 50 %, as 1% or 0.01; found {text:?}"))
}

/// What holds one expected value, the best first.
pub(super) struct Holding<'s> {
    expected: Expected,
    found: Vec<(&'s Unit, Match)>,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let wanted = wanted(arguments);
    if let (true, Some(unit)) =
        (wanted.line.link.is_rtu(), wanted.units.iter().find(|unit| !(1..=247).contains(*unit)))
    {
        eprintln!("--unit: found {unit}; an RTU line has units 1 to 247");
        return ExitCode::from(exit_code::WRONG_INPUT);
    }
    let name = wanted.line.name.as_str();
    let units: Vec<u16> = wanted.units.iter().copied().map(u16::from).collect();
    eprintln!(
        "cems probe: {name}, units {}, at most {} s; only reading (functions 1 to 4)",
        crate::gateway::probe::ranges(units.into_iter()),
        wanted.limit().as_secs()
    );
    let Ok(runtime) = tokio::runtime::Runtime::new() else {
        eprintln!("cems probe: the system gives no threads");
        return ExitCode::from(exit_code::FAILED);
    };
    let told = Mutex::new(clock::monotonic());
    let survey = match runtime.block_on(survey(&wanted, &|progress| tell(&progress, &told))) {
        Ok(survey) => survey,
        Err(error) => {
            eprintln!(
                "cems probe: no link to {name}: {error}; check address and cable, and that no other master holds the line"
            );
            return ExitCode::from(exit_code::FAILED);
        }
    };
    let holding: Vec<Holding<'_>> =
        arguments.expect.iter().map(|expected| holding(&survey, *expected, arguments.tolerance)).collect();
    if arguments.json {
        println!("{}", json::of(name, &survey, &holding));
    } else {
        print!(
            "{}",
            shown::Probe {
                link: name,
                survey: &survey,
                holding: &holding,
                all: arguments.all,
                tolerance: arguments.tolerance
            }
        );
    }
    let all_found = holding.iter().all(|holding| !holding.found.is_empty());
    if survey.units.is_empty() || !all_found { ExitCode::from(exit_code::FOUND) } else { exit_code::OK }
}

fn wanted(arguments: &Arguments) -> Wanted {
    let timeout = Duration::from_millis(arguments.timeout_ms);
    let link = match &arguments.link {
        Link::Serial(port) => {
            let (baud, parity, stop_bits) = (arguments.baud, arguments.parity, arguments.stop_bits);
            Link::Serial(SerialPort { baud, parity, stop_bits, ..port.clone() })
        }
        network @ (Link::Tcp { .. } | Link::RtuOverTcp { .. }) => network.clone(),
    };
    let to = Line {
        name: link.text(),
        link,
        turnaround: Duration::ZERO,
        usual_answer: Duration::ZERO,
        // Who did not answer in time is taken for silent.
        slowest_answer: timeout,
    };
    let mut tables = arguments.table.clone();
    tables.dedup();
    Wanted {
        line: to,
        units: arguments.unit.0.clone(),
        tables,
        registers: arguments.registers,
        timeout,
        max_registers: arguments.max_registers,
        connections: arguments.connections,
    }
}

/// To standard error: every unit that answers, and now and then how far the search has come.
fn tell(progress: &Progress, told: &Mutex<Instant>) {
    let mut told = told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let now = clock::monotonic();
    let due = now.duration_since(*told) >= TELL_AGAIN;
    let line = match progress {
        Progress::Asked { units, of } if due && units < of => format!("{units} of {of} units asked"),
        Progress::Reading { unit, table } if due => format!("reading unit {unit}, table {}", table.name()),
        Progress::Asked { .. } | Progress::Reading { .. } => return,
        Progress::Answers { unit, after } => format!("unit {unit} answers after {} ms", after.as_millis()),
        Progress::SecondLook => "looking again, which registers move".to_owned(),
    };
    eprintln!("  {line}");
    *told = now;
}

fn holding(survey: &Survey, expected: Expected, tolerance: f64) -> Holding<'_> {
    let mut found: Vec<(&Unit, Match)> = Vec::new();
    for (unit, _) in survey.distinct() {
        for registers in unit.tables.iter().filter(|registers| registers.table >= Table::Holding) {
            let matches = matches(registers.seen(), expected, tolerance);
            found.extend(matches.into_iter().map(|one| (unit, one)));
        }
    }
    found.sort_by(|(_, one), (_, other)| one.compare(other));
    Holding { expected, found }
}

//! Asks a line which units are there and which registers they answer. Every unit, table and register gets a bounded number of
//! requests, and all of it ends at the limit: what was not asked by then is told as such. Only the functions 1 to 4 are used.

/// Which units are there.
mod units;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use tokio_modbus::ExceptionCode;

use crate::clock;
use crate::config::gateway::{Line, Link, Table};
use crate::gateway::modbus::{Asked, Client, Fault};
use crate::gateway::plan::{Block, Divided, divide};
use crate::gateway::probe::{Seen, Words};
use crate::gateway::wire::Wire;

/// For opening the line the first time.
const OPEN: Duration = Duration::from_secs(3);
/// Between the first and the second look at the registers.
const SECOND_LOOK: Duration = Duration::from_secs(1);
/// The least time that is left for reading registers when units are sought.
const READING: Duration = Duration::from_secs(4);
/// Between questions to a unit that the client gives a rest.
const REST: Duration = Duration::from_millis(40);
/// A probe may always take so long.
const LIMIT: Duration = Duration::from_secs(10);
/// Requests for one table of one unit, at most.
const REQUESTS: usize = 1000;
/// Blocks of one table without an answer, after which it is given up.
const SILENT_BLOCKS: usize = 3;
/// Connections on which units are sought at the same time.
pub const CONNECTIONS: usize = 8;

/// What to look for.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub line: Line,
    pub units: Vec<u8>,
    pub tables: Vec<Table>,
    /// The first and the last register.
    pub registers: (u16, u16),
    pub timeout: Duration,
    /// Registers in one request, at most.
    pub max_registers: u16,
    /// Connections at the same time, at most; RTU lines have one.
    pub connections: usize,
}

impl Wanted {
    fn connections(&self) -> usize {
        match self.line.link {
            Link::Tcp { .. } => self.connections.clamp(1, self.units.len().max(1)),
            Link::RtuOverTcp { .. } | Link::Serial(_) => 1,
        }
    }

    /// All of it ends after this, whatever happens.
    pub fn limit(&self) -> Duration {
        let rounds = self.units.len().div_ceil(self.connections());
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        LIMIT.max(self.timeout * rounds + READING + SECOND_LOOK)
    }
}

/// What happens meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// So many units of so many were asked.
    Asked {
        units: usize,
        of: usize,
    },
    Answers {
        unit: u8,
        after: Duration,
    },
    Reading {
        unit: u8,
        table: Table,
    },
    SecondLook,
}

/// Tells what happens meanwhile.
pub type Tell<'t> = dyn Fn(Progress) + Sync + 't;

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    pub units: Vec<Unit>,
    pub silent: Vec<u8>,
    /// A converter says that it cannot reach these.
    pub out_of_reach: Vec<u8>,
    pub not_asked: Vec<u8>,
    /// A unit that was not sought answers too: what holds the same is the same device.
    pub any_unit: bool,
    pub took: Duration,
}

/// A unit that answers.
#[derive(Debug, Clone)]
pub struct Unit {
    pub unit: u8,
    pub answered_after: Duration,
    /// What is wrong with its answers, where they are none to our requests.
    pub remark: Option<String>,
    pub tables: Vec<Registers>,
}

/// Registers of one table of a unit.
#[derive(Debug, Clone)]
pub struct Registers {
    pub table: Table,
    /// As they were last.
    pub words: Words,
    pub moved: BTreeSet<u16>,
    /// Whether they were looked at twice.
    pub twice: bool,
    /// Addresses that are refused.
    pub refused: BTreeSet<u16>,
    /// Addresses that nobody knows anything about.
    pub unknown: BTreeSet<u16>,
    /// Why.
    pub remark: Option<String>,
    /// How long the answers took, sorted.
    pub times: Vec<Duration>,
    /// Requests that were answered with registers.
    blocks: Vec<Block>,
}

impl Registers {
    fn new(table: Table) -> Registers {
        Registers {
            table,
            words: Words::new(),
            moved: BTreeSet::new(),
            twice: false,
            refused: BTreeSet::new(),
            unknown: BTreeSet::new(),
            remark: None,
            times: Vec::new(),
            blocks: Vec::new(),
        }
    }

    /// For the search for a value.
    pub fn seen(&self) -> Seen<'_> {
        Seen { table: self.table, words: &self.words, moved: &self.moved }
    }

    /// Whether both hold the same, but for what moves.
    fn is_like(&self, other: &Registers) -> bool {
        let moves = |address: &u16| self.moved.contains(address) || other.moved.contains(address);
        let mut both = self.words.iter().zip(&other.words);
        self.table == other.table
            && self.words.len() == other.words.len()
            && both.all(|((one, word), (another, same))| one == another && (word == same || moves(one)))
    }
}

impl Unit {
    /// Whether both hold the same.
    fn is_like(&self, other: &Unit) -> bool {
        let any = self.tables.iter().any(|registers| registers.words.values().any(|word| *word != 0));
        any && self.tables.len() == other.tables.len()
            && self.tables.iter().zip(&other.tables).all(|(one, another)| one.is_like(another))
    }
}

impl Survey {
    /// Each unit with those after it that are the same device.
    pub fn distinct(&self) -> Vec<(&Unit, Vec<u8>)> {
        let mut distinct: Vec<(&Unit, Vec<u8>)> = Vec::new();
        for unit in &self.units {
            match distinct.iter_mut().find(|(first, _)| self.any_unit && first.is_like(unit)) {
                Some((_, alike)) => alike.push(unit.unit),
                None => distinct.push((unit, Vec::new())),
            }
        }
        distinct
    }
}

/// Looks for units and reads their registers, twice if there is time.
///
/// # Errors
/// When the line cannot be opened.
pub async fn survey(wanted: &Wanted, tell: &Tell<'_>) -> io::Result<Survey> {
    let started = clock::monotonic();
    let limit = started + wanted.limit();
    let before = |time: Duration| started + wanted.limit().saturating_sub(time);
    match tokio::time::timeout(OPEN, Wire::open(&wanted.line.link)).await {
        Ok(opened) => drop(opened?),
        Err(_elapsed) => {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {OPEN:?}")));
        }
    }
    let mut survey = units::find(wanted, before(READING), tell).await;
    let mut client = Client::new(wanted.line.clone());
    let first_look = clock::monotonic();
    let mut left = survey.units.iter().filter(|unit| unit.remark.is_none()).count() * wanted.tables.len();
    for unit in survey.units.iter_mut().filter(|unit| unit.remark.is_none()) {
        for table in &wanted.tables {
            tell(Progress::Reading { unit: unit.unit, table: *table });
            // The time that is left is for all tables alike.
            let now = clock::monotonic();
            let time = before(SECOND_LOOK * 2).saturating_duration_since(now);
            let share = time / u32::try_from(left.max(1)).unwrap_or(u32::MAX);
            left = left.saturating_sub(1);
            let mut reading = Reading { client: &mut client, unit: unit.unit, wanted, limit: now + share };
            unit.tables.push(reading.table(*table).await);
        }
    }
    let answers: Duration =
        survey.units.iter().flat_map(|unit| &unit.tables).flat_map(|one| &one.times).sum();
    let again = clock::monotonic().max(first_look + SECOND_LOOK);
    if !answers.is_zero() && again + answers < limit {
        tell(Progress::SecondLook);
        tokio::time::sleep_until(again.into()).await;
        for unit in &mut survey.units {
            let number = unit.unit;
            for registers in &mut unit.tables {
                let mut reading = Reading { client: &mut client, unit: number, wanted, limit };
                reading.again(registers).await;
            }
        }
    }
    drop(client);
    if let Some((first, others)) = survey.units.split_first()
        && others.iter().any(|unit| first.is_like(unit))
    {
        survey.any_unit = units::answers_to_any(wanted, limit).await;
    }
    survey.took = clock::monotonic().duration_since(started);
    Ok(survey)
}

/// Reads one unit.
struct Reading<'r> {
    client: &'r mut Client,
    unit: u8,
    wanted: &'r Wanted,
    limit: Instant,
}

/// What to do after a request that gave no registers.
enum Next {
    /// These are refused.
    Refused(Block),
    Ask(Vec<Block>),
    /// Later once more, or never.
    Later(Block),
    /// The whole table is refused.
    NoTable,
}

impl Reading<'_> {
    /// All registers of a table that it answers.
    async fn table(&mut self, table: Table) -> Registers {
        let mut found = Registers::new(table);
        let mut asked = blocks(table, self.wanted.registers, self.wanted.max_registers);
        let (mut requests, mut silent) = (0, 0);
        let mut later: Vec<Block> = Vec::new();
        while let Some(block) = asked.pop_front() {
            if requests >= REQUESTS || silent >= SILENT_BLOCKS || clock::monotonic() >= self.limit {
                found.unknown.extend(addresses(block));
                found.remark.get_or_insert_with(|| "not all was asked within the limits".to_owned());
                continue;
            }
            requests += 1;
            let started = clock::monotonic();
            let fault = match self.read(block).await {
                Ok(words) => {
                    silent = 0;
                    found.times.push(clock::monotonic().duration_since(started));
                    found.blocks.push(block);
                    found.words.extend(addresses(block).zip(words));
                    continue;
                }
                Err(fault) => fault,
            };
            match after(block, &fault) {
                Next::Refused(block) => found.refused.extend(addresses(block)),
                // Behind the others: so what can be read is read first.
                Next::Ask(parts) => asked.extend(parts),
                Next::Later(block) if later.contains(&block) => {
                    silent += 1;
                    found.unknown.extend(addresses(block));
                    found.remark = Some(fault.to_string());
                }
                Next::Later(block) => {
                    later.push(block);
                    asked.push_back(block);
                }
                Next::NoTable => {
                    asked.push_back(block);
                    found.refused.extend(asked.drain(..).flat_map(addresses));
                    found.remark = Some("the unit does not know this table (illegal function)".to_owned());
                }
            }
        }
        found.times.sort_unstable();
        found
    }

    /// Looks again at what was answered.
    async fn again(&mut self, registers: &mut Registers) {
        registers.twice = true;
        for block in registers.blocks.clone() {
            let Ok(words) = self.read(block).await else {
                registers.twice = false;
                continue;
            };
            for (address, word) in addresses(block).zip(words) {
                if registers.words.insert(address, word).is_some_and(|before| before != word) {
                    registers.moved.insert(address);
                }
            }
        }
    }

    /// One request; waits while the client gives the unit a rest.
    async fn read(&mut self, block: Block) -> Result<Vec<u16>, Fault> {
        loop {
            let asked = Asked { unit: self.unit, timeout: self.wanted.timeout, deadline: self.limit };
            match self.client.read(block, asked).await {
                Err(Fault::Resting) if clock::monotonic() + REST < self.limit => {
                    tokio::time::sleep(REST).await;
                }
                done => return done,
            }
        }
    }
}

/// Devices say "illegal address", "illegal value" and "failure" alike of registers that they do not have.
fn after(block: Block, fault: &Fault) -> Next {
    match fault {
        Fault::Exception(ExceptionCode::IllegalFunction) => Next::NoTable,
        Fault::Exception(
            ExceptionCode::IllegalDataAddress
            | ExceptionCode::IllegalDataValue
            | ExceptionCode::ServerDeviceFailure,
        ) => {
            let each: Vec<Block> =
                addresses(block).map(|address| Block::new(block.table, address, 1)).collect();
            match divide(block, &each) {
                Divided::Parts(parts) => Next::Ask(parts),
                Divided::Guilty(block) => Next::Refused(block),
            }
        }
        Fault::Exception(_)
        | Fault::Timeout
        | Fault::Link(_)
        | Fault::Resting
        | Fault::NoTime
        | Fault::Answer(_) => Next::Later(block),
    }
}

/// The requests for all registers of a table.
fn blocks(table: Table, (first, last): (u16, u16), most: u16) -> VecDeque<Block> {
    let most = most.max(1);
    let starts = (first..=last).step_by(usize::from(most));
    starts.map(|start| Block::new(table, start, most.min((last - start).saturating_add(1)))).collect()
}

fn addresses(block: Block) -> impl Iterator<Item = u16> {
    block.address..=block.address.saturating_add(block.count.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_registers_are_in_a_block_and_none_twice() {
        for (range, most, expected) in [
            ((0, 200), 60, vec![(0, 60), (60, 60), (120, 60), (180, 21)]),
            ((7, 7), 60, vec![(7, 1)]),
            ((65_530, 65_535), 4, vec![(65_530, 4), (65_534, 2)]),
        ] {
            let found: Vec<_> =
                blocks(Table::Input, range, most).iter().map(|block| (block.address, block.count)).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn default_ranges_end_within_ten_seconds_and_many_units_get_their_time() {
        let line = Line {
            name: String::new(),
            link: Link::Tcp { address: "127.0.0.1:502".to_owned() },
            turnaround: Duration::ZERO,
            usual_answer: Duration::ZERO,
            slowest_answer: Duration::ZERO,
        };
        let mut wanted = Wanted {
            line,
            units: (1..=10).collect(),
            tables: vec![Table::Holding, Table::Input],
            registers: (0, 200),
            timeout: Duration::from_millis(500),
            max_registers: 60,
            connections: CONNECTIONS,
        };
        assert_eq!(wanted.limit(), Duration::from_secs(10));
        wanted.connections = 1;
        assert_eq!(wanted.limit(), Duration::from_secs(10));
        wanted.units = (1..=247).collect();
        assert_eq!(wanted.limit(), Duration::from_millis(247 * 500 + 5000));
    }
}

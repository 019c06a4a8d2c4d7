//! Which blocks of registers to ask for. Registers of one analyser and table that are near each other and are read equally
//! often become one request. Pure: what is asked when, how a refused block is divided, and where each register is found.

/// How long a line is busy with what is asked on it.
pub mod bus_time;

use std::sync::Arc;
use std::time::Duration;

use crate::config::gateway::{Blocks, Channel, Gateway, Measured, Outlet, Place, Table};

/// One request: `count` registers or coils from `address`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Block {
    pub table: Table,
    pub address: u16,
    pub count: u16,
}

impl Block {
    pub const fn new(table: Table, address: u16, count: u16) -> Block {
        Block { table, address, count }
    }

    /// Of a number or text.
    pub const fn of(place: &Place) -> Block {
        Block::new(place.table, place.address, place.number.registers())
    }

    /// The address behind the last register.
    fn end(self) -> u32 {
        u32::from(self.address) + u32::from(self.count)
    }

    /// Whether all of `other` is in this block.
    fn holds(self, other: Block) -> bool {
        self.table == other.table && self.address <= other.address && other.end() <= self.end()
    }

    /// From the first register of this one to the last of either.
    fn joined(self, other: Block) -> Option<Block> {
        let count = self.end().max(other.end()).checked_sub(u32::from(self.address))?;
        Some(Block { count: u16::try_from(count).ok()?, ..self })
    }
}

/// One request of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    pub block: Block,
    /// Asked at the ticks that are whole multiples of this.
    pub every: Duration,
    /// The registers in it that are used, sorted, none overlapping.
    pub used: Vec<Block>,
}

impl Planned {
    /// Whether it is asked at this tick.
    pub fn is_due(&self, tick: jiff::Timestamp) -> bool {
        let every = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX).max(1);
        tick.as_millisecond().rem_euclid(every) == 0
    }
}

/// What one analyser is asked for an outlet's scans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    /// Index of the analyser.
    pub analyser: usize,
    pub blocks: Vec<Planned>,
}

/// Where registers are found among the answers to an inquiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// Index of the block.
    pub block: u16,
    pub offset: u16,
    pub count: u16,
}

impl Spot {
    /// Of registers that are not asked for: nothing is ever found there.
    pub const NOWHERE: Spot = Spot { block: u16::MAX, offset: u16::MAX, count: 1 };
}

impl Inquiry {
    /// Where these registers are found, of those that are read so often.
    pub fn spot(&self, wanted: Block, every: Duration) -> Option<Spot> {
        let found = |planned: &Planned| planned.every == every && planned.block.holds(wanted);
        let block = self.blocks.iter().position(found)?;
        let offset = wanted.address.checked_sub(self.blocks.get(block)?.block.address)?;
        Some(Spot { block: u16::try_from(block).ok()?, offset, count: wanted.count })
    }
}

/// All that is asked for an outlet's scans, by analyser.
pub fn inquiries(config: &Gateway, outlet: &Outlet) -> Vec<Arc<Inquiry>> {
    let mut inquiries = Vec::new();
    for (index, analyser) in config.analysers.iter().enumerate() {
        let measured = outlet.channels.iter().filter_map(Channel::measured);
        let mut wanted: Vec<(Duration, Block)> = Vec::new();
        for channel in measured.filter(|measured| measured.analyser == index) {
            wanted.extend(registers(channel).map(|block| (channel.period, block)));
        }
        if wanted.is_empty() {
            continue;
        }
        let statuses = analyser.statuses.iter().map(|status| Block::new(status.table, status.address, 1));
        let checks = analyser.checks.iter().map(|check| Block::of(&check.place));
        wanted.extend(statuses.chain(checks).map(|block| (outlet.period, block)));
        let is_rtu = config.lines.get(analyser.line).is_some_and(|line| line.link.is_rtu());
        let mut blocks = merge(wanted, analyser.blocks);
        if is_rtu {
            tell_apart(&mut blocks, analyser.blocks);
        }
        inquiries.push(Arc::new(Inquiry { analyser: index, blocks }));
    }
    inquiries
}

/// All registers that one channel needs.
fn registers(channel: &Measured) -> impl Iterator<Item = Block> + '_ {
    let statuses = channel.statuses.iter().map(|status| (status.table, status.address));
    let quality = channel.quality.iter().map(|quality| (quality.table, quality.address));
    let single = statuses.chain(quality).chain(channel.fresh);
    std::iter::once(Block::of(&channel.place))
        .chain(single.map(|(table, address)| Block::new(table, address, 1)))
}

/// The fewest blocks that hold all wanted registers within these bounds. A number is never divided, even where it is longer
/// than a block may be.
pub fn merge(mut wanted: Vec<(Duration, Block)>, bounds: Blocks) -> Vec<Planned> {
    wanted.sort_unstable();
    wanted.dedup();
    let mut blocks: Vec<Planned> = Vec::new();
    for (every, next) in wanted {
        if let Some(last) = blocks.last_mut()
            && last.every == every
            && last.block.table == next.table
            && let Some(joined) = last.block.joined(next)
            && (last.block.holds(next)
                || (joined.count <= bounds.max_registers
                    && u32::from(next.address) <= last.block.end() + u32::from(bounds.max_gap)))
        {
            last.block = joined;
            use_also(&mut last.used, next);
            continue;
        }
        blocks.push(Planned { block: next, every, used: vec![next] });
    }
    blocks
}

/// `used` is sorted, and `next` begins no earlier than its last.
fn use_also(used: &mut Vec<Block>, next: Block) {
    match used.last_mut() {
        Some(last) if u32::from(next.address) < last.end() => *last = last.joined(next).unwrap_or(*last),
        Some(_) | None => used.push(next),
    }
}

/// On a line whose answers carry no number, no request is as long as its neighbour, where one more register can be read along:
/// so an answer to the one is never taken for an answer to the other, even beyond the slowest answer.
fn tell_apart(blocks: &mut [Planned], bounds: Blocks) {
    let first = blocks.first().map(|planned| planned.block);
    let last = blocks.len().saturating_sub(1);
    let mut before: Option<Block> = None;
    for (index, planned) in blocks.iter_mut().enumerate() {
        let after = if index == last && index > 0 { first } else { None };
        let alike = |block: Block| {
            before
                .into_iter()
                .chain(after)
                .any(|other| other.table == block.table && answer_bytes(other) == answer_bytes(block))
        };
        let step = if planned.block.table.is_bits() { 8 } else { 1 };
        for _ in 0..2 {
            let longer = planned.block.count.saturating_add(step);
            let fits = longer <= bounds.max_registers
                && u32::from(planned.block.address) + u32::from(longer) <= 0x1_0000;
            if bounds.max_gap == 0 || !fits || !alike(planned.block) {
                break;
            }
            planned.block.count = longer;
        }
        before = Some(planned.block);
    }
}

/// Bytes of values in the answer to a request.
pub fn answer_bytes(block: Block) -> u32 {
    if block.table.is_bits() { u32::from(block.count).div_ceil(8) } else { u32::from(block.count) * 2 }
}

/// What becomes of a block that an analyser refuses as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Divided {
    /// To be asked for one by one instead.
    Parts(Vec<Block>),
    /// This number itself is refused: it is the guilty one.
    Guilty(Block),
}

/// Divides a refused block between the numbers that are used in it; first of all, what is only read along is left away.
pub fn divide(block: Block, used: &[Block]) -> Divided {
    let within: Vec<Block> = used.iter().copied().filter(|one| block.holds(*one)).collect();
    let (Some(first), Some(last)) = (within.first(), within.last()) else { return Divided::Guilty(block) };
    let trimmed = first.joined(*last).unwrap_or(block);
    if trimmed != block {
        return Divided::Parts(vec![trimmed]);
    }
    let (left, right) = within.split_at(within.len() / 2);
    let whole = |half: &[Block]| half.first().zip(half.last()).and_then(|(first, last)| first.joined(*last));
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => Divided::Parts(vec![left, right]),
        (None, _) | (_, None) => Divided::Guilty(block),
    }
}

#[cfg(test)]
mod tests;

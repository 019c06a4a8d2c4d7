//! Which blocks of registers to ask for: neighbouring registers of one analyser and table become one request. Pure.

use crate::config::gateway::{Gateway, Outlet, StatusRegister, Table};
use crate::domain::flag::Flag;
use crate::domain::scan::{Reading, Scan};
use crate::gateway::register;

/// A request never asks for more registers (the protocol allows 125).
pub const MAX_WORDS: u16 = 120;
/// Unused registers between two used ones that are read along rather than asking twice.
pub const MAX_GAP: u16 = 8;

/// One request: `count` registers from `address`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    pub table: Table,
    pub address: u16,
    pub count: u16,
}

impl Block {
    /// Whether all of `count` registers from `address` are in this block.
    fn holds(self, table: Table, address: u16, count: u16) -> bool {
        self.table == table
            && self.address <= address
            && u32::from(address) + u32::from(count) <= u32::from(self.address) + u32::from(self.count)
    }
}

/// What one analyser is asked for an outlet's scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    /// Index of the analyser.
    pub analyser: usize,
    pub blocks: Vec<Block>,
}

/// Registers: table, first address, count.
type Wanted = (Table, u16, u16);

/// Gives `count` words of a table from an address, for the analyser with this name.
pub type Image<'i> = dyn Fn(&str, Table, u16, u16) -> Option<Vec<u16>> + 'i;

/// The answers to an inquiry's blocks, in their order; `None` for a block without a usable answer.
pub type Answers = Vec<Option<Vec<u16>>>;

/// What to ask for one scan of this outlet, by analyser.
pub fn inquiries(config: &Gateway, outlet: &Outlet) -> Vec<Inquiry> {
    let used = |analyser: usize| outlet.channels.iter().filter(move |channel| channel.analyser == analyser);
    let mut inquiries = Vec::new();
    for (index, analyser) in config.analysers.iter().enumerate() {
        let mut wanted: Vec<Wanted> =
            used(index).map(|channel| (channel.table, channel.address, channel.number.words())).collect();
        if wanted.is_empty() {
            continue;
        }
        wanted.extend(analyser.status.as_ref().map(|status| (status.table, status.address, 1)));
        inquiries.push(Inquiry { analyser: index, blocks: merge(wanted) });
    }
    inquiries
}

/// The fewest blocks that hold all wanted registers within [`MAX_WORDS`] and [`MAX_GAP`].
pub fn merge(mut wanted: Vec<Wanted>) -> Vec<Block> {
    wanted.sort_unstable();
    let mut blocks: Vec<Block> = Vec::new();
    for (table, address, count) in wanted {
        let end = u32::from(address) + u32::from(count);
        if let Some(block) = blocks.last_mut().filter(|block| block.table == table) {
            let block_end = u32::from(block.address) + u32::from(block.count);
            let joined_end = end.max(block_end);
            let joined = u16::try_from(joined_end - u32::from(block.address)).ok();
            let near = u32::from(address) <= block_end + u32::from(MAX_GAP);
            if let Some(count) = joined.filter(|count| near && *count <= MAX_WORDS) {
                block.count = count;
                continue;
            }
        }
        blocks.push(Block { table, address, count });
    }
    blocks
}

/// The scan that these answers make: every configured channel is in it; what has no answer says so. `answers` gives what
/// came for an inquiry, `None` when nothing came at all.
pub fn assemble(
    config: &Gateway,
    outlet: &Outlet,
    at: jiff::Timestamp,
    answered: &[(Inquiry, Option<Answers>)],
) -> Scan {
    let readings = outlet.channels.iter().map(|channel| {
        let found = answered.iter().find(|(inquiry, _)| inquiry.analyser == channel.analyser);
        let Some((inquiry, Some(answers))) = found else { return (channel.code, Reading::NO_ANSWER) };
        let analyser = config.analysers.get(channel.analyser);
        let status = match analyser.and_then(|analyser| analyser.status.as_ref()) {
            Some(register) => status_flag(register, inquiry, answers),
            None => Some(Flag::Normal),
        };
        let words = pick(inquiry, answers, (channel.table, channel.address, channel.number.words()));
        let reading = match (status, words) {
            (Some(status), Some(words)) => register::reading(words, channel, status),
            // Without its status word nobody knows whether a value can be trusted.
            (None, _) | (_, None) => Reading::NO_ANSWER,
        };
        (channel.code, reading)
    });
    Scan { outlet: outlet.code.clone(), at, readings: readings.collect() }
}

fn status_flag(register: &StatusRegister, inquiry: &Inquiry, answers: &Answers) -> Option<Flag> {
    let [word] = pick(inquiry, answers, (register.table, register.address, 1))? else { return None };
    Some(register::status(*word, register))
}

/// The words of one register range out of the answered blocks.
fn pick<'a>(inquiry: &Inquiry, answers: &'a Answers, wanted: Wanted) -> Option<&'a [u16]> {
    let (table, address, count) = wanted;
    let (block, answer) =
        inquiry.blocks.iter().zip(answers).find(|(block, _)| block.holds(table, address, count))?;
    let from = usize::from(address - block.address);
    answer.as_ref()?.get(from..from + usize::from(count))
}

/// A scan from a register image instead of a live poll, by the very same plan and decoding. `image` gives `count` words
/// of a table from an address of the analyser with that name. `None` when no outlet has this code.
pub fn decode_image(
    config: &Gateway,
    outlet_code: &str,
    at: jiff::Timestamp,
    image: &Image<'_>,
) -> Option<Scan> {
    let outlet = config.outlets.iter().find(|outlet| outlet.code == outlet_code)?;
    let answered: Vec<(Inquiry, Option<Answers>)> = inquiries(config, outlet)
        .into_iter()
        .map(|inquiry| {
            let analyser = config.analysers.get(inquiry.analyser);
            let answers = analyser.map(|analyser| {
                let ask = |block: &Block| {
                    let words = image(&analyser.name, block.table, block.address, block.count);
                    words.filter(|words| words.len() == usize::from(block.count))
                };
                inquiry.blocks.iter().map(ask).collect()
            });
            (inquiry, answers)
        })
        .collect();
    Some(assemble(config, outlet, at, &answered))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::gateway::parse;
    use proptest::prelude::*;

    const EXAMPLE: &str = include_str!("../../config/gateway-example.toml");

    fn block(table: Table, address: u16, count: u16) -> Block {
        Block { table, address, count }
    }

    #[test]
    fn near_registers_share_a_request() {
        let holding = Table::Holding;
        let merged = merge(vec![(holding, 20, 2), (holding, 0, 2), (holding, 10, 1), (Table::Input, 3, 2)]);
        assert_eq!(
            merged,
            [block(holding, 0, 11), block(holding, 20, 2), block(Table::Input, 3, 2)],
            "a gap of 8 is read along, a gap of 9 is not"
        );
        assert_eq!(merge(vec![(holding, 65_534, 2), (holding, 65_535, 1)]), [block(holding, 65_534, 2)]);
    }

    #[test]
    fn a_channel_without_words_says_so_and_the_others_keep_theirs() {
        let config = parse("example", EXAMPLE).unwrap();
        let at = "2026-11-21T04:00:06Z".parse().unwrap();
        let image = |analyser: &str, table: Table, address: u16, count: u16| match (analyser, table, address)
        {
            ("gas", Table::Holding, 0) => Some(vec![0x41C8, 0, 987][..usize::from(count)].to_vec()),
            ("gas", Table::Holding, 100) => Some(vec![2]),
            _ => None,
        };
        let scan = decode_image(&config, "DA001", at, &image).unwrap();
        let shown: Vec<String> = scan
            .readings
            .iter()
            .map(|(code, r)| format!("{code} {:?} {}", r.value, r.flag.letter()))
            .collect();
        assert_eq!(shown, ["a19001 Some(9.870000000000001) C", "a21026 Some(25.0) C", "a34013 None B"]);
        let deaf = |_: &str, table: Table, address: u16, count: u16| {
            (table == Table::Holding && address < 100).then(|| vec![0; usize::from(count)])
        };
        let scan = decode_image(&config, "DA001", at, &deaf).unwrap();
        assert!(
            scan.readings.iter().all(|(_, reading)| *reading == Reading::NO_ANSWER),
            "no status, no trust"
        );
        assert!(decode_image(&config, "DA002", at, &deaf).is_none());
    }

    #[test]
    fn an_answer_of_another_length_is_no_answer() {
        let config = parse("example", EXAMPLE).unwrap();
        let at = "2026-11-21T04:00:06Z".parse().unwrap();
        for wrong in [0, 1, 7, 200] {
            let image = |_: &str, _: Table, _: u16, _: u16| Some(vec![0; wrong]);
            let scan = decode_image(&config, "DA001", at, &image).unwrap();
            let gas = scan.readings.iter().find(|(code, _)| code.as_str() == "a21026").unwrap();
            assert_eq!(gas.1, Reading::NO_ANSWER, "{wrong} words");
        }
    }

    proptest! {
        #[test]
        fn blocks_hold_all_that_is_wanted_and_stay_small(
            wanted in proptest::collection::vec((0_u16..2, 0_u16..400, 1_u16..3), 1..60)
        ) {
            let wanted: Vec<Wanted> = wanted
                .into_iter()
                .map(|(table, address, count)| (if table == 0 { Table::Holding } else { Table::Input }, address, count))
                .collect();
            let blocks = merge(wanted.clone());
            for (table, address, count) in &wanted {
                prop_assert!(blocks.iter().any(|block| block.holds(*table, *address, *count)));
            }
            for block in &blocks {
                prop_assert!(block.count <= MAX_WORDS);
                let first_and_last_are_wanted = wanted.iter().any(|(t, a, _)| *t == block.table && *a == block.address)
                    && wanted.iter().any(|(t, a, c)| *t == block.table && a + c == block.address + block.count);
                prop_assert!(first_and_last_are_wanted);
            }
        }
    }
}

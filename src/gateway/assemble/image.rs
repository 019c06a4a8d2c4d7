//! Scans of register images.

use std::sync::Arc;

use jiff::Timestamp;

use crate::config::gateway::{Gateway, Table};
use crate::domain::scan::Scan;
use crate::gateway::assemble::{Answer, Answers, Assembly};
use crate::gateway::plan::Inquiry;

/// Gives `count` words of a table from an address, for the analyser with this name.
pub type Image<'i> = dyn Fn(&str, Table, u16, u16) -> Option<Vec<u16>> + 'i;

/// A scan from a register image instead of a live poll, by the very same plan and decoding. `image` gives `count` words
/// of a table from an address of the analyser with that name. `None` when no outlet has this code.
pub fn decode_image(config: &Gateway, outlet_code: &str, at: Timestamp, image: &Image<'_>) -> Option<Scan> {
    let outlet = config.outlets.iter().find(|outlet| outlet.code == outlet_code)?;
    let mut assembly = Assembly::new(config, outlet);
    let ask = |inquiry: &Arc<Inquiry>| {
        let analyser = config.analysers.get(inquiry.analyser)?;
        let answers = inquiry.blocks.iter().map(|planned| {
            let block = planned.block;
            let words = image(&analyser.name, block.table, block.address, block.count);
            let words = words.filter(|words| words.len() == usize::from(block.count));
            words.map(|words| Answer { words, holes: Vec::new() })
        });
        Some(answers.collect())
    };
    let answered: Vec<Option<Answers>> = assembly.inquiries.iter().map(ask).collect();
    Some(assembly.scan(at, &answered).0)
}

//! Any bytes as an answer on a line: never a panic, and what is taken for an answer really is one to the request.
#![no_main]

use cems::config::gateway::Table;
use cems::gateway::modbus::{Framing, answer};
use cems::gateway::plan::Block;
use libfuzzer_sys::fuzz_target;

/// The remainder of a division by x^16 + x^15 + x^2 + 1, bit by bit.
fn checksum(bytes: &[u8]) -> u16 {
    let bits = bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
    bits.fold(0xFFFF, |rest: u16, bit| {
        let carry = (rest & 1 == 1) != bit;
        rest >> 1 ^ if carry { 0xA001 } else { 0 }
    })
}

fuzz_target!(|data: &[u8]| {
    let [head, unit, count, repair, bytes @ ..] = data else { return };
    let table = [Table::Coil, Table::Discrete, Table::Holding, Table::Input][usize::from(head & 3)];
    let function = [1, 2, 3, 4][usize::from(head & 3)];
    let framing = if head & 4 == 0 { Framing::Tcp } else { Framing::Rtu };
    let block = Block::new(table, 7, u16::from(*count).clamp(1, 125));
    let mut heard = bytes.to_vec();
    // Half of the time the frame is made to look right from outside, so that what is in it is looked at.
    if repair & 1 == 1 {
        match framing {
            Framing::Rtu if heard.len() > 3 => {
                heard[0] = *unit;
                let end = heard.len() - 2;
                let sum = checksum(&heard[..end]).to_le_bytes();
                heard[end..].copy_from_slice(&sum);
            }
            Framing::Tcp if heard.len() > 7 => {
                let length = u16::try_from(heard.len() - 6).unwrap_or(u16::MAX).to_be_bytes();
                heard[..4].fill(0);
                heard[4..6].copy_from_slice(&length);
                heard[6] = *unit;
            }
            Framing::Rtu | Framing::Tcp => {}
        }
    }
    let Ok(words) = answer(framing, *unit, block, &heard) else { return };
    assert_eq!(words.len(), usize::from(block.count));
    let data: Vec<u8> = match table {
        Table::Holding | Table::Input => words.iter().flat_map(|word| word.to_be_bytes()).collect(),
        // Bits are compared by their number alone: the last byte may hold more.
        Table::Coil | Table::Discrete => return,
    };
    let pdu = [&[function, u8::try_from(data.len()).unwrap()], data.as_slice()].concat();
    let expected = match framing {
        Framing::Rtu => {
            let frame = [&[*unit], pdu.as_slice()].concat();
            [frame.as_slice(), &checksum(&frame).to_le_bytes()].concat()
        }
        Framing::Tcp => [&[*unit], pdu.as_slice()].concat(),
    };
    assert!(heard.windows(expected.len()).any(|window| window == expected), "nobody sent this answer");
});

//! Blocks by hand, and laws: what is wanted is in them, and dividing finds the guilty and nobody else.
use super::*;
use proptest::prelude::*;

const HOLDING: Table = Table::Holding;
const TWO: Duration = Duration::from_secs(2);

fn block(table: Table, address: u16, count: u16) -> Block {
    Block { table, address, count }
}

fn merged(wanted: &[(Table, u16, u16)], bounds: Blocks) -> Vec<Block> {
    let wanted = wanted.iter().map(|(table, address, count)| (TWO, block(*table, *address, *count)));
    merge(wanted.collect(), bounds).into_iter().map(|planned| planned.block).collect()
}

#[test]
fn near_registers_share_a_request() {
    let wanted = [(HOLDING, 20, 2), (HOLDING, 0, 2), (HOLDING, 10, 1), (Table::Input, 3, 2)];
    assert_eq!(
        merged(&wanted, Blocks::DEFAULT),
        [block(HOLDING, 0, 11), block(HOLDING, 20, 2), block(Table::Input, 3, 2)],
        "a gap of 8 is read along, a gap of 9 is not"
    );
    assert_eq!(
        merged(&[(HOLDING, 65_534, 2), (HOLDING, 65_535, 1)], Blocks::DEFAULT),
        [block(HOLDING, 65_534, 2)]
    );
    let narrow = Blocks { max_registers: 2, max_gap: 0 };
    assert_eq!(
        merged(&[(HOLDING, 0, 1), (HOLDING, 1, 1), (HOLDING, 2, 4)], narrow),
        [block(HOLDING, 0, 2), block(HOLDING, 2, 4)],
        "a number is never divided"
    );
}

#[test]
fn what_is_read_at_another_pace_is_asked_apart() {
    let slow = Duration::from_mins(5);
    let wanted = vec![(TWO, block(HOLDING, 0, 2)), (slow, block(HOLDING, 2, 2)), (TWO, block(HOLDING, 4, 2))];
    let plan = merge(wanted, Blocks::DEFAULT);
    let shown: Vec<(Block, Duration)> = plan.iter().map(|planned| (planned.block, planned.every)).collect();
    assert_eq!(shown, [(block(HOLDING, 0, 6), TWO), (block(HOLDING, 2, 2), slow)]);
    let at = |text: &str| text.parse().unwrap();
    assert!(plan[1].is_due(at("2026-11-21T04:05:00Z")) && !plan[1].is_due(at("2026-11-21T04:05:02Z")));
}

#[test]
fn numbers_that_overlap_are_used_together() {
    let plan = merge(
        vec![
            (TWO, block(HOLDING, 0, 2)),
            (TWO, block(HOLDING, 1, 1)),
            (TWO, block(HOLDING, 1, 4)),
            (TWO, block(HOLDING, 7, 1)),
        ],
        Blocks::DEFAULT,
    );
    assert_eq!(plan[0].used, [block(HOLDING, 0, 5), block(HOLDING, 7, 1)]);
}

#[test]
fn neighbours_on_an_rtu_line_differ_in_length() {
    let wanted =
        [(HOLDING, 0, 2), (HOLDING, 100, 2), (HOLDING, 200, 2), (Table::Coil, 0, 3), (Table::Coil, 500, 3)];
    let wanted =
        wanted.iter().map(|(table, address, count)| (TWO, block(*table, *address, *count))).collect();
    let mut plan = merge(wanted, Blocks::DEFAULT);
    tell_apart(&mut plan, Blocks::DEFAULT);
    for pair in plan.windows(2).filter(|pair| pair[0].block.table == pair[1].block.table) {
        assert_ne!(answer_bytes(pair[0].block), answer_bytes(pair[1].block), "{pair:?}");
    }
    let mut strict = merge(vec![(TWO, block(HOLDING, 0, 2)), (TWO, block(HOLDING, 100, 2))], Blocks::DEFAULT);
    tell_apart(&mut strict, Blocks { max_gap: 0, ..Blocks::DEFAULT });
    assert!(
        strict.iter().all(|planned| planned.block.count == 2),
        "nothing is read along against the operator's will"
    );
}

/// Divides until the analyser, which refuses some registers, has answered all that can be answered.
fn asked_until_clean(planned: &Planned, refused: &[u16]) -> (Vec<Block>, Vec<Block>, usize) {
    let (mut good, mut guilty, mut requests) = (Vec::new(), Vec::new(), 0);
    let mut left = vec![planned.block];
    while let Some(block) = left.pop() {
        requests += 1;
        let touches = |address: &&u16| block.address <= **address && u32::from(**address) < block.end();
        if refused.iter().find(touches).is_none() {
            good.push(block);
            continue;
        }
        match divide(block, &planned.used) {
            Divided::Parts(parts) => left.extend(parts),
            Divided::Guilty(block) => guilty.push(block),
        }
    }
    (good, guilty, requests)
}

#[test]
fn a_gap_that_is_refused_is_left_away() {
    let plan = merge(vec![(TWO, block(HOLDING, 0, 2)), (TWO, block(HOLDING, 6, 2))], Blocks::DEFAULT);
    let (mut good, guilty, _) = asked_until_clean(&plan[0], &[3, 4]);
    good.sort_unstable();
    assert_eq!((good, guilty), (vec![block(HOLDING, 0, 2), block(HOLDING, 6, 2)], vec![]));
}

proptest! {
    #[test]
    fn blocks_hold_all_that_is_wanted_and_stay_small(
        wanted in proptest::collection::vec((0_u16..4, 0_u16..400, 1_u16..5, 0_u64..2), 1..60),
        max_registers in 1_u16..125,
        max_gap in 0_u16..20,
    ) {
        let tables = [Table::Coil, Table::Discrete, Table::Holding, Table::Input];
        let wanted: Vec<(Duration, Block)> = wanted
            .into_iter()
            .map(|(table, address, count, pace)| (TWO * (1 + pace as u32), block(tables[usize::from(table)], address, count)))
            .collect();
        let plan = merge(wanted.clone(), Blocks { max_registers, max_gap });
        let inquiry = Inquiry { analyser: 0, blocks: plan.clone() };
        for (every, one) in &wanted {
            let spot = inquiry.spot(*one, *every).expect("is found");
            let planned = &plan[usize::from(spot.block)];
            prop_assert_eq!(planned.block.address + spot.offset, one.address);
            prop_assert!(planned.used.iter().any(|used| used.holds(*one)));
        }
        for planned in &plan {
            prop_assert!(planned.block.count <= max_registers.max(8), "only overlapping numbers make it longer");
            prop_assert_eq!(planned.used[0].address, planned.block.address);
            prop_assert_eq!(planned.used.last().unwrap().end(), planned.block.end());
            prop_assert!(planned.used.windows(2).all(|pair| pair[0].end() <= u32::from(pair[1].address)));
        }
    }

    #[test]
    fn dividing_finds_the_guilty_and_nobody_else(
        wanted in proptest::collection::vec((0_u16..100, 1_u16..3), 1..40),
        refused in proptest::collection::vec(0_u16..110, 0..6),
    ) {
        let wanted = wanted.into_iter().map(|(address, count)| (TWO, block(HOLDING, address, count))).collect();
        for planned in merge(wanted, Blocks::DEFAULT) {
            let (good, guilty, requests) = asked_until_clean(&planned, &refused);
            for used in &planned.used {
                let hit = refused.iter().any(|address| *address >= used.address && u32::from(*address) < used.end());
                let read = good.iter().any(|block| block.holds(*used));
                let found = guilty.contains(used);
                prop_assert_eq!((read, found), (!hit, hit), "{:?}", used);
            }
            prop_assert!(requests <= 4 * planned.used.len() + 2);
        }
    }
}

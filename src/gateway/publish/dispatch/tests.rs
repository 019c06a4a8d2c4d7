//! What goes when, by hand; and the laws that hold for any order of events.
use std::collections::BTreeSet;

use super::*;
use proptest::prelude::*;

const RULES: Publish =
    Publish { receipt_timeout: Duration::from_secs(5), backfill_records_per_s: 1000, window: 100 };

fn start() -> (Dispatch, Instant) {
    let now = crate::clock::monotonic();
    (Dispatch::new(RULES, now, fastrand::Rng::with_seed(1)), now)
}

fn after(now: Instant, ms: u64) -> Instant {
    now + Duration::from_millis(ms)
}

/// Sends all that may go now, by a spool that has everything; gives the runs.
fn drain(dispatch: &mut Dispatch, now: Instant) -> Vec<(u64, u64)> {
    let mut runs = Vec::new();
    while let Next::Backfill { within, most } = dispatch.next(now) {
        let first = within.0.max((within.1 + 1).saturating_sub(most as u64));
        dispatch.sent(now, within, Some((first, within.1)));
        runs.push((first, within.1));
        assert!(runs.len() < 10_000, "no end");
    }
    runs
}

#[test]
fn fresh_records_go_at_once_and_again_when_nobody_receipts() {
    let (mut dispatch, now) = start();
    dispatch.connected(now);
    assert!(dispatch.fresh(now, 0, 2));
    assert_eq!(dispatch.next(after(now, 100)), Next::Wait(Some(after(now, 5000))));
    dispatch.receipt(after(now, 200), &Ranges::of([1]));
    let Next::Wait(Some(due)) = dispatch.next(after(now, 5000)) else { panic!("not before its back-off") };
    assert!(due > after(now, 7000) && due < after(now, 13_000));
    assert_eq!(
        drain(&mut dispatch, after(now, 13_000)),
        [(2, 2), (0, 0)],
        "newest first, runs without a gap"
    );
    dispatch.receipt(after(now, 13_100), &Ranges::of([0, 2]));
    assert_eq!(dispatch.outstanding(), 0);
    assert_eq!(dispatch.next(after(now, 99_000)), Next::Wait(None));
}

#[test]
fn backfill_keeps_to_rate_and_window_and_fresh_records_to_neither() {
    let (mut dispatch, now) = start();
    dispatch.connected(now);
    dispatch.opened(now, &Ranges::from_pairs([(0, 9999)]));
    let Next::Wait(Some(until)) = dispatch.next(now) else { panic!("no allowance yet") };
    assert!(until > after(now, 99) && until < after(now, 102), "100 records at 1000 a second");
    assert_eq!(drain(&mut dispatch, after(now, 99)), [], "not worth a message");
    assert_eq!(drain(&mut dispatch, until), [(9900, 9999)]);
    assert_eq!(drain(&mut dispatch, after(now, 1000)), [], "the window is full");
    assert!(dispatch.fresh(after(now, 1001), 10_000, 10_007));
    dispatch.receipt(after(now, 1100), &Ranges::from_pairs([(9900, 9999), (10_000, 10_007)]));
    assert_eq!(drain(&mut dispatch, after(now, 3000)), [(9800, 9899)]);
}

#[test]
fn a_lost_connection_and_a_new_centre_make_everything_go_again() {
    let (mut dispatch, now) = start();
    assert!(!dispatch.fresh(now, 0, 4), "not connected");
    assert_eq!(dispatch.next(now), Next::Wait(None));
    dispatch.connected(after(now, 1000));
    assert_eq!(drain(&mut dispatch, after(now, 1000)), [(0, 4)]);
    dispatch.disconnected(after(now, 2000));
    assert_eq!(drain(&mut dispatch, after(now, 2000)), []);
    dispatch.connected(after(now, 3000));
    assert_eq!(drain(&mut dispatch, after(now, 3000)), [(0, 4)]);
    dispatch.centre_started(after(now, 3100), "a");
    assert_eq!(drain(&mut dispatch, after(now, 3100)), [(0, 4)]);
    dispatch.centre_started(after(now, 3200), "a");
    assert_eq!(drain(&mut dispatch, after(now, 3200)), []);
    dispatch.centre_started(after(now, 3300), "b");
    assert_eq!(drain(&mut dispatch, after(now, 3300)), [(0, 4)]);
}

#[test]
fn while_nobody_receipts_it_only_knocks() {
    let (mut dispatch, now) = start();
    dispatch.connected(now);
    dispatch.opened(now, &Ranges::from_pairs([(0, 4999)]));
    let mut sent = 0;
    for second in 1..600 {
        let runs = drain(&mut dispatch, after(now, second * 1000));
        sent += runs.iter().map(|(first, last)| last - first + 1).sum::<u64>();
    }
    assert!(sent > 200 && sent < 10_000, "{sent} of 5000 records in 10 minutes");
    let heard = after(now, 600_000);
    dispatch.receipt(heard, &Ranges::of([0]));
    assert!(!drain(&mut dispatch, after(now, 605_000)).is_empty(), "the first receipt opens it");
}

#[test]
fn records_that_are_never_receipted_do_not_hold_up_older_ones() {
    let (mut dispatch, now) = start();
    dispatch.connected(now);
    dispatch.opened(now, &Ranges::from_pairs([(0, 999)]));
    let stuck = 800_u64;
    let mut done = BTreeSet::new();
    for tenth in 1..3000 {
        let time = after(now, tenth * 100);
        for (first, last) in drain(&mut dispatch, time) {
            if first < stuck {
                let receipted = Ranges::from_pairs([(first, last.min(stuck - 1))]);
                done.extend(first..=last.min(stuck - 1));
                dispatch.receipt(time, &receipted);
            }
        }
    }
    assert_eq!(done.len(), 800);
    assert_eq!(dispatch.outstanding(), 200);
}

#[test]
fn what_the_spool_has_lost_is_forgotten() {
    let (mut dispatch, now) = start();
    dispatch.connected(now);
    dispatch.opened(now, &Ranges::from_pairs([(0, 50)]));
    let time = after(now, 1000);
    let Next::Backfill { within, .. } = dispatch.next(time) else { panic!("due") };
    dispatch.sent(time, within, Some((10, 20)));
    assert_eq!(dispatch.outstanding(), 21);
    let Next::Backfill { within, .. } = dispatch.next(time) else { panic!("due") };
    assert_eq!(within, (0, 9));
    dispatch.sent(time, within, None);
    assert_eq!(dispatch.outstanding(), 11);
}

#[derive(Debug, Clone)]
enum Step {
    Fresh(u64),
    Past(u64),
    Receipt(u64, u64),
    Connected,
    Disconnected,
    Centre(u8),
    Pass(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1_u64..5).prop_map(Step::Fresh),
        (1_u64..50).prop_map(Step::Past),
        (0_u64..100, 0_u64..20).prop_map(|(first, more)| Step::Receipt(first, first + more)),
        Just(Step::Connected),
        Just(Step::Disconnected),
        (0_u8..3).prop_map(Step::Centre),
        (1_u64..20_000).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn every_record_is_sent_until_it_is_receipted_and_never_after(steps in proptest::collection::vec(any_step(), 1..60)) {
        let (mut dispatch, start) = start();
        let (mut now, mut made) = (start, 0);
        let mut open: BTreeSet<u64> = BTreeSet::new();
        for step in steps {
            match step {
                Step::Fresh(count) => {
                    dispatch.fresh(now, made, made + count - 1);
                    open.extend(made..made + count);
                    made += count;
                }
                Step::Past(count) => {
                    dispatch.past(now, &Ranges::from_pairs([(made, made + count - 1)]));
                    open.extend(made..made + count);
                    made += count;
                }
                Step::Receipt(first, last) => {
                    dispatch.receipt(now, &Ranges::from_pairs([(first, last)]));
                    open.retain(|seq| !(first..=last).contains(seq));
                }
                Step::Connected => dispatch.connected(now),
                Step::Disconnected => dispatch.disconnected(now),
                Step::Centre(id) => dispatch.centre_started(now, &id.to_string()),
                Step::Pass(ms) => now = after(now, ms),
            }
            for (first, last) in drain(&mut dispatch, now) {
                prop_assert!((first..=last).all(|seq| open.contains(&seq)), "receipted records are not sent");
            }
            prop_assert_eq!(dispatch.outstanding(), open.len() as u64);
        }
        // In the end, with a centre that receipts what it gets, nothing is left.
        dispatch.disconnected(now);
        dispatch.connected(now);
        for _ in 0..2000 {
            now = after(now, 50);
            for (first, last) in drain(&mut dispatch, now) {
                dispatch.receipt(now, &Ranges::from_pairs([(first, last)]));
            }
        }
        prop_assert_eq!(dispatch.outstanding(), 0);
    }
}

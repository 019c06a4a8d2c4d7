//! One epoch's chain of records, checked link by link. Pure: records come in any order, each is looked at once, and what is
//! kept in memory is one entry for each unbroken run, so that a year of records that come nearly in order takes a few entries.
//!
//! The result does not depend on the order in which records come, but for which of two records that claim one number is
//! called the second.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::mqtt::record::Hash;

/// Neighbours in a chain may be about times in the other order by so much: an event is about the moment, a scan about its tick.
pub const OUT_OF_ORDER: SignedDuration = SignedDuration::from_secs(60);

/// A record's place in its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    pub seq: u64,
    pub prev: Hash,
    pub hash: Hash,
    pub at: Timestamp,
}

/// What is wrong where a record meets its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Another record claims this number too. It is not taken into the chain.
    Fork,
    /// Record `seq` names `named` as its predecessor, but the record before it has the hash `found`.
    Broken { seq: u64, named: Hash, found: Hash },
    /// Record `seq` is about a time that is long before that of the record before it.
    TimeBack { seq: u64, before: Timestamp, at: Timestamp },
}

/// Records without a hole between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub first: u64,
    pub last: u64,
    /// What the first record names as its predecessor.
    pub prev: Hash,
    /// Of the last record.
    pub hash: Hash,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
}

/// Numbers that no record has, and the times of the records around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub first: u64,
    pub last: u64,
    /// `None`: it is the beginning that is missing.
    pub after: Option<Timestamp>,
    pub before: Timestamp,
    /// What the record behind the gap names as its predecessor.
    pub named: Hash,
}

/// The records of one epoch, so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain(BTreeMap<u64, Run>);

impl Chain {
    /// Takes one record in; tells what does not fit.
    pub fn add(&mut self, link: Link) -> Vec<Flaw> {
        let before = self.0.range(..=link.seq).next_back().map(|(_, run)| *run);
        if before.is_some_and(|run| run.last >= link.seq) {
            return vec![Flaw::Fork];
        }
        let mut flaws = Vec::new();
        let Link { seq, prev, hash, at } = link;
        let mut run = Run { first: seq, last: seq, prev, hash, first_at: at, last_at: at };
        if let Some(before) = before.filter(|before| before.last.checked_add(1) == Some(seq)) {
            flaws.extend(flaws_between(&before, &run));
            run = Run { first: before.first, prev: before.prev, first_at: before.first_at, ..run };
        }
        let after = seq.checked_add(1).and_then(|next| self.0.remove(&next));
        if let Some(after) = after {
            flaws.extend(flaws_between(&run, &after));
            run = Run { last: after.last, hash: after.hash, last_at: after.last_at, ..run };
        }
        self.0.insert(run.first, run);
        flaws
    }

    /// Whether a record has this number.
    pub fn has(&self, seq: u64) -> bool {
        self.0.range(..=seq).next_back().is_some_and(|(_, run)| run.last >= seq)
    }

    /// All unbroken runs, in order.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.0.values()
    }

    /// The numbers that are missing before the last record, from 0.
    pub fn gaps(&self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let (mut next, mut after) = (Some(0), None);
        for run in self.0.values() {
            if let Some(first) = next.filter(|next| *next < run.first) {
                gaps.push(Gap { first, last: run.first - 1, after, before: run.first_at, named: run.prev });
            }
            (next, after) = (run.last.checked_add(1), Some(run.last_at));
        }
        gaps
    }
}

/// Between the end of one run and the beginning of the next.
fn flaws_between(earlier: &Run, later: &Run) -> impl Iterator<Item = Flaw> {
    let broken = (earlier.hash != later.prev).then_some(Flaw::Broken {
        seq: later.first,
        named: later.prev,
        found: earlier.hash,
    });
    let back = earlier.last_at.duration_since(later.first_at) > OUT_OF_ORDER;
    let back =
        back.then_some(Flaw::TimeBack { seq: later.first, before: earlier.last_at, at: later.first_at });
    broken.into_iter().chain(back)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash(number: u64) -> Hash {
        Hash::of(&number.to_be_bytes())
    }

    fn link(seq: u64) -> Link {
        let prev = if seq == 0 { Hash::ZERO } else { hash(seq - 1) };
        let at = Timestamp::from_second(i64::try_from(seq).unwrap() * 2).unwrap();
        Link { seq, prev, hash: hash(seq), at }
    }

    fn chain(links: &[Link]) -> (Chain, Vec<Flaw>) {
        let mut chain = Chain::default();
        let flaws = links.iter().flat_map(|link| chain.add(*link)).collect();
        (chain, flaws)
    }

    #[test]
    fn a_whole_chain_is_one_run_without_flaw() {
        let links: Vec<Link> = (0..100).map(link).collect();
        let (chain, flaws) = chain(&links);
        assert!(flaws.is_empty() && chain.gaps().is_empty());
        let run = chain.runs().next().unwrap();
        assert_eq!((chain.runs().count(), run.first, run.last, run.hash), (1, 0, 99, hash(99)));
        assert!(chain.has(99) && !chain.has(100));
    }

    #[test]
    fn what_is_missing_has_a_place_and_a_time() {
        let links: Vec<Link> = [2, 3, 7].map(link).to_vec();
        let (chain, _) = chain(&links);
        let second = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(
            chain.gaps(),
            [
                Gap { first: 0, last: 1, after: None, before: second(4), named: hash(1) },
                Gap { first: 4, last: 6, after: Some(second(6)), before: second(14), named: hash(6) }
            ]
        );
    }

    #[test]
    fn each_flaw_is_told_once_and_at_its_place() {
        let forged = Link { hash: hash(99), ..link(1) };
        assert_eq!(
            chain(&[link(0), forged, link(2)]).1,
            [Flaw::Broken { seq: 2, named: hash(1), found: hash(99) }]
        );
        assert_eq!(chain(&[link(0), link(1), forged]).1, [Flaw::Fork]);
        let early = Link { at: Timestamp::from_second(-100).unwrap(), ..link(2) };
        let (before, at) = (link(1).at, early.at);
        assert_eq!(chain(&[link(1), early]).1, [Flaw::TimeBack { seq: 2, before, at }]);
        assert_eq!(
            chain(&[Link { seq: u64::MAX, ..link(0) }, Link { seq: u64::MAX, ..link(0) }]).1,
            [Flaw::Fork]
        );
    }

    proptest! {
        #[test]
        fn the_order_of_coming_does_not_matter(
            numbers in proptest::collection::btree_set(0_u64..60, 0..60),
            forged in 0_u64..60,
            seed in any::<u64>(),
        ) {
            let links: Vec<Link> = numbers
                .iter()
                .map(|seq| if *seq == forged { Link { hash: hash(1000), ..link(*seq) } } else { link(*seq) })
                .collect();
            let mut shuffled = links.clone();
            fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
            let ((one, mut flaws), (other, mut others)) = (chain(&links), chain(&shuffled));
            prop_assert_eq!(&one, &other);
            let place = |flaw: &Flaw| match flaw {
                Flaw::Fork => 0,
                Flaw::Broken { seq, .. } | Flaw::TimeBack { seq, .. } => *seq,
            };
            flaws.sort_by_key(place);
            others.sort_by_key(place);
            prop_assert_eq!(&flaws, &others);
            let expected = numbers.contains(&forged) && numbers.contains(&(forged + 1));
            prop_assert_eq!(flaws.len(), usize::from(expected));
            let missing: u64 = one.gaps().iter().map(|gap| gap.last - gap.first + 1).sum();
            let all = numbers.last().map_or(0, |last| last + 1);
            prop_assert_eq!(missing, all - numbers.len() as u64);
        }
    }
}

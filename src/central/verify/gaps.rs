//! Why numbers are missing from a chain. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::central::intake::PAST;
use crate::central::verify::report::{Hole, Why};
use crate::mqtt::chain::Gap;
use crate::mqtt::record::Hash;
use crate::mqtt::status::GatewayStatus;

/// A status must be so much younger than a record to speak of what came before it.
const SETTLED: SignedDuration = SignedDuration::from_secs(120);

/// Numbers that unreadable bytes in quarantine were receipted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub first: u64,
    pub last: u64,
    /// Of the bytes, when they are one line.
    pub hash: Option<Hash>,
}

/// What is known of an epoch besides its rows.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'c> {
    /// Sorted by their first number.
    pub claims: &'c [Claim],
    /// The gateway told that this epoch's spool is gone.
    pub lost: bool,
    /// What the gateway last said, if this is its newest epoch: only of that it can still send records.
    pub newest: Option<&'c Spool>,
    pub now: Timestamp,
}

/// What a gateway last said of its spool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spool {
    said_at: Option<Timestamp>,
    records: u64,
    oldest: Option<Timestamp>,
}

impl Spool {
    /// As its status says.
    pub fn of(status: &GatewayStatus) -> Spool {
        let time = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        Spool {
            said_at: time(&status.at),
            records: status.spool_records,
            oldest: time(&status.oldest_unreceipted),
        }
    }

    /// Whether it may still hold records from before `before`.
    fn may_hold(&self, before: Timestamp) -> bool {
        let Some(said_at) = self.said_at.filter(|at| at.duration_since(before) > SETTLED) else {
            return true;
        };
        self.records > 0 && self.oldest.unwrap_or(said_at) <= before
    }
}

/// Cuts a gap into holes, each with its reason.
pub fn explain(gap: &Gap, known: &Circumstances<'_>) -> Vec<Hole> {
    let hole = |first, last, why| Hole { first, last, why, after: gap.after, before: gap.before };
    let mut holes = Vec::new();
    let mut next = Some(gap.first);
    for claim in known.claims.iter().filter(|claim| claim.first <= gap.last) {
        let Some(start) = next.filter(|next| *next <= gap.last) else { break };
        if claim.last < start {
            continue;
        }
        let (first, last) = (claim.first.max(start), claim.last.min(gap.last));
        if start < first {
            holes.push(hole(start, first - 1, why(gap, known)));
        }
        let proven = claim.first == claim.last && last == gap.last && claim.hash == Some(gap.named);
        holes.push(hole(first, last, if proven { Why::Quarantine } else { Why::QuarantineUnproven }));
        next = last.checked_add(1);
    }
    if let Some(first) = next.filter(|next| *next <= gap.last) {
        holes.push(hole(first, gap.last, why(gap, known)));
    }
    holes
}

/// Of numbers that are not in quarantine.
fn why(gap: &Gap, known: &Circumstances<'_>) -> Why {
    // A day of grace: partitions go as whole days.
    let oldest = known.now.checked_sub(PAST - SignedDuration::from_hours(24)).unwrap_or(known.now);
    if gap.after.is_none() && gap.before < oldest {
        return Why::Retention;
    }
    if known.lost {
        return Why::Lost;
    }
    match known.newest {
        Some(spool) if spool.may_hold(gap.before) => Why::Awaited,
        Some(_) | None => Why::Unexplained,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 + second).unwrap()
    }

    fn gap() -> Gap {
        Gap { first: 10, last: 19, after: Some(at(0)), before: at(20), named: Hash::of(b"19") }
    }

    fn alone(claims: &[Claim]) -> Circumstances<'_> {
        Circumstances { claims, lost: false, newest: None, now: at(1000) }
    }

    fn whys(known: &Circumstances<'_>) -> Vec<(u64, u64, Why)> {
        explain(&gap(), known).iter().map(|hole| (hole.first, hole.last, hole.why)).collect()
    }

    #[test]
    fn quarantine_explains_its_own_numbers_only() {
        let claim = |first, last, of: &[u8]| Claim { first, last, hash: Some(Hash::of(of)) };
        assert_eq!(whys(&alone(&[])), [(10, 19, Why::Unexplained)]);
        let claims = [
            claim(5, 11, b""),
            claim(11, 11, b""),
            claim(14, 14, b"14"),
            claim(19, 19, b"19"),
            claim(30, 40, b""),
        ];
        assert_eq!(
            whys(&alone(&claims)),
            [
                (10, 11, Why::QuarantineUnproven),
                (12, 13, Why::Unexplained),
                (14, 14, Why::QuarantineUnproven),
                (15, 18, Why::Unexplained),
                (19, 19, Why::Quarantine)
            ]
        );
        assert_eq!(whys(&alone(&[claim(0, u64::MAX, b"19")])), [(10, 19, Why::QuarantineUnproven)]);
    }

    #[test]
    fn only_the_newest_epoch_waits_and_only_while_the_spool_may_hold_it() {
        let known = alone(&[]);
        assert_eq!(whys(&Circumstances { lost: true, ..known })[0].2, Why::Lost);
        let why = |spool: Spool| whys(&Circumstances { newest: Some(&spool), ..known })[0].2;
        assert_eq!(why(Spool::default()), Why::Awaited);
        let said = |records, oldest| Spool { said_at: Some(at(500)), records, oldest };
        assert_eq!(why(said(0, None)), Why::Unexplained);
        assert_eq!(why(said(5, Some(at(300)))), Why::Unexplained);
        assert_eq!(why(said(5, Some(at(10)))), Why::Awaited);
        assert_eq!(why(Spool { said_at: Some(at(60)), records: 0, oldest: None }), Why::Awaited);
    }

    #[test]
    fn what_is_too_old_is_not_kept() {
        let known = Circumstances { now: at(500 * 86_400), ..alone(&[]) };
        assert_eq!(whys(&known)[0].2, Why::Unexplained);
        let beginning = Gap { after: None, ..gap() };
        assert_eq!(explain(&beginning, &known)[0].why, Why::Retention);
    }
}

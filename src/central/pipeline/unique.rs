//! A batch with each key once.

use crate::central::intake::Origin;
use crate::central::pipeline::Ready;
use crate::central::refusal::conflict_reason;
use crate::store::quarantine::Kept;

/// Each key once: repeats within the batch only need their receipt, other records for the same key are conflicts.
pub(super) fn unique(sorted: Vec<Ready>) -> (Vec<Ready>, Vec<Origin>, Vec<Kept>) {
    let (mut repeated, mut conflicts): (Vec<Origin>, Vec<Kept>) = (Vec::new(), Vec::new());
    // Nearly always so.
    if sorted.windows(2).all(|pair| matches!(pair, [a, b] if a.row.key() != b.row.key())) {
        return (sorted, repeated, conflicts);
    }
    let mut unique: Vec<Ready> = Vec::with_capacity(sorted.len());
    for ready in sorted {
        match unique.last() {
            Some(last) if last.row.key() == ready.row.key() && last.row.hash == ready.row.hash => {
                repeated.push(ready.record);
            }
            Some(last) if last.row.key() == ready.row.key() => {
                conflicts.push(ready.record.kept(conflict_reason()));
            }
            Some(_) | None => unique.push(ready),
        }
    }
    (unique, repeated, conflicts)
}

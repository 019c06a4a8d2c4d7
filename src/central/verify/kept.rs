//! What is in quarantine was receipted under its numbers, so it explains why they are missing: as links of the chain where the
//! bytes are readable, else as claims.

use crate::central::verify::gaps::Claim;
use crate::central::verify::report::{Kind, Place};
use crate::central::verify::rows::Rows;
use crate::mqtt::chain::Link;
use crate::mqtt::record::{Epoch, Hash, Record};
use crate::store::quarantine::Whole;

/// Reasons that only a readable record can have.
const OF_READABLE: [&str; 6] = [
    "(conflict)",
    "is not registered",
    "does not speak for",
    "ahead of the centre's clock",
    "older than the retention",
    "but came under",
];

impl Rows<'_> {
    /// One row of `quarantine`; all other rows were read before.
    pub fn quarantined(&mut self, row: &Whole) {
        let entry = &row.entry;
        let mut place = Place {
            table: Some("quarantine"),
            id: Some(entry.id),
            epoch: entry.epoch.clone(),
            seq: entry.seq_first,
            ..Place::default()
        };
        let told = entry.epoch.as_deref().and_then(Epoch::from_hex);
        if let Some(epoch) = told {
            self.epochs.entry(epoch).or_default().quarantined += 1;
        }
        let hash = Hash::of(&row.payload);
        if hash.0.as_slice() != row.digest {
            let text = "its bytes do not have its digest: they were changed";
            self.found(Kind::Alteration, place.clone(), text.to_owned());
        }
        match Record::decode(&row.payload) {
            Ok(record) if record.gateway == self.question.gateway => {
                // What a retry has stored is among the rows.
                if entry.state == "stored" {
                    return;
                }
                let link = Link { seq: record.seq, prev: record.prev, hash, at: record.at() };
                (place.epoch, place.seq) = (Some(record.epoch.to_string()), i64::try_from(record.seq).ok());
                if self.epochs.get(&record.epoch).is_some_and(|read| read.chain.has(record.seq)) {
                    self.note(format!(
                        "{place}: the gateway made two records with this number; the other one is stored"
                    ));
                } else if self.in_range(record.at()) {
                    self.link(&place, record.epoch, link);
                } else {
                    self.outside.push((record.epoch, link));
                }
            }
            Err(defect) if OF_READABLE.iter().any(|reason| entry.reason.contains(reason)) => {
                let text = format!(
                    "its reason is that of a readable record, but its bytes are none ({defect}): they were changed"
                );
                self.found(Kind::Alteration, place, text);
            }
            Ok(_) | Err(_) => {
                let number = |seq: Option<i64>| seq.and_then(|seq| u64::try_from(seq).ok());
                let seqs =
                    number(entry.seq_first).zip(number(entry.seq_last)).filter(|(first, last)| first <= last);
                if let (Some(epoch), Some((first, last)), true) = (told, seqs, entry.state != "stored") {
                    let hash = (!row.payload.contains(&b'\n')).then_some(hash);
                    self.epochs.entry(epoch).or_default().claims.push(Claim { first, last, hash });
                }
            }
        }
    }
}

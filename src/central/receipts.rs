//! What a batch has committed, gathered into one receipt a gateway and epoch.

use std::collections::BTreeMap;

use crate::central::intake::Place;
use crate::mqtt::receipt::{Ranges, Receipt};
use crate::mqtt::record::VERSION;
use crate::mqtt::topic::is_gateway_name;
use crate::store::quarantine::Kept;

/// Sequence numbers by gateway and epoch.
#[derive(Debug, Default)]
pub struct Receipts(BTreeMap<(String, String), (Vec<u64>, Vec<u64>)>);

impl Receipts {
    fn of(&mut self, gateway: &str, epoch: &str) -> &mut (Vec<u64>, Vec<u64>) {
        self.0.entry((gateway.to_owned(), epoch.to_owned())).or_default()
    }

    /// The record is committed as a reading or an event.
    pub fn stored(&mut self, place: &Place) {
        self.of(&place.gateway, &place.epoch).0.push(place.seq);
    }

    /// The record is committed in quarantine.
    pub fn quarantined(&mut self, place: &Place) {
        self.of(&place.gateway, &place.epoch).1.push(place.seq);
    }

    /// Quarantined bytes, if they told whose and which they are. Without that nothing can be receipted, and the gateway
    /// will send them again.
    pub fn kept(&mut self, kept: &Kept) {
        if let (Some(epoch), Some((first, last))) = (&kept.epoch, kept.seqs) {
            self.of(&kept.gateway, epoch).1.extend(first..=last.min(first.saturating_add(100_000)));
        }
    }

    /// Adds another batch's.
    pub fn extend(&mut self, other: Receipts) {
        for (key, (stored, quarantined)) in other.0 {
            let entry = self.0.entry(key).or_default();
            entry.0.extend(stored);
            entry.1.extend(quarantined);
        }
    }

    /// The receipts to publish.
    pub fn into_receipts(self) -> impl Iterator<Item = Receipt> {
        self.0.into_iter().filter(|((gateway, _), _)| is_gateway_name(gateway)).map(
            |((gateway, epoch), (stored, quarantined))| Receipt {
                v: VERSION,
                gateway,
                epoch,
                ranges: Ranges::of(stored),
                quarantined: Ranges::of(quarantined),
            },
        )
    }
}

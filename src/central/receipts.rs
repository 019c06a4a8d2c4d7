//! What a batch has committed, gathered into one receipt a gateway and epoch.

use std::collections::BTreeMap;

use crate::central::intake::Place;
use crate::mqtt::receipt::{Ranges, Receipt};
use crate::mqtt::record::VERSION;
use crate::mqtt::topic::is_gateway_name;
use crate::store::quarantine::Kept;

/// Stored, quarantined.
type Numbers = (Vec<u64>, Vec<u64>);

/// Sequence numbers by gateway, then by epoch.
#[derive(Debug, Default)]
pub struct Receipts(BTreeMap<String, BTreeMap<String, Numbers>>);

impl Receipts {
    fn add(&mut self, gateway: &str, epoch: &str, add: impl FnOnce(&mut Numbers)) {
        // Nearly always known: names are only copied for the first record of a batch.
        if let Some(numbers) = self.0.get_mut(gateway).and_then(|epochs| epochs.get_mut(epoch)) {
            add(numbers);
        } else {
            add(self.0.entry(gateway.to_owned()).or_default().entry(epoch.to_owned()).or_default());
        }
    }

    /// The record is committed as a reading or an event.
    pub fn stored(&mut self, place: &Place) {
        self.add(&place.gateway, &place.epoch, |numbers| numbers.0.push(place.seq));
    }

    /// The record is committed in quarantine.
    pub fn quarantined(&mut self, place: &Place) {
        self.add(&place.gateway, &place.epoch, |numbers| numbers.1.push(place.seq));
    }

    /// Quarantined bytes, if they told whose and which they are. Without that nothing can be receipted, and the gateway
    /// will send them again.
    pub fn kept(&mut self, kept: &Kept) {
        if let (Some(epoch), Some((first, last))) = (&kept.epoch, kept.seqs) {
            let numbers = first..=last.min(first.saturating_add(100_000));
            self.add(&kept.gateway, epoch, |known| known.1.extend(numbers));
        }
    }

    /// Adds another batch's.
    pub fn extend(&mut self, other: Receipts) {
        for (gateway, epochs) in other.0 {
            for (epoch, (stored, quarantined)) in epochs {
                self.add(&gateway, &epoch, |known| {
                    known.0.extend(stored);
                    known.1.extend(quarantined);
                });
            }
        }
    }

    /// The receipts to publish.
    pub fn into_receipts(self) -> impl Iterator<Item = Receipt> {
        self.0.into_iter().filter(|(gateway, _)| is_gateway_name(gateway)).flat_map(|(gateway, epochs)| {
            epochs.into_iter().map(move |(epoch, (stored, quarantined))| Receipt {
                v: VERSION,
                gateway: gateway.clone(),
                epoch,
                ranges: Ranges::of(stored),
                quarantined: Ranges::of(quarantined),
                at: None,
            })
        })
    }
}

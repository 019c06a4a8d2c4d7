//! What a batch has committed, gathered into one receipt a gateway and epoch.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::central::intake::Place;
use crate::mqtt::receipt::{Ranges, Receipt};
use crate::mqtt::record::{Epoch, VERSION};
use crate::mqtt::topic::is_gateway_name;
use crate::store::quarantine::Kept;

/// What is committed of one epoch.
#[derive(Debug, Default)]
struct Numbers {
    stored: Vec<u64>,
    quarantined: Vec<u64>,
}

/// The epoch of a receipt: one, or whatever a message that cannot be read said it was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Epoch(Epoch),
    Text(String),
}

impl Told {
    fn of(text: &str) -> Told {
        Epoch::from_hex(text).map_or_else(|| Told::Text(text.to_owned()), Told::Epoch)
    }

    fn text(self) -> String {
        match self {
            Told::Epoch(epoch) => epoch.to_string(),
            Told::Text(text) => text,
        }
    }
}

/// Sequence numbers by gateway, then by epoch.
#[derive(Debug, Default)]
pub struct Receipts(HashMap<Arc<str>, BTreeMap<Told, Numbers>>);

impl Receipts {
    fn numbers(&mut self, gateway: &Arc<str>, epoch: Told) -> &mut Numbers {
        self.0.entry(Arc::clone(gateway)).or_default().entry(epoch).or_default()
    }

    /// The record is committed as a reading or an event.
    pub fn stored(&mut self, place: &Place) {
        self.numbers(&place.gateway, Told::Epoch(place.epoch)).stored.push(place.seq);
    }

    /// The record is committed in quarantine.
    pub fn quarantined(&mut self, place: &Place) {
        self.numbers(&place.gateway, Told::Epoch(place.epoch)).quarantined.push(place.seq);
    }

    /// Quarantined bytes, if they told whose and which they are. Without that nothing can be receipted, and the gateway
    /// will send them again.
    pub fn kept(&mut self, kept: &Kept) {
        if let (Some(epoch), Some((first, last))) = (&kept.epoch, kept.seqs) {
            let numbers = first..=last.min(first.saturating_add(100_000));
            let gateway = Arc::from(kept.gateway.as_str());
            self.numbers(&gateway, Told::of(epoch)).quarantined.extend(numbers);
        }
    }

    /// Adds another batch's.
    pub fn extend(&mut self, other: Receipts) {
        for (gateway, epochs) in other.0 {
            for (epoch, more) in epochs {
                let known = self.numbers(&gateway, epoch);
                known.stored.extend(more.stored);
                known.quarantined.extend(more.quarantined);
            }
        }
    }

    /// The receipts to publish, by gateway.
    pub fn into_receipts(self) -> impl Iterator<Item = Receipt> {
        let by_gateway: BTreeMap<Arc<str>, BTreeMap<Told, Numbers>> = self.0.into_iter().collect();
        let known = by_gateway.into_iter().filter(|(gateway, _)| is_gateway_name(gateway));
        known.flat_map(|(gateway, epochs)| {
            epochs.into_iter().map(move |(epoch, numbers)| Receipt {
                v: VERSION,
                gateway: gateway.to_string(),
                epoch: epoch.text(),
                ranges: Ranges::of(numbers.stored),
                quarantined: Ranges::of(numbers.quarantined),
                at: None,
            })
        })
    }
}

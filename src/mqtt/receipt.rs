//! What the centre has committed. Only a receipt lets a gateway delete a record.
//!
//! `{"v":1,"gateway":"gw-1","epoch":"0192…","ranges":[[4700,4711],[4720,4720]],"quarantined":[[4712,4712]],"at":"2026-…Z"}`: sequence
//! numbers, both ends included. `quarantined` records are kept whole at the centre too, but not as readings. `at` is the centre's clock
//! when it let the receipt go. Keys that a reader does not know are passed over, so it may come from a centre that says less or more.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::mqtt::record::{Epoch, VERSION, time_text};

/// Inclusive ranges of sequence numbers, sorted, neither touching nor overlapping.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// The ranges that hold exactly these numbers.
    pub fn of(numbers: impl IntoIterator<Item = u64>) -> Ranges {
        let mut sorted: Vec<u64> = numbers.into_iter().collect();
        sorted.sort_unstable();
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for number in sorted {
            match ranges.last_mut() {
                Some((_, last)) if number <= last.saturating_add(1) => *last = number.max(*last),
                Some(_) | None => ranges.push((number, number)),
            }
        }
        Ranges(ranges)
    }

    /// From ranges in any order, as they came from elsewhere; those with their ends exchanged are left out.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (u64, u64)>) -> Ranges {
        let mut sorted: Vec<(u64, u64)> = pairs.into_iter().filter(|(first, last)| first <= last).collect();
        sorted.sort_unstable();
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for (first, last) in sorted {
            match ranges.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                Some(_) | None => ranges.push((first, last)),
            }
        }
        Ranges(ranges)
    }

    /// First and last number of each range.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    pub fn contains(&self, number: u64) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&number))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub v: u32,
    pub gateway: String,
    pub epoch: String,
    pub ranges: Ranges,
    #[serde(default, skip_serializing_if = "Ranges::is_empty")]
    pub quarantined: Ranges,
    /// The centre's clock when the receipt left, RFC 3339; absent from centres of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

impl Receipt {
    /// For records of one gateway and epoch.
    pub fn new(gateway: &str, epoch: Epoch, stored: Ranges, quarantined: Ranges) -> Receipt {
        Receipt {
            v: VERSION,
            gateway: gateway.to_owned(),
            epoch: epoch.to_string(),
            ranges: stored,
            quarantined,
            at: None,
        }
    }

    /// The same, leaving now.
    #[must_use]
    pub fn leaving(self, now: Timestamp) -> Receipt {
        Receipt { at: Some(time_text(now)), ..self }
    }

    /// As it travels.
    ///
    /// # Errors
    /// Only when serialising into memory fails.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// Reads a receipt for `gateway`; ranges are put in order, whatever came.
    ///
    /// # Errors
    /// A text that says why these bytes are no receipt for us.
    pub fn decode(bytes: &[u8], gateway: &str) -> Result<Receipt, String> {
        let mut receipt: Receipt =
            serde_json::from_slice(bytes).map_err(|error| format!("not a receipt: {error}"))?;
        if receipt.v != VERSION {
            return Err(format!("receipt version {} is not known here (known: 1)", receipt.v));
        }
        if receipt.gateway != gateway {
            return Err(format!("a receipt for {:?} reached {gateway:?}", receipt.gateway));
        }
        receipt.ranges = Ranges::from_pairs(receipt.ranges.iter());
        receipt.quarantined = Ranges::from_pairs(receipt.quarantined.iter());
        Ok(receipt)
    }

    /// Whether the centre holds this record, as a reading or in quarantine.
    pub fn covers(&self, seq: u64) -> bool {
        self.ranges.contains(seq) || self.quarantined.contains(seq)
    }
}

/// Names of the MQTT user properties that travel with each message of records, so that a message whose body cannot be
/// read can still be receipted.
pub mod property {
    pub const EPOCH: &str = "epoch";
    pub const FIRST: &str = "first";
    pub const LAST: &str = "last";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_become_ranges() {
        let ranges = Ranges::of([4711, 4700, 4701, 4710, 4701, 4720]);
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [(4700, 4701), (4710, 4711), (4720, 4720)]);
        assert_eq!(
            Ranges::of([u64::MAX, u64::MAX - 1]).iter().collect::<Vec<_>>(),
            [(u64::MAX - 1, u64::MAX)]
        );
    }

    #[test]
    fn a_receipt_goes_there_and_back_and_only_to_its_gateway() {
        let receipt = Receipt::new("gw-1", Epoch::new(), Ranges::of([1, 2, 5]), Ranges::of([3]));
        let bytes = receipt.encode().unwrap();
        assert_eq!(Receipt::decode(&bytes, "gw-1").unwrap(), receipt);
        assert!(Receipt::decode(&bytes, "gw-2").is_err());
        assert!(receipt.covers(3) && receipt.covers(2) && !receipt.covers(4));
    }

    #[test]
    fn the_time_is_an_addition() {
        let without = Receipt::new("gw-1", Epoch::new(), Ranges::of([1]), Ranges::default());
        assert!(!String::from_utf8(without.encode().unwrap()).unwrap().contains("\"at\""));
        let with = without.clone().leaving("2026-11-21T04:00:06.0009Z".parse().unwrap());
        let bytes = with.encode().unwrap();
        assert!(String::from_utf8(bytes.clone()).unwrap().ends_with(",\"at\":\"2026-11-21T04:00:06.000Z\"}"));
        assert_eq!(Receipt::decode(&bytes, "gw-1").unwrap(), with);
        // What is not known yet is passed over, as a gateway of before passes over `at`.
        let more = String::from_utf8(bytes).unwrap().replace("\"at\"", "\"later\"");
        assert_eq!(Receipt::decode(more.as_bytes(), "gw-1").unwrap(), without);
    }

    proptest! {
        #[test]
        fn ranges_hold_exactly_their_numbers(numbers in proptest::collection::vec(0_u64..50, 0..40)) {
            let ranges = Ranges::of(numbers.clone());
            for number in 0..60 {
                prop_assert_eq!(ranges.contains(number), numbers.contains(&number));
            }
            prop_assert_eq!(Ranges::from_pairs(ranges.iter()), ranges);
        }
    }
}

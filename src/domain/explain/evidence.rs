//! What is stored about one moment of one outlet.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::average::{ChannelAverage, StoredScan};
use crate::domain::law::OutletLaw;
use crate::domain::plant::Position;
use crate::domain::scan::Reading;

/// What is stored about one moment of one outlet.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    pub asked: Timestamp,
    /// When it was read: windows that end later are not closed.
    pub now: Timestamp,
    /// The scan at `asked`, or the nearest before it.
    pub scan: Option<RecordedScan>,
    /// All scans of the hour.
    pub scans: Vec<StoredScan>,
    /// Latest revisions of the hour's minutes, and of those before it that states look back on; by start.
    pub minutes: BTreeMap<Timestamp, StoredWindow>,
    pub hour: Option<StoredWindow>,
    /// The latest ones on the hour.
    pub verdicts: Vec<StoredVerdict>,
    /// What of the law is about the outlet then.
    pub law: OutletLaw,
    /// Of the hour.
    pub substitutes: Vec<StoredSubstitute>,
    /// The submitted period that the hour belongs to.
    pub submitted: Option<Submitted>,
}

/// A stored scan with where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedScan {
    pub at: Timestamp,
    pub received_at: Timestamp,
    pub provenance: Provenance,
    /// As recorded, by position.
    pub readings: Vec<Reading>,
    /// Letters after validation, as judged on arrival.
    pub checked: String,
    /// As judged on arrival.
    pub corrected: Vec<Option<f64>>,
}

/// Where a record comes from. Hashes in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provenance {
    pub gateway: String,
    pub epoch: String,
    pub seq: i64,
    pub hash: String,
    pub prev: String,
    pub cfg: String,
    /// Whether the record's bytes, made again from the row, have that hash; null when nobody looked.
    pub hash_agrees: Option<bool>,
}

/// A stored window, by position.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredWindow {
    pub revision: i32,
    pub channels: Vec<ChannelAverage>,
}

/// A stored verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredVerdict {
    /// `None`: of the outlet as a whole.
    pub position: Option<Position>,
    pub rule: String,
    pub outcome: String,
    pub corrected: Option<f64>,
    pub limit: f64,
    pub ratio_over: Option<f64>,
    pub remark: Option<String>,
}

/// A stored substitute of the hour.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSubstitute {
    pub position: Position,
    pub mass_mg: i64,
    pub table: String,
    pub situation: String,
    pub from_hour: Timestamp,
    pub look_back: u32,
    pub looked_back: u32,
    pub gap_hours: u32,
    pub provisional: bool,
    /// What the hour that it is from has now.
    pub from_mass_mg: Option<i64>,
}

/// A submitted period: nothing in it changes until it is reopened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Submitted {
    pub at: Timestamp,
    pub by: String,
    pub reason: String,
    /// The hour would be another one now; the view `locked_difference` shows how.
    pub differs: bool,
}

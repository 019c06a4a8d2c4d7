//! A scan: all channels of an outlet at one tick, as the gateway saw them.

use jiff::Timestamp;

use crate::domain::flag::Flag;
use crate::domain::plant::ChannelCode;

/// What one channel gave at one tick. A reading without a value always has a flag that says why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// In the channel's unit and basis, as measured; finite.
    pub value: Option<f64>,
    pub flag: Flag,
}

impl Reading {
    /// The reading of a channel that gave no answer.
    pub const NO_ANSWER: Reading = Reading { value: None, flag: Flag::Communication };
    /// The reading of a channel that the record does not mention.
    pub const ABSENT: Reading = Reading { value: None, flag: Flag::Absent };

    /// Whether the analyser said anything at all.
    pub fn is_answer(self) -> bool {
        !matches!(self.flag, Flag::Communication | Flag::Absent)
    }
}

/// All channels of one outlet at one wall-aligned tick.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// Public code of the outlet.
    pub outlet: String,
    /// The tick, UTC, whole milliseconds.
    pub at: Timestamp,
    /// Sorted by channel code, each once.
    pub readings: Vec<(ChannelCode, Reading)>,
}

//! What a jurisdiction's procedure prescribes, as data: counts, constants, precedence, the order of steps.

use crate::domain::flag::Status;
use crate::domain::limit::AveragingPeriod;

/// One procedure. Anything in it that changes a figure changes its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Regime {
    /// Names it, with its version, on every figure that was made by it.
    pub name: &'static str,
    /// Zero degrees Celsius in kelvin, as the procedure prints it.
    pub zero_k: f64,
    pub conversion: ConversionOrder,
    /// Share of normal lower-level values from which the transport flag is N, percent.
    pub normal_share_percent: u32,
    pub counts: Counts,
    pub precedence: Precedence,
}

/// How many lower-level values make a window statistically valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Scans in a minute, where that many are expected.
    pub minute: u32,
    /// Minutes in an hour.
    pub hour: u32,
    /// Hours in a day, of 23, 24 or 25.
    pub day: u32,
    /// Days in a month.
    pub month: u32,
    pub february: u32,
    /// Of any other window, and of a channel that is slower than once a minute: percent of what was expected.
    pub share_percent: u32,
}

/// Which status a window has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precedence {
    /// The first of these that has as many lower-level values as validity needs.
    pub source: &'static [Status],
    /// Else normal when it is valid, else the most frequent of these, ties in this order; the last one where there is none.
    pub other: &'static [Status],
}

/// Whether oxygen correction comes before or after averaging. The standards print the conversion for "the concentration"
/// without an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConversionOrder {
    /// Convert the mean concentration with the mean oxygen of the same window.
    OfMeans,
    /// Average values that were each converted with their own oxygen.
    MeanOfConversions,
}

/// HJ 75-2017, HJ 76-2017 App. B and HJ 212-2017 App. D: 12 scans a minute, 45 minutes an hour, 20 hours a day, 25 days a
/// month (23 in February); eq. (23) to (25) and HJ 76-2017. No document gives counts for quarter and year: three quarters of
/// what was expected, so 3 months of 3 and 3 quarters of 4.
pub const HJ75_2017: Regime = Regime {
    name: "HJ75-2017/1",
    zero_k: 273.0,
    conversion: ConversionOrder::OfMeans,
    normal_share_percent: 75,
    counts: Counts { minute: 12, hour: 45, day: 20, month: 25, february: 23, share_percent: 75 },
    precedence: Precedence {
        source: &[Status::SourceStopped, Status::StartUp, Status::ShutDown, Status::BankedFire],
        other: &[Status::Fault, Status::Maintenance, Status::Calibration, Status::OverRange, Status::NoData],
    },
};

/// Minutes of an hour, days of the shortest month that is no February.
const FULL_HOUR: u32 = 60;
const SHORT_MONTH: u32 = 30;

impl Regime {
    /// How many of the `expected` lower-level values make a window statistically valid; at least one. An hour of which fewer
    /// than sixty values are expected is that of a channel with a cycle.
    pub fn needed(&self, period: AveragingPeriod, expected: u32) -> u32 {
        let counts = self.counts;
        let share = (expected * counts.share_percent).div_ceil(100).max(1);
        match period {
            AveragingPeriod::Minute if expected >= counts.minute => counts.minute,
            AveragingPeriod::Hour if expected >= FULL_HOUR => counts.hour,
            AveragingPeriod::Day => counts.day,
            // A February has 28 or 29 days; no other month has fewer than 30.
            AveragingPeriod::Month if expected < SHORT_MONTH => counts.february,
            AveragingPeriod::Month => counts.month,
            AveragingPeriod::Minute
            | AveragingPeriod::FiveMinutes
            | AveragingPeriod::TenMinutes
            | AveragingPeriod::HalfHour
            | AveragingPeriod::Hour
            | AveragingPeriod::Quarter
            | AveragingPeriod::Year => share,
        }
    }

    /// The status of a window from how often each status was met in it (HJ 76-2017 App. B, which leaves windows open in which
    /// no status is frequent enough).
    pub fn status(&self, needed: u32, valid: bool, count: impl Fn(Status) -> u32) -> Status {
        let Precedence { source, other } = self.precedence;
        if let Some(state) = source.iter().find(|state| count(**state) >= needed) {
            return *state;
        }
        if valid {
            return Status::Normal;
        }
        let mut most = other.last().copied().unwrap_or(Status::NoData);
        let mut times = 0;
        for status in other {
            if count(*status) > times {
                (most, times) = (*status, count(*status));
            }
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_the_procedure() {
        let needed = |period, expected| HJ75_2017.needed(period, expected);
        assert_eq!(needed(AveragingPeriod::Minute, 30), 12);
        assert_eq!(needed(AveragingPeriod::Minute, 12), 12);
        assert_eq!(needed(AveragingPeriod::Minute, 6), 5);
        // One reading a minute is the minute.
        assert_eq!(needed(AveragingPeriod::Minute, 1), 1);
        assert_eq!(needed(AveragingPeriod::Hour, 60), 45);
        // NMHC every 300 s: 9 of 12; every 180 s: 15 of 20.
        assert_eq!(needed(AveragingPeriod::Hour, 12), 9);
        assert_eq!(needed(AveragingPeriod::Hour, 20), 15);
        assert_eq!(needed(AveragingPeriod::Day, 24), 20);
        assert_eq!((needed(AveragingPeriod::Day, 23), needed(AveragingPeriod::Day, 25)), (20, 20));
        assert_eq!(needed(AveragingPeriod::Month, 28), 23);
        assert_eq!(needed(AveragingPeriod::Month, 29), 23);
        assert_eq!(needed(AveragingPeriod::Month, 30), 25);
        assert_eq!(needed(AveragingPeriod::Month, 31), 25);
        assert_eq!(needed(AveragingPeriod::FiveMinutes, 5), 4);
        assert_eq!(needed(AveragingPeriod::TenMinutes, 10), 8);
        assert_eq!(needed(AveragingPeriod::HalfHour, 30), 23);
        assert_eq!(needed(AveragingPeriod::Quarter, 3), 3);
        assert_eq!(needed(AveragingPeriod::Year, 4), 3);
    }

    #[test]
    fn precedence_of_a_window_that_is_not_valid() {
        let status = |counts: &[(Status, u32)]| {
            let of =
                |status| counts.iter().find(|(other, _)| *other == status).map_or(0, |(_, count)| *count);
            HJ75_2017.status(45, false, of)
        };
        assert_eq!(status(&[(Status::SourceStopped, 45), (Status::Fault, 15)]), Status::SourceStopped);
        assert_eq!(status(&[(Status::SourceStopped, 44), (Status::Fault, 16)]), Status::Fault);
        assert_eq!(status(&[(Status::Fault, 15), (Status::Maintenance, 15)]), Status::Fault);
        assert_eq!(status(&[(Status::Calibration, 16), (Status::Maintenance, 15)]), Status::Calibration);
        assert_eq!(status(&[(Status::SourceStopped, 30), (Status::Normal, 30)]), Status::NoData);
    }
}

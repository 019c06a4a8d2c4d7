//! What a jurisdiction's procedure prescribes, as data: counts, constants, the order of steps.

use crate::domain::limit::AveragingPeriod;

/// One procedure.
#[derive(Debug, Clone, PartialEq)]
pub struct Regime {
    /// Names it, with its version, on every figure that was made by it.
    pub name: &'static str,
    /// Zero degrees Celsius in kelvin, as the procedure prints it.
    pub zero_k: f64,
    pub conversion: ConversionOrder,
    /// Share of normal lower-level values from which the transport flag is N, percent.
    pub normal_share_percent: u32,
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

/// HJ 75-2017, HJ 76-2017 App. B and HJ 212-2017 App. D.
pub const HJ75_2017: Regime = Regime {
    name: "HJ75-2017/1",
    zero_k: 273.0,
    conversion: ConversionOrder::OfMeans,
    normal_share_percent: 75,
};

impl Regime {
    /// How many of the `expected` lower-level values make a window statistically valid: 12 scans a minute, 45 minutes
    /// an hour, 20 hours a day, 25 days a month (23 in February); HJ 212-2017 App. D eq. (23) to (25), HJ 76-2017.
    /// Where a period or a slow channel has no count of its own, three quarters of what was expected.
    pub fn needed(&self, period: AveragingPeriod, expected: u32) -> u32 {
        let share = (expected * 3).div_ceil(4).max(1);
        match period {
            AveragingPeriod::Minute if expected >= 12 => 12,
            AveragingPeriod::Hour => 45,
            AveragingPeriod::Day => 20,
            // A February has 28 or 29 days; no other month has fewer than 30.
            AveragingPeriod::Month if expected < 30 => 23,
            AveragingPeriod::Month => 25,
            AveragingPeriod::Minute
            | AveragingPeriod::FiveMinutes
            | AveragingPeriod::TenMinutes
            | AveragingPeriod::HalfHour
            | AveragingPeriod::Quarter
            | AveragingPeriod::Year => share,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_the_procedure() {
        let needed = |period, expected| HJ75_2017.needed(period, expected);
        assert_eq!(needed(AveragingPeriod::Minute, 30), 12);
        assert_eq!(needed(AveragingPeriod::Minute, 6), 5);
        assert_eq!(needed(AveragingPeriod::Hour, 60), 45);
        assert_eq!(needed(AveragingPeriod::Day, 24), 20);
        assert_eq!(needed(AveragingPeriod::Month, 28), 23);
        assert_eq!(needed(AveragingPeriod::Month, 31), 25);
        assert_eq!(needed(AveragingPeriod::FiveMinutes, 5), 4);
    }
}

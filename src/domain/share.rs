//! Shares that decide something: whole numbers over whole numbers, compared exactly. 19/20 passes 95 %; 8,999/10,000 is shown
//! as 89.99 % and does not pass 90 %. Nothing here is a float.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A percentage with two decimals, as a document prints it: a pass line, a reduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(u32);

impl Percent {
    /// From whole per cent.
    pub const fn whole(percent: u32) -> Percent {
        Percent(percent.saturating_mul(100))
    }

    /// From hundredths of a per cent.
    pub const fn hundredths(hundredths: u32) -> Percent {
        Percent(hundredths)
    }

    /// From a written number; `None` below 0, above 1000, or with more than two decimals.
    pub fn from_number(percent: f64) -> Option<Percent> {
        let hundredths = (percent * 100.0).round();
        if !(0.0..=100_000.0).contains(&hundredths) || (hundredths / 100.0 - percent).abs() > 1e-9 {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole and small, as checked above"
        )]
        Some(Percent(hundredths as u32))
    }

    /// In hundredths of a per cent.
    pub const fn in_hundredths(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02} %", self.0 / 100, self.0 % 100)
    }
}

/// `part` of `whole`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Share {
    pub part: u64,
    pub whole: u64,
}

impl Share {
    /// Whether it reaches a line, exactly; `None` of nothing.
    pub fn reaches(self, line: Percent) -> Option<bool> {
        (self.whole > 0)
            .then(|| u128::from(self.part) * 10_000 >= u128::from(line.0) * u128::from(self.whole))
    }

    /// In hundredths of a per cent, the rest cut off, so that what does not reach a line is never shown as if it did.
    pub fn hundredths(self) -> Option<u64> {
        let hundredths = (u128::from(self.part) * 10_000).checked_div(u128::from(self.whole))?;
        u64::try_from(hundredths).ok()
    }

    /// A share of a share; `None` when it does not fit.
    pub fn of(self, other: Share) -> Option<Share> {
        Some(Share { part: self.part.checked_mul(other.part)?, whole: self.whole.checked_mul(other.whole)? })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hundredths() {
            Some(hundredths) => write!(f, "{}.{:02} %", hundredths / 100, hundredths % 100),
            None => write!(f, "none of none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_exact() {
        let line = Percent::whole(95);
        assert_eq!(Share { part: 19, whole: 20 }.reaches(line), Some(true));
        assert_eq!(Share { part: 684, whole: 720 }.reaches(line), Some(true));
        assert_eq!(Share { part: 683, whole: 720 }.reaches(line), Some(false));
        assert_eq!(Share { part: 0, whole: 0 }.reaches(line), None);
    }

    #[test]
    fn what_does_not_pass_is_not_shown_as_passing() {
        for (part, whole, shown) in [
            (8_999, 10_000, "89.99 %"),
            (899_999, 1_000_000, "89.99 %"),
            (2, 3, "66.66 %"),
            (9, 10, "90.00 %"),
        ] {
            let share = Share { part, whole };
            assert_eq!(share.to_string(), shown);
            assert_eq!(share.reaches(Percent::whole(90)), Some(shown == "90.00 %"));
        }
    }

    #[test]
    fn percentages_have_two_decimals() {
        assert_eq!(Percent::from_number(97.5), Some(Percent::hundredths(9_750)));
        assert_eq!(Percent::from_number(0.01).unwrap().to_string(), "0.01 %");
        for bad in [97.555, -1.0, f64::NAN, f64::INFINITY, 1e6] {
            assert_eq!(Percent::from_number(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_shown_figure_reaches_what_the_share_reaches(part in 0_u64..20_000, whole in 1_u64..20_000, line in 0_u32..12_000) {
            let share = Share { part, whole };
            let shown = share.hundredths().unwrap();
            prop_assert_eq!(share.reaches(Percent::hundredths(line)), Some(shown >= u64::from(line)));
        }

        #[test]
        fn a_whole_of_a_share_is_the_share(part in 0_u64..1000, whole in 1_u64..1000) {
            let share = Share { part, whole };
            let line = Percent::whole(50);
            prop_assert_eq!(share.of(Share { part: 7, whole: 7 }).unwrap().reaches(line), share.reaches(line));
        }
    }
}

//! Assessments over verdicts: "at least 95 % of the hours of a month". Met and exceeded windows are counted; what was not
//! judged is in no denominator but is shown. 19 of 20 is 95 %.

use serde::{Deserialize, Serialize};

use crate::domain::exceedance::Outcome;
use crate::domain::share::{Percent, Share};
use crate::domain::times::Times;

/// One assessment of one rule's verdicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    pub code: String,
    pub document: String,
    pub times: Times,
    /// Code of the rule whose verdicts are counted.
    pub rule: String,
    /// Over which time: `month`, `quarter`, `year`.
    pub over: Over,
    /// The share of judged windows that must have met the rule.
    pub share: Percent,
    /// With fewer judged windows nothing is said.
    pub at_least: u32,
}

/// The time of an assessment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Over {
    Day,
    Month,
    Quarter,
    Year,
}

impl Over {
    pub const ALL: [Over; 4] = [Over::Day, Over::Month, Over::Quarter, Over::Year];

    /// The window that is assessed.
    pub const fn period(self) -> crate::domain::limit::AveragingPeriod {
        match self {
            Over::Day => crate::domain::limit::AveragingPeriod::Day,
            Over::Month => crate::domain::limit::AveragingPeriod::Month,
            Over::Quarter => crate::domain::limit::AveragingPeriod::Quarter,
            Over::Year => crate::domain::limit::AveragingPeriod::Year,
        }
    }
}

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Counted {
    pub met: u64,
    pub exceeded: u64,
    pub not_valid: u64,
    pub not_convertible: u64,
    pub exempt: u64,
}

impl Counted {
    /// Adds so many verdicts of one outcome.
    pub fn add(&mut self, outcome: Outcome, times: u64) {
        let count = match outcome {
            Outcome::Met => &mut self.met,
            Outcome::Exceeded | Outcome::NotMet => &mut self.exceeded,
            Outcome::NotValid => &mut self.not_valid,
            Outcome::NotConvertible => &mut self.not_convertible,
            Outcome::Exempt => &mut self.exempt,
            Outcome::NotInForce => return,
        };
        *count += times;
    }

    /// All of them, judged or not.
    pub const fn total(self) -> u64 {
        self.met + self.exceeded + self.not_valid + self.not_convertible + self.exempt
    }

    /// Of the judged windows those that met the rule.
    pub const fn share(self) -> Share {
        Share { part: self.met, whole: self.met + self.exceeded }
    }
}

/// What an assessment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Assessed {
    pub counted: Counted,
    pub share: Share,
    /// `None`: too few judged windows.
    pub passes: Option<bool>,
}

/// Assesses what was counted.
pub fn assess(assessment: &Assessment, counted: Counted) -> Assessed {
    let share = counted.share();
    let enough = share.whole >= u64::from(assessment.at_least.max(1));
    Assessed { counted, share, passes: share.reaches(assessment.share).filter(|_| enough) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ninety_five() -> Assessment {
        Assessment {
            code: "ultra-low-95".to_owned(),
            document: "环大气〔2024〕5号".to_owned(),
            times: Times { from: jiff::Timestamp::MIN, until: None },
            rule: "cement-ultra-low-so2".to_owned(),
            over: Over::Month,
            share: Percent::whole(95),
            at_least: 1,
        }
    }

    fn month(met: u64, exceeded: u64, not_valid: u64) -> Assessed {
        assess(&ninety_five(), Counted { met, exceeded, not_valid, ..Counted::default() })
    }

    #[test]
    fn exactly_ninety_five_passes_and_just_below_does_not() {
        // 720 hours of a 30-day month: 684 are exactly 95 %.
        assert_eq!(month(684, 36, 0).passes, Some(true));
        let below = month(683, 37, 0);
        assert_eq!((below.passes, below.share.to_string().as_str()), (Some(false), "94.86 %"));
        assert_eq!(month(19, 1, 700).passes, Some(true));
        assert_eq!(month(18, 1, 701).passes, Some(false));
    }

    #[test]
    fn what_was_not_judged_is_shown_but_not_counted() {
        let found = month(0, 0, 720);
        assert_eq!((found.passes, found.counted.not_valid), (None, 720));
        let few = Assessment { at_least: 100, ..ninety_five() };
        assert_eq!(assess(&few, Counted { met: 99, ..Counted::default() }).passes, None);
        assert_eq!(assess(&few, Counted { met: 100, ..Counted::default() }).passes, Some(true));
    }

    proptest! {
        #[test]
        fn one_more_met_hour_never_fails_and_one_more_exceeded_never_passes(met in 0_u64..800, exceeded in 1_u64..800, not_valid in 0_u64..800) {
            let now = month(met, exceeded, not_valid).passes;
            prop_assert!(now != Some(true) || month(met + 1, exceeded, not_valid).passes == Some(true));
            prop_assert!(now != Some(false) || month(met, exceeded + 1, not_valid).passes == Some(false));
            prop_assert_eq!(now, month(met, exceeded, not_valid + 1).passes);
        }
    }
}

//! Whether a share will reach its line by the end of a time: an assessment of a month, the capture rate of a quarter, the transmission
//! efficiency. Whole windows, compared exactly, so that "lost" is said only of what no good window can bring back.

use crate::domain::share::{Percent, Share};

/// How far a time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// Good windows of those that count so far.
    pub so_far: Share,
    /// The same of the last days: the present rate. `so_far` again where only that is known.
    pub lately: Share,
    /// Windows that are still to come.
    pub to_come: u64,
}

/// How it stands with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    Safe,
    /// As it goes on the line is missed.
    AtRisk,
    /// The line is missed even if every window that is to come is good.
    Lost,
}

/// What is to be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prospect {
    pub standing: Standing,
    /// So many windows may still fail; 0 when it is lost.
    pub may_fail: u64,
    /// The share at the end if every window to come is good.
    pub best: Share,
}

/// Before so much of the failures that a line allows is used up, one part in four, nothing is said: the first bad hour of a month would
/// else be a month at risk.
const SPEAKS_FROM: u128 = 4;

/// How it stands with a line.
pub fn prospect(course: Course, line: Percent) -> Prospect {
    let Course { so_far, lately, to_come } = course;
    let total = u128::from(so_far.whole) + u128::from(to_come);
    let failed = u128::from(so_far.whole.saturating_sub(so_far.part));
    let needed = (u128::from(line.in_hundredths()) * total).div_ceil(10_000);
    let best =
        Share { part: so_far.part.saturating_add(to_come), whole: u64::try_from(total).unwrap_or(u64::MAX) };
    if total == 0 {
        return Prospect { standing: Standing::Safe, may_fail: 0, best };
    }
    let allowed = total.checked_sub(needed);
    let Some(left) = allowed.and_then(|allowed| allowed.checked_sub(failed)) else {
        return Prospect { standing: Standing::Lost, may_fail: 0, best };
    };
    let speaks = failed > 0 && failed * SPEAKS_FROM >= allowed.unwrap_or(0);
    let is_below = so_far.reaches(line) == Some(false);
    let lately_failed = u128::from(lately.whole.saturating_sub(lately.part));
    // At the present rate more of those to come fail than may.
    let runs_out = lately_failed * u128::from(to_come) > left * u128::from(lately.whole);
    let standing = if speaks && (is_below || runs_out) { Standing::AtRisk } else { Standing::Safe };
    Prospect { standing, may_fail: u64::try_from(left).unwrap_or(u64::MAX).min(to_come), best }
}

impl Prospect {
    /// In words, of windows that are called so.
    pub fn told(&self, windows: &str, line: Percent) -> String {
        let Prospect { standing, may_fail, best } = self;
        match standing {
            Standing::Lost => {
                format!(
                    "{line} cannot be reached any more: at best {best}, if all {windows} to come are good"
                )
            }
            Standing::Safe | Standing::AtRisk => {
                format!("{may_fail} more {windows} may fail, or {line} is missed; at best {best}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: Percent = Percent::whole(95);

    fn steady(part: u64, whole: u64, to_come: u64) -> Course {
        let so_far = Share { part, whole };
        Course { so_far, lately: so_far, to_come }
    }

    /// A 30-day month has 720 hours; 36 may fail.
    #[test]
    fn a_month_of_hours_at_ninety_five() {
        let of = |part, whole| {
            let found = prospect(steady(part, whole, 720 - whole), LINE);
            (found.standing, found.may_fail)
        };
        assert_eq!(of(0, 0), (Standing::Safe, 36));
        // The first eight bad hours of a month are no month at risk; the ninth is a quarter of what is allowed.
        assert_eq!(of(92, 100), (Standing::Safe, 28));
        assert_eq!(of(91, 100), (Standing::AtRisk, 27));
        // 9 of 180 is 95 % exactly, and goes on so.
        assert_eq!(of(171, 180), (Standing::Safe, 27));
        assert_eq!(of(170, 180), (Standing::AtRisk, 26));
        assert_eq!(of(264, 300), (Standing::AtRisk, 0));
        assert_eq!(of(263, 300), (Standing::Lost, 0));
        assert_eq!(of(684, 720), (Standing::Safe, 0));
        assert_eq!(of(683, 720), (Standing::Lost, 0));
    }

    #[test]
    fn a_good_month_that_goes_wrong_lately_is_at_risk() {
        // 20 of 480 failed: 95.83 %. Of the last 168 sixteen: at that rate 22 of the 240 to come fail, and 16 may.
        let so_far = Share { part: 460, whole: 480 };
        let wrong = Course { so_far, lately: Share { part: 152, whole: 168 }, to_come: 240 };
        assert_eq!(prospect(wrong, LINE).standing, Standing::AtRisk);
        let mended = Course { so_far, lately: Share { part: 160, whole: 168 }, to_come: 240 };
        assert_eq!(prospect(mended, LINE).standing, Standing::Safe);
    }

    #[test]
    fn it_says_how_many_may_fail() {
        let risk = prospect(steady(170, 180, 540), LINE);
        assert_eq!(risk.told("hours", LINE), "26 more hours may fail, or 95.00 % is missed; at best 98.61 %");
        let lost = prospect(steady(263, 300, 420), LINE);
        assert_eq!(
            lost.told("hours", LINE),
            "95.00 % cannot be reached any more: at best 94.86 %, if all hours to come are good"
        );
        assert_eq!(prospect(steady(0, 10, 0), Percent::whole(0)).standing, Standing::Safe);
        assert_eq!(prospect(steady(10, 10, 10), Percent::whole(101)).standing, Standing::Lost);
    }

    proptest! {
        #[test]
        fn as_many_as_may_fail_may_and_one_more_may_not(good in 0_u64..800, bad in 0_u64..200, to_come in 0_u64..800, line in 0_u32..=10_000) {
            let line = Percent::hundredths(line);
            let found = prospect(steady(good, good + bad, to_come), line);
            let at_end = |fail: u64| Share { part: good + to_come - fail, whole: good + bad + to_come }.reaches(line);
            if found.standing == Standing::Lost {
                prop_assert_eq!(at_end(0), Some(false));
            } else if good + bad + to_come > 0 {
                prop_assert_eq!(at_end(found.may_fail), Some(true));
                prop_assert!(found.may_fail == to_come || at_end(found.may_fail + 1) == Some(false));
            }
        }

        #[test]
        fn a_good_window_instead_of_a_bad_one_never_makes_it_worse(good in 0_u64..800, bad in 1_u64..200, to_come in 0_u64..800, line in 0_u32..=10_000) {
            let line = Percent::hundredths(line);
            let before = prospect(steady(good, good + bad, to_come), line);
            let better = prospect(steady(good + 1, good + bad, to_come), line);
            prop_assert!(better.standing <= before.standing);
            prop_assert!(better.may_fail >= before.may_fail);
        }
    }
}

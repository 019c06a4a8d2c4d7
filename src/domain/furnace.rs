//! Furnace temperature of waste incineration (MEE Order 10 of 2019 and announcement 2019-50): the five-minute mean of the mean of two
//! medians, of the upper and of the middle thermocouples. Below its line it is a low-temperature event; too many events in a
//! calendar day are a violation.

use serde::{Deserialize, Serialize};

use crate::domain::assessment::Counted;
use crate::domain::average::snap;
use crate::domain::exceedance::{Outcome, Verdict};
use crate::domain::plant::ChannelCode;
use crate::domain::times::Times;

/// The rule of one furnace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FurnaceRule {
    pub code: String,
    pub outlet: String,
    pub document: String,
    pub times: Times,
    /// Thermocouples of the upper and of the middle section.
    pub upper: Vec<ChannelCode>,
    pub middle: Vec<ChannelCode>,
    /// Celsius; 850.
    pub below_c: f64,
    /// So many events a day are no violation; 5.
    pub events_allowed: u32,
}

/// The median; of an even number the mean of the two in the middle. `None` of nothing or of what is no number.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let high = sorted.get(middle)?;
    let median = if sorted.len().is_multiple_of(2) {
        f64::midpoint(*sorted.get(middle.checked_sub(1)?)?, *high)
    } else {
        *high
    };
    Some(median).filter(|_| values.iter().all(|value| value.is_finite()))
}

/// The furnace temperature of one five-minute window from the means of its thermocouples, Celsius. Thermocouples without a
/// valid mean are left out; a section without any has no temperature.
pub fn furnace_temperature(upper: &[Option<f64>], middle: &[Option<f64>]) -> Option<f64> {
    let known = |section: &[Option<f64>]| section.iter().flatten().copied().collect::<Vec<f64>>();
    Some(snap(f64::midpoint(median(&known(upper))?, median(&known(middle))?)))
}

/// What one five-minute window shows: below the line is a low-temperature event.
pub fn judge_temperature(rule: &FurnaceRule, temperature_c: Option<f64>) -> Verdict {
    let outcome = match temperature_c {
        None => Outcome::NotValid,
        Some(temperature) if temperature >= rule.below_c => Outcome::Met,
        Some(_) => Outcome::NotMet,
    };
    Verdict { outcome, corrected: temperature_c, limit: rule.below_c, ratio_over: None }
}

/// Judges the windows of one calendar day: too many events are a violation; exempt ones are none, but stay visible.
pub fn judge_day(rule: &FurnaceRule, counted: Counted) -> Verdict {
    let events = u32::try_from(counted.exceeded).unwrap_or(u32::MAX);
    let outcome = if events > rule.events_allowed {
        Outcome::Exceeded
    } else if counted.met + counted.exceeded + counted.exempt == 0 {
        Outcome::NotValid
    } else {
        Outcome::Met
    };
    let limit = f64::from(rule.events_allowed);
    Verdict { outcome, corrected: Some(f64::from(events)), limit, ratio_over: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule() -> FurnaceRule {
        FurnaceRule {
            code: "furnace-1".to_owned(),
            outlet: "waste-1".to_owned(),
            document: "MEE Order 10 (2019)".to_owned(),
            times: Times { from: jiff::Timestamp::MIN, until: None },
            upper: Vec::new(),
            middle: Vec::new(),
            below_c: 850.0,
            events_allowed: 5,
        }
    }

    #[test]
    fn the_mean_of_two_medians() {
        // Upper 860, 870, 600 (broken): median 860. Middle 850, 900: median 875. Mean 867.5.
        let upper = [Some(860.0), Some(870.0), Some(600.0)];
        assert_eq!(furnace_temperature(&upper, &[Some(850.0), Some(900.0), None]), Some(867.5));
        assert_eq!(furnace_temperature(&upper, &[None, None]), None);
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[1.0, f64::NAN]), None);
    }

    #[test]
    fn the_sixth_event_is_the_violation() {
        let day = |exceeded: u64, exempt: u64| {
            let counted = Counted { met: 288 - exceeded - exempt, exceeded, exempt, ..Counted::default() };
            judge_day(&rule(), counted).outcome
        };
        assert_eq!((day(5, 0), day(6, 0), day(0, 6)), (Outcome::Met, Outcome::Exceeded, Outcome::Met));
        let nothing = Counted { not_valid: 288, ..Counted::default() };
        assert_eq!(judge_day(&rule(), nothing).outcome, Outcome::NotValid);
    }

    #[test]
    fn the_line_itself_is_kept() {
        let outcome = |temperature| judge_temperature(&rule(), temperature).outcome;
        assert_eq!(outcome(Some(850.0)), Outcome::Met);
        assert_eq!(outcome(Some(849.9)), Outcome::NotMet);
        assert_eq!(outcome(None), Outcome::NotValid);
    }

    proptest! {
        #[test]
        fn a_median_lies_between_and_needs_no_order(mut values in prop::collection::vec(-50.0_f64..1500.0, 1..9)) {
            let found = median(&values).unwrap();
            values.reverse();
            prop_assert_eq!(median(&values), Some(found));
            let below = values.iter().filter(|value| **value < found).count();
            let above = values.iter().filter(|value| **value > found).count();
            prop_assert!(below * 2 <= values.len() && above * 2 <= values.len());
        }
    }
}

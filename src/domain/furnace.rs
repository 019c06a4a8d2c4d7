//! Furnace temperature of waste incineration (MEE Order 10 of 2019 and announcement 2019-50): the five-minute mean of the mean of two
//! medians, of the upper and of the middle thermocouples. Below its line it is a low-temperature event; too many events in a
//! calendar day are a violation.

use serde::{Deserialize, Serialize};

use crate::domain::average::snap;
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

/// One five-minute window of a day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FiveMinutes {
    pub temperature_c: Option<f64>,
    /// Marked, not contested and within the capped hours of an exemption.
    pub exempt: bool,
}

/// What a day shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FurnaceDay {
    pub events: u32,
    /// Below the line but exempt; kept visible.
    pub exempt_events: u32,
    pub not_known: u32,
    pub violation: bool,
}

/// Judges the windows of one calendar day.
pub fn judge_day(rule: &FurnaceRule, windows: impl IntoIterator<Item = FiveMinutes>) -> FurnaceDay {
    let mut day = FurnaceDay { events: 0, exempt_events: 0, not_known: 0, violation: false };
    for window in windows {
        match window.temperature_c {
            None => day.not_known += 1,
            Some(temperature) if temperature >= rule.below_c => {}
            Some(_) if window.exempt => day.exempt_events += 1,
            Some(_) => day.events += 1,
        }
    }
    day.violation = day.events > rule.events_allowed;
    day
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
        let windows =
            |cold: usize, exempt: bool| vec![FiveMinutes { temperature_c: Some(849.9), exempt }; cold];
        assert!(!judge_day(&rule(), windows(5, false)).violation);
        assert!(judge_day(&rule(), windows(6, false)).violation);
        let exempt = judge_day(&rule(), windows(6, true));
        assert_eq!((exempt.violation, exempt.exempt_events), (false, 6));
        let edge = [
            FiveMinutes { temperature_c: Some(850.0), exempt: false },
            FiveMinutes { temperature_c: None, exempt: false },
        ];
        let day = judge_day(&rule(), edge);
        assert_eq!((day.events, day.not_known), (0, 1));
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

//! How much of a time was captured and transmitted: the quarterly valid capture rate of HJ 75-2017 and the transmission
//! efficiency. Whole hours over whole hours, compared exactly.

use serde::{Deserialize, Serialize};

use crate::domain::average::ChannelAverage;
use crate::domain::flag::Status;
use crate::domain::share::{Percent, Share};
use crate::domain::times::Times;

/// What an hour of one channel is to capture and substitution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HourClass {
    Valid,
    /// The source was stopped: neither captured nor missed.
    Stopped,
    /// The analyser was out of control, whatever it showed.
    OutOfControl,
    /// Maintenance, calibration, fault, no data.
    Invalid,
}

impl HourClass {
    /// Of an hour's average, and whether its analyser was out of control at its beginning.
    pub fn of(
        average: &ChannelAverage,
        out_of_control: Option<&crate::domain::quality::OutOfControl>,
    ) -> HourClass {
        if average.status == Status::SourceStopped {
            HourClass::Stopped
        } else if out_of_control.is_some() {
            HourClass::OutOfControl
        } else if average.valid {
            HourClass::Valid
        } else {
            HourClass::Invalid
        }
    }
}

/// Hours of a quarter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Capture {
    pub hours: u64,
    pub stopped: u64,
    pub invalid: u64,
}

impl Capture {
    /// Counts the hours.
    pub fn count(classes: impl IntoIterator<Item = HourClass>) -> Capture {
        let mut capture = Capture::default();
        for class in classes {
            capture.hours += 1;
            match class {
                HourClass::Valid => {}
                HourClass::Stopped => capture.stopped += 1,
                HourClass::OutOfControl | HourClass::Invalid => capture.invalid += 1,
            }
        }
        capture
    }

    /// a = (hours - stopped - invalid) / (hours - stopped), HJ 75-2017.
    pub const fn rate(self) -> Share {
        let whole = self.hours.saturating_sub(self.stopped);
        Share { part: whole.saturating_sub(self.invalid), whole }
    }
}

/// A programme's rule for transmission efficiency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EfficiencyRule {
    pub code: String,
    pub document: String,
    pub times: Times,
    /// Prefix of the divisions, empty for everywhere.
    pub division: String,
    /// Prefix of the industries, empty for every industry.
    pub industry: String,
    /// Hours of these statuses (HJ 76 codes, as `F`) are not expected to be transmitted.
    pub not_expected: Vec<String>,
    /// An hour that arrives later than this after its end was not transmitted.
    pub deadline_hours: u32,
    pub pass: Percent,
}

/// One hour of one channel, as far as its transmission goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Delivered {
    pub status: Status,
    pub valid: bool,
    /// Hours between its end and its arrival; `None`: it never came.
    pub late_hours: Option<u32>,
    /// The same until enough of it had come to be valid.
    pub valid_late_hours: Option<u32>,
}

/// Transmission rate x validity rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Efficiency {
    /// Transmitted in time, of what was expected.
    pub transmission: Share,
    /// Valid, of what was transmitted in time.
    pub validity: Share,
    /// The product; of nothing expected, nothing.
    pub product: Share,
    /// `None` when nothing was expected.
    pub passes: Option<bool>,
}

/// The efficiency of the hours of a month or a quarter.
pub fn efficiency(rule: &EfficiencyRule, hours: impl IntoIterator<Item = Delivered>) -> Efficiency {
    let (mut expected, mut transmitted, mut valid) = (0, 0, 0);
    for hour in hours {
        if rule.not_expected.iter().any(|code| code == hour.status.code()) {
            continue;
        }
        expected += 1;
        if hour.late_hours.is_some_and(|late| late <= rule.deadline_hours) {
            transmitted += 1;
            // What became valid only after the deadline was not delivered in time.
            let in_time = hour.valid_late_hours.is_some_and(|late| late <= rule.deadline_hours);
            valid += u64::from(hour.valid && in_time);
        }
    }
    let transmission = Share { part: transmitted, whole: expected };
    let validity = Share { part: valid, whole: transmitted };
    // Nothing transmitted is an efficiency of nothing, not no efficiency.
    let product = if transmitted == 0 { transmission } else { Share { part: valid, whole: expected } };
    Efficiency { transmission, validity, product, passes: product.reaches(rule.pass) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(pass: Percent) -> EfficiencyRule {
        EfficiencyRule {
            code: "efficiency".to_owned(),
            document: "A programme".to_owned(),
            times: Times { from: jiff::Timestamp::MIN, until: None },
            division: String::new(),
            industry: String::new(),
            not_expected: vec!["F".to_owned()],
            deadline_hours: 72,
            pass,
        }
    }

    fn delivered(count: usize, valid: bool, late_hours: Option<u32>) -> Vec<Delivered> {
        vec![Delivered { status: Status::Normal, valid, late_hours, valid_late_hours: late_hours }; count]
    }

    #[test]
    fn the_capture_rate_leaves_stopped_hours_out() {
        // 2208 hours of a quarter, 208 stopped, 200 invalid: 1800 of 2000.
        let classes = [
            (HourClass::Valid, 1800),
            (HourClass::Stopped, 208),
            (HourClass::Invalid, 150),
            (HourClass::OutOfControl, 50),
        ];
        let capture = Capture::count(classes.into_iter().flat_map(|(class, count)| vec![class; count]));
        assert_eq!(capture, Capture { hours: 2208, stopped: 208, invalid: 200 });
        assert_eq!(
            (capture.rate(), capture.rate().reaches(Percent::whole(90))),
            (Share { part: 1800, whole: 2000 }, Some(true))
        );
        assert_eq!(Capture { invalid: 201, ..capture }.rate().reaches(Percent::whole(90)), Some(false));
    }

    #[test]
    fn transmission_times_validity() {
        // 10,000 expected, 9,500 in time, of these 8,999 valid: 89.99 %.
        let mut hours = delivered(8_999, true, Some(0));
        hours.extend(delivered(501, false, Some(72)));
        hours.extend(delivered(300, true, Some(73)));
        hours.extend(delivered(200, false, None));
        hours.push(Delivered {
            status: Status::SourceStopped,
            valid: false,
            late_hours: None,
            valid_late_hours: None,
        });
        let found = efficiency(&rule(Percent::whole(90)), hours);
        assert_eq!(found.transmission, Share { part: 9_500, whole: 10_000 });
        assert_eq!(found.validity, Share { part: 8_999, whole: 9_500 });
        assert_eq!((found.product.to_string().as_str(), found.passes), ("89.99 %", Some(false)));
    }

    #[test]
    fn nothing_transmitted_does_not_pass_and_nothing_expected_is_not_judged() {
        assert_eq!(efficiency(&rule(Percent::whole(75)), delivered(10, true, None)).passes, Some(false));
        assert_eq!(efficiency(&rule(Percent::whole(75)), Vec::new()).passes, None);
    }

    proptest! {
        #[test]
        fn the_product_is_the_product(valid in 0_usize..60, invalid in 0_usize..60, missing in 0_usize..60) {
            let mut hours = delivered(valid, true, Some(1));
            hours.extend(delivered(invalid, false, Some(1)));
            hours.extend(delivered(missing, false, None));
            let found = efficiency(&rule(Percent::whole(90)), hours);
            if let Some(product) = found.transmission.of(found.validity).filter(|product| product.whole > 0) {
                prop_assert_eq!(product.reaches(Percent::whole(90)), found.passes);
                prop_assert_eq!(product.hundredths(), found.product.hundredths());
            }
        }
    }
}

//! The bounds of averaging periods: half-open `[start, end)`, labelled by their start, in the jurisdiction's zone. The
//! zone of the machine has no say.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::domain::limit::AveragingPeriod;

/// One window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    pub period: AveragingPeriod,
    pub start: Timestamp,
    /// Not part of the window.
    pub end: Timestamp,
}

impl Window {
    /// The window of `period` that contains `at`.
    pub fn containing(period: AveragingPeriod, at: Timestamp, zone: &TimeZone) -> Window {
        match period {
            // Every zone in use is a whole number of minutes from UTC.
            AveragingPeriod::Minute => aligned(period, at.as_second(), 60),
            AveragingPeriod::FiveMinutes => within_the_hour(period, at, zone, 300),
            AveragingPeriod::TenMinutes => within_the_hour(period, at, zone, 600),
            AveragingPeriod::HalfHour => within_the_hour(period, at, zone, 1800),
            AveragingPeriod::Hour => within_the_hour(period, at, zone, 3600),
            AveragingPeriod::Day
            | AveragingPeriod::Month
            | AveragingPeriod::Quarter
            | AveragingPeriod::Year => by_calendar(period, at, zone),
        }
    }

    /// Whether `at` lies in it.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    /// The windows of the next lower level that make up this one, in order. A minute is made of scans and has none.
    pub fn parts(&self, zone: &TimeZone) -> Vec<Window> {
        let Some(lower) = lower(self.period) else { return Vec::new() };
        let mut parts = Vec::new();
        let mut at = self.start;
        while at < self.end {
            let part = Window::containing(lower, at, zone);
            at = part.end;
            parts.push(part);
        }
        parts
    }
}

/// The period whose averages a period is made of; `None` for the minute.
pub const fn lower(period: AveragingPeriod) -> Option<AveragingPeriod> {
    match period {
        AveragingPeriod::Minute => None,
        AveragingPeriod::FiveMinutes
        | AveragingPeriod::TenMinutes
        | AveragingPeriod::HalfHour
        | AveragingPeriod::Hour => Some(AveragingPeriod::Minute),
        AveragingPeriod::Day => Some(AveragingPeriod::Hour),
        AveragingPeriod::Month => Some(AveragingPeriod::Day),
        AveragingPeriod::Quarter => Some(AveragingPeriod::Month),
        AveragingPeriod::Year => Some(AveragingPeriod::Quarter),
    }
}

/// The periods that are made of a period's averages.
pub fn built_on(period: AveragingPeriod) -> impl Iterator<Item = AveragingPeriod> {
    AveragingPeriod::ALL.into_iter().filter(move |other| lower(*other) == Some(period))
}

fn aligned(period: AveragingPeriod, second: i64, length: i64) -> Window {
    let start = second.div_euclid(length) * length;
    bounded(period, start, start + length)
}

fn bounded(period: AveragingPeriod, start: i64, end: i64) -> Window {
    let moment = |second: i64| Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    Window { period, start: moment(start), end: moment(end) }
}

/// Aligned to the zone's clock hours, whatever the zone's offset; lengths divide an hour.
fn within_the_hour(period: AveragingPeriod, at: Timestamp, zone: &TimeZone, length: i64) -> Window {
    let offset = i64::from(zone.to_offset(at).seconds());
    let local = aligned(period, at.as_second() + offset, length);
    bounded(period, local.start.as_second() - offset, local.end.as_second() - offset)
}

fn by_calendar(period: AveragingPeriod, at: Timestamp, zone: &TimeZone) -> Window {
    let date = zone.to_datetime(at).date();
    let first_month = match period {
        AveragingPeriod::Quarter => (date.month() - 1) / 3 * 3 + 1,
        AveragingPeriod::Year => 1,
        AveragingPeriod::Minute
        | AveragingPeriod::FiveMinutes
        | AveragingPeriod::TenMinutes
        | AveragingPeriod::HalfHour
        | AveragingPeriod::Hour
        | AveragingPeriod::Day
        | AveragingPeriod::Month => date.month(),
    };
    let (start, span) = match period {
        AveragingPeriod::Month => (date.first_of_month(), 1.month()),
        AveragingPeriod::Quarter => (month_start(date, first_month), 3.months()),
        AveragingPeriod::Year => (month_start(date, first_month), 1.year()),
        AveragingPeriod::Minute
        | AveragingPeriod::FiveMinutes
        | AveragingPeriod::TenMinutes
        | AveragingPeriod::HalfHour
        | AveragingPeriod::Hour
        | AveragingPeriod::Day => (date, 1.day()),
    };
    let end = start.checked_add(span).unwrap_or(start);
    Window { period, start: midnight(start, zone), end: midnight(end, zone) }
}

fn month_start(date: Date, month: i8) -> Date {
    Date::new(date.year(), month, 1).unwrap_or(date)
}

fn midnight(date: Date, zone: &TimeZone) -> Timestamp {
    zone.to_timestamp(date.at(0, 0, 0, 0)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn bounds(period: AveragingPeriod, at: &str, name: &str) -> (String, String) {
        let window = Window::containing(period, at.parse().unwrap(), &zone(name));
        (window.start.to_string(), window.end.to_string())
    }

    #[test]
    fn days_begin_at_local_midnight() {
        let day = bounds(AveragingPeriod::Day, "2026-11-20T16:00:00Z", "Asia/Shanghai");
        assert_eq!(day, ("2026-11-20T16:00:00Z".to_owned(), "2026-11-21T16:00:00Z".to_owned()));
        // Clocks go back: 25 hours.
        let day = bounds(AveragingPeriod::Day, "2026-11-01T12:00:00Z", "America/New_York");
        assert_eq!(day, ("2026-11-01T04:00:00Z".to_owned(), "2026-11-02T05:00:00Z".to_owned()));
        let window = Window::containing(
            AveragingPeriod::Day,
            "2026-11-01T12:00:00Z".parse().unwrap(),
            &zone("America/New_York"),
        );
        assert_eq!(window.parts(&zone("America/New_York")).len(), 25);
    }

    #[test]
    fn quarters_and_years_follow_the_calendar() {
        let quarter = bounds(AveragingPeriod::Quarter, "2026-06-15T00:00:00Z", "Asia/Shanghai");
        assert_eq!(quarter, ("2026-03-31T16:00:00Z".to_owned(), "2026-06-30T16:00:00Z".to_owned()));
        let year = bounds(AveragingPeriod::Year, "2026-06-15T00:00:00Z", "UTC");
        assert_eq!(year, ("2026-01-01T00:00:00Z".to_owned(), "2027-01-01T00:00:00Z".to_owned()));
    }

    #[test]
    fn hours_follow_zones_with_half_hours() {
        let hour = bounds(AveragingPeriod::Hour, "2026-06-15T00:45:00Z", "Asia/Kolkata");
        assert_eq!(hour, ("2026-06-15T00:30:00Z".to_owned(), "2026-06-15T01:30:00Z".to_owned()));
    }

    proptest! {
        #[test]
        fn every_moment_is_in_its_window_and_parts_tile_it(second in 0_i64..4_000_000_000, index in 0_usize..9, name in 0_usize..4) {
            let zone = zone(["UTC", "Asia/Shanghai", "America/New_York", "Pacific/Apia"][name]);
            let at = Timestamp::from_second(second).unwrap();
            let window = Window::containing(AveragingPeriod::ALL[index], at, &zone);
            prop_assert!(window.contains(at));
            prop_assert_eq!(Window::containing(window.period, window.start, &zone), window);
            let parts = window.parts(&zone);
            for pair in parts.windows(2) {
                prop_assert_eq!(pair[0].end, pair[1].start);
            }
            if let (Some(first), Some(last)) = (parts.first(), parts.last()) {
                prop_assert_eq!((first.start, last.end), (window.start, window.end));
            }
        }
    }
}

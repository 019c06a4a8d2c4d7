//! By which addresses somebody is reached at a moment, in which order.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use crate::domain::alert::Severity;
use crate::domain::alerting::{Address, Person, Team};

impl Address {
    /// Whether it is for what is so grave.
    fn is_for(&self, severity: Severity) -> bool {
        self.least.is_none_or(|least| severity >= least)
    }

    /// Whether it holds at this time of day. Hours that end where they begin are the whole day.
    fn is_open(&self, clock: Time) -> bool {
        match self.hours {
            None => true,
            Some((opens, closes)) if opens < closes => opens <= clock && clock < closes,
            Some((opens, closes)) => opens <= clock || clock < closes,
        }
    }
}

/// The addresses that hold, each with its place in the list.
fn in_force<'a>(
    addresses: &'a [Address],
    at: Timestamp,
    severity: Severity,
    zone: &TimeZone,
) -> Vec<(usize, &'a Address)> {
    let clock = zone.to_datetime(at).time();
    let holds = |(_, address): &(usize, &Address)| address.is_for(severity) && address.is_open(clock);
    addresses.iter().enumerate().filter(holds).collect()
}

impl Person {
    /// The addresses by which the person is reached at a moment, in the order in which they are tried, each with its place in
    /// [`Person::addresses`]. Where none holds at that hour, the first that is for something so grave: a mistake in hours makes nobody
    /// unreachable. A notice can wait.
    pub fn addresses_at(
        &self,
        at: Timestamp,
        severity: Severity,
        zone: &TimeZone,
    ) -> impl Iterator<Item = (usize, &Address)> {
        let mut found = in_force(&self.addresses, at, severity, zone);
        if found.is_empty() && severity > Severity::Notice {
            let fits = |(_, address): &(usize, &Address)| address.is_for(severity);
            found.extend(self.addresses.iter().enumerate().find(fits));
        }
        found.into_iter()
    }
}

impl Team {
    /// The team's group addresses that hold at a moment.
    pub fn group_at(
        &self,
        at: Timestamp,
        severity: Severity,
        zone: &TimeZone,
    ) -> impl Iterator<Item = (usize, &Address)> {
        in_force(&self.group, at, severity, zone).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alerting::Language;
    use crate::domain::times::Times;

    fn address(to: &str, hours: Option<(i8, i8)>, least: Option<Severity>) -> Address {
        let hours =
            hours.map(|(opens, closes)| (Time::constant(opens, 0, 0, 0), Time::constant(closes, 0, 0, 0)));
        Address { channel: "sms".to_owned(), to: to.to_owned(), hours, least }
    }

    fn reached(addresses: &[Address], at: &str, severity: Severity) -> String {
        let person = Person {
            code: "p".to_owned(),
            name: "P".to_owned(),
            times: Times { from: Timestamp::UNIX_EPOCH, until: None },
            language: Language::Zh,
            addresses: addresses.to_vec(),
        };
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let found = person.addresses_at(at.parse().unwrap(), severity, &zone);
        found.map(|(place, address)| format!("{place}{}", address.to)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn hours_are_half_open_and_may_pass_midnight() {
        let all = [address("day", Some((8, 20)), None), address("night", Some((20, 8)), None)];
        for (clock, expected) in
            [("07:59:59", "1night"), ("08:00:00", "0day"), ("19:59:59", "0day"), ("20:00:00", "1night")]
        {
            assert_eq!(reached(&all, &format!("2026-11-21T{clock}+08:00"), Severity::Serious), expected);
        }
        assert_eq!(
            reached(&[address("always", Some((8, 8)), None)], "2026-11-21T03:00:00+08:00", Severity::Notice),
            "0always"
        );
    }

    #[test]
    fn the_order_stands_and_what_is_too_light_is_left_out() {
        let all = [
            address("bot", None, None),
            address("voice", None, Some(Severity::Critical)),
            address("sms", None, Some(Severity::Serious)),
        ];
        let at = "2026-11-21T03:00:00+08:00";
        assert_eq!(reached(&all, at, Severity::Warning), "0bot");
        assert_eq!(reached(&all, at, Severity::Serious), "0bot 2sms");
        assert_eq!(reached(&all, at, Severity::Critical), "0bot 1voice 2sms");
    }

    #[test]
    fn a_mistake_in_hours_makes_nobody_unreachable() {
        let all =
            [address("voice", Some((8, 20)), Some(Severity::Serious)), address("sms", Some((9, 12)), None)];
        let night = "2026-11-21T03:00:00+08:00";
        assert_eq!(reached(&all, night, Severity::Serious), "0voice");
        assert_eq!(reached(&all, night, Severity::Warning), "1sms");
        // Good to know can wait until somebody is reached by the hours that were asked for.
        assert_eq!(reached(&all, night, Severity::Notice), "");
        assert_eq!(reached(&[], night, Severity::Critical), "");
    }
}

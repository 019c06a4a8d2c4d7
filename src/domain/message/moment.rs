//! Times as people read them: by the clock of the jurisdiction, with the date where it is not today, today being the day of the alert.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::domain::alerting::Language;

/// A clock of a language, on a day.
#[derive(Debug, Clone)]
pub(super) struct Clock<'z> {
    pub language: Language,
    pub zone: &'z TimeZone,
    pub today: Date,
}

/// How exact a time is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    Minute,
    /// Of scans: seconds only where there are any.
    Second,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Clock<'_> {
    fn date_of(&self, at: Timestamp) -> Date {
        self.zone.to_datetime(at).date()
    }

    /// `03:00`, or `20日03:00` and `20 Nov 03:00`.
    pub fn time(&self, at: Timestamp, to: To) -> String {
        let local = self.zone.to_datetime(at);
        let (hour, minute) = (local.hour(), local.minute());
        let time = match (to, local.second()) {
            (To::Second, second @ 1..) => format!("{hour:02}:{minute:02}:{second:02}"),
            (To::Second | To::Minute, _) => format!("{hour:02}:{minute:02}"),
        };
        if local.date() == self.today {
            return time;
        }
        let date = self.date(local.date());
        match self.language {
            Language::Zh => format!("{date}{time}"),
            Language::En => format!("{date} {time}"),
        }
    }

    /// The day of a time.
    pub fn day(&self, at: Timestamp) -> String {
        self.date(self.date_of(at))
    }

    fn date(&self, date: Date) -> String {
        let (year, month, day) = (date.year(), date.month(), date.day());
        let is_year = year == self.today.year();
        match self.language {
            Language::Zh if is_year && month == self.today.month() => format!("{day}日"),
            Language::Zh if is_year => format!("{month}月{day}日"),
            Language::Zh => format!("{year}年{month}月{day}日"),
            Language::En if is_year => format!("{day} {}", name_of(month)),
            Language::En => format!("{day} {} {year}", name_of(month)),
        }
    }

    /// `03:00–04:00`; a day, a month, a quarter or a year by its name.
    pub fn span(&self, from: Timestamp, until: Timestamp, period: &str) -> String {
        let date = self.date_of(from);
        let (year, month) = (date.year(), date.month());
        match (period, self.language) {
            ("day", _) => self.date(date),
            ("month", Language::Zh) => format!("{year}年{month}月"),
            ("month", Language::En) => format!("{} {year}", name_of(month)),
            ("quarter", Language::Zh) => format!("{year}年第{}季度", (month + 2) / 3),
            ("quarter", Language::En) => format!("Q{} {year}", (month + 2) / 3),
            ("year", Language::Zh) => format!("{year}年"),
            ("year", Language::En) => format!("the year {year}"),
            _ => format!("{}–{}", self.time(from, To::Second), self.end(from, until)),
        }
    }

    /// The end of something that began on a day: midnight is 24:00 of it.
    fn end(&self, from: Timestamp, until: Timestamp) -> String {
        let (begun, ended) = (self.zone.to_datetime(from).date(), self.zone.to_datetime(until));
        if ended.date() == begun {
            let same_day = Clock { today: begun, ..self.clone() };
            return same_day.time(until, To::Second);
        }
        let is_midnight = ended.time() == jiff::civil::Time::midnight();
        if is_midnight && begun.tomorrow().is_ok_and(|next| next == ended.date()) {
            return "24:00".to_owned();
        }
        self.time(until, To::Second)
    }

    /// A text with the times that machines wrote into it (`2026-11-21T04:00:00Z`) as this clock tells them.
    pub fn told(&self, text: &str) -> String {
        let word = |word: &str| {
            let bare = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
            // Shorter ones would be other things; no word is parsed that cannot be a time.
            let is_time = bare.len() >= 20 && bare.ends_with('Z');
            match bare.parse::<Timestamp>() {
                Ok(at) if is_time => word.replacen(bare, &self.time(at, To::Second), 1),
                Ok(_) | Err(_) => word.to_owned(),
            }
        };
        text.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }
}

fn name_of(month: i8) -> &'static str {
    usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn clocks(zone: &TimeZone) -> [Clock<'_>; 2] {
        let today = jiff::civil::date(2026, 11, 21);
        Language::ALL.map(|language| Clock { language, zone, today })
    }

    #[test]
    fn the_date_stands_only_where_it_is_not_today() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let times = |text: &str, to| clocks(&zone).map(|clock| clock.time(at(text), to));
        assert_eq!(times("2026-11-20T19:00:06Z", To::Minute), ["03:00", "03:00"]);
        assert_eq!(times("2026-11-20T19:00:06Z", To::Second), ["03:00:06", "03:00:06"]);
        assert_eq!(times("2026-11-20T19:00:00Z", To::Second), ["03:00", "03:00"]);
        assert_eq!(times("2026-11-20T15:00:00Z", To::Minute), ["20日23:00", "20 Nov 23:00"]);
        assert_eq!(times("2026-10-20T15:00:00Z", To::Minute), ["10月20日23:00", "20 Oct 23:00"]);
        assert_eq!(times("2025-11-20T15:00:00Z", To::Minute), ["2025年11月20日23:00", "20 Nov 2025 23:00"]);
    }

    #[test]
    fn a_window_is_told_by_its_ends_or_its_name() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let spans = |from: &str, until: &str, period| {
            clocks(&zone).map(|clock| clock.span(at(from), at(until), period))
        };
        let hour = |from, until| spans(from, until, "hour");
        assert_eq!(hour("2026-11-20T19:00:00Z", "2026-11-20T20:00:00Z"), ["03:00–04:00", "03:00–04:00"]);
        assert_eq!(hour("2026-11-21T15:00:00Z", "2026-11-21T16:00:00Z"), ["23:00–24:00", "23:00–24:00"]);
        assert_eq!(
            hour("2026-11-20T15:00:00Z", "2026-11-20T16:00:00Z"),
            ["20日23:00–24:00", "20 Nov 23:00–24:00"]
        );
        let (from, until) = ("2026-09-30T16:00:00Z", "2026-12-31T16:00:00Z");
        assert_eq!(spans(from, until, "quarter"), ["2026年第4季度", "Q4 2026"]);
        assert_eq!(spans(from, until, "month"), ["2026年10月", "Oct 2026"]);
        assert_eq!(spans(from, until, "year"), ["2026年", "the year 2026"]);
        assert_eq!(spans(from, until, "day"), ["10月1日", "1 Oct"]);
    }

    #[test]
    fn times_within_a_text_are_told_by_the_same_clock() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let [zh, _] = clocks(&zone);
        assert_eq!(
            zh.told("the hour from 2026-11-20T19:00:00Z is met (gw-1, 12)"),
            "the hour from 03:00 is met (gw-1, 12)"
        );
    }
}

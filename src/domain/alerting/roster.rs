//! Teams and people, their shifts, holidays and swaps, as the lists have them. Who is on duty by them is in `duty`.

use jiff::civil::{Date, Time, Weekday};
use serde::{Deserialize, Serialize};

use crate::domain::alert::{Alert, AlertKind, Severity};
use crate::domain::alerting::{Address, Audience, Language};
use crate::domain::times::Times;

/// People who are told together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    pub code: String,
    pub name: String,
    pub audience: Audience,
    pub times: Times,
    /// Prefix of the divisions it is told of; empty: all.
    #[serde(default)]
    pub division: String,
    /// Unified social credit code; always there for the audience of an enterprise.
    #[serde(default)]
    pub enterprise: Option<String>,
    /// Empty: all kinds.
    #[serde(default)]
    pub kinds: Vec<AlertKind>,
    #[serde(default)]
    pub least: Option<Severity>,
    /// Hears what no other team of its audience hears, and is called where nobody of another is on duty.
    #[serde(default)]
    pub is_default: bool,
    /// Codes of people.
    #[serde(default)]
    pub leads: Vec<String>,
    /// Bots of the team's groups and the like.
    #[serde(default)]
    pub group: Vec<Address>,
    /// The language of the group.
    #[serde(default)]
    pub language: Language,
}

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub code: String,
    pub name: String,
    pub times: Times,
    #[serde(default)]
    pub language: Language,
    /// In the order in which they are tried.
    pub addresses: Vec<Address>,
}

/// Who is on duty at which hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    pub code: String,
    pub team: String,
    pub times: Times,
    /// Days on which it begins; `workday` and `restday` go by the holidays.
    pub days: Vec<Day>,
    /// Beginning and end by the clock of the jurisdiction, half-open; on the next day where the end is not later.
    pub hours: (Time, Time),
    /// Codes of people.
    pub people: Vec<String>,
}

/// A day on which a shift begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
    /// Monday to Friday but holidays, and weekend days that are worked.
    Workday,
    /// All other days.
    Restday,
}

impl Day {
    pub const ALL: [Day; 9] = [
        Day::Monday,
        Day::Tuesday,
        Day::Wednesday,
        Day::Thursday,
        Day::Friday,
        Day::Saturday,
        Day::Sunday,
        Day::Workday,
        Day::Restday,
    ];

    /// As written in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Day::Monday => "monday",
            Day::Tuesday => "tuesday",
            Day::Wednesday => "wednesday",
            Day::Thursday => "thursday",
            Day::Friday => "friday",
            Day::Saturday => "saturday",
            Day::Sunday => "sunday",
            Day::Workday => "workday",
            Day::Restday => "restday",
        }
    }

    /// Whether a date is such a day.
    pub fn is(self, date: Date, holidays: &[Holiday]) -> bool {
        let weekday = date.weekday();
        match self {
            Day::Monday => weekday == Weekday::Monday,
            Day::Tuesday => weekday == Weekday::Tuesday,
            Day::Wednesday => weekday == Weekday::Wednesday,
            Day::Thursday => weekday == Weekday::Thursday,
            Day::Friday => weekday == Weekday::Friday,
            Day::Saturday => weekday == Weekday::Saturday,
            Day::Sunday => weekday == Weekday::Sunday,
            Day::Workday => is_worked(date, holidays),
            Day::Restday => !is_worked(date, holidays),
        }
    }
}

fn is_worked(date: Date, holidays: &[Holiday]) -> bool {
    let is_weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
    holidays.iter().find(|holiday| holiday.date == date).map_or(!is_weekend, |holiday| holiday.worked)
}

/// A day that is not worked though it is none of the weekend, or the reverse (调休).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holiday {
    pub date: Date,
    pub name: String,
    pub worked: bool,
}

/// Somebody stands in for somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    pub code: String,
    pub team: String,
    pub times: Times,
    pub out: String,
    /// Who comes instead.
    pub stand_in: String,
    pub reason: String,
}

impl Team {
    /// Whether it hears of some alerts of its audience only.
    pub fn is_choosy(&self) -> bool {
        let of_enterprise = self.enterprise.is_some() && self.audience != Audience::Enterprise;
        of_enterprise || !self.division.is_empty() || !self.kinds.is_empty() || self.least.is_some()
    }

    /// Whether it hears of an alert: division, enterprise, kind and severity.
    pub fn hears(&self, alert: &Alert) -> bool {
        let place = alert.place();
        let division = place.map_or("", |place| place.division.as_str());
        let enterprise = place.map(|place| place.enterprise_code.as_str());
        let is_own = match self.audience {
            Audience::Enterprise => self.enterprise.is_some() && self.enterprise.as_deref() == enterprise,
            Audience::Bureau | Audience::Platform => {
                self.enterprise.is_none() || self.enterprise.as_deref() == enterprise
            }
        };
        is_own
            && division.starts_with(&self.division)
            && (self.kinds.is_empty() || self.kinds.contains(&alert.kind))
            && self.least.is_none_or(|least| alert.severity >= least)
    }
}

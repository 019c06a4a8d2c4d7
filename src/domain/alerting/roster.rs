//! Teams, people, and who is on duty when.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::alert::{Alert, AlertKind, Severity};
use crate::domain::alerting::{Address, Alerting, Audience, Language};
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
    /// Hears what no other team of its audience hears, and stands in where nobody is on duty.
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

/// Who of a team is on duty at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty<'a> {
    pub people: Vec<&'a Person>,
    /// Nobody is: a gap in the roster. A team without any shift has no gap: its leads are on duty.
    pub is_gap: bool,
}

impl Team {
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

impl Alerting {
    /// Who of a team is on duty at a moment, by the clock of `zone`.
    pub fn on_duty(&self, team: &Team, at: Timestamp, zone: &TimeZone) -> Duty<'_> {
        let _unused: (SignedDuration, Option<Weekday>, &TimeZone) = (SignedDuration::ZERO, None, zone);
        let people: Vec<&Person> = team.leads.iter().filter_map(|code| self.person(code, at)).collect();
        Duty { is_gap: people.is_empty(), people }
    }
}

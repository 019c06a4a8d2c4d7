//! Who is told what, and when: rules of alerting, teams and people, duty, ladders of escalation. Rows of the law's lists, each with its
//! time. Audiences are apart: an enterprise hears of its own outlets only, and is told by its own teams.

/// What is watched, from which level on, for how long.
mod rule;
/// Teams, people, shifts, holidays, swaps.
mod roster;
/// How fast a channel may send.
pub mod pace;
/// The walk up a ladder.
mod ladder;
/// Who is on duty, until when, and where nobody is.
mod duty;
/// By which addresses somebody is reached.
mod address;
/// The lists by what they are about, for many questions.
mod desk;
/// The roster at a moment, told.
mod account;
/// What is watched at each outlet, found beforehand.
mod watched;

use jiff::Timestamp;
use jiff::civil;
use serde::{Deserialize, Serialize};

use crate::domain::alert::{Alert, AlertKind, Severity};
use crate::domain::times::Times;

pub use account::{Account, By, Call, Gap, Reached};
pub use desk::Desk;
pub use duty::{Duty, Span, Together};
pub use ladder::{Rung, Telling, Told};
pub use roster::{Day, Holiday, Person, Shift, Swap, Team};
pub use rule::{AlertRule, Lines, Scope};
pub use watched::{Watched, scoped};

/// Everything about alerting that is in the lists.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alerting {
    pub rules: Vec<AlertRule>,
    pub teams: Vec<Team>,
    pub people: Vec<Person>,
    pub shifts: Vec<Shift>,
    pub holidays: Vec<Holiday>,
    pub swaps: Vec<Swap>,
    pub ladders: Vec<Ladder>,
}

/// For whom something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// Who operates the outlet.
    Enterprise,
    /// The environmental bureau.
    Bureau,
    /// Who operates this platform.
    Platform,
}

impl Audience {
    pub const ALL: [Audience; 3] = [Audience::Enterprise, Audience::Bureau, Audience::Platform];

    /// As written in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Audience::Enterprise => "enterprise",
            Audience::Bureau => "bureau",
            Audience::Platform => "platform",
        }
    }

    /// The reverse of [`Audience::name`].
    pub fn from_name(name: &str) -> Option<Audience> {
        Audience::ALL.into_iter().find(|audience| audience.name() == name)
    }
}

/// The language of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    #[default]
    Zh,
    En,
}

impl Language {
    pub const ALL: [Language; 2] = [Language::Zh, Language::En];

    /// As written in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Language::Zh => "zh",
            Language::En => "en",
        }
    }
}

/// Where somebody is reached: a channel of notification and what it calls them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Address {
    /// Name of the `[[notify]]`.
    pub channel: String,
    /// Mail address, telephone number, user id; empty where the channel itself is the address (a bot of a group).
    #[serde(default)]
    pub to: String,
    /// Only at these times of day in the jurisdiction's zone, half-open; past midnight where the end is earlier.
    #[serde(default)]
    pub hours: Option<(civil::Time, civil::Time)>,
    /// Only for what is at least this grave.
    #[serde(default)]
    pub least: Option<Severity>,
}

/// How a team is called until somebody acknowledges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    pub team: String,
    pub times: Times,
    /// By time.
    pub steps: Vec<Step>,
}

/// One step: so long after the alert, these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub after_minutes: u32,
    pub who: Vec<Who>,
}

/// Whom a step tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// Who of the team is on duty then, each by the first address that holds.
    Duty,
    /// The same by all their addresses.
    DutyEverywhere,
    /// Who leads the team.
    Leads,
    /// Everybody of the team's group addresses.
    Group,
    /// The people of another team who are on duty.
    Team(String),
    Person(String),
}

/// Steps where a team has no ladder of its own: 15, 30 and 60 minutes (regulation.md section 7).
pub fn usual_steps() -> Vec<Step> {
    let step = |after_minutes, who: &[Who]| Step { after_minutes, who: who.to_vec() };
    vec![
        step(0, &[Who::Duty, Who::Group]),
        step(15, &[Who::DutyEverywhere]),
        step(30, &[Who::DutyEverywhere, Who::Leads]),
        step(60, &[Who::DutyEverywhere, Who::Leads, Who::Group]),
    ]
}

impl Alerting {
    /// The teams of an audience that hear of an alert at a time. Default teams hear what no other does; of an enterprise only its own
    /// teams ever hear.
    pub fn teams_for<'a>(&'a self, alert: &Alert, audience: Audience, at: Timestamp) -> Vec<&'a Team> {
        let in_force = self.teams.iter().filter(|team| team.audience == audience && team.times.holds(at));
        told(&in_force.collect::<Vec<&Team>>(), alert, audience)
    }

    /// The steps of a team at a time.
    pub fn steps(&self, team: &str, at: Timestamp) -> Vec<Step> {
        let ladder = self.ladders.iter().find(|ladder| ladder.team == team && ladder.times.holds(at));
        ladder.map_or_else(usual_steps, |ladder| ladder.steps.clone())
    }

    /// A person by code, in force at a time.
    pub fn person(&self, code: &str, at: Timestamp) -> Option<&Person> {
        self.people.iter().find(|person| person.code == code && person.times.holds(at))
    }

    /// A team by code, in force at a time.
    pub fn team(&self, code: &str, at: Timestamp) -> Option<&Team> {
        self.teams.iter().find(|team| team.code == code && team.times.holds(at))
    }

    /// The rule of a kind for a place, the one with the narrowest scope; `None`: nothing of the kind is watched there.
    pub fn rule(&self, kind: AlertKind, place: Scoped<'_>, at: Timestamp) -> Option<&AlertRule> {
        let mut fitting: Vec<&AlertRule> = self
            .rules
            .iter()
            .filter(|rule| rule.kind == kind && rule.times.holds(at) && rule.scope.covers(place))
            .collect();
        fitting.sort_by_key(|rule| rule.scope.narrowness());
        fitting.pop().filter(|rule| rule.enabled)
    }
}

/// Which of the teams of an audience hear of an alert.
fn told<'a>(teams: &[&'a Team], alert: &Alert, audience: Audience) -> Vec<&'a Team> {
    let of = |is_default: bool, hears: bool| -> Vec<&'a Team> {
        let fits = |team: &&&Team| team.is_default == is_default && (!hears || team.hears(alert));
        teams.iter().filter(fits).copied().collect()
    };
    let mut told = of(false, true);
    if told.is_empty() {
        told = of(true, true);
    }
    if told.is_empty() && audience != Audience::Enterprise {
        told = of(true, false);
    }
    told
}

/// What a scope is compared with: nothing of it for what belongs to the platform.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scoped<'p> {
    pub outlet: &'p str,
    /// Unified social credit code.
    pub enterprise: &'p str,
    pub division: &'p str,
}

//! The roster at a moment, team by team, as the command and the API tell it: who is on duty until when, by which addresses, whom the
//! ladder would call at which times, and where nobody will be.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::duty::Duty;
use crate::domain::alert::Severity;
use crate::domain::alerting::{Address, Alerting, Audience, Person, Team, Who};

/// Gaps are told for so long from the moment on.
const AHEAD: SignedDuration = SignedDuration::from_hours(14 * 24);

/// One team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account<'a> {
    pub team: &'a str,
    pub name: &'a str,
    pub audience: Audience,
    pub enterprise: Option<&'a str>,
    pub division: &'a str,
    pub default: bool,
    /// Nobody of the team is on duty: `answering` are others.
    pub gap: bool,
    pub answering: Vec<Reached<'a>>,
    /// When next somebody else is; absent: not within 31 days.
    pub until: Option<Timestamp>,
    pub leads: Vec<Reached<'a>>,
    pub group: Vec<By<'a>>,
    pub ladder: Vec<Call<'a>>,
    /// Of the next 14 days.
    pub gaps: Vec<Gap>,
}

/// Somebody, with the addresses that hold at the moment in the order in which they are tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reached<'a> {
    pub person: &'a str,
    pub name: &'a str,
    pub by: Vec<By<'a>>,
}

/// An address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct By<'a> {
    pub channel: &'a str,
    pub to: &'a str,
}

/// A step of the ladder, if an alert came at the moment and nobody acknowledged it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call<'a> {
    pub at: Timestamp,
    pub after_minutes: u32,
    /// Codes of people, each once.
    pub people: Vec<&'a str>,
    /// Whether by all their addresses.
    pub everywhere: bool,
    /// Whether the team's group hears as well.
    pub group: bool,
}

/// A time without anybody on duty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gap {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Alerting {
    /// What the roster says at a moment, of one team or of all that are there then; addresses as for an alert that is so grave.
    pub fn accounts(
        &self,
        only: Option<&str>,
        at: Timestamp,
        severity: Severity,
        zone: &TimeZone,
    ) -> Vec<Account<'_>> {
        let asked = |team: &&Team| team.times.holds(at) && only.is_none_or(|code| team.code == code);
        self.teams.iter().filter(asked).map(|team| self.account(team, (at, severity), zone)).collect()
    }

    fn account<'a>(
        &'a self,
        team: &'a Team,
        (at, severity): (Timestamp, Severity),
        zone: &TimeZone,
    ) -> Account<'a> {
        let reached = |person: &'a Person| Reached {
            person: &person.code,
            name: &person.name,
            by: person.addresses_at(at, severity, zone).map(|(_, address)| by(address)).collect(),
        };
        let Duty { people, is_gap } = self.answering(team, at, zone);
        let leads = team.leads.iter().filter_map(|code| self.person(code, at));
        let ahead = (at, at.saturating_add(AHEAD).unwrap_or(Timestamp::MAX));
        let gaps = self.gaps(team, ahead, zone).into_iter().map(|(from, until)| Gap { from, until });
        Account {
            team: &team.code,
            name: &team.name,
            audience: team.audience,
            enterprise: team.enterprise.as_deref(),
            division: &team.division,
            default: team.is_default,
            gap: is_gap,
            answering: people.into_iter().map(reached).collect(),
            until: self.duty_end(team, at, zone),
            leads: leads.map(reached).collect(),
            group: team.group_at(at, severity, zone).map(|(_, address)| by(address)).collect(),
            ladder: self.calls(team, at, zone),
            gaps: gaps.collect(),
        }
    }

    fn calls<'a>(&'a self, team: &'a Team, at: Timestamp, zone: &TimeZone) -> Vec<Call<'a>> {
        let mut calls = Vec::new();
        for step in self.steps(&team.code, at) {
            let after = SignedDuration::from_mins(i64::from(step.after_minutes));
            let then = at.saturating_add(after).unwrap_or(Timestamp::MAX);
            let mut people: Vec<&'a str> = Vec::new();
            for who in &step.who {
                for person in self.called(team, who, then, zone) {
                    if !people.contains(&person.code.as_str()) {
                        people.push(&person.code);
                    }
                }
            }
            calls.push(Call {
                at: then,
                after_minutes: step.after_minutes,
                people,
                everywhere: step.who.contains(&Who::DutyEverywhere),
                group: step.who.contains(&Who::Group) && !team.group.is_empty(),
            });
        }
        calls
    }

    /// The people whom one word of a ladder's step means at a moment. A group is no person.
    pub fn called(&self, team: &Team, who: &Who, at: Timestamp, zone: &TimeZone) -> Vec<&Person> {
        match who {
            Who::Duty | Who::DutyEverywhere => self.answering(team, at, zone).people,
            Who::Leads => team.leads.iter().filter_map(|code| self.person(code, at)).collect(),
            Who::Group => Vec::new(),
            Who::Team(code) => {
                self.team(code, at).map_or_else(Vec::new, |other| self.answering(other, at, zone).people)
            }
            Who::Person(code) => self.person(code, at).into_iter().collect(),
        }
    }
}

fn by(address: &Address) -> By<'_> {
    By { channel: &address.channel, to: &address.to }
}

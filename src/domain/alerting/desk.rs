//! The lists by what they are about. Made once, it answers for thousands of alerts: each question costs what concerns its team and
//! not what the lists hold of others.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::duty::{Rota, stands_in};
use super::{told, usual_steps};
use crate::domain::alert::Alert;
use crate::domain::alerting::{Alerting, Audience, Duty, Ladder, Person, Shift, Step, Swap, Team};

/// What [`Alerting`] answers, for many questions.
#[derive(Debug)]
pub struct Desk<'a> {
    alerting: &'a Alerting,
    teams: HashMap<&'a str, Vec<&'a Team>>,
    /// Of the audience of enterprises, by enterprise.
    of_enterprise: HashMap<&'a str, Vec<&'a Team>>,
    /// Of the other audiences.
    of_all: Vec<&'a Team>,
    people: HashMap<&'a str, Vec<&'a Person>>,
    shifts: HashMap<&'a str, Vec<&'a Shift>>,
    swaps: HashMap<&'a str, Vec<&'a Swap>>,
    ladders: HashMap<&'a str, Vec<&'a Ladder>>,
}

fn by<'a, T>(entries: &'a [T], key: impl Fn(&'a T) -> &'a str) -> HashMap<&'a str, Vec<&'a T>> {
    let mut groups: HashMap<&str, Vec<&T>> = HashMap::new();
    for entry in entries {
        groups.entry(key(entry)).or_default().push(entry);
    }
    groups
}

fn of_key<'a, 'm, T>(groups: &'m HashMap<&'a str, Vec<&'a T>>, key: &str) -> &'m [&'a T] {
    groups.get(key).map_or(&[], Vec::as_slice)
}

impl<'a> Desk<'a> {
    /// Sorts the lists; nothing is copied.
    pub fn new(alerting: &'a Alerting) -> Desk<'a> {
        let mut of_enterprise: HashMap<&str, Vec<&Team>> = HashMap::new();
        let mut of_all = Vec::new();
        for team in &alerting.teams {
            match &team.enterprise {
                Some(enterprise) if team.audience == Audience::Enterprise => {
                    of_enterprise.entry(enterprise).or_default().push(team);
                }
                Some(_) | None => of_all.push(team),
            }
        }
        Desk {
            alerting,
            teams: by(&alerting.teams, |team| &team.code),
            of_enterprise,
            of_all,
            people: by(&alerting.people, |person| &person.code),
            shifts: by(&alerting.shifts, |shift| &shift.team),
            swaps: by(&alerting.swaps, |swap| &swap.team),
            ladders: by(&alerting.ladders, |ladder| &ladder.team),
        }
    }

    /// As [`Alerting::teams_for`].
    pub fn teams_for(&self, alert: &Alert, audience: Audience, at: Timestamp) -> Vec<&'a Team> {
        let teams = if audience == Audience::Enterprise {
            let enterprise = alert.place().map_or("", |place| place.enterprise_code.as_str());
            of_key(&self.of_enterprise, enterprise)
        } else {
            &self.of_all
        };
        let in_force = teams.iter().filter(|team| team.audience == audience && team.times.holds(at));
        told(&in_force.copied().collect::<Vec<&'a Team>>(), alert, audience)
    }

    /// As [`Alerting::team`].
    pub fn team(&self, code: &str, at: Timestamp) -> Option<&'a Team> {
        of_key(&self.teams, code).iter().find(|team| team.times.holds(at)).copied()
    }

    /// As [`Alerting::person`].
    pub fn person(&self, code: &str, at: Timestamp) -> Option<&'a Person> {
        of_key(&self.people, code).iter().find(|person| person.times.holds(at)).copied()
    }

    /// As [`Alerting::steps`].
    pub fn steps(&self, team: &str, at: Timestamp) -> Vec<Step> {
        let ladder = of_key(&self.ladders, team).iter().find(|ladder| ladder.times.holds(at));
        ladder.map_or_else(usual_steps, |ladder| ladder.steps.clone())
    }

    /// As [`Alerting::on_duty`].
    pub fn on_duty(&self, team: &Team, at: Timestamp, zone: &TimeZone) -> Duty<'a> {
        self.rota(team).on_duty(team, at, zone)
    }

    /// As [`Alerting::answering`].
    pub fn answering(&self, team: &Team, at: Timestamp, zone: &TimeZone) -> Duty<'a> {
        let own = self.on_duty(team, at, zone);
        if !own.is_gap {
            return own;
        }
        let candidates = match &team.enterprise {
            Some(enterprise) if team.audience == Audience::Enterprise => {
                of_key(&self.of_enterprise, enterprise)
            }
            Some(_) | None => &self.of_all,
        };
        let defaults = candidates.iter().filter(|other| stands_in(other, team, at));
        let instead =
            defaults.map(|other| self.on_duty(other, at, zone).people).find(|them| !them.is_empty());
        let leads = || team.leads.iter().filter_map(|code| self.person(code, at)).collect();
        Duty { people: instead.unwrap_or_else(leads), is_gap: true }
    }

    fn rota(&self, team: &Team) -> Rota<'a> {
        let shifts = of_key(&self.shifts, &team.code).to_vec();
        let swaps = of_key(&self.swaps, &team.code).to_vec();
        let named = (shifts.iter().flat_map(|shift| &shift.people))
            .chain(swaps.iter().map(|swap| &swap.stand_in))
            .chain(&team.leads);
        // Who is named twice is found twice, which changes nothing.
        let people = named.flat_map(|code| of_key(&self.people, code)).copied().collect();
        Rota { shifts, swaps, people, holidays: &self.alerting.holidays }
    }
}

#[cfg(test)]
mod tests;

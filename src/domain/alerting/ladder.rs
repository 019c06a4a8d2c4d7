//! The walk up a ladder: whom a step tells, and when the next one is due. Times come in; whoever is on duty when a step is due is told,
//! so a ladder goes on across a change of shift with the people who came.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::domain::alert::{Alert, Severity};
use crate::domain::alerting::{Address, Audience, Desk, Language, Person, Team, Who};

/// What one step does for one audience.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Telling {
    pub told: Vec<Told>,
    /// When the next step is due; `None`: this was the last.
    pub next_at: Option<Timestamp>,
    /// Teams of which nobody was on duty: their default was told.
    pub gaps: Vec<String>,
}

/// One way to one person or group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    pub channel: String,
    pub to: String,
    pub team: String,
    /// `None`: a group.
    pub person: Option<String>,
    pub language: Language,
    /// Which of the person's addresses, from 0.
    pub address: usize,
    /// Whether the person has another one to fail over to.
    pub has_more: bool,
}

/// An alert, at a step of its ladder.
#[derive(Debug, Clone, Copy)]
pub struct Rung<'a> {
    pub alert: &'a Alert,
    pub audience: Audience,
    /// Steps are counted from here.
    pub since: Timestamp,
    pub step: usize,
}

impl Desk<'_> {
    /// All addresses of people, whatever the hour: for a test of them.
    pub fn every_way(people: &[&Person], team: &str) -> Vec<Told> {
        let of = |person: &&Person| {
            let way = |(index, address): (usize, &Address)| Told {
                channel: address.channel.clone(),
                to: address.to.clone(),
                team: team.to_owned(),
                person: Some(person.code.clone()),
                language: person.language,
                address: index,
                has_more: false,
            };
            person.addresses.iter().enumerate().map(way).collect::<Vec<Told>>()
        };
        people.iter().flat_map(of).collect()
    }

    /// Whom the step tells at `at`, and when the next one is due. Each way once, whatever teams share it.
    pub fn telling(&self, rung: Rung<'_>, (at, zone): (Timestamp, &TimeZone)) -> Telling {
        let teams = self.teams_for(rung.alert, rung.audience, at);
        let steps: Vec<_> = teams.iter().map(|team| (*team, self.steps(&team.code, at))).collect();
        let mut minutes: Vec<u32> =
            steps.iter().flat_map(|(_, steps)| steps.iter().map(|step| step.after_minutes)).collect();
        minutes.sort_unstable();
        minutes.dedup();
        let mut telling = Telling::default();
        let Some(now) = minutes.get(rung.step) else { return telling };
        let after = |minutes: u32| SignedDuration::from_mins(i64::from(minutes));
        // After an outage of ours the steps that are overdue do not come all at once.
        let next = minutes.get(rung.step + 1);
        telling.next_at = next.map(|next| (rung.since + after(*next)).max(at + after(next - now) / 2));
        for (team, steps) in &steps {
            let whom = steps.iter().filter(|step| step.after_minutes == *now).flat_map(|step| &step.who);
            for who in whom {
                self.tell(who, (team, rung.alert.severity), (at, zone), &mut telling);
            }
        }
        telling.told.sort();
        telling.told.dedup_by(|a, b| (&a.channel, &a.to) == (&b.channel, &b.to));
        telling
    }

    fn tell(
        &self,
        who: &Who,
        (team, severity): (&Team, Severity),
        (at, zone): (Timestamp, &TimeZone),
        telling: &mut Telling,
    ) {
        let first =
            |person: &Person, team: &Team| ways(person, team, (severity, at), zone).into_iter().take(1);
        match who {
            Who::Duty => {
                for person in self.duty(team, (at, zone), telling) {
                    telling.told.extend(first(person, team));
                }
            }
            Who::DutyEverywhere => {
                for person in self.duty(team, (at, zone), telling) {
                    telling.told.extend(ways(person, team, (severity, at), zone));
                }
            }
            Who::Team(code) => {
                let Some(other) = self.team(code, at) else { return };
                for person in self.duty(other, (at, zone), telling) {
                    telling.told.extend(first(person, other));
                }
            }
            Who::Leads => {
                for person in team.leads.iter().filter_map(|code| self.person(code, at)) {
                    telling.told.extend(first(person, team));
                }
            }
            Who::Person(code) => {
                telling.told.extend(self.person(code, at).into_iter().flat_map(|person| first(person, team)));
            }
            Who::Group => {
                let heard = team.group_at(at, severity, zone);
                telling.told.extend(heard.map(|(_, way)| group(way, team)));
            }
        }
    }

    /// Who answers for a team; a gap is noted.
    fn duty<'a>(
        &'a self,
        team: &Team,
        (at, zone): (Timestamp, &TimeZone),
        telling: &mut Telling,
    ) -> Vec<&'a Person> {
        let duty = self.answering(team, at, zone);
        if duty.is_gap && !telling.gaps.contains(&team.code) {
            telling.gaps.push(team.code.clone());
        }
        duty.people
    }
}

/// A person's ways at a time, in their order.
fn ways(person: &Person, team: &Team, (severity, at): (Severity, Timestamp), zone: &TimeZone) -> Vec<Told> {
    let addresses: Vec<(usize, &Address)> = person.addresses_at(at, severity, zone).collect();
    let last = addresses.len().saturating_sub(1);
    let told = |(place, (index, address)): (usize, &(usize, &Address))| Told {
        channel: address.channel.clone(),
        to: address.to.clone(),
        team: team.code.clone(),
        person: Some(person.code.clone()),
        language: person.language,
        address: *index,
        has_more: place < last,
    };
    addresses.iter().enumerate().map(told).collect()
}

fn group(address: &Address, team: &Team) -> Told {
    Told {
        channel: address.channel.clone(),
        to: address.to.clone(),
        team: team.code.clone(),
        person: None,
        language: team.language,
        address: 0,
        has_more: false,
    }
}

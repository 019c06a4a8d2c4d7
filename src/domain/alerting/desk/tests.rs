//! The desk answers as the lists do, and soon enough for a storm.

use jiff::civil::Time;

use super::*;
use crate::domain::alert::{AlertKind, Place, Severity};
use crate::domain::alerting::{Address, Day, Language};
use crate::domain::times::Times;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// So many enterprises, each with a team of its own, three shifts and four people; and a bureau of twenty counties.
fn province(enterprises: usize) -> Alerting {
    let times = Times { from: Timestamp::UNIX_EPOCH, until: None };
    let mut lists = Alerting::default();
    let team = |code: String, audience: Audience| Team {
        name: code.clone(),
        code,
        audience,
        times,
        division: String::new(),
        enterprise: None,
        kinds: Vec::new(),
        least: None,
        is_default: false,
        leads: Vec::new(),
        group: Vec::new(),
        language: Language::Zh,
    };
    let mut add = |mut team: Team| {
        let people: Vec<String> = (0..4).map(|n| format!("{}-{n}", team.code)).collect();
        team.leads = people.iter().skip(3).cloned().collect();
        for (n, (from, until)) in [(0, 8), (8, 16), (16, 0)].into_iter().enumerate() {
            lists.shifts.push(Shift {
                code: format!("{}-{n}", team.code),
                team: team.code.clone(),
                times,
                days: vec![Day::Workday, Day::Restday],
                hours: (Time::constant(from, 0, 0, 0), Time::constant(until, 0, 0, 0)),
                people: vec![people[n].clone()],
            });
        }
        lists.people.extend(people.into_iter().map(|code| Person {
            name: code.clone(),
            code,
            times,
            language: Language::Zh,
            addresses: vec![Address {
                channel: "sms".to_owned(),
                to: "13800000000".to_owned(),
                hours: None,
                least: None,
            }],
        }));
        lists.teams.push(team);
    };
    for number in 0..enterprises {
        let code = format!("{number:018}");
        add(Team { enterprise: Some(code.clone()), ..team(format!("e-{number}"), Audience::Enterprise) });
    }
    for county in 0..20 {
        add(Team {
            division: format!("4108{county:02}"),
            ..team(format!("county-{county}"), Audience::Bureau)
        });
    }
    add(Team { is_default: true, ..team("bureau".to_owned(), Audience::Bureau) });
    lists
}

fn alert(enterprise: usize, division: &str) -> Alert {
    let mut alert = Alert::new(AlertKind::Exceedance, at("2026-11-21T03:00:00Z"), at("2026-11-21T03:00:00Z"));
    alert.outlet = Some(Place {
        enterprise_code: format!("{enterprise:018}"),
        division: division.to_owned(),
        ..Place::default()
    });
    alert
}

fn codes(teams: &[&Team]) -> String {
    teams.iter().map(|team| team.code.as_str()).collect::<Vec<_>>().join("+")
}

#[test]
fn the_team_of_an_enterprise_hears_of_its_gateways_too() {
    let lists = province(2);
    let mut of_gateway = alert(1, "410801");
    of_gateway.concerns = of_gateway.outlet.take();
    let now = at("2026-11-21T03:00:00Z");
    assert_eq!(codes(&Desk::new(&lists).teams_for(&of_gateway, Audience::Enterprise, now)), "e-1");
    assert_eq!(codes(&lists.teams_for(&of_gateway, Audience::Enterprise, now)), "e-1");
}

#[test]
fn default_teams_hear_what_no_other_does() {
    let lists = province(3);
    let now = at("2026-11-21T03:00:00Z");
    let told = |alert: &Alert, audience| codes(&lists.teams_for(alert, audience, now));
    assert_eq!(told(&alert(1, "410803"), Audience::Bureau), "county-3");
    assert_eq!(told(&alert(1, "410899"), Audience::Bureau), "bureau");
    assert_eq!(told(&alert(1, "410803"), Audience::Enterprise), "e-1");
    assert_eq!(told(&alert(7, "410803"), Audience::Enterprise), "", "others do not hear of it");
    assert_eq!(told(&alert(1, "410803"), Audience::Platform), "");
    let mut nowhere = alert(1, "");
    nowhere.outlet = None;
    assert_eq!(told(&nowhere, Audience::Bureau), "bureau");
    assert_eq!(told(&nowhere, Audience::Enterprise), "");
    // An enterprise's default hears what its other team does not, and no more.
    let mut lists = lists;
    lists.teams[1].least = Some(Severity::Critical);
    let mut more = lists.teams[1].clone();
    (more.code, more.is_default, more.least) = ("e-1-all".to_owned(), true, None);
    lists.teams.push(more);
    let told = |level| codes(&lists.teams_for(&alert(1, "").at_level(level), Audience::Enterprise, now));
    assert_eq!((told(1), told(3)), ("e-1-all".to_owned(), "e-1".to_owned()));
}

#[test]
fn the_desk_says_what_the_lists_say() {
    let mut lists = province(40);
    // Gaps and swaps too.
    lists.shifts.remove(4);
    lists.swaps.push(Swap {
        code: "s".to_owned(),
        team: "e-2".to_owned(),
        times: Times { from: Timestamp::UNIX_EPOCH, until: None },
        out: "e-2-1".to_owned(),
        stand_in: "e-2-3".to_owned(),
        reason: "leave".to_owned(),
    });
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let desk = Desk::new(&lists);
    let mut asked = 0;
    for hour in 0..24 {
        let now = at(&format!("2026-11-21T{hour:02}:00:00Z"));
        for enterprise in 0..42 {
            let alert = alert(enterprise, &format!("4108{:02}", enterprise % 23));
            for audience in Audience::ALL {
                let teams = lists.teams_for(&alert, audience, now);
                assert_eq!(desk.teams_for(&alert, audience, now), teams);
                for team in teams {
                    asked += 1;
                    assert_eq!(desk.on_duty(team, now, &zone), lists.on_duty(team, now, &zone));
                    assert_eq!(desk.answering(team, now, &zone), lists.answering(team, now, &zone));
                    assert_eq!(desk.steps(&team.code, now), lists.steps(&team.code, now));
                    assert_eq!(desk.team(&team.code, now), lists.team(&team.code, now));
                    let lead = &team.leads[0];
                    assert_eq!(desk.person(lead, now), lists.person(lead, now));
                }
            }
        }
    }
    assert!(asked > 1900, "{asked}");
}

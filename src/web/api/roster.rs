//! `/api/v1/roster`: who is on duty.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use jiff::Timestamp;
use serde::Serialize;

use crate::clock;
use crate::domain::alerting::{Address, Audience, Person, Team};
use crate::domain::plant::Plant;
use crate::domain::recipient::masked;
use crate::domain::token::Reach;
use crate::web::Web;
use crate::web::auth::Caller;
use crate::web::error::Refused;
use crate::web::parameters::{Parameters, shown};

#[derive(Debug, Serialize)]
pub(in crate::web) struct Page {
    at: Timestamp,
    teams: Vec<TeamView>,
}

#[derive(Debug, Serialize)]
struct TeamView {
    team: String,
    name: String,
    audience: Audience,
    enterprise: Option<String>,
    division: String,
    /// Who is on duty.
    people: Vec<PersonView>,
    /// Nobody is, though there is a roster: the default team is told instead.
    is_gap: bool,
    /// The addresses of the team itself.
    group: Vec<AddressView>,
}

#[derive(Debug, Serialize)]
struct PersonView {
    person: String,
    name: String,
    language: &'static str,
    addresses: Vec<AddressView>,
}

/// Where somebody is reached; the middle is hidden.
#[derive(Debug, Serialize)]
struct AddressView {
    channel: String,
    to: String,
}

/// Who is on duty at a time, now where none is given.
pub(in crate::web) async fn roster(
    State(web): State<Arc<Web>>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Page>, Refused> {
    let parameters = Parameters::read(&uri, &["at", "team"])?;
    let at = parameters.time("at")?.unwrap_or_else(clock::now);
    let frames = web.frames();
    let alerting = &frames.alerting;
    let plant = web.plant();
    let shown_to = |team: &&Team| team.times.holds(at) && may_see(&caller.reach, team, &plant);
    let mut teams: Vec<&Team> = alerting.teams.iter().filter(shown_to).collect();
    if let Some(code) = parameters.text("team") {
        teams.retain(|team| team.code == code);
        if teams.is_empty() {
            let text = format!("no team has the code {} at {at}; leave it out to see all", shown(code));
            return Err(Refused::Unknown { field: Some("team"), text });
        }
    }
    let view = |team: &&Team| {
        let duty = alerting.on_duty(team, at, &web.zone);
        TeamView {
            team: team.code.clone(),
            name: team.name.clone(),
            audience: team.audience,
            enterprise: team.enterprise.clone(),
            division: team.division.clone(),
            people: duty.people.iter().map(|person| person_view(person)).collect(),
            is_gap: duty.is_gap,
            group: addresses(&team.group),
        }
    };
    Ok(Json(Page { at, teams: teams.iter().map(view).collect() }))
}

/// An enterprise sees its own teams; the bureau those of its divisions and of the enterprises in them.
fn may_see(reach: &Reach, team: &Team, plant: &Plant) -> bool {
    match (&reach.enterprise, &team.enterprise) {
        (Some(own), of) => team.audience == Audience::Enterprise && of.as_ref() == Some(own),
        (None, Some(of)) if !reach.division.is_empty() => {
            let mut outlets = plant.outlets.iter().filter(|outlet| outlet.enterprise.code == *of);
            outlets.any(|outlet| reach.covers(of, &outlet.enterprise.division))
        }
        (None, _) => team.division.starts_with(&reach.division) || reach.division.starts_with(&team.division),
    }
}

fn person_view(person: &Person) -> PersonView {
    PersonView {
        person: person.code.clone(),
        name: person.name.clone(),
        language: person.language.name(),
        addresses: addresses(&person.addresses),
    }
}

fn addresses(addresses: &[Address]) -> Vec<AddressView> {
    let view = |address: &Address| AddressView {
        channel: address.channel.clone(),
        to: if address.to.is_empty() { String::new() } else { masked(&address.to) },
    };
    addresses.iter().map(view).collect()
}

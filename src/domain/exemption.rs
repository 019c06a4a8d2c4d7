//! Hours that a rule lets go unjudged. Nothing is exempt by default: only the states, pollutants and industries that an
//! exemption names, within its hours a year, and only when marked and not contested. The value stays visible.

use serde::{Deserialize, Serialize};

use crate::domain::law::OutletLaw;
use crate::domain::mark::{Claim, Ruled};
use crate::domain::plant::Outlet;
use crate::domain::source_state::SourceState;
use crate::domain::times::{Times, seconds_claimed};
use crate::domain::validity::Occupied;
use crate::domain::window::Window;

/// One exemption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exemption {
    pub code: String,
    /// The document and the place in it.
    pub document: String,
    pub times: Times,
    /// Prefix of the divisions, empty for everywhere.
    pub division: String,
    /// Prefix of the industries (GB/T 4754).
    pub industry: String,
    /// Factor codes.
    pub pollutants: Vec<String>,
    pub states: Vec<SourceState>,
    /// Hours in a calendar year; all states together.
    pub hours_per_year: u32,
}

/// What an exemption says of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exempted {
    Yes {
        seconds_used: u64,
    },
    /// Signals contradict a mark in this hour.
    Contested,
    /// The state is not marked, or its mark does not count.
    NotMarked,
    /// The hours of the year are used up.
    CapUsed {
        seconds_used: u64,
    },
}

impl Exempted {
    /// In words.
    pub fn told(&self, exemption: &Exemption) -> String {
        let code = &exemption.code;
        let used = |seconds: u64| {
            let (hours, minutes) = (seconds / 3600, seconds % 3600 / 60);
            format!("{hours} h {minutes} min of {} h", exemption.hours_per_year)
        };
        match self {
            Exempted::Yes { seconds_used } => {
                format!("exempt by {code} ({}): {} of the year used", exemption.document, used(*seconds_used))
            }
            Exempted::Contested => format!("{code} does not apply: a mark of the hour is contested"),
            Exempted::NotMarked => {
                format!("{code} does not apply: the state is not marked, or its mark does not count")
            }
            Exempted::CapUsed { seconds_used } => {
                format!("{code} does not apply: {} of the year claimed", used(*seconds_used))
            }
        }
    }
}

/// What the first exemption that is about this pollutant and state says of an hour, `None` when there is none. `year` is the
/// calendar year of the hour in the jurisdiction's zone. Claimed time counts towards the cap in the order of the calendar,
/// whether its hours were judged or not.
pub fn exempted<'l>(
    law: &'l OutletLaw,
    outlet: &Outlet,
    factor: &str,
    (hour, year): (Window, Window),
    occupied: Occupied,
) -> Option<(&'l Exemption, Exempted)> {
    let exemption = law.exemptions.iter().find(|exemption| {
        exemption.times.holds(hour.start)
            && outlet.enterprise.division.starts_with(&exemption.division)
            && outlet.enterprise.industry.starts_with(&exemption.industry)
            && exemption.pollutants.iter().any(|pollutant| pollutant == factor)
            && exemption.states.contains(&occupied.state)
    })?;
    if occupied.contested {
        return Some((exemption, Exempted::Contested));
    }
    if !occupied.marked {
        return Some((exemption, Exempted::NotMarked));
    }
    let claims_it = |ruled: &&Ruled| {
        let Claim::State(state) = ruled.claim else { return false };
        ruled.in_effect() && exemption.states.contains(&state)
    };
    let claimed: Vec<Times> = law.marks.iter().filter(claims_it).map(|ruled| ruled.times).collect();
    let seconds_used = seconds_claimed(&claimed, (year.start, hour.end));
    let cap = u64::from(exemption.hours_per_year) * 3600;
    let outcome =
        if seconds_used <= cap { Exempted::Yes { seconds_used } } else { Exempted::CapUsed { seconds_used } };
    Some((exemption, outcome))
}

//! Substitution of missing hourly masses, HJ 75-2017 tables 5 and 6. Only mass is substituted, never a concentration; a
//! substitute stands beside what was measured and says which hour it is from. Until the quarter ends all of it is provisional,
//! since the capture rate may still change.

use jiff::Timestamp;

use crate::domain::average::ChannelAverage;
use crate::domain::capture::{Capture, HourClass};
use crate::domain::judgement::Ground;
use crate::domain::plant::{Channel, Outlet, Position};
use crate::domain::pollutant::Role;
use crate::domain::quality::out_at;
use crate::domain::share::{Percent, Share};
use crate::domain::source_state::SourceState;
use crate::domain::validity::Overlay;
use crate::domain::window::Window;

/// The numbers of a table, as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// On every figure that was made by it.
    pub name: &'static str,
    /// Factor codes of the pollutants whose mass is substituted.
    pub factors: &'static [&'static str],
    /// From this capture rate on, short and long gaps are told apart.
    pub good: Percent,
    /// From this one on there is a substitute at all.
    pub fair: Percent,
    /// Gaps of at most so many hours are short.
    pub short_hours: u32,
    /// How many valid hours are looked back on: short gap, long gap, fair rate.
    pub look_back: [usize; 3],
}

/// HJ 75-2017 tables 5 and 6: 180, 720 and 2160 valid hours; SO2, NOx and particulate matter.
pub const HJ75_2017: Table = Table {
    name: "HJ75-2017-5-6/1",
    factors: &["a21026", "a21002", "a34013"],
    good: Percent::whole(90),
    fair: Percent::whole(75),
    short_hours: 24,
    look_back: [180, 720, 2160],
};

/// One hour of one pollutant at one outlet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourMass {
    pub start: Timestamp,
    pub class: HourClass,
    /// As measured, milligrams; also of hours that are not valid (the sum of their valid minutes).
    pub mass_mg: Option<i64>,
    /// Of an hour out of control: the last good check before.
    pub last_good: Option<Timestamp>,
}

impl Table {
    /// The channels of an outlet whose mass it is about: none where nothing gives a flow.
    pub fn positions(&self, outlet: &Outlet) -> Vec<Position> {
        let is_flow = |channel: &Channel| matches!(channel.factor.role, Role::Flow | Role::Velocity);
        if !outlet.channels.iter().any(is_flow) {
            return Vec::new();
        }
        let channels = outlet.channels.iter().enumerate();
        channels
            .filter(|(_, channel)| self.factors.contains(&channel.factor.code.as_str()))
            .map(|(position, _)| position)
            .collect()
    }
}

impl HourMass {
    /// An hour of the channel at `position`: from its average, or, where there is none, from what lies over its minutes.
    pub fn of(
        ground: &Ground<'_>,
        position: Position,
        (hour, average): (Window, Option<&ChannelAverage>),
        overlay: &Overlay,
    ) -> HourMass {
        let settings =
            ground.outlet.channels.get(position).and_then(|channel| channel.settings.at(hour.start));
        let out =
            settings.and_then(|settings| out_at(&ground.law.out_of_control, &settings.analyser, hour.start));
        let needed = ground.regime.counts.hour;
        let class = match average {
            Some(average) => HourClass::of(average, out),
            None if overlay.occupied(needed).state == SourceState::Stopped => HourClass::Stopped,
            None if out.is_some() => HourClass::OutOfControl,
            None => HourClass::Invalid,
        };
        HourMass {
            start: hour.start,
            class,
            mass_mg: average.and_then(|average| average.mass_mg),
            last_good: out.and_then(|out| out.last_good),
        }
    }

    /// A valid hour without a mass (no flow) is missing as far as mass goes.
    fn class(&self) -> HourClass {
        if self.class == HourClass::Valid && self.mass_mg.is_none() { HourClass::Invalid } else { self.class }
    }
}

/// Whether more hours of the quarter may come or change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finality {
    Provisional,
    Final,
}

/// Why an hour needs a substitute, and so which table is about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Situation {
    /// Table 5: out of control. Looks back from the last good check.
    OutOfControl,
    /// Table 6: maintenance or otherwise invalid. Looks back from the beginning of the gap.
    Missing,
}

impl Situation {
    /// As written in tables and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Situation::OutOfControl => "table-5",
            Situation::Missing => "table-6",
        }
    }
}

/// A substitute with all that it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Substitute {
    pub start: Timestamp,
    pub situation: Situation,
    pub mass_mg: i64,
    /// The hour whose mass it is.
    pub from_hour: Timestamp,
    /// How many valid hours were looked back on, of how many the table asks for.
    pub looked_back: usize,
    pub look_back: usize,
    /// Length of the gap, hours.
    pub gap_hours: u32,
}

/// A quarter of one pollutant at one outlet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarter {
    pub capture: Capture,
    pub finality: Finality,
    /// By hour.
    pub substitutes: Vec<Substitute>,
    /// Hours that need a substitute and have none: capture rate too low, or nothing to look back on.
    pub without: Vec<Timestamp>,
    /// Measured in valid hours, and in what could be measured of hours that have no substitute, milligrams.
    pub measured_mg: i128,
    /// Substituted, milligrams. Never part of `measured_mg`.
    pub substituted_mg: i128,
}

impl Quarter {
    /// The capture rate a.
    pub const fn rate(&self) -> Share {
        self.capture.rate()
    }
}

/// A valid hour's beginning and mass.
type Known = (Timestamp, i64);

/// The hours around a quarter, in any order, each once.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// At least as many as hold the 2160 valid ones that may be looked back on.
    pub before: &'a [HourMass],
    /// To the end of a gap that goes on into the next quarter.
    pub after: &'a [HourMass],
}

/// Substitutes the missing masses of a quarter.
pub fn substitute(table: &Table, quarter: &[HourMass], around: Around<'_>, finality: Finality) -> Quarter {
    let mut all: Vec<&HourMass> = around.before.iter().chain(quarter).chain(around.after).collect();
    all.sort_by_key(|hour| hour.start);
    let first = quarter.iter().map(|hour| hour.start).min();
    let last = quarter.iter().map(|hour| hour.start).max();
    let capture = Capture::count(quarter.iter().map(HourMass::class));
    let valid: Vec<Known> = all
        .iter()
        .filter(|hour| hour.class() == HourClass::Valid)
        .filter_map(|hour| Some((hour.start, hour.mass_mg?)))
        .collect();
    let mut result = Quarter {
        capture,
        finality,
        substitutes: Vec::new(),
        without: Vec::new(),
        measured_mg: 0,
        substituted_mg: 0,
    };
    for gap in gaps(&all) {
        for hour in gap.iter().filter(|hour| Some(hour.start) >= first && Some(hour.start) <= last) {
            if let Some(found) = substitute_of(table, (hour, gap), capture.rate(), &valid) {
                result.substituted_mg += i128::from(found.mass_mg);
                result.substitutes.push(found);
            } else {
                result.measured_mg += i128::from(hour.mass_mg.unwrap_or(0));
                result.without.push(hour.start);
            }
        }
    }
    let counted = quarter.iter().filter(|hour| needs(hour).is_none());
    result.measured_mg += counted.map(|hour| i128::from(hour.mass_mg.unwrap_or(0))).sum::<i128>();
    result
}

/// Whether an hour is part of a gap.
pub fn is_missing(hour: &HourMass) -> bool {
    needs(hour).is_some()
}

/// Whether an hour needs a substitute, and by which table.
fn needs(hour: &HourMass) -> Option<Situation> {
    match hour.class() {
        HourClass::Valid | HourClass::Stopped => None,
        HourClass::OutOfControl => Some(Situation::OutOfControl),
        HourClass::Invalid => Some(Situation::Missing),
    }
}

/// Runs of hours that need a substitute. A valid or a stopped hour ends a gap, and so does an hour that was not handed in.
fn gaps<'h, 'm>(hours: &'h [&'m HourMass]) -> impl Iterator<Item = &'h [&'m HourMass]> {
    hours
        .chunk_by(|a, b| {
            needs(a).is_some() == needs(b).is_some() && b.start.as_second() - a.start.as_second() == 3600
        })
        .filter(|run| run.first().is_some_and(|hour| needs(hour).is_some()))
}

fn substitute_of(
    table: &Table,
    (hour, gap): (&HourMass, &[&HourMass]),
    rate: Share,
    valid: &[Known],
) -> Option<Substitute> {
    let situation = needs(hour)?;
    let gap_start = gap.first()?.start;
    let gap_hours = u32::try_from(gap.len()).unwrap_or(u32::MAX);
    let [short, long, fair] = table.look_back;
    let look_back = match (rate.reaches(table.good)?, rate.reaches(table.fair)?) {
        (true, _) if gap_hours <= table.short_hours => short,
        (true, _) => long,
        (false, true) => fair,
        (false, false) => return None,
    };
    let reference = match situation {
        Situation::OutOfControl => hour.last_good.unwrap_or(gap_start).min(gap_start),
        Situation::Missing => gap_start,
    };
    // A valid hour counts when it ended by then.
    let ended = valid.partition_point(|(start, _)| start.as_second() + 3600 <= reference.as_second());
    let window = valid.get(ended.saturating_sub(look_back)..ended)?;
    // Of equal masses the newest hour.
    let (from_hour, mass_mg) = window.iter().copied().max_by_key(|(start, mass)| (*mass, *start))?;
    Some(Substitute {
        start: hour.start,
        situation,
        mass_mg,
        from_hour,
        looked_back: window.len(),
        look_back,
        gap_hours,
    })
}

#[cfg(test)]
mod tests;

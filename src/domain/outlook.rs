//! How a running hour will end: its mean to date, the level at which the rest still keeps the limit, and the minute from which that is no
//! longer possible. Reckoned as an hour is judged: means of the minutes that count, then the conversion to the rule's own reference.

use jiff::{SignedDuration, Timestamp};

use crate::domain::alert::Outlook;
use crate::domain::average::{ChannelAverage, snap};
use crate::domain::correction::{Unwatched, to_reference};
use crate::domain::exceedance::highest_kept;
use crate::domain::judgement::Parts;
use crate::domain::limit::Rule;
use crate::domain::plant::{Outlet, OutletSettings, Position};
use crate::domain::pollutant::Role;
use crate::domain::validity::Overlay;
use crate::domain::window::Window;

/// "As it is" is the mean of so many of the newest minutes.
const RECENT: usize = 5;
const MINUTE_MS: u32 = 60_000;

/// What a minute of the hour gives: dry concentration and oxygen, where each counts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Minute {
    pub dry: Option<f64>,
    pub oxygen_percent: Option<f64>,
}

/// An hour so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// Oldest first.
    pub minutes: Vec<Minute>,
    /// How many of the hour have passed, whether they count or not,
    pub past: u32,
    /// and how many are still to come.
    pub rest: u32,
    /// The end of the newest.
    pub until: Timestamp,
    /// How many minutes must count for the hour to be judged.
    pub needed: u32,
}

/// How the hour will end if it goes on as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The limit is kept.
    Kept,
    /// The mean will be above the limit.
    Above,
    /// It will be above even if nothing more is emitted.
    Lost,
}

/// What is to be said of a running hour by one rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Foreseen {
    pub outlook: Outlook,
    /// Minutes that count.
    pub valid: u32,
    /// Mean to date.
    pub oxygen_percent: Option<f64>,
    /// The hour's mean if it goes on as it is.
    pub projected_mg_m3: f64,
    pub ending: Ending,
}

/// The minutes of an hour that have been computed, for one channel. `None` without any, or when the channel gives no value a minute.
pub fn course(
    outlet: &Outlet,
    (hour, until): (Window, Timestamp),
    position: Position,
    (parts, overlay): (&Parts, &Overlay),
    needed: u32,
) -> Option<Course> {
    let oxygen = outlet.channels.iter().position(|channel| channel.factor.role == Role::Oxygen);
    let counting = |start: Timestamp, averages: &[ChannelAverage], position: Position| {
        let average = averages.get(position).filter(|average| average.valid)?;
        average.dry.filter(|_| overlay.at(start, position).counts)
    };
    // The hour of a slow channel counts cycles.
    let settings = outlet.channels.get(position)?.settings.at(hour.start)?;
    if settings.period_ms > MINUTE_MS {
        return None;
    }
    let mut minutes = Vec::new();
    for (start, averages) in parts.range(hour.start..until) {
        minutes.push(Minute {
            dry: counting(*start, averages, position),
            oxygen_percent: oxygen.and_then(|oxygen| counting(*start, averages, oxygen)),
        });
    }
    let minutes_between = |from: Timestamp, to: Timestamp| u32::try_from(to.duration_since(from).as_mins());
    let (past, rest) = (minutes_between(hour.start, until).ok()?, minutes_between(until, hour.end).ok()?);
    (!minutes.is_empty()).then_some(Course { minutes, past, rest, until, needed })
}

/// Foresees the end of an hour by one rule. `None` where there is nothing to foresee: no minute counts yet or none is to come, too few
/// can still count for a verdict, or the values cannot be converted.
pub fn foresee(rule: &Rule, settings: &OutletSettings, course: &Course) -> Option<Foreseen> {
    let convert = |dry: f64, oxygen: Option<f64>| {
        to_reference(dry, oxygen, rule.reference, settings, &mut Unwatched).value()
    };
    let dry: Vec<f64> = course.minutes.iter().filter_map(|minute| minute.dry).collect();
    let oxygen: Vec<f64> = course.minutes.iter().filter_map(|minute| minute.oxygen_percent).collect();
    let rest = f64::from(course.rest);
    let valid = u32::try_from(dry.len()).ok()?;
    if course.rest == 0 || valid == 0 || valid + course.rest < course.needed {
        return None;
    }
    let (whole, sum) = (f64::from(valid) + rest, dry.iter().sum::<f64>());
    let recent = mean(newest(&dry))?;
    let recent_oxygen = mean(newest(&oxygen));
    let mean_oxygen = mean(&oxygen);
    // The rest of the hour is taken to burn as the newest minutes do.
    let last_oxygen = recent_oxygen.map(|recent| with(&oxygen, (recent, rest)));
    let (factor, factor_now) = (convert(1.0, last_oxygen)?, convert(1.0, recent_oxygen)?);
    // What the rest may still emit, in dry concentration times minutes.
    let budget = highest_kept(rule) / factor * whole - sum;
    let projected = snap((sum + recent * rest) / whole * factor);
    let outlook = Outlook {
        mean_mg_m3: snap(convert(mean(&dry)?, mean_oxygen)?),
        minutes_over: course.past,
        allowed_mg_m3: (budget >= 0.0).then(|| snap(budget / rest * factor_now)),
        lost_at: lost_after(budget, recent, course.rest)
            .and_then(|minutes| course.until.checked_add(SignedDuration::from_mins(minutes)).ok()),
    };
    let ending = if budget < 0.0 {
        Ending::Lost
    } else if projected > highest_kept(rule) {
        Ending::Above
    } else {
        Ending::Kept
    };
    projected.is_finite().then_some(Foreseen {
        outlook,
        valid,
        oxygen_percent: mean_oxygen,
        projected_mg_m3: projected,
        ending,
    })
}

/// After how many more whole minutes at the recent level nothing is left of the budget; `None`: not within the hour.
fn lost_after(budget: f64, recent: f64, rest: u32) -> Option<i64> {
    if budget < 0.0 {
        return Some(0);
    }
    (0..rest).find(|minutes| recent * f64::from(minutes + 1) > budget).map(i64::from)
}

fn newest(values: &[f64]) -> &[f64] {
    values.get(values.len().saturating_sub(RECENT)..).unwrap_or_default()
}

fn mean(values: &[f64]) -> Option<f64> {
    let count = u32::try_from(values.len()).ok().filter(|count| *count > 0)?;
    Some(snap(values.iter().sum::<f64>() / f64::from(count)))
}

/// The mean of values and of one more that stands for several.
fn with(values: &[f64], (more, times): (f64, f64)) -> f64 {
    let count = u32::try_from(values.len()).map_or(0.0, f64::from);
    (values.iter().sum::<f64>() + more * times) / (count + times)
}

#[cfg(test)]
mod tests;

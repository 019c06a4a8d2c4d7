//! Four layers, all kept: what the device said (its flag, in the scan), what the enterprise says (a mark), what the bureau says
//! of that (a review), and what follows. A mark never overrides signals that contradict it: then it is contested, both
//! versions stay, and the minute is judged as the signals have it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::domain::flag::Status;
use crate::domain::law::OutletLaw;
use crate::domain::mark::{Claim, Ruled, Stage};
use crate::domain::plant::{Outlet, Position};
use crate::domain::source_state::{
    Contradiction, Observed, Signals, SourceState, contradiction, observe, proven_otherwise,
};
use crate::domain::window::Window;

/// The state of a source in one minute, with every version of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sourced<'l> {
    /// What follows.
    pub state: SourceState,
    /// What the signals say, and whether there were any.
    pub observed: Observed,
    /// What the enterprise says, whether it counts or not.
    pub mark: Option<&'l Ruled>,
    /// The signal that contests the mark.
    pub contested: Option<Contradiction>,
}

impl Sourced<'_> {
    /// Whether the state is the mark's: in effect and not contested.
    pub fn is_marked(&self) -> bool {
        self.contested.is_none() && self.mark.is_some_and(Ruled::in_effect)
    }
}

/// The state of the source behind `outlet` in the minute that begins at `minute`.
pub fn source_state<'l>(
    law: &'l OutletLaw,
    outlet: &Outlet,
    minute: Timestamp,
    signals: Signals<'_>,
) -> Sourced<'l> {
    let rule = law.source_rule(minute);
    // A signal whose instrument the bureau agrees was out of order proves nothing, whatever is marked besides.
    let trusted = |at: Timestamp, position: Position| {
        let agreed = |ruled: &Ruled| matches!(ruled.stage, Stage::Accepted | Stage::Corrected);
        if conditions(law, outlet, at, position).any(agreed) { None } else { signals(at, position) }
    };
    let observed = observe(rule, outlet, minute, &trusted);
    let mark = state_mark(law, minute);
    let claimed = mark.and_then(|ruled| match ruled.claim {
        Claim::State(state) => Some(state),
        Claim::Instrument(_) => None,
    });
    let contested = claimed.and_then(|state| {
        contradiction(rule, outlet, (minute, state), &trusted)
            .or_else(|| proven_otherwise(rule, outlet, (minute, state, observed.state), &trusted))
    });
    let state = match (mark.filter(|ruled| ruled.in_effect()), claimed, &contested) {
        (Some(_), Some(state), None) => state,
        (Some(_), Some(_), Some(_)) | (None, _, _) | (Some(_), None, _) => observed.state,
    };
    Sourced { state, observed, mark, contested }
}

/// The mark about the source's state at a minute: one in effect before others, what the bureau agreed to before what the enterprise says
/// alone, then the newest.
fn state_mark(law: &OutletLaw, minute: Timestamp) -> Option<&Ruled> {
    law.marks
        .iter()
        .filter(|ruled| ruled.stage != Stage::Rejected)
        .filter(|ruled| matches!(ruled.claim, Claim::State(_)) && ruled.times.holds(minute))
        .max_by_key(|ruled| (ruled.in_effect(), ruled.review.is_some(), ruled.mark.made_at))
}

/// The mark in effect about the condition of a channel's instrument at a minute; the newest one.
pub fn condition<'l>(
    law: &'l OutletLaw,
    outlet: &Outlet,
    minute: Timestamp,
    position: Position,
) -> Option<&'l Ruled> {
    conditions(law, outlet, minute, position).max_by_key(|ruled| ruled.mark.made_at)
}

/// Every mark in effect about it.
fn conditions<'l>(
    law: &'l OutletLaw,
    outlet: &Outlet,
    minute: Timestamp,
    position: Position,
) -> impl Iterator<Item = &'l Ruled> {
    let code = outlet.channels.get(position).map(|channel| channel.code);
    law.marks
        .iter()
        .filter(|ruled| ruled.in_effect() && matches!(ruled.claim, Claim::Instrument(_)))
        .filter(move |ruled| ruled.times.holds(minute))
        .filter(move |ruled| ruled.mark.channel.is_none() || ruled.mark.channel == code)
}

/// What lies over one minute of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layer {
    /// Takes the place of the minute's own status in the count of statuses (HJ 76-2017 App. B).
    pub status: Option<Status>,
    /// Whether a valid minute counts towards the means and their validity.
    pub counts: bool,
    /// Whether its mass counts: also while the source stands still, but not what an instrument showed that was out of order.
    pub weighs: bool,
}

impl Layer {
    /// Nothing lies over it.
    pub const NONE: Layer = Layer { status: None, counts: true, weighs: true };
}

/// What lies over the minutes of one outlet in one window. Minutes over which nothing lies take no room.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overlay {
    minutes: BTreeMap<Timestamp, Minute>,
}

/// A mark that a signal contests, and which.
#[derive(Debug, Clone, PartialEq)]
pub struct Contest {
    /// Code of the mark.
    pub mark: String,
    pub claim: Claim,
    pub signal: Contradiction,
}

#[derive(Debug, Clone, PartialEq)]
struct Minute {
    state: SourceState,
    marked: bool,
    contested: Option<Contest>,
    /// Claimed instrument conditions by position; empty where there are none.
    conditions: Vec<Option<Status>>,
}

/// The state that fills a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Occupied {
    pub state: SourceState,
    /// Every minute of the state rests on a mark in effect that no signal contests.
    pub marked: bool,
    /// Signals contest a mark in some minute of the window.
    pub contested: bool,
}

impl Overlay {
    /// Nothing lies over anything.
    pub const NONE: &'static Overlay = &Overlay { minutes: BTreeMap::new() };

    /// Works out every minute of a window. Without rules and marks near it this costs next to nothing.
    pub fn over(law: &OutletLaw, outlet: &Outlet, window: Window, signals: Signals<'_>) -> Overlay {
        let mut overlay = Overlay::default();
        let near = near(law, window);
        let law = &near;
        let mut at = window.start;
        while !(law.source_rules.is_empty() && law.marks.is_empty()) && at < window.end {
            let sourced = source_state(law, outlet, at, signals);
            let mut conditions: Vec<Option<Status>> = (0..outlet.channels.len())
                .map(|position| condition(law, outlet, at, position)?.claim.status())
                .collect();
            if conditions.iter().all(Option::is_none) {
                conditions.clear();
            }
            let contested = sourced.mark.zip(sourced.contested).map(|(ruled, signal)| Contest {
                mark: ruled.mark.code.clone(),
                claim: ruled.claim,
                signal,
            });
            let minute = Minute { state: sourced.state, marked: sourced.is_marked(), contested, conditions };
            let quiet = minute.state == SourceState::Running && minute.contested.is_none();
            if !(quiet && minute.conditions.is_empty()) {
                overlay.minutes.insert(at, minute);
            }
            let Ok(next) = at.checked_add(SignedDuration::from_mins(1)) else { break };
            at = next;
        }
        overlay
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.minutes.is_empty()
    }

    /// The minutes over which something lies.
    pub fn starts(&self) -> impl Iterator<Item = &Timestamp> {
        self.minutes.keys()
    }

    /// How many minutes each state but running has.
    pub fn states(&self) -> BTreeMap<SourceState, u32> {
        let mut counts = BTreeMap::new();
        for minute in self.minutes.values().filter(|minute| minute.state != SourceState::Running) {
            *counts.entry(minute.state).or_default() += 1;
        }
        counts
    }

    /// Every mark that is contested, with the first minute and signal that do so.
    pub fn contests(&self) -> BTreeMap<&str, (Timestamp, &Contest)> {
        let mut found = BTreeMap::new();
        for (start, minute) in &self.minutes {
            if let Some(contest) = &minute.contested {
                found.entry(contest.mark.as_str()).or_insert((*start, contest));
            }
        }
        found
    }

    /// What lies over a channel in the minute that begins at `minute`. A stopped source goes before an instrument's
    /// condition, that before every other state.
    pub fn at(&self, minute: Timestamp, position: Position) -> Layer {
        let Some(minute) = self.minutes.get(&minute) else { return Layer::NONE };
        let condition = minute.conditions.get(position).copied().flatten();
        match (minute.state, condition) {
            (SourceState::Stopped, condition) => {
                Layer { status: Some(Status::SourceStopped), counts: false, weighs: condition.is_none() }
            }
            (_, Some(status)) => Layer { status: Some(status), counts: false, weighs: false },
            (state, None) => Layer { status: state.status(), counts: state.counts(), weighs: true },
        }
    }

    /// The state that fills at least `needed` minutes of the window (45 of an hour, HJ 76-2017 App. B), else running.
    pub fn occupied(&self, needed: u32) -> Occupied {
        let contested = self.minutes.values().any(|minute| minute.contested.is_some());
        let fills = |state: &SourceState| {
            let count = self.minutes.values().filter(|minute| minute.state == *state).count();
            u32::try_from(count).is_ok_and(|count| count >= needed.max(1))
        };
        let states =
            [SourceState::Stopped, SourceState::StartUp, SourceState::ShutDown, SourceState::BankedFire];
        let Some(state) = states.into_iter().find(fills) else {
            return Occupied { state: SourceState::Running, marked: false, contested };
        };
        let marked = self.minutes.values().filter(|minute| minute.state == state).all(|minute| minute.marked);
        Occupied { state, marked, contested }
    }
}

/// What of the rules and marks can matter to a window: of a year of marks mostly none.
fn near(law: &OutletLaw, window: Window) -> OutletLaw {
    let source_rules = law.source_rules.iter().filter(|rule| rule.times.touches(window.start, window.end));
    let look_back = SignedDuration::from_mins(i64::from(law.look_back_minutes(window.start, window.end)));
    let begin = window.start.checked_sub(look_back).unwrap_or(Timestamp::MIN);
    let marks = law.marks.iter().filter(|ruled| ruled.times.touches(begin, window.end));
    OutletLaw {
        source_rules: source_rules.cloned().collect(),
        marks: marks.cloned().collect(),
        ..OutletLaw::default()
    }
}

#[cfg(test)]
mod tests;

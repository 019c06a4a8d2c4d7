//! What the source behind an outlet is doing: running, starting up, shutting down, banked, stopped. Decided minute by minute by
//! a rule over signals, which is data of the outlet. Where nothing proves another state the source is running: a doubt never
//! takes a value out of judgement.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::flag::Status;
use crate::domain::plant::{ChannelCode, Outlet, Position};
use crate::domain::pollutant::Role;
use crate::domain::times::Times;

/// How long a test remembers that its line was crossed while the value stays on the inner side of the release line, minutes.
/// Bounded, so that a state is the same whether it is worked out live, late or again.
pub const MEMORY_MINUTES: u32 = 60;

/// What the source is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceState {
    Running,
    StartUp,
    ShutDown,
    /// The fire is kept without production.
    BankedFire,
    Stopped,
}

impl SourceState {
    pub const ALL: [SourceState; 5] = [
        SourceState::Running,
        SourceState::StartUp,
        SourceState::ShutDown,
        SourceState::BankedFire,
        SourceState::Stopped,
    ];

    /// As written in files and answers.
    pub const fn name(self) -> &'static str {
        match self {
            SourceState::Running => "running",
            SourceState::StartUp => "start-up",
            SourceState::ShutDown => "shut-down",
            SourceState::BankedFire => "banked-fire",
            SourceState::Stopped => "stopped",
        }
    }

    /// The status of a minute in this state (HJ 76-2017 App. B); none while running: then the instrument's own status stands.
    pub const fn status(self) -> Option<Status> {
        match self {
            SourceState::Running => None,
            SourceState::StartUp => Some(Status::StartUp),
            SourceState::ShutDown => Some(Status::ShutDown),
            SourceState::BankedFire => Some(Status::BankedFire),
            SourceState::Stopped => Some(Status::SourceStopped),
        }
    }

    /// Whether minutes in this state count towards an average. A stopped source makes no gas to average; in every other state
    /// it does, and whether the hour is then exempt is for an exemption to say, not for the average.
    pub const fn counts(self) -> bool {
        !matches!(self, SourceState::Stopped)
    }
}

/// The value of the channel at a position in the minute that begins at a time: the minute's mean as measured (of oxygen the
/// dry one), `None` where there was none that counted.
pub type Signals<'s> = &'s dyn Fn(Timestamp, Position) -> Option<f64>;

/// How the states of one outlet are told apart, for a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceRule {
    pub outlet: String,
    /// Where the lines stand: permit, approved technical file.
    pub document: String,
    pub times: Times,
    /// In order: the first whose tests all hold is the state.
    pub states: Vec<StateRule>,
}

/// One state and what proves it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateRule {
    pub state: SourceState,
    /// All must hold; at least one.
    pub tests: Vec<Test>,
    /// The state is possible only so long after another one.
    pub after: Option<After>,
}

/// "At most so many minutes after that state."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    pub state: SourceState,
    pub minutes: u32,
}

/// One signal against its line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Test {
    pub channel: ChannelCode,
    pub side: Side,
    /// So many consecutive minutes beyond the line before it holds.
    pub minutes: u32,
}

/// Which values are beyond the line. Between line and release a test goes on holding but does not begin to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    Above {
        line: f64,
        release: f64,
    },
    Below {
        line: f64,
        release: f64,
    },
    /// A process signal that sends a code; values within half a unit are that code.
    Is {
        code: f64,
    },
}

impl Side {
    fn beyond_line(self, value: f64) -> bool {
        match self {
            Side::Above { line, .. } => value > line,
            Side::Below { line, .. } => value < line,
            Side::Is { code } => (value - code).abs() < 0.5,
        }
    }

    fn within_release(self, value: f64) -> bool {
        match self {
            Side::Above { release, .. } => value > release,
            Side::Below { release, .. } => value < release,
            Side::Is { .. } => self.beyond_line(value),
        }
    }
}

/// What a test says of a minute.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    Holds,
    /// The value is on the other side even of the release line.
    Fails(f64),
    /// No value, or not beyond the line for long enough.
    Open,
}

impl Test {
    fn answer(&self, outlet: &Outlet, minute: Timestamp, signals: Signals<'_>) -> Answer {
        let Some(position) = outlet.position(self.channel) else { return Answer::Open };
        let Some(now) = signals(minute, position) else { return Answer::Open };
        if !self.side.within_release(now) {
            return Answer::Fails(now);
        }
        let needed = self.minutes.max(1);
        let mut beyond = 0;
        for back in 0..needed.saturating_add(MEMORY_MINUTES) {
            let earlier = minutes_before(minute, back).and_then(|minute| signals(minute, position));
            let Some(value) = earlier.filter(|value| self.side.within_release(*value)) else { break };
            beyond = if self.side.beyond_line(value) { beyond + 1 } else { 0 };
            if beyond >= needed {
                return Answer::Holds;
            }
        }
        Answer::Open
    }
}

fn minutes_before(minute: Timestamp, minutes: u32) -> Option<Timestamp> {
    minute.checked_sub(SignedDuration::from_mins(i64::from(minutes))).ok()
}

impl StateRule {
    fn holds(&self, outlet: &Outlet, minute: Timestamp, signals: Signals<'_>) -> bool {
        !self.tests.is_empty()
            && self.tests.iter().all(|test| test.answer(outlet, minute, signals) == Answer::Holds)
    }
}

/// What the signals say of one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    pub state: SourceState,
    pub basis: Basis,
}

/// What a state rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// No rule, or no signal of it had a value: running by default.
    Nothing,
    Signals,
}

/// A signal that says otherwise than a claim.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contradiction {
    pub channel: ChannelCode,
    pub value: f64,
}

impl SourceRule {
    /// How many minutes before a window its signals must be known.
    pub fn look_back_minutes(&self) -> u32 {
        let of_state = |state: &StateRule| {
            let tests = state.tests.iter().map(|test| test.minutes.saturating_add(MEMORY_MINUTES));
            (tests.max().unwrap_or(0), state.after.map_or(0, |after| after.minutes))
        };
        let (tests, after) =
            self.states.iter().map(of_state).fold((0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
        tests.saturating_add(after)
    }

    fn state(&self, state: SourceState) -> Option<&StateRule> {
        self.states.iter().find(|rule| rule.state == state)
    }

    fn observe(&self, outlet: &Outlet, minute: Timestamp, signals: Signals<'_>) -> Observed {
        let recently = |after: &After| {
            self.state(after.state).is_some_and(|rule| {
                (1..=after.minutes)
                    .filter_map(|back| minutes_before(minute, back))
                    .any(|minute| rule.holds(outlet, minute, signals))
            })
        };
        let proven = self
            .states
            .iter()
            .find(|rule| rule.holds(outlet, minute, signals) && rule.after.as_ref().is_none_or(recently));
        let state = proven.map_or(SourceState::Running, |rule| rule.state);
        let heard = |test: &Test| {
            outlet.position(test.channel).is_some_and(|position| signals(minute, position).is_some())
        };
        let any = self.states.iter().flat_map(|rule| &rule.tests).any(heard);
        Observed { state, basis: if any { Basis::Signals } else { Basis::Nothing } }
    }
}

/// What the signals of an outlet say of the minute that begins at `minute`, by the rule in force. Where the rule says nothing, oxygen
/// well below that of air still says that something burns.
pub fn observe(
    rule: Option<&SourceRule>,
    outlet: &Outlet,
    minute: Timestamp,
    signals: Signals<'_>,
) -> Observed {
    let observed = rule.map(|rule| rule.observe(outlet, minute, signals));
    observed.filter(|observed| observed.basis == Basis::Signals).unwrap_or_else(|| {
        let burns = burning(outlet, minute, signals).is_some();
        let basis = if burns { Basis::Signals } else { Basis::Nothing };
        Observed { state: SourceState::Running, basis }
    })
}

/// Oxygen this many percent points below that of air says that something burns.
pub const OXYGEN_BELOW_AIR: f64 = 2.0;

/// The first signal that contradicts the claim that the source is in `claimed`: a test of that state that fails, and for a
/// claimed stop, with or without a rule, oxygen well below air. A signal without a value contradicts nothing.
pub fn contradiction(
    rule: Option<&SourceRule>,
    outlet: &Outlet,
    (minute, claimed): (Timestamp, SourceState),
    signals: Signals<'_>,
) -> Option<Contradiction> {
    let tests = rule.and_then(|rule| rule.state(claimed)).map_or(&[][..], |state| &state.tests);
    let failing = tests.iter().find_map(|test| match test.answer(outlet, minute, signals) {
        Answer::Fails(value) => Some(Contradiction { channel: test.channel, value }),
        Answer::Holds | Answer::Open => None,
    });
    failing.or_else(|| (claimed == SourceState::Stopped).then(|| burning(outlet, minute, signals)).flatten())
}

/// Signals that prove another state than the one that is claimed: the first one of the proven state. Running is never proven: it is what
/// is left.
pub fn proven_otherwise(
    rule: Option<&SourceRule>,
    outlet: &Outlet,
    (minute, claimed, observed): (Timestamp, SourceState, SourceState),
    signals: Signals<'_>,
) -> Option<Contradiction> {
    if observed == SourceState::Running || observed == claimed {
        return None;
    }
    let test = rule?.state(observed)?.tests.first()?;
    let value = signals(minute, outlet.position(test.channel)?)?;
    Some(Contradiction { channel: test.channel, value })
}

fn burning(outlet: &Outlet, minute: Timestamp, signals: Signals<'_>) -> Option<Contradiction> {
    let air = outlet.settings.at(minute)?.oxygen_of_air_percent;
    let oxygen =
        |(_, channel): &(Position, &crate::domain::plant::Channel)| channel.factor.role == Role::Oxygen;
    let (position, channel) = outlet.channels.iter().enumerate().find(oxygen)?;
    let value = signals(minute, position)?;
    (value < air - OXYGEN_BELOW_AIR).then_some(Contradiction { channel: channel.code, value })
}

#[cfg(test)]
mod tests;

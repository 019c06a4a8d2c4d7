//! What every analyser shows at any moment: a pure function of scenario, start and time. Nothing here reads a clock or keeps
//! a state, so yesterday's registers are computed like today's.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::config::scenario::{Analyser, Channel, EventKind, Outlet, Quantity, Scenario};
use crate::domain::plant::ChannelCode;
use crate::simulator::noise::Noise;
use crate::simulator::process;
use crate::simulator::process::Gas;
use crate::simulator::registers::{RegisterImage, StatusBits};
use crate::simulator::timeline::Span;

/// A scenario that began at a certain time.
#[derive(Debug)]
pub struct Simulation {
    scenario: Scenario,
    started: Timestamp,
    plants: Vec<Plant>,
}

/// What is worked out once for each outlet.
#[derive(Debug)]
struct Plant {
    process: Noise,
    /// By analyser, by channel.
    measuring: Vec<Vec<Noise>>,
    events: Vec<(Span, EventKind)>,
}

/// Which analyser of which outlet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnalyserKey {
    outlet: usize,
    analyser: usize,
}

/// One channel at one moment, as the instrument has it before it is laid into registers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChannelValue {
    pub code: ChannelCode,
    /// In the channel's unit.
    pub value: f64,
    /// Of its analyser.
    pub status: StatusBits,
}

/// What a test's hand does to the plant; empty for nothing.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    held: BTreeMap<(usize, ChannelCode), f64>,
    silent: BTreeSet<AnalyserKey>,
}

impl Overrides {
    /// The channel shows this value from now on, or what the process says again.
    pub fn hold(&mut self, outlet: usize, channel: ChannelCode, value: Option<f64>) {
        match value {
            Some(value) => self.held.insert((outlet, channel), value),
            None => self.held.remove(&(outlet, channel)),
        };
    }

    /// The analyser answers no more.
    pub fn silence(&mut self, analyser: AnalyserKey) {
        self.silent.insert(analyser);
    }

    /// The analyser answers again, unless the timeline says otherwise.
    pub fn unsilence(&mut self, analyser: AnalyserKey) {
        self.silent.remove(&analyser);
    }
}

impl Simulation {
    /// The timeline of events begins at `started`; before it nothing happens but the process.
    pub fn new(scenario: Scenario, started: Timestamp) -> Simulation {
        let plants = scenario
            .outlets
            .iter()
            .enumerate()
            .map(|(index, outlet)| Plant {
                process: Noise::new(scenario.seed, &outlet.code),
                measuring: outlet
                    .analysers
                    .iter()
                    .map(|analyser| measuring(scenario.seed, outlet, analyser))
                    .collect(),
                events: scenario
                    .events
                    .iter()
                    .filter(|event| event.outlet == index)
                    .map(|event| (Span::new(started, event.after, event.lasts), event.kind))
                    .collect(),
            })
            .collect();
        Simulation { scenario, started, plants }
    }

    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// When the timeline began.
    pub const fn started(&self) -> Timestamp {
        self.started
    }

    /// Every analyser of the scenario, in its order.
    pub fn analysers(&self) -> impl Iterator<Item = (AnalyserKey, &Outlet, &Analyser)> {
        self.scenario.outlets.iter().enumerate().flat_map(|(index, outlet)| {
            outlet.analysers.iter().enumerate().map(move |(number, analyser)| {
                (AnalyserKey { outlet: index, analyser: number }, outlet, analyser)
            })
        })
    }

    /// The key of an analyser, `None` for one that the scenario lacks.
    pub fn key(&self, outlet: &str, analyser: &str) -> Option<AnalyserKey> {
        let index = self.outlet_index(outlet)?;
        let analysers = &self.scenario.outlets.get(index)?.analysers;
        let number = analysers.iter().position(|known| known.name == analyser)?;
        Some(AnalyserKey { outlet: index, analyser: number })
    }

    /// The position of an outlet in the scenario.
    pub fn outlet_index(&self, outlet: &str) -> Option<usize> {
        self.scenario.outlets.iter().position(|known| known.code == outlet)
    }

    /// All channels of an outlet, `None` for one that the scenario lacks. Silence is no matter of values.
    pub fn values(&self, outlet: &str, at: Timestamp) -> Option<Vec<ChannelValue>> {
        let index = self.outlet_index(outlet)?;
        let mut all = Vec::new();
        for (number, analyser) in self.scenario.outlets.get(index)?.analysers.iter().enumerate() {
            let (values, status) = self.shown(AnalyserKey { outlet: index, analyser: number }, at)?;
            let codes = analyser.channels.iter().map(|channel| channel.code);
            all.extend(codes.zip(values).map(|(code, value)| ChannelValue { code, value, status }));
        }
        Some(all)
    }

    /// The registers of an analyser, `None` for one that the scenario lacks. Silence is no matter of registers.
    pub fn image(&self, outlet: &str, analyser: &str, at: Timestamp) -> Option<RegisterImage> {
        self.image_under(self.key(outlet, analyser)?, at, &Overrides::default())
    }

    /// What the analyser answers with; `None` while it is silent.
    pub fn answer(&self, key: AnalyserKey, at: Timestamp, overrides: &Overrides) -> Option<RegisterImage> {
        if overrides.silent.contains(&key) || self.is_silent(key, at) {
            return None;
        }
        self.image_under(key, at, overrides)
    }

    /// Whether the timeline has the analyser silent.
    pub fn is_silent(&self, key: AnalyserKey, at: Timestamp) -> bool {
        self.active(key.outlet, at.as_microsecond()).any(|(_, kind)| match kind {
            EventKind::SilentOutlet => true,
            EventKind::SilentAnalyser { analyser } => analyser == key.analyser,
            EventKind::Rise { .. }
            | EventKind::AirLeak { .. }
            | EventKind::Calibration { .. }
            | EventKind::Maintenance { .. }
            | EventKind::Fault { .. }
            | EventKind::StoppedSource => false,
        })
    }

    fn image_under(&self, key: AnalyserKey, at: Timestamp, overrides: &Overrides) -> Option<RegisterImage> {
        let analyser = self.scenario.outlets.get(key.outlet)?.analysers.get(key.analyser)?;
        let (mut values, status) = self.shown(key, at)?;
        if !overrides.held.is_empty() {
            for (channel, value) in analyser.channels.iter().zip(&mut values) {
                *value = overrides.held.get(&(key.outlet, channel.code)).copied().unwrap_or(*value);
            }
        }
        Some(RegisterImage::new(analyser, &values, status))
    }

    /// The analyser's values in the order of its channels, and what it says of itself.
    fn shown(&self, key: AnalyserKey, at: Timestamp) -> Option<(Vec<f64>, StatusBits)> {
        let outlet = self.scenario.outlets.get(key.outlet)?;
        let analyser = outlet.analysers.get(key.analyser)?;
        let plant = self.plants.get(key.outlet)?;
        let mut at = at.as_microsecond();
        let status = self.status(key, at);
        if status.has(StatusBits::FAULT) {
            at = self.stuck_since(key, at).unwrap_or(at);
        }
        let gas = plant.gas(outlet, at);
        let values = analyser
            .channels
            .iter()
            .zip(plant.measuring.get(key.analyser)?)
            .map(|(channel, noise)| {
                let span_gas = process::span_gas(channel.quantity);
                let true_value = match span_gas.filter(|_| status.has(StatusBits::CALIBRATION)) {
                    Some(span_gas) => span_gas,
                    None => plant.moved(channel, gas.measured(channel.quantity), at),
                };
                instrument(channel, *noise, true_value, at)
            })
            .collect();
        Some((values, status))
    }

    fn status(&self, key: AnalyserKey, at: i64) -> StatusBits {
        self.active(key.outlet, at).fold(StatusBits::default(), |status, (_, kind)| match kind {
            EventKind::Calibration { analyser } if analyser == key.analyser => {
                status.with(StatusBits::CALIBRATION)
            }
            EventKind::Maintenance { analyser } if analyser == key.analyser => {
                status.with(StatusBits::MAINTENANCE)
            }
            EventKind::Fault { analyser } if analyser == key.analyser => status.with(StatusBits::FAULT),
            EventKind::Calibration { .. }
            | EventKind::Maintenance { .. }
            | EventKind::Fault { .. }
            | EventKind::Rise { .. }
            | EventKind::AirLeak { .. }
            | EventKind::SilentAnalyser { .. }
            | EventKind::SilentOutlet
            | EventKind::StoppedSource => status,
        })
    }

    fn stuck_since(&self, key: AnalyserKey, at: i64) -> Option<i64> {
        let faults = self
            .active(key.outlet, at)
            .filter(|(_, kind)| matches!(kind, EventKind::Fault { analyser } if *analyser == key.analyser));
        faults.map(|(span, _)| span.start()).min()
    }

    fn active(&self, outlet: usize, at: i64) -> impl Iterator<Item = (Span, EventKind)> {
        let events = self.plants.get(outlet).into_iter().flat_map(|plant| &plant.events);
        events.filter(move |(span, _)| span.holds(at)).copied()
    }
}

impl Plant {
    fn gas(&self, outlet: &Outlet, at: i64) -> Gas {
        let mut gas = process::gas(outlet.process, self.process, at.div_euclid(1000));
        for (span, kind) in &self.events {
            if let EventKind::AirLeak { oxygen_percent, within } = kind {
                let way = span.ramp(*within, at);
                let oxygen = gas.oxygen_percent + (oxygen_percent - gas.oxygen_percent) * way;
                gas = gas.leaking_to(oxygen);
            } else if let EventKind::StoppedSource = kind {
                gas = gas.stopped(span.lag(5.0, at), span.lag(180.0, at));
            }
        }
        gas
    }

    fn moved(&self, channel: &Channel, value: f64, at: i64) -> f64 {
        self.events.iter().fold(value, |value, (span, kind)| match kind {
            EventKind::Rise { channel: code, to, within } if *code == channel.code => {
                value + (to - value) * span.ramp(*within, at)
            }
            EventKind::Rise { .. }
            | EventKind::AirLeak { .. }
            | EventKind::Calibration { .. }
            | EventKind::Maintenance { .. }
            | EventKind::Fault { .. }
            | EventKind::SilentAnalyser { .. }
            | EventKind::SilentOutlet
            | EventKind::StoppedSource => value,
        })
    }
}

fn measuring(seed: u64, outlet: &Outlet, analyser: &Analyser) -> Vec<Noise> {
    let of_channel = |channel: &Channel| Noise::new(seed, &format!("{}/{}", outlet.code, channel.code));
    analyser.channels.iter().map(of_channel).collect()
}

/// What the instrument makes of the true value: noise that is alike from one moment to the next, and no negative amounts.
fn instrument(channel: &Channel, noise: Noise, true_value: f64, at: i64) -> f64 {
    let at_ms = at.div_euclid(1000);
    let value = true_value + channel.noise * (0.6 * noise.at(1, 5000, at_ms) + 0.4 * noise.at(2, 500, at_ms));
    match channel.quantity {
        Quantity::Temperature | Quantity::StaticPressure => value,
        Quantity::Dust
        | Quantity::SulphurDioxide
        | Quantity::NitrogenOxides
        | Quantity::Oxygen
        | Quantity::Moisture
        | Quantity::Velocity => value.max(0.0),
    }
}

#[cfg(test)]
mod tests;

//! A test's hand on the running plant. Every change takes effect on the next answer and tells its instant: an answer whose
//! ledger line has that time or a later one shows the change, an earlier one does not.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;

use crate::clock;
use crate::domain::plant::ChannelCode;
use crate::simulator::registers::RegisterImage;
use crate::simulator::simulation::{AnalyserKey, Overrides, Simulation};

/// Cloned freely; all clones act on the same plant.
#[derive(Debug, Clone)]
pub struct Control {
    simulation: Arc<Simulation>,
    overrides: Arc<RwLock<Overrides>>,
}

/// What the scenario lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    #[error("the scenario has no outlet {0:?}; name one of its outlets")]
    Outlet(String),
    #[error("outlet {outlet:?} has no analyser {analyser:?}; name one of its analysers")]
    Analyser { outlet: String, analyser: String },
    #[error("outlet {outlet:?} has no channel {channel:?}; name one that an analyser of it serves")]
    Channel { outlet: String, channel: String },
}

impl Control {
    pub(super) fn new(simulation: Arc<Simulation>) -> Control {
        Control { simulation, overrides: Arc::default() }
    }

    /// The plant behind it, undisturbed.
    pub fn simulation(&self) -> &Arc<Simulation> {
        &self.simulation
    }

    /// The channel's registers show exactly this value (as near as their type can), without noise, until released.
    ///
    /// # Errors
    /// When the scenario has no such outlet or channel.
    pub fn hold(&self, outlet: &str, channel: &str, value: f64) -> Result<Timestamp, ControlError> {
        let (index, code) = self.channel(outlet, channel)?;
        Ok(self.change(|overrides| overrides.hold(index, code, Some(value))))
    }

    /// The channel shows the process again.
    ///
    /// # Errors
    /// When the scenario has no such outlet or channel.
    pub fn release(&self, outlet: &str, channel: &str) -> Result<Timestamp, ControlError> {
        let (index, code) = self.channel(outlet, channel)?;
        Ok(self.change(|overrides| overrides.hold(index, code, None)))
    }

    /// One analyser of the outlet, or with `None` all of them, accept connections and never answer.
    ///
    /// # Errors
    /// When the scenario has no such outlet or analyser.
    pub fn silence(&self, outlet: &str, analyser: Option<&str>) -> Result<Timestamp, ControlError> {
        let keys = self.analysers(outlet, analyser)?;
        Ok(self.change(|overrides| keys.into_iter().for_each(|key| overrides.silence(key))))
    }

    /// They answer again, unless the timeline has them silent.
    ///
    /// # Errors
    /// When the scenario has no such outlet or analyser.
    pub fn unsilence(&self, outlet: &str, analyser: Option<&str>) -> Result<Timestamp, ControlError> {
        let keys = self.analysers(outlet, analyser)?;
        Ok(self.change(|overrides| keys.into_iter().for_each(|key| overrides.unsilence(key))))
    }

    /// The time of the answer and what it says, `None` while silent. The clock is read under the same lock as in `change`.
    pub(super) fn answer(&self, key: AnalyserKey) -> (Timestamp, Option<RegisterImage>) {
        let overrides = self.overrides.read().unwrap_or_else(PoisonError::into_inner);
        let at = clock::now();
        (at, self.simulation.answer(key, at, &overrides))
    }

    fn change(&self, apply: impl FnOnce(&mut Overrides)) -> Timestamp {
        let mut overrides = self.overrides.write().unwrap_or_else(PoisonError::into_inner);
        apply(&mut overrides);
        clock::now()
    }

    fn channel(&self, outlet: &str, channel: &str) -> Result<(usize, ChannelCode), ControlError> {
        let index =
            self.simulation.outlet_index(outlet).ok_or_else(|| ControlError::Outlet(outlet.to_owned()))?;
        let analysers = self.simulation.analysers().filter(|(_, known, _)| known.code == outlet);
        let mut codes =
            analysers.flat_map(|(_, _, analyser)| analyser.channels.iter().map(|known| known.code));
        let code = codes.find(|code| code.as_str() == channel);
        let code = code.ok_or_else(|| ControlError::Channel {
            outlet: outlet.to_owned(),
            channel: channel.to_owned(),
        })?;
        Ok((index, code))
    }

    fn analysers(&self, outlet: &str, analyser: Option<&str>) -> Result<Vec<AnalyserKey>, ControlError> {
        if self.simulation.outlet_index(outlet).is_none() {
            return Err(ControlError::Outlet(outlet.to_owned()));
        }
        let of_outlet = self.simulation.analysers().filter(|(_, known, _)| known.code == outlet);
        let Some(name) = analyser else { return Ok(of_outlet.map(|(key, _, _)| key).collect()) };
        let key = self
            .simulation
            .key(outlet, name)
            .ok_or_else(|| ControlError::Analyser { outlet: outlet.to_owned(), analyser: name.to_owned() })?;
        Ok(vec![key])
    }
}

//! From the catalogue to `Plant`: channels get their factors, outlets their enterprise, gateways and rules.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::config::catalogue::{Catalogue, OutletEntry};
use crate::domain::history::{Dated, History};
use crate::domain::limit::Rule;
use crate::domain::plant::{Channel, Enterprise, Outlet, Plant};
use crate::domain::pollutant::Factor;

/// An entry that names another which is not there. Cannot happen to a catalogue from [`super::parse`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("outlet {outlet} names {what}, which is not known; seed it first")]
pub struct Dangling {
    pub outlet: String,
    pub what: String,
}

impl Catalogue {
    /// The plant as calculations see it. Each outlet gets every rule that is about its division, its industry, one of its
    /// processes at any time and one of its channels; which rule holds when is in the rule's own time.
    ///
    /// # Errors
    /// [`Dangling`]
    pub fn into_plant(self) -> Result<Plant, Dangling> {
        let parts = Parts {
            factors: self
                .pollutants
                .into_iter()
                .map(|pollutant| (pollutant.factor.code.clone(), Arc::new(pollutant.factor)))
                .collect(),
            enterprises: self
                .enterprises
                .into_iter()
                .map(|enterprise| (enterprise.code.clone(), Arc::new(enterprise)))
                .collect(),
            rules: self.rules.into_iter().map(Arc::new).collect(),
        };
        let mut outlets: Vec<Arc<Outlet>> = Vec::with_capacity(self.outlets.len());
        for entry in self.outlets {
            outlets.push(Arc::new(parts.outlet(entry)?));
        }
        Ok(Plant::new(outlets, self.gateways.into_iter().map(Arc::new).collect()))
    }
}

struct Parts {
    factors: HashMap<String, Arc<Factor>>,
    enterprises: HashMap<String, Arc<Enterprise>>,
    rules: Vec<Arc<Rule>>,
}

impl Parts {
    fn outlet(&self, entry: OutletEntry) -> Result<Outlet, Dangling> {
        let code = Arc::clone(&entry.code);
        let dangling = |what: String| Dangling { outlet: code.to_string(), what };
        let Some(enterprise) = self.enterprises.get(&entry.enterprise) else {
            return Err(dangling(format!("enterprise {}", entry.enterprise)));
        };
        let mut channels = Vec::with_capacity(entry.channels.len());
        for (code, settings) in entry.channels {
            let Some(factor) = self.factors.get(code.factor()) else {
                return Err(dangling(format!("pollutant {}", code.factor())));
            };
            channels.push(Channel { code, factor: Arc::clone(factor), settings });
        }
        let processes: BTreeSet<&str> =
            entry.settings.iter().map(|dated| dated.value.process.as_str()).collect();
        let applies = |rule: &Rule| {
            enterprise.industry.starts_with(&rule.industry)
                && processes.iter().any(|process| {
                    channels
                        .iter()
                        .any(|channel| rule.applies_to(&enterprise.division, process, &channel.factor.code))
                })
        };
        let rules = self.rules.iter().filter(|rule| applies(rule)).map(Arc::clone).collect();
        Ok(Outlet {
            id: entry.id,
            gateways: gateways_of(&entry.served_by),
            code: entry.code,
            name: entry.name,
            enterprise: Arc::clone(enterprise),
            settings: entry.settings,
            channels,
            rules,
        })
    }
}

/// The same history, a gateway at a time, by name.
fn gateways_of(served_by: &History<Arc<str>>) -> Vec<(Arc<str>, History<()>)> {
    let names: BTreeSet<&Arc<str>> = served_by.iter().map(|dated| &dated.value).collect();
    let times_of = |name: &Arc<str>| {
        let times = served_by.iter().filter(|dated| dated.value == *name);
        let times = times.map(|dated| Dated { from: dated.from, until: dated.until, value: () });
        // Parts of a history overlap as little as the whole.
        History::new(times.collect()).unwrap_or_default()
    };
    names.into_iter().map(|name| (Arc::clone(name), times_of(name))).collect()
}

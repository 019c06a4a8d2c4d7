//! What single scans show: early warnings, dilution, an analyser that says it is faulty. Pure; the pipeline stores what comes out.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::domain::alert::{Alert, AlertKind, Instrument, Place};
use crate::domain::alerting::{AlertRule, Watched};
use crate::domain::episode::{Observation, WINDOW};
use crate::domain::evaluation::Evaluated;
use crate::domain::exceedance::{Glimpse, glimpse};
use crate::domain::flag::Flag;
use crate::domain::limit::{AveragingPeriod, Reference, Rule};
use crate::domain::plant::{Channel, Outlet, OutletSettings, Position};
use crate::domain::scan::Reading;
use crate::store::episode::{Key, Sighting};

/// The kinds that single scans show.
pub const SCAN_LEVEL: [AlertKind; 3] =
    [AlertKind::EarlyWarning, AlertKind::NotConvertible, AlertKind::AnalyserFault];

/// Older scans are history: they are averaged and judged, but warn nobody.
pub const FRESH: SignedDuration = SignedDuration::from_secs(60);

/// Records that come just made are taken for fresh even when the gateway's clock says that they are this old.
pub const SLOW_CLOCK: SignedDuration = SignedDuration::from_mins(15);

/// The keys of open scan-level episodes, shared by all writers, so that a scan below the line is only looked at by the
/// database when there is something to end.
#[derive(Debug, Clone, Default)]
pub struct OpenKeys(Arc<Mutex<BTreeSet<Key>>>);

impl OpenKeys {
    /// Replaces all, from the database.
    pub fn replace(&self, keys: impl IntoIterator<Item = Key>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = keys.into_iter().collect();
    }

    /// Notes what a transaction began and ended.
    pub fn moved(&self, begun: &[Key], ended: &[Key]) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.extend(begun.iter().cloned());
        for key in ended {
            keys.remove(key);
        }
    }

    fn contains(&self, key: &Key) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    /// Whether an analyser of an outlet is known to be faulty.
    fn any_faulty(&self, outlet_id: i32) -> bool {
        let first = fault_key(outlet_id, "");
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.range(first..).next().is_some_and(|key| {
            (key.outlet_id, key.position, key.kind) == (outlet_id, -1, AlertKind::AnalyserFault)
        })
    }
}

/// Where an outlet is, for a message.
pub fn place(outlet: &Outlet) -> Place {
    Place {
        code: outlet.code.to_string(),
        name: outlet.name.clone(),
        enterprise: outlet.enterprise.name.clone(),
        enterprise_code: outlet.enterprise.code.clone(),
        division: outlet.enterprise.division.clone(),
        contact: outlet.enterprise.contact.clone(),
    }
}

/// One fresh scan, with what is watched at its outlet.
pub struct Sight<'s> {
    pub outlet: &'s Outlet,
    pub at: Timestamp,
    /// By position.
    pub readings: &'s [Reading],
    pub evaluated: &'s Evaluated,
    pub watched: &'s Watched,
    pub open: &'s OpenKeys,
}

impl Sight<'_> {
    /// What it shows. Of what is neither above nor to be ended, nothing: nearly every scan.
    pub fn sightings(&self) -> Vec<Sighting> {
        let Some(settings) = self.outlet.settings.at(self.at) else { return Vec::new() };
        let watch = self.watched.rule(AlertKind::EarlyWarning, self.at);
        let mut seen = Vec::new();
        for rule in self.outlet.rules.iter().filter(|rule| rule.process == settings.process) {
            if !warns(rule, self.at) {
                continue;
            }
            for (position, channel) in self.outlet.channels.iter().enumerate() {
                if channel.factor.code != rule.factor {
                    continue;
                }
                // Not `extend`: that moves a whole sighting about for each one that there is not.
                if let Some(sighting) = self.of_rule(rule, position, watch) {
                    seen.push(sighting);
                }
            }
        }
        if let Some(sighting) = self.dilution(settings) {
            seen.push(sighting);
        }
        self.faults(&mut seen);
        seen
    }

    fn of_rule(&self, rule: &Rule, position: Position, watch: Option<&AlertRule>) -> Option<Sighting> {
        let found = glimpse(rule, self.outlet, self.at, position, self.evaluated)?;
        let key = Key {
            outlet_id: self.outlet.id,
            position: i16::try_from(position).ok()?,
            rule_id: rule.id,
            kind: AlertKind::EarlyWarning,
            subject: String::new(),
        };
        let level = watch.map_or(0, |watch| level_of(watch, found));
        let Glimpse { corrected, limit, .. } = found;
        self.sighting(key, (corrected, level), watch, |alert| {
            describe(alert, self.outlet, position, rule);
            alert.measured = self.evaluated.channels.get(position).and_then(|channel| channel.measured);
            alert.oxygen = self.evaluated.conditions.oxygen_percent;
            alert.corrected = Some(corrected);
            alert.ratio_over =
                Some(corrected / limit - 1.0).filter(|ratio| *ratio > 0.0 && ratio.is_finite());
            alert.summary = alert.value_summary();
            Some(limit)
        })
    }

    /// Oxygen above the cut-off keeps the outlet's values from being judged: an episode of its own, one an outlet.
    fn dilution(&self, settings: &OutletSettings) -> Option<Sighting> {
        let oxygen = self.evaluated.conditions.oxygen_percent?;
        let cutoff = settings.oxygen_cutoff_percent;
        let watch = self.watched.rule(AlertKind::NotConvertible, self.at);
        let kind = AlertKind::NotConvertible;
        let key = Key { outlet_id: self.outlet.id, position: -1, rule_id: 0, kind, subject: String::new() };
        let above = self.evaluated.channels.iter().any(|channel| channel.not_convertible);
        self.sighting(key, (oxygen, u8::from(above)), watch, |alert| {
            alert.outlet = Some(place(self.outlet));
            alert.oxygen = Some(oxygen);
            (alert.limit, alert.unit) = (Some(cutoff), Some("%".to_owned()));
            alert.summary = format!(
                "{} O2 {oxygen:.1} % is above the cut-off of {cutoff} %: nothing can be judged",
                self.outlet.code
            );
            None
        })
    }

    /// Analysers all of whose values say that it is faulty. One that does not answer says nothing of itself.
    fn faults(&self, seen: &mut Vec<Sighting>) {
        let is_fault = |reading: &Reading| reading.flag == Flag::Fault;
        if !self.readings.iter().any(is_fault) && !self.open.any_faulty(self.outlet.id) {
            return;
        }
        let watch = self.watched.rule(AlertKind::AnalyserFault, self.at);
        let mut analysers: Vec<(&str, Vec<&Channel>, bool)> = Vec::new();
        for (channel, reading) in self.outlet.channels.iter().zip(self.readings) {
            let Some(settings) = channel.settings.at(self.at) else { continue };
            if matches!(reading.flag, Flag::Absent | Flag::Communication) {
                continue;
            }
            let faulty = is_fault(reading);
            match analysers.iter_mut().find(|(name, ..)| *name == &*settings.analyser) {
                Some((_, channels, all)) => {
                    channels.push(channel);
                    *all &= faulty;
                }
                None => analysers.push((&settings.analyser, vec![channel], faulty)),
            }
        }
        for (name, channels, all) in analysers {
            let key = fault_key(self.outlet.id, name);
            seen.extend(self.sighting(key, (f64::NAN, u8::from(all)), watch, |alert| {
                let codes: Vec<&str> = channels.iter().map(|channel| channel.code.as_str()).collect();
                let letter = Flag::Fault.letter().to_string();
                let code = &self.outlet.code;
                alert.outlet = Some(place(self.outlet));
                alert.analyser = Some(name.to_owned());
                alert.reason = Some(format!("{letter}: {}", codes.join(", ")));
                alert.summary = format!("{code}: analyser {name} says that it is faulty");
                let analyser = name.to_owned();
                alert.instrument = Some(Instrument { analyser, flag: Some(letter), ..Instrument::default() });
                None
            }));
        }
    }

    /// `None` also for what is not above when there is nothing to end. `describe` fills in the alert and gives the limit.
    fn sighting(
        &self,
        key: Key,
        (value, level): (f64, u8),
        watch: Option<&AlertRule>,
        describe: impl FnOnce(&mut Alert) -> Option<f64>,
    ) -> Option<Sighting> {
        // What nobody watches is not above, and ends.
        let above = level > 0 && watch.is_some();
        if !above && !self.open.contains(&key) {
            return None;
        }
        let mut alert = Alert::new(key.kind, self.at, self.at);
        let limit = describe(&mut alert);
        let level = level.max(1);
        let alert = match watch {
            Some(watch) => watch.grade(alert, level),
            None => alert,
        };
        Some(Sighting {
            key,
            observation: Observation { at: self.at, value, above, level },
            limit,
            hold: watch.map_or(SignedDuration::ZERO, AlertRule::hold),
            clear: watch.map_or(WINDOW, AlertRule::clear),
            alert,
        })
    }
}

/// The level of a scan by the lines of its rule of alerting, multiples of the limit; where it has none, by the limit's own rule.
fn level_of(watch: &AlertRule, Glimpse { corrected, limit, above }: Glimpse) -> u8 {
    if watch.levels.is_empty() { u8::from(above) } else { watch.level_of(corrected / limit) }
}

fn fault_key(outlet_id: i32, analyser: &str) -> Key {
    let (kind, subject) = (AlertKind::AnalyserFault, analyser.to_owned());
    Key { outlet_id, position: -1, rule_id: 0, kind, subject }
}

/// A single scan says nothing about a day; only rules on hours and shorter warn early.
fn warns(rule: &Rule, at: Timestamp) -> bool {
    rule.period <= AveragingPeriod::Hour && rule.limit.holds(at)
}

/// Fills in what a rule and a place say, the same for scans and windows.
pub fn describe(alert: &mut Alert, outlet: &Outlet, position: Position, rule: &Rule) {
    let channel = outlet.channels.get(position);
    alert.outlet = Some(place(outlet));
    alert.channel = channel.map(|channel| channel.code.to_string());
    alert.pollutant = channel.map(|channel| channel.factor.symbol.clone());
    alert.rule = Some(rule.code.clone());
    alert.rule_kind = Some(rule.kind.name().to_owned());
    alert.rule_name = Some(rule.name.clone());
    alert.limit = Some(rule.limit.value);
    alert.unit = Some("mg/m3".to_owned());
    alert.reference_oxygen = match rule.reference {
        Reference::OxygenPercent(percent) => Some(percent),
        Reference::None | Reference::ExcessAir(_) => None,
    };
}

//! What single scans show: early warnings and dilution. Pure; the pipeline stores what comes out.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::domain::alert::{Alert, AlertKind, Place};
use crate::domain::episode::Observation;
use crate::domain::evaluation::Evaluated;
use crate::domain::exceedance::{Glimpse, glimpse};
use crate::domain::limit::{AveragingPeriod, Reference, Rule};
use crate::domain::plant::{Outlet, Position};
use crate::store::episode::{Key, Sighting};

/// Older scans are history: they are averaged and judged, but warn nobody.
pub const FRESH: SignedDuration = SignedDuration::from_secs(60);

/// Records that come just made are taken for fresh even when the gateway's clock says that they are this old.
pub const SLOW_CLOCK: SignedDuration = SignedDuration::from_mins(15);

/// The keys of open scan-level episodes, shared by all writers, so that a scan below the line is only looked at by the
/// database when there is something to end.
#[derive(Debug, Clone, Default)]
pub struct OpenKeys(Arc<Mutex<HashSet<Key>>>);

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

/// The sightings of one fresh scan; none for an old one.
pub fn sightings(
    outlet: &Outlet,
    (at, fresh): (Timestamp, bool),
    evaluated: &Evaluated,
    open: &OpenKeys,
) -> Vec<Sighting> {
    if !fresh {
        return Vec::new();
    }
    let Some(settings) = outlet.settings.at(at) else { return Vec::new() };
    let mut seen = Vec::new();
    for rule in outlet.rules.iter().filter(|rule| rule.process == settings.process && warns(rule, at)) {
        for (position, channel) in outlet.channels.iter().enumerate() {
            if channel.factor.code != rule.factor {
                continue;
            }
            if let Some(sighting) = of_rule(rule, outlet, at, (position, evaluated), open) {
                seen.push(sighting);
            }
        }
    }
    seen.extend(dilution(outlet, at, evaluated, open));
    seen
}

/// A single scan says nothing about a day; only rules on hours and shorter warn early.
fn warns(rule: &Rule, at: Timestamp) -> bool {
    rule.period <= AveragingPeriod::Hour && rule.limit.holds(at)
}

/// `None` also for a value below the line when there is nothing to end: nearly every scan.
fn of_rule(
    rule: &Rule,
    outlet: &Outlet,
    at: Timestamp,
    (position, evaluated): (Position, &Evaluated),
    open: &OpenKeys,
) -> Option<Sighting> {
    let Glimpse { corrected, limit, above } = glimpse(rule, outlet, at, position, evaluated)?;
    let key = Key {
        outlet_id: outlet.id,
        position: i16::try_from(position).ok()?,
        rule_id: rule.id,
        kind: AlertKind::EarlyWarning,
        subject: String::new(),
    };
    if !above && !open.contains(&key) {
        return None;
    }
    let mut alert = Alert::new(AlertKind::EarlyWarning, at, at);
    describe(&mut alert, outlet, position, rule);
    alert.measured = evaluated.channels.get(position).and_then(|channel| channel.measured);
    alert.oxygen = evaluated.conditions.oxygen_percent;
    alert.corrected = Some(corrected);
    alert.ratio_over = Some(corrected / limit - 1.0).filter(|ratio| *ratio > 0.0 && ratio.is_finite());
    alert.summary = alert.value_summary();
    Some(Sighting {
        key,
        observation: Observation { at, value: corrected, above, level: 1 },
        limit: Some(limit),
        hold: SignedDuration::ZERO,
        alert,
    })
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

/// Oxygen above the cut-off keeps the outlet's values from being judged: an episode of its own, one an outlet.
fn dilution(outlet: &Outlet, at: Timestamp, evaluated: &Evaluated, open: &OpenKeys) -> Option<Sighting> {
    let oxygen = evaluated.conditions.oxygen_percent?;
    let cutoff = outlet.settings.at(at)?.oxygen_cutoff_percent;
    let key = Key {
        outlet_id: outlet.id,
        position: -1,
        rule_id: 0,
        kind: AlertKind::NotConvertible,
        subject: String::new(),
    };
    let above = evaluated.channels.iter().any(|channel| channel.not_convertible);
    if !above && !open.contains(&key) {
        return None;
    }
    let mut alert = Alert::new(AlertKind::NotConvertible, at, at);
    alert.outlet = Some(place(outlet));
    alert.oxygen = Some(oxygen);
    alert.summary =
        format!("{} O2 {oxygen:.1} % is above the cut-off of {cutoff} %: nothing can be judged", outlet.code);
    Some(Sighting {
        key,
        observation: Observation { at, value: oxygen, above, level: 1 },
        limit: None,
        hold: SignedDuration::ZERO,
        alert,
    })
}

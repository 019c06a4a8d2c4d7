//! Sightings of different rules told together: each with the time for which it must be over before its episode ends.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Client;

use crate::domain::alert::{Alert, AlertKind};
use crate::domain::alerting::AlertRule;
use crate::domain::episode::{Hysteresis, Observation};
use crate::store::episode::{Key, Moved, Sighting, observe};
use crate::store::session::{Failure, bounded};

/// A sighting, and how long it must be over.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    pub sighting: Sighting,
    pub clear: SignedDuration,
}

impl Watched {
    /// By a rule: level 0 is nothing to tell.
    pub fn by(rule: &AlertRule, key: Key, (level, value): (u8, f64), mut alert: Alert) -> Watched {
        (alert.level, alert.severity) = (level.max(1), rule.severity_at(level.max(1)));
        let observation = Observation { at: alert.at, value, above: level > 0, level: level.max(1) };
        let hold = SignedDuration::from_secs(i64::from(rule.hold_s));
        let sighting = Sighting { key, observation, limit: alert.limit, hold, alert };
        Watched { sighting, clear: SignedDuration::from_secs(i64::from(rule.clear_s)) }
    }

    /// Nothing of it is to be seen any more.
    pub fn over(key: Key, now: Timestamp, clear: SignedDuration) -> Watched {
        let alert = Alert::new(key.kind, now, now);
        let observation = Observation { at: now, value: 0.0, above: false, level: 1 };
        let sighting = Sighting { key, observation, limit: None, hold: SignedDuration::ZERO, alert };
        Watched { sighting, clear }
    }

    /// Whether there is something to tell, or something to end.
    pub fn matters(&self, known: &HashSet<Key>) -> bool {
        self.sighting.observation.above || known.contains(&self.sighting.key)
    }
}

/// The key of something that belongs to no outlet.
pub fn key(kind: AlertKind, subject: &str) -> Key {
    Key { outlet_id: 0, position: -1, rule_id: 0, kind, subject: subject.to_owned() }
}

/// Moves the episodes, those of one time in a transaction.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn tell(client: &Client, watched: Vec<Watched>, now: Timestamp) -> Result<Moved, Failure> {
    let mut by_clear: BTreeMap<SignedDuration, Vec<Sighting>> = BTreeMap::new();
    for one in watched {
        by_clear.entry(one.clear).or_default().push(one.sighting);
    }
    let mut all = Moved::default();
    for (clear, sightings) in by_clear {
        bounded(client.batch_execute("BEGIN")).await?;
        let moved = observe(client, sightings, Hysteresis(clear), now).await?;
        bounded(client.batch_execute("COMMIT")).await?;
        all.begun.extend(moved.begun);
        all.ended.extend(moved.ended);
        all.alerts += moved.alerts;
    }
    Ok(all)
}

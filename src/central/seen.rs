//! What was seen, as its rule has it, and its way to the episodes.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Client;

use crate::domain::alert::{Alert, AlertKind};
use crate::domain::alerting::AlertRule;
use crate::domain::episode::{Hysteresis, Observation};
use crate::store::episode::{Key, Moved, Sighting, observe};
use crate::store::session::{Failure, bounded};

/// Seen at a level; 0 is nothing to tell.
pub fn by(rule: &AlertRule, key: Key, (level, value): (u8, f64), mut alert: Alert) -> Sighting {
    (alert.level, alert.severity) = (level.max(1), rule.severity_at(level.max(1)));
    let observation = Observation { at: alert.at, value, above: level > 0, level: level.max(1) };
    let seconds = |seconds: u32| SignedDuration::from_secs(i64::from(seconds));
    let (hold, clear) = (seconds(rule.hold_s), Hysteresis(seconds(rule.clear_s)));
    Sighting { key, observation, limit: alert.limit, hold, clear, alert }
}

/// The same of what has happened: there is no waiting.
pub fn happened(rule: &AlertRule, key: Key, (level, value): (u8, f64), alert: Alert) -> Sighting {
    Sighting { hold: SignedDuration::ZERO, ..by(rule, key, (level, value), alert) }
}

/// Nothing of it is to be seen any more.
pub fn over(key: Key, now: Timestamp, clear: Hysteresis) -> Sighting {
    let alert = Alert::new(key.kind, now, now);
    let observation = Observation { at: now, value: 0.0, above: false, level: 1 };
    Sighting { key, observation, limit: None, hold: SignedDuration::ZERO, clear, alert }
}

/// Whether there is something to tell, or something to end.
pub fn matters(sighting: &Sighting, known: &HashSet<Key>) -> bool {
    sighting.observation.above || known.contains(&sighting.key)
}

/// The key of something that belongs to no outlet.
pub fn key(kind: AlertKind, subject: &str) -> Key {
    Key { outlet_id: 0, position: -1, rule_id: 0, kind, subject: subject.to_owned() }
}

/// Moves the episodes, in a transaction of their own.
///
/// # Errors
/// [`Failure`] when the database does not answer.
pub async fn tell(client: &Client, seen: Vec<Sighting>, now: Timestamp) -> Result<Moved, Failure> {
    if seen.is_empty() {
        return Ok(Moved::default());
    }
    bounded(client.batch_execute("BEGIN")).await?;
    let moved = observe(client, seen, now).await?;
    bounded(client.batch_execute("COMMIT")).await?;
    Ok(moved)
}

//! What a person is told of records that were not accepted, or are gone for ever.

use jiff::{SignedDuration, Timestamp};

use crate::central::intake::TakenEvent;
use crate::config::central::Quarantine;
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::episode::{Hysteresis, Observation};
use crate::mqtt::record::event as name;
use crate::store::episode::{Key, Sighting};
use crate::store::quarantine::Kept;

/// A quarantine episode ends after ten minutes without a new case.
pub const QUARANTINE: Hysteresis = Hysteresis(jiff::SignedDuration::from_mins(10));

/// Why a second record for a stored key goes to quarantine.
pub(super) fn conflict_reason() -> String {
    "another record with the same key and other bytes is stored already; the first stands (conflict)"
        .to_owned()
}

/// What a person is told when a gateway has lost records for ever: one episode a gateway, noticed now.
pub(super) fn lost_range(taken: &TakenEvent, now: Timestamp) -> Option<Sighting> {
    if taken.event.event != name::LOST_RANGE {
        return None;
    }
    let gateway = &taken.record.place.gateway;
    let mut alert = Alert::new(AlertKind::LostRange, taken.event.at, now);
    alert.gateway = Some(gateway.clone());
    let detail: Vec<String> =
        taken.event.detail.iter().map(|(name, value)| format!("{name} {value}")).collect();
    alert.summary = format!("gateway {gateway} has lost records that nobody else has: {}", detail.join(", "));
    let key =
        Key { outlet_id: 0, position: -1, rule_id: 0, kind: AlertKind::LostRange, subject: gateway.clone() };
    Some(Sighting {
        key,
        observation: Observation { at: now, value: 1.0, above: true, level: 1 },
        limit: None,
        hold: SignedDuration::ZERO,
        clear: QUARANTINE,
        alert,
    })
}

/// What a person is told of a quarantined record: one episode a gateway.
pub(super) fn case_of(kept: &Kept, now: Timestamp) -> Sighting {
    let kind = if kept.reason == conflict_reason() { AlertKind::Conflict } else { AlertKind::Quarantine };
    let mut alert = Alert::new(kind, now, now);
    alert.gateway = Some(kept.gateway.clone());
    alert.summary = format!("gateway {}: {}", kept.gateway, kept.reason);
    let key = Key { outlet_id: 0, position: -1, rule_id: 0, kind, subject: kept.gateway.clone() };
    Sighting {
        key,
        observation: Observation { at: now, value: 1.0, above: true, level: 1 },
        limit: None,
        hold: SignedDuration::ZERO,
        clear: QUARANTINE,
        alert,
    }
}

/// What a person is told when no more of a gateway is kept: one episode a gateway.
pub(super) fn full(gateway: &str, cap: &Quarantine, now: Timestamp) -> Sighting {
    let kind = AlertKind::QuarantineFull;
    let mut alert = Alert::new(kind, now, now);
    alert.gateway = Some(gateway.to_owned());
    alert.summary = format!(
        "gateway {gateway}: its quarantine is full ({} records or {} MiB are the cap); what else is refused of it gets no \
         receipt and stays in its spool",
        cap.records,
        cap.bytes >> 20
    );
    let key = Key { outlet_id: 0, position: -1, rule_id: 0, kind, subject: gateway.to_owned() };
    Sighting {
        key,
        observation: Observation { at: now, value: 1.0, above: true, level: 1 },
        limit: None,
        hold: SignedDuration::ZERO,
        clear: QUARANTINE,
        alert,
    }
}

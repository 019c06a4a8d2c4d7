//! What a person is told of records that were not accepted, or are gone for ever.

use jiff::Timestamp;

use crate::central::concern::{Concern, scoped};
use crate::central::intake::TakenEvent;
use crate::central::seen::{happened, key};
use crate::config::central::Quarantine;
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::alerting::Alerting;
use crate::domain::episode::Hysteresis;
use crate::domain::plant::Plant;
use crate::mqtt::record::event as name;
use crate::store::episode::Sighting;
use crate::store::quarantine::Kept;

/// A quarantine episode ends after ten minutes without a new case.
pub const QUARANTINE: Hysteresis = Hysteresis(jiff::SignedDuration::from_mins(10));

/// Why a second record for a stored key goes to quarantine.
pub(super) fn conflict_reason() -> String {
    "another record with the same key and other bytes is stored already; the first stands (conflict)"
        .to_owned()
}

/// What a person is told when a gateway has lost records for ever: one episode a gateway, noticed now.
pub(super) fn lost_range(
    taken: &TakenEvent,
    (plant, alerting): (&Plant, &Alerting),
    now: Timestamp,
) -> Option<Sighting> {
    if taken.event.event != name::LOST_RANGE {
        return None;
    }
    let gateway = &taken.record.place.gateway;
    let mut alert = Alert::new(AlertKind::LostRange, taken.event.at, now);
    alert.gateway = Some(gateway.to_string());
    let detail: Vec<String> =
        taken.event.detail.iter().map(|(name, value)| format!("{name} {value}")).collect();
    alert.summary = format!("gateway {gateway} has lost records that nobody else has: {}", detail.join(", "));
    alert.reason = taken.event.detail.get("reason").cloned();
    of_gateway(alert, (plant, alerting), now)
}

/// What a quarantined record is to a person.
pub(super) fn kind_of(kept: &Kept) -> AlertKind {
    if kept.reason == conflict_reason() { AlertKind::Conflict } else { AlertKind::Quarantine }
}

/// What a person is told of a quarantined record: one episode a gateway.
pub(super) fn case_of(
    kept: &Kept,
    (plant, alerting): (&Plant, &Alerting),
    now: Timestamp,
) -> Option<Sighting> {
    let mut alert = Alert::new(kind_of(kept), now, now);
    alert.gateway = Some(kept.gateway.clone());
    alert.summary = format!("gateway {}: {}", kept.gateway, kept.reason);
    alert.reason = Some(kept.reason.clone());
    of_gateway(alert, (plant, alerting), now)
}

/// What a person is told when no more of a gateway is kept: one episode a gateway.
pub(super) fn full(
    kept: &Kept,
    cap: &Quarantine,
    (plant, alerting): (&Plant, &Alerting),
    now: Timestamp,
) -> Option<Sighting> {
    let gateway = &kept.gateway;
    let mut alert = Alert::new(AlertKind::QuarantineFull, now, now);
    alert.gateway = Some(gateway.clone());
    alert.summary = format!(
        "gateway {gateway}: its quarantine is full ({} records or {} MiB are the cap); what else is refused of it gets no \
         receipt and stays in its spool",
        cap.records,
        cap.bytes >> 20
    );
    of_gateway(alert, (plant, alerting), now)
}

/// With what it concerns and as its rule has it; `None` where it is not watched. It has happened: there is no waiting.
fn of_gateway(mut alert: Alert, (plant, alerting): (&Plant, &Alerting), now: Timestamp) -> Option<Sighting> {
    let gateway = alert.gateway.clone().unwrap_or_default();
    Concern::of_gateway(plant, &gateway, now).tell(&mut alert);
    let rule = alerting.rule(alert.kind, scoped(&alert), now)?;
    Some(happened(rule, key(rule.kind, &gateway), (1, 1.0), alert))
}

//! What a person is told of a silence. Pure.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::central::concern::{Concern, scoped};
use crate::central::seen::over;
use crate::central::warning::place;
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::episode::{Hysteresis, Observation, WINDOW};
use crate::domain::plant::Outlet;
use crate::store::episode::{Key, Sighting};
use crate::store::frame::Frames;

/// A silence as its rule has it: how long it must last besides the limit, how grave it is, and whether it is told at all.
pub(super) fn under_rule(
    mut sighting: Sighting,
    frames: &Frames,
    (now, clear): (Timestamp, Hysteresis),
) -> Sighting {
    let seconds = |seconds: u32| SignedDuration::from_secs(i64::from(seconds));
    match frames.alerting.rule(sighting.key.kind, scoped(&sighting.alert), now) {
        Some(rule) => {
            sighting.alert.severity = rule.severity_at(sighting.alert.level);
            sighting.hold = seconds(rule.hold_s);
            sighting.clear = Hysteresis(clear.0.max(seconds(rule.clear_s)));
            sighting
        }
        None => over(sighting.key, now, WINDOW),
    }
}

fn sighting(
    mut alert: Alert,
    kind: AlertKind,
    key: (i32, &str),
    (since, above): (Timestamp, bool),
    now: Timestamp,
) -> Sighting {
    let key = Key { outlet_id: key.0, position: -1, rule_id: 0, kind, subject: key.1.to_owned() };
    alert.started_at = since;
    let value = now.duration_since(since).as_secs_f64();
    Sighting {
        key,
        observation: Observation { at: now, value, above, level: 1 },
        limit: None,
        hold: SignedDuration::ZERO,
        clear: WINDOW,
        alert,
    }
}

pub(super) fn of_gateway(
    name: &str,
    outlets: &[&Arc<Outlet>],
    told: (Timestamp, bool),
    now: Timestamp,
) -> Sighting {
    let since = told.0;
    let mut alert = Alert::new(AlertKind::SilentGateway, since, now);
    alert.gateway = Some(name.to_owned());
    alert.summary = format!("gateway {name} with {} outlets: nothing heard since {since}", outlets.len());
    if told.1 {
        Concern::of(outlets).tell(&mut alert);
    }
    sighting(alert, AlertKind::SilentGateway, (0, name), told, now)
}

pub(super) fn of_outlet(outlet: &Outlet, gateway: &str, told: (Timestamp, bool), now: Timestamp) -> Sighting {
    let since = told.0;
    let mut alert = Alert::new(AlertKind::SilentOutlet, since, now);
    alert.outlet = Some(place(outlet));
    alert.gateway = Some(gateway.to_owned());
    alert.summary = format!("outlet {}: no analyser has answered since {since}", outlet.code);
    sighting(alert, AlertKind::SilentOutlet, (outlet.id, ""), told, now)
}

pub(super) fn of_analyser(
    outlet: &Outlet,
    analyser: &str,
    told: (Timestamp, bool),
    now: Timestamp,
) -> Sighting {
    let since = told.0;
    let mut alert = Alert::new(AlertKind::SilentAnalyser, since, now);
    alert.outlet = Some(place(outlet));
    alert.analyser = Some(analyser.to_owned());
    alert.summary = format!("outlet {}: analyser {analyser} has not answered since {since}", outlet.code);
    sighting(alert, AlertKind::SilentAnalyser, (outlet.id, analyser), told, now)
}

pub(super) fn link(now: Timestamp, since: Option<Timestamp>) -> Sighting {
    let mut alert = Alert::new(AlertKind::LinkDown, since.unwrap_or(now), now);
    "the centre has no connection to the MQTT broker".clone_into(&mut alert.summary);
    sighting(alert, AlertKind::LinkDown, (0, ""), (since.unwrap_or(now), since.is_some()), now)
}

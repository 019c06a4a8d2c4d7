//! What gateways say of themselves: clock, spool, certificate by their status; analysers that refuse or contradict, and steps of the
//! clock, by their events. A silent gateway says nothing, so nothing more is told of it. Pure but for the look at the end.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::central::concern::{Concern, served};
use crate::central::intake::TakenEvent;
use crate::central::refusal::lost_range;
use crate::central::seen::{by, happened, key, matters, over, tell};
use crate::central::silence::Watch;
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::alerting::{AlertRule, Alerting, Scoped};
use crate::domain::episode::{Hysteresis, WINDOW};
use crate::domain::plant::Plant;
use crate::mqtt::record::event as name;
use crate::mqtt::status::GatewayStatus;
use crate::store::episode::{Key, Sighting, movable};
use crate::store::heard::statuses;
use crate::store::session::Failure;

/// What is only told when it happens is over when it has not happened for so long: a flapping check is one episode.
pub const QUIET: Hysteresis = Hysteresis(SignedDuration::from_hours(1));
/// What a gateway recorded longer ago is history and pages nobody.
const NEWS: SignedDuration = SignedDuration::from_hours(1);
/// Kinds that a status tells.
const OF_STATUS: [AlertKind; 3] =
    [AlertKind::GatewayClock, AlertKind::GatewaySpool, AlertKind::GatewayCertificate];
const DAY_S: f64 = 86_400.0;

/// A gateway as rules and messages see it.
struct Speaker<'s> {
    name: &'s str,
    concern: &'s Concern,
    alerting: &'s Alerting,
    now: Timestamp,
}

impl<'s> Speaker<'s> {
    fn rule(&self, kind: AlertKind) -> Option<&'s AlertRule> {
        let place = self.concern.enterprise.as_ref();
        let scoped = place.map_or(Scoped::default(), |place| Scoped {
            outlet: "",
            enterprise: &place.enterprise_code,
            division: &place.division,
        });
        self.alerting.rule(kind, scoped, self.now)
    }

    fn alert(&self, kind: AlertKind) -> Alert {
        let mut alert = Alert::new(kind, self.now, self.now);
        alert.gateway = Some(self.name.to_owned());
        self.concern.clone().tell(&mut alert);
        alert
    }

    /// What is surely wrong with the clock: the difference without its own uncertainty.
    fn clock(&self, status: &GatewayStatus) -> Option<Sighting> {
        let rule = self.rule(AlertKind::GatewayClock)?;
        let key = key(AlertKind::GatewayClock, self.name);
        let Some(offset) = status.clock_offset_ms else {
            // It does not know; what was known of it fades.
            return Some(over(key, self.now, QUIET));
        };
        let error = status.clock_offset_error_ms.unwrap_or(0).max(0);
        let seconds = |ms: i64| SignedDuration::from_millis(ms).as_secs_f64();
        let off = seconds(offset.saturating_abs().saturating_sub(error).max(0));
        let way = if offset < 0 { "behind" } else { "ahead of" };
        let (told, give) = (seconds(offset).abs(), seconds(error));
        let told = format!("{told:.1} s {way} the centre's, give or take {give:.1} s");
        Some(self.off(rule, if offset < 0 { -off } else { off }, &told))
    }

    /// The clock is off by so many seconds: ahead of the centre's where that is positive.
    fn off(&self, rule: &AlertRule, off: f64, told: &str) -> Sighting {
        let level = rule.level_of(off.abs());
        let mut alert = self.alert(AlertKind::GatewayClock);
        (alert.measured, alert.unit) = (Some(off), Some("s".to_owned()));
        alert.limit = line(rule, level);
        alert.summary = format!("gateway {}: its clock is {told}", self.name);
        by(rule, key(AlertKind::GatewayClock, self.name), (level, off.abs()), alert)
    }

    fn spool(&self, status: &GatewayStatus) -> Option<Sighting> {
        let rule = self.rule(AlertKind::GatewaySpool)?;
        let fill = f64::from(status.spool_level);
        // A spool that cannot be written is told, however empty it is.
        let level = rule.level_of(fill).max(u8::from(status.spool_alarm.is_some()));
        let mut alert = self.alert(AlertKind::GatewaySpool);
        (alert.share_percent, alert.line_percent) = (Some(fill), line(rule, level));
        (alert.measured, alert.unit) = (status.spool_hours_left, Some("h".to_owned()));
        alert.reason.clone_from(&status.spool_alarm);
        let left = status.spool_hours_left.map(|hours| format!("; it takes records for {hours:.1} h more"));
        let alarm = status.spool_alarm.as_ref().map(|alarm| format!("; {alarm}"));
        let more: String = left.into_iter().chain(alarm).collect();
        let (name, records) = (self.name, status.spool_records);
        alert.summary = format!("gateway {name}: its spool is {fill} % full with {records} records{more}");
        Some(by(rule, key(AlertKind::GatewaySpool, self.name), (level, fill), alert))
    }

    fn certificate(&self, status: &GatewayStatus) -> Option<Sighting> {
        let rule = self.rule(AlertKind::GatewayCertificate)?;
        let key = key(AlertKind::GatewayCertificate, self.name);
        let until = status.certificate_until.as_deref().and_then(|until| until.parse::<Timestamp>().ok());
        let Some(until) = until else {
            return Some(over(key, self.now, WINDOW));
        };
        let days = until.duration_since(self.now).as_secs_f64() / DAY_S;
        let level = rule.level_below(days);
        let mut alert = self.alert(AlertKind::GatewayCertificate);
        (alert.until, alert.measured, alert.unit) = (Some(until), Some(days.floor()), Some("d".to_owned()));
        alert.limit = line(rule, level);
        alert.summary = if days < 0.0 {
            format!("gateway {}: its certificate ended at {until}", self.name)
        } else {
            format!("gateway {}: its certificate ends at {until}, in {:.0} days", self.name, days.floor())
        };
        // The fewer days the graver: the highest of these is the worst.
        Some(by(rule, key, (level, -days), alert))
    }

    /// An analyser refuses registers, or does not hold what the configuration says.
    fn analyser(&self, taken: &TakenEvent) -> Option<Sighting> {
        let rule = self.rule(AlertKind::AnalyserFault)?;
        let detail = |key: &str| taken.event.detail.get(key).map_or("?", String::as_str);
        let analyser = detail("analyser");
        let told = if taken.event.event == name::REGISTERS_REFUSED {
            format!("it refuses registers that the configuration asks for: {}", detail("registers"))
        } else if detail("agrees") == "false" {
            let (check, expected, found) = (detail("check"), detail("expected"), detail("found"));
            format!("check {check}: {expected} expected, {found} found")
        } else {
            return None;
        };
        let mut alert = self.alert(AlertKind::AnalyserFault);
        alert.started_at = taken.event.at;
        alert.analyser = Some(analyser.to_owned());
        alert.summary = format!("gateway {}: analyser {analyser}: {told}", self.name);
        alert.reason = Some(told);
        let key = key(AlertKind::AnalyserFault, &format!("{}/{analyser}", self.name));
        // It is told once, so it cannot be waited for.
        Some(happened(rule, key, (1, 1.0), alert))
    }

    fn step(&self, taken: &TakenEvent) -> Option<Sighting> {
        let rule = self.rule(AlertKind::GatewayClock)?;
        let time = |key: &str| taken.event.detail.get(key)?.parse::<Timestamp>().ok();
        let (expected, found) = (time("expected")?, time("found")?);
        let step = found.duration_since(expected).as_secs_f64();
        let way = if step < 0.0 { "back" } else { "forward" };
        let told = format!("was set {way} by {:.1} s, from {expected} to {found}", step.abs());
        let mut by = self.off(rule, step, &told);
        by.alert.summary = format!("gateway {}: its clock {told}", self.name);
        by.alert.reason = Some(told);
        by.observation.above.then_some(Sighting { hold: SignedDuration::ZERO, ..by })
    }
}

/// The line of a level.
fn line(rule: &AlertRule, level: u8) -> Option<f64> {
    rule.levels.get(usize::from(level.checked_sub(1)?)).copied()
}

/// What a person is told of a gateway's status.
fn of_status(speaker: &Speaker<'_>, status: &GatewayStatus) -> Vec<Sighting> {
    let found = [speaker.clock(status), speaker.spool(status), speaker.certificate(status)];
    found.into_iter().flatten().collect()
}

/// What a person is told of a gateway's event.
pub(super) fn of_event(
    taken: &TakenEvent,
    (plant, alerting): (&Plant, &Alerting),
    now: Timestamp,
) -> Option<Sighting> {
    let event = taken.event.event.as_str();
    if event == name::LOST_RANGE {
        return lost_range(taken, (plant, alerting), now);
    }
    let is_watched = [name::REGISTERS_REFUSED, name::ANALYSER_CHECK, name::CLOCK_STEP].contains(&event);
    // Who sets a clock wrong dates the event wrong: what the clock had been is as good.
    let expected = taken.event.detail.get("expected").and_then(|at| at.parse::<Timestamp>().ok());
    let is_news = |at: Timestamp| now.duration_since(at).abs() <= NEWS;
    if !is_watched || !(is_news(taken.event.at) || expected.is_some_and(is_news)) {
        return None;
    }
    let gateway = &taken.record.place.gateway;
    let concern = Concern::of_gateway(plant, gateway, now);
    let speaker = Speaker { name: gateway, concern: &concern, alerting, now };
    if event == name::CLOCK_STEP { speaker.step(taken) } else { speaker.analyser(taken) }
}

impl Watch {
    /// Looks at what the gateways said that were heard since the last look.
    ///
    /// # Errors
    /// [`Failure`] when the database does not answer.
    pub(super) async fn look_at_gateways(&mut self, since: Timestamp, now: Timestamp) -> Result<(), Failure> {
        let (plant, frames) = (Arc::clone(&self.plant.borrow()), Arc::clone(&self.frames.borrow()));
        let client = self.session.client().await?;
        let known: HashSet<Key> = movable(client, &OF_STATUS).await?.into_iter().collect();
        let said = statuses(client, since).await?;
        let mut seen = Vec::new();
        let served = served(&plant, now);
        let names: HashMap<i32, &str> =
            plant.gateways.iter().map(|gateway| (gateway.id, &*gateway.name)).collect();
        for (id, status) in said {
            let Some(name) = names.get(&id).copied() else { continue };
            let Ok(status) = serde_json::from_str::<GatewayStatus>(&status) else { continue };
            let concern = served.get(name).map_or(Concern::default(), |outlets| Concern::of(outlets));
            let speaker = Speaker { name, concern: &concern, alerting: &frames.alerting, now };
            seen.extend(of_status(&speaker, &status).into_iter().filter(|one| matters(one, &known)));
        }
        let moved = tell(client, seen, now).await?;
        if moved.alerts > 0 {
            self.outbox.notify_waiters();
        }
        Ok(())
    }
}

//! What running hours show, minute by minute: a mean to date near its limit, an hour that will be above it. Each of them ends with
//! its hour at the latest; the verdict on the hour is told by itself.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Client;

use crate::central::pipeline::SOURCE;
use crate::central::warning::describe;
use crate::central::windows::compute::{Basis, Computed, Subject};
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::alerting::{AlertRule, Watched};
use crate::domain::average::settings_of;
use crate::domain::episode::{Observation, WINDOW};
use crate::domain::exceedance::rules_for;
use crate::domain::judgement::{By, Parts};
use crate::domain::law::OutletLaw;
use crate::domain::limit::{AveragingPeriod, Rule};
use crate::domain::order::{Demand, as_rule};
use crate::domain::outlook::{Ending, Foreseen, course, foresee};
use crate::domain::plant::{Outlet, Position};
use crate::domain::window::Window;
use crate::store::average;
use crate::store::episode::{Key, Sighting, movable_at};
use crate::store::frame;
use crate::store::session::Failure;

const KINDS: [AlertKind; 2] = [AlertKind::HourToDate, AlertKind::HourForecast];
/// An older minute says nothing of what can still be done.
const RECENT: SignedDuration = SignedDuration::from_mins(3);
/// So many minutes of an hour must be over before its mean to date says something,
const TO_DATE_FROM: i64 = 5;
/// and so many before its end is foreseen.
const FORECAST_FROM: i64 = 15;
/// Of fewer minutes that count nothing is made.
const FEWEST: u32 = 5;

/// The running hour of an outlet, after its newest minute.
struct Running<'w> {
    /// Of the hour.
    subject: Subject,
    minute: Window,
    watched: &'w Watched,
}

impl Running<'_> {
    fn elapsed(&self) -> i64 {
        self.minute.end.duration_since(self.subject.window.start).as_mins()
    }

    fn rule(&self, kind: AlertKind) -> Option<&AlertRule> {
        self.watched.rule(kind, self.minute.start)
    }
}

/// What the hours of minutes that were just computed and stored show. One look for all of them.
pub(super) async fn sightings(
    basis: &Basis<'_>,
    (subjects, computed): (&[Subject], &[Computed<'_>]),
    now: Timestamp,
) -> Result<Vec<Sighting>, Failure> {
    let running = running(basis, (subjects, computed), now);
    if running.is_empty() {
        return Ok(Vec::new());
    }
    let from = running.iter().map(|running| running.subject.window.start).min().unwrap_or(now);
    let until = running.iter().map(|running| running.subject.window.end).max().unwrap_or(now);
    let codes = running.iter().map(|running| &*running.subject.outlet.code);
    let laws = frame::laws(basis.client, basis.frames, codes, (from, until)).await?;
    let basis = Basis { client: basis.client, shared: basis.shared, frames: basis.frames, laws: &laws };
    let spans: Vec<(average::Of, Timestamp, Timestamp)> = running
        .iter()
        .map(|Running { subject, minute, .. }| {
            (subject.of, basis.ground(subject).known_from(subject.window), minute.end)
        })
        .collect();
    let mut stored = average::latest(basis.client, AveragingPeriod::Minute, &spans).await?;
    let outlets: Vec<i32> = running.iter().map(|running| running.subject.of.0).collect();
    let open: BTreeMap<Key, Timestamp> =
        movable_at(basis.client, &outlets, &KINDS).await?.into_iter().collect();
    let mut seen = Vec::new();
    for running in &running {
        let parts: Parts = stored
            .remove(&running.subject.of)
            .unwrap_or_default()
            .into_iter()
            .map(|(start, (_, channels))| (start, channels))
            .collect();
        shown(&basis, running, &parts, &mut seen);
    }
    // What is not above matters only where something is to end.
    seen.retain(|sighting| sighting.observation.above || open.contains_key(&sighting.key));
    let hours: HashMap<i32, Timestamp> =
        running.iter().map(|running| (running.subject.of.0, running.subject.window.start)).collect();
    for (key, last_above_at) in open {
        let hour = hours.get(&key.outlet_id).filter(|hour| last_above_at < **hour);
        seen.extend(hour.map(|hour| ended(key, *hour)));
    }
    Ok(seen)
}

/// Of each outlet the hour of its newest minute, where that is recent and something is watched.
fn running<'f>(
    basis: &Basis<'f>,
    (subjects, computed): (&[Subject], &[Computed<'_>]),
    now: Timestamp,
) -> Vec<Running<'f>> {
    let news: HashSet<(average::Of, Timestamp)> = computed
        .iter()
        .filter(|one| one.is_news && !one.is_locked)
        .map(|one| (one.row.of, one.row.window.start))
        .collect();
    let mut newest: BTreeMap<average::Of, Running<'f>> = BTreeMap::new();
    for Subject { outlet, of, window } in subjects {
        let recent = now.duration_since(window.end) <= RECENT;
        if of.1 != SOURCE || !recent || !news.contains(&(*of, window.start)) {
            continue;
        }
        let hour = Window::containing(AveragingPeriod::Hour, window.start, &basis.shared.zone);
        let subject = Subject { outlet: Arc::clone(outlet), of: *of, window: hour };
        let watched = basis.frames.watched(outlet.id);
        let running = Running { subject, minute: *window, watched };
        if KINDS.iter().any(|kind| running.rule(*kind).is_some()) {
            // Subjects are in the order of time.
            newest.insert(*of, running);
        }
    }
    newest.into_values().collect()
}

/// What one running hour shows by each rule and order on hours.
fn shown(basis: &Basis<'_>, running: &Running<'_>, parts: &Parts, seen: &mut Vec<Sighting>) {
    let (ground, hour) = (basis.ground(&running.subject), running.subject.window);
    let Some(settings) = settings_of(ground.outlet, hour) else { return };
    if running.elapsed() < TO_DATE_FROM {
        return;
    }
    let overlay = ground.overlay(hour, parts);
    let needed = basis.shared.regime.needed(AveragingPeriod::Hour, 60);
    for position in 0..ground.outlet.channels.len() {
        let judges = judges(ground.outlet, ground.law, (position, hour));
        if judges.is_empty() {
            continue;
        }
        let times = (hour, running.minute.end);
        let Some(course) = course(ground.outlet, times, position, (parts, &overlay), needed) else {
            continue;
        };
        for (by, rule) in judges {
            let Some(rule_id) = basis.frames.number(&by) else { continue };
            let Some(foreseen) = foresee(&rule, settings, &course) else { continue };
            let levels = [
                (AlertKind::HourToDate, foreseen.outlook.mean_mg_m3),
                (AlertKind::HourForecast, foreseen.projected_mg_m3),
            ];
            for (kind, value) in levels {
                seen.extend(sighting(running, (position, &rule, rule_id), &foreseen, (kind, value)));
            }
        }
    }
}

/// Whoever judges the hour of a channel by a limit.
fn judges<'g>(
    outlet: &'g Outlet,
    law: &'g OutletLaw,
    (position, hour): (Position, Window),
) -> Vec<(By<'g>, Cow<'g, Rule>)> {
    let mut judges: Vec<_> =
        rules_for(outlet, position, hour).map(|rule| (By::Rule(rule), Cow::Borrowed(rule))).collect();
    let factor = outlet.channels.get(position).map(|channel| channel.factor.code.as_str());
    for order in law.orders.iter().filter(|order| order.times.holds(hour.start)) {
        let is_about = match &order.demand {
            Demand::Limit { pollutant, .. } => Some(pollutant.as_str()) == factor,
            Demand::Stop { .. } | Demand::Reduce { .. } => false,
        };
        judges
            .extend(as_rule(order, "").filter(|_| is_about).map(|rule| (By::Order(order), Cow::Owned(rule))));
    }
    judges
}

/// What a foreseen hour says to the episode of a kind; `None` where the kind is not watched or says nothing yet.
fn sighting(
    running: &Running<'_>,
    (position, rule, rule_id): (Position, &Rule, i32),
    foreseen: &Foreseen,
    (kind, value): (AlertKind, f64),
) -> Option<Sighting> {
    let watch = running.rule(kind)?;
    let (outlet, hour, at) = (&running.subject.outlet, running.subject.window, running.minute.start);
    let Foreseen { outlook, valid, oxygen_percent, ending, .. } = *foreseen;
    if valid < FEWEST {
        return None;
    }
    let limit = rule.limit.value;
    let level = match (kind, ending) {
        (AlertKind::HourToDate, _) => watch.level_of(outlook.mean_mg_m3 / limit),
        (_, _) if running.elapsed() < FORECAST_FROM => return None,
        (_, Ending::Kept) => 0,
        (_, Ending::Above) => 1,
        (_, Ending::Lost) => 2,
    };
    // As of the minute's end, within the hour.
    let mut alert = Alert::new(kind, at, running.minute.end);
    describe(&mut alert, outlet, position, rule);
    (alert.period, alert.until) = (Some(hour.period.name().to_owned()), Some(hour.end));
    alert.oxygen = oxygen_percent;
    alert.corrected = Some(outlook.mean_mg_m3);
    alert.ratio_over =
        Some(outlook.mean_mg_m3 / limit - 1.0).filter(|ratio| *ratio > 0.0 && ratio.is_finite());
    alert.outlook = Some(outlook);
    (alert.valid, alert.part) = (Some(valid), Some(AveragingPeriod::Minute.name().to_owned()));
    alert.expected = u32::try_from(running.elapsed()).ok();
    alert.summary = format!("hour to date: {}", alert.value_summary());
    let above = level > 0;
    let level = level.max(1);
    Some(Sighting {
        key: Key {
            outlet_id: outlet.id,
            position: i16::try_from(position).ok()?,
            rule_id,
            kind,
            subject: String::new(),
        },
        observation: Observation { at, value, above, level },
        limit: Some(limit),
        hold: watch.hold(),
        clear: watch.clear(),
        alert: watch.grade(alert, level),
    })
}

/// An hour is over, and what was foreseen of it with it.
fn ended(key: Key, at: Timestamp) -> Sighting {
    let alert = Alert::new(key.kind, at, at);
    let observation = Observation { at, value: f64::NAN, above: false, level: 1 };
    Sighting { key, observation, limit: None, hold: SignedDuration::ZERO, clear: WINDOW, alert }
}

/// What is still open of hours that were now judged: their outlet may have fallen silent since.
pub(super) async fn over(client: &Client, computed: &[Computed<'_>]) -> Result<Vec<Sighting>, Failure> {
    let hours: HashMap<i32, Window> = computed
        .iter()
        .filter(|one| one.row.window.period == AveragingPeriod::Hour && one.row.of.1 == SOURCE)
        .map(|one| (one.row.of.0, one.row.window))
        .collect();
    if hours.is_empty() {
        return Ok(Vec::new());
    }
    let outlets: Vec<i32> = hours.keys().copied().collect();
    let open = movable_at(client, &outlets, &KINDS).await?;
    let of_hour = |(key, last_above_at): (Key, Timestamp)| {
        let hour = hours.get(&key.outlet_id).filter(|hour| last_above_at < hour.end)?;
        Some(ended(key, hour.end))
    };
    Ok(open.into_iter().filter_map(of_hour).collect())
}

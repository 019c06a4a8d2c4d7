//! From alerts to people. An alert is routed once: for each audience of its rule a ladder begins. A ladder's step tells whoever is on duty
//! when it is due. What does not get through in time goes to the person's next address. Each of it is one transaction; several centres
//! share the work by skipping rows that another one holds.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use tokio_postgres::Client;

use crate::central::seen::{key, matters, tell};
use crate::clock;
use crate::domain::alert::{Alert, AlertKind, Phase};
use crate::domain::alerting::{Alerting, Audience, Desk, Rung, Scoped, Told};
use crate::domain::episode::{Observation, WINDOW};
use crate::domain::silence::{Silence, silent_until};
use crate::shutdown::Shutdown;
use crate::store::delivery::channels;
use crate::store::dispatch::{
    After, Filed, Line, NewDelivery, NewLine, Stuck, begin, broadcast, correct, deliver, due, go_on, routed,
    stuck, unrouted, unstick,
};
use crate::store::episode::{Key, Sighting, open_of_kind};
use crate::store::frame::Frames;
use crate::store::session::{Failure, Session, Trouble, bounded};
use crate::store::silence::{SilenceRow, in_force};

/// So many at a time in one transaction.
const AT_ONCE: i64 = 200;
/// How long the links in messages are good.
const LINK: SignedDuration = SignedDuration::from_hours(72);
/// How often the rosters are looked at for gaps.
const ROSTER: Duration = Duration::from_mins(1);

/// Routes alerts and walks ladders.
pub struct Dispatcher {
    pub session: Session,
    pub frames: watch::Receiver<Arc<Frames>>,
    pub zone: TimeZone,
    pub outbox: Arc<Notify>,
    /// What has not got through by one address after this goes to the next one.
    pub fail_over_after: SignedDuration,
    /// Made when it is first needed for a revision of the plant.
    pub reachable: Option<(i64, Arc<Alerting>)>,
}

impl Dispatcher {
    /// Nothing is opened yet.
    pub fn new(
        session: Session,
        frames: watch::Receiver<Arc<Frames>>,
        zone: TimeZone,
        (outbox, fail_over): (Arc<Notify>, Duration),
    ) -> Dispatcher {
        let fail_over_after = SignedDuration::try_from(fail_over).unwrap_or(SignedDuration::from_mins(1));
        Dispatcher { session, frames, zone, outbox, fail_over_after, reachable: None }
    }

    /// Runs until shutdown.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut trouble = Trouble::default();
        let mut roster_at = clock::monotonic();
        let outbox = Arc::clone(&self.outbox);
        loop {
            let rung = outbox.notified();
            let mut done = self.on_due(clock::now()).await;
            if done.is_ok() && roster_at <= clock::monotonic() {
                roster_at = clock::monotonic() + ROSTER;
                done = self.look_for_gaps(clock::now()).await;
            }
            match done {
                Ok(()) => trouble.over(),
                Err(failure) => {
                    if trouble.is_new(&failure.to_string()) {
                        tracing::warn!(%failure, "alerts wait to be routed");
                    }
                    self.session.discard();
                }
            }
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Routes what is new, takes every step that is due, and fails over what is stuck, until nothing of it is left.
    ///
    /// # Errors
    /// [`Failure`] when the database does not answer; what is left stays due.
    pub async fn on_due(&mut self, now: Timestamp) -> Result<(), Failure> {
        loop {
            let more = self.route(now).await? | self.step(now).await? | self.fail_over(now).await?;
            if !more {
                return Ok(());
            }
            // Rung only when there is something to deliver, or we would wake ourselves for ever.
            self.outbox.notify_waiters();
        }
    }

    /// Who can be reached: the lists without the channels that are not enabled.
    async fn reachable(&mut self) -> Result<Arc<Alerting>, Failure> {
        let frames = Arc::clone(&self.frames.borrow());
        if let Some((revision, alerting)) = &self.reachable
            && *revision == frames.revision
        {
            return Ok(Arc::clone(alerting));
        }
        let enabled: HashSet<String> =
            channels(self.session.client().await?).await?.into_iter().map(|channel| channel.name).collect();
        let mut alerting = frames.alerting.clone();
        for person in &mut alerting.people {
            person.addresses.retain(|address| enabled.contains(&address.channel));
        }
        for team in &mut alerting.teams {
            team.group.retain(|address| enabled.contains(&address.channel));
        }
        let alerting = Arc::new(alerting);
        self.reachable = Some((frames.revision, Arc::clone(&alerting)));
        Ok(alerting)
    }

    async fn route(&mut self, now: Timestamp) -> Result<bool, Failure> {
        let alerting = self.reachable().await?;
        let client = self.session.client().await?;
        bounded(client.batch_execute("BEGIN")).await?;
        let new = unrouted(client, AT_ONCE).await?;
        if new.is_empty() {
            bounded(client.batch_execute("COMMIT")).await?;
            return Ok(false);
        }
        let silences = quiet(client, now).await?;
        let mut lines = Vec::new();
        let mut loud = Vec::new();
        for filed in &new {
            if matches!(filed.alert.phase, Phase::Revised | Phase::Withdrawn) {
                correct(client, filed, now).await?;
                continue;
            }
            if filed.alert.test {
                // A test goes where it was sent, and nowhere else.
                continue;
            }
            // Groups that hear everything are the bureau's.
            if silent_until(&silences, &filed.alert, Audience::Bureau, now).is_none() {
                loud.push(filed.id.as_str());
            }
            lines.extend(lines_of(&alerting, filed, &silences, now));
        }
        begin(client, &lines).await?;
        broadcast(client, &loud, now).await?;
        let ids: Vec<&str> = new.iter().map(|filed| filed.id.as_str()).collect();
        routed(client, &ids, now).await?;
        bounded(client.batch_execute("COMMIT")).await?;
        Ok(true)
    }

    async fn step(&mut self, now: Timestamp) -> Result<bool, Failure> {
        let alerting = self.reachable().await?;
        let (zone, fail_over_at) = (self.zone.clone(), now + self.fail_over_after);
        let client = self.session.client().await?;
        bounded(client.batch_execute("BEGIN")).await?;
        let lines = due(client, now, AT_ONCE).await?;
        if lines.is_empty() {
            bounded(client.batch_execute("COMMIT")).await?;
            return Ok(false);
        }
        let silences = quiet(client, now).await?;
        let desk = Desk::new(&alerting);
        let mut told: Vec<(usize, Vec<Told>)> = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let (step, next_at, whom) = next_step(&desk, line, &silences, (now, &zone));
            go_on(client, line, (step, next_at), now).await?;
            told.push((index, whom));
        }
        let mut new = Vec::new();
        for (index, whom) in &told {
            let Some(line) = lines.get(*index) else { continue };
            new.extend(whom.iter().map(|told| NewDelivery {
                filed: &line.filed,
                audience: line.audience,
                step: line.step,
                told,
                fail_over_at: told.person.as_ref().map(|_person| fail_over_at),
                link_until: now + LINK,
            }));
        }
        deliver(client, &new, now).await?;
        bounded(client.batch_execute("COMMIT")).await?;
        Ok(true)
    }

    async fn fail_over(&mut self, now: Timestamp) -> Result<bool, Failure> {
        let alerting = self.reachable().await?;
        let (zone, fail_over_at) = (self.zone.clone(), now + self.fail_over_after);
        let client = self.session.client().await?;
        bounded(client.batch_execute("BEGIN")).await?;
        let found = stuck(client, now, AT_ONCE).await?;
        for one in &found {
            match next_address(&alerting, one, (now, &zone)) {
                Some(told) => {
                    let new = NewDelivery {
                        filed: &one.filed,
                        audience: one.audience,
                        step: one.step,
                        told: &told,
                        fail_over_at: Some(fail_over_at),
                        link_until: now + LINK,
                    };
                    deliver(client, &[new], now).await?;
                    unstick(client, one, After::FailedOver, now).await?;
                }
                None => unstick(client, one, After::Last, now).await?,
            }
        }
        bounded(client.batch_execute("COMMIT")).await?;
        Ok(!found.is_empty())
    }

    /// A team without anybody on duty is told, before an alert finds nobody.
    ///
    /// # Errors
    /// [`Failure`] when the database does not answer.
    pub async fn look_for_gaps(&mut self, now: Timestamp) -> Result<(), Failure> {
        let alerting = self.reachable().await?;
        let zone = self.zone.clone();
        let client = self.session.client().await?;
        let open: HashSet<Key> = open_of_kind(client, AlertKind::DutyGap).await?.into_iter().collect();
        let in_force = alerting.teams.iter().filter(|team| team.times.holds(now));
        let desk = Desk::new(&alerting);
        let gap = |team| desk.on_duty(team, now, &zone).is_gap;
        let mut seen: Vec<Sighting> = in_force.map(|team| duty_gap(&team.code, gap(team), now)).collect();
        let gone = |key: &&Key| !seen.iter().any(|sighting| sighting.key == **key);
        let gone: Vec<Sighting> =
            open.iter().filter(gone).map(|key| duty_gap(&key.subject, false, now)).collect();
        seen.extend(gone);
        seen.retain(|sighting| matters(sighting, &open));
        if tell(client, seen, now).await?.alerts > 0 {
            self.outbox.notify_waiters();
        }
        Ok(())
    }
}

async fn quiet(client: &Client, now: Timestamp) -> Result<Vec<Silence>, Failure> {
    Ok(in_force(client, now).await?.iter().map(SilenceRow::silence).collect())
}

/// The ladders of an alert, one an audience of its rule.
fn lines_of(alerting: &Alerting, filed: &Filed, silences: &[Silence], now: Timestamp) -> Vec<NewLine> {
    let alert = &filed.alert;
    let Some(rule) = alerting.rule(alert.kind, scoped(alert), now) else { return Vec::new() };
    let later = now + SignedDuration::from_secs(i64::from(rule.others_after_s));
    let line = |(index, audience): (usize, &Audience)| NewLine {
        alert_id: filed.id.clone(),
        episode: filed.episode,
        audience: *audience,
        since: now,
        next_at: (if index == 0 { now } else { later })
            .max(silent_until(silences, alert, *audience, now).unwrap_or(now)),
    };
    rule.audiences.iter().enumerate().map(line).collect()
}

fn scoped(alert: &Alert) -> Scoped<'_> {
    alert.place().map_or(Scoped::default(), |place| Scoped {
        outlet: &place.code,
        enterprise: &place.enterprise_code,
        division: &place.division,
    })
}

/// What a line does now: its step afterwards, when it is due again, and whom it tells.
fn next_step(
    desk: &Desk<'_>,
    line: &Line,
    silences: &[Silence],
    (now, zone): (Timestamp, &TimeZone),
) -> (usize, Option<Timestamp>, Vec<Told>) {
    let (alert, standing) = (&line.filed.alert, line.standing);
    // What was put off is told only if it still matters; a step that is due at once is told even of what is over by now.
    let is_settled = line.is_over && (line.step > 0 || standing.is_put_off || standing.was_told);
    let is_held = line.is_held_elsewhere && line.step == 0 && standing.is_put_off;
    if is_settled || is_held || (standing.acknowledged && line.step > 0) {
        return (line.step, None, Vec::new());
    }
    if let Some(until) = silent_until(silences, alert, line.audience, now) {
        return (line.step, Some(until), Vec::new());
    }
    // A ladder that was put off begins when it is first told.
    let since = if line.step == 0 { now } else { line.since };
    let rung = Rung { alert, audience: line.audience, since, step: line.step };
    let telling = desk.telling(rung, (now, zone));
    let next_at = telling.next_at.filter(|_| !standing.acknowledged);
    // A step that finds nobody does not make the others wait.
    let next_at = if telling.told.is_empty() { next_at.map(|_| now) } else { next_at };
    (line.step + 1, next_at, telling.told)
}

/// The next of a person's addresses that holds now.
fn next_address(alerting: &Alerting, stuck: &Stuck, (now, zone): (Timestamp, &TimeZone)) -> Option<Told> {
    let person = alerting.person(&stuck.person, now)?;
    let mut later = person
        .addresses_at(now, stuck.filed.alert.severity, zone)
        .filter(|(index, _)| *index > stuck.address);
    let (index, address) = later.next()?;
    Some(Told {
        channel: address.channel.clone(),
        to: address.to.clone(),
        team: stuck.team.clone(),
        person: Some(person.code.clone()),
        language: person.language,
        address: index,
        has_more: later.next().is_some(),
    })
}

fn duty_gap(team: &str, is_gap: bool, now: Timestamp) -> Sighting {
    let mut alert = Alert::new(AlertKind::DutyGap, now, now);
    alert.subjects = vec![team.to_owned()];
    alert.summary = format!("nobody of team {team} is on duty; its default is told instead");
    let key = key(AlertKind::DutyGap, team);
    let observation = Observation { at: now, value: 0.0, above: is_gap, level: 1 };
    Sighting { key, observation, limit: None, hold: SignedDuration::ZERO, clear: WINDOW, alert }
}

//! Silence is watched like data. What is silent is told once, at the highest level that explains it: a silent gateway is one
//! alert, not one for each of its outlets; a silent outlet one, not one for each analyser.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};

use crate::central::life::Life;
use crate::central::pipeline::QUARANTINE;
use crate::central::warning::{OpenKeys, place};
use crate::clock;
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::episode::{Hysteresis, Observation, WINDOW};
use crate::domain::plant::{Outlet, Plant};
use crate::shutdown::Shutdown;
use crate::store::episode::{Key, Sighting, observe, open_of_kind};
use crate::store::heard::{self, Heard};
use crate::store::session::{Failure, Session, bounded};

/// Watches for silence, writes down signs of life, and keeps the writers' list of open episodes fresh.
pub struct Watch {
    pub session: Session,
    pub plant: watch::Receiver<Arc<Plant>>,
    pub life: Life,
    pub open: OpenKeys,
    pub outbox: Arc<Notify>,
    pub after: SignedDuration,
    pub check: Duration,
}

impl Watch {
    /// Runs until shutdown.
    pub async fn run(mut self, shutdown: Shutdown) {
        // Nothing is silent that we had no chance to hear: from our start, and again after each gap of our own.
        let mut listening_since = clock::now();
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.check) => {}
                () = shutdown.cancelled() => {
                    // The last signs of life, so that the next start knows them; if that fails they come again.
                    let _lost = self.write_down().await;
                    return;
                }
            }
            if let Err(failure) = self.look(listening_since).await {
                tracing::warn!(%failure, "the watch for silence waits for the database");
                self.session.discard();
                listening_since = clock::now();
            }
        }
    }

    async fn look(&mut self, listening_since: Timestamp) -> Result<(), Failure> {
        self.write_down().await?;
        let now = clock::now();
        let plant = Arc::clone(&self.plant.borrow());
        let client = self.session.client().await?;
        let mut open = HashSet::new();
        for kind in [
            AlertKind::SilentGateway,
            AlertKind::SilentOutlet,
            AlertKind::SilentAnalyser,
            AlertKind::LinkDown,
        ] {
            open.extend(open_of_kind(client, kind).await?);
        }
        let mut warnings = open_of_kind(client, AlertKind::EarlyWarning).await?;
        warnings.extend(open_of_kind(client, AlertKind::NotConvertible).await?);
        self.open.replace(warnings);
        let mut seen = Vec::new();
        if let Some(connected) = self.life.connected_since() {
            let heard = heard::all(client).await?;
            let base = listening_since.max(connected);
            seen.extend(judge_silence(&plant, &heard, (now, base), self.after));
            seen.push(link(now, None));
        } else {
            let since = self.life.lost_since().unwrap_or(now).max(listening_since);
            let down = now.duration_since(since) > self.after;
            seen.extend(down.then(|| link(now, Some(since))));
        }
        seen.retain(|sighting| sighting.observation.above || open.contains(&sighting.key));
        self.tell(seen, WINDOW, now).await?;
        self.end_quarantine(now).await
    }

    /// A quarantine or conflict episode ends when nothing more of it came for a while.
    async fn end_quarantine(&mut self, now: Timestamp) -> Result<(), Failure> {
        let client = self.session.client().await?;
        let mut seen = Vec::new();
        for kind in [AlertKind::Quarantine, AlertKind::Conflict] {
            for key in open_of_kind(client, kind).await? {
                let observation = Observation { at: now, value: 0.0, above: false };
                seen.push(Sighting { key, observation, limit: None, alert: Alert::new(kind, now, now) });
            }
        }
        self.tell(seen, QUARANTINE, now).await
    }

    async fn tell(
        &mut self,
        seen: Vec<Sighting>,
        hysteresis: Hysteresis,
        now: Timestamp,
    ) -> Result<(), Failure> {
        if seen.is_empty() {
            return Ok(());
        }
        let client = self.session.client().await?;
        bounded(client.batch_execute("BEGIN")).await?;
        let moved = observe(client, seen, hysteresis, now).await?;
        bounded(client.batch_execute("COMMIT")).await?;
        if moved.alerts > 0 {
            self.outbox.notify_waiters();
        }
        Ok(())
    }

    async fn write_down(&mut self) -> Result<(), Failure> {
        let taken = self.life.take();
        if taken.outlets.is_empty() && taken.gateways.is_empty() {
            return Ok(());
        }
        let plant = Arc::clone(&self.plant.borrow());
        let gateways: Vec<(i32, Timestamp, Option<String>)> = taken
            .gateways
            .iter()
            .filter_map(|(name, at, status)| {
                plant.gateway(name).map(|gateway| (gateway.id, *at, status.clone()))
            })
            .collect();
        let written = async {
            let client = self.session.client().await?;
            heard::note(client, &taken.outlets).await?;
            heard::note_gateways(client, &gateways).await
        };
        let result = written.await;
        if result.is_err() {
            self.life.put_back(taken);
        }
        result
    }
}

/// Who is silent and who is not, by the highest level that explains it. `base`: since when we could hear everybody.
pub fn judge_silence(
    plant: &Plant,
    heard: &Heard,
    (now, base): (Timestamp, Timestamp),
    after: SignedDuration,
) -> Vec<Sighting> {
    let gateways: HashMap<i32, Timestamp> = heard.gateways.iter().copied().collect();
    let outlets: HashMap<(i32, &str), Timestamp> =
        heard.outlets.iter().map(|(outlet, analyser, at)| ((*outlet, analyser.as_str()), *at)).collect();
    let since = |last: Option<&Timestamp>| last.copied().unwrap_or(base).max(base);
    let silent = |since: Timestamp, limit: SignedDuration| now.duration_since(since) > limit;
    let mut seen = Vec::new();
    for gateway in &plant.gateways {
        let last = since(gateways.get(&gateway.id));
        let outlets_now: Vec<&Arc<Outlet>> =
            plant.outlets.iter().filter(|outlet| outlet.served_by(&gateway.name, now)).collect();
        if outlets_now.is_empty() {
            continue;
        }
        let is_silent = silent(last, after);
        seen.push(of_gateway(&gateway.name, outlets_now.len(), last, now, is_silent));
        if is_silent {
            continue;
        }
        for outlet in outlets_now {
            let last = since(outlets.get(&(outlet.id, "")));
            let is_silent = silent(last, after);
            seen.push(of_outlet(outlet, &gateway.name, last, now, is_silent));
            if is_silent {
                continue;
            }
            for (analyser, period) in analysers(outlet, now) {
                let last = since(outlets.get(&(outlet.id, &*analyser)));
                // A slow analyser is silent only after three of its cycles.
                let limit = after.max(period * 3);
                seen.push(of_analyser(outlet, &analyser, last, now, silent(last, limit)));
            }
        }
    }
    seen
}

/// The outlet's analysers now, each with its shortest period.
fn analysers(outlet: &Outlet, now: Timestamp) -> Vec<(Arc<str>, SignedDuration)> {
    let mut found: Vec<(Arc<str>, SignedDuration)> = Vec::new();
    for settings in outlet.channels.iter().filter_map(|channel| channel.settings.at(now)) {
        let period = SignedDuration::from_millis(i64::from(settings.period_ms));
        match found.iter_mut().find(|(name, _)| *name == settings.analyser) {
            Some((_, shortest)) => *shortest = period.min(*shortest),
            None => found.push((Arc::clone(&settings.analyser), period)),
        }
    }
    found
}

fn sighting(
    mut alert: Alert,
    kind: AlertKind,
    key: (i32, &str),
    (since, now): (Timestamp, Timestamp),
    above: bool,
) -> Sighting {
    let key = Key { outlet_id: key.0, position: -1, rule_id: 0, kind, subject: key.1.to_owned() };
    alert.started_at = since;
    let value = now.duration_since(since).as_secs_f64();
    Sighting { key, observation: Observation { at: now, value, above }, limit: None, alert }
}

fn of_gateway(name: &str, outlets: usize, since: Timestamp, now: Timestamp, above: bool) -> Sighting {
    let mut alert = Alert::new(AlertKind::SilentGateway, since, now);
    alert.gateway = Some(name.to_owned());
    alert.summary = format!("gateway {name} with {outlets} outlets: nothing heard since {since}");
    sighting(alert, AlertKind::SilentGateway, (0, name), (since, now), above)
}

fn of_outlet(outlet: &Outlet, gateway: &str, since: Timestamp, now: Timestamp, above: bool) -> Sighting {
    let mut alert = Alert::new(AlertKind::SilentOutlet, since, now);
    alert.outlet = Some(place(outlet));
    alert.gateway = Some(gateway.to_owned());
    alert.summary = format!("outlet {}: no analyser has answered since {since}", outlet.code);
    sighting(alert, AlertKind::SilentOutlet, (outlet.id, ""), (since, now), above)
}

fn of_analyser(outlet: &Outlet, analyser: &str, since: Timestamp, now: Timestamp, above: bool) -> Sighting {
    let mut alert = Alert::new(AlertKind::SilentAnalyser, since, now);
    alert.outlet = Some(place(outlet));
    alert.analyser = Some(analyser.to_owned());
    alert.summary = format!("outlet {}: analyser {analyser} has not answered since {since}", outlet.code);
    sighting(alert, AlertKind::SilentAnalyser, (outlet.id, analyser), (since, now), above)
}

fn link(now: Timestamp, since: Option<Timestamp>) -> Sighting {
    let mut alert = Alert::new(AlertKind::LinkDown, since.unwrap_or(now), now);
    "the centre has no connection to the MQTT broker".clone_into(&mut alert.summary);
    sighting(alert, AlertKind::LinkDown, (0, ""), (since.unwrap_or(now), now), since.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::evaluation::tests::kiln;
    use crate::domain::history::History;
    use crate::domain::plant::Gateway;

    fn plant(outlets: i32) -> Plant {
        let outlets = (1..=outlets).map(|id| {
            let mut outlet = kiln();
            (outlet.id, outlet.code) = (id, format!("outlet-{id:02}").into());
            outlet.gateways = vec![("gw".into(), History::always(()))];
            Arc::new(outlet)
        });
        Plant { outlets: outlets.collect(), gateways: vec![Arc::new(Gateway { id: 1, name: "gw".into() })] }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn silent(heard: &Heard, now: i64, outlets: i32) -> Vec<(AlertKind, i32, String)> {
        let seen = judge_silence(&plant(outlets), heard, (at(now), at(0)), SignedDuration::from_secs(180));
        seen.into_iter()
            .filter(|sighting| sighting.observation.above)
            .map(|sighting| (sighting.key.kind, sighting.key.outlet_id, sighting.key.subject))
            .collect()
    }

    #[test]
    fn a_silent_gateway_is_one_alert_not_sixteen() {
        let nothing = Heard::default();
        assert_eq!(silent(&nothing, 180, 16), []);
        assert_eq!(silent(&nothing, 181, 16), [(AlertKind::SilentGateway, 0, "gw".to_owned())]);
    }

    #[test]
    fn an_outlet_and_an_analyser_are_told_apart() {
        let mut heard = Heard { outlets: Vec::new(), gateways: vec![(1, at(1000))] };
        assert_eq!(silent(&heard, 1001, 1), [(AlertKind::SilentOutlet, 1, String::new())]);
        heard.outlets.push((1, String::new(), at(1000)));
        assert_eq!(silent(&heard, 1001, 1), [(AlertKind::SilentAnalyser, 1, "gas".to_owned())]);
        heard.outlets.push((1, "gas".to_owned(), at(999)));
        assert_eq!(silent(&heard, 1001, 1), []);
    }
}

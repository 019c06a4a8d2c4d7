//! Silence is watched like data. What is silent is told once, at the highest level that explains it: a silent gateway is one
//! alert, not one for each of its outlets; a silent outlet one, not one for each analyser.
//!
//! Three rules make it so, whatever falls silent first and whatever comes back first:
//! 1. A gateway is silent by the centre's clock. An outlet is silent by its gateway's speech, an analyser by its outlet's: only
//!    when the one above has gone on speaking past the limit without it. Those that fall silent together are one silence.
//! 2. Whoever speaks again after a gap has the limit from then on to bring in those below.
//! 3. A silence ends when something is heard again, and not because we have just begun to listen.
//!
//! And many gateways that fall silent at once are one alert: `together`.

/// What a person is told of each.
mod sightings;
/// Many gateways at once.
mod together;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};

use crate::central::concern::served;
use crate::central::gateways::QUIET;
use crate::central::inbox::Underway;
use crate::central::life::Life;
use crate::central::refusal::QUARANTINE;
use crate::central::seen::{over, tell};
use crate::central::warning::{OpenKeys, SCAN_LEVEL};
use crate::clock;
use crate::domain::alert::AlertKind;
use crate::domain::episode::{Hysteresis, WINDOW};
use crate::domain::plant::{Outlet, Plant};
use crate::shutdown::Shutdown;
use crate::store::episode::{Key, Sighting, movable, open_of_kind};
use crate::store::frame::Frames;
use crate::store::heard::{self, Heard};
use crate::store::session::{Failure, Session, Trouble};

use sightings::{link, of_analyser, of_gateway, of_outlet, under_rule};

/// Kinds of silence, by which nothing can be heard.
const KINDS: [AlertKind; 5] = [
    AlertKind::SilentGateway,
    AlertKind::SilentGateways,
    AlertKind::SilentOutlet,
    AlertKind::SilentAnalyser,
    AlertKind::LinkDown,
];

/// Watches for silence, writes down signs of life, and keeps the writers' list of open episodes fresh.
pub struct Watch {
    pub session: Session,
    pub plant: watch::Receiver<Arc<Plant>>,
    pub frames: watch::Receiver<Arc<Frames>>,
    pub life: Life,
    pub open: OpenKeys,
    pub underway: Underway,
    pub outbox: Arc<Notify>,
    pub after: SignedDuration,
    pub check: Duration,
    /// So many gateways silent at once are one alert.
    pub together: usize,
}

impl Watch {
    /// Runs until shutdown.
    pub async fn run(mut self, shutdown: Shutdown) {
        // Nothing is silent that we had no chance to hear: from our start, and again after each gap of our own.
        let mut listening_since = clock::now();
        let (mut speech, mut trouble) = (Speech::default(), Trouble::default());
        // Who has not been heard for longer than the limit says nothing of itself.
        let mut looked = listening_since.checked_sub(self.after).unwrap_or(listening_since);
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.check) => {}
                () = shutdown.cancelled() => {
                    // The last signs of life, so that the next start knows them; if that fails they come again.
                    let _lost = self.write_down().await;
                    return;
                }
            }
            let (since, now) = (looked, clock::now());
            match self.look_at_all((listening_since, since, now), &mut speech).await {
                Ok(()) => {
                    trouble.over();
                    looked = now;
                }
                Err(failure) => {
                    if trouble.is_new(&failure.to_string()) {
                        tracing::warn!(%failure, "the watch for silence waits for the database");
                    }
                    self.session.discard();
                    listening_since = clock::now();
                }
            }
        }
    }

    async fn look_at_all(
        &mut self,
        (listening_since, since, now): (Timestamp, Timestamp, Timestamp),
        speech: &mut Speech,
    ) -> Result<(), Failure> {
        self.write_down().await?;
        self.look(listening_since, speech, now).await?;
        self.look_at_gateways(since, now).await?;
        self.look_at_backlog(now).await?;
        self.end_quiet(now).await
    }

    async fn look(
        &mut self,
        listening_since: Timestamp,
        speech: &mut Speech,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let (plant, frames) = (Arc::clone(&self.plant.borrow()), Arc::clone(&self.frames.borrow()));
        let client = self.session.client().await?;
        let open: HashSet<Key> = movable(client, &KINDS).await?.into_iter().collect();
        self.open.replace(movable(client, &SCAN_LEVEL).await?);
        let (mut seen, mut together) = (Vec::new(), None);
        if let Some(connected) = self.life.connected_since() {
            let heard = heard::all(client).await?;
            speech.note(&heard, self.after);
            let base = listening_since.max(connected);
            let begun: HashSet<(AlertKind, i32, &str)> =
                open.iter().map(|key| (key.kind, key.outlet_id, key.subject.as_str())).collect();
            let is_open = |kind, outlet_id, subject: &str| {
                !begun.is_empty() && begun.contains(&(kind, outlet_id, subject))
            };
            seen.extend(judge_silence(&plant, (&heard, speech), (now, base), (self.after, is_open)));
            let quiet = together::quiet(&plant, &heard, (now, base), self.after);
            together = together::fold(&mut seen, &quiet, (self.together, now), &open);
            seen.push(link(now, None));
        } else {
            let since = self.life.lost_since().unwrap_or(now).max(listening_since);
            let down = now.duration_since(since) > self.after;
            seen.extend(down.then(|| link(now, Some(since))));
        }
        seen.retain(|sighting| sighting.observation.above || open.contains(&sighting.key));
        let of = |sighting| under_rule(sighting, &frames, (now, WINDOW));
        let mut told: Vec<Sighting> = seen.into_iter().map(of).collect();
        told.extend(together.map(|one| under_rule(one, &frames, (now, Hysteresis(self.after)))));
        self.tell(told, now).await
    }

    /// What is only told when it happens ends when nothing more of it came for a while.
    async fn end_quiet(&mut self, now: Timestamp) -> Result<(), Failure> {
        let client = self.session.client().await?;
        let mut seen = Vec::new();
        for kind in
            [AlertKind::Quarantine, AlertKind::QuarantineFull, AlertKind::Conflict, AlertKind::LostRange]
        {
            let open = open_of_kind(client, kind).await?;
            seen.extend(open.into_iter().map(|key| over(key, now, QUARANTINE)));
        }
        // Of an outlet's analysers its scans tell; these were told by their gateway.
        let open = open_of_kind(client, AlertKind::AnalyserFault).await?;
        let of_gateways = open.into_iter().filter(|key| key.outlet_id == 0);
        seen.extend(of_gateways.map(|key| over(key, now, QUIET)));
        self.tell(seen, now).await
    }

    /// Moves episodes, and rings when somebody is to be told.
    ///
    /// # Errors
    /// [`Failure`] when the database does not answer.
    pub(super) async fn tell(&mut self, seen: Vec<Sighting>, now: Timestamp) -> Result<(), Failure> {
        if seen.is_empty() {
            return Ok(());
        }
        let moved = tell(self.session.client().await?, seen, now).await?;
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
        if let Err(Failure::Refused(reason)) = &result {
            // Nothing that a gateway says of itself may keep the others from being heard: the times count, not the words.
            tracing::error!(
                reason,
                "signs of life are written down without what the gateways say of themselves"
            );
            let bare: Vec<(i32, Timestamp, Option<String>)> =
                gateways.into_iter().map(|(id, at, _)| (id, at, None)).collect();
            return heard::note_gateways(self.session.client().await?, &bare).await;
        }
        if result.is_err() {
            self.life.put_back(taken);
        }
        result
    }
}

/// Since when gateways and outlets have been speaking without a longer gap: they are the clocks of those below them.
#[derive(Debug, Default)]
pub struct Speech {
    gateways: HashMap<i32, Run>,
    outlets: HashMap<i32, Run>,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    since: Timestamp,
    last: Timestamp,
}

impl Speech {
    /// Notes who was heard when. A gap of more than three quarters of the limit begins a new run.
    pub fn note(&mut self, heard: &Heard, after: SignedDuration) {
        for (gateway, at) in &heard.gateways {
            go_on(&mut self.gateways, *gateway, *at, after * 3 / 4);
        }
        for (outlet, _, at) in heard.outlets.iter().filter(|(_, analyser, _)| analyser.is_empty()) {
            go_on(&mut self.outlets, *outlet, *at, after * 3 / 4);
        }
    }
}

fn go_on(runs: &mut HashMap<i32, Run>, speaker: i32, at: Timestamp, gap: SignedDuration) {
    let run = runs.entry(speaker).or_insert(Run { since: at, last: at });
    if at.duration_since(run.last) > gap {
        run.since = at;
    }
    run.last = run.last.max(at);
}

/// What is known of one that may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hearing {
    /// Since then, and no other silence explains it.
    Silent(Timestamp),
    Heard(Timestamp),
    /// Neither yet.
    Open,
}

impl Hearing {
    /// By the clock `now`, for one that was last heard at `last` and could be heard from `base` on.
    fn of(last: Option<Timestamp>, (now, base): (Timestamp, Timestamp), limit: SignedDuration) -> Hearing {
        let since = last.map_or(base, |last| last.max(base));
        if now.duration_since(since) > limit {
            return Hearing::Silent(since);
        }
        match last.filter(|last| now.duration_since(*last) <= limit) {
            Some(last) => Hearing::Heard(last),
            None => Hearing::Open,
        }
    }

    /// Since when, and whether it is silent; nothing while that is open, or where it is heard and was never told to be silent.
    fn told(self, is_open: impl FnOnce() -> bool) -> Option<(Timestamp, bool)> {
        match self {
            Hearing::Silent(since) => Some((since, true)),
            Hearing::Heard(last) => is_open().then_some((last, false)),
            Hearing::Open => None,
        }
    }

    const fn is_heard(self) -> bool {
        matches!(self, Hearing::Heard(_))
    }
}

/// Who is silent, by the highest level that explains it, and who is not any more: of those that are heard only whom `is_open` names, by
/// kind, outlet and subject. `base`: since when we could hear everybody.
pub fn judge_silence(
    plant: &Plant,
    (heard, speech): (&Heard, &Speech),
    (now, base): (Timestamp, Timestamp),
    (after, is_open): (SignedDuration, impl Fn(AlertKind, i32, &str) -> bool),
) -> Vec<Sighting> {
    let gateways: HashMap<i32, Timestamp> = heard.gateways.iter().copied().collect();
    let outlets: HashMap<(i32, &str), Timestamp> =
        heard.outlets.iter().map(|(outlet, analyser, at)| ((*outlet, analyser.as_str()), *at)).collect();
    let mut seen = Vec::new();
    let mut served = served(plant, now);
    for gateway in &plant.gateways {
        let Some(outlets_now) = served.remove(&*gateway.name) else { continue };
        let hearing = Hearing::of(gateways.get(&gateway.id).copied(), (now, base), after);
        let told = hearing.told(|| is_open(AlertKind::SilentGateway, 0, &gateway.name));
        seen.extend(told.map(|told| of_gateway(&gateway.name, &outlets_now, told, now)));
        let Some(gateway_run) = speech.gateways.get(&gateway.id).filter(|_| hearing.is_heard()) else {
            continue;
        };
        for outlet in outlets_now {
            let by_gateway = (gateway_run.last, gateway_run.since.max(base));
            let hearing = Hearing::of(outlets.get(&(outlet.id, "")).copied(), by_gateway, after);
            let told = hearing.told(|| is_open(AlertKind::SilentOutlet, outlet.id, ""));
            seen.extend(told.map(|told| of_outlet(outlet, &gateway.name, told, now)));
            let Some(outlet_run) = speech.outlets.get(&outlet.id).filter(|_| hearing.is_heard()) else {
                continue;
            };
            for (analyser, period) in analysers(outlet, now) {
                // A slow analyser is silent only after three of its cycles.
                let limit = after.max(period * 3);
                let by_outlet = (outlet_run.last, outlet_run.since.max(base));
                let last = outlets.get(&(outlet.id, &*analyser)).copied();
                let hearing = Hearing::of(last, by_outlet, limit);
                let told = hearing.told(|| is_open(AlertKind::SilentAnalyser, outlet.id, &analyser));
                seen.extend(told.map(|told| of_analyser(outlet, &analyser, told, now)));
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
        Plant::new(outlets.collect(), vec![Arc::new(Gateway { id: 1, name: "gw".into() })])
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// What is told at `now` when we began to listen at 0 and looked at each of these states on the way.
    fn told(states: &[&Heard], now: i64, outlets: i32) -> Vec<(AlertKind, i32, String, bool)> {
        let after = SignedDuration::from_secs(180);
        let mut speech = Speech::default();
        for heard in states {
            speech.note(heard, after);
        }
        let last = states.last().unwrap();
        judge_silence(&plant(outlets), (last, &speech), (at(now), at(0)), (after, |_, _, _: &str| true))
            .into_iter()
            .map(|seen| (seen.key.kind, seen.key.outlet_id, seen.key.subject, seen.observation.above))
            .collect()
    }

    fn silent(states: &[&Heard], now: i64, outlets: i32) -> Vec<(AlertKind, i32, String)> {
        let told = told(states, now, outlets).into_iter();
        told.filter(|seen| seen.3).map(|seen| (seen.0, seen.1, seen.2)).collect()
    }

    /// Heard at these seconds: the gateway, the outlets with these ids, and their analyser.
    fn heard(gateway: i64, outlets: &[(i32, i64, i64)]) -> Heard {
        let lines = outlets.iter().flat_map(|(id, outlet, analyser)| {
            [(*id, String::new(), at(*outlet)), (*id, "gas".to_owned(), at(*analyser))]
        });
        Heard { outlets: lines.collect(), gateways: vec![(1, at(gateway))] }
    }

    /// The gateway speaks every 60 s from `first` to `last`; the outlets as given.
    fn speaking(first: i64, last: i64, outlets: &[(i32, i64, i64)]) -> Vec<Heard> {
        (0..=(last - first) / 60).map(|step| heard(first + step * 60, outlets)).collect()
    }

    #[test]
    fn a_silent_gateway_is_one_alert_not_sixteen() {
        let nothing = Heard::default();
        assert_eq!(silent(&[&nothing], 180, 16), []);
        assert_eq!(silent(&[&nothing], 181, 16), [(AlertKind::SilentGateway, 0, "gw".to_owned())]);
        // Outlets that were heard a little before their gateway's last word are explained by it as well.
        let states = speaking(0, 600, &[(1, 560, 560), (2, 598, 598)]);
        let states: Vec<&Heard> = states.iter().collect();
        assert_eq!(silent(&states, 760, 2), []);
        assert_eq!(silent(&states, 781, 2), [(AlertKind::SilentGateway, 0, "gw".to_owned())]);
    }

    #[test]
    fn an_outlet_and_an_analyser_are_told_apart() {
        let outlet_gone = speaking(0, 1200, &[(1, 1000, 1000)]);
        assert_eq!(
            silent(&outlet_gone.iter().collect::<Vec<_>>(), 1201, 1),
            [(AlertKind::SilentOutlet, 1, String::new())]
        );
        let states: Vec<Heard> =
            (0..=20).map(|step| heard(step * 60, &[(1, step * 60, 1000.min(step * 60))])).collect();
        assert_eq!(
            silent(&states.iter().collect::<Vec<_>>(), 1201, 1),
            [(AlertKind::SilentAnalyser, 1, "gas".to_owned())]
        );
        let states: Vec<Heard> =
            (0..=20).map(|step| heard(step * 60, &[(1, step * 60, step * 60)])).collect();
        assert_eq!(silent(&states.iter().collect::<Vec<_>>(), 1201, 1), []);
    }

    #[test]
    fn analysers_that_stop_just_before_their_outlet_are_the_outlets_silence() {
        // The analyser's last answer is one scan older than that of the outlet's other analysers.
        let mut states: Vec<Heard> =
            (0..=10).map(|step| heard(step * 60, &[(1, step * 60, step * 60 - 2)])).collect();
        states.extend(speaking(660, 780, &[(1, 600, 598)]));
        for now in [779, 780] {
            assert_eq!(silent(&states.iter().collect::<Vec<_>>(), now, 1), [], "{now}");
        }
        states.extend(speaking(840, 840, &[(1, 600, 598)]));
        assert_eq!(
            silent(&states.iter().collect::<Vec<_>>(), 841, 1),
            [(AlertKind::SilentOutlet, 1, String::new())]
        );
    }

    #[test]
    fn whoever_comes_back_has_time_to_bring_in_those_below() {
        let before = heard(100, &[(1, 100, 100)]);
        let mut states = vec![&before];
        let back = heard(1000, &[(1, 100, 100)]);
        states.push(&back);
        assert_eq!(silent(&states, 1001, 1), []);
        let outlet_back = heard(1002, &[(1, 1002, 100)]);
        states.push(&outlet_back);
        assert_eq!(silent(&states, 1003, 1), []);
        assert_eq!(
            told(&states, 1003, 1).into_iter().map(|seen| (seen.0, seen.3)).collect::<Vec<_>>(),
            [(AlertKind::SilentGateway, false), (AlertKind::SilentOutlet, false)],
            "nothing is known of the analyser yet"
        );
    }

    #[test]
    fn a_silence_does_not_end_because_we_begin_to_listen() {
        let old = heard(-5000, &[(1, -5000, -5000)]);
        assert_eq!(told(&[&old], 10, 1), []);
    }
}

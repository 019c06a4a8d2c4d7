//! Read this first: the centre in two functions. `Writer::on_batch` takes messages to a committed transaction and their
//! receipts; `windows::Closer::on_window` takes due windows to averages, verdicts and alerts.
//!
//! A writer holds nothing that is not in the database or will be sent again: it may die at any moment. A message is
//! acknowledged and its records are receipted only after COMMIT; what cannot be accepted goes to quarantine first.

/// What cannot be accepted, kept within the cap.
mod keep;
/// Each key once.
mod unique;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use crate::central::gateways::of_event;
use crate::central::heads::Heads;
use crate::central::intake::{Arrival, Origin, Taken, TakenEvent, TakenScan, take};
use crate::central::life::Life;
use crate::central::meters::Meters;
use crate::central::pipeline::unique::unique;
use crate::central::receipts::Receipts;
use crate::central::refusal::conflict_reason;
use crate::central::warning::{FRESH, OpenKeys, SLOW_CLOCK, Sight};
use crate::config::central::Quarantine;
use crate::domain::correction::Unwatched;
use crate::domain::evaluation::evaluate;
use crate::domain::flag::Flag;
use crate::domain::limit::AveragingPeriod;
use crate::domain::plant::Plant;
use crate::domain::regime::Regime;
use crate::domain::window::Window;
use crate::mqtt::topic::Lane;
use crate::store::due::Due;
use crate::store::episode::{Sighting, observe};
use crate::store::event::{self, NewEvent};
use crate::store::frame::Frames;
use crate::store::partition::{Partitioned, Partitions};
use crate::store::plant as plant_store;
use crate::store::provenance::Provenances;
use crate::store::quarantine::Kept;
use crate::store::scan::{self, NewScan, Then};
use crate::store::session::{Failure, Session, bounded};
use crate::telemetry::Readiness;

/// Computed from registers by a gateway of ours.
pub const SOURCE: i16 = 1;
const METHOD: i16 = 1;
/// How long a writer waits for a plant that has just been changed.
const PLANT_PATIENCE: Duration = Duration::from_secs(4);

/// What all writers share.
#[derive(Clone)]
pub struct Shared {
    pub plant: watch::Receiver<Arc<Plant>>,
    pub frames: watch::Receiver<Arc<Frames>>,
    pub regime: &'static Regime,
    pub zone: jiff::tz::TimeZone,
    pub debounce: jiff::SignedDuration,
    pub open: OpenKeys,
    pub life: Life,
    pub heads: Heads,
    /// How much of one gateway is kept in quarantine.
    pub cap: Quarantine,
    pub meters: Meters,
    pub readiness: Readiness,
    /// Of the plant in `plant`.
    pub plant_revision: Arc<AtomicI64>,
    /// Rung when an alert was put into the outbox.
    pub outbox: Arc<Notify>,
}

/// Where a writer's messages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lately {
    /// From the broker, just now.
    Arrived,
    /// From quarantine: they are the past, and page nobody.
    Released,
}

/// Takes batches of messages into the database.
pub struct Writer {
    shared: Shared,
    lately: Lately,
    session: Session,
    partitions: Partitions,
    provenances: Provenances,
}

/// A scan on its way into the table.
struct Ready {
    row: NewScan,
    record: Origin,
    sightings: Vec<Sighting>,
}

impl Writer {
    /// Nothing is opened yet.
    pub fn new(shared: Shared, session: Session) -> Writer {
        Writer {
            shared,
            lately: Lately::Arrived,
            session,
            partitions: Partitions::default(),
            provenances: Provenances::default(),
        }
    }

    /// One for what was kept in quarantine: all is as for [`Writer::new`], but old scans warn nobody, however soon after their
    /// tick they had come.
    pub fn of_quarantine(shared: Shared, session: Session) -> Writer {
        Writer { lately: Lately::Released, ..Writer::new(shared, session) }
    }

    /// Takes messages to a committed state and says what may be receipted. On failure nothing of them is receipted; the
    /// same batch may be given again.
    ///
    /// # Errors
    /// [`Failure::Unavailable`]: try again later. [`Failure::Refused`]: one of the messages cannot be stored as it is; try
    /// them one by one, the last resort being [`Writer::refuse`].
    pub async fn on_batch(&mut self, arrivals: &[Arrival], now: Timestamp) -> Result<Receipts, Failure> {
        let (mut receipts, refused) = self.settle(arrivals, now).await?;
        if !refused.is_empty() {
            self.keep(refused, now, &mut receipts).await?;
        }
        Ok(receipts)
    }

    /// Stores what can be accepted, and gives the rest with the reasons.
    ///
    /// # Errors
    /// As [`Writer::on_batch`].
    pub async fn settle(
        &mut self,
        arrivals: &[Arrival],
        now: Timestamp,
    ) -> Result<(Receipts, Vec<Kept>), Failure> {
        let result = self.store(arrivals, now).await;
        if result.is_err() {
            self.session.discard();
            self.partitions = Partitions::default();
        }
        result
    }

    async fn store(
        &mut self,
        arrivals: &[Arrival],
        now: Timestamp,
    ) -> Result<(Receipts, Vec<Kept>), Failure> {
        let plant = Arc::clone(&self.shared.plant.borrow());
        let mut receipts = Receipts::default();
        let (mut scans, mut events, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for taken in self.take_all(arrivals, &plant).await? {
            match taken {
                Taken::Scan(scan) => scans.push(scan),
                Taken::Event(event) => events.push(*event),
                Taken::Refused(kept) => refused.push(*kept),
            }
        }
        let (ready, repeated, conflicts) = unique(self.ready(scans).await?);
        for record in &repeated {
            receipts.stored(&record.place);
        }
        refused.extend(conflicts);
        let fresh = self.store_scans(&ready, &events, now, (&mut receipts, &mut refused)).await?;
        self.settle_known(&ready, fresh.as_ref(), &mut refused, &mut receipts).await?;
        Ok((receipts, refused))
    }

    /// Takes messages apart. Before anything is refused as not registered, the plant's newest state is waited for: whoever has just
    /// registered a channel must not find its first readings in quarantine.
    async fn take_all(&mut self, arrivals: &[Arrival], plant: &Plant) -> Result<Vec<Taken>, Failure> {
        let take_by = |plant: &Plant| arrivals.iter().flat_map(|arrival| take(arrival, plant)).collect();
        let taken: Vec<Taken> = take_by(plant);
        if !taken.iter().any(Taken::is_unregistered) {
            return Ok(taken);
        }
        let mut line = self.shared.plant.clone();
        line.mark_unchanged();
        let known = self.shared.plant_revision.load(Ordering::Acquire);
        let client = self.session.client().await?;
        let newest = plant_store::revision(client).await;
        if newest.map_err(|error| Failure::Unavailable(error.to_string()))? == known {
            return Ok(taken);
        }
        // Bounded: should the plant not come, what it does not know is refused.
        let _late = tokio::time::timeout(PLANT_PATIENCE, line.changed()).await;
        let plant = Arc::clone(&line.borrow());
        Ok(take_by(&plant))
    }

    /// Validates and corrects; makes partitions and provenance numbers that are missing.
    #[expect(clippy::vec_box, reason = "they are sorted: a box moves cheaper than a scan")]
    async fn ready(&mut self, mut scans: Vec<Box<TakenScan>>) -> Result<Vec<Ready>, Failure> {
        scans.sort_by_key(|scan| (scan.outlet.id, scan.at));
        self.partitions
            .ensure(&mut self.session, Partitioned::Scan, scans.iter().map(|scan| scan.at))
            .await?;
        let frames = Arc::clone(&self.shared.frames.borrow());
        let mut ready = Vec::with_capacity(scans.len());
        for scan in scans {
            let origin = (scan.record.gateway_id, scan.record.place.epoch.0, scan.record.cfg.0);
            let provenance_id = self.provenances.number(&mut self.session, &origin).await?;
            let evaluated =
                evaluate(&scan.outlet, scan.at, &scan.readings, self.shared.regime, &mut Unwatched);
            let fresh = self.lately == Lately::Arrived && is_fresh(&scan);
            let sight = Sight {
                outlet: &scan.outlet,
                at: scan.at,
                readings: &scan.readings,
                evaluated: &evaluated,
                watched: frames.watched(scan.outlet.id),
                open: &self.shared.open,
            };
            let flag = letters(scan.readings.iter().map(|reading| reading.flag));
            let checked = letters(evaluated.channels.iter().map(|value| value.flag));
            self.shared.life.heard(&scan.outlet, (scan.at, scan.record.heard_at(scan.at)), &scan.readings);
            ready.push(Ready {
                row: NewScan {
                    outlet_id: scan.outlet.id,
                    source_id: SOURCE,
                    method: METHOD,
                    measured_at: scan.at,
                    received_at: scan.record.received_at,
                    provenance_id,
                    seq: i64::try_from(scan.record.place.seq).unwrap_or(i64::MAX),
                    hash: scan.record.hash.0,
                    prev: scan.record.prev.0,
                    checked: (checked != flag).then_some(checked),
                    flag,
                    measured: scan.readings.iter().map(|reading| reading.value.unwrap_or(f64::NAN)).collect(),
                    corrected: evaluated
                        .channels
                        .iter()
                        .map(|value| value.corrected.unwrap_or(f64::NAN))
                        .collect(),
                },
                sightings: if fresh { sight.sightings() } else { Vec::new() },
                record: scan.record,
            });
        }
        Ok(ready)
    }

    /// One transaction: scans, due windows, events, episodes, alerts. Gives the keys that were new when not all were.
    async fn store_scans(
        &mut self,
        ready: &[Ready],
        events: &[TakenEvent],
        now: Timestamp,
        (receipts, refused): (&mut Receipts, &mut Vec<Kept>),
    ) -> Result<Option<HashSet<RowKey>>, Failure> {
        if ready.is_empty() && events.is_empty() {
            return Ok(None);
        }
        let rows: Vec<&NewScan> = ready.iter().map(|ready| &ready.row).collect();
        let dues = self.dues(&rows, now);
        let new_events = self.new_events(events).await?;
        let quiet = ready.iter().all(|ready| ready.sightings.is_empty()) && events.is_empty();
        let then = if quiet { Then::Commit } else { Then::Stay };
        let fresh = scan::store(&mut self.session, &rows, &dues, then).await?;
        let fresh: Option<HashSet<RowKey>> = fresh.map(|keys| keys.into_iter().collect());
        let mut told = Vec::new();
        if then == Then::Stay {
            let client = self.session.client().await?;
            for (new, taken) in new_events.iter().zip(events) {
                match event::store(client, new).await? {
                    event::Stored::New => told.push(taken),
                    event::Stored::Known => receipts.stored(&taken.record.place),
                    event::Stored::Conflict => refused.push(taken.record.kept(conflict_reason())),
                }
            }
            // What was stored before has been told before, and what is refused as a conflict is not to be told at all.
            let is_new = |ready: &&Ready| fresh.as_ref().is_none_or(|keys| keys.contains(&ready.row.key()));
            let mut seen: Vec<Sighting> =
                ready.iter().filter(is_new).flat_map(|ready| ready.sightings.clone()).collect();
            seen.extend(told.iter().filter_map(|taken| happened(taken, &self.shared, now)));
            let moved = observe(client, seen, now).await?;
            bounded(client.batch_execute("COMMIT")).await?;
            self.shared.open.moved(&moved.begun, &moved.ended);
            if moved.alerts > 0 {
                self.shared.outbox.notify_waiters();
            }
        }
        // All of this is committed.
        for taken in told {
            receipts.stored(&taken.record.place);
            self.shared.heads.stored(&taken.record, taken.event.at);
        }
        self.shared.meters.scans(fresh.as_ref().map_or(rows.len(), HashSet::len), rows.len());
        Ok(fresh)
    }

    async fn new_events(&mut self, events: &[TakenEvent]) -> Result<Vec<NewEvent>, Failure> {
        let mut rows = Vec::with_capacity(events.len());
        for taken in events {
            let record = &taken.record;
            let origin = (record.gateway_id, record.place.epoch.0, record.cfg.0);
            rows.push(NewEvent {
                gateway_id: record.gateway_id,
                provenance_id: self.provenances.number(&mut self.session, &origin).await?,
                epoch: record.place.epoch.0,
                seq: i64::try_from(record.place.seq).unwrap_or(i64::MAX),
                at: taken.event.at,
                received_at: record.received_at,
                event: taken.event.event.clone(),
                detail: serde_json::to_string(&taken.event.detail)
                    .map_err(|error| Failure::Refused(format!("event detail: {error}")))?,
                hash: record.hash.0,
                prev: record.prev.0,
            });
        }
        Ok(rows)
    }

    /// The minutes that these scans touch, each once.
    fn dues(&self, rows: &[&NewScan], now: Timestamp) -> Vec<Due> {
        let mut minutes: BTreeMap<(i32, i16, Timestamp), Timestamp> = BTreeMap::new();
        for row in rows {
            let window = Window::containing(AveragingPeriod::Minute, row.measured_at, &self.shared.zone);
            // A minute closes a little after its end, to give the last scan time to arrive; late scans are waited for too.
            let due_at = (window.end + CLOSE_AFTER).max(now + self.shared.debounce);
            let live = now < window.end + CLOSE_AFTER;
            let due_at = if live { window.end + CLOSE_AFTER } else { due_at };
            minutes.insert((row.outlet_id, row.source_id, window.start), due_at);
        }
        minutes
            .into_iter()
            .map(|((outlet_id, source_id, start), due_at)| Due {
                outlet_id,
                source_id,
                period: AveragingPeriod::Minute,
                start,
                due_at,
            })
            .collect()
    }

    /// Receipts what was stored; tells repeats from conflicts among what was there before.
    async fn settle_known(
        &mut self,
        ready: &[Ready],
        fresh: Option<&HashSet<RowKey>>,
        refused: &mut Vec<Kept>,
        receipts: &mut Receipts,
    ) -> Result<(), Failure> {
        let is_new = |ready: &&Ready| fresh.is_none_or(|keys| keys.contains(&ready.row.key()));
        for new in ready.iter().filter(is_new) {
            receipts.stored(&new.record.place);
            self.shared.heads.stored(&new.record, new.row.measured_at);
        }
        let known: Vec<&Ready> = ready.iter().filter(|ready| !is_new(ready)).collect();
        if known.is_empty() {
            return Ok(());
        }
        let keys: Vec<RowKey> = known.iter().map(|ready| ready.row.key()).collect();
        let client = self.session.client().await?;
        let stored: HashMap<RowKey, Vec<u8>> = scan::hashes(client, &keys).await?.into_iter().collect();
        for ready in known {
            if stored.get(&ready.row.key()).is_some_and(|hash| *hash == ready.row.hash) {
                receipts.stored(&ready.record.place);
            } else {
                refused.push(ready.record.kept(conflict_reason()));
            }
        }
        Ok(())
    }
}

/// What a person is told of an event.
fn happened(taken: &TakenEvent, shared: &Shared, now: Timestamp) -> Option<Sighting> {
    let (plant, frames) = (Arc::clone(&shared.plant.borrow()), Arc::clone(&shared.frames.borrow()));
    of_event(taken, (&plant, &frames.alerting), now)
}

type RowKey = (i32, i16, Timestamp);

/// A letter a channel.
fn letters(flags: impl ExactSizeIterator<Item = Flag>) -> String {
    let mut text = String::with_capacity(flags.len());
    text.extend(flags.map(Flag::letter));
    text
}

/// How long after its end a minute is closed: two periods of the usual two seconds.
pub const CLOSE_AFTER: jiff::SignedDuration = jiff::SignedDuration::from_secs(4);

/// What came just made may warn, also when the gateway's clock is slow; what was kept back for more than a minute may not.
fn is_fresh(scan: &TakenScan) -> bool {
    let age = scan.record.received_at.duration_since(scan.at);
    age <= FRESH || (scan.record.lane == Lane::Live && age <= SLOW_CLOCK)
}

//! Sends records until they are receipted: the shell around `dispatch`, which decides what goes when. It holds the broker
//! connection, the clock and the way to the spool; nothing is decided here.

/// What to send, and when.
pub mod dispatch;
/// What the centre says, and what it changes.
mod incoming;
/// Records put into messages.
mod message;
/// How far our clock is from the centre's.
pub mod offset;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::clock;
use crate::config::gateway::Gateway;
use crate::gateway::metrics::{LaneLabels, Metrics};
use crate::gateway::publish::dispatch::{Dispatch, Next};
use crate::gateway::publish::incoming::Incoming;
use crate::gateway::publish::message::{cut, lines};
use crate::gateway::publish::offset::Offsets;
use crate::gateway::spool::Entry;
use crate::gateway::spool::keeper::{Keeper, Notice as SpoolNotice, State};
use crate::mqtt::connection::{Acknowledge, Delivery, Message, Notice, Outbox, Settings, connect};
use crate::mqtt::receipt::{Ranges, property};
use crate::mqtt::record::{Epoch, Hash, MAX_MESSAGE_BYTES, time_text};
use crate::mqtt::status::GatewayStatus;
use crate::mqtt::tls::ends_soon;
use crate::mqtt::topic::{CENTRAL_STATUS, Lane};
use crate::shutdown::Shutdown;
use crate::telemetry::Readiness;

/// Bytes of one backfill message at most; small enough that fresh records never wait long behind one.
const BACKFILL_BYTES: usize = 64 * 1024;
/// Bytes of one live message at most, with room for topic and properties.
const LIVE_BYTES: usize = MAX_MESSAGE_BYTES - 4096;
/// Backfill messages between two looks at what is fresh.
const BACKFILL_AT_ONCE: usize = 8;
/// The connection takes a message within this time, or it is as good as gone.
const HAND_OVER: Duration = Duration::from_secs(1);
const DELETE_EVERY: Duration = Duration::from_millis(250);
const STATUS_EVERY: Duration = Duration::from_mins(1);
/// How often it is said that our certificate ends soon.
const REMIND_EVERY: Duration = Duration::from_hours(24);
/// For the last records and the goodbye at the end.
const FAREWELL: Duration = Duration::from_millis(500);

/// What the publisher works with.
pub struct Parts {
    pub config: Arc<Gateway>,
    pub keeper: Keeper,
    pub metrics: Metrics,
    pub readiness: Readiness,
}

/// Publishes until `shutdown`, then sends what was made last and says goodbye. Gives the spool's notices back, for another publisher.
pub async fn run(
    parts: Parts,
    mut spool: mpsc::Receiver<SpoolNotice>,
    shutdown: Shutdown,
) -> mpsc::Receiver<SpoolNotice> {
    let connection = Shutdown::new();
    let mut broker = connect(settings(&parts.config), connection.clone());
    parts.readiness.set("broker", false, "not connected yet");
    let state = parts.keeper.state();
    let mut publisher = Publisher::new(parts, state);
    while !shutdown.is_cancelled() {
        let pause = publisher.pause();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            Some(notice) = spool.recv() => publisher.on_spool(notice).await,
            Some(notice) = broker.recv() => publisher.on_broker(notice),
            () = tokio::time::sleep(pause) => {}
        }
        while let Ok(notice) = spool.try_recv() {
            publisher.on_spool(notice).await;
        }
        publisher.turn().await;
    }
    // The last event is on its way through the spool.
    let last = async {
        while let Some(notice) = spool.recv().await {
            let fresh = matches!(notice, SpoolNotice::Fresh(_));
            publisher.on_spool(notice).await;
            if fresh {
                break;
            }
        }
    };
    let _waited = tokio::time::timeout(FAREWELL, last).await;
    publisher.leave().await;
    connection.cancel();
    let closed = async { while broker.recv().await.is_some() {} };
    let _late = tokio::time::timeout(Duration::from_secs(2), closed).await;
    spool
}

fn settings(config: &Gateway) -> Settings {
    let will = serde_json::to_vec(&GatewayStatus::offline(&config.name)).unwrap_or_default();
    Settings {
        host: config.mqtt.host.clone(),
        port: config.mqtt.port,
        tls: config.mqtt.tls.clone(),
        client_id: config.name.clone(),
        credentials: config.mqtt.password.clone().map(|password| (config.mqtt.user.clone(), password)),
        inflight: config.mqtt.inflight,
        will: Some((Lane::Status.of(&config.name), will)),
        subscriptions: vec![Lane::Receipt.of(&config.name), CENTRAL_STATUS.to_owned()],
        acknowledge: Acknowledge::OnArrival,
        keep_alive: Duration::from_secs(10),
    }
}

struct Publisher {
    parts: Parts,
    state: watch::Receiver<State>,
    dispatch: Dispatch,
    offsets: Offsets,
    outbox: Option<Outbox>,
    /// Why there is no connection.
    trouble: Option<String>,
    epoch: Option<Epoch>,
    /// Receipted, not yet deleted.
    receipted: Vec<(u64, u64)>,
    delete_at: Option<Instant>,
    status_at: Instant,
    /// Level and alarm of the spool as said last.
    said: (u8, Option<String>),
    next: Option<Instant>,
    remind_at: Instant,
}

impl Publisher {
    fn new(parts: Parts, state: watch::Receiver<State>) -> Publisher {
        let now = clock::monotonic();
        let dispatch = Dispatch::new(parts.config.publish, now, fastrand::Rng::new());
        Publisher {
            parts,
            state,
            dispatch,
            offsets: Offsets::default(),
            outbox: None,
            trouble: None,
            epoch: None,
            receipted: Vec::new(),
            delete_at: None,
            status_at: now,
            said: (0, None),
            next: Some(now),
            remind_at: now,
        }
    }

    /// How long there is nothing to do unless something happens.
    fn pause(&self) -> Duration {
        let now = clock::monotonic();
        let times = [self.next, self.delete_at, Some(self.status_at)];
        let next = times.into_iter().flatten().min().unwrap_or(now);
        next.saturating_duration_since(now).min(Duration::from_secs(1))
    }

    async fn on_spool(&mut self, notice: SpoolNotice) {
        let now = clock::monotonic();
        match notice {
            SpoolNotice::Opened { epoch, held } => {
                if self.epoch.replace(epoch) != Some(epoch) {
                    self.receipted.clear();
                    self.offsets.another_epoch();
                }
                self.dispatch.opened(now, &held);
            }
            SpoolNotice::Past(made) => self.dispatch.past(now, &made),
            SpoolNotice::Fresh(entries) => {
                let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return };
                let range = (first.seq, last.seq);
                if !self.dispatch.fresh(now, range.0, range.1) {
                    return;
                }
                for message in cut(&entries, LIVE_BYTES) {
                    let (Some(first), Some(last)) = (message.first(), message.last()) else { continue };
                    let begun = clock::monotonic();
                    if self.send(Lane::Live, message).await {
                        self.offsets.sent(first.seq, last.seq, begun);
                    } else {
                        self.dispatch.unsent(clock::monotonic(), first.seq, last.seq);
                    }
                }
            }
        }
    }

    fn on_broker(&mut self, notice: Notice) {
        let now = clock::monotonic();
        match notice {
            Notice::Connected(outbox) => {
                tracing::info!(host = self.parts.config.mqtt.host, "connected to the broker");
                self.parts.readiness.set("broker", true, "ok");
                self.outbox = Some(outbox);
                self.trouble = None;
                self.dispatch.connected(now);
                self.status_at = now;
            }
            Notice::Lost(reason) => {
                self.outbox = None;
                // Said once, not at every attempt.
                if self.trouble.as_ref() != Some(&reason) {
                    tracing::warn!(reason, "no broker connection; records stay in the spool");
                }
                self.parts.readiness.set("broker", false, &reason);
                self.trouble = Some(reason);
                self.dispatch.disconnected(now);
            }
            Notice::Message(message) => self.on_message(&message),
            // Receipts that are left out are repeated when their records come again.
            Notice::LeftOut => {}
        }
    }

    fn on_message(&mut self, message: &Message) {
        let (wall, now) = clock::both();
        let from_centre = message.topic == CENTRAL_STATUS.as_bytes();
        let heard = if from_centre {
            incoming::announcement(&mut self.dispatch, now, &message.payload)
        } else {
            let me = (self.parts.config.name.as_str(), self.epoch);
            if let Some((held, at)) = incoming::departure(me, &message.payload) {
                self.offsets.receipt(&held, (wall, now), at);
            }
            incoming::receipt(&mut self.dispatch, now, me, &message.payload)
        };
        match heard {
            Incoming::Nothing => {}
            Incoming::Settled(settled) => {
                self.parts.metrics.receipts.inc();
                self.parts.metrics.last_receipt.set(clock::now().as_second());
                self.receipted.extend(settled.iter());
                self.delete_at.get_or_insert(now + DELETE_EVERY);
            }
            Incoming::Refused(reason) => tracing::warn!(reason, "a message from the centre is ignored"),
        }
    }

    /// Whatever is due: deletion, status, backfill.
    async fn turn(&mut self) {
        let now = clock::monotonic();
        if self.delete_at.is_some_and(|at| at <= now) {
            let ranges = Ranges::from_pairs(self.receipted.iter().copied());
            if self.parts.keeper.delete(ranges) {
                self.receipted.clear();
                self.delete_at = None;
            } else {
                self.delete_at = Some(now + DELETE_EVERY);
            }
        }
        self.note_figures();
        if self.status_at <= clock::monotonic() {
            self.status_at = now + STATUS_EVERY;
            self.remind(now);
            self.say(&self.status()).await;
        }
        self.backfill().await;
    }

    async fn backfill(&mut self) {
        for _ in 0..BACKFILL_AT_ONCE {
            let (within, most) = match self.dispatch.next(clock::monotonic()) {
                Next::Wait(until) => {
                    self.next = until;
                    return;
                }
                Next::Backfill { within, most } => (within, most),
            };
            let Some(entries) = self.parts.keeper.newest(within, most, BACKFILL_BYTES).await else {
                self.next = Some(clock::monotonic() + Duration::from_millis(50));
                return;
            };
            let run = entries.first().zip(entries.last()).map(|(first, last)| (first.seq, last.seq));
            if !entries.is_empty() && !self.send(Lane::Backfill, &entries).await {
                self.next = Some(clock::monotonic() + Duration::from_millis(50));
                return;
            }
            self.dispatch.sent(clock::monotonic(), within, run);
        }
        self.next = Some(clock::monotonic());
    }

    /// Hands one message with these records to the connection; `false` when it does not take it.
    async fn send(&self, lane: Lane, entries: &[Entry]) -> bool {
        let (Some(outbox), Some(epoch)) = (&self.outbox, self.epoch) else { return false };
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return true };
        let properties = vec![
            (property::EPOCH.to_owned(), epoch.to_string()),
            (property::FIRST.to_owned(), first.seq.to_string()),
            (property::LAST.to_owned(), last.seq.to_string()),
        ];
        let topic = lane.of(&self.parts.config.name);
        let sending = outbox.publish(&topic, Delivery::AtLeastOnce, lines(entries), properties);
        let sent = matches!(tokio::time::timeout(HAND_OVER, sending).await, Ok(Ok(())));
        if sent {
            let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
            let labels = LaneLabels { lane: lane.name().to_owned() };
            self.parts.metrics.published.get_or_create(&labels).inc_by(count);
        }
        sent
    }

    /// Figures for Prometheus; a change of alarm or level is said at once.
    fn note_figures(&mut self) {
        let state = self.state.borrow_and_update();
        self.parts.metrics.note_spool(&state, clock::now());
        self.parts.metrics.note_offset(self.offsets.best(clock::monotonic()));
        if self.said != (state.level, state.alarm.clone()) {
            self.said = (state.level, state.alarm.clone());
            self.status_at = clock::monotonic();
        }
    }

    /// A person must renew the certificate; nobody else can.
    fn remind(&mut self, now: Instant) {
        let until = self.outbox.as_ref().and_then(Outbox::certificate_until);
        if let Some(until) = until
            && self.remind_at <= now
            && let Some(warning) = ends_soon(until, clock::now())
        {
            self.remind_at = now + REMIND_EVERY;
            tracing::warn!(%until, "{warning}");
        }
    }

    fn status(&self) -> GatewayStatus {
        let offset = self.offsets.best(clock::monotonic());
        let until = self.outbox.as_ref().and_then(Outbox::certificate_until);
        let state = self.state.borrow();
        GatewayStatus {
            online: true,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cfg: Hash(self.parts.config.hash).to_string(),
            spool_records: state.records,
            spool_hours: state.hours,
            spool_hours_left: state.hours_left,
            spool_level: state.level,
            spool_alarm: state.alarm.clone(),
            oldest_unreceipted: state.oldest.map(time_text),
            at: Some(time_text(clock::now())),
            certificate_until: until.map(time_text),
            clock_offset_ms: offset.map(|offset| offset.offset_ms),
            clock_offset_error_ms: offset.map(|offset| offset.error_ms),
            ..GatewayStatus::offline(&self.parts.config.name)
        }
    }

    async fn say(&self, status: &GatewayStatus) {
        let Some(outbox) = &self.outbox else { return };
        let Ok(payload) = serde_json::to_vec(status) else { return };
        let topic = Lane::Status.of(&self.parts.config.name);
        let saying = outbox.publish(&topic, Delivery::AtLeastOnceRetained, payload, Vec::new());
        // A status that does not get through is said again after the next connect.
        let _gone = tokio::time::timeout(HAND_OVER, saying).await;
    }

    /// Says goodbye; the broker then does not publish the last will.
    async fn leave(&mut self) {
        if !self.receipted.is_empty() {
            // What is not deleted now is sent again after the next start, which does no harm.
            let _later = self.parts.keeper.delete(Ranges::from_pairs(self.receipted.iter().copied()));
        }
        self.say(&GatewayStatus { online: false, ..self.status() }).await;
    }
}

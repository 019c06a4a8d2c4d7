//! From the broker to the writers and back: messages in, receipts and acknowledgements out. The queues to the writers have room for all
//! that a connection holds, so they never block one; a slow database shows as unacknowledged messages at the broker.
//!
//! Live and backfill come by connections of their own, each with its own window, and writers take live first: what was just
//! measured never waits behind the past, neither at the broker nor here, however many gateways send at once what they have kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::central::clerk::Clerk;
use crate::central::inbox::{Inbox, Queued, Takes, Underway};
use crate::central::intake::{Arrival, line_by_line};
use crate::central::life::{Connection, Life};
use crate::central::meters::Meters;
use crate::central::pipeline::Writer;
use crate::central::receipts::Receipts;
use crate::clock;
use crate::mqtt::connection::{Acknowledge, Delivery, Message, Notice, Outbox, Settings, Ticket, connect};
use crate::mqtt::status::{CentralStatus, GatewayStatus};
use crate::mqtt::tls::ends_soon;
use crate::mqtt::topic::{CENTRAL_STATUS, Lane, parse};
use crate::shutdown::Shutdown;
use crate::store::session::Failure;
use crate::telemetry::Readiness;

/// No gateway has more to say of itself.
const MAX_STATUS_BYTES: usize = 4096;
/// Longer than any working connection needs to take a message or an acknowledgement.
pub const HAND_OVER: Duration = Duration::from_secs(5);
/// Backfill that cannot be had for longer, while live can, is a trouble of its own.
const BACKFILL_PATIENCE: Duration = Duration::from_secs(10);
/// Backfill's window is this part of live's.
const BACKFILL_SHARE: u16 = 4;
/// The part of readiness that is told when only backfill cannot be had.
const BACKFILL: &str = "backfill";

/// The newest connection's outbox, if there is one.
pub type Line = watch::Receiver<Option<Outbox>>;

/// What the subscriber needs besides the connection.
pub struct Ears {
    pub life: Life,
    pub readiness: Readiness,
    pub queue: mpsc::Sender<Queued>,
    pub meters: Meters,
    pub line: watch::Sender<Option<Outbox>>,
}

/// Connection settings of a centre: for live and whatever else it hears, and for backfill.
pub fn settings(
    config: &crate::config::central::Mqtt,
    (host, port): (String, u16),
    start: &str,
) -> (Settings, Settings) {
    let share = if config.shared { "$share/central/" } else { "" };
    let status = |online: bool| CentralStatus {
        v: 1,
        online,
        start: start.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let credentials = config.user.clone().map(|user| (user, config.password.clone().unwrap_or_default()));
    let live = Settings {
        host,
        port,
        tls: config.tls.clone(),
        client_id: format!("central-{start}"),
        credentials,
        inflight: config.inflight,
        will: serde_json::to_vec(&status(false)).ok().map(|payload| (CENTRAL_STATUS.to_owned(), payload)),
        subscriptions: vec![format!("{share}{}", Lane::Live.of("+")), Lane::Status.of("+")],
        acknowledge: Acknowledge::ByTicket,
        keep_alive: Duration::from_secs(5),
    };
    let backfill = Settings {
        client_id: format!("central-{start}-backfill"),
        // A message of the past holds up to a hundred records: a short window is long enough.
        inflight: (config.inflight / BACKFILL_SHARE).max(20),
        will: None,
        subscriptions: vec![format!("{share}{}", Lane::Backfill.of("+"))],
        ..live.clone()
    };
    (live, backfill)
}

/// Listens on the lane of what was just measured, until shutdown.
pub async fn listen(settings: Settings, ears: Ears, shutdown: Shutdown) {
    let broker = format!("{}:{}", settings.host, settings.port);
    ears.life.connection(Connection::Down, clock::now());
    let mut notices = connect(settings, shutdown.clone());
    let mut down: Option<String> = None;
    while let Some(notice) = notices.recv().await {
        match notice {
            Notice::Connected(outbox) => {
                tracing::info!(broker, "connected to the broker");
                if let Some(warning) =
                    outbox.certificate_until().and_then(|until| ends_soon(until, clock::now()))
                {
                    tracing::warn!("{warning}");
                }
                down = None;
                announce(&outbox).await;
                ears.life.connection(Connection::Up, clock::now());
                ears.line.send_replace(Some(outbox));
                ears.readiness.set("broker", true, "ok");
            }
            Notice::Lost(reason) => {
                ears.line.send_replace(None);
                ears.life.connection(Connection::Down, clock::now());
                ears.readiness.set("broker", false, &reason);
                if !shutdown.is_cancelled() && down.as_ref() != Some(&reason) {
                    tracing::warn!(reason, "the broker is away; trying again");
                    down = Some(reason);
                }
            }
            Notice::Message(message) => sort(*message, &ears).await,
            Notice::LeftOut => ears.meters.left_out(),
        }
    }
}

/// Listens on the lane of the past, until shutdown. That the broker is away is told by [`listen`]; here only that this lane alone
/// is shut.
pub async fn listen_to_the_past(
    settings: Settings,
    (queue, meters): (mpsc::Sender<Queued>, Meters),
    (line, readiness): (Line, Readiness),
    shutdown: Shutdown,
) {
    let mut notices = connect(settings, shutdown);
    let mut lost: Option<Instant> = None;
    while let Some(notice) = notices.recv().await {
        match notice {
            Notice::Connected(_) => {
                lost = None;
                if readiness.parts().contains_key(BACKFILL) {
                    readiness.set(BACKFILL, true, "ok");
                }
            }
            Notice::Lost(reason) => {
                let now = clock::monotonic();
                let since = *lost.get_or_insert(now);
                if line.borrow().is_none() {
                    lost = Some(now);
                } else if now.saturating_duration_since(since) > BACKFILL_PATIENCE {
                    readiness.set(BACKFILL, false, &reason);
                }
            }
            // The receiver is only gone at shutdown.
            Notice::Message(message) => drop(queue.send(queued(*message, clock::now())).await),
            Notice::LeftOut => meters.left_out(),
        }
    }
}

/// Tells the gateways that a centre listens from now on: they send again at once what is not receipted. What they sent
/// while it did not listen has not reached it, so each connection counts as a start.
async fn announce(outbox: &Outbox) {
    let status = CentralStatus {
        v: 1,
        online: true,
        start: uuid::Uuid::now_v7().simple().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    if let Ok(payload) = serde_json::to_vec(&status) {
        // Lost with the connection: the next connect announces again.
        let publishing = outbox.publish(CENTRAL_STATUS, Delivery::AtLeastOnceRetained, payload, Vec::new());
        let _gone = tokio::time::timeout(HAND_OVER, publishing).await;
    }
}

async fn sort(message: Message, ears: &Ears) {
    let received_at = clock::now();
    let topic = String::from_utf8_lossy(&message.topic);
    if let Some((gateway, lane)) = parse(&topic) {
        // A retained status may be old, and a last will is the opposite of life: what counts is what it says.
        let status = (lane == Lane::Status).then(|| status_of(&message.payload)).flatten();
        if lane == Lane::Live || status.as_ref().is_some_and(says_online) {
            ears.life.heard_gateway(gateway, received_at, status.as_ref().and_then(as_stored));
        }
        if lane == Lane::Status {
            message.ticket.punch();
            return;
        }
    }
    // The receiver is only gone at shutdown.
    let _closed = ears.queue.send(queued(message, received_at)).await;
}

fn queued(message: Message, received_at: jiff::Timestamp) -> Queued {
    let topic = Arc::from(&*String::from_utf8_lossy(&message.topic));
    let arrival =
        Arrival { topic, payload: message.payload, user_properties: message.user_properties, received_at };
    Queued { arrival, ticket: message.ticket }
}

/// A status as it is understood; whatever else a message carries is not kept.
fn status_of(payload: &[u8]) -> Option<GatewayStatus> {
    (payload.len() <= MAX_STATUS_BYTES).then(|| serde_json::from_slice(payload).ok()).flatten()
}

/// A status as JSON that the database takes: its JSON knows no NUL.
fn as_stored(status: &GatewayStatus) -> Option<String> {
    serde_json::to_string(status).ok().map(|text| text.replace("\\u0000", "\\ufffd"))
}

/// A status of the last minutes that says "online". A retained one from long ago does not count as life. By the centre's clock, as far as
/// the gateway knows how far its own is off: a wrong clock is to be told, not taken for an old message.
fn says_online(status: &GatewayStatus) -> bool {
    let off = jiff::SignedDuration::from_millis(status.clock_offset_ms.unwrap_or(0));
    let said_at = status.at.as_deref().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let said_at = said_at.and_then(|at| at.checked_sub(off).ok());
    status.online
        && said_at
            .is_some_and(|at| clock::now().duration_since(at).abs() < jiff::SignedDuration::from_secs(120))
}

/// One writer: takes what has queued up into one transaction, then hands over its receipts and acknowledges it.
pub async fn write(mut writer: Writer, (inbox, takes): (Arc<Inbox>, Takes), clerk: Clerk, desk: Desk) {
    loop {
        let batch = tokio::select! {
            batch = inbox.batch(takes) => batch,
            () = desk.shutdown.cancelled() => return,
        };
        let Some(batch) = batch else { return };
        let oldest = batch.iter().map(|queued| queued.arrival.received_at).min();
        let _busy = oldest.map(|oldest| desk.underway.begin(oldest));
        let (arrivals, tickets): (Vec<Arrival>, Vec<Ticket>) =
            batch.into_iter().map(|queued| (queued.arrival, queued.ticket)).unzip();
        let Some(receipts) = commit(&mut writer, &arrivals, (&clerk, &desk)).await else { return };
        clerk.send(receipts).await;
        tickets.into_iter().for_each(Ticket::punch);
    }
}

/// What a writer reports to, and what ends it.
#[derive(Clone)]
pub struct Desk {
    pub readiness: Readiness,
    pub meters: Meters,
    pub underway: Underway,
    pub shutdown: Shutdown,
}

/// Brings a batch to COMMIT, however long the database is away; after a failure in ever smaller parts, so that a batch that is
/// too much for it does not fail for ever. `None` only at shutdown: then nothing is receipted and the gateways still have it
/// all.
async fn commit(
    writer: &mut Writer,
    arrivals: &[Arrival],
    (clerk, desk): (&Clerk, &Desk),
) -> Option<Receipts> {
    let started = clock::monotonic();
    let mut wait = Duration::from_millis(100);
    let mut all = Receipts::default();
    let (mut rest, mut size) = (arrivals, arrivals.len());
    while !rest.is_empty() {
        let (part, later) = rest.split_at(size.min(rest.len()));
        match part_of(writer, part, clerk).await {
            Ok(receipts) => {
                desk.readiness.set("database", true, "ok");
                all.extend(receipts);
                rest = later;
                wait = Duration::from_millis(100);
                continue;
            }
            Err(Failure::Refused(reason)) => {
                tracing::warn!(reason, "the database refuses a batch; its records are tried one by one");
                all.extend(one_by_one(writer, part, desk).await?);
                rest = later;
                continue;
            }
            Err(Failure::Unavailable(reason)) => {
                if desk.readiness.parts().get("database").is_none_or(|part| part.ready) {
                    tracing::error!(reason, "the database is away; nothing is receipted until it is back");
                }
                desk.readiness.set("database", false, &reason);
                size = (part.len() / 2).max(1);
            }
        }
        pause(wait, desk).await?;
        wait = (wait * 2).min(Duration::from_secs(2));
    }
    desk.meters.batch(arrivals.len(), started.elapsed().as_secs_f64());
    Some(all)
}

/// One part to COMMIT. When something of it is refused, what was accepted is receipted first: nobody waits for another's garbage.
/// Gives the receipts that are not under way yet; after a failure the same part may be given again.
async fn part_of(writer: &mut Writer, part: &[Arrival], clerk: &Clerk) -> Result<Receipts, Failure> {
    let now = clock::now();
    let (receipts, refused) = writer.settle(part, now).await?;
    if refused.is_empty() {
        return Ok(receipts);
    }
    clerk.send(receipts).await;
    let mut kept = Receipts::default();
    writer.keep(refused, now, &mut kept).await?;
    Ok(kept)
}

/// Waits; `None` at shutdown.
async fn pause(wait: Duration, desk: &Desk) -> Option<()> {
    tokio::select! {
        () = tokio::time::sleep(wait) => Some(()),
        () = desk.shutdown.cancelled() => None,
    }
}

/// Finds the record that the database refuses, and keeps that one in quarantine.
async fn one_by_one(writer: &mut Writer, arrivals: &[Arrival], desk: &Desk) -> Option<Receipts> {
    let mut all = Receipts::default();
    for arrival in arrivals.iter().flat_map(line_by_line) {
        loop {
            let result = match writer.on_batch(std::slice::from_ref(&arrival), clock::now()).await {
                Err(Failure::Refused(reason)) => writer.refuse(&arrival, &reason, clock::now()).await,
                other => other,
            };
            match result {
                Ok(receipts) => {
                    all.extend(receipts);
                    break;
                }
                Err(Failure::Refused(reason)) => {
                    tracing::error!(
                        reason,
                        "a record can neither be stored nor quarantined; it stays with its gateway"
                    );
                    break;
                }
                Err(Failure::Unavailable(reason)) => {
                    if desk.readiness.parts().get("database").is_none_or(|part| part.ready) {
                        tracing::error!(
                            reason,
                            "the database is away; nothing is receipted until it is back"
                        );
                    }
                    desk.readiness.set("database", false, &reason);
                }
            }
            pause(Duration::from_millis(500), desk).await?;
        }
    }
    Some(all)
}

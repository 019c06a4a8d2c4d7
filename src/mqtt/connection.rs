//! One supervised MQTT v5 connection. After every error a NEW client is built (rumqttc's own reconnect silently drops
//! pending messages and shifts the publish/ack mapping), after a back-off with jitter. What was under way is lost by
//! design: only a receipt counts as delivered, so whoever publishes must be ready to publish again.
//!
//! Nothing here blocks the connection for its consumer, or it could neither ping nor acknowledge. A slow consumer shows as
//! back-pressure at the broker, which sends no more than its window without acknowledgements. But mosquitto 2.0.11 keeps to that window
//! only until the first of them: as soon as one comes, it sends all that it has queued. So what is held here is bounded by bytes
//! (`HELD_BYTES`); a message above that is acknowledged and left out, and comes again for want of a receipt.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use rumqttc::{
    AckMode, AsyncClient, Broker as Address, Event, EventLoop, IncomingPacketSizeLimit, LastWill, ManualAck,
    MqttOptions, Packet, Publish, PublishOptions, PublishProperties, QoS, SubscribeFilter,
    SubscribeReasonCode,
};
use tokio::sync::mpsc;

use crate::config::broker::Tls;
use crate::mqtt::guard::Guard;
use crate::mqtt::line::{Lent, Reading};
use crate::mqtt::record::MAX_MESSAGE_BYTES;
use crate::mqtt::refusal::{self, Broker};
use crate::shutdown::Shutdown;

/// For the broker's greeting.
const GREETING: Duration = Duration::from_secs(5);
/// For the acknowledgements that are awaited before the goodbye, and then for the goodbye.
const FAREWELL: Duration = Duration::from_millis(500);

/// What a centre may have published without an acknowledgement: its own state and commands; receipts have none.
const OUTGOING: u16 = 64;
/// Bytes of messages of one connection that are held at most.
pub const HELD_BYTES: usize = 48 * 1024 * 1024;
/// What a message takes besides its payload.
const MESSAGE_BYTES: usize = 512;
/// So no more messages are held.
pub const HELD_MESSAGES: usize = HELD_BYTES / MESSAGE_BYTES;

/// How to reach the broker and what to ask of it.
#[derive(Clone)]
pub struct Settings {
    pub host: String,
    pub port: u16,
    /// How the way is protected; `None`: not at all.
    pub tls: Option<Tls>,
    pub client_id: String,
    /// User and password; never logged.
    pub credentials: Option<(String, String)>,
    /// At most so many unacknowledged messages each way.
    pub inflight: u16,
    /// Topic and payload that the broker publishes (retained) when we vanish.
    pub will: Option<(String, Vec<u8>)>,
    /// Topic filters, subscribed with QoS 1 after each connect.
    pub subscriptions: Vec<String>,
    pub acknowledge: Acknowledge,
    pub keep_alive: Duration,
}

impl Settings {
    fn broker(&self) -> Broker<'_> {
        Broker { host: &self.host, port: self.port }
    }
}

/// When a received message is acknowledged to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledge {
    /// On arrival.
    OnArrival,
    /// When its [`Ticket`] is punched: flow control by what is committed.
    ByTicket,
}

/// What the connection tells its owner.
pub enum Notice {
    /// Connected and subscribed; publish through this from now on.
    Connected(Outbox),
    /// Lost or refused, with the reason; the next attempt follows by itself.
    Lost(String),
    /// A message.
    Message(Box<Message>),
    /// A message was left out, since too many are not dealt with.
    LeftOut,
}

/// A received message.
pub struct Message {
    pub topic: Bytes,
    pub payload: Bytes,
    pub user_properties: Vec<(String, String)>,
    pub ticket: Ticket,
}

/// Acknowledges one message on the connection that it came by. On a later connection it does nothing, as it should:
/// the broker has sent the message again there.
pub struct Ticket {
    acknowledge: Option<(Arc<AsyncClient>, ManualAck)>,
    _room: Room,
}

impl Ticket {
    /// Tells the broker that the message is dealt with. Waits for nobody: the client takes as many as there are numbers of messages.
    pub fn punch(mut self) {
        if let Some((client, ack)) = self.acknowledge.take() {
            // A closed connection needs no acknowledgement.
            let _closed = client.try_manual_ack(ack);
        }
    }
}

/// Bytes of received messages that are not dealt with.
#[derive(Clone, Default)]
struct Held(Arc<AtomicUsize>);

impl Held {
    /// Room for so many more bytes, if there is any.
    fn take(&self, bytes: usize) -> Option<Room> {
        let bytes = bytes + MESSAGE_BYTES;
        let held = self.0.fetch_add(bytes, Ordering::Relaxed);
        let room = Room { held: self.clone(), bytes };
        // Given back when it is dropped.
        (held + bytes <= HELD_BYTES).then_some(room)
    }
}

/// A message's part of what is held.
struct Room {
    held: Held,
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Publishes on one connection. After a loss every call fails until a new `Outbox` arrives.
#[derive(Clone)]
pub struct Outbox {
    client: AsyncClient,
    certificate_until: Option<Timestamp>,
}

/// The connection behind an [`Outbox`] is gone; nothing is known about what was under way.
#[derive(Debug, thiserror::Error)]
#[error("the broker connection is gone; publish again after the next connect")]
pub struct Gone;

/// How hard the broker tries, and whether it keeps the message for later subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    AtMostOnce,
    AtLeastOnce,
    AtLeastOnceRetained,
}

impl Outbox {
    /// The end of the client certificate that this connection was made with, if it was.
    pub fn certificate_until(&self) -> Option<Timestamp> {
        self.certificate_until
    }

    /// Queues one message.
    ///
    /// # Errors
    /// [`Gone`] when the connection was lost.
    pub async fn publish(
        &self,
        topic: &str,
        delivery: Delivery,
        payload: impl Into<Bytes>,
        user_properties: Vec<(String, String)>,
    ) -> Result<(), Gone> {
        let (qos, retain) = match delivery {
            Delivery::AtMostOnce => (QoS::AtMostOnce, false),
            Delivery::AtLeastOnce => (QoS::AtLeastOnce, false),
            Delivery::AtLeastOnceRetained => (QoS::AtLeastOnce, true),
        };
        let properties = PublishProperties { user_properties, ..PublishProperties::default() };
        let options = PublishOptions::new(qos).retain(retain).properties(properties);
        self.client.publish(topic, payload.into(), options).await.map_err(|_closed| Gone)
    }
}

/// Starts the connection; it ends with `shutdown` or when the returned receiver is dropped.
pub fn connect(settings: Settings, shutdown: Shutdown) -> mpsc::Receiver<Notice> {
    // As many as can be held, and some that are no messages.
    let (notices, receiver) = mpsc::channel(HELD_MESSAGES + 64);
    tokio::spawn(supervise(settings, notices, shutdown));
    receiver
}

async fn supervise(settings: Settings, notices: mpsc::Sender<Notice>, shutdown: Shutdown) {
    let mut failures = 0_u32;
    let mut guard = Guard::new(settings.tls.clone());
    while let Some((reason, connected)) = attempt(&settings, &mut guard, &notices, &shutdown).await {
        failures = if connected { 0 } else { failures + 1 };
        if notices.send(Notice::Lost(reason)).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(back_off(failures)) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// One connection from its making to its end: why it ended and whether it had been up. `None` at shutdown.
async fn attempt(
    settings: &Settings,
    guard: &mut Guard,
    notices: &mpsc::Sender<Notice>,
    shutdown: &Shutdown,
) -> Option<(String, bool)> {
    let reading = match settings.acknowledge {
        Acknowledge::ByTicket => Reading::Gathered,
        Acknowledge::OnArrival => Reading::AtOnce,
    };
    let (line, certificate_until) = tokio::select! {
        opened = guard.open(settings.broker(), reading) => match opened {
            Ok(opened) => opened,
            Err(reason) => return Some((reason, false)),
        },
        () = shutdown.cancelled() => return None,
    };
    let line = Lent::new(line);
    let (client, mut events) = open(settings, &line);
    let outbox = Outbox { client, certificate_until };
    let ended = tokio::select! {
        ended = drive(settings, &outbox, &mut events, notices) => Some(ended),
        () = shutdown.cancelled() => None,
    };
    if ended.is_none() {
        leave(&outbox.client, &mut events).await;
    }
    drop(events);
    let line = line.back();
    let Some((reason, connected)) = ended else {
        if let Some(line) = line {
            line.farewell(FAREWELL).await;
        }
        return None;
    };
    // Under TLS the cause is seen there; above it only that there is no connection any more.
    let beneath = match line {
        Some(line) => guard.why(settings.broker(), line).await,
        None => None,
    };
    Some((beneath.unwrap_or(reason), connected))
}

/// 0.1 s doubling to 5 s, each times 0.5 to 1.5, so that a thousand gateways do not knock at once.
fn back_off(failures: u32) -> Duration {
    let base = Duration::from_millis(100 << failures.min(6)).min(Duration::from_secs(5));
    base.mul_f64(0.5 + fastrand::f64())
}

/// A client on a line. It can have the line once: its own way of connecting again is never used.
fn open(settings: &Settings, line: &Lent) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(&settings.client_id, Address::tcp(&settings.host, settings.port));
    let once = Mutex::new(Some(line.clone()));
    options.set_socket_connector(move |_address, _options| {
        let line = once.lock().ok().and_then(|mut once| once.take());
        async { line.ok_or_else(|| std::io::ErrorKind::NotConnected.into()) }
    });
    // Whole seconds, and never 0, which would mean none.
    let keep_alive = u16::try_from(settings.keep_alive.as_secs()).unwrap_or(u16::MAX).max(1);
    options.set_keep_alive(keep_alive);
    options.set_clean_start(true);
    let (acks, capacity) = match settings.acknowledge {
        Acknowledge::ByTicket => (AckMode::Manual, usize::from(u16::MAX)),
        Acknowledge::OnArrival => (AckMode::Automatic, usize::from(settings.inflight) * 2 + 64),
    };
    options.set_ack_mode(acks);
    options.set_receive_maximum(Some(settings.inflight));
    let largest = u32::try_from(MAX_MESSAGE_BYTES + 64 * 1024).unwrap_or(u32::MAX);
    options.set_max_packet_size(Some(largest));
    options.set_incoming_packet_size_limit(IncomingPacketSizeLimit::Bytes(largest));
    // The client looks at each place of this window whenever it has sent something; who receives publishes little that is acknowledged.
    let outgoing = match settings.acknowledge {
        Acknowledge::ByTicket => settings.inflight.min(OUTGOING),
        Acknowledge::OnArrival => settings.inflight,
    };
    options.set_outgoing_inflight_upper_limit(outgoing);
    options.set_max_request_batch(usize::from(settings.inflight));
    options.set_connect_timeout(GREETING);
    if let Some((user, password)) = &settings.credentials {
        options.set_credentials(user, password.clone());
    }
    if let Some((topic, payload)) = &settings.will {
        options.set_last_will(LastWill::new(topic, payload.clone(), QoS::AtLeastOnce, true, None));
    }
    AsyncClient::builder(options).capacity(capacity).build()
}

/// Runs one connection to its end; says why it ended and whether it had been up.
async fn drive(
    settings: &Settings,
    outbox: &Outbox,
    events: &mut EventLoop,
    notices: &mpsc::Sender<Notice>,
) -> (String, bool) {
    let mut connected = false;
    let (held, client) = (Held::default(), Arc::new(outbox.client.clone()));
    loop {
        // A ping at least comes by once each keep-alive. rumqttc waits without an end for a broker that takes no more bytes.
        let longest = settings.keep_alive * 3 + GREETING;
        let event = match tokio::time::timeout(longest, events.poll()).await {
            Ok(Ok(Event::Incoming(packet))) => packet,
            Ok(Ok(Event::Outgoing(_) | Event::Auth(_))) => continue,
            Ok(Err(error)) => return (refusal::of_connection(settings.broker(), &error), connected),
            Err(_late) => return (refusal::hung(settings.broker(), longest), connected),
        };
        let notice = if let Packet::Publish(publish) = event {
            Some(message(settings, (&held, &client), publish))
        } else if let Packet::ConnAck(_) = event {
            connected = true;
            match subscribe(settings, outbox).await {
                Ok(notice) => notice,
                Err(Gone) => return ("the client closed while subscribing".to_owned(), connected),
            }
        } else if let Packet::SubAck(answer) = event {
            let refused =
                answer.return_codes.iter().find(|code| !matches!(code, SubscribeReasonCode::Success(_)));
            if let Some(code) = refused {
                return (
                    format!(
                        "the broker refused a subscription ({code:?}); allow it in the broker's access list"
                    ),
                    false,
                );
            }
            Some(Notice::Connected(outbox.clone()))
        } else if let Packet::Disconnect(goodbye) = event {
            return (format!("the broker said goodbye: {:?}", goodbye.reason_code), connected);
        } else {
            None
        };
        let Some(notice) = notice else { continue };
        if notices.send(notice).await.is_err() {
            return ("its owner is gone".to_owned(), connected);
        }
    }
}

/// Asks for the subscriptions; without any, the connection is ready at once.
async fn subscribe(settings: &Settings, outbox: &Outbox) -> Result<Option<Notice>, Gone> {
    if settings.subscriptions.is_empty() {
        return Ok(Some(Notice::Connected(outbox.clone())));
    }
    let filters = settings.subscriptions.iter().map(|topic| SubscribeFilter::new(topic, QoS::AtLeastOnce));
    outbox.client.subscribe_many(filters).await.map(|()| None).map_err(|_closed| Gone)
}

fn message(settings: &Settings, (held, client): (&Held, &Arc<AsyncClient>), publish: Publish) -> Notice {
    let by_ticket = settings.acknowledge == Acknowledge::ByTicket;
    let acknowledge = if by_ticket { client.prepare_ack(&publish) } else { None };
    let Some(room) = held.take(publish.payload.len()) else {
        if let Some(ack) = acknowledge {
            // A closed connection needs no acknowledgement.
            let _closed = client.try_manual_ack(ack);
        }
        return Notice::LeftOut;
    };
    let ticket = Ticket { acknowledge: acknowledge.map(|ack| (Arc::clone(client), ack)), _room: room };
    let Publish { topic, payload, properties, .. } = publish;
    let user_properties = properties.map(|properties| properties.user_properties).unwrap_or_default();
    Notice::Message(Box::new(Message { topic, payload, user_properties, ticket }))
}

/// Says goodbye so that the broker does not publish the last will: after what is under way was acknowledged, or without waiting for it
/// any longer.
async fn leave(client: &AsyncClient, events: &mut EventLoop) {
    if client.try_disconnect().is_ok() && tokio::time::timeout(FAREWELL, drained(events)).await.is_ok() {
        return;
    }
    if client.try_disconnect_now().is_ok() {
        let _late = tokio::time::timeout(FAREWELL, drained(events)).await;
    }
}

async fn drained(events: &mut EventLoop) {
    while events.poll().await.is_ok() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_held_than_there_is_room_for() {
        let held = Held::default();
        let most = HELD_BYTES / 2 - MESSAGE_BYTES;
        let rooms = [held.take(most), held.take(most)];
        assert!(rooms.iter().all(Option::is_some) && held.take(0).is_none());
        drop(rooms);
        assert!(held.take(HELD_BYTES - MESSAGE_BYTES).is_some());
        assert_eq!(held.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn back_off_grows_and_is_bounded() {
        assert!(back_off(0) < Duration::from_millis(151));
        assert!(back_off(60) <= Duration::from_millis(7500));
    }
}

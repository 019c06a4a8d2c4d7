//! One supervised MQTT v5 connection. After every error a NEW client is built (rumqttc's own reconnect silently drops
//! pending messages and shifts the publish/ack mapping), after a back-off with jitter. What was under way is lost by
//! design: only a receipt counts as delivered, so whoever publishes must be ready to publish again.
//!
//! Nothing here blocks the connection for its consumer, or it could neither ping nor acknowledge. A slow consumer shows as
//! back-pressure at the broker, which sends no more than its window without acknowledgements. But mosquitto 2.0.11 keeps to that window
//! only until the first of them: as soon as one comes, it sends all that it has queued. So what is held here is bounded by bytes
//! (`HELD_BYTES`); a message above that is acknowledged and left out, and comes again for want of a receipt.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use rumqttc::Transport;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, LastWill, Packet, Publish, PublishProperties, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use tokio::sync::mpsc;

use crate::config::broker::Tls;
use crate::mqtt::record::MAX_MESSAGE_BYTES;
use crate::mqtt::refusal::{self, Broker};
use crate::mqtt::tunnel::{Guard, Tunnel};
use crate::shutdown::Shutdown;

/// For making a connection, the broker's greeting included.
const CONNECT_SECONDS: u64 = 5;
/// For the goodbye.
const FAREWELL: Duration = Duration::from_secs(1);

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
    acknowledge: Option<(mpsc::UnboundedSender<Publish>, Publish)>,
    _room: Room,
}

impl Ticket {
    /// Tells the broker that the message is dealt with. Waits for nobody: there are never more acknowledgements than messages.
    pub fn punch(mut self) {
        if let Some((line, publish)) = self.acknowledge.take() {
            // A closed connection needs no acknowledgement.
            let _closed = line.send(publish);
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
        let queued =
            self.client.publish_with_properties(topic, qos, retain, payload.into(), properties).await;
        queued.map_err(|_closed| Gone)
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
    let mut guard = settings.tls.clone().map(Guard::new);
    while let Some((reason, connected)) = attempt(&settings, guard.as_mut(), &notices, &shutdown).await {
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
    mut guard: Option<&mut Guard>,
    notices: &mpsc::Sender<Notice>,
    shutdown: &Shutdown,
) -> Option<(String, bool)> {
    let opening = async {
        match &mut guard {
            Some(guard) => guard.open(settings.broker()).await.map(Some),
            None => Ok(None),
        }
    };
    let tunnel = tokio::select! {
        opened = opening => match opened {
            Ok(tunnel) => tunnel,
            Err(reason) => return Some((reason, false)),
        },
        () = shutdown.cancelled() => return None,
    };
    let (outbox, mut events) = open(settings, tunnel.as_ref());
    let (reason, connected) = tokio::select! {
        ended = drive(settings, &outbox, &mut events, notices) => ended,
        () = shutdown.cancelled() => {
            leave(&outbox.client, &mut events).await;
            drop(events);
            if let Some(tunnel) = tunnel {
                tunnel.drained(FAREWELL).await;
            }
            return None;
        }
    };
    // Under TLS the cause is seen there; above it only that there is no connection any more.
    let beneath = match (tunnel, guard) {
        (Some(tunnel), Some(guard)) => {
            tunnel.broken().await.and_then(|error| guard.explain(settings.broker(), &error))
        }
        _ => None,
    };
    Some((beneath.unwrap_or(reason), connected))
}

/// 0.1 s doubling to 5 s, each times 0.5 to 1.5, so that a thousand gateways do not knock at once.
fn back_off(failures: u32) -> Duration {
    let base = Duration::from_millis(100 << failures.min(6)).min(Duration::from_secs(5));
    base.mul_f64(0.5 + fastrand::f64())
}

fn open(settings: &Settings, tunnel: Option<&Tunnel>) -> (Outbox, EventLoop) {
    let host = tunnel.map_or(&settings.host, |tunnel| &tunnel.name);
    let mut options = MqttOptions::new(&settings.client_id, host, settings.port);
    if tunnel.is_some() {
        options.set_transport(Transport::Unix);
    }
    options.set_keep_alive(settings.keep_alive);
    options.set_clean_start(true);
    options.set_manual_acks(settings.acknowledge == Acknowledge::ByTicket);
    options.set_receive_maximum(Some(settings.inflight));
    options.set_max_packet_size(u32::try_from(MAX_MESSAGE_BYTES + 64 * 1024).ok());
    options.set_outgoing_inflight_upper_limit(settings.inflight);
    options.set_connection_timeout(CONNECT_SECONDS);
    let mut network = options.network_options();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    if let Some((user, password)) = &settings.credentials {
        options.set_credentials(user, password);
    }
    if let Some((topic, payload)) = &settings.will {
        options.set_last_will(LastWill::new(topic, payload.clone(), QoS::AtLeastOnce, true, None));
    }
    let (client, events) = AsyncClient::new(options, usize::from(settings.inflight) * 2 + 64);
    let certificate_until = tunnel.and_then(|tunnel| tunnel.certificate_until);
    (Outbox { client, certificate_until }, events)
}

/// Hands acknowledgements to the connection, until either is gone.
async fn acknowledge(client: AsyncClient, mut punched: mpsc::UnboundedReceiver<Publish>) {
    while let Some(publish) = punched.recv().await {
        if client.ack(&publish).await.is_err() {
            return;
        }
    }
}

/// Runs one connection to its end; says why it ended and whether it had been up.
async fn drive(
    settings: &Settings,
    outbox: &Outbox,
    events: &mut EventLoop,
    notices: &mpsc::Sender<Notice>,
) -> (String, bool) {
    let mut connected = false;
    let (punched, line) = mpsc::unbounded_channel();
    tokio::spawn(acknowledge(outbox.client.clone(), line));
    let held = Held::default();
    loop {
        // A ping at least comes by once each keep-alive. rumqttc waits without an end for a broker that takes no more bytes.
        let longest = settings.keep_alive * 3 + Duration::from_secs(CONNECT_SECONDS);
        let event = match tokio::time::timeout(longest, events.poll()).await {
            Ok(Ok(Event::Incoming(packet))) => packet,
            Ok(Ok(Event::Outgoing(_))) => continue,
            Ok(Err(error)) => return (refusal::of_connection(settings.broker(), &error), connected),
            Err(_late) => return (refusal::hung(settings.broker(), longest), connected),
        };
        let notice = if let Packet::Publish(publish) = event {
            Some(message(settings, (&held, &punched), publish))
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
    let filters: Vec<Filter> =
        settings.subscriptions.iter().map(|topic| Filter::new(topic.clone(), QoS::AtLeastOnce)).collect();
    outbox.client.subscribe_many(filters).await.map(|()| None).map_err(|_closed| Gone)
}

fn message(
    settings: &Settings,
    (held, punched): (&Held, &mpsc::UnboundedSender<Publish>),
    mut publish: Publish,
) -> Notice {
    let Some(room) = held.take(publish.payload.len()) else {
        if settings.acknowledge == Acknowledge::ByTicket {
            // The receiver is gone when the connection is.
            let _closed = punched.send(publish);
        }
        return Notice::LeftOut;
    };
    let payload = std::mem::take(&mut publish.payload);
    let user_properties =
        publish.properties.take().map(|properties| properties.user_properties).unwrap_or_default();
    let topic = publish.topic.clone();
    let acknowledge = match settings.acknowledge {
        Acknowledge::ByTicket => Some((punched.clone(), publish)),
        Acknowledge::OnArrival => None,
    };
    let ticket = Ticket { acknowledge, _room: room };
    Notice::Message(Box::new(Message { topic, payload, user_properties, ticket }))
}

/// Says goodbye so that the broker does not publish the last will. It is the broker who hangs up: a socket closed with bytes that
/// nobody has read resets the connection, and the goodbye could be lost with it.
async fn leave(client: &AsyncClient, events: &mut EventLoop) {
    let drained = async {
        if client.disconnect().await.is_err() {
            return;
        }
        while events.poll().await.is_ok() {}
    };
    // A broker that does not take the goodbye in time will notice our absence by itself.
    let _late = tokio::time::timeout(FAREWELL, drained).await;
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

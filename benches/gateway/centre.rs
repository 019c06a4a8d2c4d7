//! Plays the centre: reads every record, receipts its message at once, remembers which scan came when.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cems::clock;
use cems::domain::flag::Flag;
use cems::mqtt::connection::{Acknowledge, Delivery, Message, Notice, Outbox, Settings, connect};
use cems::mqtt::receipt::{Ranges, Receipt, property};
use cems::mqtt::record::{Body, Epoch, Record};
use cems::mqtt::topic::Lane;
use cems::shutdown::Shutdown;
use jiff::Timestamp;
use tokio::task::JoinHandle;

/// One scan, as it came first.
struct Scan {
    at: Timestamp,
    arrived: Timestamp,
    /// Values that count.
    valid: usize,
}

#[derive(Default)]
struct State {
    connected: bool,
    scans: Vec<Scan>,
    /// When each message came.
    messages: Vec<Timestamp>,
    known: HashSet<u64>,
    repeats: usize,
}

/// What arrived of a time.
pub struct Arrived {
    /// Values that count, of each scan.
    pub readings: Vec<usize>,
    /// From the tick to the arrival here, milliseconds, sorted.
    pub latencies: Vec<f64>,
    pub messages: usize,
    /// Records that came more than once, whenever.
    pub repeats: usize,
}

/// The centre at work.
pub struct Centre {
    state: Arc<Mutex<State>>,
    shutdown: Shutdown,
    reading: JoinHandle<()>,
}

impl Centre {
    /// For one gateway; it is connected when this returns.
    pub async fn start(port: u16, gateway: &'static str) -> Centre {
        let settings = Settings {
            tls: None,
            host: "127.0.0.1".to_owned(),
            port,
            client_id: "bench-centre".to_owned(),
            credentials: None,
            inflight: 1000,
            will: None,
            subscriptions: [Lane::Live, Lane::Backfill].map(|lane| lane.of(gateway)).to_vec(),
            acknowledge: Acknowledge::OnArrival,
            keep_alive: Duration::from_secs(10),
        };
        let shutdown = Shutdown::new();
        let mut notices = connect(settings, shutdown.clone());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let reading = tokio::spawn(async move {
            let mut outbox = None;
            while let Some(notice) = notices.recv().await {
                match notice {
                    Notice::Connected(connected) => outbox = Some(connected),
                    Notice::Message(message) => take(&shared, gateway, outbox.as_ref(), &message).await,
                    Notice::Lost(reason) => panic!("{reason}"),
                    Notice::LeftOut => panic!("a message was left out"),
                }
                shared.lock().unwrap().connected = outbox.is_some();
            }
        });
        while !state.lock().unwrap().connected {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Centre { state, shutdown, reading }
    }

    /// What came of the ticks of this half-open time.
    pub fn arrived(&self, from: Timestamp, to: Timestamp) -> Arrived {
        let state = self.state.lock().unwrap();
        let scans: Vec<&Scan> = state.scans.iter().filter(|scan| from <= scan.at && scan.at < to).collect();
        let latency = |scan: &&Scan| scan.arrived.duration_since(scan.at).as_secs_f64() * 1e3;
        let mut latencies: Vec<f64> = scans.iter().map(latency).collect();
        latencies.sort_by(f64::total_cmp);
        Arrived {
            readings: scans.iter().map(|scan| scan.valid).collect(),
            latencies,
            messages: state.messages.iter().filter(|at| from <= **at && **at < to).count(),
            repeats: state.repeats,
        }
    }

    /// Records before the newest one that never came.
    pub fn missing(&self) -> u64 {
        let state = self.state.lock().unwrap();
        let newest = state.known.iter().max().map_or(0, |newest| newest + 1);
        newest - u64::try_from(state.known.len()).unwrap()
    }

    /// Says goodbye to the broker.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.reading.await.unwrap();
    }
}

async fn take(state: &Mutex<State>, gateway: &str, outbox: Option<&Outbox>, message: &Message) {
    let arrived = clock::now();
    let receipt = receipt(gateway, message).encode().unwrap();
    let topic = Lane::Receipt.of(gateway);
    let outbox = outbox.unwrap();
    outbox.publish(&topic, Delivery::AtMostOnce, receipt, Vec::new()).await.unwrap();
    let mut state = state.lock().unwrap();
    state.messages.push(arrived);
    for line in message.payload.split(|byte| *byte == b'\n') {
        let record = Record::decode(line).unwrap();
        if !state.known.insert(record.seq) {
            state.repeats += 1;
            continue;
        }
        let Body::Scan(scan) = record.body else { continue };
        let valid = scan.readings.iter().filter(|(_, reading)| reading.flag == Flag::Normal).count();
        state.scans.push(Scan { at: scan.at, arrived, valid });
    }
}

/// All that the message says is in it.
fn receipt(gateway: &str, message: &Message) -> Receipt {
    let property = |name: &str| {
        let found = message.user_properties.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).unwrap()
    };
    let epoch = Epoch::from_hex(property(property::EPOCH)).unwrap();
    let number = |name: &str| property(name).parse::<u64>().unwrap();
    let range = (number(property::FIRST), number(property::LAST));
    Receipt::new(gateway, epoch, Ranges::from_pairs([range]), Ranges::default())
}

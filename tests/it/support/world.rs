//! A centre with everything around it, and a gateway that makes records as the test says.

use std::collections::BTreeMap;
use std::time::Duration;

use cems::clock;
use cems::config::kind::Source;
use cems::config::seeds;
use cems::domain::flag::Flag;
use cems::domain::plant::ChannelCode;
use cems::domain::scan::{Reading, Scan};
use cems::mqtt::connection::{Acknowledge, Delivery, Notice, Outbox, Settings, connect};
use cems::mqtt::receipt::{Receipt, property};
use cems::mqtt::record::{Body, Epoch, Event, Hash, Record};
use cems::shutdown::Shutdown;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use tokio_postgres::Client;

use crate::support::centre::{Centre, Webhook, notify, seed_with};
use crate::support::database::{TestDatabase, database};
use crate::support::servers::{Own, broker};
use crate::support::wait::wait_until;

pub const LIMIT: Duration = Duration::from_secs(20);

/// A gateway that makes records as the test says.
pub struct Sender {
    /// Its name, and the outlet that its scans are of.
    pub gateway: &'static str,
    pub outlet: &'static str,
    pub outbox: Outbox,
    pub notices: mpsc::Receiver<Notice>,
    pub epoch: Epoch,
    /// Earlier ones.
    pub before: Vec<Epoch>,
    pub seq: u64,
    pub prev: Hash,
    pub shutdown: Shutdown,
}

impl Sender {
    pub async fn connect(port: u16) -> Sender {
        Sender::connect_as(port, "gw-demo", "demo-cement-kiln").await
    }

    /// Another gateway, of another outlet.
    pub async fn connect_as(port: u16, gateway: &'static str, outlet: &'static str) -> Sender {
        let settings = Settings {
            host: "127.0.0.1".to_owned(),
            port,
            tls: None,
            client_id: gateway.to_owned(),
            credentials: None,
            inflight: 2000,
            will: None,
            subscriptions: vec![format!("cems/v1/{gateway}/receipt")],
            acknowledge: Acknowledge::OnArrival,
            keep_alive: Duration::from_secs(5),
        };
        let shutdown = Shutdown::new();
        let mut notices = connect(settings, shutdown.clone());
        loop {
            if let Notice::Connected(outbox) = notices.recv().await.unwrap() {
                let epoch = Epoch::new();
                let (before, seq, prev) = (Vec::new(), 0, Hash::ZERO);
                return Sender { gateway, outlet, outbox, notices, epoch, before, seq, prev, shutdown };
            }
        }
    }

    /// The next record of the chain.
    pub fn record(&mut self, at: Timestamp, readings: &[(&str, Reading)]) -> Vec<u8> {
        let readings: BTreeMap<ChannelCode, Reading> =
            readings.iter().map(|(code, reading)| (ChannelCode::new(code).unwrap(), *reading)).collect();
        let scan = Scan { outlet: self.outlet.to_owned(), at, readings: readings.into_iter().collect() };
        self.next(Body::Scan(scan))
    }

    /// An event of the chain.
    pub fn event(&mut self, at: Timestamp, name: &str, detail: &[(&str, &str)]) -> Vec<u8> {
        let detail = detail.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.next(Body::Event(Event { at, event: name.to_owned(), detail }))
    }

    fn next(&mut self, body: Body) -> Vec<u8> {
        let record = Record {
            gateway: self.gateway.to_owned(),
            epoch: self.epoch,
            seq: self.seq,
            prev: self.prev,
            cfg: Hash::of(b"test"),
            body,
        };
        self.spoiled(record.encode())
    }

    /// Takes any bytes for the next record of the chain.
    pub fn spoiled(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        self.seq += 1;
        self.prev = Hash::of(&bytes);
        bytes
    }

    /// Begins a new spool, whose chain goes on from the last record.
    pub fn new_epoch(&mut self) {
        self.before.push(self.epoch);
        (self.epoch, self.seq) = (Epoch::new(), 0);
    }

    /// Publishes lines that begin at `first`.
    pub async fn publish(&self, lane: &str, first: u64, lines: &[Vec<u8>]) {
        let properties = vec![
            (property::EPOCH.to_owned(), self.epoch.to_string()),
            (property::FIRST.to_owned(), first.to_string()),
            (property::LAST.to_owned(), (first + lines.len() as u64 - 1).to_string()),
        ];
        let topic = format!("cems/v1/{}/{lane}", self.gateway);
        self.outbox.publish(&topic, Delivery::AtLeastOnce, lines.join(&b'\n'), properties).await.unwrap();
    }

    /// Waits until receipts cover these numbers; gives those that were quarantined.
    pub async fn receipted(&mut self, numbers: std::ops::Range<u64>) -> Vec<u64> {
        let mut open: Vec<u64> = numbers.collect();
        let mut quarantined = Vec::new();
        while !open.is_empty() {
            let notice = tokio::time::timeout(LIMIT, self.notices.recv()).await;
            let Some(Notice::Message(message)) = notice.unwrap_or_else(|_| panic!("no receipt for {open:?}"))
            else {
                continue;
            };
            let receipt = Receipt::decode(&message.payload, self.gateway).unwrap();
            if receipt.epoch != self.epoch.to_string() {
                assert!(self.before.iter().any(|epoch| epoch.to_string() == receipt.epoch), "{receipt:?}");
                continue;
            }
            quarantined.extend(open.iter().copied().filter(|seq| receipt.quarantined.contains(*seq)));
            open.retain(|seq| !receipt.covers(*seq));
        }
        quarantined
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub struct World {
    pub database: TestDatabase,
    pub client: Client,
    pub broker: Own<cems::embedded::Mosquitto>,
    pub webhook: Webhook,
    pub centre: Centre,
}

pub async fn world(more: &str) -> World {
    world_of(seeds::demonstration(), more).await
}

/// A world with another plant than the demonstration's.
pub async fn world_of(plant: Source, more: &str) -> World {
    world_in(database().await, plant, more).await
}

/// A world in a time zone where it is noon: a day there has hours that are over and hours to come, whenever a test runs.
pub async fn world_at_noon(more: &str) -> (World, TimeZone) {
    let hour = clock::now().to_zoned(TimeZone::UTC).hour();
    // The sign of these names is the other way round.
    let name = format!("Etc/GMT{:+}", hour - 12);
    let (database, broker, webhook) = (database().await, broker().await, Webhook::listen().await);
    let mut client = database.client().await;
    seed_with(&mut client, seeds::demonstration(), &[notify(&webhook)]).await;
    let (url, port) = (database.url(), broker.port());
    let text = format!(
        "schema = \"central/1\"\n[central]\nzone = \"{name}\"\n[database]\nurl = \"{url}\"\n\
         [mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\n[alerting]\nallow_private = true\n[http]\nlisten = \"127.0.0.1:0\"\n{more}"
    );
    let centre = Centre::start_by(url, ("127.0.0.1".to_owned(), port), &text).await;
    let world = World { database, client, broker, webhook, centre };
    wait_until(LIMIT, "the centre to be ready", || async {
        let parts = world.centre.reporting.readiness.parts();
        if world.centre.reporting.readiness.all_ready() { Ok(()) } else { Err(parts) }
    })
    .await;
    (world, TimeZone::get(&name).unwrap())
}

/// The same in a database that may have tables already.
pub async fn world_in(database: TestDatabase, plant: Source, more: &str) -> World {
    let (broker, webhook) = (broker().await, Webhook::listen().await);
    let mut client = database.client().await;
    seed_with(&mut client, plant, &[notify(&webhook)]).await;
    let centre = Centre::start(database.url(), broker.port(), more).await;
    let parts = centre.reporting.readiness.parts();
    assert!(parts.contains_key("broker"), "not ready before it listens: {parts:?}");
    let world = World { database, client, broker, webhook, centre };
    wait_until(LIMIT, "the centre to be ready", || async {
        let parts = world.centre.reporting.readiness.parts();
        if world.centre.reporting.readiness.all_ready() { Ok(()) } else { Err(parts) }
    })
    .await;
    world
}

/// The demonstration's plant, with its glass furnace behind a gateway of its own.
pub fn two_gateways() -> Source {
    let Source { file, text } = seeds::demonstration();
    let serves =
        "[[gateway.serves]]\noutlet = \"demo-glass-furnace\"\nfrom = \"2020-01-01T00:00:00+08:00\"\n";
    assert!(text.contains(serves));
    let text = format!("{}\n[[gateway]]\nname = \"gw-two\"\n\n{serves}", text.replace(serves, ""));
    Source { file, text }
}

impl World {
    pub async fn count(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }
}

pub fn normal(value: f64) -> Reading {
    Reading { value: Some(value), flag: Flag::Normal }
}

/// A whole scan of the kiln: SO2 and O2 as given, dry and at standard state; the rest constant.
pub fn kiln(so2: f64, oxygen: f64) -> Vec<(&'static str, Reading)> {
    vec![
        ("a21026", normal(so2)),
        ("a21002", normal(40.0)),
        ("a19001", normal(oxygen)),
        ("a34013", normal(3.0)),
        ("a01012", normal(110.0)),
        ("a01013", normal(-0.5)),
        ("a01014", normal(8.0)),
        ("a01011", normal(12.0)),
    ]
}

pub fn whole_second() -> Timestamp {
    Timestamp::from_second(clock::now().as_second()).unwrap()
}
